"""A snapshot as the small dictionaries that travel to the browser.

Everything is a string or a small number: JavaScript's numbers lose the low bits of a 64-bit
register. What is long is sent in windows that the browser joins: the log's rows, the console's
characters and, for a large program, the listing. A step costs one message of at most
`STEP_BYTES`, a jump one of `JUMP_BYTES`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypedDict

from sdeiviz.abi import pstate
from sdeiviz.debugger import Snapshot
from sdeiviz.debugger.snapshot import HandlerView, Line
from sdeiviz.views import (
    accounts,
    context,
    diagram,
    disassembly,
    fault,
    interrupts,
    mailbox,
    pagemap,
    pes,
    reasons,
    registers,
    sequence,
    shared,
    slots,
    summary,
    timeline,
    words,
)
from sdeiviz.views.log import SIGNS, Log, LogEntry

STEP_BYTES: Final = 2000
JUMP_BYTES: Final = 4000
NAMES: Final = tuple(name for _, group in registers.GROUPS for name in group)
"""Registers in the order of `Values`."""

_ENVELOPE: Final = 180
"""Bytes of an update message around its traits."""
_SKELETONS: Final = 140
"""Bytes of windows on the log and the code that have no rows yet."""
_MARKERS: Final = 240  # bytes
_TAIL: Final = 120
_ROOM: Final = 24
_NAME: Final = 60
_CELL: Final = 80

_FAR: Final = re.compile("[\U00010000-\U0010ffff]")

TABLES: Final[dict[str, Any]] = {
    "pes": pes,
    "shared": shared,
    "slots": slots,
    "interrupts": interrupts,
    "mailbox": mailbox,
    "reasons": reasons,
    "accounts": accounts,
}
"""Views of the whole machine that are tables, by the name of their tab."""
DRAWINGS: Final[dict[str, Any]] = {"pages": pagemap, "threads": timeline, "fault": fault}
"""Views of a machine with a pager that are drawings; they are sent only when asked for."""

Values = str
"""Numbers in hexadecimal without leading zeros, parted by spaces."""


class Moment(TypedDict):
    """Where and when."""

    at: int
    of: int
    span: int
    """Where the scrubber ends: a round number, so that it does not move with every step."""
    time: str
    pc: str
    where: str
    level: str
    masked: bool
    forked: bool
    pe: int
    """Number of the PE shown."""
    pinned: bool
    """It was chosen, and does not change with the turns."""
    said: str
    """What just happened; "" where the last row of the log says it."""
    epoch: int
    """Counts changes of the past: what the browser knew of the future is void."""


class RegisterFrame(TypedDict):
    """All registers, in the order of `NAMES`."""

    now: Values
    changed: str
    """Which changed, a bit each in hexadecimal; bit 0 is the first."""
    was: Values
    """The previous values of those, in order; "" where there was no room for them."""
    says: dict[str, str]
    """What PSTATE and its like mean."""


class ContextFrame(TypedDict):
    """The innermost interrupted context: PC, PSTATE, x0 to x17."""

    event: int
    deep: int
    level: str
    values: Values


class EventFrame(NamedTuple):
    """One event's handler; it travels as a list without what is empty at its end."""

    event: int
    state: int
    pending: int
    before: int
    """The state it came from, plus 1; 0 where that is not known."""
    entry: str
    refused: str
    """What was refused just now, and "" otherwise."""


class TableFrame(TypedDict):
    """Rows of the table that the reader has open."""

    name: str
    """A key of `TABLES`."""
    size: int
    """How many rows there are."""
    rows: list[list[str]]


class DrawingFrame(TypedDict):
    """A drawing that the reader has open."""

    name: str
    """A key of `DRAWINGS`."""
    at: int
    epoch: int
    """Which moment it is of (see `Moment`)."""
    svg: str


class LogFrame(TypedDict):
    """A window on the log."""

    now: int
    """Rows up to the moment shown."""
    size: int
    first: int
    rows: list[list[Any]]
    """index, kind, text, answer, effects, reason, failed; and PE and strokes of the sequence, where
    there is a machine to show."""


class ConsoleFrame(TypedDict):
    """The end of what the guest has written."""

    length: int
    tail: str


class CodeFrame(TypedDict):
    """Lines of the listing, for a program too large to be sent whole."""

    rows: list[list[Any]]


def values(numbers: Sequence[int]) -> Values:
    """Pack numbers.

    >>> values([0, 0x4008_0000])
    '0 40080000'
    """
    return " ".join(f"{number:x}" for number in numbers)


