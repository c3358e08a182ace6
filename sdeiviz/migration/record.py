"""What happened in a migration, as plain values: for whoever draws it.

A `Recorder` is told of messages, of pages written on the source and of what the guest's trace says.
It changes nothing of what it watches. Its memory is bounded: bytes are counted in bins that grow
wider, and of all else the oldest is forgotten first, with a count of how much that was. What is
forgotten of pages goes into the state they are known to begin with, so that any later moment is
shown as it was.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from time import monotonic_ns
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from sdeiviz.errors import Error
from sdeiviz.machine.memory import PAGE_SHIFT
from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.metrics import PHASES, Timeline
from sdeiviz.migration.simulation import Simulation
from sdeiviz.migration.wire import Discard, Message, Packaged, Page, Pages, RequestPages, size_of
from sdeiviz.trace import AT, TraceSink
from sdeiviz.trace import Record as TraceRecord

Side = Literal["", "source", "destination"]

CHANNELS: Final = {MAIN: "main", URGENT: "urgent", RETURN: "return path"}
BINS: Final = 1024
"""At most so many; then two become one."""
NARROWEST: Final = 1 << 14
"""Nanoseconds of a bin at first."""
LIMIT: Final = 1 << 17
"""How much is kept of each kind of thing: changes of pages, messages, moments, stalls."""


class Stage(IntEnum):
    """How far a page is."""

    DIRTY = 0
    """To be sent; the guest still runs on the source, or stands."""
    MISSING = 1
    """The guest runs on the destination, and the page is not there."""
    REQUESTED = 2
    """So, and it was asked for."""
    IN_FLIGHT = 3
    """Sent, and not there yet: in a buffer, or on the wire."""
    ARRIVED = 4
    ZERO = 5
    """Arrived, and known to be zero."""


class Change(NamedTuple):
    """From some moment on, neighbours are at another stage."""

    time: int
    first: int
    pages: int
    stage: Stage


@dataclass(slots=True)
class Passage:
    """A message's way over the wire."""

    sent: int | None
    """When it was put into the sender's buffer, in nanoseconds as all times here."""
    delivered: int | None
    """When it had arrived and been taken; None: not yet, or never.

    Where only one side was watched, what the other did is None.
    """
    channel: int
    kind: str
    """The message's name."""
    first: int | None
    """The first page that it is about; None where it is about none."""
    count: int
    """How many pages it is about."""
    size: int
    """Bytes of its frame."""
    zero: bool = False


class Moment(NamedTuple):
    """Something that happened to the guest on the destination."""

    time: int
    kind: str
    """"fault", "worker" (one begins to wait), "placed" (what somebody waited for), "told" (that a
    page is there) or "resumed"."""
    vcpu: int
    page: int | None
    """None: all pages."""
    detail: str = ""
    """What became of a fault: "wait", "notified", "halt" or "retry"."""


