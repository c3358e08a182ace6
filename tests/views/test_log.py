"""The call log: what each trace event becomes, typed by hand from the calls' definitions."""

from typing import Any, get_type_hints

import pytest

from sdeiviz.abi.sdei import Call
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
    MaskChanged,
    PageArrived,
    PageEvicted,
    PageFault,
    PageReady,
    ProbeHit,
    Stopped,
    SystemReset,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
    WaitForInterrupt,
)
from sdeiviz.trace.events import TYPES
from sdeiviz.views import log, sequence
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


def test_paging_has_its_words() -> None:
    page = 0x4_8123
    made = entries(
        PageFault(1, 1, 0, page, 0x3000, "notified", ""),
        PageFault(2, 2, 0, page, None, "wait", "sdei-masked"),
        PageFault(3, 3, 0, page, None, "halt", "in-flight"),
        PageFault(4, 4, 0, page, None, "retry", "in-flight"),
        FetchStarted(5, 5, 0, page, "worker"),
        FetchStarted(5, 5, 0, page, "vcpu"),
        FetchDone(6, 6, 0, page),
        PageEvicted(7, 7, 0, page),
        PageArrived(8, 8, 0, page),
        PageReady(9, 9, 0, 0x3000),
        PageReady(9, 9, 0, 0xFFFF_FFFF),
        ApfControl(10, 10, 0, "reset", 0),
        VcpuBlocked(11, 11, 0, page, False),
        VcpuBlocked(11, 11, 0, page, True),
        VcpuUnblocked(12, 12, 0),
        ProbeHit(13, 13, 0, "thread", (4, 1, 2, 0)),
        ProbeHit(13, 13, 0, "switch", (4, 5, 0, 0)),
        ProbeHit(13, 13, 0, "sleep", (4, 0x3000, 0, 0)),
        ProbeHit(13, 13, 0, "wake", (4, 0x3000, 0, 0)),
        ProbeHit(13, 13, 0, "wait", (4, 0, 0, 0)),
        ProbeHit(13, 13, 0, "go", (4, 0, 0, 0)),
        ProbeHit(13, 13, 0, "start", (0, 0, 0, 0)),
        ProbeHit(13, 13, 0, "end", (0, 0, 0, 0)),
        ProbeHit(13, 13, 0, HOSTILE, (1, 2, 3, 0x40)),
    )
    said = [(entry.kind, entry.text, entry.answer) for entry in made]
    assert said[:-1] == [
        ("fault", "page 0x48123000 is missing", "the guest is told, token 0x3000"),
        ("fault", "page 0x48123000 is missing", "the PE waits"),
        ("fault", "page 0x48123000 is missing", "the PE halts"),
        ("fault", "page 0x48123000 is missing", "it tries again"),
        ("page", "asked for: page 0x48123000, by a worker", ""),
        ("page", "asked for: page 0x48123000, by the PE", ""),
        ("page", "in memory: page 0x48123000", ""),
        ("page", "taken away: page 0x48123000", ""),
        ("page", "PE is told: page 0x48123000 is there", ""),
        ("ready", "page-ready 0x3000", ""),
        ("ready", "page-ready all", ""),
        ("page", "async page fault: reset", ""),
        ("wait", "PE blocked: waits for page 0x48123000", ""),
        ("wait", "PE halted: waits for page 0x48123000", ""),
        ("wait", "PE goes on", ""),
        ("probe", "thread 4 is new: C compute, on PE 1", ""),
        ("probe", "thread 4 to 5", ""),
        ("probe", "thread 4 sleeps: token 0x3000", ""),
        ("probe", "thread 4 wakes: token 0x3000", ""),
        ("probe", "thread 4 waits, but for no page", ""),
        ("probe", "thread 4 need not wait any longer", ""),
        ("probe", "measuring begins", ""),
        ("probe", "measuring ends", ""),
    ]
    assert made[-1].text.endswith("(1, 2, 3, 0x40)")
    assert not any(ord(c) < 0x20 or c in "\u202e\u200b" for c in made[-1].text)
    assert made[1].reason == "The PE has SDEI events masked."
    assert [entry.reason for entry in made[:4:3]] == [
        "",
        "The page is being fetched for this PE already.",
    ]
    assert not any(entry.failed for entry in made)


