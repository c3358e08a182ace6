"""What drawings have in common: the document, fillings that differ by more than colour, axes."""

import zlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from sdeiviz.views.palette import style

LETTER: Final = 6.8
"""Mean width of a letter, in pixels, as all lengths of drawings."""

_TILE: Final = 6
_FILLINGS: Final = {
    "solid": ("accent", "", ""),
    "grey": ("muted", "", ""),
    "slant": ("accent-soft", "accent", "M-1 7L7 -1M-1 1L1 -1M5 7L7 5"),
    "cross": ("pane", "bad", "M0 0L6 6M6 0L0 6"),
    "back": ("pane", "bad", "M-1 -1L7 7M-1 5L1 7M5 -1L7 1"),
    "bars": ("pane", "bad", "M0 1.5H6M0 4.5H6"),
    "posts": ("pane", "muted", "M1.5 0V6M4.5 0V6"),
    "dots": ("pane", "rule", "M1 1.5H2.5M4 4.5H5.5"),
    "empty": ("pane", "", ""),
}
"""Ground, marks and their path in a tile."""

_STYLE: Final = """
.{name} {{ font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }}
.{name} text {{ font-family: inherit; font-size: 12px; fill: var(--ink); }}
.{name} .end {{ text-anchor: end; }}
.{name} .middle {{ text-anchor: middle; }}
.{name} .strong {{ font-weight: 700; }}
.{name} .muted {{ fill: var(--muted); }}
.{name} .box {{ stroke: var(--rule); stroke-width: 1; }}
.{name} .rule {{ fill: none; stroke: var(--rule); stroke-width: 1; }}
.{name} .grid {{ fill: none; stroke: var(--pane); stroke-width: 1; }}
"""


def look(name: str, rules: str = "") -> str:
    """Return the style sheet of a drawing of fillings: all that need no line art of its own."""
    fills = "".join(
        f".{name} pattern .{part} {{ fill: var(--{ground}); }}\n"
        + (
            f".{name} pattern path.{part} {{ fill: none; stroke: var(--{mark}); }}\n"
            if mark
            else ""
        )
        for part, (ground, mark, _) in _FILLINGS.items()
    )
    return style(name, _STYLE.format(name=name) + fills + rules)


def document(name: str, sheet: str, size: tuple[float, float], title: str, body: str) -> str:
    """Return a whole drawing.

    Parameters
    ----------
    name
        Class of the root.
    sheet
        Its style sheet.
    size
        Width and height.
    title
        What it shows, in plain text.
    body
        What is drawn; a filling is named by ``fill="url(#NAME)"``.
    """
    width, height = size
    # A page may hold several drawings, and ids are the page's.
    prefix = f"{name}-{zlib.crc32(body.encode()):08x}"
    patterns = ""
    for part, (_, _, path) in _FILLINGS.items():
        if f'"url(#{part})"' in body:
            body = body.replace(f'"url(#{part})"', f'"url(#{prefix}-{part})"')
            patterns += _pattern(f"{prefix}-{part}", part, path)
    return (
        f'<svg class="{name}" role="img" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg">\n'
        f"<title>{escape(title)}</title>\n<style>{sheet}</style>\n"
        + (f"<defs>{patterns}</defs>\n" if patterns else "")
        + f"{body}\n</svg>\n"
    )


def _pattern(identifier: str, part: str, path: str) -> str:
    marks = f'<path class="{part}" d="{path}"/>' if path else ""
    return (
        f'<pattern id="{identifier}" width="{_TILE}" height="{_TILE}" '
        f'patternUnits="userSpaceOnUse"><rect class="{part}" width="{_TILE}" height="{_TILE}"/>'
        f"{marks}</pattern>"
    )


def text(x: float, y: float, words: str, look: str = "") -> str:
    """Return a line of text."""
    kind = f' class="{look}"' if look else ""
    return f'<text{kind} x="{x:g}" y="{y:g}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, filling: str) -> str:
    """Return a filled rectangle with an outline."""
    return (
        f'<rect class="box" fill="url(#{filling})" x="{x:g}" y="{y:g}" '
        f'width="{width:g}" height="{height:g}"/>'
    )


def legend(items: Iterable[tuple[str, str]], x: float, y: float, width: float) -> tuple[str, float]:
    """Return a legend, in as many lines as it wants, and where the next thing may stand.

    Parameters
    ----------
    items
        Filling and words of each.
    x, y
        Where its first line begins: left, and the baseline.
    width
        Where it must turn.
    """
    drawn, at = [], x
    for filling, words in items:
        wide = 20 + LETTER * len(words) + 16
        if at > x and at + wide > x + width:
            at, y = x, y + 20
        drawn.append(box(at, y - 10, 14, 12, filling) + text(at + 20, y, words))
        at += wide
    return "".join(drawn), y + 20


def ticks(length: int, most: int = 8) -> tuple[list[int], str, int]:
    """Return round places on an axis of time, and the unit to name them in.

    Parameters
    ----------
    length
        Nanoseconds from end to end.
    most
        How many places to have at most.

    Returns
    -------
    tuple
        Nanoseconds of each, the unit, and how many nanoseconds it is.

    Examples
    --------
    >>> ticks(2_300_000, 5)
    ([0, 500000, 1000000, 1500000, 2000000], 'ms', 1000000)
    """
    step = next(
        digit * 10**power
        for power in range(20)
        for digit in (1, 2, 5)
        if length // (digit * 10**power) < most
    )
    unit, size = next(
        (unit, size)
        for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3), ("ns", 1))
        if length >= size or size == 1
    )
    return list(range(0, length + 1, step)), unit, size


def axis(length: int, x: float, width: float, y: float) -> str:
    """Return an axis of time: how many nanoseconds it is long, and where it is."""
    places, unit, size = ticks(length)
    parts = [f'<path class="rule" d="M{x:g} {y:g}h{width:g}"/>']
    for place in places:
        at = x + place * width / length
        parts.append(f'<path class="rule" d="M{at:.1f} {y:g}v5"/>')
        parts.append(text(round(at, 1), y + 18, f"{place / size:g}", "middle muted"))
    parts.append(text(x + width + 10, y + 18, unit, "muted"))
    return "".join(parts)


def steps(tops: Sequence[int], high: int, wide: float) -> str:
    """Return the outline of an area whose height changes in steps; equal neighbours are one.

    Parameters
    ----------
    tops
        Heights, from left to right.
    high
        Where the ground is: how far below the highest that a top may be.
    wide
        How wide a step is.
    """
    path, at, since = f"M0 {high}", 0, 0
    for n, top in enumerate([*tops, 0]):
        if top != at:
            path += (f"h{(n - since) * wide:g}" if n > since else "") + f"v{at - top}"
            at, since = top, n
    return path + "z"
