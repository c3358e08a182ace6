"""The questions of the notebooks, each with the experiment that settles it."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from sdeiviz.abi.sdei import Call
from sdeiviz.classroom.moving import Moving, moving
from sdeiviz.classroom.prediction import Choice, Clue, Debugger, Question
from sdeiviz.classroom.swapping import swapping
from sdeiviz.debugger import Snapshot
from sdeiviz.errors import Error
from sdeiviz.experiment import load
from sdeiviz.sdei import profile
from sdeiviz.sdei.table import Action, State
from sdeiviz.trace import (
    Console,
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    FetchDone,
    HandlerStateChanged,
    HostInputResult,
    HypercallResult,
    PageArrived,
    PageFault,
    PageReady,
    ProbeHit,
    VcpuBlocked,
    VcpuUnblocked,
)

NO_SECOND_LOOK: Final = profile("kvm-v7").set("request_after_complete=off")
"""The series with one defect as it was posted, D2, and the rest mended."""


def to_the_end(debugger: Debugger) -> None:
    """Run until the guest switches its machine off, past any breakpoint."""
    while not debugger.snapshot().stopped:
        debugger.run()


def forward_until(debugger: Debugger, reached: Callable[[Snapshot], bool]) -> None:
    """Go from one SDEI moment to the next, from the start, until something is so."""
    debugger.start()
    while not reached(debugger.snapshot()):
        if debugger.snapshot().stopped:
            raise Error("the guest stopped before that moment: make a new debugger")
        debugger.next_sdei()


def inject_while_masked(debugger: Debugger) -> None:
    """Raise event 0 once it is enabled, the PE still being masked; then let the guest go on."""
    forward_until(debugger, lambda now: now.handlers[0].state is State.ENABLED)
    _inject_once(debugger)
    to_the_end(debugger)


def inject_into_handler(debugger: Debugger) -> None:
    """Raise event 0 once its handler has been entered; then let the guest go on."""
    forward_until(debugger, lambda now: bool(now.contexts))
    _inject_once(debugger)
    to_the_end(debugger)


def _inject_once(debugger: Debugger) -> None:
    # The debugger may have made the experiment before: then its recording injects here.
    if not debugger.snapshot().handlers[0].pending:
        debugger.inject_event(0)


def _answered(call: Call, nth: int = 0) -> Clue:
    return Clue(HypercallResult, {"function": call.function}, nth)


_DELIVERED: Final = Clue(EventDelivered)
_COMPLETED: Final = Clue(EventCompleted)

SECOND_CALL: Final = Question(
    "The guest is about to run its second HVC. What is different in the guest one step later?",
    "registration",
    to_the_end,
    (
        Choice(
            "PC is in the guest's own exception vectors, which look up what the call wants.",
            "Compare PC with the address of the HVC. An exception that the guest took itself would "
            "also have left a return address in ELR_EL1.",
            _answered(Call.FEATURES),
            "the guest answers its own HVC",
        ),
        Choice(
            "PC is one instruction on, and x0 holds the answer. All other registers are the same.",
            "Look at x1 to x3, just before and just after. One of them held more than zero.",
            _answered(Call.FEATURES),
            "only x0 belongs to a call",
        ),
        Choice(
            "PC is one instruction on, x0 holds the answer, x1 to x3 are zero.",
            "The hypervisor writes x0 to x3 and moves PC past the HVC. It leaves the rest alone.",
            _answered(Call.FEATURES),
        ),
        Choice(
            "PC is one instruction on, and x0 to x17 hold whatever the hypervisor left in them.",
            "Look at x4. The hypervisor used registers of its own; did it leave its own values?",
            _answered(Call.FEATURES),
            "a hypercall tramples registers as a function call does",
        ),
        Choice(
            "Only PC moved. The hypervisor has the request and will answer some instructions on.",
            "Look at x0 at this moment, and at the row of the call log. They have the same index.",
            _answered(Call.FEATURES),
            "a hypercall is a message that is answered later",
        ),
    ),
)
"""00: what an HVC does to the caller."""

MASKED: Final = Question(
    "Event 0 is enabled, the PE is still masked. The host raises event 0 now. What happens?",
    "registration",
    inject_while_masked,
    (
        Choice(
            "The handler runs at once.",
            "At this moment the host has raised the event. Look at PC, and at the word beside the "
            "event's state.",
            Clue(EventRaised),
            "an enabled event is a deliverable event",
        ),
        Choice(
            "The host is told -EBUSY, since the PE takes no events.",
            "The log shows what the host was told. It asked for the event to be raised, not for it "
            "to be delivered at once.",
            Clue(HostInputResult),
            "a masked PE turns events away",
        ),
        Choice(
            "It is lost. The guest can ask for it again after PE_UNMASK.",
            "Nobody raised the event again. Look at what the log says right after PE_UNMASK.",
            _DELIVERED,
            "a masked PE drops events",
        ),
        Choice(
            "It waits, and the handler runs as soon as PE_UNMASK has been answered.",
            "Raised means pending. Enabled and unmasked were the two conditions left, and the "
            "second became true in this call.",
            _DELIVERED,
        ),
        Choice(
            "It waits until the guest clears the interrupt masks D, A, I and F in PSTATE.",
            "Look at the interrupted PSTATE, and whether these four letters are capitals: then "
            "those masks were set when the event came.",
            _DELIVERED,
            "the mask of a PE is PSTATE.DAIF",
        ),
    ),
)
"""01: pending, enabled, unmasked."""

REFUSED: Final = Question(
    "Event 0 is unregistered again. The guest calls EVENT_ENABLE for it. What follows?",
    "registration",
    to_the_end,
    (
        Choice(
            "SUCCESS. The event will be enabled once it has a handler.",
            "Look at x0 and at the state diagram. Enabled without registered is none of the six "
            "states.",
            _answered(Call.EVENT_ENABLE, 1),
            "enabling is a switch of its own",
        ),
        Choice(
            "DENIED. Nothing changes, and the guest goes on.",
            "The number is good, the state is wrong: first it would have to be registered.",
            _answered(Call.EVENT_ENABLE, 1),
        ),
        Choice(
            "INVALID_PARAMETERS. There is no such event while nobody has registered it.",
            "Here the guest asked for the status of the same unregistered event. Was the number "
            "refused?",
            _answered(Call.EVENT_STATUS),
            "an event exists only while it is registered",
        ),
        Choice(
            "An exception. The hypervisor does not let the guest go on after a wrong call.",
            "Some instructions later the guest has printed a line about it. Who ran those?",
            Clue(Console, {"text": "SDEI_EVENT_ENABLE = DENIED"}),
            "a refused call is a fault",
        ),
    ),
)
"""01: a call in the wrong state."""

SIGNALLED: Final = Question(
    "The guest is about to signal event 0 to itself. Where is it one step later?",
    "delivery",
    to_the_end,
    (
        Choice(
            "Right after the HVC. The handler runs at some later, more convenient point.",
            "PC is not after the HVC. The call and the delivery have the same index in the log.",
            _DELIVERED,
            "an event waits until the guest has time",
        ),
        Choice(
            "In the handler. The call is still open and returns when the handler has finished.",
            "Look at the interrupted x0 and PC. Is the answer there already, and which instruction "
            "comes next?",
            _answered(Call.EVENT_SIGNAL),
            "signalling calls the handler like a function",
        ),
        Choice(
            "At the entry for IRQ in the guest's vector table.",
            "Compare PC with the entry that EVENT_REGISTER was given. ELR_EL1, which any exception "
            "to EL1 would have written, still holds zero.",
            _DELIVERED,
            "an event is an interrupt with a number",
        ),
        Choice(
            "Right after the HVC, and there it stays: PSTATE has D, A, I and F set.",
            "Look at the interrupted PSTATE. All four masks were set, and PC is in the handler.",
            _DELIVERED,
            "PSTATE.DAIF holds events back",
        ),
        Choice(
            "At the first instruction of the handler. The call is answered, and was interrupted "
            "right after.",
            "First the call was finished: x0 = 0 and PC after the HVC. That is what was saved. "
            "Then the handler was entered.",
            _DELIVERED,
        ),
    ),
)
"""02: signal, then delivery."""

ZEROED: Final = Question(
    "x4 held 0x1234 when the event came. What is in x4 at the first instruction of the handler, "
    "and what when the interrupted code goes on after EVENT_COMPLETE?",
    "delivery",
    to_the_end,
    (
        Choice(
            "0x1234, then 0x1234: delivery leaves x4 alone.",
            "That is what the specification asks for. Look at the live x4 beside the interrupted "
            "one.",
            _DELIVERED,
            "the series keeps x4 to x17 as the specification says",
        ),
        Choice(
            "0, then 0: what was in it is gone.",
            "Here the handler has completed. Look at x4, and step back and forth over this moment.",
            _COMPLETED,
            "a register that is cleared is lost",
        ),
        Choice(
            "0, then 0x1234: the hypervisor kept a copy and puts it back.",
            "The copy was made before x4 was cleared, and COMPLETE writes it back.",
            _COMPLETED,
        ),
        Choice(
            "0, then 0x1234, but only because this handler loads x4 from its stack at the end.",
            "Step back once: what did the handler load into x4, just before this call?",
            _COMPLETED,
            "the handler must restore x0 to x17",
        ),
    ),
)
"""02: saved, cleared, restored."""

LOST: Final = Question(
    "The handler runs, and the host raises event 0 once more. What becomes of this second event?",
    "delivery",
    inject_into_handler,
    (
        Choice(
            "It interrupts the handler, which starts again from its first instruction.",
            "Look at the interrupted context at this moment: is it still the first one?",
            Clue(EventRaised, {"source": "inject"}),
            "handlers of one event nest",
        ),
        Choice(
            "The host is told -EBUSY, because the handler is running.",
            "The log has what the host was told. That error is for an immediate injection, which "
            "this was not.",
            Clue(HostInputResult),
            "a running handler turns events away",
        ),
        Choice(
            "It is delivered right after EVENT_COMPLETE.",
            "It should be. Look at PC and at the event's state: enabled, the PE unmasked, pending, "
            "and nobody looks.",
            _COMPLETED,
            "completing always looks for what is pending",
        ),
        Choice(
            "It stays pending after EVENT_COMPLETE, and EVENT_UNREGISTER throws it away.",
            "Nothing asked for a delivery between the two calls. The second handler never hears of "
            "it.",
            Clue(HandlerStateChanged, {"action": Action.UNREGISTER.value}),
        ),
        Choice(
            "It is counted. The next EVENT_SIGNAL makes the handler run twice.",
            "This is the last completion of the whole run. How often was the event raised, and how "
            "often delivered?",
            Clue(EventCompleted, nth=1),
            "raised events queue up",
        ),
    ),
    NO_SECOND_LOOK,
)
"""02: an event that gets lost (defect D2)."""

STALLED: Final = Question(
    "M is about to touch a page that the host must fetch first, which takes 250 µs. C could run "
    "meanwhile. What happens in this guest until the page is there?",
    "kernel",
    to_the_end,
    (
        Choice(
            "Its kernel takes a page fault, puts M to sleep and runs C.",
            "Look at ESR_EL1, which any exception to EL1 would have written, here and one step "
            "before. The fault was one of stage 2, and those go to the hypervisor.",
            Clue(VcpuBlocked),
            "every page fault is the guest's own",
        ),
        Choice(
            "Nothing at all: the vCPU is frozen, and so is its clock.",
            "Compare the time here with the time one step before.",
            Clue(VcpuUnblocked),
            "a vCPU that waits loses no time",
        ),
        Choice(
            "Nothing until the timer's next tick. That interrupt lets C run.",
            "The vCPU's thread sleeps in the host. Look at the log between the fault and the page: "
            "no interrupt was taken.",
            Clue(FetchDone),
            "an interrupt reaches a vCPU that waits",
        ),
        Choice(
            "No instruction runs. The clock goes on, and M had the CPU all the time.",
            "One instruction, 250 µs. The guest's scheduler knows only who had the CPU: it bills "
            "them to M.",
            Clue(VcpuUnblocked),
        ),
    ),
    options=swapping("sync"),
)
"""03: a vCPU that waits for a page."""

RESCHEDULED: Final = Question(
    "The same page, but this host tells the guest: event 1 has interrupted M at the instruction "
    "that needs the page. When does the guest switch from M to C?",
    "kernel",
    to_the_end,
    (
        Choice(
            "In the handler, which calls the scheduler.",
            "Here the handler has ended, and nobody has been switched to yet. An event may "
            "interrupt a kernel anywhere, in its scheduler too.",
            _COMPLETED,
            "a handler of an event may switch threads",
        ),
        Choice(
            "After the handler, once M has tried its instruction again and failed again.",
            "Here the handler has ended. Look at PC: is it at M's instruction, or in the vectors?",
            _COMPLETED,
            "what is interrupted goes on at once",
        ),
        Choice(
            "After the handler and before M's instruction, in an interrupt.",
            "The handler sent an interrupt to its own CPU. It was taken when that had ended; "
            "on its way back to EL0 the kernel found that M has to wait.",
            Clue(ProbeHit, {"name": "sleep"}),
        ),
        Choice(
            "At the next tick of the timer, when M's slice is over.",
            "Compare the time here with that of the fault. A tick comes once in a millisecond.",
            Clue(ProbeHit, {"name": "sleep"}),
            "only the timer makes a kernel switch",
        ),
    ),
    options=swapping("arm64-v4"),
)
"""03: where the guest switches threads."""

FIRST: Final = Question(
    "Now a page takes no time at all: it is there while the host still prepares to tell the guest "
    "that it is missing. What is the guest told of this page?",
    "kernel",
    to_the_end,
    (
        Choice(
            "That it is missing, and right after that that it is ready.",
            "The event was pending, and then it was not, without having been delivered.",
            Clue(EventCancelled),
            "what is raised will be delivered",
        ),
        Choice(
            "That it is ready. The news that it is missing is out of date.",
            "Here the page has arrived. Look for an interrupt in the log: there is none, because "
            "nobody sleeps.",
            Clue(PageArrived),
            "every page that arrives is announced",
        ),
        Choice(
            "That it is ready, and then that it is missing, for the two can overtake each other.",
            "Nothing overtook. The fault before this moment was the only thing on its way, and it "
            "was taken back.",
            Clue(EventCancelled),
            "the two notifications do not know of each other",
        ),
        Choice(
            "Nothing. M goes on as if the page had been there.",
            "The host takes its event back, and clears the mailbox.",
            Clue(EventCancelled),
        ),
    ),
    options=swapping("arm64-v4", latency=0, costs=replace(load().costs, worker=0, place=0)),
)
"""03: a page that is faster than the news of its absence."""


@cache
def _moved(mode: str, *, vcpus: int = 1, urgent: bool = False, cut: bool = False) -> Moving:
    guest = moving(mode, vcpus=vcpus, urgent=urgent)
    guest.switch()
    if cut:
        guest.lose_connection()
    guest.finish()
    return guest


FETCHED: Final = Question(
    "M is about to touch a page that is still on the source. The source sends all that are missing "
    "in the order of their numbers, and 305 are before this one: 10 ms. When does M go on?",
    "kernel",
    to_the_end,
    (
        Choice(
            "When the page's turn has come, after some 10 ms.",
            "Compare the time here with that of the fault. Pages with lower numbers are still "
            "missing: look at the pane Pages.",
            Clue(VcpuUnblocked),
            "the source sends pages in its own order",
        ),
        Choice(
            "After some 150 µs: there, back, and the page's own time on the wire.",
            "It takes longer. Look at the log between the fault and here: which pages came "
            "meanwhile, and had anybody asked for them?",
            Clue(VcpuUnblocked),
            "a request overtakes what has been sent",
        ),
        Choice(
            "After some 650 µs: first comes what the source has put into its socket already.",
            "The request is there after 50 µs, and the page is the next to be sent. But the 64 KiB "
            "before it have left the source's hands.",
            Clue(VcpuUnblocked),
        ),
        Choice(
            "At once, with zeros. The content follows.",
            "The vCPU is blocked, at the instruction that touches the page. Until that is there as "
            "a whole, not one instruction is executed.",
            Clue(VcpuBlocked),
            "a missing page reads as zeros",
        ),
    ),
    make=lambda: _moved("sync").session(),
)
"""04: a page that is asked for."""

BLOCKTIME: Final = Question(
    "Two vCPUs, each with an M and a C of its own. PE 0 waits for its first page for 173 µs. "
    "22 µs after it has begun, PE 1 begins to wait for a page too, for 217 µs. How much blocktime "
    "is there until PE 0 goes on?",
    "kernel",
    to_the_end,
    (
        Choice(
            "324 µs: 173 of PE 0 and 151 of PE 1.",
            "So long both vCPUs have waited, each by itself. But it is more than the time that has "
            "passed since the first of them began: compare it here and there.",
            Clue(VcpuUnblocked),
            "blocktime is the sum over the vCPUs",
        ),
        Choice(
            "173 µs: so long a vCPU waited.",
            "Here PE 1 begins to wait. How many instructions have been executed since PE 0 began?",
            Clue(VcpuBlocked, nth=1),
            "blocktime counts while any vCPU waits",
        ),
        Choice(
            "151 µs: so long both waited.",
            "In the first 22 µs PE 1 executed instructions. From then on none were executed, by "
            "anybody.",
            Clue(VcpuUnblocked),
        ),
        Choice(
            "None: while one vCPU waits, the other computes.",
            "Compare the index here with the one at which PE 1 began to wait.",
            Clue(VcpuUnblocked),
            "with two vCPUs one of them always runs",
        ),
    ),
    make=lambda: _moved("sync", vcpus=2, urgent=True).session(),
)
"""04: what is counted as blocked."""

CUT_OFF: Final = Question(
    "The guest is told of missing pages. 2 ms after its arrival the connection is lost, while a "
    "page that M sleeps for is on the wire. 5 ms later there is another connection. What does the "
    "guest do meanwhile?",
    "kernel",
    to_the_end,
    (
        Choice(
            "It stands still until the connection is back.",
            "M has slept for 5.4 ms here. Compare the index with that of its fault: somebody has "
            "computed all the time.",
            Clue(PageReady, {"token": 0x8000}),
            "without its source a guest cannot run",
        ),
        Choice(
            "It goes on at the source, which has every page.",
            "The connection is back, and the guest is still here. What it has written since it "
            "came is nowhere else: the source's memory is out of date.",
            Clue(PageFault, {"token": 0x9000}),
            "the source can take the guest back",
        ),
        Choice(
            "C runs. M sleeps until its page has been sent once more.",
            "The destination has said which pages it has. All others are to be sent again, and "
            "those that were asked for are asked for again.",
            Clue(PageReady, {"token": 0x8000}),
        ),
        Choice(
            "C runs. M sleeps for ever: its page was sent, and no page is sent twice.",
            "M is woken here, and its page is there. What was sent did not count: what was "
            "received did.",
            Clue(ProbeHit, {"name": "wake"}, nth=7),
            "what is lost on the wire is lost",
        ),
    ),
    make=lambda: _moved("arm64-v4", urgent=True, cut=True).session(),
)
"""04: a connection that is lost."""

_IN_TURN: Final = Clue(ProbeHit, {"name": "switch"}, 29)
"""A switch to M that came more than a slice after M was woken."""

NEAR: Final = Question(
    "A page is only 2 µs away now: without telling, waiting takes 2 % of the vCPU's time. This "
    "host tells the guest all the same. What becomes of C's units and M's pages?",
    "kernel",
    to_the_end,
    (
        Choice(
            "Both stay as they were, but for 2 % or so: no more than that was lost.",
            "Here M goes on. Look back to when it was woken: 3 ms ago, and C ran all that time. "
            "That time is M's, and it was never lost before.",
            _IN_TURN,
            "only time that was lost can be gained",
        ),
        Choice(
            "Both fall: two notifications take longer than a page that is so near.",
            "Here the guest ends. Look at the pane Time: the host has worked for less than the "
            "2.08 ms that it takes without telling, because M faults less often.",
            Clue(ProbeHit, {"name": "end"}),
            "a dear notification makes everybody lose",
        ),
        Choice(
            "M's pages rise and C's units fall: the scheduler owes M the time that it slept.",
            "Here M goes on, milliseconds after it was woken. It may catch up by half a slice. "
            "After that it waits for its turn, page by page.",
            _IN_TURN,
            "a sleeper is owed all the time that it slept",
        ),
        Choice(
            "C's units rise by half, and M's pages fall to a third.",
            "M gave up the CPU for 2 µs, and C keeps it to the end of a slice, 3 ms.",
            _IN_TURN,
        ),
    ),
    options=swapping("arm64-v4", latency=2_000),
)
"""05: a gain that M pays for."""

QUESTIONS: Final = {
    "second-call": SECOND_CALL,
    "masked": MASKED,
    "refused": REFUSED,
    "signalled": SIGNALLED,
    "zeroed": ZEROED,
    "lost": LOST,
    "stalled": STALLED,
    "rescheduled": RESCHEDULED,
    "first": FIRST,
    "fetched": FETCHED,
    "blocktime": BLOCKTIME,
    "cut-off": CUT_OFF,
    "near": NEAR,
}
"""All of them by name, in the order of the course."""