def test_no_kind_of_event_is_without_words() -> None:
    known = {"decision": "wait", "reason": "mode", "target": "1", "action": "EVENT_ENABLE"}
    for name, cls in TYPES.items():
        values: list[Any] = []
        for field, kind in get_type_hints(cls).items():
            plain: Any = "x" if kind is str else (0,) * 18 if "tuple" in str(kind) else 1
            values.append(known.get(field, plain) if kind is str else plain)
        for entry in entries(cls(*values)):
            assert entry.kind in log.SIGNS
            assert entry.text != name


@pytest.mark.parametrize(
    ("function", "arguments", "result", "line"),
    [
        (0x8600_0002, (0,), 0, "→ ASYNC_PF VERSION() = 0 SUCCESS"),
        (0x8600_0002, (3,), 0, "→ ASYNC_PF IRQ() = 0 SUCCESS"),
        (
            0x8600_0002,
            (4, 0x4010_0041, 1),
            -2,
            "→ ASYNC_PF ENABLE(control=0x140100041) = -2 NOT_REQUIRED",
        ),
        (0x8600_0002, (9,), -1, "→ ASYNC_PF 0x9() = -1 NOT_SUPPORTED"),
        (0x8600_0042, (3, 0x41, 0), -3, "→ ASYNC_PF ENABLE(control=0x41) = -3 INVALID_PARAMETER"),
        (0x8600_0042, (4,), 0, "→ ASYNC_PF IRQ_ACK() = 0 SUCCESS"),
        (0x8600_FF01, (), 0xB66F_B428, "→ VENDOR_HYP UID() = 0xb66fb428"),
        (0x8600_0000, (), 5, "→ VENDOR_HYP FEATURES() = 0x5"),
    ],
)
def test_calls_for_async_page_fault(
    function: int, arguments: tuple[int, ...], result: int, line: str
) -> None:
    """Sub-functions of v4 patch 9, and of the interrupt-only variant."""
    (entry,) = entries(*call(5, function, *arguments, result=result))
    assert entry.line() == line
    assert entry.failed == (result < 0)
    assert bool(entry.reason) == (result < 0)


def test_enabling_stands_beside_its_call_and_page_ready_on_its_own() -> None:
    enable = call(3, 0x8600_0002, 4, 0x4010_0041, result=0)
    acknowledge = call(9, 0x8600_0002, 5, result=0)
    made = entries(
        enable[0],
        ApfControl(3, 3, 0, "enable", 0x4010_0041),
        enable[1],
        acknowledge[0],
        PageReady(9, 9, 0, 0x2000),
        acknowledge[1],
    )
    assert made[0].effects == ["async page fault: enable"]
    assert [entry.line() for entry in made[1:]] == [
        "→ ASYNC_PF IRQ_ACK() = 0 SUCCESS",
        "▣ page-ready 0x2000",
    ]


def test_the_sequence_shows_faults_and_pages() -> None:
    made = entries(
        PageFault(1, 1, 0, 0x4_8000, 0x3000, "notified", ""),
        PageFault(2, 2, 0, 0x4_8000, None, "wait", "mode"),
        FetchStarted(2, 2, 0, 0x4_8000, "vcpu"),
        VcpuBlocked(2, 2, 0, 0x4_8000, False),
        PageReady(9, 9, 0, 0x3000),
    )
    assert [tuple(stroke) for entry in made for stroke in sequence.strokes(entry)] == [
        ("call", 0, -1, "□ page 0x48000000"),
        ("answer", -1, 0, "token 0x3000"),
        ("call", 0, -1, "□ page 0x48000000"),
        ("answer", -1, 0, "PE waits"),
        ("note", -1, -1, "▫ asked for"),
        ("note", 0, 0, "‖ PE blocked"),
        ("raise", -1, 0, "▣ ready 0x3000"),
    ]


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
