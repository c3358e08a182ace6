"""The life of one fault: from the touch of a page that is missing until its thread goes on.

Each step names the index at which it happened, so that a debugger can go there. What belongs to a
fault is found by its page, its token and its PE. What the guest's kernel does is known by its
probes (see `sdeiviz.views.threads`); of a guest without them the host's steps remain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from math import inf
from typing import Final

from sdeiviz.abi.apf import ASYNC_PF, ASYNC_PF_IRQ_ONLY, IRQ_ONLY_CALLS, WAKE_ALL, Call
from sdeiviz.apf import Decision, Reason
from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.errors import Error
from sdeiviz.trace import (
    ApfControl,
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    FetchDone,
    FetchStarted,
    Hypercall,
    InterruptTaken,
    PageArrived,
    PageFault,
    PageReady,
    ProbeHit,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
)
from sdeiviz.views import lanes, markup, reasons, words
from sdeiviz.views.threads import Follower

TITLE: Final = "Last fault"
NONE: Final = "No page was missing so far."


class Lane(IntEnum):
    """Who takes part."""

    THREAD = 0
    KERNEL = 1
    HYPERVISOR = 2
    WORKER = 3
    STORE = 4


NAMES: Final = {
    Lane.THREAD: "threads, EL0",
    Lane.KERNEL: "kernel, EL1",
    Lane.HYPERVISOR: "hypervisor",
    Lane.WORKER: "worker",
    Lane.STORE: "store",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the life of a fault."""

    index: int
    time: int
    start: Lane
    end: Lane
    """The same as the start where it is nobody else's business."""
    words: str
    kind: str = "call"
    """Its look: a kind of `sdeiviz.views.sequence.KINDS`."""
    still: bool | None = None
    """From here on the thread stands still, or does not any more; None: as before."""


def faults(trace: Sequence[TraceEvent]) -> list[int]:
    """Return the positions of all faults in a trace; they are numbered from 1."""
    return [n for n, event in enumerate(trace) if isinstance(event, PageFault)]


def number_of(trace: Sequence[TraceEvent], token: int) -> int:
    """Return the number of the last fault with a token.

    Raises
    ------
    Error
        There is none.
    """
    for number, position in reversed(list(enumerate(faults(trace), 1))):
        if getattr(trace[position], "token", None) == token:
            return number
    raise Error(f"no fault has the token {token:#x}")


def life(trace: Sequence[TraceEvent], number: int) -> tuple[Step, ...]:
    """Return the steps of a fault, in order.

    Parameters
    ----------
    trace
        The events from the machine's start on.
    number
        Which fault, from 1.

    Raises
    ------
    Error
        There are not so many.
    """
    positions = faults(trace)
    if not 1 <= number <= len(positions):
        raise Error(f"no fault {number}: there are {len(positions)}")
    position = positions[number - 1]
    followed = _Life(trace, position)
    for event in trace[position + 1 :]:
        if followed.over:
            break
        followed.take(event)
    return tuple(followed.steps)


