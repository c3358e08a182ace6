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
    HypercallResult,
    TraceEvent,
)

AT: Final = "at"
"""Begins a stamp: ``AT, index, time``."""

Record = tuple[Any, ...]
"""Stamps and whole events in a row, such as ``(AT, 7, 7, "MaskChanged", 0, True)``.

An event is written as its name, the vCPU and its own fields; `EventDelivered` has the registers as
bytes. Most frequent of all are a hypercall, which brings its own stamp, and the answer to it::

    "HVC", vcpu, nine words as bytes: index, time, address after the HVC, x0 to x5
    "answer", result
"""


_CALL: Final = struct.Struct("=9Q")
_TIME_OF_CALL: Final = struct.Struct("=8xQ")


def time_of_call(words: bytes) -> int:
    """Return the virtual time of a hypercall's nine words."""
    return int(_TIME_OF_CALL.unpack_from(words)[0])


class TraceSink(Protocol):
    """Takes records as they come."""

    def extend(self, record: Record, /) -> None:
        """Take one more."""


def _delivered(*fields: Any) -> EventDelivered:
    *others, registers = fields
    return EventDelivered._make((*others, struct.unpack("<18Q", registers)))


def _state_changed(
    index: int, time: int, vcpu: int, event: int, action: str, before: int, after: int
) -> HandlerStateChanged:
    # Written as the members of enumerations, which only look like plain values.
    return HandlerStateChanged(index, time, vcpu, event, str(action), int(before), int(after))


_MAKERS: Final[dict[str, Callable[..., TraceEvent]]] = {
    **TYPES,
    "EventDelivered": _delivered,
    "HandlerStateChanged": _state_changed,
}
_FIELDS: Final = {name: len(cls._fields) - 2 for name, cls in TYPES.items()}
"""How many values of a record belong to an event."""


class Reader:
    """Makes events of records; knows when the last of them were, and the last call."""

    def __init__(self) -> None:
        self._stamp = 0, 0
        self._call: tuple[int, int] | None = None

    def read(self, record: Iterable[Any]) -> list[TraceEvent]:
        """Return the events of a record, which follows those read before."""
        events: list[TraceEvent] = []
        values = iter(record)
        for name in values:
            if name == "HVC":
                vcpu, words = next(values), next(values)
                index, time, after, x0, *arguments = _CALL.unpack(words)
                function = x0 & 0xFFFF_FFFF
                call = Hypercall(index, time, vcpu, "HVC", after - 4, function, tuple(arguments))
                events.append(call)
                self._stamp, self._call = (index, time), (vcpu, function)
            elif name == "answer":
                assert self._call
                events.append(HypercallResult(*self._stamp, *self._call, int(next(values))))
            elif name == AT:
                self._stamp = next(values), next(values)
            else:
                fields = islice(values, _FIELDS[name])
                events.append(_MAKERS[name](*self._stamp, *fields))
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
