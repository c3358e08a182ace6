"""Each wrong idea is refuted by the moment that its hint names, and the right one is borne out.

What a moment must show is written here by hand; the hints and the moments come from the package.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import sdeiviz
from sdeiviz.abi import pstate
from sdeiviz.classroom import Choice, Clue, Prediction, Question
from sdeiviz.classroom.course import QUESTIONS
from sdeiviz.debugger import Snapshot
from sdeiviz.machine.memory import PageState
from sdeiviz.sdei.table import State
from sdeiviz.trace import (
    Console,
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    ExceptionTaken,
    FetchDone,
    HostInputResult,
    Hypercall,
    HypercallResult,
    InterruptTaken,
    MaskChanged,
    PageArrived,
    PageFault,
    PageReady,
    ProbeHit,
    Stopped,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
)

FEATURES, ENABLE, STATUS, SIGNAL = 0xC400_0030, 0xC400_0022, 0xC400_0028, 0xC400_002F
DENIED = (1 << 64) - 3
DAIF = 0x3C0
LATENCY, TICK, SLICE = 250_000, 1_000_000, 3_000_000
"""Nanoseconds."""
WAKE_ALL = 0xFFFF_FFFF


@dataclass
class Scene:
    """A moment named by a hint: the guest one step before it and at it, and what happened there."""

    before: Snapshot
    at: Snapshot
    events: list[TraceEvent]
    """Events at this index."""
    past: list[TraceEvent]
    """Events up to and with this index."""

    def had(self, kind: type[TraceEvent], **fields: object) -> bool:
        return any(
            isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
            for event in self.events
        )

    def x(self, n: int) -> tuple[int, int]:
        """A register before and at the moment."""
        return self.before.registers.x[n], self.at.registers.x[n]


def went_on_after_hvc(scene: Scene) -> bool:
    return scene.at.registers.pc == scene.before.registers.pc + 4


def no_exception(scene: Scene) -> bool:
    return not any(isinstance(event, ExceptionTaken) for event in scene.past)


def features_answered(scene: Scene) -> bool:
    return scene.had(HypercallResult, function=FEATURES, result=0) and scene.x(0) == (FEATURES, 0)


def raised_by_host(scene: Scene) -> bool:
    told = scene.had(HostInputResult, action="inject", result=0)
    return told and scene.had(EventRaised, source="inject") and scene.at.handlers[0].pending


def delivered_after_unmask(scene: Scene) -> bool:
    unmasked = scene.had(MaskChanged, masked=False)
    raised = [event for event in scene.past if isinstance(event, EventRaised)]
    return unmasked and scene.had(EventDelivered, event=0) and len(raised) == 1


def interrupted_with_daif_set(scene: Scene) -> bool:
    return scene.at.contexts[-1].pstate & DAIF == DAIF and scene.had(EventDelivered)


def signal_delivered(scene: Scene) -> bool:
    call = next(e for e in scene.events if isinstance(e, Hypercall))
    event = next(e for e in scene.events if isinstance(e, EventDelivered))
    return call.function == SIGNAL and event.pc == call.pc + 4 and event.registers[0] == 0


def in_handler(scene: Scene) -> bool:
    return scene.at.registers.pc == scene.at.handlers[0].entry


def x4_came_back(scene: Scene) -> bool:
    return scene.had(EventCompleted) and scene.x(4) == (0, 0x1234) and not scene.at.contexts


def pending_and_ignored(scene: Scene) -> bool:
    handler = scene.at.handlers[0]
    ready = handler.pending and handler.state is State.ENABLED and not scene.at.masked
    return ready and not scene.had(EventDelivered) and scene.had(EventCompleted)


def of(events: list[TraceEvent], kind: type[TraceEvent]) -> list[TraceEvent]:
    return [event for event in events if isinstance(event, kind)]


def blocked_within_one_instruction(scene: Scene) -> bool:
    faulted = scene.had(PageFault, decision="wait") and scene.had(VcpuBlocked)
    return faulted and scene.had(VcpuUnblocked) and scene.at.index == scene.before.index + 1


def switched_since_the_event(scene: Scene) -> bool:
    delivered = scene.past.index(of(scene.past, EventDelivered)[-1])
    return any(probe.name == "switch" for probe in of(scene.past[delivered:], ProbeHit))


def after_the_handler(scene: Scene) -> bool:
    completed = of(scene.past, EventCompleted)[-1]
    interrupt = of(scene.past, InterruptTaken)[-1]
    # The same moment, and what was interrupted is the instruction of M.
    return interrupt.index == completed.index and interrupt.pc == completed.pc


def told(scene: Scene) -> bool:
    """Whether the guest has heard of any page; that all are ready comes when it enables."""
    ready = [event for event in of(scene.past, PageReady) if event.token != WAKE_ALL]
    return bool(of(scene.past, EventDelivered) or ready)


def wait_of(scene: Scene) -> int:
    """Nanoseconds from the first fault that a vCPU waited for to the moment."""
    return scene.at.time - of(scene.past, PageFault)[0].time


def asked_for_by_nobody(scene: Scene) -> list[int]:
    """Pages that came between the first fault and the moment, but the one that was asked for."""
    asked = of(scene.past, PageFault)[0]
    since = scene.past[scene.past.index(asked) :]
    return [event.gfn for event in of(since, FetchDone) if event.gfn != asked.gfn]


def missing_before(scene: Scene) -> int:
    """How many pages before the one that was asked for first are missing still."""
    pages = scene.at.pages
    before = pages.states[: of(scene.past, PageFault)[0].gfn - pages.first]
    return sum(state == PageState.ABSENT for state in before)


def blocked(scene: Scene, nth: int) -> VcpuBlocked:
    return of(scene.past, VcpuBlocked)[nth]


def slept(scene: Scene, token: int) -> ProbeHit:
    """Where M fell asleep over a token."""
    asleep = [event for event in of(scene.past, ProbeHit) if event.name == "sleep"]
    return next(event for event in asleep if event.arguments[1] == token)


def waited_for_its_turn(scene: Scene) -> bool:
    """Whether M goes on here, milliseconds after it was woken."""
    woken = [probe for probe in of(scene.past, ProbeHit) if probe.name == "wake"][-1]
    return scene.had(ProbeHit, name="switch") and scene.at.time - woken.time > SLICE


REFUTED: dict[str, dict[str, Callable[[Scene], bool]]] = {
    "second-call": {
        "": lambda s: (
            features_answered(s)
            and went_on_after_hvc(s)
            and s.at.registers.x[1:4] == (0, 0, 0)
            and s.at.registers.x[4:] == s.before.registers.x[4:]
        ),
        "the guest answers its own HVC": lambda s: (
            went_on_after_hvc(s) and no_exception(s) and s.at.registers.elr_el1 == 0
        ),
        "only x0 belongs to a call": lambda s: s.x(3)[0] != 0 and s.x(3)[1] == 0,
        "a hypercall tramples registers as a function call does": lambda s: (
            s.x(4)[0] == s.x(4)[1] != 0
        ),
        "a hypercall is a message that is answered later": lambda s: (
            features_answered(s) and s.had(Hypercall, function=FEATURES)
        ),
    },
    "masked": {
        "": delivered_after_unmask,
        "an enabled event is a deliverable event": lambda s: (
            raised_by_host(s)
            and s.at.handlers[0].state is State.ENABLED
            and not s.at.contexts
            and not any(isinstance(event, EventDelivered) for event in s.past)
        ),
        "a masked PE turns events away": raised_by_host,
        "a masked PE drops events": delivered_after_unmask,
        "the mask of a PE is PSTATE.DAIF": interrupted_with_daif_set,
    },
    "refused": {
        "": lambda s: (
            s.had(HypercallResult, function=ENABLE, result=DENIED)
            and s.at.handlers == s.before.handlers
            and went_on_after_hvc(s)
        ),
        "enabling is a switch of its own": lambda s: (
            s.x(0)[1] == DENIED and s.at.handlers[0].state is State.UNREGISTERED
        ),
        "an event exists only while it is registered": lambda s: (
            s.had(HypercallResult, function=STATUS, result=0)
            and s.before.handlers[0].state is State.UNREGISTERED
        ),
        "a refused call is a fault": lambda s: (
            no_exception(s)
            and s.had(Console)
            and not s.at.stopped
            and any(isinstance(e, HypercallResult) and e.result == DENIED for e in s.past[:-1])
        ),
    },
    "signalled": {
        "": lambda s: signal_delivered(s) and in_handler(s),
        "an event waits until the guest has time": lambda s: (
            s.had(Hypercall, function=SIGNAL) and s.had(EventDelivered) and in_handler(s)
        ),
        "signalling calls the handler like a function": lambda s: (
            s.at.contexts[-1].x[0] == 0
            and s.at.contexts[-1].pc == s.before.registers.pc + 4
            and s.had(HypercallResult, function=SIGNAL, result=0)
        ),
        "an event is an interrupt with a number": lambda s: (
            in_handler(s) and no_exception(s) and s.at.registers.elr_el1 == 0
        ),
        "PSTATE.DAIF holds events back": lambda s: interrupted_with_daif_set(s) and in_handler(s),
    },
    "zeroed": {
        "": lambda s: x4_came_back(s) and s.past[0].index < s.at.index,
        "the series keeps x4 to x17 as the specification says": lambda s: (
            s.had(EventDelivered) and s.x(4) == (0x1234, 0) and s.at.contexts[-1].x[4] == 0x1234
        ),
        "a register that is cleared is lost": x4_came_back,
        # Whatever the handler loads into x4 is there one step before, and it is not 0x1234.
        "the handler must restore x0 to x17": x4_came_back,
    },
    "lost": {
        "": lambda s: (
            s.before.handlers[0].pending
            and not s.at.handlers[0].pending
            and s.at.handlers[0].state is State.UNREGISTERED
            and sum(isinstance(event, EventRaised) for event in s.past) == 2
            and sum(isinstance(event, EventDelivered) for event in s.past) == 1
        ),
        "handlers of one event nest": lambda s: raised_by_host(s) and len(s.at.contexts) == 1,
        "a running handler turns events away": lambda s: (
            raised_by_host(s) and s.at.handlers[0].state is State.ENABLED_RUNNING
        ),
        "completing always looks for what is pending": pending_and_ignored,
        "raised events queue up": lambda s: (
            s.had(EventCompleted)
            and sum(isinstance(event, EventRaised) for event in s.past) == 3
            and sum(isinstance(event, EventDelivered) for event in s.past) == 2
        ),
    },
    "stalled": {
        "": lambda s: blocked_within_one_instruction(s) and s.at.time - s.before.time > LATENCY,
        "every page fault is the guest's own": lambda s: (
            blocked_within_one_instruction(s)
            and s.at.registers.esr_el1 == s.before.registers.esr_el1
            and pstate.exception_level(s.at.registers.pstate) == 0
        ),
        "a vCPU that waits loses no time": lambda s: s.at.time - s.before.time > LATENCY,
        "an interrupt reaches a vCPU that waits": lambda s: (
            s.had(FetchDone) and not any(isinstance(e, InterruptTaken) for e in s.events)
        ),
    },
    "rescheduled": {
        "": lambda s: after_the_handler(s) and s.had(ProbeHit, name="sleep"),
        "a handler of an event may switch threads": lambda s: (
            s.had(EventCompleted) and not switched_since_the_event(s)
        ),
        "what is interrupted goes on at once": lambda s: (
            s.had(EventCompleted)
            and s.had(InterruptTaken)
            and s.at.registers.pc == s.at.registers.vbar_el1 + 0x480
        ),
        "only the timer makes a kernel switch": lambda s: (
            s.at.time - of(s.past, EventDelivered)[-1].time < TICK // 100
        ),
    },
    "first": {
        "": lambda s: s.had(EventCancelled) and not told(s),
        "what is raised will be delivered": lambda s: (
            s.had(EventRaised) and s.had(EventCancelled) and not of(s.past, EventDelivered)
        ),
        "every page that arrives is announced": lambda s: s.had(PageArrived) and not told(s),
        "the two notifications do not know of each other": lambda s: (
            len(of(s.events, PageFault)) == len(of(s.events, EventCancelled)) == 1
        ),
    },
    "fetched": {
        "": lambda s: 600_000 < wait_of(s) < 700_000 and s.had(PageFault, decision="wait"),
        "the source sends pages in its own order": lambda s: (
            wait_of(s) < 1_000_000 and missing_before(s) > 250
        ),
        "a request overtakes what has been sent": lambda s: (
            wait_of(s) > 600_000 and 15 <= len(asked_for_by_nobody(s)) <= 20
        ),
        "a missing page reads as zeros": lambda s: (
            s.had(VcpuBlocked) and s.had(VcpuUnblocked) and s.at.index == s.before.index + 1
        ),
    },
    "blocktime": {
        "": lambda s: (
            s.had(VcpuUnblocked, vcpu=0)
            and round((blocked(s, 1).time - blocked(s, 0).time) / 1000) == 22
            and round((of(s.past, VcpuUnblocked)[0].time - blocked(s, 1).time) / 1000) == 151
        ),
        "blocktime is the sum over the vCPUs": lambda s: (
            round((of(s.past, VcpuUnblocked)[0].time - blocked(s, 0).time) / 1000) == 173 < 324
        ),
        "blocktime counts while any vCPU waits": lambda s: (
            s.had(VcpuBlocked, vcpu=1)
            and blocked(s, 0).vcpu == 0
            and s.at.index - blocked(s, 0).index > 1000
        ),
        "with two vCPUs one of them always runs": lambda s: (
            s.had(VcpuUnblocked, vcpu=0) and s.at.index == blocked(s, 1).index
        ),
    },
    "cut-off": {
        "": lambda s: s.had(PageReady, token=0x8000) and s.had(PageArrived),
        "without its source a guest cannot run": lambda s: (
            s.at.time - slept(s, 0x8000).time > 5_000_000 < s.at.index - slept(s, 0x8000).index
        ),
        "the source can take the guest back": lambda s: s.had(PageFault, decision="notified"),
        "what is lost on the wire is lost": lambda s: (
            s.had(ProbeHit, name="wake")
            and of(s.events, ProbeHit)[0].arguments[1] == slept(s, 0x8000).arguments[1]
        ),
    },
    "near": {
        "": waited_for_its_turn,
        "only time that was lost can be gained": waited_for_its_turn,
        "a dear notification makes everybody lose": lambda s: (
            # Without telling it is 2,075.6 us.
            s.had(ProbeHit, name="end") and s.at.accounts[0]["overhead"] < 2_000_000
        ),
        "a sleeper is owed all the time that it slept": waited_for_its_turn,
    },
}


@pytest.fixture(params=QUESTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def ask(name: str) -> Prediction:
    """A question, in a debugger that has not moved."""
    question = QUESTIONS[name]
    return Prediction(question, question.session())


def named_moment(said: str) -> int:
    """The index that an answer's explanation names."""
    return int(re.search(r"at instruction ([\d,]+)\.$", said)[1].replace(",", ""))


