"""Moments of a machine with a pager, made by hand."""

from typing import Any

from sdeiviz.debugger.snapshot import ApfView, PagesView, Snapshot
from sdeiviz.trace import TraceEvent
from tests.views.moments import moment, pe

BLOCK = 0x4010_0040


def apf(vcpu: int = 0, **values: Any) -> ApfView:
    """Enabled, with an empty mailbox and nothing in flight."""
    plain: dict[str, Any] = {
        "vcpu": vcpu,
        "enabled": True,
        "control": BLOCK | 1,
        "block": BLOCK,
        "reason": 0,
        "token": 0,
        "not_present": None,
        "page_ready": False,
        "halted": False,
        "pending": (),
        "done": (),
        "faults": 0,
        "asynchronous": {},
        "synchronous": {},
    }
    return ApfView(**(plain | values))


def spent(**values: int) -> dict[str, int]:
    names = ("run", "overhead", "blocked", "halted", "idle", "ready", "off")
    return dict.fromkeys(names, 0) | values


def pages(states: bytes = bytes(256), first: int = 0x4_8000, **values: Any) -> PagesView:
    resident = states.count(0)
    return PagesView(
        **({"first": first, "states": states, "resident": resident, "limit": None} | values)
    )


def paged(*views: ApfView, trace: tuple[TraceEvent, ...] = (), **values: Any) -> Snapshot:
    """A moment with async page fault, of as many unmasked PEs as views are given."""
    views = views or (apf(),)
    plain: dict[str, Any] = {
        "pes": tuple(pe(n, masked=False) for n in range(len(views))),
        "apf": views,
        "apf_mode": "arm64-v4",
        "accounts": tuple(spent(run=100) for _ in views),
        "pages": pages(),
    }
    return moment(trace, **(plain | values))