class _Life:
    """Follows a trace from a fault on.

    Parameters
    ----------
    trace
        The events.
    position
        Of the fault.
    """

    def __init__(self, trace: Sequence[TraceEvent], position: int) -> None:
        fault = trace[position]
        assert isinstance(fault, PageFault)
        self.fault = fault
        self.steps: list[Step] = []
        self.over = False
        self._follower = Follower()
        for event in trace[:position]:
            self._follower.take(event)
        self._thread = self._follower.current.get(fault.vcpu)
        self._event = self._injected(trace, position)
        self._fetched_by = Lane.WORKER
        self._delivered = self._ready = self._acknowledged = self._again = False
        self._woken: bool | None = None
        self._begin()

    def _injected(self, trace: Sequence[TraceEvent], position: int) -> int | None:
        """Return the SDEI event by which the guest is told: injected while the fault is handled."""
        for event in reversed(trace[:position]):
            if event.index != self.fault.index:
                break
            if isinstance(event, EventRaised) and event.vcpu == self.fault.vcpu:
                return event.event
        return None

    @property
    def _name(self) -> str:
        if self._thread is None:
            return "the thread"
        return self._follower.name(self.fault.vcpu, self._thread).split(" ")[0]

    def _add(
        self,
        event: TraceEvent,
        start: Lane,
        end: Lane,
        words: str,
        kind: str = "call",
        still: bool | None = None,
    ) -> None:
        self.steps.append(Step(event.index, event.time, start, end, words, kind, still))

    def _begin(self) -> None:
        fault = self.fault
        at_el1 = fault.reason == Reason.KERNEL_MODE
        who, name = (Lane.KERNEL, "the kernel") if at_el1 else (Lane.THREAD, self._name)
        self._add(fault, who, Lane.HYPERVISOR, f"{name} touches {words.page(fault.gfn)}: fault")
        decision = Decision(fault.decision)
        if decision is Decision.NOTIFIED:
            token = words.token(fault.token or 0)
            by = "as an interrupt" if self._event is None else f"as event {self._event}"
            told = f"page not present, token {token}, {by}"
            self._add(fault, Lane.HYPERVISOR, Lane.KERNEL, told, "raise")
            return
        why = reasons.meaning(Decision.WAIT, Reason(fault.reason)).rstrip(".")
        hypervisor = Lane.HYPERVISOR
        self._add(fault, hypervisor, hypervisor, f"not told: {why[0].lower()}{why[1:]}", "failed")
        if decision is Decision.RETRY:
            self._add(fault, hypervisor, who, "tries again at once", "answer")

    def take(self, event: TraceEvent) -> None:
        """Take in what follows."""
        self._follower.take(event)
        fault = self.fault
        match event:
            case FetchStarted() if event.gfn == fault.gfn:
                self._take_fetch(event)
            case FetchDone() if event.gfn == fault.gfn:
                self._add(event, Lane.STORE, self._fetched_by, "the page", "answer")
            case PageFault() if (event.gfn, event.vcpu) == (fault.gfn, fault.vcpu):
                self._take_again(event)
            case _ if event.vcpu == fault.vcpu:
                if fault.decision == Decision.NOTIFIED:
                    self._take_notified(event)
                else:
                    self._take_waiting(event)

    def _take_fetch(self, event: FetchStarted) -> None:
        if event.by == "worker":
            self._add(event, Lane.HYPERVISOR, Lane.WORKER, "leaves the page to a worker")
        else:
            self._fetched_by = Lane.HYPERVISOR
        self._add(event, self._fetched_by, Lane.STORE, "asks for the page")

    def _take_again(self, event: PageFault) -> None:
        """The same page is touched before it is there; or it is gone again, a new fault."""
        if event.decision in (Decision.NOTIFIED, Decision.WAIT):
            self.over = True
        elif not self._again:
            self._again = True
            told = f"the page is touched again: {event.decision}"
            self._add(event, Lane.THREAD, Lane.HYPERVISOR, told)

    # -- the PE waits

    def _take_waiting(self, event: TraceEvent) -> None:
        hypervisor = Lane.HYPERVISOR
        match event:
            case VcpuBlocked(halted=False):
                told = "PE blocked: nothing runs on it"
                self._add(event, hypervisor, hypervisor, told, "note", True)
            case VcpuBlocked():
                told = "PE halted: only an interrupt may use it"
                self._add(event, hypervisor, hypervisor, told, "note", True)
            case PageArrived() if event.gfn == self.fault.gfn:
                self._add(event, Lane.WORKER, hypervisor, "the page is there", "answer")
                self.over = self.fault.decision == Decision.RETRY
            case VcpuUnblocked():
                self._add(
                    event, hypervisor, Lane.THREAD, f"{self._name} goes on", "complete", False
                )
                self.over = True

    # -- the guest was told

    def _take_notified(self, event: TraceEvent) -> None:
        hypervisor, kernel = Lane.HYPERVISOR, Lane.KERNEL
        match event:
            case EventDelivered() if event.event == self._event and not self._delivered:
                self._delivered = True
                told = f"event {words.event(event.event)} delivered: its handler runs"
                self._add(event, hypervisor, kernel, told, "deliver")
            case EventCancelled() if event.event == self._event and not self._delivered:
                told = "the page came first: page-not-present is withdrawn"
                self._add(event, hypervisor, kernel, told, "failed")
                self.over = True
            case EventCompleted() if event.event == self._event and self._delivered:
                self._event = None
                self._add(event, kernel, hypervisor, "the handler completes", "complete")
            case PageArrived() if event.gfn == self.fault.gfn:
                self._add(event, Lane.WORKER, hypervisor, "the page is there", "answer")
            case PageReady() if event.token in (self.fault.token, WAKE_ALL) and not self._ready:
                self._ready = True
                told = f"page ready, token {words.token(event.token)}: interrupt raised"
                self._add(event, hypervisor, kernel, told, "raise")
            case ApfControl():
                told = f"{event.action}: what is in flight is forgotten"
                self._add(event, hypervisor, hypervisor, told, "failed")
                self.over = True
            case InterruptTaken() if self._interrupt_awaited:
                self._delivered = True
                self._add(event, kernel, kernel, "takes the interrupt", "note")
            case Hypercall() if self._ready and _acknowledges(event) and not self._acknowledged:
                self._acknowledged = True
                self._add(event, kernel, hypervisor, "acknowledges: the interrupt is lowered")
                self.over = self._woken is None and self._thread is None
            case ProbeHit():
                self._take_probe(event)

    @property
    def _interrupt_awaited(self) -> bool:
        """Tell whether the next interrupt is that of page-ready, or of page-not-present."""
        if not self._ready:
            return self._event is None and not self._delivered
        known = self.steps[-1]
        return known.kind == "raise" and not self._woken

    def _take_probe(self, event: ProbeHit) -> None:
        kernel, thread = Lane.KERNEL, Lane.THREAD
        match event:
            case ProbeHit(name="sleep", arguments=(who, token, *_)) if token == self.fault.token:
                self._thread, self._woken = who, False
                told = f"puts {self._name} to sleep over token {words.token(token)}"
                self._add(event, kernel, thread, told, still=True)
            case ProbeHit(name="wake", arguments=(who, token, *_)) if (
                who == self._thread and token in (self.fault.token, WAKE_ALL)
            ):
                self._woken = True
                self._add(event, kernel, thread, f"wakes {self._name}")
            case ProbeHit(name="switch", arguments=(old, new, *_)):
                if new == self._thread and self._woken:
                    self._add(event, kernel, thread, f"{self._name} goes on", "complete", False)
                    self.over = True
                elif old == self._thread and self._woken is False:
                    other = self._follower.name(self.fault.vcpu, new)
                    self._add(event, kernel, thread, f"runs {other} meanwhile", "deliver")