def test_each_misconception_is_refuted_at_the_moment_that_its_hint_names(name: str) -> None:
    question = QUESTIONS[name]
    assert {choice.misconception for choice in question.choices} == set(REFUTED[name])
    recorded = question.record()
    trace = list(recorded.trace)
    prediction = ask(name)
    for letter, choice in question.lettered():
        index = named_moment(prediction.answer(letter))
        at = recorded.goto(index) or recorded.snapshot()
        before = recorded.goto(index - 1) or recorded.snapshot()
        past = [event for event in trace if event.index <= index]
        scene = Scene(before, at, [event for event in past if event.index == index], past)
        assert REFUTED[name][choice.misconception](scene), choice.misconception or "the answer"


def test_a_last_completion_has_nothing_after_it() -> None:
    recorded = QUESTIONS["lost"].record()
    choice = next(c for c in QUESTIONS["lost"].choices if "queue" in c.misconception)
    last = choice.clue.find(recorded.trace)
    after = recorded.trace[recorded.trace.index(last) + 1 :]
    assert not any(isinstance(event, EventDelivered | EventCompleted) for event in after)
    assert isinstance(after[-1], Stopped)


def test_there_are_enough_wrong_choices_and_no_two_hints_alike(name: str) -> None:
    wrong = [choice for choice in QUESTIONS[name].choices if choice.misconception]
    assert len(wrong) >= 3
    assert len({choice.misconception for choice in wrong}) == len(wrong)
    assert len({choice.reply for choice in wrong}) == len(wrong)


