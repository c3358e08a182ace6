"""Several vCPUs in one recording: forward, back and anywhere, and which of them is looked at."""

import random

import pytest

from sdeiviz import Error, Session
from sdeiviz.debugger import recording
from sdeiviz.sdei.table import State
from sdeiviz.trace import EventDelivered, HostInput, is_sdei
from tests.debugger.busy import Action, Oracle, state
from tests.machine.crew import QUANTUM, crew, session
from tests.machine.guest import BASE, MEMORY, guest
from tests.machine.machines import SMP

VCPUS = 3
INJECT = "inject_event"
CRITICAL = 0x4040_0001
INPUTS = [
    Action(120, "write_register", ("x15", 1000), {"vcpu": 2}),
    Action(612, INJECT, (CRITICAL,), {"vcpu": 1}),  # in the handler of event 0
    Action(612, INJECT, (0,), {"vcpu": 2}),
    Action(613, "cancel_event", (0,), {"vcpu": 2}),
    Action(700, "send_console", ("q",)),
    Action(700, "write_register", ("x20", 4), {"vcpu": 0}),
    Action(1200, INJECT, (CRITICAL,), {"vcpu": 0}),
]
END = 1500


@pytest.fixture(params=["one keyframe", "a keyframe each time"])
def often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    every = request.param != "one keyframe"
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1 if every else 1e9)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(crew(), profile="den0054c", vcpus=VCPUS, quantum=QUANTUM)


def play(it: Session, pace: int = 61) -> None:
    """Run to the end with all inputs on the way."""
    for action in [*INPUTS, None]:
        target = END if action is None else action.index
        while it.index < target:
            it.run(min(pace, target - it.index))
        if action is not None:
            getattr(it, action.method)(*action.arguments, **action.options)


# -- forward and back


