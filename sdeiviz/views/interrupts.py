"""The interrupt controller: every interrupt that something has been done with."""

from typing import Final

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.machine.gic import Interrupt
from sdeiviz.views import markup, tables, words

TITLE: Final = "Interrupts"
COLUMNS: Final = ("interrupt", "to", "is", "by", "priority", "belongs to")
NONE: Final = "No interrupt is enabled, pending or active."


def rows(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return a row for each interrupt: whom it reaches, its state, what raises it, whose it is."""
    events = {
        (None if handler.shared else pe.number, handler.interrupt): handler.event
        for pe in snapshot.pes
        for handler in pe.handlers
    }
    return [_row(row, events.get((row.pe, row.intid))) for row in snapshot.interrupts]


def _row(row: Interrupt, event: int | None) -> tuple[str, ...]:
    state = [name for name in ("pending", "active", "enabled") if getattr(row, name)]
    level = "edge" if row.edge else f"level, {'high' if row.line else 'low'}"
    owner = "the hypervisor" if event is None else f"event {words.event(event)}"
    return (
        words.interrupt(row.intid),
        "" if row.owned else ", ".join(f"PE {pe}" for pe in row.targets) or "nobody",
        ", ".join(state) or "idle",
        level,
        f"{row.priority:#04x}",
        owner if row.owned else "the guest",
    )


def text(snapshot: Snapshot) -> str:
    """Return the table as text."""
    return tables.text(COLUMNS, rows(snapshot)) if snapshot.interrupts else NONE


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    if not snapshot.interrupts:
        return markup.paragraph(NONE)
    return markup.table(TITLE, COLUMNS, rows(snapshot))