class Stall(NamedTuple):
    """A vCPU was kept from running until a page was there."""

    vcpu: int
    halted: bool
    """An interrupt could have used it meanwhile."""
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One migration."""

    clock: str
    """Whose time it is: "virtual" or "wall"."""
    start: int
    end: int
    pages: int
    vcpus: int
    bandwidth: int | None
    """Bits a second of the link, where it is known."""
    phases: Mapping[str, int | None]
    """When its moments were (`sdeiviz.migration.metrics.PHASES`)."""
    before: bytes
    """A `Stage` for each page, before the first of the changes."""
    changes: tuple[Change, ...]
    """In order of time."""
    messages: tuple[Passage, ...]
    """In order of sending."""
    moments: tuple[Moment, ...]
    stalls: tuple[Stall, ...]
    bin: int
    """Nanoseconds of a bin."""
    moved: Mapping[int, tuple[int, ...]]
    """Bytes that arrived, by channel and bin from `start` on."""
    left_out: Mapping[str, int]
    """How much was forgotten of changes, messages, moments and stalls."""
    report: Mapping[str, Any]
    """See `sdeiviz.migration.metrics.report`."""
    side: Side = ""
    """The only one that was watched, "" where both were.

    A source does not see what arrives, nor what the guest does over there: a page that it has sent
    is at `Stage.ARRIVED`. A destination sees pages when they arrive.
    """

    def known_since(self) -> int:
        """Return from when on the pages' stages are known."""
        return self.changes[0].time if self.left_out["changes"] else self.start

    def stages(self, time: int) -> bytes:
        """Return a `Stage` for each page as it was at a time, after what happened then.

        Raises
        ------
        Error
            What was then has been forgotten.
        """
        return next(self.frames([time]))

    def frames(self, times: Iterable[int]) -> Iterator[bytes]:
        """Yield the same for each of some times, the earliest first.

        Raises
        ------
        Error
            What was then has been forgotten.
        """
        stages, at = bytearray(self.before), 0
        for time in times:
            if time < self.known_since():
                raise Error(
                    f"the pages at {time} ns: what was before {self.known_since()} is forgotten"
                )
            while at < len(self.changes) and self.changes[at].time <= time:
                _apply(stages, self.changes[at])
                at += 1
            yield bytes(stages)

    def runs(self) -> Iterator[tuple[int, Stage, int, int]]:
        """Yield page, stage, begin and end of every stretch at one stage that takes time."""
        since = [self.known_since()] * self.pages
        stages = bytearray(self.before)
        for time, first, count, stage in self.changes:
            for page in range(first, first + count):
                if stages[page] != stage:
                    if time > since[page]:
                        yield page, Stage(stages[page]), since[page], time
                    stages[page], since[page] = stage, time
        for page, begin in enumerate(since):
            if self.end > begin:
                yield page, Stage(stages[page]), begin, self.end


def _apply(stages: bytearray, change: Change) -> None:
    end = change.first + change.pages
    stages[change.first : end] = bytes([change.stage]) * change.pages


_T = TypeVar("_T")