def test_every_moment_is_the_plain_machines(often: None, oracle: Oracle) -> None:
    it = session(VCPUS)
    play(it)
    assert [*it.trace] == oracle.trace(INPUTS, END)
    dice = random.Random(11)
    turns = range(0, END, QUANTUM // 2)
    places = [*turns, *(a.index + n for a in INPUTS for n in (0, 1)), END]
    for index in dice.sample(places, len(places)):
        it.goto(index)
        assert it.index == index
        assert state(it) == oracle.state(INPUTS, index), index
    assert it.total == END
    assert not it.snapshot().forked


def test_n_steps_forward_and_n_back(often: None) -> None:
    it = session(VCPUS)
    it.run(560)
    states = [state(it)]
    seen = []
    for _ in range(140):
        it.step()
        states.append(state(it))
        seen.append(it.vcpu)
    assert set(seen) == {0, 1}
    for expected in reversed(states[:-1]):
        it.step_back()
        assert state(it) == expected
    it.step(140)
    assert state(it) == states[-1]
    it.step_back(140)
    assert state(it) == states[0]


def test_a_change_in_the_past_of_another_vcpu_forks(oracle: Oracle) -> None:
    it = session(VCPUS)
    it.run(900)
    it.goto(330)
    it.write_register("x9", 77, vcpu=1)
    assert (it.index, it.total, it.snapshot().forked) == (330, 330, True)
    history = [Action(330, "write_register", ("x9", 77), {"vcpu": 1})]
    it.run(400)
    assert state(it) == oracle.state(history, 730)
    it.goto(331)
    assert state(it) == oracle.state(history, 331)


# -- breakpoints


def hits(it: Session, end: int) -> list[tuple[int, int]]:
    """Run on and return (index, vCPU) of every breakpoint."""
    found = []
    while it.index < end:
        if it.run(end - it.index).reason == "breakpoint":
            found.append((it.index, it.vcpu))
    return found


def test_breakpoints_stop_every_vcpu_forward_and_back(often: None) -> None:
    it = session(VCPUS)
    for name in ("handler", "working", "round"):
        it.toggle_breakpoint(name)
    walk = session(VCPUS)
    wanted = []
    for _ in range(1400):
        if walk.snapshot().registers.pc in it.breakpoints and walk.index:
            wanted.append((walk.index, walk.vcpu))
        walk.step()
    assert {vcpu for _, vcpu in wanted} == {0, 1, 2}
    assert hits(it, 1400) == wanted
    back = []
    while it.run_back():
        back.append((it.index, it.vcpu))
    assert back == wanted[::-1]
    assert it.index == 0
    assert hits(it, 1400) == wanted


def test_a_breakpoint_where_a_turn_begins() -> None:
    it = session(VCPUS)
    it.run(300)
    it.goto(150)
    assert it.vcpu == 1
    it.toggle_breakpoint(it.snapshot().registers.pc)
    for start in (60, 100, 149):
        it.goto(start)
        assert (it.run().reason, it.index, it.vcpu) == ("breakpoint", 150, 1)
    it.goto(290)
    assert it.run_back()
    assert (it.index, it.vcpu) == (150, 1)


def test_moments_of_sdei_on_every_vcpu(often: None) -> None:
    it, walk = session(VCPUS), session(VCPUS)
    walk.run(1400)
    wanted = sorted({event.index for event in walk.trace if is_sdei(event)})
    seen = []
    while it.index < wanted[-1]:
        it.next_sdei()
        seen.append(it.index)
    assert seen == wanted
    back = []
    while it.index > wanted[0]:
        it.previous_sdei()
        back.append(it.index)
    assert back == wanted[-2::-1]


# -- which one is looked at


def test_the_vcpu_whose_turn_it_is_unless_one_is_selected() -> None:
    it = session(VCPUS)
    assert (it.vcpu, it.snapshot().vcpu, it.snapshot().pinned) == (0, 0, False)
    it.step(160)
    assert it.vcpu == 1
    here = it.snapshot()
    assert here.registers.pc == here.pe.pc == here.pes[1].pc
    it.select(0)
    pinned = it.snapshot()
    assert (it.vcpu, pinned.vcpu, pinned.pinned) == (0, 0, True)
    assert pinned.registers.pc == here.pes[0].pc
    assert pinned.listing[8].address == pinned.registers.pc
    it.step()
    assert it.index == 161
    assert it.snapshot().registers == pinned.registers == it.snapshot().previous
    it.select(None)
    assert it.snapshot().previous == here.registers, "the same vCPU's, not the one shown before"
    for wrong in (3, -1, "0", 1.0):
        with pytest.raises(Error, match="this machine has 3"):
            it.select(wrong)  # type: ignore[arg-type]


def test_a_step_of_one_vcpu_passes_over_the_others_turns() -> None:
    it = session(VCPUS)
    with pytest.raises(Error, match="vCPU 2 is switched off"):
        it.step(vcpu=2)
    it.step(160)
    before = it.snapshot().pes[0].pc
    it.step(vcpu=0)
    assert it.index == 451, "after the turns of vCPU 1 and 2"
    assert it.snapshot().pes[0].pc != before
    it.step(3, vcpu=0)
    assert it.index == 454
    it.step_back(200)
    it.step(vcpu=0)
    assert (it.index, it.total) == (451, 454)
    for count in (1, 7):
        it.goto(160)
        it.step(count, vcpu=2)
        assert it.index == 300 + count


def test_a_step_of_a_vcpu_that_waits_for_ever_ends_with_the_machine() -> None:
    it = session(2)
    it.run()
    end = it.total
    it.goto(end - 1)
    it.select(0)
    it.step(9, vcpu=0)
    assert it.index == end
    with pytest.raises(Error, match="switched off"):
        it.step(vcpu=1)


def test_a_step_of_a_vcpu_that_a_reset_switches_off_ends() -> None:
    made = guest(
        SMP
        + """
        mrs x9, cntvct_el0
        cmp x9, #20                 // the clock goes on over a reset
        b.hi spin
        cpu_on 1, spin
        mov x2, #300
    wait: subs x2, x2, #1
        b.ne wait
        call 0x84000009
    spin: b spin
    """
    )
    it = Session(made.path, load_address=BASE, memory=MEMORY, vcpus=2, quantum=200, clock="native")
    it.run(600)
    while it._vm.vcpus[1].on:
        assert it.step_vcpu(1) is None
    assert it.index < 2000


def test_inputs_go_to_the_vcpu_shown_or_named() -> None:
    it = session(VCPUS)
    it.run(600)
    it.select(2)
    assert it.inject_event(CRITICAL) == 0
    assert it.inject_event(CRITICAL, vcpu=0) == 0
    it.write_register("x15", 5)
    it.cancel_event(CRITICAL)
    inputs = [(e.vcpu, e.action) for e in it.trace if isinstance(e, HostInput)]
    assert inputs == [(2, "inject"), (0, "inject"), (2, "register"), (2, "cancel")]
    assert it.snapshot().registers.x[15] == 5
    assert it.inject_event(0x4040_0028) == -22
    with pytest.raises(Error, match="no vCPU 9"):
        it.inject_event(0, vcpu=9)


# -- what a snapshot says


def test_a_snapshot_has_every_pe() -> None:
    it = session(VCPUS)
    first = it.snapshot()
    assert [pe.state for pe in first.pes] == ["running", "off", "off"]
    assert not first.simple
    it.run(612)
    it.inject_event(CRITICAL)
    now = it.snapshot()
    one = now.pes[1]
    assert [pe.state for pe in now.pes] == ["ready", "running", "ready"]
    assert [(c.event, pe.number) for pe in now.pes for c in pe.contexts] == [(0, 1), (CRITICAL, 1)]
    assert (one.symbol, one.level, one.masked, one.affinity) == ("critical", "EL1h", False, 1)
    running = [h.event for h in one.handlers if h.state is State.ENABLED_RUNNING]
    assert running == [CRITICAL, 0]


def test_a_snapshot_has_shared_events_slots_and_interrupts() -> None:
    it = session(VCPUS)
    it.run(500)
    now = it.snapshot()
    routed = {h.event: (h.state.name, h.routed_to, h.interrupt) for h in now.shared}
    assert routed == {
        0x4040_0028: ("ENABLED", 1, 40),
        0x4040_0029: ("UNREGISTERED", None, 41),
        0x4000_1000: ("ENABLED", None, 71),
    }
    assert [(s.event, s.shared, s.interrupt) for s in now.slots] == [
        (0x4000_0000, False, None),
        (0x4000_0001, False, None),
        (0x4000_1000, True, 71),
        (0x4000_1001, True, None),
    ]
    assert {(i.intid, i.owned) for i in now.interrupts} >= {(27, False), (71, True), (40, True)}
    it.run(10_000)
    (delivered,) = [e for e in it.trace if isinstance(e, EventDelivered) and e.event == 0x4000_1000]
    it.goto(delivered.index)
    (shared,) = [h for h in it.snapshot().shared if h.state is State.ENABLED_RUNNING]
    assert (shared.event, shared.running_on) == (0x4000_1000, delivered.vcpu)


def test_one_vcpu_of_the_series_is_simple() -> None:
    it = Session("delivery")
    assert it.snapshot().simple
    assert (it.snapshot().shared, it.snapshot().slots, it.vcpu) == ((), (), 0)
    assert not Session("delivery", "den0054c").snapshot().simple
