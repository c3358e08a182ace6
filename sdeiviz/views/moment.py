"""Everything about one moment, for readers, logs and hosts without widgets."""

from types import ModuleType
from typing import Final

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import (
    accounts,
    console,
    context,
    diagram,
    disassembly,
    fault,
    interrupts,
    log,
    mailbox,
    pagemap,
    pes,
    reasons,
    registers,
    sequence,
    shared,
    slots,
    summary,
    timeline,
)

SECTIONS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("Code", disassembly),
    ("Registers", registers),
    ("Interrupted and live", context),
    ("Events", diagram),
    ("Calls and events", log),
    ("Console", console),
)
MACHINE: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("PEs", pes),
    ("Sequence", sequence),
    ("Shared events", shared),
    ("Slots", slots),
    ("Interrupts", interrupts),
)
"""What there is to say of more than one PE, or of more events than its own."""
PAGING: Final[tuple[tuple[str, ModuleType], ...]] = tuple(
    (view.TITLE, view) for view in (mailbox, pagemap, reasons, accounts, timeline, fault)
)
"""What there is to say of a host that takes pages away."""


def sections(snapshot: Snapshot) -> tuple[tuple[str, ModuleType], ...]:
    """Return the views of a moment that have something to say."""
    machine = () if snapshot.simple else MACHINE
    return SECTIONS + machine + (PAGING if snapshot.apf_mode else ())


def text(snapshot: Snapshot) -> str:
    """Return all views, one under the other."""
    parts = [summary.text(snapshot)]
    for title, view in sections(snapshot):
        parts.append(f"-- {title} " + "-" * (70 - len(title)))
        parts.append(view.text(snapshot))
    return "\n".join(parts)


def html(snapshot: Snapshot) -> str:
    """Return all views one under the other: no script, no style, every word escaped."""
    parts = "".join(view.html(snapshot) for _, view in sections(snapshot))
    return f"<section>{summary.html(snapshot)}{parts}</section>"
