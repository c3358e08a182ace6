"""What C gains, and M, as one thing after the other is varied: a panel for each sweep."""

import math
from collections.abc import Sequence
from typing import Final

from sdeiviz.experiment import Comparison, Parameters, bound, swept
from sdeiviz.experiment.comparison import CLAIM
from sdeiviz.experiment.parameters import varied
from sdeiviz.experiment.table import Row
from sdeiviz.views import drawing, markup, tables
from sdeiviz.views.gains import MARKS, MODE, RULES, percent

TITLE: Final = "What the gain depends on"
COLUMNS: Final = ("sweep", "varied", "value", "C gains", "M's pages", "bound")
_UNITS: Final = {"ns": ("µs", 1e3), "bit/s": ("Gbit/s", 1e9), "bytes": ("MB", 1e6)}
"""A unit of the parameters, the one to show and how many it is."""
_TITLES: Final = {
    "link.delay": "latency, one way",
    "link.bandwidth": "bandwidth",
    "link.buffer": "socket buffer",
    "costs.inject": "a notification",
    "work.short": "work per page",
    "m": "faulting threads (m)",
    "c": "computing threads (c)",
    "vcpus": "vCPUs",
}
"""What a panel is called; anything else by its name as a parameter."""
_KINDS: Final = {"order": ("in order", "random"), "jump": ("no", "yes")}
"""What is no quantity: its values in words."""

Point = tuple[float, Comparison, float]
"""A value, what came of it, and the bound of C's gain."""


def points(name: str, parameters: Parameters, measured: Sequence[Row]) -> list[Point]:
    """Return what came of every value of a sweep, in the mode that the claim is of.

    Raises
    ------
    ExperimentError
        A run has no row.
    """
    sweep = parameters.sweep(name)
    of = parameters.migration(sweep.case)
    found = []
    for value, line in swept(name, parameters, measured):
        _, case = varied(parameters, of, sweep.parameter, value)
        if line.mode == MODE:
            found.append((value, line, bound(case.m, case.c)))
    return found


def _scale(parameter: str, parameters: Parameters) -> tuple[str, float]:
    """Return the unit to show a parameter in, after a comma, and how many of its own that is."""
    if parameter not in parameters.values:
        return "", 1
    own = parameters.find(parameter).unit
    unit, size = _UNITS.get(own.split()[0], (own, 1.0))
    return f", {unit}", size


def _value(parameter: str, value: float, size: float) -> str:
    kinds = _KINDS.get(parameter)
    return kinds[bool(value)] if kinds else f"{value / size:g}"


def rows(parameters: Parameters, measured: Sequence[Row], *names: str) -> list[tuple[str, ...]]:
    """Return a row for each value of each sweep; without names, of all."""
    made: list[tuple[str, ...]] = []
    for name in names or parameters.sweeps:
        what = parameters.sweep(name).parameter
        unit, size = _scale(what, parameters)
        made += [
            (
                name,
                what + unit,
                _value(what, value, size),
                percent(line.gain),
                percent(line.pages),
                percent(limit),
            )
            for value, line, limit in points(name, parameters, measured)
        ]
    return made


def text(parameters: Parameters, measured: Sequence[Row], *names: str) -> str:
    """Return a table of all values as text."""
    return tables.text(COLUMNS, rows(parameters, measured, *names))


def html(parameters: Parameters, measured: Sequence[Row], *names: str) -> str:
    """Return the same table."""
    return markup.table(TITLE, COLUMNS, rows(parameters, measured, *names))


_NAME: Final = "sdeiviz-sweeps"
_SHEET: Final = drawing.look(
    _NAME,
    RULES.format(name=_NAME)
    + f"""
.{_NAME} .c {{ fill: none; stroke: var(--accent); stroke-width: 2; }}
.{_NAME} .m {{ fill: none; stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 2 3; }}
""",
)
_MARKS: Final = MARKS | {
    "beyond": '<path class="at" transform="translate({} {})" d="M-5 4h10l-5 -9z"/>',
}
_ACROSS, _WIDE, _HIGH, _LEFT, _STEP = 2, 228, 110, 56, 292  # pixels, but the first
_PANEL: Final = 206