class _Latest(Generic[_T]):
    """The last things of a kind; knows how many there were before."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept: deque[_T] = deque()
        self.forgotten = 0

    def append(self, thing: _T) -> _T | None:
        """Keep one more, and return what is forgotten for it."""
        self.kept.append(thing)
        if len(self.kept) <= self._limit:
            return None
        self.forgotten += 1
        return self.kept.popleft()


class Bins:
    """Amounts over time, in a bounded number of bins; no amount is ever lost.

    Examples
    --------
    >>> bins = Bins(0, most=4, width=10)
    >>> for time in (5, 12, 39, 40):
    ...     bins.add("a", time, 1)
    >>> bins.width, bins.amounts
    (20, {'a': [2, 1, 1]})
    """

    def __init__(self, start: int, most: int = BINS, width: int = NARROWEST) -> None:
        self.width = width
        """Nanoseconds of each."""
        self.amounts: dict[Any, list[int]] = {}
        self._start = start
        self._most = most

    def add(self, key: Any, time: int, amount: int) -> None:
        """Add an amount of something at a time from the start on."""
        while (time - self._start) // self.width >= self._most:
            self.width *= 2
            for name, row in self.amounts.items():
                self.amounts[name] = [sum(row[n : n + 2]) for n in range(0, len(row), 2)]
        row = self.amounts.setdefault(key, [])
        place = (time - self._start) // self.width
        row += [0] * (place + 1 - len(row))
        row[place] += amount


class Recorder:
    """Takes note of one migration.

    A side of a real one sees each message once: what it sends when it does, what it gets when that
    has come. It tells of both with `passed` (see `Witness`).

    Parameters
    ----------
    pages, vcpus
        How many the machine has.
    start
        From when on, in nanoseconds.
    clock
        Whose time it is: "virtual" or "wall".
    bandwidth
        Bits a second of the link, where it is known.
    side
        The only one that is watched, "" where both are.
    limit
        How much to keep of each kind of thing.
    """

    def __init__(
        self,
        pages: int,
        vcpus: int,
        start: int,
        *,
        clock: str = "virtual",
        bandwidth: int | None = None,
        side: Side = "",
        limit: int = LIMIT,
    ) -> None:
        if limit < 1:
            raise Error(f"a record of {limit} things: want 1 or more")
        self._pages, self._vcpus, self._start = pages, vcpus, start
        self._clock, self._bandwidth, self._side = clock, bandwidth, side
        self._before = bytearray([Stage.DIRTY]) * pages
        self._stages = bytearray(self._before)
        self._changes = _Latest[Change](limit)
        self._messages = _Latest[Passage](limit)
        self._moments = _Latest[Moment](limit)
        self._stalls = _Latest[Stall](limit)
        self._bins = Bins(start)
        self._on_the_way: dict[int, deque[tuple[Message, Passage]]] = {n: deque() for n in CHANNELS}
        self._newest: dict[int, Passage] = {}
        """What brings the newest content of each page that is on the way."""
        self._runs_there = False
        """The guest has come to the destination."""
        self._stalled: dict[int, tuple[bool, int, int]] = {}
        """How, since when and over which page a vCPU is stalled."""
        self._awaited: set[int] = set()
        """Pages that are being fetched."""
        self._tokens: dict[tuple[int, int], int] = {}
        """Pages that the guest was told are missing, by vCPU and token."""

    # -- messages

    def sent(self, time: int, channel: int, message: Message, size: int) -> None:
        """A message went into the sender's buffer, as a frame of so many bytes."""
        passage = self._leaves(time, channel, message, size)
        self._on_the_way[channel].append((message, passage))
        if isinstance(message, Page | Pages):
            self._change(time, _pages_of(passage), Stage.IN_FLIGHT)

    def _leaves(self, time: int, channel: int, message: Message, size: int) -> Passage:
        first, count = _about(message)
        passage = Passage(time, None, channel, type(message).__name__, first, count, size)
        self._messages.append(passage)
        match message:
            case Page() | Pages():
                self._newest.update(dict.fromkeys(_pages_of(passage), passage))
            case RequestPages():
                missing = [n for n in _pages_of(passage) if self._stages[n] == Stage.MISSING]
                self._change(time, missing, Stage.REQUESTED)
        return passage

    def delivered(self, time: int, message: Message, came: int | None = None) -> None:
        """A message arrived that `sent` was told of; what was sent before it on its way is lost.

        Parameters
        ----------
        time
            When it had been taken.
        message
            What it is.
        came
            When its bytes were there, where that was earlier.

        Raises
        ------
        Error
            Nothing was told of it.
        """
        for waiting in self._on_the_way.values():
            if any(message == candidate for candidate, _ in waiting):
                while waiting[0][0] != message:
                    waiting.popleft()
                self._arrived(time, *waiting.popleft(), came=came)
                return
        raise Error(f"{type(message).__name__} arrived, and nobody has sent it")

    def passed(self, time: int, channel: int, message: Message, size: int) -> None:
        """A message was sent, or arrived, where the other end cannot be seen."""
        passage = self._leaves(time, channel, message, size)
        self._arrived(time, message, passage)
        if self._side:
            if (channel == RETURN) == (self._side == "source"):
                passage.sent = None
            else:
                passage.delivered = None

    def _arrived(
        self, time: int, message: Message, passage: Passage, came: int | None = None
    ) -> None:
        passage.delivered = time
        self._bins.add(passage.channel, time if came is None else came, passage.size)
        match message:
            case Page(zero=zero) | Pages(zero=zero):
                passage.zero = zero
                pages = [n for n in _pages_of(passage) if self._newest.get(n) is passage]
                for page in pages:
                    del self._newest[page]
                self._change(time, pages, Stage.ZERO if zero else Stage.ARRIVED)
            case Discard(ranges):
                for first, count in ranges:
                    self._change(time, range(first, first + count), Stage.DIRTY)
            case Packaged():
                self._runs_there = True
                dirty = [n for n, stage in enumerate(self._stages) if stage == Stage.DIRTY]
                self._change(time, dirty, Stage.MISSING)

    def lost(self, time: int) -> None:
        """The connection broke: what was on the way never arrives."""
        for waiting in self._on_the_way.values():
            waiting.clear()
        stage = Stage.MISSING if self._runs_there else Stage.DIRTY
        self._change(time, sorted(self._newest), stage)
        self._newest.clear()

    def dirtied(self, time: int, pages: Iterable[int]) -> None:
        """Pages are known to have been written on the source, and are to be sent again."""
        pages = sorted(pages)
        for page in pages:
            self._newest.pop(page, None)
        self._change(time, pages, Stage.DIRTY)

    def _change(self, time: int, pages: Sequence[int], stage: Stage) -> None:
        """Let pages, in order, be at another stage: one change for neighbours."""
        begin = 0
        for n in range(1, len(pages) + 1):
            if n == len(pages) or pages[n] != pages[n - 1] + 1:
                change = Change(time, pages[begin], n - begin, stage)
                begin = n
                _apply(self._stages, change)
                if forgotten := self._changes.append(change):
                    _apply(self._before, forgotten)

    # -- the guest on the destination

    def happened(self, time: int, event: tuple[Any, ...], first_gfn: int) -> None:
        """Take an event of the destination's trace, as `sdeiviz.trace.record` has it."""
        match event:
            case ("PageFault", vcpu, gfn, token, decision, _):
                if token is not None:
                    self._tokens[vcpu, token] = gfn - first_gfn
                self._moments.append(Moment(time, "fault", vcpu, gfn - first_gfn, decision))
            case ("FetchStarted", vcpu, gfn, by):
                self._awaited.add(gfn - first_gfn)
                if by == "worker":
                    self._moments.append(Moment(time, "worker", vcpu, gfn - first_gfn))
            case ("FetchDone", vcpu, gfn) if gfn - first_gfn in self._awaited:
                self._awaited.discard(gfn - first_gfn)
                self._moments.append(Moment(time, "placed", vcpu, gfn - first_gfn))
            case ("PageReady", vcpu, token):
                page = self._tokens.pop((vcpu, token), None)
                self._moments.append(Moment(time, "told", vcpu, page))
            case ("VcpuBlocked", vcpu, gfn, halted):
                self._stalled[vcpu] = halted, time, gfn - first_gfn
            case ("VcpuUnblocked", vcpu) if vcpu in self._stalled:
                halted, since, page = self._stalled.pop(vcpu)
                self._stalls.append(Stall(vcpu, halted, since, time))
                self._moments.append(Moment(time, "resumed", vcpu, page))

    # -- the whole

    def record(
        self, end: int, phases: Mapping[str, int | None], report: Mapping[str, Any]
    ) -> MigrationRecord:
        """Return what has been noted until now.

        Parameters
        ----------
        end
            What time it is, in nanoseconds.
        phases
            When the moments of the migration were; None for those that have not come.
        report
            Its numbers.
        """
        open_stalls = [
            Stall(vcpu, halted, since, end)
            for vcpu, (halted, since, _) in self._stalled.items()
            if end > since
        ]
        return MigrationRecord(
            self._clock,
            self._start,
            end,
            self._pages,
            self._vcpus,
            self._bandwidth,
            dict(phases),
            bytes(self._before),
            tuple(self._changes.kept),
            tuple(replace(passage) for passage in self._messages.kept),
            tuple(self._moments.kept),
            (*self._stalls.kept, *open_stalls),
            self._bins.width,
            {n: tuple(self._bins.amounts.get(n, ())) for n in CHANNELS},
            {
                "changes": self._changes.forgotten,
                "messages": self._messages.forgotten,
                "moments": self._moments.forgotten,
                "stalls": self._stalls.forgotten,
            },
            dict(report),
            self._side,
        )


