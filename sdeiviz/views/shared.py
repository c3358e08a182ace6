"""The events that all PEs share: where each may go, and where it is now."""

from typing import Final

from sdeiviz.debugger.snapshot import HandlerView, Snapshot
from sdeiviz.views import markup, tables, words

TITLE: Final = "Shared events"
COLUMNS: Final = ("event", "priority", "state", "raised by", "goes to", "running on")
NONE: Final = "This machine has no shared events."


def rows(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return a row for each shared event."""
    return [_row(snapshot, handler) for handler in snapshot.shared]


def _row(snapshot: Snapshot, handler: HandlerView) -> tuple[str, ...]:
    registered = handler.state & 1
    only = next((pe.number for pe in snapshot.pes if pe.affinity == handler.routed_to), None)
    return (
        words.event(handler.event),
        "critical" if handler.critical else "normal",
        handler.state.title + (", pending" if handler.pending else ""),
        "software" if handler.interrupt is None else words.interrupt(handler.interrupt),
        "" if not registered else "any PE" if only is None else f"PE {only} only",
        "" if handler.running_on is None else f"PE {handler.running_on}",
    )


def text(snapshot: Snapshot) -> str:
    """Return the table as text."""
    return tables.text(COLUMNS, rows(snapshot)) if snapshot.shared else NONE


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    if not snapshot.shared:
        return markup.paragraph(NONE)
    return markup.table(TITLE, COLUMNS, rows(snapshot))
