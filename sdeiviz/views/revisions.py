"""What each revision of "Support SDEI Virtualization" had, from v1 in 2020 to v7 in 2022."""

from typing import Final

from sdeiviz.views import markup, tables

TITLE: Final = "The series, revision by revision"
REVISIONS: Final = ("v1", "v2", "v3", "v4", "v5", "v6", "v7")
UNKNOWN: Final = "?"

_POSTED = "Aug 2020", "Feb 2021", "May 2021", "Aug 2021", "Mar 2022", "Apr 2022", "May 2022"
_Row = tuple[str, tuple[str, ...]]


def _span(feature: str, *runs: tuple[str, int]) -> _Row:
    """Return a row from runs of (what, for how many revisions); v1 is not told where one is left.

    >>> _span("shared events", ("yes", 4), ("no", 2))
    ('shared events', ('?', 'yes', 'yes', 'yes', 'yes', 'no', 'no'))
    """
    cells = [what for what, count in runs for _ in range(count)]
    return feature, tuple([UNKNOWN] * (len(REVISIONS) - len(cells)) + cells)


ROWS: Final[tuple[_Row, ...]] = (
    ("posted", _POSTED),
    ("patches", (UNKNOWN, UNKNOWN, UNKNOWN, "21", "22", "18", "22")),
    _span("physical events passed through", ("yes", 1), ("no", 6)),
    _span("calls of the specification", ("1.0", 3), ("1.1", 3)),
    _span("shared events, ROUTING_SET", ("yes", 4), ("no", 2)),
    _span("critical events, nesting", ("yes", 5), ("no", 1)),
    _span("which events there are", ("the VMM says", 4), ("fixed: 0", 1), ("fixed: 0 and 1", 1)),
    _span("an event raised twice", ("counted", 5), ("pending once", 1)),
    _span(
        "UNREGISTER in a handler",
        ("PENDING, forgotten", 3),
        ("PENDING, done at the end", 2),
        ("PENDING, registered bit gone at once", 1),
    ),
    _span("COMPLETE_AND_RESUME", ("as an IRQ taken at EL1", 5), ("by ELR_EL1 and SPSR_EL1", 1)),
    _span("told of delivery, for async page fault", ("a notifier", 4), ("nobody", 2)),
    _span(
        "migration",
        ("ioctls, object by object", 3),
        ("ioctls, arrays", 1),
        ("none", 1),
        ("pseudo-registers", 1),
    ),
)
"""Each feature, and what became of it."""


def rows() -> list[tuple[str, ...]]:
    """Return the table: a row for each feature, a column for each revision."""
    return [(feature, *cells) for feature, cells in ROWS]


def text() -> str:
    """Return the table as text, a revision after the other: side by side would be too wide."""
    parts = []
    for number, revision in enumerate(REVISIONS):
        parts.append(f"{revision}, {_POSTED[number]}")
        told = [
            (f"  {feature}", cells[number])
            for feature, cells in ROWS[1:]
            if cells[number] != UNKNOWN
        ]
        parts.append(tables.text(told[0], told[1:]))
    return "\n".join(parts)


def html() -> str:
    """Return the table."""
    return markup.table(TITLE, ("", *REVISIONS), rows())
