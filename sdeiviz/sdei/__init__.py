"""The SDEI dispatcher: events, rules, profiles. Knows registers, but neither a core nor a notebook.

Read in this order: `table` (the rule book), `events` (what a vCPU remembers), `profiles` (the named
ways of implementing it), `slots` (what events there are), `dispatcher` (the calls), `delivery`
(raise, deliver, complete), `interrupts` (what it needs of an interrupt controller), `registers`
(how the state of a vCPU migrates under KVM).
"""

from sdeiviz.sdei.dispatcher import Dispatcher
from sdeiviz.sdei.events import EventContext, EventDefinition, EventHandler, SdeiVcpu, VcpuSdei
from sdeiviz.sdei.interrupts import Interrupts
from sdeiviz.sdei.profiles import PROFILES, Profile, ProfileError, profile
from sdeiviz.sdei.table import TABLE, Action, State

__all__ = [
    "PROFILES",
    "TABLE",
    "Action",
    "Dispatcher",
    "EventContext",
    "EventDefinition",
    "EventHandler",
    "Interrupts",
    "Profile",
    "ProfileError",
    "SdeiVcpu",
    "State",
    "VcpuSdei",
    "profile",
]
