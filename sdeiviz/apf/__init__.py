"""Async page fault: a vCPU whose page is missing tells its guest, which runs something else.

Knows neither a core nor a machine. Read in this order: `modes` (the named ways of treating a
missing page), `gfns` (the pages in flight), `vcpu` (what a vCPU remembers), `host` (what is needed
of a machine, and how riding on SDEI v7 differs from v4's own), `faults` (a page is missing, a page
arrives), `engine` (the calls of guest and VMM).

The way of a fault, on one vCPU::

    fault          write token and reason, inject the SDEI event          NOTIFIED
    event_delivered    the guest's handler puts the task to sleep and clears the mailbox
    page_arrived   the fetched page is done: the vCPU is kicked
    enter          map the page, write token and reason, raise the PPI
    acknowledge    the guest has woken the task: lower the PPI, next one
"""

from sdeiviz.apf.engine import AsyncPageFault
from sdeiviz.apf.host import Host
from sdeiviz.apf.modes import KNOBS, MODES, Mode, ModeError, mode
from sdeiviz.apf.vcpu import Answer, Counters, Decision, Reason, VcpuApf, Work

__all__ = [
    "KNOBS",
    "MODES",
    "Answer",
    "AsyncPageFault",
    "Counters",
    "Decision",
    "Host",
    "Mode",
    "ModeError",
    "Reason",
    "VcpuApf",
    "Work",
    "mode",
]
