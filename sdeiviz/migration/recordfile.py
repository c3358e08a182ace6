"""A migration's record as a file: one object of JSON, a line for each change, message and moment.

What is read is checked, so that whatever comes out of `load` can be drawn. Times are nanoseconds, a
page's stage is the number of `sdeiviz.migration.record.Stage`.
"""

import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.migration.metrics import PHASES, Faults, Timeline, report
from sdeiviz.migration.record import (
    BINS,
    CHANNELS,
    Change,
    MigrationRecord,
    Moment,
    Passage,
    Stage,
    Stall,
)
from sdeiviz.migration.wire import MAX_PAGES, TYPES

FORMAT: Final = "sdeiviz-migration"
VERSION: Final = 1
LARGEST: Final = 1 << 28
"""Bytes of a file."""
MOST_VCPUS: Final = 512

_NUMBER, _TEXT, _FLAG, _NONE = int, str, bool, type(None)
_ROWS: Final[dict[str, tuple[Callable[..., Any], tuple[tuple[type, ...], ...]]]] = {
    "changes": (Change, ((_NUMBER,),) * 4),
    "messages": (
        Passage,
        (
            (_NUMBER, _NONE),
            (_NUMBER, _NONE),
            (_NUMBER,),
            (_TEXT,),
            (_NUMBER, _NONE),
            (_NUMBER,),
            (_NUMBER,),
            (_FLAG,),
        ),
    ),
    "moments": (Moment, ((_NUMBER,), (_TEXT,), (_NUMBER,), (_NUMBER, _NONE), (_TEXT,))),
    "stalls": (Stall, ((_NUMBER,), (_FLAG,), (_NUMBER,), (_NUMBER,))),
}
"""What a row becomes, and what its fields may be."""
_MOMENTS: Final = ("fault", "worker", "placed", "told", "resumed")
_NAMES: Final = {message.__name__ for message in TYPES.values()}
_COUNTS: Final = {
    "source": {"normal", "zero", "requested", "skipped"},
    "destination": {"requests"},
}
"""What the views want of each side that was watched."""
_HALF: Final = re.compile(r"[\ud800-\udfff]")


class RecordError(Error):
    """A file that is not a record this version can read."""


def save(record: MigrationRecord, path: str | Path) -> None:
    """Write a record to a file.

    Raises
    ------
    RecordError
        It cannot be written there.
    """
    parts = {
        "format": FORMAT,
        "version": VERSION,
        **{name: getattr(record, name) for name in _PLAIN},
        "phases": dict(record.phases),
        "before": [[stage, len([*run])] for stage, run in groupby(record.before)],
        "moved": {name: record.moved[n] for n, name in CHANNELS.items()},
        "left_out": dict(record.left_out),
        "report": dict(record.report),
        "changes": record.changes,
        "messages": [[getattr(m, name) for name in Passage.__slots__] for m in record.messages],
        "moments": record.moments,
        "stalls": record.stalls,
    }
    text = ",\n".join(
        f"{json.dumps(name)}: {_lines(value) if name in _ROWS else json.dumps(value)}"
        for name, value in parts.items()
    )
    try:
        Path(path).write_text(f"{{\n{text}\n}}\n", "utf-8")
    except OSError as error:
        raise RecordError(f"{path}: cannot write the record there ({error.strerror})") from None


_PLAIN: Final = ("clock", "side", "start", "end", "pages", "vcpus", "bandwidth", "bin")


def _lines(rows: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]" if rows else "[]"


