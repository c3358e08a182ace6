"""A migration as pictures, one after another: pages, vCPUs and the link at each moment.

What is the same in all pictures is drawn once. What differs is in each `Frame`, so that whoever
plays them changes some texts and outlines, and nothing else moves.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from sdeiviz.migration.link import MAIN, URGENT
from sdeiviz.migration.metrics import PHASES
from sdeiviz.migration.record import MigrationRecord, Stage
from sdeiviz.views import drawing, markup, pagemap, timeline, words
from sdeiviz.views.migration import moments, named, over, traffic, vcpus
from sdeiviz.views.migration.pages import STAGES, counts, here, requests, stage_names, told
from sdeiviz.views.threads import Row

TITLE: Final = "A migration, moment by moment"
FRAMES: Final = 240
LINES: Final = 24
"""Moments of the text."""
PHASE_NAMES: Final = {
    "start": "pre-copy",
    "stop": "downtime",
    "run": "post-copy",
    "end": "all is there",
}
"""What begins with each moment of `sdeiviz.migration.metrics.PHASES`."""
TOP: Final = 28
"""Where the map begins, in pixels as all lengths here."""
UNSEEN: Final = "not seen"
ASKED: Final = "asked for, and not here yet"

_NAME = "sdeiviz-player-picture"
_RIGHT = 112
_ROW, _GAP, _LINK = 16, 6, 40
_STEPS = 88
"""Steps of the link's use: one has several frames on the wire, each counted when it has come."""


class Frame(NamedTuple):
    """What is to be seen at one moment."""

    time: int
    said: str
    """When it is, in which phase, and how far."""
    cells: bytes
    """A `Stage` for each cell of the map (`sdeiviz.views.migration.moments.cells`)."""
    amounts: tuple[int, ...]
    """How many pages are at each `Stage`, in the order of the legend."""
    asked: tuple[int, ...]
    """Cells with a page that was asked for since the frame before, or before and is not here."""
    doing: tuple[str, ...]
    """What each vCPU does, a `Doing`, or that it was not seen."""
    link: str
    """How much arrives at the destination."""
    share: str
    """The same of the link's bandwidth, "" where that is not known."""

    def whole(self) -> str:
        """Return all of it in words, but for single pages."""
        does = ", ".join(f"PE {n} {doing}" for n, doing in enumerate(self.doing))
        return "; ".join([self.said, does, f"link {self.link} {self.share}".rstrip()])


def times(record: MigrationRecord, count: int = FRAMES) -> list[int]:
    """Return so many moments, equally far from each other, and those at which a phase begins.

    Raises
    ------
    Error
        Fewer than 2, or more than `FRAMES`.
    """
    start, end = record.known_since(), over(record)
    begins = {time for time in record.phases.values() if time is not None and start <= time <= end}
    return sorted(begins.union(moments.times(record, count, FRAMES)))