def clip(text: str, limit: int) -> str:
    """Return one line of foreign text that takes at most so many bytes, about."""
    shown = words.printable(text, limit)
    while size(shown) > limit + 4:
        shown = f"{shown[: len(shown) * 3 // 4]}\N{HORIZONTAL ELLIPSIS}"
    return shown


def code_row(line: Line, above: Line | None, names: words.Names) -> list[Any]:
    """Return address, instruction, label, and source line with its text where that begins."""
    source = disassembly.source_of(line, above)
    row = [f"{line.address:x}", clip(disassembly.instruction(line, names), 80)]
    return [*row, clip(line.label, _NAME), line.number if source else 0, source]


def code_rows(lines: Sequence[Line]) -> list[list[Any]]:
    """Return a listing as rows."""
    names = disassembly.names(lines)
    pairs = zip(lines, [None, *lines], strict=False)
    return [code_row(line, above, names) for line, above in pairs]


def log_row(entry: LogEntry, strokes: Sequence[sequence.Stroke] = ()) -> list[Any]:
    """Return an entry as a row."""
    effects = "; ".join(entry.effects)
    row = [
        entry.index,
        entry.kind,
        entry.text,
        entry.answer,
        effects,
        entry.reason,
        int(entry.failed),
    ]
    if strokes:
        drawn = [[STROKES[s.kind], s.start, s.end, clip(s.label, _NAME)] for s in strokes]
        return [*row, entry.vcpu, drawn]
    return _cut(row)


def _cut(row: list[Any]) -> list[Any]:
    """Remove what is empty at a row's end."""
    while len(row) > 1 and row[-1] in ("", 0):
        row.pop()
    return row


STROKES: Final = {kind: kind[0] for kind in sequence.KINDS} | {
    "complete": "e",
    "on": "+",
    "off": "-",
}
"""A letter for each kind of stroke."""
_STATES: Final = {"off": "o", "waiting": "w", "ready": "r", "running": "c"}


def pe_signs(snapshot: Snapshot) -> str:
    """Return for each PE a letter for what it does, one for its mask, and how deep it is nested."""
    if len(snapshot.pes) == 1:
        return ""
    return "".join(
        f"{_STATES[pe.state]}{'m' if pe.masked else 'u'}{len(pe.contexts)}" for pe in snapshot.pes
    )


def is_plain(snapshot: Snapshot) -> bool:
    """Tell whether there is no more to show than one PE and its own events."""
    return snapshot.simple and not snapshot.apf_mode


def offered(snapshot: Snapshot) -> tuple[list[str], list[str]]:
    """Return the names of the tables and of the drawings that a machine has something for."""
    paging = ["mailbox", "reasons", "accounts"]
    machine = [name for name in TABLES if name not in paging]
    tables = ["interrupts"] if snapshot.simple else machine
    return (tables + paging, list(DRAWINGS)) if snapshot.apf_mode else (tables, [])


def table_frame(snapshot: Snapshot, name: str) -> TableFrame | None:
    """Return a table of the machine, None where there is none of that name."""
    if name not in TABLES:
        return None
    rows = [[clip(cell, _CELL) for cell in row] for row in TABLES[name].rows(snapshot)]
    return {"name": name, "size": len(rows), "rows": rows}


def span(total: int) -> int:
    """Return the next round number: 1, 2 or 5 times a power of ten.

    >>> span(0), span(101), span(3465)
    (100, 200, 5000)
    """
    power = 100
    while True:
        for size in (power, 2 * power, 5 * power):
            if size >= total:
                return size
        power *= 10


