"""Who told whom what: a sequence diagram with a lane for the hypervisor and one for each PE.

Time runs downwards. Each entry of the log becomes one or more strokes; a bar on a PE's lane is a
handler that runs, and a bar beside it one that interrupted the first.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import lanes as art
from sdeiviz.views import markup, words
from sdeiviz.views.lanes import LINE
from sdeiviz.views.log import SIGNS, Log, LogEntry, log_of

BEFORE: Final = 14
AFTER: Final = 4
"""Entries of the log on either side of now."""
HYPERVISOR: Final = -1
"""Its lane; the others are numbers of PEs."""

_GUTTER, _PITCH, _HEAD = 88, 150, 34  # pixels, as all lengths here
_LETTER = 6.8


KINDS: Final = ("call", "answer", "failed", "raise", "deliver", "complete", "on", "off", "note")


class Stroke(NamedTuple):
    """One line of the diagram: an arrow, or a note where both ends are the same lane."""

    kind: str
    """One of `KINDS`."""
    start: int
    end: int
    label: str


def strokes(entry: LogEntry, shared: frozenset[int] = frozenset()) -> list[Stroke]:
    """Return what is drawn of an entry of the log.

    Parameters
    ----------
    entry
        The entry.
    shared
        Numbers of the events that belong to no PE.
    """
    pe = entry.vcpu
    number = "" if entry.event is None else words.event(entry.event)
    match entry.kind:
        case "call":
            return _call(entry)
        case "deliver" | "complete":
            return [Stroke(entry.kind, HYPERVISOR, pe, f"{SIGNS[entry.kind]} event {number}")]
        case "raise" if entry.raised:
            return [_raise(HYPERVISOR, *whose) for whose in entry.raised]
        case "input" if entry.raised:
            return [_raise(HYPERVISOR, *whose) for whose in entry.raised]
        case "input":
            target = HYPERVISOR if entry.event is None or entry.event in shared else pe
            return [Stroke("failed" if entry.failed else "note", target, target, _mark(entry))]
        case "fault":
            told = entry.answer.removeprefix("the ").removeprefix("guest is told, ")
            return [
                Stroke("call", pe, HYPERVISOR, _mark(entry).removesuffix(" is missing")),
                Stroke("answer", HYPERVISOR, pe, told),
            ]
        case "ready":
            return [Stroke("raise", HYPERVISOR, pe, _mark(entry).replace("page-", ""))]
        case "page":
            return [Stroke("note", HYPERVISOR, HYPERVISOR, _mark(entry))]
        case "power" if entry.switched:
            return [_switch(pe, on) for pe, on in entry.switched]
        case _:
            return [Stroke("note", pe, pe, _mark(entry))]


def _call(entry: LogEntry) -> list[Stroke]:
    pe = entry.vcpu
    name, _, arguments = entry.text.partition("(")
    first = arguments.split(",")[0].rstrip(")").partition("=")[2]
    named = first if arguments.startswith(("event", "interrupt", "target")) else ""
    name = name.removeprefix("EVENT_")
    drawn = [Stroke("call", pe, HYPERVISOR, f"{name} {named}".rstrip())]
    for target, event in entry.raised:
        drawn.append(_raise(pe, target, event))
    drawn += [_switch(target, on) for target, on in entry.switched]
    if entry.failed:
        told = entry.answer.split(" ", 1)[-1]
        drawn.append(Stroke("failed", HYPERVISOR, pe, f"\N{MULTIPLICATION SIGN} {told}"))
    elif entry.answer:
        drawn.append(Stroke("answer", HYPERVISOR, pe, entry.answer.removeprefix("0 ")))
    return drawn


def _raise(start: int, target: int | None, event: int) -> Stroke:
    end = HYPERVISOR if target is None else target
    # What a PE raises of a shared event only the hypervisor knows where it goes.
    return Stroke("raise", start, end, f"{SIGNS['raise']} event {words.event(event)}")


def _switch(pe: int, on: bool) -> Stroke:
    done = "on" if on else "off"
    return Stroke(done, HYPERVISOR if on else pe, pe, f"{SIGNS['power']} {done}")


def _mark(entry: LogEntry) -> str:
    text = entry.text.split(":")[0].split(" at ")[0]
    return f"{SIGNS[entry.kind]} {text.removeprefix('host ')}"


class Row(NamedTuple):
    """One entry in the window: its strokes, and what the lanes are before them."""

    entry: LogEntry
    later: bool
    """It has not happened yet at the moment shown."""
    drawn: list[Stroke]
    depths: tuple[int, ...]
    """How many handlers run on each PE before it."""
    power: tuple[bool, ...]
    """Which PEs are on before it."""


def window(
    snapshot: Snapshot, before: int = BEFORE, after: int = AFTER, log: Log | None = None
) -> list[Row]:
    """Return the entries around now.

    What a lane is at the window's start follows from what it is now, walked back.
    """
    log = log or log_of(snapshot)
    count = log.count(snapshot.now)
    past = log.entries[max(0, count - before) : count]
    future = log.entries[count : count + after]
    shared = log.shared
    depths = [len(pe.contexts) for pe in snapshot.pes]
    power = [pe.on for pe in snapshot.pes]
    rows: list[Row] = []
    for entry in reversed(past):
        drawn = strokes(entry, shared)
        for stroke in reversed(drawn):
            _pass(stroke, depths, power, -1)
        rows.insert(0, Row(entry, False, drawn, tuple(depths), tuple(power)))
    depths, power = [len(pe.contexts) for pe in snapshot.pes], [pe.on for pe in snapshot.pes]
    for entry in future:
        drawn = strokes(entry, shared)
        rows.append(Row(entry, True, drawn, tuple(depths), tuple(power)))
        for stroke in drawn:
            _pass(stroke, depths, power, 1)
    return rows


def _pass(stroke: Stroke, depths: list[int], power: list[bool], way: int) -> None:
    """Let the lanes be what they are after a stroke, or before it where the way is back."""
    if stroke.kind in ("deliver", "complete"):
        change = way if stroke.kind == "deliver" else -way
        depths[stroke.end] = max(0, depths[stroke.end] + change)
    elif stroke.kind in ("on", "off"):
        power[stroke.end] = (stroke.kind == "on") == (way > 0)


def text(snapshot: Snapshot, before: int = BEFORE, after: int = AFTER) -> str:
    """Return a line for each stroke: from whom to whom, and what."""
    lines = []
    marked = False
    for row in window(snapshot, before, after):
        if row.later and not marked:
            marked = True
            lines.append(f"{'now':>8}  {'-' * 40}")
        for stroke in row.drawn:
            one, two = _lane(stroke.start), _lane(stroke.end)
            way = one if one == two else f"{one} -> {two}"
            lines.append(f"{row.entry.index:>8}  {way:<20}  {stroke.label}")
    return "\n".join(lines) or "nothing has happened yet"


def _lane(lane: int) -> str:
    return "hypervisor" if lane == HYPERVISOR else f"PE {lane}"


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted("Sequence", text(snapshot))


def svg(snapshot: Snapshot, before: int = BEFORE, after: int = AFTER) -> str:
    """Return the diagram.

    Colours follow the CSS variables `--sdeiviz-...`, and without them the reader's colour scheme.
    """
    lanes = [HYPERVISOR, *(pe.number for pe in snapshot.pes)]
    lines, drawn = _Lines(lanes), []
    depths, power = [len(pe.contexts) for pe in snapshot.pes], [pe.on for pe in snapshot.pes]
    y, now_at = float(_HEAD), None
    for row in window(snapshot, before, after):
        if row.later and now_at is None:
            now_at, y = y, lines.go_down(y, depths, power)
        drawn.append(_entry(row, y))
        y = lines.follow(row, y)
    if now_at is None:
        now_at, y = y, lines.go_down(y, depths, power)
    width, height = _GUTTER + _PITCH * (len(lanes) + 0.5), y + LINE / 2
    heads = "".join(_heading(snapshot, lane) for lane in lanes)
    now = (
        f'<g class="now"><path d="M{_GUTTER} {now_at + LINE / 4:g}H{width - 8}"/>'
        f'<text x="{_GUTTER - 8}" y="{now_at + LINE / 4 + 4:g}">now</text></g>'
    )
    title = f"Calls, events and interrupts up to instruction {snapshot.index:,}"
    body = f'<g class="heads">{heads}</g>\n{lines.drawn()}\n{"".join(drawn)}\n{now}'
    return art.document(width, height, title, body)


def _heading(snapshot: Snapshot, lane: int) -> str:
    """Return a lane's name; the PE shown stands out, and a sign tells whose turn it is."""
    name, look = "Hypervisor", ""
    if lane != HYPERVISOR:
        turn = snapshot.pes[lane].current
        name = f"PE {lane}" + (" \N{BLACK RIGHT-POINTING TRIANGLE}" if turn else "")
        look = ' class="shown"' if lane == snapshot.vcpu else ""
    return f'<text{look} x="{_x(lane):g}" y="18">{name}</text>'