def svg(parameters: Parameters, measured: Sequence[Row], *names: str) -> str:
    """Return a panel for each sweep, the values evenly spaced; without names, all.

    A line joins the values of a quantity. The claim is drawn where as many compute as fault.
    """
    shown = names or tuple(parameters.sweeps)
    parts = []
    for n, name in enumerate(shown):
        place = f"translate({n % _ACROSS * _STEP} {n // _ACROSS * _PANEL})"
        panel = _panel(name, parameters, points(name, parameters, measured))
        parts.append(f'<g transform="{place}">{panel}</g>')
    y = -(-len(shown) // _ACROSS) * _PANEL + 16.0
    x, width = 4.0, min(len(shown), _ACROSS) * _STEP
    for mark, says in (
        ('<path class="c" d="M0 -4h24"/>' + _MARKS["c"].format(12, -4), "C gains"),
        ('<path class="m" d="M0 -4h24"/>' + _MARKS["m"].format(12, -4), "M's pages"),
        (_MARKS["beyond"].format(12, -4), "more than is drawn"),
        ('<path class="bound" d="M0 -4h24"/>', "bound of C's gain"),
        ('<path class="claim" d="M0 -10h24v12h-24z"/>', "the claim"),
    ):
        wide = 32 + drawing.LETTER * len(says)
        if x + wide > width:
            x, y = 4.0, y + 20
        parts.append(f'<g transform="translate({x:g} {y})">{mark}</g>')
        parts.append(drawing.text(x + 32, y, says))
        x += wide + 24
    for line in ("One seed for each value.", "Values are evenly spaced, not to scale."):
        y += 20
        parts.append(drawing.text(4, y, line, "muted"))
    size = width + 4, y + 10
    title = f"{TITLE}: {', '.join(shown)}"
    return drawing.document(_NAME, _SHEET, size, title, "\n".join(parts))


def _panel(name: str, parameters: Parameters, found: Sequence[Point]) -> str:
    """Return one sweep: lines above, and below them the numbers."""
    claimed = parameters.published[CLAIM]
    what = parameters.sweep(name).parameter
    unit, size = _scale(what, parameters)
    gains = [(line.gain or 0, line.pages or 0, limit) for _, line, limit in found]
    low = min(-0.5, *(value for each in gains for value in each))
    high = max(1.5, *(value for c, _, limit in gains for value in (c, limit)))

    def y(ratio: float) -> float:
        """Return where a gain is; what lies beyond the top is at the top."""
        return round(24 + (high - min(ratio, high)) * _HIGH / (high - low), 1)

    wide = _WIDE / len(found)
    middle = [round(_LEFT + (n + 0.5) * wide, 1) for n in range(len(found))]
    parts = [
        drawing.text(_LEFT, 14, _TITLES.get(what, what) + unit, "strong"),
        drawing.text(_LEFT + _WIDE, 14, f"of {parameters.sweep(name).case}", "end muted"),
        *(
            f'<rect class="claim" x="{at - wide / 2:.1f}" y="{y(claimed.high)}" '
            f'width="{wide:.1f}" height="{y(claimed.low) - y(claimed.high):.1f}"/>'
            for at, (_, _, limit) in zip(middle, gains, strict=True)
            if limit == 1
        ),
        f'<path class="rule" d="M{_LEFT} {y(0)}h{_WIDE}M{_LEFT} 24v{_HIGH}"/>',
    ]
    sizes = (digit * 10**power / 2 for power in range(20) for digit in (1, 2, 4))
    step = next(size for size in sizes if (high - low) / size <= 5)
    for n in range(math.ceil(low / step), math.floor(high / step) + 1):
        parts.append(f'<path class="rule" d="M{_LEFT} {y(n * step)}h-4"/>')
        label = percent(n * step).removesuffix(" %")
        parts.append(drawing.text(_LEFT - 8, y(n * step) + 4, label, "end muted"))
    steps = "".join(f"V{y(limit)}h{wide:.1f}" for _, _, limit in gains)
    parts.append(f'<path class="bound" d="M{_LEFT} {y(gains[0][2])}{steps}"/>')
    for kind, n in (("m", 1), ("c", 0)):
        places = [(at, y(each[n]), each[n] > high) for at, each in zip(middle, gains, strict=True)]
        if what not in _KINDS:
            path = "L".join(f"{x} {down}" for x, down, _ in places)
            parts.append(f'<path class="{kind}" d="M{path}"/>')
        parts += (_MARKS["beyond" if out else kind].format(x, down) for x, down, out in places)
    for n, title in enumerate(("C", "M")):
        parts.append(drawing.text(_LEFT - 8, 60 + _HIGH + 18 * n, title, "end muted"))
    for at, (value, line, _) in zip(middle, found, strict=True):
        numbers = _value(what, value, size), percent(line.gain), percent(line.pages)
        for n, number in enumerate(numbers):
            look = "middle" if n == 1 else "middle muted"
            parts.append(drawing.text(at, 42 + _HIGH + 18 * n, number.removesuffix(" %"), look))
    return "".join(parts)
