"""Snapshots made by hand."""

import dataclasses
from typing import Any

from sdeiviz.debugger.snapshot import (
    ContextView,
    HandlerView,
    Line,
    PeView,
    Registers,
    Snapshot,
)
from sdeiviz.sdei.table import State
from sdeiviz.trace import TraceEvent

BASE = 0x4008_0000


def registers(**values: Any) -> Registers:
    """All zero but PC, PSTATE and what is given."""
    plain = dict.fromkeys(Registers.__slots__, 0) | {"x": (0,) * 31, "pc": BASE, "pstate": 0x3C5}
    return Registers(**(plain | values))


def line(address: int, text: str, source: str = "", number: int = 0, label: str = "") -> Line:
    return Line(address, 0xD503201F, text, label, "guest.S" if number else "", number, source)


LISTING = (
    line(BASE, "ldr w0, #0x40080020", "    ldr     w0, =SDEI_PE_UNMASK", 10, "_start"),
    line(BASE + 4, "hvc #0", "    hvc     #0          // the call", 11),
    line(BASE + 8, "mov x1, x0", '    show    "  PE", x0', 12),
    line(BASE + 12, "bl #0x40080010", '    show    "  PE", x0', 12),
    line(BASE + 16, "ret", "print: ret", 20, "print"),
)


def context(**values: Any) -> ContextView:
    plain: dict[str, Any] = {"event": 0, "pc": BASE + 8, "pstate": 0x3C5, "x": tuple(range(18))}
    return ContextView(**(plain | values))


def handler(event: int = 0, state: State = State.UNREGISTERED, **values: Any) -> HandlerView:
    plain: dict[str, Any] = {
        "pending": False,
        "entry": 0,
        "argument": 0,
        "relative": False,
        "shared": False,
        "critical": False,
        "interrupt": None,
        "routed_to": None,
        "running_on": None,
    }
    return HandlerView(**(plain | values), event=event, state=state)


def pe(number: int = 0, **values: Any) -> PeView:
    """One that is on, masked and idle, and whose turn it is if it is the first."""
    plain: dict[str, Any] = {
        "number": number,
        "affinity": number,
        "on": True,
        "waiting": False,
        "current": number == 0,
        "masked": True,
        "handlers": (handler(0), handler(1)),
        "contexts": (),
        "pc": BASE,
        "pstate": 0x3C5,
        "symbol": "_start",
    }
    return PeView(**(plain | values))


def moment(trace: tuple[TraceEvent, ...] = (), **values: Any) -> Snapshot:
    """A moment at which the whole trace has happened; of one PE, where none are given."""
    plain: dict[str, Any] = {
        "image": "guest",
        "profile": "kvm-v7",
        "index": trace[-1].index if trace else 0,
        "total": trace[-1].index if trace else 0,
        "time": 0,
        "vcpu": 0,
        "pinned": False,
        "slots": (),
        "interrupts": (),
        "registers": registers(),
        "previous": None,
        "trace": trace,
        "now": len(trace),
        "listing": LISTING,
        "console": "",
        "stopped": "",
        "breakpoints": (),
        "accounts": (),
        "apf": (),
        "apf_mode": "",
        "pages": None,
        "forked": False,
    }
    if "pes" not in values:
        names = values.keys() & {"masked", "handlers", "contexts", "symbol"}
        plain["pes"] = (pe(**{name: values.pop(name) for name in names}),)
    return Snapshot(**(plain | values))


def at(snapshot: Snapshot, **values: Any) -> Snapshot:
    return dataclasses.replace(snapshot, **values)


HOSTILE = (
    '<img src=x onerror="alert(1)">\x1b[2J\x00\u202e\u200b</pre><script>alert(2)</script>&amp;'
)
"""What a symbol, a source line or the console may hold."""
