"""Where a vCPU's time goes: every nanosecond of virtual time belongs to exactly one account.

============  ====================================================================================
``run``       it executed instructions of the guest
``overhead``  the host worked for it: exits, faults, injections (see `sdeiviz.machine.costs`)
``blocked``   the host let it wait for a page
``halted``    it waited for a page, and could have been used by an interrupt
``idle``      the guest had nothing to do: WFI
``ready``     it was another vCPU's turn
``off``       PSCI has it switched off
============  ====================================================================================
"""

from enum import StrEnum
from typing import Any


class Activity(StrEnum):
    """What a vCPU does."""

    RUN = "run"
    OVERHEAD = "overhead"
    BLOCKED = "blocked"
    HALTED = "halted"
    IDLE = "idle"
    READY = "ready"
    OFF = "off"


class Account:
    """Where the time of one vCPU went, in nanoseconds.

    Examples
    --------
    >>> account = Account()
    >>> account.change(Activity.BLOCKED, 100)
    >>> account.change(Activity.RUN, 350)
    >>> account.at(400)["blocked"], account.at(400)["run"]
    (250, 50)
    """

    def __init__(self) -> None:
        self.activity = Activity.OFF
        self._since = 0
        self._spent = dict.fromkeys(Activity, 0)

    def change(self, activity: Activity, time: int) -> None:
        """Do something else from now on."""
        self._spent[self.activity] += time - self._since
        self._since = time
        self.activity = activity

    def charge(self, activity: Activity, nanoseconds: int) -> None:
        """Book so much of something else, beginning now, between two parts of what it does."""
        self._spent[activity] += nanoseconds
        self._since += nanoseconds

    def at(self, time: int) -> dict[str, int]:
        """Return every account as it stands now; they sum up to the time."""
        spent = {activity.value: spent for activity, spent in self._spent.items()}
        spent[self.activity.value] += time - self._since
        return spent

    def save(self) -> dict[str, Any]:
        """Return the accounts as plain values."""
        spent = {activity.value: spent for activity, spent in self._spent.items()}
        return {"activity": self.activity.value, "since": self._since, "spent": spent}

    def load(self, state: dict[str, Any]) -> None:
        """Take over saved accounts."""
        self.activity = Activity(state["activity"])
        self._since = state["since"]
        self._spent = {Activity(name): spent for name, spent in state["spent"].items()}
