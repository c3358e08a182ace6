"""What the host's work costs in virtual time.

The guest's own work is executed, an instruction a nanosecond. What the hypervisor and the host's
kernel do is not: it is declared here. All are nanoseconds, and zero by default; values for
experiments, each with its source, are in ``assets/parameters``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """What the host takes for its work, in nanoseconds of virtual time."""

    exit: int = 0
    """Leaving the guest and entering it again: every hypercall, stage-2 fault, access to a device
    that is not the interrupt controller's CPU interface, WFI and SMC."""
    lookup: int = 0
    """A stage-2 fault: finding out where the page is."""
    map: int = 0
    """Putting a page that is there into the stage-2 tables."""
    zero: int = 0
    """Giving the guest a page of its own, zeroed."""
    queue: int = 0
    """Leaving a fault to a worker: allocate, put into the list and the table, wake the worker."""
    inject: int = 0
    """Telling the guest: mailbox and SDEI event, or mailbox and interrupt."""
    block: int = 0
    """Putting the vCPU's thread to sleep and waking it: once for each synchronous fault."""
    worker: int = 0
    """From the fault until a worker begins to fetch the page; nobody's CPU time."""
    place: int = 0
    """Putting a page that was fetched into the host's memory; nobody's CPU time."""
