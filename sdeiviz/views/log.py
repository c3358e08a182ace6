"""The call log: what the guest asked for, what it was told, and what happened to it."""

import errno
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sdeiviz.abi import apf, esr, psci
from sdeiviz.abi.sdei import ARGUMENTS, CONTEXT_REGISTERS, SW_SIGNALED_EVENT, Call, Result, call_of
from sdeiviz.abi.smccc import signed
from sdeiviz.apf import Decision, Reason
from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.sdei.table import Action, State, explain
from sdeiviz.trace import (
    ApfControl,
    Console,
    Defect,
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    ExceptionTaken,
    ExternalAbort,
    FetchDone,
    FetchStarted,
    HandlerStateChanged,
    HostInput,
    HostInputResult,
    Hypercall,
    HypercallResult,
    InterruptBound,
    InterruptReleased,
    InterruptTaken,
    MaskChanged,
    PageArrived,
    PageEvicted,
    PageFault,
    PageReady,
    PowerChanged,
    ProbeHit,
    Stopped,
    SystemReset,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
    WaitForInterrupt,
)
from sdeiviz.views import markup, reasons, threads, words

SIGNS: Final = {
    "call": "\N{RIGHTWARDS ARROW}",
    "raise": "\N{WHITE CIRCLE}",
    "deliver": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "complete": "\N{BLACK UP-POINTING TRIANGLE}",
    "mask": "\N{BLACK DIAMOND}",
    "interrupt": "\N{DOWNWARDS ZIGZAG ARROW}",
    "power": "\N{CIRCLED DOT OPERATOR}",
    "fault": "\N{WHITE SQUARE}",
    "page": "\N{WHITE SMALL SQUARE}",
    "ready": "\N{WHITE SQUARE CONTAINING BLACK SMALL SQUARE}",
    "wait": "\N{DOUBLE VERTICAL LINE}",
    "probe": "\N{BULLET}",
    "exception": "!",
    "input": "+",
    "defect": "\N{MULTIPLICATION SIGN}",
    "stop": "\N{BLACK SQUARE}",
}
"""A sign for each kind of entry, so that none is told by its colour alone."""


_Whose = tuple[int | None, int]
"""PE and number of an event; no PE where it is shared."""

PSCI_ARGUMENTS: Final = {
    "CPU_ON": ("target", "entry", "context"),
    "CPU_SUSPEND": ("state", "entry", "context"),
    "AFFINITY_INFO": ("target", "level"),
}
"""What x1, x2, ... of PSCI's calls mean (DEN0022 5)."""
_PSCI_REASONS: Final[dict[int, str]] = {
    psci.Result.INVALID_PARAMETERS: "There is no such PE.",
    psci.Result.ALREADY_ON: "This PE is on already.",
    psci.Result.INVALID_ADDRESS: "No code can be at this entry.",
}
_APF_REASONS: Final[dict[int, str]] = {
    apf.Result.NOT_SUPPORTED: "This is not offered here, or the shared block is not in RAM.",
    apf.Result.NOT_REQUIRED: "It is so already.",
    apf.Result.INVALID_PARAMETER: "A flag is not accepted, or the VMM has chosen no event for it.",
}
_DECISIONS: Final = {
    Decision.WAIT: "the PE waits",
    Decision.NOTIFIED: "the guest is told",
    Decision.HALT: "the PE halts",
    Decision.RETRY: "it tries again",
}
_PROBES: Final = {
    "thread": "thread {0} is new: {kind}, on PE {1}",
    "switch": "thread {0} to {1}",
    "sleep": "thread {0} sleeps: token {token}",
    "wake": "thread {0} wakes: token {token}",
    "wait": "thread {0} waits, but for no page",
    "go": "thread {0} need not wait any longer",
    "start": "measuring begins",
    "end": "measuring ends",
}
"""What the bundled guest tells by its probes (see `sdeiviz.views.threads`)."""
NO_SLOT: Final = "Every slot for interrupts of this type is taken."
_ERRNO_REASONS: Final = {
    errno.ENOENT: "has no registered handler.",
    errno.EINVAL: "is raised by its interrupt only.",
    errno.EBUSY: "cannot be taken at this moment.",
}


