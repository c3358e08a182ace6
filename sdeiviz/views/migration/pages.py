"""Every page over time: time to the right, pages downwards.

A cell is some pages for some time, and shows the stage that most of them had for most of it. Pages
that were asked for are marked besides: each request is short, and would be lost in its cell.
"""

from collections.abc import Iterator
from typing import Final

from sdeiviz.migration.record import MigrationRecord, Stage
from sdeiviz.views import drawing, markup, words
from sdeiviz.views.migration import named, over

TITLE: Final = "Pages over time"
STAGES: Final = {
    Stage.DIRTY: ("still to be sent", "back", "s"),
    Stage.MISSING: ("missing", "empty", "."),
    Stage.REQUESTED: ("asked for", "cross", "?"),
    Stage.IN_FLIGHT: ("on the way", "slant", ">"),
    Stage.ARRIVED: ("arrived", "solid", "#"),
    Stage.ZERO: ("arrived, all zeros", "dots", "0"),
}
"""Name, filling and letter of each stage."""
_FROM_SOURCE: Final = {
    Stage.MISSING: "still to be sent, guest handed over",
    Stage.ARRIVED: "sent",
    Stage.ZERO: "sent, all zeros",
}
"""Names that differ where only the source was watched."""
COLUMNS: Final = 360
ROWS: Final = 128
STRIP, BANDS = 64, 16
"""Columns and rows of text."""

_LEFT, _PLOT, _RIGHT, _ROW = 72, 720, 120, 2  # pixels
_MARK = 5

Amounts = list[int]
"""Of each `Stage`, pages times nanoseconds times columns: whole numbers."""


