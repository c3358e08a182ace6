"""All pages at one moment of a migration, and a film of such moments."""

import zlib
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Final

from sdeiviz.errors import Error
from sdeiviz.migration.record import MigrationRecord, Stage
from sdeiviz.views import drawing, markup, pagemap, words
from sdeiviz.views.migration import named, over
from sdeiviz.views.migration.pages import STAGES, counts, here, stage_names, told

TITLE: Final = "Pages at a moment"
FRAMES: Final = 24
MOST: Final = 100
SECONDS: Final = 5
"""How long a film takes; one that moves for longer would want a way to stop it (WCAG 2.2.2)."""

_NAME = "sdeiviz-migration-moment"
_TOP = 28


def cells(stages: bytes) -> tuple[int, list[Stage]]:
    """Return how many pages share a cell, and the stage that each cell shows.

    A cell shows that a page was asked for, or is on the way, as soon as one is; else what most are.
    """
    return pagemap.grouped(stages, STAGES, (Stage.REQUESTED, Stage.IN_FLIGHT))


def times(record: MigrationRecord, frames: int = FRAMES, most: int = MOST) -> list[int]:
    """Return the moments of a film, from the first that is known to the end.

    Raises
    ------
    Error
        A film of fewer than 2 pictures, or of more than `most`.
    """
    if frames not in range(2, most + 1):
        raise Error(f"a film of {frames} pictures: want 2 to {most}")
    start, end = record.known_since(), over(record)
    return [start + (end - start) * n // (frames - 1) for n in range(frames)]


def _when(record: MigrationRecord, time: int) -> str:
    return f"{words.duration(time - record.start)} after the start {named('', record)}".rstrip()


def text(record: MigrationRecord, time: int) -> str:
    """Return the map in letters."""
    stages, names = record.stages(time), stage_names(record)
    each, shown = cells(stages)
    columns = pagemap.columns_of(len(shown))
    lines = [
        _when(record, time) + (f"; a cell is {each} pages" if each > 1 else ""),
        "  ".join(f"{STAGES[s][2]} {names[s]}: {n:,}" for s, n in counts(stages).items()),
    ]
    for at in range(0, len(shown), columns):
        letters = "".join(STAGES[stage][2] for stage in shown[at : at + columns])
        lines.append(f"{at * each:>#8x}  {letters}")
    return "\n".join(lines)


def html(record: MigrationRecord, time: int) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(record, time))


_SHEET: Final = drawing.look(
    _NAME,
    f"""
.{_NAME} .cells {{ fill: none; stroke: var(--rule); stroke-width: 0.5; }}
.{_NAME} .cover {{ fill: var(--pane); stroke: none; }}
""",
)


def svg(record: MigrationRecord, time: int) -> str:
    """Return the map at a moment (`sdeiviz.migration.record.MigrationRecord.stages`)."""
    stages = record.stages(time)
    each, shown = cells(stages)
    columns = pagemap.columns_of(len(shown))
    body = _areas(shown, columns) + _heading(record, time, stages)
    return _document(record, body, each, len(shown), f"{TITLE}: {told(record, stages)}")


def _areas(shown: Sequence[Stage | None], columns: int) -> str:
    return "".join(
        pagemap.area(shown, columns, stage, filling, _TOP)
        for stage, (_, filling, _) in STAGES.items()
    )


def _heading(record: MigrationRecord, time: int, stages: bytes) -> str:
    said = f"{_when(record, time)}: {here(record, stages)}"
    return drawing.text(pagemap.LEFT, 16, said, "strong")


def _document(record: MigrationRecord, body: str, each: int, length: int, title: str) -> str:
    columns = pagemap.columns_of(length)
    side, rows = pagemap.WIDTH // columns, -(-length // columns)
    parts = [body, pagemap.grid(length, columns, side, _TOP)]
    parts.append(pagemap.addresses(rows, columns * each, side, _TOP))
    items = [(STAGES[stage][1], name) for stage, name in stage_names(record).items()]
    y = _TOP + rows * side + 22.0
    legend, y = drawing.legend(items, pagemap.LEFT, y, pagemap.WIDTH)
    parts.append(legend)
    if each > 1:
        said = f"a cell is {each} pages: asked for or on the way if one is, else what most are"
        parts.append(drawing.text(pagemap.LEFT, y, said, "muted"))
        y += 20
    size = pagemap.LEFT + pagemap.WIDTH + 8, y - 8
    return drawing.document(_NAME, _SHEET, size, title, "\n".join(parts))


def film_text(record: MigrationRecord, frames: int = FRAMES) -> str:
    """Return what a film shows: a line for each of its moments."""
    at = times(record, frames)
    return "\n".join(map(partial(_line, record), at, record.frames(at)))


def _line(record: MigrationRecord, time: int, stages: bytes) -> str:
    return f"{words.duration(time - record.start):>10}  {told(record, stages)}"


def film(record: MigrationRecord, frames: int = FRAMES) -> str:
    """Return a film as HTML without a script: it plays once when its box is ticked.

    Each picture draws over the one before it what has changed. Who wants less motion sees the last
    one; all of it is there as text.
    """
    each, last = 1, list[Stage | None]()
    pictures, lines = list[str](), list[str]()
    at = times(record, frames)
    for time, stages in zip(at, record.frames(at), strict=True):
        each, shown = cells(stages)
        last = last or [None] * len(shown)
        changed = [new if new != old else None for new, old in zip(shown, last, strict=True)]
        pictures.append(
            f'<g class="p{len(pictures)}">{_areas(changed, pagemap.columns_of(len(shown)))}'
            f"{_COVER}{_heading(record, time, stages)}</g>"
        )
        lines.append(_line(record, time, stages))
        last = [*shown]
    drawn = _document(
        record, "".join(pictures), each, len(last), f"{TITLE}: a film, {lines[-1].strip()}"
    )
    name = f"{_NAME}-{zlib.crc32(drawn.encode()):08x}"
    rules = [_rule(name, n, frames) for n in range(1, frames)]
    rules.append(
        "@media (prefers-reduced-motion: reduce) {"
        f" #{name}:checked ~ svg g {{ animation: none !important; }} }}"
    )
    sheet, said = "\n".join(rules), escape("\n".join(lines))
    return (
        f'<div><style>{sheet}</style><input type="checkbox" id="{name}"/>'
        f'<label for="{name}"> play once, {SECONDS} s</label><br/>\n{drawn}'
        f"<details><summary>as text</summary><pre>{said}</pre></details></div>\n"
    )


_COVER: Final = f'<rect class="cover" width="{pagemap.LEFT + pagemap.WIDTH}" height="22"/>'


def _rule(name: str, n: int, frames: int) -> str:
    """Return what hides a picture until its turn."""
    return (
        f"#{name}:checked ~ svg .p{n} {{ animation: {name}-{n} {SECONDS}s step-end; }}"
        f" @keyframes {name}-{n} {{ 0% {{ visibility: hidden; }}"
        f" {100 * n / frames:.2f}% {{ visibility: visible; }} }}"
    )
