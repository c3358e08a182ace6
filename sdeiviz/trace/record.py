"""From the moment something happens to the event that is read: cheap to write, typed to read.

While the guest runs, what happens is kept as a plain tuple: a type of event and its fields. A
hypercall that makes nothing else happen, and most do not, is one tuple for two events. The events
themselves are made when somebody looks: making them at once would cost a hypercall more than all
the rest of it.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, overload

from sdeiviz.trace.events import Hypercall, HypercallResult, TraceEvent

Record = tuple[Any, ...]
"""``(type, index, time, vcpu, ...)``: an event's type and its fields, or a `QuietCall`'s."""


class TraceSink(Protocol):
    """Takes records as they come."""

    def append(self, record: Record, /) -> None:
        """Take one more."""


class QuietCall(NamedTuple):
    """A hypercall and its answer, with nothing between them."""

    index: int
    time: int
    vcpu: int
    conduit: str
    pc: int
    registers: bytes
    """x0 to x5 before the call."""
    result: int | None

    def events(self) -> tuple[TraceEvent, ...]:
        """Return the events it stands for."""
        call = hypercall(*self[:-1])
        if self.result is None:
            return (call,)
        return call, HypercallResult(self.index, self.time, self.vcpu, call.function, self.result)


_REGISTERS = struct.Struct("<6Q")


def hypercall(
    index: int, time: int, vcpu: int, conduit: str, pc: int, registers: bytes
) -> Hypercall:
    """Return the event of a call, from x0 to x5 as the guest had them."""
    x0, *arguments = _REGISTERS.unpack(registers)
    return Hypercall(index, time, vcpu, conduit, pc, x0 & 0xFFFF_FFFF, tuple(arguments))


def events_of(record: Record) -> tuple[TraceEvent, ...]:
    """Return the events a record stands for."""
    event = record[0](*record[1:])
    return event.events() if isinstance(event, QuietCall) else (event,)


class Trace(Sequence[TraceEvent]):
    """The events of a run, in order. Appending takes records; reading gives events."""

    def __init__(self, events: Iterable[TraceEvent] = ()) -> None:
        self._events = list(events)
        self._records: list[Record] = []
        self.append = self._records.append

    def _read(self) -> list[TraceEvent]:
        if self._records:
            for record in self._records:
                self._events.extend(events_of(record))
            self._records.clear()
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
