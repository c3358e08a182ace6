"""Everything about one moment, for readers, logs and hosts without widgets."""

from types import ModuleType
from typing import Final

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import console, context, diagram, disassembly, log, registers, summary

SECTIONS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("Code", disassembly),
    ("Registers", registers),
    ("Interrupted and live", context),
    ("Events", diagram),
    ("Calls and events", log),
    ("Console", console),
)


def text(snapshot: Snapshot) -> str:
    """Return all views, one under the other."""
    parts = [summary.text(snapshot)]
    for title, view in SECTIONS:
        parts.append(f"-- {title} " + "-" * (70 - len(title)))
        parts.append(view.text(snapshot))
    return "\n".join(parts)


def html(snapshot: Snapshot) -> str:
    """Return all views one under the other: no script, no style, every word escaped."""
    parts = "".join(view.html(snapshot) for _, view in SECTIONS)
    return f"<section>{summary.html(snapshot)}{parts}</section>"