def cells(record: MigrationRecord, columns: int = COLUMNS, rows: int = ROWS) -> list[list[Amounts]]:
    """Return what the cells of each row hold.

    All of a row together is its pages times the length of the migration times `columns`.
    """
    start, end = record.known_since(), over(record)
    length = max(1, end - start)
    each = pages_of_a_row(record, rows)
    count = -(-record.pages // each)
    partial = [[[0] * len(Stage) for _ in range(columns)] for _ in range(count)]
    whole = [[[0] * len(Stage) for _ in range(columns + 1)] for _ in range(count)]
    for page, stage, begin, until in record.runs():
        if begin >= end:
            continue
        row = page // each
        first, last = (begin - start) * columns, (min(until, end) - start) * columns
        one, other = first // length, last // length
        if one == other:
            partial[row][one][stage] += last - first
            continue
        partial[row][one][stage] += (one + 1) * length - first
        whole[row][one + 1][stage] += 1
        whole[row][other][stage] -= 1
        if other < columns:
            partial[row][other][stage] += last - other * length
    for row, held in enumerate(partial):
        running = [0] * len(Stage)
        for column in range(columns):
            for stage in Stage:
                running[stage] += whole[row][column][stage]
                held[column][stage] += running[stage] * length
    return partial


def pages_of_a_row(record: MigrationRecord, rows: int = ROWS) -> int:
    """Return how many pages share a row."""
    return max(1, -(-record.pages // rows))


def requests(record: MigrationRecord) -> list[tuple[int, int]]:
    """Return when which page was asked for, each time, as far as the messages are kept."""
    return [
        (time, page)
        for passage in record.messages
        if passage.kind == "RequestPages" and passage.first is not None
        # A source alone knows of it when it comes.
        if (time := passage.delivered if passage.sent is None else passage.sent) is not None
        for page in range(passage.first, passage.first + passage.count)
    ]


def _most(held: Amounts) -> Stage | None:
    most = max(Stage, key=lambda stage: held[stage])
    return most if held[most] else None


def counts(stages: bytes) -> dict[Stage, int]:
    """Return how many pages are at each stage, of `MigrationRecord.stages` at some time."""
    return {stage: stages.count(stage) for stage in STAGES}


def told(record: MigrationRecord, stages: bytes) -> str:
    """Return that in words, without stages that no page is at."""
    names = stage_names(record)
    return ", ".join(f"{names[s]} {n:,}" for s, n in counts(stages).items() if n)


def stage_names(record: MigrationRecord) -> dict[Stage, str]:
    """Return what each stage is called, as far as it was seen."""
    seen = _FROM_SOURCE if record.side == "source" else {}
    return {stage: seen.get(stage, name) for stage, (name, _, _) in STAGES.items()}


def here(record: MigrationRecord, stages: bytes) -> str:
    """Return how many pages are there, or sent where only the source was watched."""
    amount = stages.count(Stage.ARRIVED) + stages.count(Stage.ZERO)
    done = "sent" if record.side == "source" else "arrived"
    return f"{amount:,} of {words.count(record.pages, 'page')} {done}"


def _asked(record: MigrationRecord) -> str:
    return words.count(len(requests(record)), "request")


# -- as text


def text(record: MigrationRecord) -> str:
    """Return the map in letters, and counts at a few moments."""
    start, end = record.known_since(), over(record)
    took = end - start
    each = pages_of_a_row(record, BANDS)
    lines = [
        f"{words.count(record.pages, 'page')}, {words.duration(took)} of {record.clock} time;"
        f" a letter is {words.duration(took // STRIP)} of {words.count(each, 'page')}, and shows"
        " what most of them were",
        "  ".join(f"{STAGES[stage][2]} {name}" for stage, name in stage_names(record).items()),
    ]
    for row, held in enumerate(cells(record, STRIP, BANDS)):
        shown = map(_most, held)
        letters = "".join(" " if stage is None else STAGES[stage][2] for stage in shown)
        lines.append(f"{row * each:>#8x} |{letters}|")
    lines.append(_asked(record))
    for n in range(5):
        time = start + took * n // 4
        lines.append(f"{words.duration(time - start):>10}  {told(record, record.stages(time))}")
    return "\n".join(lines)


def html(record: MigrationRecord) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(record))


# -- as a drawing

_SHEET: Final = drawing.look(
    "sdeiviz-migration-pages",
    """
.sdeiviz-migration-pages path { shape-rendering: crispEdges; }
.sdeiviz-migration-pages .asked { fill: var(--ink); stroke: var(--pane); stroke-width: 1; }
.sdeiviz-migration-pages .switch { fill: none; stroke: var(--ink); stroke-dasharray: 5 4; }
""",
)


def svg(record: MigrationRecord) -> str:
    """Return the map: neighbours at the same stage are one area."""
    start, end = record.known_since(), over(record)
    length = max(1, end - start)
    each = pages_of_a_row(record)
    shown = [[_most(held) for held in row] for row in cells(record)]
    top, high, wide = 42, len(shown) * _ROW, _PLOT // COLUMNS
    heading = f"{words.count(record.pages, 'page')}, {_asked(record)} {named('', record)}".rstrip()
    parts = [drawing.text(_LEFT, 14, heading, "strong")]
    used = set()
    for stage, (_, filling, _) in STAGES.items():
        path = "".join(
            f"M{_LEFT + x * wide} {top + y * _ROW}h{run * wide}v{_ROW}h-{run * wide}z"
            for x, y, run in _runs(shown, stage)
        )
        if path:
            used.add(stage)
            parts.append(f'<path fill="url(#{filling})" d="{path}"/>')
    asked = {
        ((time - start) * _PLOT // length // _MARK, page // each * _ROW // _MARK)
        for time, page in requests(record)
        if start <= time < end
    }
    if asked:
        path = "".join(
            f"M{_LEFT + x * _MARK} {top + y * _MARK}h{_MARK}v{_MARK}h-{_MARK}z"
            for x, y in sorted(asked)
        )
        parts.append(f'<path class="asked" d="{path}"/>')
    parts.append(f'<path class="rule" d="M{_LEFT} {top}h{_PLOT}v{high}h-{_PLOT}z"/>')
    for row in range(0, len(shown), max(1, len(shown) // 8)):
        label = f"{row * each:#x}"
        parts.append(drawing.text(_LEFT - 8, top + row * _ROW + 10, label, "muted end"))
    parts.append(drawing.text(_LEFT - 8, top - 8, "page", "muted end"))
    stop, run = record.phases["stop"], record.phases["run"]
    if stop is not None and start <= stop <= end:
        x, wide = _LEFT + (stop - start) * _PLOT // length, 0
        if run is not None and run <= end:
            wide = (run - stop) * _PLOT // length
        parts.append(
            f'<path class="switch" d="M{x} {top - 14}v{high + 14}m{wide} 0v-{high + 14}"/>'
        )
        late = x > _LEFT + _PLOT / 2
        place, look = (x - 5, "end") if late else (x + wide + 5, "")
        parts.append(drawing.text(place, top - 5, "downtime", look))
    y = top + high + 6.0
    parts.append(drawing.axis(length, _LEFT, _PLOT, y))
    amounts = counts(record.stages(end))
    items = [
        (STAGES[stage][1], f"{name}: {amounts[stage]:,} in the end" if amounts[stage] else name)
        for stage, name in stage_names(record).items()
        if stage in used or amounts[stage]
    ]
    legend, y = drawing.legend(items, _LEFT, y + 42, _PLOT + _RIGHT)
    parts.append(legend)
    if asked:
        parts.append(f'<path class="asked" d="M{_LEFT + 4} {y - 8}h6v6h-6z"/>')
        parts.append(drawing.text(_LEFT + 20, y, "asked for at this moment"))
        y += 20
    size = _LEFT + _PLOT + _RIGHT, y - 6
    title = f"{TITLE}: {told(record, record.stages(end))}"
    return drawing.document("sdeiviz-migration-pages", _SHEET, size, title, "\n".join(parts))


def _runs(shown: list[list[Stage | None]], stage: Stage) -> Iterator[tuple[int, int, int]]:
    """Yield column, row and length of all runs of a stage."""
    for y, row in enumerate(shown):
        since = None
        for x, held in enumerate([*row, None]):
            if held == stage and since is None:
                since = x
            elif held != stage and since is not None:
                yield since, y, x - since
                since = None
