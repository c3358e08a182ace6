"""The call log: what each trace event becomes, typed by hand from the calls' definitions."""

import pytest

from sdeiviz.abi.sdei import Call
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
from sdeiviz.views import log
from tests.views.moments import BASE, HOSTILE, moment

MASK64 = (1 << 64) - 1


def call(
    index: int, function: int, *arguments: int, result: int | None = None
) -> tuple[TraceEvent, ...]:
    """A hypercall and its answer; `result` is signed."""
    padded = (*arguments, 0, 0, 0, 0, 0)[:5]
    made: tuple[TraceEvent, ...] = (Hypercall(index, index, 0, "HVC", BASE, function, padded),)
    if result is not None:
        made += (HypercallResult(index, index, 0, function, result & MASK64),)
    return made


def move(index: int, action: str, before: int, after: int, event: int = 0) -> HandlerStateChanged:
    return HandlerStateChanged(index, index, 0, event, action, before, after)


def delivered(index: int, event: int = 0) -> EventDelivered:
    return EventDelivered(index, index, 0, event, BASE + 16, 0x51, BASE + 8, 0x3C5, (0,) * 18)


def entries(*trace: TraceEvent) -> list[log.LogEntry]:
    made = log.Log({BASE: "_start", BASE + 16: "print"})
    made.meet(moment())
    made.follow(trace)
    return made.entries


@pytest.mark.parametrize(
    ("function", "arguments", "result", "text", "answer"),
    [
        (
            0xC4000020,
            (),
            1 << 48 | 1 << 32 | 0x564BCAA9,
            "SDEI_VERSION()",
            "1.1, vendor 0x564bcaa9",
        ),
        (
            0xC4000021,
            (0, BASE + 16, 0x51, 0, 0),
            0,
            "EVENT_REGISTER(event=0, entry=print, argument=0x51, flags=0, affinity=0)",
            "0 SUCCESS",
        ),
        (0xC4000022, (1,), -3, "EVENT_ENABLE(event=1)", "-3 DENIED"),
        (0xC4000023, (0,), 0, "EVENT_DISABLE(event=0)", "0 SUCCESS"),
        (0xC4000027, (0,), -5, "EVENT_UNREGISTER(event=0)", "-5 PENDING"),
        (0xC4000028, (0,), 0, "EVENT_STATUS(event=0)", "0 unregistered"),
        (0xC4000028, (0,), 7, "EVENT_STATUS(event=0)", "7 enabled, running"),
        (0xC4000029, (0, 2), 0, "EVENT_GET_INFO(event=0, info=2)", "0"),
        (
            0xC400002A,
            (0, 0, 0),
            -1,
            "EVENT_ROUTING_SET(event=0, mode=0, affinity=0)",
            "-1 NOT_SUPPORTED",
        ),
        (0xC400002B, (), 0, "PE_MASK()", "0 SUCCESS"),
        (0xC400002F, (0, 0), 0, "EVENT_SIGNAL(event=0, target=0)", "0 SUCCESS"),
        (0xC4000030, (0,), 0, "FEATURES(feature=0)", "0"),
        (0xC4000030, (7,), -2, "FEATURES(feature=7)", "-2 INVALID_PARAMETERS"),
        (0xC4000031, (), 0, "PRIVATE_RESET()", "0 SUCCESS"),
        (0x84000000, (), 0x10001, "PSCI VERSION()", "0x10001"),
        (0xDEADBEEF, (), -1, "call 0xdeadbeef()", "-1 NOT_SUPPORTED"),
    ],
)
def test_a_call_is_decoded(
    function: int, arguments: tuple[int, ...], result: int, text: str, answer: str
) -> None:
    (entry,) = entries(*call(5, function, *arguments, result=result))
    assert (entry.index, entry.kind, entry.text, entry.answer) == (5, "call", text, answer)
    assert entry.failed == (result < 0)


def test_a_register_that_looks_like_an_error_is_a_value() -> None:
    running = move(1, "delivery", 3, 7)
    *_, entry = entries(running, delivered(1), *call(2, 0xC4000024, 4, result=-3))
    assert (entry.answer, entry.failed) == ("0xfffffffffffffffd", False)
    *_, outside = entries(running, delivered(1), *call(2, 0xC4000024, 18, result=-2))
    assert (outside.answer, outside.failed) == ("-2 INVALID_PARAMETERS", True)
    assert "x18 is not saved" in outside.reason


