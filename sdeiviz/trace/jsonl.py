"""Traces as JSON Lines: one header, then one event a line.

The header is ``{"format": "sdeiviz-trace", "version": 1, ...}`` with whatever the writer knows
about the run. Fields that hold addresses or register values are strings such as ``"0x40080000"``:
they do not fit the 53 bits that many JSON readers keep.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, get_type_hints

from sdeiviz.abi.sdei import CONTEXT_REGISTERS
from sdeiviz.errors import Error
from sdeiviz.trace.events import TYPES, HandlerStateChanged, HostInput, TraceEvent

FORMAT: Final = "sdeiviz-trace"
VERSION: Final = 1

_HEX: Final = frozenset(
    "address argument arguments control entry function gfn ipa pc pstate"
    " registers result resume syndrome token value vector".split()
)
_NUMBER: Final = re.compile("-?0x[0-9a-f]{1,16}")
_LENGTHS: Final = {"arguments": 5, "registers": CONTEXT_REGISTERS}
_FIELDS: Final = {name: get_type_hints(cls) for name, cls in TYPES.items()}


class TraceError(Error):
    """A file that is not a trace this version can read."""


def encode(event: TraceEvent) -> str:
    """Return one event as one line of JSON, without the newline."""
    row: dict[str, Any] = {"type": type(event).__name__}
    for name in event._fields:
        value = getattr(event, name)
        if name in _HEX and value is not None:
            value = [hex(v) for v in value] if isinstance(value, tuple) else hex(value)
        row[name] = value
    return json.dumps(row, separators=(",", ":"), ensure_ascii=True)


def decode(line: str) -> TraceEvent:
    """Return the event on a line.

    Raises
    ------
    TraceError
        The line is not JSON, or not an event of this version: an unknown type, a field that is
        missing, left over or of another type.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise TraceError(f"not JSON, or cut off: {line.strip()[:60]!r}") from None
    name = row.pop("type", None) if isinstance(row, dict) else None
    if not isinstance(name, str) or name not in TYPES:
        raise TraceError(f"not a trace event: {line.strip()[:60]!r}")
    fields = _FIELDS[name]
    if odd := sorted(row.keys() ^ fields.keys()):
        raise TraceError(f"{name}: missing or unknown: {', '.join(map(repr, odd))[:60]}")
    try:
        event = TYPES[name](*(_value(field, kind, row[field]) for field, kind in fields.items()))
        _check(event)
    except ValueError as error:
        raise TraceError(f"{name}: {error}") from None
    return event


def _check(event: TraceEvent) -> None:
    """Refuse values that have the right type and no meaning."""
    if isinstance(event, HandlerStateChanged) and not {event.before, event.after} <= _STATES:
        raise ValueError(f"before and after are states, of {sorted(_STATES)}")
    if (
        isinstance(event, HostInput)
        and event.action in ("inject", "cancel")
        and not re.fullmatch("[0-9]{1,10}", event.target)
    ):
        raise ValueError("target wants an event number")


def _value(field: str, kind: Any, value: Any) -> Any:
    """Return a field's value from its JSON form; a ValueError says what it should have been."""
    if length := _LENGTHS.get(field):
        if not isinstance(value, list) or len(value) != length:
            raise ValueError(f"{field} wants a list of {length} numbers")
        return tuple(_number(field, item) for item in value)
    if field in _HEX:
        return None if value is None and kind == int | None else _number(field, value)
    if type(value) is not kind or (kind is int and value < 0):
        raise ValueError(f"{field} wants {_WANTED[kind]}, not {json.dumps(value)[:40]}")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError(f"{field} wants {_WANTED[str]}, not half a character")
    return value


_LONGEST_LINE: Final = 1 << 20
_STATES: Final = {0, 1, 3, 4, 5, 7}
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_WANTED: Final = {int: "a number from 0 up", bool: "true or false", str: "a text"}


def _number(field: str, value: Any) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError(
            f'{field} wants a number such as "0x40080000", not {json.dumps(value)[:40]}'
        )
    return int(value, 16)


def dump(file: IO[str], events: Iterable[TraceEvent], **header: Any) -> None:
    """Write a whole trace: the header with `header` added, then every event."""
    file.write(header_line(**header))
    for event in events:
        file.write(encode(event) + "\n")


def header_line(**fields: Any) -> str:
    """Return the first line of a trace file."""
    return json.dumps({"format": FORMAT, "version": VERSION, **fields}) + "\n"


def load(file: IO[str]) -> tuple[dict[str, Any], Iterator[TraceEvent]]:
    """Read a trace: its header at once, its events as they are asked for.

    Raises
    ------
    TraceError
        Not a trace, a trace of another version, or (while iterating) a broken or unfinished line.
    """
    try:
        header = json.loads(file.readline(65536))
    except UnicodeDecodeError:
        raise TraceError("not a trace: not text") from None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise TraceError("not a trace: the first line is not a sdeiviz-trace header")
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        raise TraceError(
            f"trace version {json.dumps(version)[:40]}; this sdeiviz reads version {VERSION}:"
            " record it again"
        )
    return header, _events(file)


def _events(file: IO[str]) -> Iterator[TraceEvent]:
    number = 1
    try:
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise TraceError(f"longer than {_LONGEST_LINE} characters")
            yield decode(line)
    except TraceError as error:
        raise TraceError(f"line {number}: {error}") from None
    except UnicodeDecodeError:
        raise TraceError(f"after line {number}: not text") from None
