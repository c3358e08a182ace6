"""Views of more than one PE: tables, the sequence diagram, and how the log words what happens."""

import re
from html.parser import HTMLParser
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from sdeiviz.abi.sdei import Call
from sdeiviz.debugger.snapshot import SlotView, Snapshot
from sdeiviz.machine.gic import Interrupt
from sdeiviz.sdei.table import Action, State
from sdeiviz.trace import (
    EventCancelled,
    EventCompleted,
    EventDelivered,
    EventRaised,
    HandlerStateChanged,
    HostInput,
    HostInputResult,
    Hypercall,
    HypercallResult,
    InterruptBound,
    InterruptReleased,
    InterruptTaken,
    MaskChanged,
    PowerChanged,
    SystemReset,
    TraceEvent,
    WaitForInterrupt,
)
from sdeiviz.views import (
    diagram,
    interrupts,
    log,
    pes,
    revisions,
    sequence,
    shared,
    slots,
    summary,
    words,
)
from sdeiviz.views import moment as whole
from tests.machine.crew import session
from tests.views.moments import BASE, HOSTILE, at, context, handler, moment, pe

CRITICAL, SHARED, SLOT = 0x4040_0001, 0x4040_0028, 0x4000_1000
SVG = "{http://www.w3.org/2000/svg}"


def machine(trace: tuple[TraceEvent, ...] = (), **values: Any) -> Snapshot:
    """Three PEs: the first is shown, the second in two handlers, the third off."""
    own = handler(0, State.ENABLED)
    running = handler(0, State.ENABLED_RUNNING)
    top = handler(CRITICAL, State.ENABLED_RUNNING, critical=True)
    everybody = (
        handler(SHARED, State.ENABLED, shared=True, interrupt=40, routed_to=1),
        handler(SLOT, State.ENABLED_RUNNING, shared=True, interrupt=71, running_on=2, pending=True),
        handler(0x4040_0029, shared=True, critical=True, interrupt=41),
    )
    plain: dict[str, Any] = {
        "pes": (
            pe(0, masked=False, handlers=(own, *everybody)),
            pe(
                1,
                handlers=(top, running, *everybody),
                contexts=(context(event=0), context(event=CRITICAL)),
                symbol="critical+0x4",
            ),
            pe(2, on=False, current=False, handlers=everybody),
        ),
        "slots": (
            SlotView(0x4000_0000, False, None),
            SlotView(SLOT, True, 71),
            SlotView(0x4000_1001, True, None),
        ),
    }
    return moment(trace, **(plain | values))


# -- the tables


def test_what_every_pe_does() -> None:
    waiting = pe(3, waiting=True, symbol="", pc=0x4008_0040)
    shown = machine(pes=(*machine().pes, waiting))
    assert pes.rows(shown) == [
        ("0", "running", "unmasked", "0", "", "EL1h _start"),
        ("1", "ready", "masked", "2", f"{CRITICAL:#x} in 0", "EL1h critical+0x4"),
        ("2", "off", "masked", "", "", ""),
        ("3", "waiting", "masked", "0", "", "EL1h 0x40080040"),
    ]


def test_where_shared_events_are() -> None:
    assert shared.rows(machine()) == [
        ("0x40400028", "normal", "enabled", "SPI 40", "PE 1 only", ""),
        ("0x40001000", "normal", "enabled, running, pending", "SPI 71", "any PE", "PE 2"),
        ("0x40400029", "critical", "unregistered", "SPI 41", "", ""),
    ]


def test_which_interrupt_is_bound_to_which_slot() -> None:
    assert slots.rows(machine()) == [
        ("0x40000000", "a private interrupt", "free", ""),
        ("0x40001000", "a shared interrupt", "SPI 71", "for all PEs"),
        ("0x40001001", "a shared interrupt", "free", ""),
    ]


def test_interrupts_and_whose_they_are() -> None:
    def row(intid: int, of: int | None, **values: Any) -> Interrupt:
        plain = dict.fromkeys(Interrupt._fields, False) | {"priority": 0xA0, "group": 0}
        return Interrupt(**(plain | {"intid": intid, "pe": of, "targets": ()} | values))

    shown = machine(
        interrupts=(
            row(27, 1, enabled=True, line=True, pending=True, targets=(1,)),
            row(71, None, owned=True, active=True),
            row(72, None, enabled=True, edge=True, targets=(0, 2)),
            row(25, 0, owned=True, targets=(0,)),
        )
    )
    assert interrupts.rows(shown) == [
        ("PPI 27", "PE 1", "pending, enabled", "level, high", "0xa0", "the guest"),
        ("SPI 71", "", "active", "level, low", "0xa0", "event 0x40001000"),
        ("SPI 72", "PE 0, PE 2", "enabled", "edge", "0xa0", "the guest"),
        ("PPI 25", "", "idle", "level, low", "0xa0", "the hypervisor"),
    ]


