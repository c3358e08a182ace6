"""Tables as text; `markup` has them as HTML."""

from collections.abc import Sequence


def text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in columns as wide as they must be.

    >>> print(text(("PE", "state"), [("0", "running"), ("12", "off")]))
    PE  state
    0   running
    12  off
    """
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
