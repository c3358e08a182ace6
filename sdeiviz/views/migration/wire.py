"""Both sides and what goes between them: a sequence diagram of source, wire and destination.

Time runs downwards, a line for everything that happens, so that lines are not to scale: the time is
beside each. A message leaves its sender in one line and arrives in a later one, and a bar on the
wire says that something shown is on the way. Where only one side was watched, only its half of each
message's way is drawn.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from sdeiviz.errors import Error
from sdeiviz.migration.link import MAIN, RETURN
from sdeiviz.migration.record import CHANNELS, MigrationRecord, Moment, Passage
from sdeiviz.views import lanes as art
from sdeiviz.views import markup, words
from sdeiviz.views.lanes import LINE
from sdeiviz.views.migration.pages import requests

TITLE: Final = "Source, wire, destination"
NONE: Final = "Nothing happened then."
MOST: Final = 60
"""Lines of a diagram."""
LANES: Final = ("source", "wire", "destination")
SOURCE, WIRE, DESTINATION = range(3)

_GUTTER, _PITCH, _HEAD, _MARGIN = 96, 220, 34, 330  # pixels
_FAULTS: Final = {
    "wait": "the vCPU waits",
    "halt": "the vCPU is halted",
    "notified": "the guest is told",
    "retry": "tried again",
}
_PHASES: Final = {
    "stop": (SOURCE, "the guest stands"),
    "run": (DESTINATION, "the guest runs here"),
    "end": (DESTINATION, "every page is here"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happens: an arrow, or a note where both ends are the same lane."""

    time: int
    start: int
    end: int
    kind: str
    """Of `sdeiviz.views.sequence.KINDS`."""
    label: str
    passage: Passage | None = None


class _Other(NamedTuple):
    """A line that is only counted."""

    time: int
    arrives: bool


def life(record: MigrationRecord, page: int | None = None) -> list[Line]:
    """Return what happened to one page, from its fault to the guest's going on.

    Parameters
    ----------
    page
        Its number; by default the first that was sent because it was asked for.

    Raises
    ------
    Error
        There is no such page, or none was sent because it was asked for.
    """
    if page is None:
        page = _answered(record)
    if page not in range(record.pages):
        raise Error(f"no page {page:#x}: there are {record.pages:#x}")

    def ours(passage: Passage) -> bool:
        first = passage.first
        return first is not None and first <= page < first + passage.count

    return _lines(record, ours, lambda moment: moment.page == page, record.start, record.end)


def _answered(record: MigrationRecord) -> int:
    asked: set[int] = set()
    for passage in record.messages:
        if passage.first is None:
            continue
        if passage.kind == "RequestPages":
            asked.update(range(passage.first, passage.first + passage.count))
        elif passage.first in asked:
            return passage.first
    raise Error("no page was sent because it was asked for")


def span(record: MigrationRecord, start: int, end: int) -> list[Line]:
    """Return what happened from a time to another, both included.

    Pages that nobody asked for are only counted.
    """
    if start > end:
        raise Error(f"nothing lies between {start} ns and {end} ns")
    asked = {page for _, page in requests(record)}

    def ours(passage: Passage) -> bool:
        first = passage.first
        pages = range(first or 0, (first or 0) + passage.count)
        return passage.kind not in ("Page", "Pages") or not asked.isdisjoint(pages)

    phases = [
        Line(time, lane, lane, "note", said)
        for name, (lane, said) in _PHASES.items()
        if (time := record.phases[name]) is not None and start <= time <= end
    ]
    return _lines(record, ours, lambda moment: True, start, end, phases)


def _lines(
    record: MigrationRecord,
    is_ours: Callable[[Passage], bool],
    matters: Callable[[Moment], bool],
    start: int,
    end: int,
    phases: Iterable[Line] = (),
) -> list[Line]:
    """Return the lines in order; what is not ours is counted between them."""
    found: list[tuple[int, int, Line | _Other]] = [(line.time, 1, line) for line in phases]
    for passage in record.messages:
        taken = is_ours(passage)
        for time, arrives in ((passage.sent, False), (passage.delivered, True)):
            if time is not None and start <= time <= end:
                line = _message(record, passage, time, arrives) if taken else _Other(time, arrives)
                # At one moment: first what arrives, then what the guest makes of it.
                found.append((time, 0 if arrives else 2, line))
    for moment in record.moments:
        if matters(moment) and start <= moment.time <= end:
            found.append((moment.time, 1, _moment(moment)))
    found.sort(key=lambda one: one[:2])
    shown = [n for n, (_, _, line) in enumerate(found) if isinstance(line, Line)]
    if not shown:
        return []
    return [*_joined(line for _, _, line in found[shown[0] : shown[-1] + 1])]


