"""Which thread of the guest did what, and when: read from a trace, for the views that draw it.

The guest tells by its probes (`sdeiviz.trace.ProbeHit`): ``thread`` (number, PE, kind), ``switch``
(from, to), ``sleep`` and ``wake`` (thread, token), ``wait`` and ``go`` (thread) where it waits for
anything else, ``start`` and ``end`` of what is measured. The rest is the host's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sdeiviz.trace import (
    FetchDone,
    PageFault,
    PageReady,
    PowerChanged,
    ProbeHit,
    SystemReset,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
)

IDLE: Final = 0
KINDS: Final = {IDLE: "idle", 1: "M memory", 2: "C compute", 3: "server"}
"""Kinds of threads; the numbers are the guest's."""


class Doing(StrEnum):
    """What a thread or a PE does."""

    RUNNING = "running"
    """The thread has the PE; the host's work for it counts too."""
    BUSY = "busy"
    """The PE has a thread to run: that runs, or the host works for it."""
    BLOCKED = "blocked"
    """The host lets the PE wait for a page: of the threads, the one that was running."""
    HALTED = "halted"
    """The same, but an interrupt may use the PE."""
    ASLEEP = "asleep"
    """Asleep over a page, by the guest's choice."""
    WAITING = "waiting"
    """Asleep over anything else: a lock, or the others' arrival."""
    STALLED = "stalled"
    """It could run, but its PE waits for another thread's page."""
    READY = "ready"
    """It could run, and another does."""
    IDLE = "idle"
    """The PE has no thread to run."""
    OFF = "off"
    STOPPED = "stopped"
    """The machine stands: its guest is handed over to another."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one thread did, or one PE."""

    vcpu: int
    thread: int | None
    """Number of the thread, None: this is the PE."""
    name: str
    spans: tuple[tuple[Doing, int, int], ...]
    """Each with its begin and end in nanoseconds, in order."""

    def spent(self) -> dict[Doing, int]:
        """Return the nanoseconds spent on each."""
        spent = dict.fromkeys(Doing, 0)
        for doing, begin, end in self.spans:
            spent[doing] += end - begin
        return {doing: time for doing, time in spent.items() if time}


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment at which something came to a PE."""

    time: int
    vcpu: int
    kind: str
    """"notified", "waited" (for the page) or "ready" (the guest is told of one)."""


@dataclass(frozen=True, slots=True)
class History:
    """What all threads did between two times."""

    start: int
    end: int
    rows: tuple[Row, ...]
    """For each PE its own, then its threads'; idle threads have none."""
    marks: tuple[Mark, ...]


def measured(trace: Iterable[TraceEvent]) -> tuple[int | None, int | None]:
    """Return when the guest says that what it measures began and ended, None where it has not."""
    start = end = None
    for event in trace:
        if isinstance(event, ProbeHit):
            if event.name == "start" and start is None:
                start = event.time
            elif event.name == "end":
                end = event.time
    return start, end


def history(
    trace: Sequence[TraceEvent], start: int | None = None, end: int | None = None
) -> History:
    """Follow a trace.

    Parameters
    ----------
    trace
        The events from the machine's start on.
    start, end
        Which part of it, in nanoseconds; by default the part that the guest says is measured, and
        where it says nothing all.
    """
    told_start, told_end = measured(trace)
    if start is None:
        start = told_start or 0
    if end is None:
        end = told_end if told_end is not None else trace[-1].time if trace else start
    end = max(start, end)
    follower = Follower()
    marks = []
    for event in trace:
        if event.time > end:
            break
        follower.take(event)
        if event.time >= start and (kind := _mark(event)):
            marks.append(Mark(event.time, event.vcpu, kind))
    return History(start, end, follower.rows(start, end), tuple(marks))


def _mark(event: TraceEvent) -> str:
    if isinstance(event, PageReady):
        return "ready"
    if isinstance(event, PageFault):
        return {"notified": "notified", "retry": ""}.get(event.decision, "waited")
    return ""


_Whose = tuple[int, int | None]
"""PE, and number of one of its threads or None."""


