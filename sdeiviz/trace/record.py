"""From the moment something happens to the event that is read: cheap to write, typed to read.

While the guest runs, its trace is one flat list of plain values: an event's name, its vCPU and its
own fields, then the next event's; a stamp says when, for all that follows up to the next one. The
events themselves are made when somebody looks. Making them at once would cost a hypercall more than
all the rest of it, and so would any object that lives on for each of them: the garbage collector
would walk through all of them, again and again.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol, overload

from sdeiviz.trace.events import (
    TYPES,
    EventDelivered,
    HandlerStateChanged,
    Hypercall,
    TraceEvent,
)

AT: Final = "at"
"""Begins a stamp: ``AT, index, time``."""

Record = tuple[Any, ...]
"""Whole events and stamps in a row, such as ``(AT, 7, 7, "MaskChanged", 0, True)``.

An event is written as its name, the vCPU and its own fields, but these two otherwise::

    "Hypercall", vcpu, conduit, address after the call, bytes of x0 to x5
    "EventDelivered", vcpu, ..., pstate, bytes of x0 to x17
"""


class TraceSink(Protocol):
    """Takes records as they come."""

    def extend(self, record: Record, /) -> None:
        """Take one more."""


def _hypercall(
    index: int, time: int, vcpu: int, conduit: str, after: int, registers: bytes
) -> Hypercall:
    x0, *arguments = struct.unpack("<6Q", registers)
    return Hypercall(index, time, vcpu, conduit, after - 4, x0 & 0xFFFF_FFFF, tuple(arguments))


def _delivered(*fields: Any) -> EventDelivered:
    *others, registers = fields
    return EventDelivered._make((*others, struct.unpack("<18Q", registers)))


def _state_changed(
    index: int, time: int, vcpu: int, event: int, action: str, before: int, after: int
) -> HandlerStateChanged:
    # Written as the members of enumerations, which only look like plain values.
    return HandlerStateChanged(index, time, vcpu, event, str(action), int(before), int(after))


_MAKERS: Final[dict[str, tuple[Callable[..., TraceEvent], int]]] = {
    **{name: (cls, len(cls._fields) - 2) for name, cls in TYPES.items()},
    "Hypercall": (_hypercall, 4),
    "EventDelivered": (_delivered, len(EventDelivered._fields) - 2),
    "HandlerStateChanged": (_state_changed, len(HandlerStateChanged._fields) - 2),
}
"""What makes an event from its fields, and how many of them a record holds."""


class Reader:
    """Makes events of records; knows when the last of them were."""

    def __init__(self) -> None:
        self._index = self._time = 0

    def read(self, record: Iterable[Any]) -> list[TraceEvent]:
        """Return the events of a record, which follows those read before."""
        events = []
        values = iter(record)
        for name in values:
            if name == AT:
                self._index, self._time = next(values), next(values)
            else:
                make, count = _MAKERS[name]
                events.append(make(self._index, self._time, *islice(values, count)))
        return events


class Trace(Sequence[TraceEvent]):
    """The events of a run, in order. Written by records, read as events."""

    def __init__(self, events: Iterable[TraceEvent] = ()) -> None:
        self._events = list(events)
        self._written: list[Any] = []
        self._reader = Reader()
        self.extend = self._written.extend

    def _read(self) -> list[TraceEvent]:
        if self._written:
            self._events.extend(self._reader.read(self._written))
            self._written.clear()
        return self._events

    def truncate(self, length: int) -> None:
        """Forget all events but the first `length`."""
        del self._read()[length:]

    @overload
    def __getitem__(self, key: int) -> TraceEvent: ...
    @overload
    def __getitem__(self, key: slice) -> list[TraceEvent]: ...
    def __getitem__(self, key: int | slice) -> TraceEvent | list[TraceEvent]:
        return self._read()[key]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequence):
            return self._read() == list(other)
        return NotImplemented

    __hash__ = None

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} events>"