def load(path: str | Path) -> MigrationRecord:
    """Return the record in a file.

    Raises
    ------
    RecordError
        It cannot be read, or is no record of this version.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise RecordError(f"{path}: {LARGEST:,} bytes at most are read")
        whole = json.loads(path.read_text("utf-8"))
        return _record(whole)
    except OSError as error:
        raise RecordError(f"{path}: cannot read it ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, _Wrong) else "it is not JSON, or cut off"
        raise RecordError(f"{path}: not the record of a migration: {why:.200}") from None


class _Wrong(ValueError):
    """What should have been."""


def _want(right: bool, what: str) -> None:
    if not right:
        raise _Wrong(what)


def _record(whole: Any) -> MigrationRecord:
    _want(isinstance(whole, dict) and whole.get("format") == FORMAT, f"format wants {FORMAT!r}")
    _want(whole.get("version") == VERSION, f"version wants {VERSION}")
    names = {"format", "version", *_PLAIN, "phases", "before", "moved", "left_out", "report"}
    odd = sorted(whole.keys() ^ names ^ _ROWS.keys())
    _want(not odd, f"missing or unknown: {', '.join(odd)}")
    clock, side, start, end, pages, vcpus, bandwidth, width = (whole[name] for name in _PLAIN)
    _want(clock in ("virtual", "wall"), "clock wants virtual or wall")
    _want(side in ("", "source", "destination"), "side wants source, destination or nothing")
    _want(_is(start, 0) and _is(end, start), "start and end want times in order")
    _want(_is(pages, 1, MAX_PAGES), f"pages wants a number from 1 to {MAX_PAGES}")
    _want(_is(vcpus, 1, MOST_VCPUS), f"vcpus wants a number from 1 to {MOST_VCPUS}")
    _want(bandwidth is None or _is(bandwidth, 1), "bandwidth wants bits a second")
    _want(_is(width, 1), "bin wants nanoseconds")
    rows = {name: _rows(whole[name], name) for name in _ROWS}
    record = MigrationRecord(
        clock,
        start,
        end,
        pages,
        vcpus,
        bandwidth,
        _phases(whole["phases"], start),
        _before(whole["before"], pages),
        rows["changes"],
        rows["messages"],
        rows["moments"],
        rows["stalls"],
        width,
        _moved(whole["moved"]),
        _left_out(whole["left_out"]),
        _report(whole["report"], vcpus),
        side,
    )
    _check_rows(record)
    return record


def _is(value: Any, least: int, most: int = 1 << 63) -> bool:
    return type(value) is int and least <= value <= most


def _rows(value: Any, name: str) -> tuple[Any, ...]:
    make, fields = _ROWS[name]
    _want(isinstance(value, list), f"{name} wants a list")
    for n, row in enumerate(value):
        fits = isinstance(row, list) and len(row) == len(fields)
        _want(
            fits and all(map(_fits, row, fields)),
            f"{name}, row {n}: wants {len(fields)} fields, not {json.dumps(row):.60}",
        )
    return tuple(make(*row) for row in value)


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    return type(value) in kinds and (type(value) is not int or _is(value, 0))


def _phases(value: Any, start: int) -> dict[str, int | None]:
    _want(isinstance(value, dict) and [*value] == [*PHASES], f"phases wants {', '.join(PHASES)}")
    times = [time for time in value.values() if time is not None]
    _want(all(_is(time, start) for time in times), "phases wants times from the start on")
    _want(times == sorted(times), "phases wants times in order")
    return dict(value)


def _before(value: Any, pages: int) -> bytes:
    _want(isinstance(value, list), "before wants a list")
    stages = bytearray()
    for run in value:
        fits = isinstance(run, list) and len(run) == 2 and _is(run[0], 0, max(Stage))
        _want(fits and _is(run[1], 1, pages), "before wants stages and how many pages")
        stages += bytes([run[0]]) * run[1]
        _want(len(stages) <= pages, f"before wants {pages} pages")
    _want(len(stages) == pages, f"before wants {pages} pages")
    return bytes(stages)


def _moved(value: Any) -> dict[int, tuple[int, ...]]:
    names = [*CHANNELS.values()]
    _want(isinstance(value, dict) and [*value] == names, f"moved wants {', '.join(names)}")
    for amounts in value.values():
        fits = isinstance(amounts, list) and len(amounts) <= BINS
        _want(fits and all(_is(n, 0) for n in amounts), f"moved wants {BINS} amounts at most")
    return {n: tuple(value[name]) for n, name in CHANNELS.items()}


def _left_out(value: Any) -> dict[str, int]:
    fits = isinstance(value, dict) and value.keys() == _ROWS.keys()
    _want(fits and all(_is(n, 0) for n in value.values()), "left_out wants how many of each")
    return dict(value)


def _report(value: Any, vcpus: int) -> dict[str, Any]:
    """Check a report against an empty one: the same names, numbers where there are numbers."""
    _want(isinstance(value, dict), "report wants an object")
    for side, names in _COUNTS.items():
        counts = value.get(side)
        _want(
            isinstance(counts, dict)
            and all(_is(n, 0) for n in counts.values())
            and (not counts or names <= counts.keys()),
            f"report, {side}: wants what it has counted",
        )
    sent = value.get("bytes")
    _want(isinstance(sent, list) and all(_is(n, 0) for n in sent), "report, bytes: wants numbers")
    _like(value, report(0, Faults(vcpus), Timeline(), {}, {}, []), "report")
    return dict(value)


def _like(value: Any, pattern: Any, where: str) -> None:
    match pattern:
        case dict():
            _want(isinstance(value, dict), f"{where}: wants an object")
            for name, part in pattern.items():
                _want(name in value, f"{where}: {name} is missing")
                _like(value[name], part, f"{where}, {name}")
        case list():
            _want(isinstance(value, list), f"{where}: wants a list")
            if pattern:
                _want(len(value) == len(pattern), f"{where}: wants {len(pattern)} of them")
                for one, part in zip(value, pattern, strict=True):
                    _like(one, part, where)
        case None:
            _want(value is None or _is(value, 0), f"{where}: wants a number or null")
        case _:
            _want(_is(value, 0), f"{where}: wants a number")


def _check_rows(record: MigrationRecord) -> None:
    """Refuse rows that have the right types and no meaning."""

    def page(number: int | None, count: int = 1) -> bool:
        return number is None or number + count <= record.pages

    def vcpu(number: int) -> bool:
        return _is(number, 0, record.vcpus - 1)

    times = [change.time for change in record.changes]
    _want(times == sorted(times), "changes wants rows in order of time")
    for change in record.changes:
        right = change.pages >= 1 and page(change.first, change.pages)
        right = right and change.time >= record.start and change.stage in [*Stage]
        _want(right, f"changes: {[*change]} is of no page or stage, or before the start")
    for passage in record.messages:
        right = passage.channel in CHANNELS and passage.kind in _NAMES
        right = right and page(passage.first, passage.count)
        _want(right, f"messages: {passage.kind:.40} is of no channel, kind or page")
    for moment in record.moments:
        right = moment.kind in _MOMENTS and vcpu(moment.vcpu) and page(moment.page)
        _want(right, f"moments: {moment.kind:.40} is of no kind, vCPU or page")
        _want(not _HALF.search(moment.detail), "moments: half a character")
    for stall in record.stalls:
        right = vcpu(stall.vcpu) and record.start <= stall.begin <= stall.end
        _want(right, f"stalls: {stall} is of no vCPU, or not in order of time")