def _acknowledges(event: Hypercall) -> bool:
    calls = {ASYNC_PF: Call.IRQ_ACK, ASYNC_PF_IRQ_ONLY: IRQ_ONLY_CALLS.index(Call.IRQ_ACK)}
    return calls.get(event.function) == event.arguments[0]


# -- as text


def last(snapshot: Snapshot) -> tuple[Step, ...]:
    """Return the life of the last fault there was, with what is recorded of it after this moment.

    Nothing where there was none.
    """
    count = len(faults(snapshot.trace[: snapshot.now]))
    return life(snapshot.trace, count) if count else ()


def text(snapshot: Snapshot) -> str:
    """Return the life of the last fault."""
    return text_of(last(snapshot), snapshot.index)


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(snapshot))


def text_of(steps: Sequence[Step], now: int | None = None) -> str:
    """Return steps as text: index, time since the fault, from whom to whom, what.

    A line parts what happens after the index `now`.
    """
    if not steps:
        return NONE
    lines = []
    for n, step in enumerate(steps):
        if now is not None and step.index > now and (not n or steps[n - 1].index <= now):
            lines.append(f"{'now':>10}  " + "-" * 40)
        one, two = NAMES[step.start].split(",")[0], NAMES[step.end].split(",")[0]
        way = one if one == two else f"{one} -> {two}"
        since = words.duration(step.time - steps[0].time)
        lines.append(f"{step.index:>10}  +{since:<10}  {way:<22}  {step.words}")
    return "\n".join(lines)


