"""The SDEI dispatcher: events, rules, profiles. Knows registers, but neither a core nor a notebook.

Read in this order: `table` (the rule book), `events` (what a vCPU remembers), `profiles` (the named
ways of implementing it), `dispatcher` (the calls), `delivery` (raise, deliver, complete).
"""

from sdeiviz.sdei.dispatcher import Dispatcher
from sdeiviz.sdei.events import EventContext, EventHandler, SdeiVcpu, VcpuSdei
from sdeiviz.sdei.profiles import PROFILES, Profile, ProfileError, profile
from sdeiviz.sdei.table import TABLE, Action, State

__all__ = [
    "PROFILES",
    "TABLE",
    "Action",
    "Dispatcher",
    "EventContext",
    "EventHandler",
    "Profile",
    "ProfileError",
    "SdeiVcpu",
    "State",
    "VcpuSdei",
    "profile",
]
