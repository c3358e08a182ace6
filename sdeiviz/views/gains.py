"""What C gains in each case of post-copy, beside what was expected, published and claimed.

The table holds every case. The drawing holds those in which as many threads compute as fault: they
have one bound, +100 %, and the claim is of such a guest.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from sdeiviz.experiment import Comparison, Migration, Parameters, Published, compare
from sdeiviz.experiment.comparison import CLAIM
from sdeiviz.experiment.table import Row
from sdeiviz.views import drawing, markup, tables, words

TITLE: Final = "What C gains in post-copy"
MODE: Final = "arm64-v4"
"""The mode that the claim is of; the others are compared by `sdeiviz.experiment.claim`."""
COLUMNS: Final = (
    "case",
    "C gains",
    "of seeds",
    "event model",
    "expected",
    "M's pages",
    "of their seeds",
    "a fault takes",
    "blocked",
)
"""The last two, both without async page fault: mean time of a fault, and the share of the window in
which all vCPUs waited."""


def percent(ratio: float | None) -> str:
    """Return a gain in whole per cent, "" for none.

    >>> percent(0.567), percent(-0.08), percent(0.001), percent(None)
    ('+57 %', '-8 %', '0 %', '')
    """
    if ratio is None:
        return ""
    whole = round(100 * ratio)
    return f"{whole:+} %" if whole else "0 %"


def span(low: float | None, high: float | None) -> str:
    """Return from where to where, as short as it is clear.

    >>> span(0.41, 0.68), span(0.652, 0.652), span(None, None)
    ('+41 to +68 %', '+65 %', '')
    """
    first, last = percent(low), percent(high)
    return last if first == last else f"{first.removesuffix(' %')} to {last}"


def _short(result: Published) -> str:
    return ", ".join(result.source.split(", ")[:2])


def _found(case: Migration, rows: Sequence[Row]) -> Comparison:
    return next(line for line in compare(case, rows) if line.mode == MODE)


def _means(case: Migration, mode: str, measured: Sequence[Row]) -> dict[str, int]:
    """Return means over the seeds of what an estimate needs, by their names in a table."""
    runs = [
        row
        for row in measured
        if (row["case.name"], row["mode"], row["varied"]) == (case.name, mode, "")
    ]
    return {
        name: round(fmean(int(run[f"result.{name}"]) for run in runs))
        for name in ("window", "latency_mean", "blocktime", "faults", "touched", "overhead")
    }


def published(parameters: Parameters) -> list[Published]:
    """Return the published results, the claim first."""
    return [parameters.published[name] for name in dict.fromkeys([CLAIM, *parameters.published])]


def rows(parameters: Parameters, measured: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a row for each published result, then one for each case.

    Parameters
    ----------
    parameters
        Of `sdeiviz.experiment.load_postcopy`.
    measured
        Rows of a table of results, every case in both modes.

    Raises
    ------
    ExperimentError
        A run has no row.
    """
    made: list[tuple[str, ...]] = [
        ("published: " + _short(each), span(each.low, each.high), *[""] * (len(COLUMNS) - 2))
        for each in published(parameters)
    ]
    for case in parameters.migrations.values():
        line = _found(case, measured)
        first = _means(case, case.modes[0], measured)
        made.append(
            (
                case.name,
                percent(line.gain),
                span(line.lowest, line.highest),
                percent(case.model),
                span(*case.expect) if case.c else "",
                percent(line.pages),
                span(line.fewest, line.most),
                words.duration(round(first["latency_mean"], -3)),
                percent(first["blocktime"] / first["window"]).removeprefix("+"),
            )
        )
    return made


ESTIMATED: Final = ("case", "L", "w", "n", "estimate", "C gained", "can be won")
"""Of a fault: its time without async page fault; with it, M's computing and the host's work."""