@dataclass(slots=True)
class LogEntry:
    """One row: a call with its answer, or something that happened by itself."""

    position: int
    """Of its first trace event."""
    index: int
    time: int
    vcpu: int
    """Number of the PE it happened on; of what the host does, the one it does it to."""
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
    raised: list[tuple[int | None, int]] = field(default_factory=list)
    """PE and number of each event that became pending; no PE where it is shared."""
    switched: list[tuple[int, bool]] = field(default_factory=list)
    """PEs that PSCI switched on or off."""

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
    """

    def __init__(self, names: words.Names | None = None) -> None:
        self.names = names or {}
        self.events: tuple[int, ...] = ()
        """The numbers of the events that there are."""
        self.shared: frozenset[int] = frozenset()
        """The numbers of those that all PEs share, now or once they are bound."""
        self.several = False
        """There is more than one PE, so each entry must say whose it is."""
        self._clear()

    def meet(self, snapshot: Snapshot) -> None:
        """Learn what machine a trace is of; before following it."""
        self.events = tuple(handler.event for handler in snapshot.handlers)
        self.shared = frozenset(
            [handler.event for handler in snapshot.shared]
            + [slot.event for slot in snapshot.slots if slot.shared]
        )
        self.several = len(snapshot.pes) > 1

    def _clear(self) -> None:
        self.entries: list[LogEntry] = []
        self._seen = 0
        self._last: TraceEvent | None = None
        self._call: LogEntry | None = None
        self._states: dict[_Whose, State] = {}
        self._moves: dict[_Whose, list[tuple[int, State, State]]] = {}
        self._stacks: dict[int, list[int]] = {}

    def _whose(self, vcpu: int, event: int) -> "_Whose":
        return (None if event in self.shared else vcpu), event

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

    def last_move(self, vcpu: int, event: int, now: int) -> tuple[State, State] | None:
        """Return the transition a PE's handler made last within the first `now` events."""
        moves = self._moves.get(self._whose(vcpu, event), [])
        count = bisect_left(moves, now, key=lambda move: move[0])
        return moves[count - 1][1:] if count else None

    def _add(self, position: int, event: TraceEvent, kind: str, text: str) -> LogEntry:
        entry = LogEntry(position, event.index, event.time, event.vcpu, kind, text)
        self.entries.append(entry)
        return entry

    def _take(self, position: int, event: TraceEvent) -> None:
        if self._call is not None and event.index != self._call.index:
            self._call = None
        match event:
            case Hypercall():
                self._take_call(position, event)
            case HypercallResult():
                entry, self._call = self._call, None
                if entry is not None and words.apf_call(event.function, (0, 0, 0)):
                    _take_apf_result(entry, event)
                elif entry is not None:
                    self._take_result(entry, event)
            case HandlerStateChanged():
                self._take_move(position, event)
            case MaskChanged():
                done = "masked" if event.masked else "unmasked"
                self._effect(position, event, "mask", f"{self._pe(event)} {done}")
            case EventRaised():
                self._take_raise(position, event)
            case EventCancelled():
                note = "no longer pending" if event.was_pending else "was not pending"
                self._effect(position, event, "raise", self._of(event, note))
            case EventDelivered():
                self._take_delivery(position, event)
            case EventCompleted():
                self._take_completion(position, event)
            case _:
                self._take_other(position, event)

    def _pe(self, event: TraceEvent) -> str:
        """Name a PE, by its number where it is not the one that the entry is about."""
        other = self.several and self._call is not None and event.vcpu != self._call.vcpu
        return f"PE {event.vcpu}" if other else "PE"

    def _of(self, event: EventRaised | EventCancelled, note: str) -> str:
        """Say something of an event, and of which PE's it is where that is another's."""
        pe = self._pe(event)
        where = f" on {pe}" if pe != "PE" and event.event not in self.shared else ""
        return f"event {words.event(event.event)} {note}{where}"

    def _take_move(self, position: int, event: HandlerStateChanged) -> None:
        before, after = State(event.before), State(event.after)
        whose = self._whose(event.vcpu, event.event)
        self._states[whose] = after
        self._moves.setdefault(whose, []).append((position, before, after))
        if self._call is not None and event.action != Action.DELIVER.value:
            self._call.effects.append(f"event {words.event(event.event)} {after.title}")

    def _take_raise(self, position: int, event: EventRaised) -> None:
        note = "was pending already" if event.already_pending else "pending"
        if event.source in ("interrupt", "platform"):
            note += f": raised by {'its interrupt' if event.source == 'interrupt' else 'a device'}"
        entry = self._effect(position, event, "raise", self._of(event, note))
        entry.raised.append(self._whose(event.vcpu, event.event))

    def _take_call(self, position: int, event: Hypercall) -> None:
        if text := words.apf_call(event.function, event.arguments):
            self._call = self._add(position, event, "call", text)
            return
        call = call_of(event.function)
        name = words.function_name(event.function)
        if call is not None:
            labels = ARGUMENTS[call]
        else:
            labels = PSCI_ARGUMENTS.get(name.removeprefix("PSCI "), ())
        arguments = ", ".join(
            f"{label}={self._argument(label, value)}"
            for label, value in zip(labels, event.arguments, strict=False)
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
            and self._running(event.vcpu) is None
        ):
            # The series writes no answer then: x0 stays what it was.
            entry.failed, entry.answer = True, "no answer"
            entry.refused, entry.reason = (
                Action.COMPLETE,
                f"{call.name} needs a handler that is running; none is.",
            )

    def _argument(self, label: str, value: int) -> str:
        if label in ("entry", "resume"):
            return words.place(value, self.names)
        if label == "interrupt":
            return str(value)
        return words.event(value) if label == "event" else words.number(value)

    def _running(self, vcpu: int) -> int | None:
        """Return the event of the innermost handler that runs on a PE."""
        stack = self._stacks.get(vcpu)
        return stack[-1] if stack else None

    def _take_result(self, entry: LogEntry, event: HypercallResult) -> None:
        call, value = entry.call, signed(event.result)
        register = entry.arguments[0] if entry.arguments else 0
        raw = (
            call is Call.EVENT_CONTEXT
            and self._running(entry.vcpu) is not None
            and register < CONTEXT_REGISTERS
        )
        entry.answer = words.answer(call, event.result, raw=raw)
        if raw or value >= 0 or value < -100:
            return
        entry.failed = True
        if call is None:
            known = entry.text.startswith("PSCI") and value != psci.Result.NOT_SUPPORTED
            unknown = "Nobody answers to this function identifier."
            entry.reason = _PSCI_REASONS.get(value, "") if known else unknown
        elif value == Result.DENIED:
            self._explain_denied(entry, call)
        elif value == Result.INVALID_PARAMETERS:
            entry.reason = self._explain_invalid(entry, call)
        elif value == Result.PENDING:
            entry.reason = "The handler is running: the event is unregistered once it completes."
        elif value == Result.NOT_SUPPORTED:
            entry.reason = "This call is not offered here."
        elif value == Result.OUT_OF_RESOURCE:
            entry.reason = NO_SLOT

    def _explain_denied(self, entry: LogEntry, call: Call) -> None:
        if call is Call.INTERRUPT_BIND:
            entry.reason = f"Interrupt {entry.arguments[0]} is active, or not for a client."
            return
        try:
            action = Action(call.name)
        except ValueError:
            return
        running = self._running(entry.vcpu)
        entry.refused = action
        if entry.event is not None:
            state = self._states.get(self._whose(entry.vcpu, entry.event), State.UNREGISTERED)
            entry.reason = explain(action, state)
        elif running is not None:
            event = words.event(running)
            entry.reason = f"{call.name} must wait: the handler of event {event} is running."
        elif action in (Action.RESET, Action.SHARED_RESET):
            entry.reason = f"{call.name} must wait: a handler is running."
        else:
            entry.reason = f"{call.name} needs a handler that is running; none is."

    def _explain_invalid(self, entry: LogEntry, call: Call) -> str:
        arguments = entry.arguments
        first = arguments[0] if arguments else 0
        if ARGUMENTS[call][:1] == ("event",):
            if call is Call.EVENT_SIGNAL and first != SW_SIGNALED_EVENT:
                return f"Only event {SW_SIGNALED_EVENT} can be signalled."
            if self.events and first not in self.events:
                known = ", ".join(map(words.event, self.events))
                return f"There is no event {words.event(first)}; this machine has {known}."
            if call is Call.EVENT_SIGNAL:
                return self._explain_signal(entry)
            if call is Call.EVENT_REGISTER:
                return f"The flags {arguments[3]:#x} have bits that are not accepted."
        if call is Call.EVENT_CONTEXT:
            return f"x{first} is not saved: only x0 to x{CONTEXT_REGISTERS - 1} are."
        return "An argument is outside what this call accepts."

    def _explain_signal(self, entry: LogEntry) -> str:
        """Of an event 0 that exists: it is about the PE. The series signals the caller only."""
        state = self._states.get(self._whose(entry.vcpu, SW_SIGNALED_EVENT), State.UNREGISTERED)
        if not self.several and state is State.UNREGISTERED:
            return f"Event {SW_SIGNALED_EVENT} is unregistered: it has no handler to go to."
        return f"No PE {words.number(entry.arguments[1])} takes this signal."

    def _effect(self, position: int, event: TraceEvent, kind: str, text: str) -> LogEntry:
        """Note what a call did; on its own where no call is being made."""
        if self._call is None:
            return self._add(position, event, kind, text)
        self._call.effects.append(text)
        return self._call

    def _take_delivery(self, position: int, event: EventDelivered) -> None:
        entry = self._add(
            position,
            event,
            "deliver",
            f"event {words.event(event.event)} delivered: from {words.place(event.pc, self.names)}"
            f" to {words.place(event.entry, self.names)}",
        )
        entry.event = event.event
        self._stacks.setdefault(event.vcpu, []).append(event.event)
        self._call = None

    def _take_completion(self, position: int, event: EventCompleted) -> None:
        if stack := self._stacks.get(event.vcpu):
            stack.pop()
        done = f"event {words.event(event.event)} completed:"
        if event.resume is None:
            text = f"{done} back to {words.place(event.pc, self.names)}"
        else:
            text = (
                f"{done} on at {words.place(event.resume, self.names)}, "
                f"ELR_EL1 = {words.place(event.pc, self.names)}"
            )
        call = self._call
        entry = self._add(position, event, "complete", text)
        entry.event = event.event
        if call is not None and call.call in (
            Call.EVENT_COMPLETE,
            Call.EVENT_COMPLETE_AND_RESUME,
        ):
            call.effects = []
            call.event = event.event
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
            case InterruptTaken():
                text = f"IRQ at {words.place(event.pc, self.names)}: vector {event.vector:#x}"
                self._add(position, event, "interrupt", text)
            case InterruptBound():
                number = words.event(event.event)
                text = f"interrupt {event.intid} raises event {number} from now on"
                self._effect(position, event, "interrupt", text)
            case InterruptReleased():
                text = f"interrupt {event.intid} is the guest's again"
                self._effect(position, event, "interrupt", text)
            case PowerChanged():
                self._take_power(position, event)
            case HostInput():
                self._take_input(position, event)
            case HostInputResult():
                self._take_input_result(event)
            case SystemReset():
                self._states.clear()
                self._stacks.clear()
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
            case _:
                self._take_paging(position, event)

    def _take_paging(self, position: int, event: TraceEvent) -> None:
        match event:
            case PageFault():
                entry = self._add(position, event, "fault", f"{words.page(event.gfn)} is missing")
                token = "" if event.token is None else f", token {words.token(event.token)}"
                entry.answer = _DECISIONS[Decision(event.decision)] + token
                entry.reason = reasons.REASONS[Reason(event.reason)] if event.reason else ""
            case PageArrived():
                self._add(position, event, "page", f"PE is told: {words.page(event.gfn)} is there")
            case PageReady():
                self._add(position, event, "ready", f"page-ready {words.token(event.token)}")
            case ApfControl():
                text = f"async page fault: {event.action}"
                self._effect(position, event, "page", text)
            case FetchStarted():
                whose = "a worker" if event.by == "worker" else "the PE"
                text = f"asked for: {words.page(event.gfn)}, by {whose}"
                self._add(position, event, "page", text)
            case FetchDone():
                self._add(position, event, "page", f"in memory: {words.page(event.gfn)}")
            case PageEvicted():
                self._add(position, event, "page", f"taken away: {words.page(event.gfn)}")
            case VcpuBlocked():
                how = "halted" if event.halted else "blocked"
                text = f"PE {how}: waits for {words.page(event.gfn)}"
                self._add(position, event, "wait", text)
            case VcpuUnblocked():
                self._add(position, event, "wait", "PE goes on")
            case ProbeHit():
                self._add(position, event, "probe", _probe(event))
            case _:  # a new type of event must be given its words here
                self._add(position, event, "stop", type(event).__name__)

    def _take_power(self, position: int, event: PowerChanged) -> None:
        done = f"on, at {words.place(event.entry, self.names)}" if event.on else "off"
        entry = self._effect(position, event, "power", f"{self._pe(event)} switched {done}")
        entry.switched.append((event.vcpu, event.on))

    def _take_input(self, position: int, event: HostInput) -> None:
        target = words.printable(event.target)
        if event.action in ("inject", "cancel"):
            target = words.event(int(event.target))
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
        name = errno.errorcode.get(-event.result, "")
        entry.failed, entry.answer = True, f"{event.result} {name}".rstrip()
        reason = _ERRNO_REASONS.get(-event.result, "")
        entry.reason = reason and f"Event {words.event(entry.event or 0)} {reason}"