def _joined(lines: Iterable[Line | _Other]) -> Iterator[Line]:
    """Yield the lines; what lies between two of them becomes one note."""
    sent = arrived = time = 0
    for line in lines:
        if isinstance(line, _Other):
            sent, arrived, time = sent + (not line.arrives), arrived + line.arrives, line.time
            continue
        if sent or arrived:
            said = [f"{n:,} {done}" for n, done in ((sent, "sent"), (arrived, "arrived")) if n]
            yield Line(time, WIRE, WIRE, "note", "others: " + ", ".join(said))
            sent = arrived = 0
        yield line


def _message(record: MigrationRecord, passage: Passage, time: int, arrives: bool) -> Line:
    start, end = (WIRE, DESTINATION) if arrives else (SOURCE, WIRE)
    if passage.channel == RETURN:
        start, end = (WIRE, SOURCE) if arrives else (DESTINATION, WIRE)
    label = passage.kind
    if passage.first is not None:
        label += f" {passage.first:#x}" + (f"+{passage.count}" if passage.count > 1 else "")
    elif passage.count:
        label += f", {words.count(passage.count, 'page')}"
    label += ", zeros" * passage.zero
    if passage.channel not in (MAIN, RETURN):
        label += f", {CHANNELS[passage.channel]}"
    lost = passage.delivered is None and not record.side
    label += ": never came" * lost
    kind = "failed" if lost else "call" if passage.channel == RETURN else "deliver"
    return Line(time, start, end, kind, label, passage)


def _moment(moment: Moment) -> Line:
    page = "" if moment.page is None else f"page {moment.page:#x}"
    pe = f"PE {moment.vcpu}"
    label = {
        "fault": f"{pe} faults, {page}: {_FAULTS.get(moment.detail, moment.detail)}",
        "worker": f"a worker waits for {page}",
        "placed": f"{page} is placed",
        "told": f"{pe} is told: {f'{page} is' if page else 'all pages are'} there",
        "resumed": f"{pe} goes on",
    }[moment.kind]
    return Line(moment.time, DESTINATION, DESTINATION, "note", label)


def _cut(lines: list[Line]) -> tuple[list[Line], int]:
    return lines[:MOST], max(0, len(lines) - MOST)


def _after(line: Line, lines: list[Line]) -> str:
    return f"+{words.duration(line.time - lines[0].time)}"


def text(lines: list[Line]) -> str:
    """Return a line of text for each: when, from whom to whom, and what."""
    shown, more = _cut(lines)
    told = []
    for line in shown:
        one, two = LANES[line.start], LANES[line.end]
        way = one if line.start == line.end else f"{one} -> {two}"
        told.append(f"{_after(line, lines):>12}  {way:<20}  {line.label}")
    if more:
        told.append(f"and {words.count(more, 'line')} more")
    return "\n".join(told) or NONE


def html(lines: list[Line]) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(lines))


def svg(lines: list[Line]) -> str:
    """Return the diagram of `life` or `span`."""
    shown, more = _cut(lines)
    places = [_HEAD + LINE * (n + 0.5) for n in range(len(shown))]
    bottom = _HEAD + LINE * max(1, len(shown) + bool(more))
    parts = [
        '<g class="heads">'
        + "".join(f'<text x="{_x(n):g}" y="18">{name}</text>' for n, name in enumerate(LANES))
        + "</g>"
    ]
    parts += [art.life(_x(lane), _HEAD - 6, bottom) for lane in range(len(LANES))]
    parts += [art.bar(_x(WIRE), top, end) for top, end in _bars(shown, places)]
    for line, y in zip(shown, places, strict=True):
        parts.append(art.index(_GUTTER - 8, y, _after(line, lines)))
        start, end = _x(line.start), _x(line.end)
        if line.start == line.end:
            parts.append(art.note(line.kind, end, y, words.printable(line.label, 44)))
        else:
            label = words.printable(line.label, 32)
            parts.append(art.arrow(line.kind, start, end, y, label, (start + end) / 2))
    if more or not lines:
        said = f"and {words.count(more, 'line')} more" if more else NONE
        parts.append(art.note("later", _x(SOURCE), bottom - LINE / 2, said))
    width = _x(DESTINATION) + _MARGIN
    return art.document(width, bottom + LINE / 2, TITLE, "\n".join(parts))


def _x(lane: int) -> float:
    return _GUTTER + 40 + _PITCH * lane


def _bars(shown: list[Line], places: list[float]) -> list[tuple[float, float]]:
    """Return from where to where something shown is on the way."""
    last = {id(line.passage): y for line, y in zip(shown, places, strict=True)}
    bars: list[tuple[float, float]] = []
    for line, y in zip(shown, places, strict=True):
        if line.passage is None or line.end != WIRE or last[id(line.passage)] == y:
            continue
        end = last[id(line.passage)]
        if bars and y <= bars[-1][1]:
            bars[-1] = bars[-1][0], max(end, bars[-1][1])
        else:
            bars.append((y, end))
    return bars