def _about(message: Message) -> tuple[int | None, int]:
    """Return the first page that a message is about, and how many those are."""
    match message:
        case Page(number):
            return number, 1
        case Pages(first, count) | RequestPages(first, count):
            return first, count
        case Discard(ranges):
            return None, sum(count for _, count in ranges)
    return None, 0


def _pages_of(passage: Passage) -> range:
    return range(passage.first or 0, (passage.first or 0) + passage.count)


class TraceTap:
    """A trace that passes everything on, and tells a recorder of it.

    Parameters
    ----------
    recorder
        Who is told.
    first_gfn
        Guest page number of page 0 of RAM.
    clock
        Returns the time in nanoseconds.
    sink
        Where the trace goes on.
    """

    def __init__(
        self, recorder: Recorder, first_gfn: int, clock: Callable[[], int], sink: TraceSink
    ) -> None:
        self._recorder = recorder
        self._first_gfn = first_gfn
        self._clock = clock
        self._sink = sink

    def extend(self, record: TraceRecord, /) -> None:
        """Take one more record (see `sdeiviz.trace.record`)."""
        self._sink.extend(record)
        at = 0
        while at < len(record) and record[at] == AT:
            at += 3
        if at < len(record) and record[at] in _WATCHED:
            self._recorder.happened(self._clock(), record[at:], self._first_gfn)


