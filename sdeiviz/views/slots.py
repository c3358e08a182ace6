"""The slots of INTERRUPT_BIND, and which interrupt raises the event of each."""

from typing import Final

from sdeiviz.debugger.snapshot import SlotView, Snapshot
from sdeiviz.views import markup, tables, words

TITLE: Final = "Slots"
COLUMNS: Final = ("event", "for", "interrupt", "registered")
NONE: Final = "This machine has no slots: INTERRUPT_BIND is not offered."


def rows(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return a row for each slot: its event number, what is bound to it, who registered it."""
    return [_row(snapshot, slot) for slot in snapshot.slots]


def _row(snapshot: Snapshot, slot: SlotView) -> tuple[str, ...]:
    registered = [
        f"PE {pe.number}"
        for pe in snapshot.pes
        if any(handler.event == slot.event and handler.state & 1 for handler in pe.handlers)
    ]
    everywhere = slot.shared and registered
    return (
        words.event(slot.event),
        "a shared interrupt" if slot.shared else "a private interrupt",
        "free" if slot.interrupt is None else words.interrupt(slot.interrupt),
        "for all PEs" if everywhere else ", ".join(registered),
    )


def text(snapshot: Snapshot) -> str:
    """Return the table as text."""
    return tables.text(COLUMNS, rows(snapshot)) if snapshot.slots else NONE


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    if not snapshot.slots:
        return markup.paragraph(NONE)
    return markup.table(TITLE, COLUMNS, rows(snapshot))
