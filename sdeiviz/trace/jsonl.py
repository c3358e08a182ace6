"""Traces as JSON Lines: one header, then one event a line.

The header is ``{"format": "sdeiviz-trace", "version": 1, ...}`` with whatever the writer knows about
the run. Fields that hold addresses or register values are strings such as ``"0x40080000"``: they
do not fit the 53 bits that many JSON readers keep.
"""

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from sdeiviz.errors import Error
from sdeiviz.trace.events import TYPES, TraceEvent

FORMAT: Final = "sdeiviz-trace"
VERSION: Final = 1

_HEX: Final = frozenset(
    "address argument arguments entry function ipa pc pstate registers result resume syndrome value vector".split()
)


class TraceError(Error):
    """A file that is not a trace this version can read."""


def encode(event: TraceEvent) -> str:
    """Return one event as one line of JSON, without the newline."""
    row: dict[str, Any] = {"type": type(event).__name__}
    for name, value in zip(event._fields, event, strict=True):
        if name in _HEX and value is not None:
            value = [hex(v) for v in value] if isinstance(value, tuple) else hex(value)
        row[name] = value
    return json.dumps(row, separators=(",", ":"), ensure_ascii=True)


def decode(line: str) -> TraceEvent:
    """Return the event on a line.

    Raises
    ------
    TraceError
        The line is not JSON, or not an event of this version.
    """
    try:
        row = json.loads(line)
        cls = TYPES[row.pop("type")]
        for name in _HEX & row.keys():
            value = row[name]
            if value is not None:
                row[name] = tuple(int(v, 16) for v in value) if isinstance(value, list) else int(value, 16)
        return cls(**row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(f"not a trace event ({type(error).__name__}: {error}): {line.strip()[:80]!r}") from None


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
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise TraceError("not a trace: the first line is not a sdeiviz-trace header")
    if header.get("version") != VERSION:
        raise TraceError(
            f"trace version {header.get('version')!r}; this sdeiviz reads version {VERSION}: record it again"
        )
    return header, _events(file)


def _events(file: IO[str]) -> Iterator[TraceEvent]:
    for number, line in enumerate(file, start=2):
        try:
            yield decode(line)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