class Tags(HTMLParser):
    """Collects what opens."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("view", [pes, shared, slots, interrupts, sequence])
def test_each_has_a_text_twin_and_escapes(view: ModuleType) -> None:
    empty = moment()
    assert view.text(empty)
    assert view.html(empty)
    hostile = machine(pes=(pe(0, symbol=HOSTILE), *machine().pes[1:]))
    parser = Tags()
    parser.feed(view.html(hostile))
    assert parser.tags <= {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "p",
        "strong",
        "pre",
    }
    assert not re.search(r"[\x00-\x08\x1b\u202e\u200b]", view.text(hostile))


def test_the_whole_moment_has_them_where_there_is_more_than_one_pe() -> None:
    titles = [title for title, _ in whole.MACHINE]
    assert all(f"-- {title} -" in whole.text(machine()) for title in titles)
    assert not any(f"-- {title} -" in whole.text(moment()) for title in titles)
    assert "<strong>PEs</strong>" in whole.html(machine())
    assert "<strong>PEs</strong>" not in whole.html(moment())


def test_the_summary_says_whose_it_is() -> None:
    it = session(3)
    it.run(600)
    assert ", PE 1 unmasked, EL1h. PE 1: event 0 delivered: from 0x4" in summary.text(it.snapshot())
    it.select(2)
    assert "PE 2 unmasked, EL1h. PE 1: event 0 delivered" in summary.text(it.snapshot())


def test_the_state_diagram_is_of_the_pe_shown() -> None:
    assert "<title>Event 0 on PE 0: enabled</title>" in diagram.svg(machine())
    assert "<title>Event 0 on PE 1: enabled, running</title>" in diagram.svg(machine(vcpu=1))
    title = "<title>Event 0x40400028, shared: enabled</title>"
    assert title in diagram.svg(machine(), event=SHARED)
    moves = (
        HandlerStateChanged(1, 1, 0, 0, "EVENT_ENABLE", 1, 3),
        HandlerStateChanged(2, 2, 1, 0, "delivery", 3, 7),
    )
    taken = re.compile(r'id="(edge_\w+)" class="taken')
    assert taken.findall(diagram.svg(machine(moves))) == ["edge_registered_enabled"]
    assert taken.findall(diagram.svg(machine(moves, vcpu=1))) == ["edge_enabled_enabled_running"]


# -- the log


def entries(*trace: TraceEvent) -> list[log.LogEntry]:
    made = log.Log({BASE: "_start"})
    made.meet(machine())
    made.follow(trace)
    return made.entries


def call(
    index: int,
    vcpu: int,
    function: int,
    *arguments: int,
    effects: tuple[TraceEvent, ...] = (),
    result: int = 0,
) -> tuple[TraceEvent, ...]:
    padded = (*arguments, 0, 0, 0, 0, 0)[:5]
    return (
        Hypercall(index, index, vcpu, "HVC", BASE, function, padded),
        *effects,
        HypercallResult(index, index, vcpu, function, result & (1 << 64) - 1),
    )


def delivered(index: int, vcpu: int, event: int) -> EventDelivered:
    return EventDelivered(index, index, vcpu, event, BASE, 0, BASE, 0x3C5, (0,) * 18)


NEW: list[tuple[TraceEvent, str, str]] = [
    (
        InterruptTaken(5, 5, 1, BASE + 0x280, BASE, 0x345),
        "interrupt",
        "IRQ at _start: vector 0x40080280",
    ),
    (PowerChanged(5, 5, 1, True, BASE), "power", "PE switched on, at _start"),
    (PowerChanged(5, 5, 1, False, 0), "power", "PE switched off"),
    (
        InterruptBound(5, 5, 1, 71, SLOT),
        "interrupt",
        "interrupt 71 raises event 0x40001000 from now on",
    ),
    (InterruptReleased(5, 5, 1, 71, SLOT), "interrupt", "interrupt 71 is the guest's again"),
    (
        EventRaised(5, 5, 1, SLOT, "interrupt", False),
        "raise",
        "event 0x40001000 pending: raised by its interrupt",
    ),
    (
        EventRaised(5, 5, 1, 804, "platform", True),
        "raise",
        "event 804 was pending already: raised by a device",
    ),
    (MaskChanged(5, 5, 1, True), "mask", "PE masked"),
]


@pytest.mark.parametrize(("event", "kind", "text"), NEW)
def test_new_events_have_their_words(event: TraceEvent, kind: str, text: str) -> None:
    (entry,) = entries(event)
    assert (entry.kind, entry.text, entry.vcpu, entry.index) == (kind, text, 1, 5)
    assert kind in log.SIGNS


def test_what_a_call_does_to_another_pe_is_told_with_its_number() -> None:
    (signal,) = entries(
        *call(3, 0, 0xC400002F, 0, 1, effects=(EventRaised(3, 3, 1, 0, "signal", False),))
    )
    assert (
        signal.line() == "→ EVENT_SIGNAL(event=0, target=1) = 0 SUCCESS   [event 0 pending on PE 1]"
    )
    assert signal.raised == [(1, 0)]
    power = (PowerChanged(3, 3, 2, True, BASE), MaskChanged(3, 3, 2, True))
    (on,) = entries(*call(3, 0, 0xC4000003, 2, BASE, 7, effects=power))
    assert on.line() == (
        "→ PSCI CPU_ON(target=2, entry=_start, context=7) = 0"
        "   [PE 2 switched on, at _start; PE 2 masked]"
    )
    assert on.switched == [(2, True)]
    (own,) = entries(
        *call(3, 1, 0xC400002F, 0, 1, effects=(EventRaised(3, 3, 1, 0, "signal", False),))
    )
    assert own.effects == ["event 0 pending"]


def test_a_shared_event_is_no_pes() -> None:
    move = HandlerStateChanged(3, 3, 0, SLOT, "EVENT_REGISTER", 0, 1)
    bind = call(2, 0, 0xC400002D, 71, effects=(InterruptBound(2, 2, 0, 71, SLOT),), result=SLOT)
    enabled = HandlerStateChanged(4, 4, 1, SLOT, "EVENT_ENABLE", 1, 3)
    raised = EventRaised(5, 5, 0, SLOT, "interrupt", False)
    made = log.Log()
    made.meet(machine())
    made.follow((*bind, move, *call(4, 1, 0xC4000022, SLOT, effects=(enabled,)), raised))
    assert (made.entries[0].text, made.entries[0].answer) == (
        "INTERRUPT_BIND(interrupt=71)",
        "0x40001000",
    )
    assert made.entries[0].effects == ["interrupt 71 raises event 0x40001000 from now on"]
    for vcpu in (0, 1, 2):
        assert made.last_move(vcpu, SLOT, 9) == (State.REGISTERED, State.ENABLED)
    assert made.entries[-1].raised == [(None, SLOT)]


def test_private_states_are_each_pes_own() -> None:
    *_, refused = entries(
        HandlerStateChanged(1, 1, 0, 0, "EVENT_REGISTER", 0, 1),
        *call(2, 1, 0xC4000022, 0, result=-3),
    )
    assert "this one is unregistered" in refused.reason
    assert refused.refused is Action.ENABLE


@pytest.mark.parametrize(
    ("function", "arguments", "result", "answer", "reason"),
    [
        (0xC400002F, (0, 9), -2, "-2 INVALID_PARAMETERS", "No PE 9 takes this signal."),
        (0xC400002D, (27,), -3, "-3 DENIED", "Interrupt 27 is active, or not for a client."),
        (0xC400002D, (72,), -10, "-10 OUT_OF_RESOURCE", log.NO_SLOT),
        (0xC4000003, (1, BASE, 0), -4, "-4 ALREADY_ON", "This PE is on already."),
        (0xC4000003, (9, BASE, 0), -2, "-2 INVALID_PARAMETERS", "There is no such PE."),
        (0xC4000003, (1, 2, 0), -9, "-9 INVALID_ADDRESS", "No code can be at this entry."),
        (0xC4000032, (), -3, "-3 DENIED", "SHARED_RESET must wait: a handler is running."),
    ],
)  # fmt: skip
def test_why_a_call_was_refused(
    function: int, arguments: tuple[int, ...], result: int, answer: str, reason: str
) -> None:
    (entry,) = entries(*call(2, 0, function, *arguments, result=result))
    assert (entry.answer, entry.reason, entry.failed) == (answer, reason, True)


def test_the_innermost_handler_of_this_pe_is_the_one_to_wait_for() -> None:
    *_, entry = entries(
        delivered(1, 0, 0), delivered(2, 0, CRITICAL), *call(3, 0, 0xC4000031, result=-3)
    )
    assert "the handler of event 0x40400001 is running" in entry.reason
    *_, entry = entries(delivered(1, 1, 0), *call(3, 0, 0xC4000024, 3, result=-3))
    assert "needs a handler that is running; none is" in entry.reason


def test_the_host_is_told_why_an_interrupts_event_cannot_be_injected() -> None:
    (entry,) = entries(
        HostInput(1, 1, 1, "inject", str(SHARED), 0), HostInputResult(1, 1, 1, "inject", -22)
    )
    assert (entry.text, entry.answer) == ("host injects event 0x40400028", "-22 EINVAL")
    assert entry.reason == "Event 0x40400028 is raised by its interrupt only."


def test_the_log_names_pes_only_where_there_are_several() -> None:
    trace = call(3, 1, 0xC400002C)
    assert log.text(machine(trace)).startswith("       3  PE 1  →")
    assert log.text(moment(trace)).startswith("       3  →")
    assert "<th scope=col>PE</th>" in log.html(machine(trace))
    assert "<th scope=col>PE</th>" not in log.html(moment(trace))


# -- the sequence


def strokes(*trace: TraceEvent) -> list[tuple[str, int, int, str]]:
    numbers = frozenset([SHARED, SLOT])
    return [tuple(s) for entry in entries(*trace) for s in sequence.strokes(entry, numbers)]  # type: ignore[misc]


def test_calls_go_to_the_hypervisor_and_come_back() -> None:
    assert strokes(*call(1, 2, 0xC4000022, CRITICAL)) == [
        ("call", 2, -1, "ENABLE 0x40400001"),
        ("answer", -1, 2, "SUCCESS"),
    ]
    assert strokes(*call(1, 0, 0xC400002C, result=-3)) == [
        ("call", 0, -1, "PE_UNMASK"),
        ("failed", -1, 0, "\N{MULTIPLICATION SIGN} DENIED"),
    ]
    assert strokes(*call(1, 0, 0xC400002D, 71, result=SLOT)) == [
        ("call", 0, -1, "INTERRUPT_BIND 71"),
        ("answer", -1, 0, "0x40001000"),
    ]


def test_a_signal_goes_from_pe_to_pe() -> None:
    raised = EventRaised(1, 1, 2, 0, "signal", False)
    assert strokes(*call(1, 0, 0xC400002F, 0, 2, effects=(raised,)))[1] == (
        "raise",
        0,
        2,
        "○ event 0",
    )


def test_power_deliveries_completions_and_what_happens_by_itself() -> None:
    on = PowerChanged(1, 1, 2, True, BASE)
    off = PowerChanged(9, 9, 2, False, 0)
    assert strokes(
        *call(1, 0, 0xC4000003, 2, BASE, effects=(on,)),
        delivered(2, 1, CRITICAL),
        EventCompleted(3, 3, 1, CRITICAL, BASE, None),
        InterruptTaken(4, 4, 1, BASE, BASE, 0),
        WaitForInterrupt(5, 5, 0, BASE),
        EventRaised(6, 6, 0, SLOT, "interrupt", False),
        EventCancelled(7, 7, 1, 0, True),
        HostInput(8, 8, 1, "inject", "0", 0),
        EventRaised(8, 8, 1, 0, "inject", False),
        HostInputResult(8, 8, 1, "inject", 0),
        off,
        HostInput(10, 10, 1, "inject", str(SHARED), 0),
        HostInputResult(10, 10, 1, "inject", -22),
    ) == [
        ("call", 0, -1, "PSCI CPU_ON 2"),
        ("on", -1, 2, "⊙ on"),
        ("answer", -1, 0, "0"),
        ("deliver", -1, 1, "▼ event 0x40400001"),
        ("complete", -1, 1, "▲ event 0x40400001"),
        ("note", 1, 1, "↯ IRQ"),
        ("note", 0, 0, "■ WFI"),
        ("raise", -1, -1, "○ event 0x40001000"),
        ("note", 1, 1, "○ event 0 no longer pending"),
        ("raise", -1, 1, "○ event 0"),
        ("off", 2, 2, "⊙ off"),
        ("failed", -1, -1, "+ injects event 0x40400028"),
    ]


def test_what_lanes_were_at_the_top_is_walked_back_from_now() -> None:
    trace = (
        delivered(1, 1, 0),
        delivered(2, 1, CRITICAL),
        PowerChanged(3, 3, 2, False, 0),
        EventCompleted(4, 4, 1, CRITICAL, BASE, None),
        EventCompleted(5, 5, 1, 0, BASE, None),
    )
    now = machine(trace, now=3)
    rows = sequence.window(now)
    assert [row.depths for row in rows] == [(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 2, 0), (0, 1, 0)]
    assert [row.power[2] for row in rows] == [True, True, True, False, False]
    assert [row.later for row in rows] == [False] * 3 + [True] * 2
    rows = sequence.window(now, before=1, after=1)
    assert [row.entry.index for row in rows] == [3, 4]
    assert rows[0].depths == (0, 2, 0)


def test_a_reset_ends_what_ran() -> None:
    trace = (delivered(1, 0, 0), SystemReset(2, 2, 0))
    rows = sequence.window(moment(trace))
    assert [row.depths for row in rows] == [(0,), (0,)]
    after = sequence.svg(moment(trace))
    (bar,) = re.findall(r'class="bar"[^>]*y="([\d.]+)"[^>]*height="([\d.]+)"', after)
    assert float(bar[1]) == 11, "no longer than to the end of its row"


@pytest.mark.parametrize("vcpus", [1, 3, 8])
def test_every_moment_can_be_drawn(vcpus: int) -> None:
    it = session(vcpus)
    it.run(650)
    it.inject_event(CRITICAL)
    it.run(3000)
    for index in range(0, it.total, 61):
        it.goto(index)
        now = it.snapshot()
        root = ElementTree.fromstring(sequence.svg(now))
        box = [float(n) for n in root.attrib["viewBox"].split()]
        assert len(root.findall(f".//{SVG}g[@class='heads']/{SVG}text")) == vcpus + 1
        for bar in root.iter(f"{SVG}rect"):
            assert 0 <= float(bar.attrib["x"]) < box[2]
            assert 0 < float(bar.attrib["y"]) + float(bar.attrib["height"]) <= box[3]
        assert len(list(root.iter(f"{SVG}g"))) < 90, "bounded"
        depths = sequence.window(now)[-1].depths if sequence.window(now) else (0,) * vcpus
        assert all(0 <= depth <= 2 for depth in depths)


def test_walking_back_agrees_with_having_been_there() -> None:
    it = session(4)
    it.run(752)
    it.inject_event(CRITICAL)
    it.run(3000)
    seen = {}
    for index, _ in it.moments():
        it.goto(index)
        now = it.snapshot()
        seen[now.now] = tuple(len(p.contexts) for p in now.pes), tuple(p.on for p in now.pes)
    for row in sequence.window(now, before=1000):
        known = seen.get(row.entry.position)
        assert known is None or known == (row.depths, row.power), row.entry
    assert max(max(depths) for depths, _ in seen.values()) == 2


def test_the_drawing_tells_kinds_apart_and_where_now_is() -> None:
    it = session(3)
    it.run(700)
    it.goto(610)
    it.select(2)
    drawing = sequence.svg(it.snapshot())
    assert drawing.count('class="now"') == 1
    assert drawing.count('class="later"') == 3
    assert '<text class="shown"' in drawing
    assert "PE 1 ▶" in drawing
    for kind in ("call", "answer", "raise", "deliver"):
        assert f'class="stroke {kind}"' in drawing
    assert "--sdeiviz-ink" in drawing
    assert "<script" not in drawing
    text = sequence.text(it.snapshot())
    assert re.search(r"521  PE 0 -> PE 1 +○ event 0\n", text)
    assert re.search(r"600  hypervisor -> PE 1 +▼ event 0\n +now  -", text)


def test_foreign_names_stay_text() -> None:
    made = at(machine(call(1, 0, 0xC4000026, BASE)), listing=(machine().listing[0],))
    ElementTree.fromstring(sequence.svg(made))


# -- the revisions


def test_the_revisions_of_the_series() -> None:
    rows = {
        feature: dict(zip(revisions.REVISIONS, cells, strict=True))
        for feature, cells in revisions.ROWS
    }
    assert [*rows["patches"].values()] == ["?", "?", "?", "21", "22", "18", "22"]
    assert [v for v, has in rows["shared events, ROUTING_SET"].items() if has == "yes"] == [
        "v2",
        "v3",
        "v4",
        "v5",
    ]
    assert rows["critical events, nesting"]["v6"] == "yes"
    assert rows["critical events, nesting"]["v7"] == "no"
    assert rows["migration"]["v6"] == "none"
    assert revisions.text().count("\nv") == 6
    assert revisions.html().count("<tr>") == len(rows) + 1


def test_numbers_of_calls_are_those_of_the_definitions() -> None:
    assert words.function_name(0xC400002F) == Call.EVENT_SIGNAL.name