def _x(lane: int) -> float:
    return _GUTTER + _PITCH * (lane + 1.5)


class _Lines:
    """Lifelines and bars: vertical runs, joined where they touch."""

    def __init__(self, lanes: Sequence[int]) -> None:
        self._lanes = lanes
        self._runs: dict[tuple[int, str], list[list[float]]] = {}

    def follow(self, row: Row, y: float) -> float:
        """Draw the lanes beside a row, in halves: each stroke may change them. Return the end."""
        depths, power = list(row.depths), list(row.power)
        for stroke in row.drawn:
            y = self.go_down(y, depths, power)
            _pass(stroke, depths, power, 1)
            y = self.go_down(y, depths, power)
        return y

    def go_down(self, y: float, depths: Sequence[int], power: Sequence[bool]) -> float:
        """Draw half a line."""
        for lane in self._lanes:
            looks = ["life"]
            if lane != HYPERVISOR:
                looks = ["life" if power[lane] else "life off", *map(str, range(depths[lane]))]
            for look in looks:
                runs = self._runs.setdefault((lane, look), [])
                if not runs or runs[-1][1] != y:
                    runs.append([y, y])
                runs[-1][1] = y + LINE / 2
        return y + LINE / 2

    def drawn(self) -> str:
        """Return them, the bars over the lifelines."""
        lines, bars = [], []
        for (lane, look), runs in self._runs.items():
            for top, bottom in runs:
                if look.isdigit():
                    bars.append(art.bar(_x(lane) + 7 * int(look), top, bottom))
                else:
                    lines.append(art.life(_x(lane), top, bottom, look))
        return "".join(lines + bars)


def _entry(row: Row, y: float) -> str:
    """Return an entry's strokes."""
    at = y + LINE / 2
    parts = [art.index(_GUTTER - 8, at, f"{row.entry.index:,}")]
    parts += [_draw(stroke, at + LINE * n) for n, stroke in enumerate(row.drawn)]
    later = ' class="later"' if row.later else ""
    return f"<g{later}>{''.join(parts)}</g>"


def _draw(stroke: Stroke, y: float) -> str:
    start, end = _x(stroke.start), _x(stroke.end)
    label = words.printable(stroke.label, int((_PITCH - 20) / _LETTER))
    if start == end:
        return art.note(stroke.kind, end, y, label)
    # The label stands beside the PE, towards the other end.
    pe, other = (start, end) if stroke.end == HYPERVISOR else (end, start)
    toward = 1 if other > pe else -1
    return art.arrow(stroke.kind, start, end, y, label, pe + toward * (_PITCH / 2 + 2))
