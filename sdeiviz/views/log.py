"""The call log: what the guest asked for, what it was told, and what happened to it."""

import errno
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sdeiviz.abi import esr
from sdeiviz.abi.sdei import ARGUMENTS, CONTEXT_REGISTERS, SW_SIGNALED_EVENT, Call, Result, call_of
from sdeiviz.abi.smccc import signed
from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.sdei.table import Action, State, explain
from sdeiviz.trace import (
    Console,
    Defect,
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    ExceptionTaken,
    ExternalAbort,
    HandlerStateChanged,
    HostInput,
    HostInputResult,
    Hypercall,
    HypercallResult,
    InterruptBound,
    InterruptReleased,
    MaskChanged,
    Stopped,
    SystemReset,
    TraceEvent,
    WaitForInterrupt,
)
from sdeiviz.views import markup, words

SIGNS: Final = {
    "call": "\N{RIGHTWARDS ARROW}",
    "raise": "\N{WHITE CIRCLE}",
    "deliver": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "complete": "\N{BLACK UP-POINTING TRIANGLE}",
    "mask": "\N{BLACK DIAMOND}",
    "exception": "!",
    "input": "+",
    "defect": "\N{MULTIPLICATION SIGN}",
    "stop": "\N{BLACK SQUARE}",
}
"""A sign for each kind of entry, so that none is told by its colour alone."""


@dataclass(slots=True)
class LogEntry:
    """One row: a call with its answer, or something that happened by itself."""

    position: int
    """Of its first trace event."""
    index: int
    time: int
    kind: str
    """A key of `SIGNS`."""
    text: str
    answer: str = ""
    """What the guest was told, "" where nothing was said."""
    failed: bool = False
    """The answer is an error."""
    reason: str = ""
    """Why it failed, and what would have helped."""
    event: int | None = None
    """The SDEI event concerned."""
    refused: Action | None = None
    """What the rule table forbade."""
    call: Call | None = None
    arguments: tuple[int, ...] = ()
    effects: list[str] = field(default_factory=list)
    """What else came of it, in order."""

    def line(self) -> str:
        """Return the row as one line of text."""
        told = f" = {self.answer}" if self.answer else ""
        effects = f"   [{'; '.join(self.effects)}]" if self.effects else ""
        return f"{SIGNS[self.kind]} {self.text}{told}{effects}"