@pytest.mark.parametrize("action", list(Action)[:4])
def test_a_refused_call_is_explained_by_the_rules(action: Action) -> None:
    for state in State:
        why = explain(action, state)
        if not why:
            continue
        before = move(1, "EVENT_REGISTER", 0, state)
        *_, entry = entries(before, *call(2, Call[action.value].function, 0, result=-3))
        assert (entry.reason, entry.refused) == (why, action)


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (0xC4000022, (9,), "There is no event 9; this machine has 0, 1."),
        (0xC400002F, (1, 0), "Only event 0 can be signalled."),
        (0xC400002F, (0, 0), "Event 0 is unregistered: it has no handler to go to."),
        (0xC4000021, (0, BASE, 0, 6, 0), "The flags 0x6 have bits that are not accepted."),
        (0xC4000029, (0, 77), "An argument is outside what this call accepts."),
    ],
)
def test_invalid_parameters_are_explained(
    function: int, arguments: tuple[int, ...], reason: str
) -> None:
    (entry,) = entries(*call(3, function, *arguments, result=-2))
    assert (entry.reason, entry.refused) == (reason, None)


def test_context_without_a_handler_is_refused() -> None:
    (entry,) = entries(*call(3, 0xC4000024, 0, result=-3))
    assert entry.refused is Action.CONTEXT
    assert "none is" in entry.reason


def test_complete_without_a_handler_has_no_answer() -> None:
    (entry,) = entries(*call(3, 0xC4000025, 0))
    assert (entry.answer, entry.failed, entry.refused) == ("no answer", True, Action.COMPLETE)


def test_what_a_call_does_stands_beside_it() -> None:
    made = entries(
        *call(4, 0xC4000021, 0, BASE)[:1],
        move(4, "EVENT_REGISTER", 0, 1),
        HypercallResult(4, 4, 0, 0xC4000021, 0),
        *call(9, 0xC400002C)[:1],
        MaskChanged(9, 9, 0, False),
        HypercallResult(9, 9, 0, 0xC400002C, 0),
        *call(12, 0xC400002F)[:1],
        EventRaised(12, 12, 0, 0, "signal", False),
        HypercallResult(12, 12, 0, 0xC400002F, 0),
        move(12, "delivery", 3, 7),
        delivered(12),
    )
    assert [entry.effects for entry in made] == [
        ["event 0 registered"],
        ["PE unmasked"],
        ["event 0 pending"],
        [],
    ]
    assert made[3].text == f"event 0 delivered: from {BASE + 8:#x} to print"


def test_binding_an_interrupt_stands_beside_the_call() -> None:
    bound = InterruptBound(1, 1, 0, 50, 0x4000_1000)
    released = InterruptReleased(2, 2, 0, 50, 0x4000_1000)
    bind = call(1, 0xC400_002D, 50, result=0x4000_1000)
    first, second = entries(bind[0], bound, bind[1], released)
    assert first.effects == ["interrupt 50 raises event 0x40001000 from now on"]
    assert second.text == "interrupt 50 is the guest's again"


def test_completion_is_an_entry_of_its_own() -> None:
    made = entries(
        move(1, "delivery", 3, 7),
        delivered(1),
        *call(5, 0xC4000025, 0),
        move(5, "EVENT_COMPLETE", 7, 3),
        EventCompleted(5, 5, 0, 0, BASE + 8, None),
        delivered(8),
        *call(9, 0xC4000026, BASE + 16),
        move(9, "EVENT_COMPLETE", 7, 3),
        EventCompleted(9, 9, 0, 0, BASE + 8, BASE + 16),
    )
    assert [entry.kind for entry in made] == [
        "deliver",
        "call",
        "complete",
        "deliver",
        "call",
        "complete",
    ]
    assert made[1].effects == []
    assert made[2].text == f"event 0 completed: back to {BASE + 8:#x}"
    assert made[4].text == "EVENT_COMPLETE_AND_RESUME(resume=print)"
    assert made[5].text == f"event 0 completed: on at print, ELR_EL1 = {BASE + 8:#x}"