def estimates(parameters: Parameters, measured: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a row for each case of one to one: (L - w - n) / (L + w + n), and what came out.

    While M's page is on its way C runs, so C has L of every L + w + n; a fair guest without async
    page fault gives it half. What can be won without M's loss is what was blocked then.

    Raises
    ------
    ExperimentError
        A run has no row.
    """
    made = []
    for case in _one_to_one(parameters):
        line = _found(case, measured)
        old, new = (_means(case, mode, measured) for mode in (case.modes[0], MODE))
        latency = old["latency_mean"]
        work = round(parameters[case.work] * new["touched"] / new["faults"])
        host = round(new["overhead"] / new["faults"])
        estimate = (latency - work - host) / (latency + work + host)
        times = (words.duration(round(time, -3)) for time in (latency, work, host))
        won = percent(2 * old["blocktime"] / old["window"])
        made.append((case.name, *times, percent(estimate), percent(line.gain), won))
    return made


def _one_to_one(parameters: Parameters) -> list[Migration]:
    return [case for case in parameters.migrations.values() if case.c and case.m == case.c]


def text(parameters: Parameters, measured: Sequence[Row]) -> str:
    """Return the table as text."""
    return tables.text(COLUMNS, rows(parameters, measured))


def html(parameters: Parameters, measured: Sequence[Row]) -> str:
    """Return the same table."""
    return markup.table(TITLE, COLUMNS, rows(parameters, measured))


_NAME: Final = "sdeiviz-gains"
RULES: Final = """
.{name} .claim {{ fill: var(--accent-soft); }}
.{name} .bound {{ fill: none; stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3; }}
.{name} circle {{ fill: var(--accent); stroke: var(--ink); }}
.{name} .at {{ fill: var(--pane); stroke: var(--ink); }}
"""
"""Of every drawing of gains."""
MARKS: Final = {
    "c": '<circle cx="{:g}" cy="{:g}" r="3.5"/>',
    "m": '<path class="at" transform="translate({:g} {:g})" d="M-5 -5h10v10h-10z"/>',
}
"""What C gains and what M's pages do. One seen through the other: the square is drawn first."""
_SHEET: Final = drawing.look(
    _NAME,
    RULES.format(name=_NAME)
    + f".{_NAME} .seeds {{ fill: none; stroke: var(--ink); stroke-width: 1.5; }}\n",
)
_LEFT, _PLOT, _RIGHT, _ROW, _TOP, _GAP = 120, 324, 140, 22, 28, 28  # pixels
_CASE: Final = 36
"""The same: C above, M below."""
_LOW, _HIGH = -40, 140  # per cent


def _x(ratio: float) -> float:
    return round(_LEFT + (100 * ratio - _LOW) * _PLOT / (_HIGH - _LOW), 1)


def svg(parameters: Parameters, measured: Sequence[Row]) -> str:
    """Return a drawing: published results, and below them each case with the bound +100 %."""
    cases = _one_to_one(parameters)
    lines = [_found(case, measured) for case in cases]
    others, claimed = published(parameters), parameters.published[CLAIM]
    first = _TOP + _ROW * len(others) + _GAP
    ground = first + _CASE * len(cases)
    left, right, limit = _x(claimed.low), _x(claimed.high), _x(1)
    parts = [
        f'<rect class="claim" x="{left}" y="{_TOP}" width="{right - left:.1f}" '
        f'height="{ground - _TOP}"/>',
        f'<path class="bound" d="M{limit} {_TOP}V{ground}"/>',
        f'<path class="rule" d="M{_x(0)} {_TOP}V{ground}M{_LEFT} {ground}h{_PLOT}"/>',
        drawing.text(4, _TOP - 8, "published", "strong"),
        drawing.text(4, first - 8, "measured here", "strong"),
        drawing.text((left + right) / 2, _TOP - 8, "the claim", "middle strong"),
        drawing.text(limit, _TOP - 8, "bound", "middle strong"),
    ]
    for n, each in enumerate(others):
        top = _TOP + _ROW * n + 4
        wide = max(4, round(_x(each.high) - _x(each.low), 1))
        parts.append(drawing.text(4, top + 11, _short(each)))
        parts.append(drawing.box(_x(each.low), top, wide, 14, "grey"))
        parts.append(drawing.text(_LEFT + _PLOT + 8, top + 11, f"C {span(each.low, each.high)}"))
    for n, (case, line) in enumerate(zip(cases, lines, strict=True)):
        parts.append(_case(case, line, first + _CASE * n))
    for place in range(_LOW, _HIGH + 1, 20):
        parts.append(f'<path class="rule" d="M{_x(place / 100)} {ground}v5"/>')
        label = percent(place / 100).removesuffix(" %")
        parts.append(drawing.text(_x(place / 100), ground + 18, label, "middle muted"))
    parts.append(drawing.text(_LEFT + _PLOT + 28, ground + 18, "%", "muted"))
    y = ground + 42.0
    for kind, says in (
        ("c", "what C gains: the mean, between the lowest and the highest seed"),
        ("m", "M's pages: the same; what lies beyond the right edge is in numbers only"),
    ):
        parts.append(_seeds(kind, 16, 4, 28, y - 4) + drawing.text(40, y, says))
        y += 20
    legend, y = drawing.legend(
        (("empty", "C as expected before the first run"), ("grey", "published")), 4, y, _PLOT
    )
    size = _LEFT + _PLOT + _RIGHT, y - 6
    title = f"{TITLE}: " + ", ".join(f"{line.case} {percent(line.gain)}" for line in lines)
    return drawing.document(_NAME, _SHEET, size, title, "\n".join([*parts, legend]))


def _case(case: Migration, line: Comparison, y: float) -> str:
    """Return the row of a case: what was expected of C, on it what came out, and M below."""
    low, high = case.expect
    drawn = drawing.text(4, y + 12, case.name)
    drawn += drawing.box(_x(low), y, round(_x(high) - _x(low), 1), 14, "empty")
    side = _LEFT + _PLOT + 8
    if line.gain is not None and line.lowest is not None and line.highest is not None:
        drawn += _seeds("c", _x(line.gain), _x(line.lowest), _x(line.highest), y + 7)
        drawn += drawing.text(side, y + 12, f"C {percent(line.gain)}", "strong")
    if line.pages is not None and line.fewest is not None and line.most is not None:
        drawn += _seeds("m", _x(line.pages), _x(line.fewest), _x(line.most), y + 22)
        drawn += drawing.text(side, y + 27, f"M {span(line.fewest, line.most)}")
    return drawn


def _seeds(kind: str, mean: float, lowest: float, highest: float, y: float) -> str:
    """Return a mark between two bars that are taller than it; what is beyond the edge is not."""
    edge = _LEFT + _PLOT
    bars = "".join(f"M{x:g} {y - 7:g}v14" for x in (lowest, highest) if x <= edge)
    reach = f"M{min(lowest, edge):g} {y:g}H{min(highest, edge):g}"
    mark = MARKS[kind].format(mean, y) if mean <= edge else ""
    return f'<path class="seeds" d="{reach}{bars}"/>{mark}'