def test_only_the_right_answer_is_told_so(name: str) -> None:
    prediction = ask(name)
    for letter, choice in prediction.question.lettered():
        said = prediction.answer(letter)
        assert said.startswith("Yes. ") == (letter == prediction.question.right)
        assert said.startswith("No. ") == bool(choice.misconception)
        assert choice.misconception in said
        assert choice.reply in said


def test_going_there_from_a_debugger_that_has_not_moved(name: str) -> None:
    for letter, _ in QUESTIONS[name].lettered():
        prediction = ask(name)
        index = named_moment(prediction.answer(letter))
        assert f"instruction {index:,} of" in prediction.go()
        assert prediction.debugger.index == index


def test_going_there_after_the_end_and_again_and_again(name: str) -> None:
    prediction = ask(name)
    prediction.debugger.run()
    for _ in range(2):
        for letter, _ in prediction.question.lettered():
            index = named_moment(prediction.answer(letter))
            prediction.go()
            assert prediction.debugger.index == index


def test_going_there_is_refused_where_the_history_is_another() -> None:
    prediction = ask("refused")
    prediction.debugger.step(7)
    prediction.debugger.write_register("x9", 1)
    prediction.answer("A")
    with pytest.raises(sdeiviz.Error, match="changes made by hand keep this debugger from"):
        prediction.go()