class Log:
    """Follows a trace and makes entries of it.

    Parameters
    ----------
    names
        Symbol names by address.
    events
        The numbers of the machine's events.
    """

    def __init__(self, names: words.Names | None = None, events: Sequence[int] = ()) -> None:
        self.names = names or {}
        self.events = tuple(events)
        self._clear()

    def _clear(self) -> None:
        self.entries: list[LogEntry] = []
        self._seen = 0
        self._last: TraceEvent | None = None
        self._call: LogEntry | None = None
        self._states: dict[int, State] = {}
        self._moves: dict[int, list[tuple[int, State, State]]] = {}

    def follow(self, trace: Sequence[TraceEvent]) -> None:
        """Take in what a trace holds by now; afresh where it is not the old one continued."""
        if len(trace) < self._seen or (self._seen and trace[self._seen - 1] != self._last):
            self._clear()
        for position in range(self._seen, len(trace)):
            self._take(position, trace[position])
        self._seen = len(trace)
        self._last = trace[-1] if trace else None

    def upto(self, now: int) -> Sequence[LogEntry]:
        """Return the entries of the first `now` events of the trace."""
        return self.entries[: self.count(now)]

    def count(self, now: int) -> int:
        """Return how many entries the first `now` events of the trace make."""
        return bisect_left(self.entries, now, key=lambda entry: entry.position)

    def last(self, now: int) -> LogEntry | None:
        """Return the last entry of the first `now` events, None where there is none."""
        count = self.count(now)
        return self.entries[count - 1] if count else None

    def last_move(self, event: int, now: int) -> tuple[State, State] | None:
        """Return the transition an event's handler made last within the first `now` events."""
        moves = self._moves.get(event, [])
        count = bisect_left(moves, now, key=lambda move: move[0])
        return moves[count - 1][1:] if count else None

    def _add(self, position: int, event: TraceEvent, kind: str, text: str) -> LogEntry:
        entry = LogEntry(position, event.index, event.time, kind, text)
        self.entries.append(entry)
        return entry

    def _take(self, position: int, event: TraceEvent) -> None:
        if self._call is not None and event.index != self._call.index:
            self._call = None
        match event:
            case Hypercall():
                self._take_call(position, event)
            case HypercallResult():
                if self._call is not None:
                    self._take_result(self._call, event)
            case HandlerStateChanged():
                self._take_move(position, event)
            case MaskChanged():
                done = "masked" if event.masked else "unmasked"
                self._effect(position, event, "mask", f"PE {done}")
            case InterruptBound():
                text = f"interrupt {event.intid} bound to event {event.event:#x}"
                self._effect(position, event, "mask", text)
            case InterruptReleased():
                text = f"interrupt {event.intid} released, event {event.event:#x} gone"
                self._effect(position, event, "mask", text)
            case EventRaised():
                note = "was pending already" if event.already_pending else "pending"
                self._effect(position, event, "raise", f"event {event.event} {note}")
            case EventCancelled():
                note = "no longer pending" if event.was_pending else "was not pending"
                self._effect(position, event, "raise", f"event {event.event} {note}")
            case EventDelivered():
                self._take_delivery(position, event)
            case EventCompleted():
                self._take_completion(position, event)
            case _:
                self._take_other(position, event)

    def _take_move(self, position: int, event: HandlerStateChanged) -> None:
        before, after = State(event.before), State(event.after)
        self._states[event.event] = after
        self._moves.setdefault(event.event, []).append((position, before, after))
        if self._call is not None and event.action != Action.DELIVER.value:
            self._call.effects.append(f"event {event.event} {after.title}")

    def _take_call(self, position: int, event: Hypercall) -> None:
        call = call_of(event.function)
        name = words.function_name(event.function)
        arguments = ""
        if call is not None:
            pairs = zip(ARGUMENTS[call], event.arguments, strict=False)
            arguments = ", ".join(
                f"{label}={self._argument(label, value)}" for label, value in pairs
            )
        entry = self._add(position, event, "call", f"{name}({arguments})")
        if event.conduit.lower() != "hvc":
            entry.text = f"{event.conduit.upper()} {entry.text}"
        entry.call = call
        entry.arguments = event.arguments
        if call is not None and ARGUMENTS[call][:1] == ("event",):
            entry.event = event.arguments[0]
        self._call = entry
        if (
            call in (Call.EVENT_COMPLETE, Call.EVENT_COMPLETE_AND_RESUME)
            and self._running() is None
        ):
            # The series writes no answer then: x0 stays what it was.
            entry.failed, entry.answer = True, "no answer"
            entry.refused, entry.reason = (
                Action.COMPLETE,
                f"{call.name} needs a handler that is running; none is.",
            )

    def _argument(self, label: str, value: int) -> str:
        return (
            words.place(value, self.names) if label in ("entry", "resume") else words.number(value)
        )

    def _running(self) -> int | None:
        return next((event for event, state in self._states.items() if state & 4), None)

    def _take_result(self, entry: LogEntry, event: HypercallResult) -> None:
        call, value = entry.call, signed(event.result)
        register = entry.arguments[0] if entry.arguments else 0
        raw = (
            call is Call.EVENT_CONTEXT
            and self._running() is not None
            and register < CONTEXT_REGISTERS
        )
        entry.answer = words.answer(call, event.result, raw=raw)
        if raw or value >= 0 or value < -100:
            return
        entry.failed = True
        if call is None:
            entry.reason = "Nobody answers to this function identifier."
        elif value == Result.DENIED:
            self._explain_denied(entry, call)
        elif value == Result.INVALID_PARAMETERS:
            entry.reason = self._explain_invalid(call, entry.arguments)
        elif value == Result.PENDING:
            entry.reason = "The handler is running: the event is unregistered once it completes."
        elif value == Result.NOT_SUPPORTED:
            entry.reason = "This call is not offered here."

    def _explain_denied(self, entry: LogEntry, call: Call) -> None:
        try:
            action = Action(call.name)
        except ValueError:
            return
        if entry.event is not None:
            state = self._states.get(entry.event, State.UNREGISTERED)
            entry.refused, entry.reason = action, explain(action, state)
        elif self._running() is None:
            entry.refused, entry.reason = (
                action,
                f"{call.name} needs a handler that is running; none is.",
            )
        else:
            entry.refused, entry.reason = (
                action,
                f"{call.name} must wait: the handler of event {self._running()} is running.",
            )

    def _explain_invalid(self, call: Call, arguments: tuple[int, ...]) -> str:
        first = arguments[0] if arguments else 0
        if ARGUMENTS[call][:1] == ("event",):
            if call is Call.EVENT_SIGNAL and first != SW_SIGNALED_EVENT:
                return f"Only event {SW_SIGNALED_EVENT} can be signalled."
            if self.events and first not in self.events:
                known = ", ".join(map(str, self.events))
                return f"There is no event {words.number(first)}; this machine has {known}."
            if (
                call is Call.EVENT_SIGNAL
                and self._states.get(first, State.UNREGISTERED) is State.UNREGISTERED
            ):
                return f"Event {first} is unregistered: it has no handler to go to."
            if call is Call.EVENT_REGISTER:
                return f"The flags {arguments[3]:#x} have bits that are not accepted."
        if call is Call.EVENT_CONTEXT:
            return f"x{first} is not saved: only x0 to x{CONTEXT_REGISTERS - 1} are."
        return "An argument is outside what this call accepts."

    def _effect(self, position: int, event: TraceEvent, kind: str, text: str) -> None:
        """Note what a call did; on its own where no call is being made."""
        if self._call is not None:
            self._call.effects.append(text)
        else:
            self._add(position, event, kind, text)

    def _take_delivery(self, position: int, event: EventDelivered) -> None:
        entry = self._add(
            position,
            event,
            "deliver",
            f"event {event.event} delivered: from {words.place(event.pc, self.names)}"
            f" to {words.place(event.entry, self.names)}",
        )
        entry.event = event.event
        self._call = None

    def _take_completion(self, position: int, event: EventCompleted) -> None:
        if event.resume is None:
            text = f"event {event.event} completed: back to {words.place(event.pc, self.names)}"
        else:
            text = (
                f"event {event.event} completed: on at {words.place(event.resume, self.names)}, "
                f"ELR_EL1 = {words.place(event.pc, self.names)}"
            )
        entry = self._add(position, event, "complete", text)
        entry.event = event.event
        if self._call is not None:
            self._call.effects = []
            self._call.event = event.event
        self._call = None

    def _take_other(self, position: int, event: TraceEvent) -> None:
        match event:
            case ExceptionTaken():
                self._add(
                    position,
                    event,
                    "exception",
                    f"{esr.describe(event.syndrome)} at {event.pc:#x}: vector {event.vector:#x}",
                )
            case ExternalAbort():
                way = "write to" if event.write else "read of"
                entry = self._add(
                    position,
                    event,
                    "exception",
                    f"external abort: {way} {event.ipa:#x} at {event.pc:#x}",
                )
                entry.reason = words.printable(event.reason)
            case WaitForInterrupt():
                self._add(position, event, "stop", "WFI: waits for an interrupt or an event")
            case HostInput():
                self._take_input(position, event)
            case HostInputResult():
                self._take_input_result(event)
            case SystemReset():
                self._states.clear()
                self._add(position, event, "stop", "PSCI SYSTEM_RESET: the machine starts again")
            case Defect():
                self._add(
                    position, event, "defect", f"defect {event.name}"
                ).reason = event.explanation
            case Stopped():
                self._add(
                    position, event, "stop", f"stopped: {event.reason}"
                ).reason = words.printable(event.detail)
            case Console():
                pass  # has its own pane
            case _:  # a new type of event must be given its words here
                self._add(position, event, "stop", type(event).__name__)

    def _take_input(self, position: int, event: HostInput) -> None:
        target = words.printable(event.target)
        text = {
            "inject": f"host injects event {target}",
            "cancel": f"host cancels event {target}",
            "register": f"host writes {target} = {event.value:#x}",
            "memory": f"host writes {words.count(event.value, 'byte')} at {target}",
            "console": f"host types {words.count(event.value, 'character')}",
        }.get(event.action, f"host: {words.printable(event.action)}")
        entry = self._add(position, event, "input", text)
        if event.action in ("inject", "cancel"):
            entry.event = int(event.target)
            self._call = entry  # what it raises belongs to it

    def _take_input_result(self, event: HostInputResult) -> None:
        entry, self._call = self._call, None
        if entry is None or event.result == 0:
            return
        name = {-errno.ENOENT: "ENOENT", -errno.EBUSY: "EBUSY"}.get(event.result, "")
        entry.failed, entry.answer = True, f"{event.result} {name}".rstrip()
        if name == "ENOENT":
            entry.reason = f"Event {entry.event} has no registered handler."
        elif name == "EBUSY":
            entry.reason = f"Event {entry.event} cannot be taken at this moment."


def log_of(snapshot: Snapshot) -> Log:
    """Return the log of the whole recording that a snapshot belongs to."""
    names = {line.address: line.label for line in snapshot.listing if line.label}
    log = Log(names, [handler.event for handler in snapshot.handlers])
    log.follow(snapshot.trace)
    return log


def text(snapshot: Snapshot, limit: int = 20) -> str:
    """Return the last entries up to now, each with the reason where it was refused."""
    lines = []
    for entry in log_of(snapshot).upto(snapshot.now)[-limit:]:
        lines.append(f"{entry.index:>8}  {entry.line()}")
        if entry.reason:
            lines.append(f"{'':>10}  {entry.reason}")
    return "\n".join(lines) or "nothing has happened yet"


def html(snapshot: Snapshot, limit: int = 20) -> str:
    """Return the last entries up to now as a table."""
    rows = [
        (str(e.index), f"{SIGNS[e.kind]} {e.text}", e.answer, "; ".join(e.effects), e.reason)
        for e in log_of(snapshot).upto(snapshot.now)[-limit:]
    ]
    columns = ("index", "what", "answer", "effect", "reason")
    return markup.table("Calls and events", columns, rows)