def frames(record: MigrationRecord, count: int = FRAMES) -> list[Frame]:
    """Return the pictures of a migration.

    Parameters
    ----------
    count
        How many, besides one where each phase begins: 2 to `FRAMES`.

    Raises
    ------
    Error
        There cannot be so many.
    """
    at = times(record, count)
    rows = vcpus.history(record).rows
    step, moved = _moved(record)
    each = pagemap.each_of(record.pages)
    asked: list[set[int]] = [set() for _ in at]
    for time, page in requests(record):
        # The first frame that is not before it; what came before all frames is in the first.
        if time <= at[-1]:
            asked[bisect_right(at, time - 1)].add(page)
    waited = set[int]()
    made = []
    for n, (time, stages) in enumerate(zip(at, record.frames(at), strict=True)):
        amount = moved[min((time - record.start) // step, len(moved) - 1)]
        rate = traffic.rate(amount, step)
        waited = {page for page in waited if stages[page] not in (Stage.ARRIVED, Stage.ZERO)}
        waited |= asked[n]
        made.append(
            Frame(
                time,
                _said(record, time, stages),
                bytes(moments.cells(stages)[1]),
                tuple(counts(stages).values()),
                tuple(sorted({page // each for page in waited})),
                tuple(_doing(row, time, at[-1]) for row in rows),
                traffic.said(rate),
                _share(rate, record.bandwidth),
            )
        )
    return made


def phase(record: MigrationRecord, time: int) -> str:
    """Return the phase that a moment is in."""
    begun = [name for name in PHASES if _begins(record, name, time)]
    return PHASE_NAMES[begun[-1]] if begun else "not begun"


def _begins(record: MigrationRecord, name: str, time: int) -> bool:
    begin = record.phases[name]
    return begin is not None and begin <= time


def _said(record: MigrationRecord, time: int, stages: bytes) -> str:
    return (
        f"{words.duration(time - record.start)} {named('', record)}".rstrip()
        + f", {phase(record, time)}: {here(record, stages)}"
    )


def _doing(row: Row, time: int, end: int) -> str:
    """Return what a vCPU does from a moment on; at the end, what it did last."""
    for doing, begin, until in row.spans:
        if begin <= time < until or time == until == end:
            return doing
    return UNSEEN


def _share(rate: int, bandwidth: int | None) -> str:
    # A frame that began in the step before counts as a whole: a step can have more than fits.
    return f"{min(100, 100 * rate / bandwidth):.0f} %" if bandwidth else ""


def _moved(record: MigrationRecord) -> tuple[int, list[int]]:
    """Return how long a step is, and the bytes to the destination in each."""
    step, main = traffic.steps(record, MAIN, over(record), _STEPS)
    _, urgent = traffic.steps(record, URGENT, over(record), _STEPS)
    return step, [a + b for a, b in zip(main, urgent, strict=True)]


# -- as text


def text(record: MigrationRecord, lines: int = LINES) -> str:
    """Return a line for each of some moments, and how many pages were how far."""
    told_of = frames(record, lines)
    return "\n".join(
        f"{frame.whole()}\n    {told(record, stages)}"
        for frame, stages in zip(told_of, record.frames([f.time for f in told_of]), strict=True)
    )


def html(record: MigrationRecord) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(record))


# -- as a drawing

_SHEET: Final = drawing.look(
    _NAME,
    f"""
.{_NAME} {{ font-variant-numeric: tabular-nums; }}
.{_NAME} .cells {{ fill: none; stroke: var(--rule); stroke-width: 0.5; }}
.{_NAME} .halo {{ fill: none; stroke: var(--pane); stroke-width: 4; }}
.{_NAME} .line {{ fill: none; stroke: var(--ink); stroke-width: 2; }}
""",
)


def svg(record: MigrationRecord, frame: Frame) -> str:
    """Return one picture.

    Its moving parts have classes: ``said``, ``stage`` (an outline for each `Stage` of the legend),
    ``asked``, ``amounts``, ``doing``, ``link``, ``share`` and, to be shifted, ``now``.
    """
    columns = pagemap.columns_of(len(frame.cells))
    side, rows = pagemap.WIDTH // columns, -(-len(frame.cells) // columns)
    left, wide = pagemap.LEFT, pagemap.WIDTH
    parts = [drawing.text(left, 16, frame.said, "strong said")]
    for stage, (_, filling, _) in STAGES.items():
        path = pagemap.outline(frame.cells, columns, stage, TOP)
        parts.append(f'<path class="stage" fill="url(#{filling})" d="{path}"/>')
    parts.append(pagemap.grid(len(frame.cells), columns, side, TOP))
    parts.append(drawing.text(left - 8, 16, "page", "muted end"))
    parts.append(_ringed(frame, columns, side))
    each = pagemap.each_of(record.pages)
    parts.append(pagemap.addresses(rows, columns * each, side, TOP))
    y = TOP + rows * side + 22.0
    items = [
        (STAGES[stage][1], f"{name} {amount(n, record.pages)}")
        for (stage, name), n in zip(stage_names(record).items(), frame.amounts, strict=True)
    ]
    legend, y = drawing.legend(items, left, y, wide + _RIGHT)
    parts.append(f'<g class="amounts">{legend}</g>')
    parts.append(f'<path class="halo" d="{(ring := f"M{left + 2} {y - 9}h10v10h-10z")}"/>')
    parts.append(f'<path class="line" d="{ring}"/>')
    shared = f"; a cell is {each} pages, and shows what most are" if each > 1 else ""
    parts.append(drawing.text(left + 20, y, ASKED + shared))
    y = _strips(parts, record, frame, y + 16)
    size = left + wide + _RIGHT, y
    return drawing.document(_NAME, _SHEET, size, f"{TITLE}: {frame.whole()}", "\n".join(parts))


def amount(number: int, most: int) -> str:
    """Return a number that takes as much room as the greatest.

    >>> amount(7, 1024)
    '7\u2007\u2007\u2007\u2007'
    """
    return f"{number:,}".ljust(len(f"{most:,}"), "\N{FIGURE SPACE}")


def place(record: MigrationRecord, time: int) -> float:
    """Return how far to the right a moment is, from the left end of the strips."""
    return (time - record.start) * pagemap.WIDTH / _length(record)


def _length(record: MigrationRecord) -> int:
    return max(1, over(record) - record.start)


def _ringed(frame: Frame, columns: int, side: int) -> str:
    path = "".join(
        f"M{pagemap.LEFT + cell % columns * side} {TOP + cell // columns * side}"
        f"h{side}v{side}h-{side}z"
        for cell in frame.asked
    )
    return f'<path class="halo asked" d="{path}"/><path class="line asked" d="{path}"/>'


def _strips(parts: list[str], record: MigrationRecord, frame: Frame, y: float) -> float:
    """Draw what happens over time: phases, vCPUs, the link; returns where it ends."""
    left, wide, length = pagemap.LEFT, pagemap.WIDTH, _length(record)
    right = left + wide + 10
    parts.append(drawing.text(left - 8, y + 12, "phase", "muted end"))
    parts.append(_phases(record, y))
    y = top = y + _ROW + _GAP
    history = vcpus.history(record)
    for row, doing in zip(history.rows, frame.doing, strict=True):
        areas = timeline.areas(row, record.start, length, _ROW, wide)
        parts.append(drawing.text(left - 8, y + 12, row.name, "end"))
        parts.append(
            f'<g transform="translate({left} {y:g})">{areas}'
            f'<path class="rule" d="M0 0h{wide}v{_ROW}h-{wide}z"/></g>'
        )
        parts.append(drawing.text(right, y + 12, doing, "strong doing"))
        y += _ROW + _GAP
    parts.append(_link(record, y))
    parts.append(drawing.text(right, y + 12, frame.link, "strong link"))
    parts.append(drawing.text(right, y + 30, frame.share, "strong share"))
    y += _LINK
    line = f"M{left} {top - 3:g}V{y + 4:g}"
    parts.append(
        f'<g class="now" transform="translate({place(record, frame.time):.1f})">'
        f'<path class="halo" d="{line}"/><path class="line" d="{line}"/></g>'
    )
    parts.append(drawing.axis(length, left, wide, y + 4))
    used = {doing for row in history.rows for doing in row.spent()}
    items = [(timeline.FILLINGS[doing], f"PE {doing}") for doing in timeline.SAYS if doing in used]
    if any(record.moved[URGENT]):
        items += [(traffic.SAYS[n][1], f"link, {traffic.SAYS[n][0]}") for n in (MAIN, URGENT)]
    legend, y = drawing.legend(items, left, y + 44, wide + _RIGHT)
    parts.append(legend)
    return y - 6


def _phases(record: MigrationRecord, y: float) -> str:
    """Return a box for each phase that takes time, with its name in it, or else in the next."""
    end = over(record)
    begun = [(name, t) for name in PHASES if (t := record.phases[name]) is not None and t < end]
    parts, taken = [], 0.0
    for (name, begin), (_, until) in pairwise([*begun, ("end", end)]):
        x, other = pagemap.LEFT + place(record, begin), pagemap.LEFT + place(record, until)
        if x < other:
            parts.append(f'<path class="rule" d="M{x:.1f} {y:g}H{other:.1f}v{_ROW}H{x:.1f}z"/>')
        said = PHASE_NAMES[name]
        if drawing.LETTER * len(said) + 8 + 2 * taken < other - x:
            parts.append(drawing.text(round((x + other) / 2, 1), y + 12, said, "middle"))
            taken = 0
        elif name == "stop" and x < other:
            said = f"\N{LEFTWARDS ARROW} {said}"
            taken = drawing.LETTER * len(said) + 8
            if taken < place(record, end) - place(record, until):
                parts.append(drawing.text(round(other + 4, 1), y + 12, said))
    return "".join(parts)


def _link(record: MigrationRecord, y: float) -> str:
    """Return what went to the destination over time, one channel on the other."""
    step, whole = _moved(record)
    _, main = traffic.steps(record, MAIN, over(record), _STEPS)
    top = max(record.bandwidth or 1, traffic.rate(max(whole), step))
    pixels = round(step * pagemap.WIDTH / _length(record), 3)
    areas = []
    for row, channel in ((whole, URGENT), (main, MAIN)):
        tops = [min(_LINK, traffic.rate(n, step) * _LINK // top) for n in row]
        filling = traffic.SAYS[channel][1]
        areas.append(f'<path fill="url(#{filling})" d="{drawing.steps(tops, _LINK, pixels)}"/>')
    left, wide = pagemap.LEFT, pagemap.WIDTH
    return (
        drawing.text(left - 8, y + 12, "link", "end")
        + drawing.text(left - 8, y + 30, traffic.said(top), "muted end")
        + f'<svg x="{left}" y="{y:g}" width="{wide}" height="{_LINK}">{"".join(areas)}</svg>'
        + f'<path class="rule" d="M{left} {y:g}h{wide}v{_LINK}h-{wide}z"/>'
    )


def cell_changes(pictures: Sequence[Frame]) -> list[list[int]]:
    """Return for each picture the cells that differ from the one before: cell * 8 + stage.

    All cells of the first differ.
    """
    before = bytes([7]) * len(pictures[0].cells)
    made = []
    for frame in pictures:
        changed = zip(range(len(before)), frame.cells, before, strict=True)
        made.append([n * 8 + new for n, new, old in changed if new != old])
        before = frame.cells
    return made