def _take_apf_result(entry: LogEntry, event: HypercallResult) -> None:
    value = signed(event.result)
    if entry.text.startswith("ASYNC_PF"):
        entry.answer = words.apf_answer(event.result)
        entry.failed = value < 0
        entry.reason = _APF_REASONS.get(value, "")
    else:
        entry.answer = f"{event.result:#x}"


def _probe(event: ProbeHit) -> str:
    first, second = event.arguments[:2]
    if event.name not in _PROBES:
        values = ", ".join(words.number(value) for value in event.arguments)
        return f"probe {words.printable(event.name, 40)}({values})"
    kind = threads.KINDS.get(event.arguments[2], "of another kind")
    return _PROBES[event.name].format(first, second, kind=kind, token=words.token(second))


def log_of(snapshot: Snapshot) -> Log:
    """Return the log of the whole recording that a snapshot belongs to."""
    log = Log({line.address: line.label for line in snapshot.listing if line.label})
    log.meet(snapshot)
    log.follow(snapshot.trace)
    return log


def text(snapshot: Snapshot, limit: int = 20) -> str:
    """Return the last entries up to now, each with the reason where it was refused."""
    lines = []
    log = log_of(snapshot)
    for entry in log.upto(snapshot.now)[-limit:]:
        whose = f"PE {entry.vcpu:<2} " if log.several else ""
        lines.append(f"{entry.index:>8}  {whose}{entry.line()}")
        if entry.reason:
            lines.append(f"{'':>10}  {' ' * len(whose)}{entry.reason}")
    return "\n".join(lines) or "nothing has happened yet"


def html(snapshot: Snapshot, limit: int = 20) -> str:
    """Return the last entries up to now as a table."""
    log = log_of(snapshot)
    columns = ["index", "PE", "what", "answer", "effect", "reason"]
    rows = [
        [
            str(e.index),
            str(e.vcpu),
            f"{SIGNS[e.kind]} {e.text}",
            e.answer,
            "; ".join(e.effects),
            e.reason,
        ]
        for e in log.upto(snapshot.now)[-limit:]
    ]
    if not log.several:
        for row in (columns, *rows):
            del row[1]
    return markup.table("Calls and events", columns, rows)