def test_going_there_without_an_answer_and_a_choice_that_is_none() -> None:
    prediction = ask("refused")
    with pytest.raises(sdeiviz.Error, match="answer first"):
        prediction.go()
    with pytest.raises(sdeiviz.Error, match="no choice 'Z': choose from A, B, C, D"):
        prediction.answer("Z")
    assert prediction.answer(" b ").startswith("Yes. ")


def test_breakpoints_of_the_reader_do_not_keep_it_from_going_there() -> None:
    prediction = ask("lost")
    prediction.debugger.toggle_breakpoint("handler")
    prediction.debugger.toggle_breakpoint("print")
    index = named_moment(prediction.answer("E"))
    prediction.go()
    assert prediction.debugger.index == index


def test_a_question_has_one_right_answer() -> None:
    right = Choice("yes", "so it is", Clue(Stopped))
    for choices in ((right, right), (right,), ()):
        with pytest.raises(sdeiviz.Error, match="one of them right"):
            Question("Is it?", "hello", lambda debugger: None, choices)


def test_a_clue_that_fits_nothing() -> None:
    with pytest.raises(sdeiviz.Error, match="nothing in this recording is EventDelivered"):
        Clue(EventDelivered).find([])


def test_as_a_widget_it_says_what_it_says_as_text(name: str) -> None:
    prediction = ask(name)
    assert prediction._repr_mimebundle_()["text/plain"] == prediction.text()
    question, row, reply = prediction.widget().children
    choose, check, go = row.children
    for _, choice in prediction.question.lettered():
        assert f"<li>{choice.text}</li>" in question.value.replace("&#x27;", "'")
    assert (check.disabled, go.disabled) == (True, True)
    for letter, _ in prediction.question.lettered():
        choose.value = letter
        check.click()
        said = prediction.answer(letter)
        assert said in reply.value.replace("&#x27;", "'")
        assert 'aria-live="polite"' in reply.value
        go.click()
        assert prediction.debugger.index == named_moment(said)
        assert f"instruction {prediction.debugger.index:,} of" in reply.value


def test_as_a_widget_it_tells_why_it_cannot_go_there() -> None:
    prediction = ask("refused")
    prediction.debugger.step(7)
    prediction.debugger.write_register("x9", 1)
    _, row, reply = prediction.widget().children
    choose, check, go = row.children
    choose.value = "A"
    check.click()
    go.click()
    assert "run the cell that makes it again" in reply.value
