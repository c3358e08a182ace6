"""What every PE does at a moment."""

from typing import Final

from sdeiviz.debugger.snapshot import PeView, Snapshot
from sdeiviz.views import markup, tables, words

TITLE: Final = "PEs"
COLUMNS: Final = ("PE", "does", "events", "nesting", "running event", "PC")


def rows(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return a row for each PE: what it does, its mask, its handlers from the innermost out, PC."""
    return [_row(pe) for pe in snapshot.pes]


def _row(pe: PeView) -> tuple[str, ...]:
    if not pe.on:
        return str(pe.number), pe.state, "masked" if pe.masked else "unmasked", "", "", ""
    handlers = [words.event(context.event) for context in reversed(pe.contexts)]
    return (
        str(pe.number),
        pe.state,
        "masked" if pe.masked else "unmasked",
        str(len(handlers)),
        " in ".join(handlers),
        f"{pe.level} {words.printable(pe.symbol, 40) or f'{pe.pc:#x}'}",
    )


def text(snapshot: Snapshot) -> str:
    """Return the table as text."""
    return tables.text(COLUMNS, rows(snapshot))


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    return markup.table(TITLE, COLUMNS, rows(snapshot), (5,))