_WATCHED: Final = frozenset(
    ("PageFault", "FetchStarted", "FetchDone", "PageReady", "VcpuBlocked", "VcpuUnblocked")
)


class Watched:
    """A simulation with a recorder; everything happens as it would without.

    Parameters
    ----------
    simulation
        It has not begun.
    limit
        How much to keep of each kind of thing.
    """

    def __init__(self, simulation: Simulation, limit: int = LIMIT) -> None:
        self._simulation = simulation
        vm, link = simulation.arriving.vm, simulation.link
        recorder = Recorder(
            vm.memory.size >> PAGE_SHIFT,
            len(vm.vcpus),
            simulation.time,
            bandwidth=simulation.setup.speed.bandwidth,
            limit=limit,
        )
        link.on_sent = recorder.sent
        link.on_delivered = lambda time, message: recorder.delivered(time, message, link.came)
        link.on_lost = recorder.lost
        simulation.leaving.on_dirty = lambda pages: recorder.dirtied(simulation.time, pages)
        first_gfn = vm.memory.base >> PAGE_SHIFT
        vm.trace = TraceTap(recorder, first_gfn, lambda: vm.time + simulation.offset, vm.trace)
        self._recorder = recorder

    def record(self) -> MigrationRecord:
        """Return what has been noted until now."""
        simulation, timeline = self._simulation, self._simulation.timeline
        phases = {name: getattr(timeline, name) for name in PHASES}
        end = simulation.time if timeline.end is None else timeline.end
        return self._recorder.record(end, phases, simulation.report())


class Witness:
    """Takes note of a migration between processes as one side sees it, in wall time.

    Give one to `sdeiviz.migration.live.serve` or to `migrate`; each side wants its own.

    Parameters
    ----------
    limit
        How much to keep of each kind of thing.

    Examples
    --------
    >>> Witness().record()
    Traceback (most recent call last):
        ...
    sdeiviz.errors.Error: no migration has been seen to its end
    """

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 1:
            raise Error(f"a record of {limit} things: want 1 or more")
        self._limit = limit
        self._taken = False
        self._recorder: Recorder | None = None
        self._record: MigrationRecord | None = None

    def record(self) -> MigrationRecord:
        """Return what was seen, once the migration is over, also where it has failed.

        Raises
        ------
        Error
            It is not over, or has never begun.
        """
        if self._record is None:
            raise Error("no migration has been seen to its end")
        return self._record

    # for the side that is watched, in its guest's thread

    def take(self) -> None:
        """Be that of one migration.

        Raises
        ------
        Error
            It is one already.
        """
        if self._taken:
            raise Error("a witness sees one side of one migration: make another for the next")
        self._taken = True

    def begin(self, side: Side, pages: int, vcpus: int, time: int) -> None:
        """The migration begins."""
        self._recorder = Recorder(pages, vcpus, time, clock="wall", side=side, limit=self._limit)

    def passed(self, channel: int, message: Message) -> None:
        """A message was sent, or has come."""
        if self._recorder:
            self._recorder.passed(monotonic_ns(), channel, message, size_of(message))

    def dirtied(self, pages: Iterable[int]) -> None:
        """Pages are known to have been written on the source."""
        if self._recorder:
            self._recorder.dirtied(monotonic_ns(), pages)

    def tap(self, first_gfn: int, sink: TraceSink) -> TraceSink:
        """Return a trace of the destination's machine that goes on to another."""
        if not self._recorder:
            return sink
        return TraceTap(self._recorder, first_gfn, monotonic_ns, sink)

    def end(self, timeline: Timeline, report: Mapping[str, Any]) -> None:
        """The migration is over."""
        if self._recorder:
            phases = {name: getattr(timeline, name) for name in PHASES}
            self._record = self._recorder.record(monotonic_ns(), phases, report)