@pytest.mark.parametrize(
    ("result", "answer", "reason"),
    [
        (0, "", ""),
        (-2, "-2 ENOENT", "Event 1 has no registered handler."),
        (-16, "-16 EBUSY", "Event 1 cannot be taken at this moment."),
    ],
)
def test_the_hosts_input(result: int, answer: str, reason: str) -> None:
    trace: list[TraceEvent] = [HostInput(7, 7, 0, "inject", "1", 0)]
    if result == 0:
        trace.append(EventRaised(7, 7, 0, 1, "inject", False))
    trace.append(HostInputResult(7, 7, 0, "inject", result))
    (entry,) = entries(*trace)
    assert (entry.kind, entry.text, entry.event) == ("input", "host injects event 1", 1)
    assert (entry.answer, entry.reason) == (answer, reason)
    assert entry.effects == ([] if result else ["event 1 pending"])


def test_every_other_event_has_its_words() -> None:
    made = entries(
        MaskChanged(1, 1, 0, True),
        EventRaised(2, 2, 0, 1, "inject", True),
        EventCancelled(3, 3, 0, 1, True),
        ExceptionTaken(4, 4, 0, 0x40080A00, 0x56000003, 0, BASE, 0x3C5),
        ExternalAbort(5, 5, 0, BASE, 0x1000, True, "no device"),
        WaitForInterrupt(6, 6, 0, BASE),
        HostInput(7, 7, 0, "register", "x0", 0x10),
        HostInput(7, 7, 0, "memory", "0x40000000", 4),
        HostInput(7, 7, 0, "console", "secret", 6),
        SystemReset(8, 8, 0),
        Defect(9, 9, 0, "D1", "the search never ends"),
        Console(9, 9, 0, "has its own pane"),
        Stopped(10, 10, 0, "power-off", "switched off"),
    )
    assert [(entry.kind, entry.text) for entry in made] == [
        ("mask", "PE masked"),
        ("raise", "event 1 was pending already"),
        ("raise", "event 1 no longer pending"),
        ("exception", "SVC #0x3 at 0x40080000: vector 0x40080a00"),
        ("exception", "external abort: write to 0x1000 at 0x40080000"),
        ("stop", "WFI: waits for an interrupt or an event"),
        ("input", "host writes x0 = 0x10"),
        ("input", "host writes 4 bytes at 0x40000000"),
        ("input", "host types 6 characters"),
        ("stop", "PSCI SYSTEM_RESET: the machine starts again"),
        ("defect", "defect D1"),
        ("stop", "stopped: power-off"),
    ]
    assert all(entry.kind in log.SIGNS for entry in made)


def test_only_what_has_happened_is_shown() -> None:
    trace = (*call(4, 0xC4000022, 0, result=-3), *call(9, 0xC4000022, 0, result=-3))
    snapshot = moment(trace, index=4, now=2)
    assert log.text(snapshot).splitlines()[0] == "       4  → EVENT_ENABLE(event=0) = -3 DENIED"
    assert "  9  " not in log.text(snapshot)
    assert log.text(moment()) == "nothing has happened yet"


def test_a_log_grows_with_its_trace_and_starts_afresh_with_another() -> None:
    first = [*call(4, 0xC4000028, 0, result=0), *call(9, 0xC4000028, 0, result=0)]
    made = log.Log()
    made.follow(first[:2])
    made.follow(first)
    assert [entry.index for entry in made.entries] == [4, 9]
    made.follow(first[:2])
    assert [entry.index for entry in made.entries] == [4]
    made.follow([*call(6, 0xC4000028, 0, result=0), *call(8, 0xC4000028, 0, result=0)])
    assert [entry.index for entry in made.entries] == [6, 8]


def test_the_last_move_of_each_event() -> None:
    trace = [
        move(1, "EVENT_REGISTER", 0, 1),
        move(2, "EVENT_REGISTER", 0, 1, event=1),
        move(3, "EVENT_ENABLE", 1, 3),
    ]
    made = log.Log()
    made.follow(trace)
    assert made.last_move(0, 0, 3) == (State.REGISTERED, State.ENABLED)
    assert made.last_move(0, 0, 2) == (State.UNREGISTERED, State.REGISTERED)
    assert made.last_move(0, 1, 3) == (State.UNREGISTERED, State.REGISTERED)
    assert made.last_move(0, 1, 1) is None


def test_hostile_names_are_made_visible() -> None:
    made = log.Log({BASE: HOSTILE})
    made.follow(call(1, 0xC4000021, 0, BASE, result=0))
    made.follow(
        [*call(1, 0xC4000021, 0, BASE, result=0), HostInput(2, 2, 0, "register", HOSTILE, 1)]
    )
    shown = made.entries[0].text + made.entries[1].text
    assert not any(ord(c) < 0x20 or c in "\u202e\u200b" for c in shown)