# -- as a drawing

_GUTTER, _PITCH, _HEAD, _WORDS, _LETTER = 186, 84, 34, 24, 7.2  # pixels
_LINE: Final = 24
"""Pixels from step to step: high enough for a finger."""


def svg(snapshot: Snapshot) -> str:
    """Return the diagram of the last fault."""
    return drawn(last(snapshot), snapshot.index)


def _x(lane: Lane) -> float:
    return _GUTTER + _PITCH * (lane + 0.5)


def drawn(steps: Sequence[Step], now: int | None = None) -> str:
    """Return a sequence diagram of steps; time runs downwards, though not to scale.

    What happens after the index `now` is set apart. The words of a step name its index as
    ``data-at``, so that a page can go there.
    """
    left = _GUTTER + _PITCH * len(Lane) + _WORDS
    width = left + _LETTER * max([40, *(len(step.words) for step in steps)])
    heads = "".join(f'<text x="{_x(lane):g}" y="18">{name}</text>' for lane, name in NAMES.items())
    bottom = float(_HEAD + _LINE * max(1, len(steps)))
    parts = [f'<g class="heads">{heads}</g>']
    parts += [lanes.life(_x(lane), _HEAD - 6, bottom) for lane in Lane]
    for top, end in _between(steps, lambda s: s.end is Lane.STORE, lambda s: s.start is Lane.STORE):
        parts.append(lanes.bar(_x(Lane.STORE), top, min(end, bottom)))
    for top, end in _between(steps, lambda s: s.still is True, lambda s: s.still is False):
        parts.append(_gap(_x(Lane.THREAD), top, min(end, bottom)))
    for n, step in enumerate(steps):
        y = _y(n)
        parts.append(lanes.index(86, y, f"{step.index:,}"))
        parts.append(lanes.index(_GUTTER - 14, y, f"+{words.duration(step.time - steps[0].time)}"))
        if step.start is step.end:
            parts.append(lanes.note(step.kind, _x(step.end), y, ""))
        else:
            parts.append(lanes.arrow(step.kind, _x(step.start), _x(step.end), y))
        kind = step.kind + " later" * (now is not None and step.index > now)
        box = f'x="{left - 4:g}" y="{y - _LINE / 2:g}" width="{width - left:g}" height="{_LINE}"'
        said = f'<text x="{left}" y="{y + 4:g}">{escape(step.words)}</text>'
        parts.append(
            f'<g class="{kind}" data-at="{step.index}">'
            f'<rect {box} fill="none" pointer-events="all"/>{said}</g>'
        )
    if not steps:
        parts.append(f'<text x="{left}" y="{_y(0) + 4:g}">{NONE}</text>')
    return lanes.document(width, bottom + 8, steps[0].words if steps else NONE, "\n".join(parts))


_Test = Callable[[Step], bool]


def _between(steps: Sequence[Step], begins: _Test, ends: _Test) -> list[tuple[float, float]]:
    """Return where something begins and ends, in pixels from the top; it may have no end."""
    found: list[tuple[float, float]] = []
    for n, step in enumerate(steps):
        if begins(step):
            found.append((_y(n), inf))
        elif ends(step) and found:
            found[-1] = found[-1][0], _y(n)
    return found


def _y(row: int) -> float:
    return _HEAD + _LINE * (row + 0.5)


def _gap(x: float, top: float, bottom: float) -> str:
    """Return a gap in a lane."""
    gap = f'<path class="still" d="M{x:g} {top:g}V{bottom:g}"/>'
    return gap + lanes.life(x, top, bottom, "life off")