def markers(moments: Sequence[tuple[int, str]], extent: int) -> str:
    """Return the scrubber's marks: a letter and a base-36 index each, at most one for each place.

    >>> markers([(4, "call"), (71, "deliver")], 100)
    'c4 d1z'
    """
    places = min(40, _MARKERS // (len(_base36(extent)) + 2))
    chosen: dict[int, tuple[int, str]] = {}
    rank = {kind: n for n, kind in enumerate(KINDS)}
    for index, kind in moments:
        slot = index * places // (extent + 1)
        held = chosen.get(slot)
        if held is None or rank[kind] < rank[held[1]]:
            chosen[slot] = (index, kind)
    return " ".join(f"{_LETTERS[kind]}{_base36(index)}" for index, kind in chosen.values())


KINDS: Final = ("defect", "stop", "deliver", "complete", "input", "raise", "mask", "call")
_LETTERS: Final = {kind: "x" if kind == "defect" else kind[0] for kind in KINDS} | {"complete": "o"}


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
        if not number:
            return text


def size(value: Any) -> int:
    """Return how many bytes a value takes on the way."""
    return len(json.dumps(value, ensure_ascii=False).encode())


class Packer:
    """Turns snapshots of one session into frames.

    Parameters
    ----------
    program
        The whole listing, or None for a large program.
    """

    def __init__(self, program: Sequence[Line] | None) -> None:
        self.program = code_rows(program) if program is not None else None
        self._labels = {line.address: line.label for line in program or () if line.label}
        self.log = Log(self._labels)
        self.epoch = 0
        self.table = ""
        """Name of the table that the reader has open."""
        self._plain = True
        self._known = {line.address: line.word for line in program or ()}
        self._log_place: tuple[int, int, int] | None = None

    def fork(self) -> None:
        """Forget what was known of the future: it has been changed."""
        self.epoch += 1
        self.log = Log(self._labels)

    def pack(
        self,
        snapshot: Snapshot,
        moments: Sequence[tuple[int, str]],
        budget: int,
        shown: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the value of every trait at a moment.

        Parameters
        ----------
        moments
            All SDEI moments recorded, as (index, kind).
        budget
            Bytes that those which differ from `shown` may take together.
        shown
            The values that the browser has.
        """
        log, now = self.log, snapshot.now
        log.meet(snapshot)
        log.follow(snapshot.trace)
        self._plain = is_plain(snapshot)
        extent = span(snapshot.total)
        register_frame = _registers(snapshot)
        traits: dict[str, Any] = {
            "moment": self._moment(snapshot, extent),
            "registers": register_frame,
            "context": _context(snapshot),
            "events": [
                _cut(list(self._event(diagram.lit(snapshot, h, log), h))) for h in snapshot.handlers
            ],
            "pes": pe_signs(snapshot),
            "markers": markers(moments, extent),
            "console": console_frame(snapshot.console, _TAIL),
            "breakpoints": values(snapshot.breakpoints),
        }
        left = budget - _ENVELOPE
        left -= sum(
            size(value) + len(name) + 6
            for name, value in traits.items()
            if shown.get(name) != value
        )
        if left < _SKELETONS:
            # Nearly every register changed, and all are long: that they did must do.
            left += size(register_frame["was"])
            register_frame["was"] = ""
        if left < _SKELETONS and traits["events"] != shown.get("events"):
            left += size(traits["events"])
            traits["events"] = [_cut(row[:4]) for row in traits["events"]]
            left -= size(traits["events"])
        table = table_frame(snapshot, self.table)
        if table != shown.get("table"):
            left -= _fit(table, left - _SKELETONS)
        traits["table"] = table
        code = self._code_window(snapshot, (left - _SKELETONS) // 2)
        if code is not None:
            traits["code"] = code
            left -= size(code)
        place = (self.epoch, log.count(now), len(log.entries))
        if place != self._log_place:
            self._log_place = place
            traits["log"] = self.log_window(log.count(now), left - _SKELETONS)
        return traits

    def log_window(self, now: int, budget: int) -> LogFrame:
        """Return rows up to the moment, and some after it, as far as the budget goes."""
        entries = self.log.entries
        rows: list[list[Any]] = []
        first, left = now, budget
        while first > 0 and now - first < _ROOM:
            row = self._row(entries[first - 1])
            left -= size(row) + 2
            if left < 0:
                break
            rows.insert(0, row)
            first -= 1
        for entry in entries[now : now + _ROOM]:
            row = self._row(entry)
            left -= size(row) + 2
            if left < 0:
                break
            rows.append(row)
        return {"now": now, "size": len(entries), "first": first, "rows": rows}

    def log_rows(self, now: int, first: int, rows: int = 60) -> LogFrame:
        """Return rows that the reader scrolled to."""
        entries = self.log.entries
        first = max(0, min(first, len(entries)))
        window = [self._row(entry) for entry in entries[first : first + rows]]
        return {"now": now, "size": len(entries), "first": first, "rows": window}

    def drawing(self, snapshot: Snapshot, name: str) -> DrawingFrame | None:
        """Return a drawing of a moment, None where there is none of that name."""
        if name not in DRAWINGS:
            return None
        svg = DRAWINGS[name].svg(snapshot)
        return {"name": name, "at": snapshot.index, "epoch": self.epoch, "svg": svg}

    def _row(self, entry: LogEntry) -> list[Any]:
        return log_row(entry, () if self._plain else sequence.strokes(entry, self.log.shared))

    def _moment(self, snapshot: Snapshot, extent: int) -> Moment:
        last = self.log.last(snapshot.now)
        told = last is not None and last.index == snapshot.index and not snapshot.stopped
        said = "" if told else clip(summary.sentence(snapshot, last), 200)
        return {
            "at": snapshot.index,
            "of": snapshot.total,
            "span": extent,
            "time": words.duration(snapshot.time),
            "pc": f"{snapshot.registers.pc:x}",
            "where": clip(snapshot.symbol, _NAME),
            "level": pstate.mode_name(snapshot.registers.pstate),
            "masked": snapshot.masked,
            "forked": snapshot.forked,
            "pe": snapshot.vcpu,
            "pinned": snapshot.pinned,
            "said": said,
            "epoch": self.epoch,
        }

    def _event(self, now: diagram.Lit, handler: HandlerView) -> EventFrame:
        entry = handler.entry
        name = f"vectors + {entry:#x}" if handler.relative else words.place(entry, self._labels)
        return EventFrame(
            now.event,
            int(now.state),
            int(now.pending),
            now.taken[0] + 1 if now.taken and now.taken[1] is now.state else 0,
            name if entry else "",
            now.refused.value if now.refused else "",
        )

    def _code_window(self, snapshot: Snapshot, budget: int) -> CodeFrame | None:
        """Return lines around PC, nearest first; None where the browser has those next to it."""
        listing = snapshot.listing
        at = next((n for n, line in enumerate(listing) if line.address == snapshot.registers.pc), 0)
        near = listing[max(0, at - 1) : at + 4]
        if all(self._known.get(line.address) == line.word for line in near):
            return None
        rows = code_rows(listing)
        chosen: list[int] = []
        left = budget
        for n in _outward(at, len(rows)):
            left -= size(rows[n]) + 2
            if left < 0:
                break
            chosen.append(n)
        self._known |= {listing[n].address: listing[n].word for n in chosen}
        return {"rows": [rows[n] for n in sorted(chosen)]}

    def code_again(self, snapshot: Snapshot) -> CodeFrame:
        """Return all lines around PC, for a browser that has lost them."""
        self._known |= {line.address: line.word for line in snapshot.listing}
        return {"rows": code_rows(snapshot.listing)}


def _fit(table: TableFrame | None, budget: int) -> int:
    """Keep as many rows of a table as a budget allows; return the bytes it takes now."""
    if table is None:
        return 0
    rows, left = table["rows"], budget - _ENVELOPE // 2
    table["rows"] = []
    for row in rows:
        left -= size(row) + 2
        if left < 0:
            break
        table["rows"].append(row)
    return size(table)


def _outward(at: int, length: int) -> Iterator[int]:
    """Yield positions from one outward, two ahead for each one behind."""
    ahead, behind = at, at - 1
    while ahead < length or behind >= 0:
        yield from range(ahead, min(ahead + 2, length))
        ahead += 2
        if behind >= 0:
            yield behind
            behind -= 1


def _registers(snapshot: Snapshot) -> RegisterFrame:
    now = registers.values(snapshot.registers)
    says = {
        name: registers.meaning(name, now[name])
        for name in ("pstate", "spsr_el1", "esr_el1")
        if now[name]
    }
    was = registers.changes(snapshot)
    changed = [n for n, name in enumerate(NAMES) if name in was]
    return {
        "now": values([now[name] for name in NAMES]),
        "changed": f"{sum(1 << n for n in changed):x}",
        "was": values([was[NAMES[n]] for n in changed]),
        "says": says,
    }


def _context(snapshot: Snapshot) -> ContextFrame | None:
    held = context.innermost(snapshot)
    if held is None:
        return None
    return {
        "event": held.event,
        "deep": len(snapshot.contexts),
        "level": pstate.describe(held.pstate),
        "values": values([held.pc, held.pstate, *held.x]),
    }


def console_frame(written: str, limit: int) -> ConsoleFrame:
    """Return the end of the console, at most `limit` characters."""
    # JavaScript counts a character beyond the first 65,536 as two.
    tail = _FAR.sub("\N{REPLACEMENT CHARACTER}", words.printable_lines(written[-limit:]))
    while size(tail) > 2 * limit:
        tail = tail[len(tail) // 4 + 1 :]
    return {"length": len(written), "tail": tail}


def signs() -> dict[str, str]:
    """Return the sign of every kind of entry and of every letter in `markers`."""
    letters = {_LETTERS[kind]: SIGNS[kind] for kind in KINDS}
    return dict(SIGNS) | letters
