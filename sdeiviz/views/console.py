"""What the guest has written."""

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import markup, words


def text(snapshot: Snapshot, limit: int = 4096) -> str:
    """Return the end of the console, at most `limit` characters."""
    shown = snapshot.console[-limit:]
    cut = "\N{HORIZONTAL ELLIPSIS}" if len(snapshot.console) > limit else ""
    return cut + words.printable_lines(shown).replace("\r\n", "\n")


def html(snapshot: Snapshot, limit: int = 4096) -> str:
    """Return the end of the console, preformatted."""
    return markup.preformatted("Console", text(snapshot, limit))
