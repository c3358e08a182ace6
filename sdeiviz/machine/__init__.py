"""What surrounds a core: memory, stage 2, devices, hypercalls, the run loop, and saving all of it.

Read in this order: `vm` (the machine and its run loop), `vcpu` (a core's exits), `smccc` (who
answers a hypercall), then one file for each piece of hardware.
"""

from sdeiviz.machine.costs import Costs
from sdeiviz.machine.memory import GuestMemory, GuestMemoryError, PageAbsent, PageState
from sdeiviz.machine.paging import Paging
from sdeiviz.machine.state import VmState
from sdeiviz.machine.stops import Stop, StopReason
from sdeiviz.machine.vcpu import Vcpu
from sdeiviz.machine.vm import VirtualMachine

__all__ = [
    "Costs",
    "GuestMemory",
    "GuestMemoryError",
    "PageAbsent",
    "PageState",
    "Paging",
    "Stop",
    "StopReason",
    "Vcpu",
    "VirtualMachine",
    "VmState",
]
