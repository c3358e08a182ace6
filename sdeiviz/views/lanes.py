"""Lanes and the arrows between them: what sequence diagrams have in common."""

from html import escape
from typing import Final

from sdeiviz.views import drawing
from sdeiviz.views.palette import style

NAME: Final = "sdeiviz-sequence"
"""Class of the root of every such diagram."""
LINE: Final = 22
"""Height of a row in pixels, as all lengths here."""
BAR: Final = 10
"""Width of a bar on a lane."""

_STYLE: Final = """
.sdeiviz-sequence { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
.sdeiviz-sequence text { font-family: inherit; font-size: 12px; fill: var(--ink);
  stroke: var(--pane); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.sdeiviz-sequence .index { fill: var(--muted); text-anchor: end; }
.sdeiviz-sequence .heads text { text-anchor: middle; }
.sdeiviz-sequence .heads .shown { font-weight: 700; fill: var(--accent); }
.sdeiviz-sequence .life { stroke: var(--rule); stroke-width: 1.5; fill: none; }
.sdeiviz-sequence .life.off { stroke-dasharray: 2 6; }
.sdeiviz-sequence .still { stroke: var(--pane); stroke-width: 4; fill: none; }
.sdeiviz-sequence .bar { fill: var(--accent-soft); stroke: var(--accent); stroke-width: 1.5; }
.sdeiviz-sequence .stroke path { fill: none; stroke: var(--muted); stroke-width: 1.5; }
.sdeiviz-sequence .stroke polygon { fill: var(--muted); stroke: var(--muted); }
.sdeiviz-sequence .stroke circle { fill: var(--pane); stroke: var(--muted); stroke-width: 1.5; }
.sdeiviz-sequence .answer path, .sdeiviz-sequence .failed path,
.sdeiviz-sequence .complete path { stroke-dasharray: 6 4; }
.sdeiviz-sequence .deliver path { stroke: var(--accent); stroke-width: 2.5; }
.sdeiviz-sequence .deliver polygon { fill: var(--accent); stroke: var(--accent); }
.sdeiviz-sequence .deliver text { font-weight: 700; }
.sdeiviz-sequence .failed text { fill: var(--bad); font-weight: 600; }
.sdeiviz-sequence .later text { font-style: italic; fill: var(--muted); }
.sdeiviz-sequence .now path { stroke: var(--accent); stroke-width: 2; fill: none; }
.sdeiviz-sequence .now text { fill: var(--accent); font-weight: 700; text-anchor: end; }
"""


def look() -> str:
    """Return the style sheet of a sequence diagram."""
    return style(NAME, _STYLE)


def document(width: float, height: float, title: str, body: str) -> str:
    """Return a whole diagram."""
    return drawing.document(NAME, look(), (width, height), title, body)


def life(x: float, top: float, bottom: float, look: str = "life") -> str:
    """Return a piece of a lane."""
    return f'<path class="{look}" d="M{x:g} {top:g}V{bottom:g}"/>'


def bar(x: float, top: float, bottom: float) -> str:
    """Return a bar on a lane: something goes on there."""
    return (
        f'<rect class="bar" x="{x - BAR / 2:g}" y="{top:g}" width="{BAR}" '
        f'height="{bottom - top:g}"/>'
    )


def index(x: float, y: float, words: str) -> str:
    """Return what stands in the gutter beside a row, its end at `x`."""
    return f'<text class="index" x="{x:g}" y="{y + 4:g}">{escape(words)}</text>'


def note(kind: str, x: float, y: float, label: str) -> str:
    """Return something that happens on one lane."""
    return (
        f'<g class="stroke {kind}"><circle cx="{x:g}" cy="{y:g}" r="4"/>'
        f'<text x="{x + 10:g}" y="{y + 4:g}">{escape(label)}</text></g>'
    )


def arrow(kind: str, start: float, end: float, y: float, label: str = "", middle: float = 0) -> str:
    """Return something that goes from one lane to another.

    Parameters
    ----------
    kind
        Its class.
    start, end
        Where the lanes are.
    label, middle
        What it says above the line, and the middle of that.
    """
    side = 1 if end > start else -1
    tip = f"{end:g},{y:g} {end - 8 * side:g},{y - 4:g} {end - 8 * side:g},{y + 4:g}"
    head = f'<polygon points="{tip}"/>'
    if kind == "raise":
        head = f'<circle cx="{end:g}" cy="{y:g}" r="4"/>'
    words = (
        f'<text x="{middle:g}" y="{y - 4:g}" text-anchor="middle">{escape(label)}</text>'
        if label
        else ""
    )
    return (
        f'<g class="stroke {kind}"><path d="M{start:g} {y:g}H{end - 6 * side:g}"/>{head}{words}</g>'
    )