class Follower:
    """Knows at each event of a trace what every thread does."""

    def __init__(self) -> None:
        self.current: dict[int, int] = {}
        """The thread that each PE runs, or was running when it came to wait."""
        self.kinds: dict[_Whose, int] = {}
        """The kind of each thread."""
        self._held: dict[int, tuple[Doing, int | None]] = {}
        """What keeps a PE from running, and the page that it waits for."""
        self._asleep: dict[_Whose, Doing] = {}
        self._threads: dict[int, set[_Whose]] = {}
        self._now: dict[_Whose, tuple[Doing, int]] = {}
        self._spans: dict[_Whose, list[tuple[Doing, int, int]]] = {}

    def take(self, event: TraceEvent) -> None:
        """Take in the next event."""
        pe, time = event.vcpu, event.time
        match event:
            case ProbeHit(name="thread", arguments=(thread, cpu, kind, *_)):
                pe = cpu
                self.kinds[pe, thread] = kind
                self._meet(pe, thread)
            case ProbeHit(name="switch", arguments=(old, new, *_)):
                self.current[pe] = new
                self._meet(pe, old, new)
            case ProbeHit(name="sleep" | "wait", arguments=(thread, *_)):
                over_page = event.name == "sleep"
                self._asleep[pe, thread] = Doing.ASLEEP if over_page else Doing.WAITING
                self._meet(pe, thread)
            case ProbeHit(name="wake" | "go", arguments=(thread, *_)):
                self._asleep.pop((pe, thread), None)
                self._meet(pe, thread)
            case VcpuBlocked():
                self._held[pe] = Doing.HALTED if event.halted else Doing.BLOCKED, event.gfn
            case FetchDone():  # what follows until the PE goes on is the host's work
                for waits in [n for n, (_, gfn) in self._held.items() if gfn == event.gfn]:
                    del self._held[waits]
                    self._update_all(waits, time)
                return
            case VcpuUnblocked():
                self._held.pop(pe, None)
            case PowerChanged(on=False):
                self._held[pe] = Doing.OFF, None
            case PowerChanged():
                self._held.pop(pe, None)
                if (pe, None) not in self._now:
                    self._now[pe, None] = Doing.OFF, 0
            case SystemReset():
                self._forget(time)
            case _:
                if (pe, None) in self._now:
                    return
        self._update_all(pe, time)

    def _update_all(self, pe: int, time: int) -> None:
        self._update((pe, None), time)
        for whose in self._threads.get(pe, ()):
            self._update(whose, time)

    def _meet(self, pe: int, *threads: int) -> None:
        self._threads.setdefault(pe, set()).update((pe, thread) for thread in threads)

    def _forget(self, time: int) -> None:
        """End all threads: the machine starts again, with its first PE."""
        for whose in [whose for whose in self._now if whose[1] is not None]:
            self._close(whose, time)
        self._threads.clear()
        self.current.clear()
        self._asleep.clear()
        self._held = {pe: (Doing.OFF, None) for pe, thread in self._now if thread is None and pe}
        for pe in (0, *self._held):
            self._update((pe, None), time)

    def _doing(self, whose: _Whose) -> Doing:
        pe, thread = whose
        current = self.current.get(pe)
        held, _ = self._held.get(pe, (None, None))
        if thread is None:
            idle = current is not None and self.kinds.get((pe, current)) == IDLE
            return held or (Doing.IDLE if idle else Doing.BUSY)
        if thread == current:
            return held or Doing.RUNNING
        awake = Doing.STALLED if held else Doing.READY
        return self._asleep.get(whose, awake)

    def _update(self, whose: _Whose, time: int) -> None:
        doing = self._doing(whose)
        known = self._now.get(whose)
        if known is None or known[0] is not doing:
            if known is not None:
                self._close(whose, time)
            # What a PE did before its first event is what it did then.
            self._now[whose] = doing, 0 if known is None and whose[1] is None else time

    def _close(self, whose: _Whose, time: int) -> None:
        doing, since = self._now.pop(whose)
        if time > since:
            self._spans.setdefault(whose, []).append((doing, since, time))

    def name(self, vcpu: int, thread: int) -> str:
        """Return what a thread is called: its kind, and its number where there are more of it."""
        kind = self.kinds.get((vcpu, thread))
        if kind not in KINDS:
            return f"thread {thread}"
        alike = [n for (pe, n), k in self.kinds.items() if pe == vcpu and k == kind]
        return KINDS[kind] + (f" {thread}" if len(alike) > 1 else "")

    def rows(self, start: int, end: int) -> tuple[Row, ...]:
        """Return what was done between two times; the second must not lie before the last event."""
        made = []
        order = sorted({*self._now, *self._spans}, key=lambda w: (w[0], w[1] is not None, w[1]))
        for pe, thread in order:
            if thread is not None and self.kinds.get((pe, thread)) == IDLE:
                continue
            spans = list(self._spans.get((pe, thread), ()))
            if (pe, thread) in self._now:
                spans.append((*self._now[pe, thread], end))
            within = tuple(
                (doing, max(begin, start), stop)
                for doing, begin, stop in spans
                if begin < end and stop > start
            )
            name = f"PE {pe}" if thread is None else self.name(pe, thread)
            made.append(Row(pe, thread, name, within))
        return tuple(made)
