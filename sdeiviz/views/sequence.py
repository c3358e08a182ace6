"""Who told whom what: a sequence diagram with a lane for the hypervisor and one for each PE.

Time runs downwards. Each entry of the log becomes one or more strokes; a bar on a PE's lane is a
handler that runs, and a bar beside it one that interrupted the first.
"""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import markup, words
from sdeiviz.views.log import SIGNS, Log, LogEntry, log_of
from sdeiviz.views.palette import style

BEFORE: Final = 14
AFTER: Final = 4
"""Entries of the log on either side of now."""
HYPERVISOR: Final = -1
"""Its lane; the others are numbers of PEs."""

_GUTTER, _PITCH, _HEAD, _LINE = 64, 150, 34, 22  # pixels, as all lengths here
_LETTER = 6.8
_BAR = 10


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


_STYLE: Final = """
.sdeiviz-sequence { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
.sdeiviz-sequence text { font-family: inherit; font-size: 12px; fill: var(--ink);
  stroke: var(--pane); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.sdeiviz-sequence .index { fill: var(--muted); text-anchor: end; }
.sdeiviz-sequence .heads text { text-anchor: middle; }
.sdeiviz-sequence .heads .shown { font-weight: 700; fill: var(--accent); }
.sdeiviz-sequence .life { stroke: var(--rule); stroke-width: 1.5; fill: none; }
.sdeiviz-sequence .life.off { stroke-dasharray: 2 6; }
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
    """Return the style sheet of the diagram."""
    return style("sdeiviz-sequence", _STYLE)


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
    width, height = _GUTTER + _PITCH * len(lanes), y + _LINE / 2
    heads = "".join(_heading(snapshot, lane) for lane in lanes)
    now = (
        f'<g class="now"><path d="M{_GUTTER} {now_at + _LINE / 4:g}H{width - 8}"/>'
        f'<text x="{_GUTTER - 8}" y="{now_at + _LINE / 4 + 4:g}">now</text></g>'
    )
    return (
        f'<svg class="sdeiviz-sequence" role="img" width="{width}" height="{height:g}" '
        f'viewBox="0 0 {width} {height:g}" xmlns="http://www.w3.org/2000/svg">\n'
        f"<title>Calls, events and interrupts up to instruction {snapshot.index:,}</title>\n"
        f"<style>{look()}</style>\n"
        f'<g class="heads">{heads}</g>\n{lines.drawn()}\n{"".join(drawn)}\n{now}\n</svg>\n'
    )


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
                runs[-1][1] = y + _LINE / 2
        return y + _LINE / 2

    def drawn(self) -> str:
        """Return them, the bars over the lifelines."""
        lines, bars = [], []
        for (lane, look), runs in self._runs.items():
            for top, bottom in runs:
                if look.isdigit():
                    x = _x(lane) - _BAR / 2 + 7 * int(look)
                    bars.append(
                        f'<rect class="bar" x="{x:g}" y="{top:g}" width="{_BAR}" '
                        f'height="{bottom - top:g}"/>'
                    )
                else:
                    lines.append(f'<path class="{look}" d="M{_x(lane):g} {top:g}V{bottom:g}"/>')
        return "".join(lines + bars)


def _entry(row: Row, y: float) -> str:
    """Return an entry's strokes."""
    at = y + _LINE / 2
    parts = [f'<text class="index" x="{_GUTTER - 8}" y="{at + 4:g}">{row.entry.index:,}</text>']
    parts += [_draw(stroke, at + _LINE * n) for n, stroke in enumerate(row.drawn)]
    later = ' class="later"' if row.later else ""
    return f"<g{later}>{''.join(parts)}</g>"


def _draw(stroke: Stroke, y: float) -> str:
    start, end = _x(stroke.start), _x(stroke.end)
    label = escape(words.printable(stroke.label, int((_PITCH - 20) / _LETTER)))
    if start == end:
        return (
            f'<g class="stroke {stroke.kind}"><circle cx="{end:g}" cy="{y:g}" r="4"/>'
            f'<text x="{end + 10:g}" y="{y + 4:g}">{label}</text></g>'
        )
    side = 1 if end > start else -1
    tip = f"{end:g},{y:g} {end - 8 * side:g},{y - 4:g} {end - 8 * side:g},{y + 4:g}"
    head = f'<polygon points="{tip}"/>'
    if stroke.kind == "raise":
        head = f'<circle cx="{end:g}" cy="{y:g}" r="4"/>'
    # Beside the PE, towards the other end.
    beside = start if stroke.end == HYPERVISOR else end
    toward = -side if beside == end else side
    middle = beside + toward * (_PITCH / 2 + 2)
    return (
        f'<g class="stroke {stroke.kind}"><path d="M{start:g} {y:g}H{end - 6 * side:g}"/>{head}'
        f'<text x="{middle:g}" y="{y - 4:g}" text-anchor="middle">{label}</text></g>'
    )
