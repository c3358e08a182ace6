"""Forward, back and anywhere in a recording: always the state that a plain machine has there."""

import random

import pytest

from sdeiviz import Error, Session
from sdeiviz.debugger import recording
from sdeiviz.trace import EventDelivered, HostInput, SystemReset
from tests.debugger.busy import BUSY, Action, Oracle, session, state
from tests.machine.guest import BASE, DATA, guest

INJECT = "inject_event"


@pytest.fixture(params=["one keyframe", "a keyframe each time"])
def often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether every advance ends in a keyframe; they are made by time, which is none here."""
    every = request.param == "a keyframe each time"
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1 if every else 1e9)
    return every


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


def record(it: Session, inputs: list[Action], end: int, pace: int = 37) -> None:
    """Run to an index with inputs on the way, a stretch at a time."""
    for action in [*inputs, None]:
        target = end if action is None else action.index
        while it.index < target:
            before = it.index
            it.run(min(pace, target - it.index))
            assert it.index > before
        if action is not None:
            getattr(it, action.method)(*action.arguments)


# How many instructions after the one before (None: when it waits), and what.
SCRIPT: list[tuple[int | None, str, tuple[object, ...]]] = [
    (0, "send_console", ("q",)),
    (20, "write_register", ("x15", 1000)),
    (None, INJECT, (0,)),
    (7, INJECT, (0,)),
    (0, INJECT, (0,)),
    (0, "cancel_event", (0,)),
    (40, "write_memory", (BUSY["leaf"], bytes.fromhex("ef110091"))),  # add x15, x15, #4
    (30, "write_memory", (DATA + 0x8000, b"from outside")),
    (0, "send_console", ("zz",)),
    (0, "write_register", ("x28", 7)),
    (70, INJECT, (1,)),
    (None, "write_register", ("x20", 3)),
    (0, INJECT, (0,)),
    (90, "write_register", ("vbar_el1", BUSY["vectors"])),
]


def plan() -> list[Action]:
    """Find the index of each action."""
    vm = BUSY.vm()
    inputs = []
    for gap, method, arguments in SCRIPT:
        vm.run(gap)
        assert vm.stopped if gap is None else not (gap and vm.stopped)
        inputs.append(Action(vm.index, method, arguments))
        getattr(vm, method)(*arguments)
    return inputs


INPUTS = plan()
END = INPUTS[-1].index + 20


def known_end(oracle: Oracle, inputs: list[Action], index: int) -> int:
    """Where a run with these inputs is at that index: there, or where it stopped before."""
    return oracle.run(inputs, index).index


def test_the_inputs_do_what_they_are_for(oracle: Oracle) -> None:
    """Else the tests below would compare nothing."""
    vm = oracle.run(INPUTS, END)
    kinds = {e.action for e in vm.trace if isinstance(e, HostInput)}
    assert kinds == {"inject", "cancel", "register", "memory", "console"}
    assert len([e for e in vm.trace if isinstance(e, EventDelivered)]) >= 4
    assert vm.vcpus[0].x[15] > 1020
    assert "r" in vm.console


def test_forward_and_back_by_single_steps(often: bool, oracle: Oracle) -> None:
    it = session()
    seen = [state(it)]
    for _ in range(200):
        for action in INPUTS:
            if action.index == it.index == it.total:
                getattr(it, action.method)(*action.arguments)
                seen[-1] = state(it)
        it.step()
        seen.append(state(it))
    assert [s.index for s in seen] == list(range(201))
    for index in reversed(range(200)):
        it.step_back()
        assert state(it) == seen[index]
    for index in range(1, 201):
        it.step()
        assert state(it) == seen[index]
    assert it.total == 200
    assert len(it._recording.keyframes) > 100 if often else len(it._recording.keyframes) == 1
    inputs = [a for a in INPUTS if a.index < 200]
    assert seen[200] == oracle.state(inputs, 200)
    assert [*it.trace] == oracle.trace(inputs, 200)


def test_anywhere(often: bool, oracle: Oracle) -> None:
    it = session()
    record(it, INPUTS, END)
    assert [*it.trace] == oracle.trace(INPUTS, END)
    dice = random.Random(2)
    for index in [
        0,
        END,
        0,
        1,
        END - 1,
        *(a.index for a in INPUTS),
        *dice.choices(range(END + 1), k=150),
    ]:
        it.goto(index)
        assert state(it) == oracle.state(INPUTS, index)
    assert (it.total, len(it._recording.inputs)) == (END, len(INPUTS))
    assert [*it.trace] == oracle.trace(INPUTS, END)


def test_from_every_keyframe(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> None:
    """Each leads to the same end, and what happens on the way is the same to the byte."""
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1)
    it = session()
    record(it, INPUTS, END)
    past = it._recording
    assert len(past.keyframes) >= 15
    expected = oracle.trace(INPUTS, END)
    for number, keyframe in enumerate(past.keyframes):
        past._restore(number)
        it.step(END - keyframe.index)
        assert state(it) == oracle.state(INPUTS, END)
        rest = [e for e in expected if e.index > keyframe.index]
        # At its own index a keyframe has had some inputs, and the others come again.
        assert [*past._again][-len(rest) :] == rest


@pytest.mark.parametrize("clock", ["native", "python"])
def test_steps_runs_and_jumps_record_the_same(clock: str, oracle: Oracle) -> None:
    it = session(clock=clock)
    dice = random.Random(5)
    for action in [*INPUTS, Action(END, "", ())]:
        while it.index < action.index:
            left = action.index - it.index
            move = dice.randrange(4)
            if move == 0:
                it.step(dice.randint(1, left))
            elif move == 1:
                it.run(dice.randint(1, left))
            elif move == 2:
                it.step_back(dice.randint(1, 50))
                it.goto(it.total)
            else:
                it.goto(dice.randint(0, it.total))
                it.goto(it.total)
        if action.method:
            getattr(it, action.method)(*action.arguments)
    assert state(it) == oracle.state(INPUTS, END)
    assert [*it.trace] == oracle.trace(INPUTS, END)


@pytest.mark.parametrize(
    ("move", "index"), [(lambda it: it.goto(40), 20), (lambda it: it.run_back(), 0)]
)
def test_a_request_to_stop_ends_a_way_through_the_past(move: object, index: int) -> None:
    it = session()
    it.run(50)
    it.goto(20)
    it.request_stop()
    with pytest.raises(KeyboardInterrupt):
        move(it)  # type: ignore[operator]
    assert it.index == index
    it.goto(40)
    assert it.index == 40


# -- another history


@pytest.mark.parametrize(
    "at", sorted({0, 1, END - 1} | {a.index + n for a in INPUTS for n in (0, 1)})
)
def test_a_change_in_the_past_cuts_the_future(at: int, often: bool, oracle: Oracle) -> None:
    it = session()
    record(it, INPUTS, END)
    assert not it.snapshot().forked
    it.goto(at)
    it.write_register("x20", 0x77)
    history = [a for a in INPUTS if a.index <= at] + [Action(at, "write_register", ("x20", 0x77))]
    assert (it.index, it.total) == (at, at)
    assert it.snapshot().forked
    assert state(it) == oracle.state(history, at)
    assert [*it.trace] == oracle.trace(history, at)
    assert it._recording.keyframes[-1].index <= at

    # The new future is recorded like the old one was.
    more = Action(known_end(oracle, history, at + 40), INJECT, (0,))
    record(it, [more], more.index, pace=11)
    assert it.index == more.index
    it.run(60)
    history.append(more)
    end = it.total
    assert end == known_end(oracle, history, more.index + 60)
    for index in (end, 0, at, max(at - 1, 0), min(at + 1, end), end // 2, end):
        it.goto(index)
        assert state(it) == oracle.state(history, index)
    assert [*it.trace] == oracle.trace(history, end)


@pytest.mark.parametrize(
    "act",
    [
        lambda it: it.inject_event(0),
        lambda it: it.cancel_event(0),
        lambda it: it.write_register("x1", 1),
        lambda it: it.write_memory(DATA, b"x"),
        lambda it: it.send_console("x"),
    ],
)
def test_every_kind_of_action_forks(act: object) -> None:
    it = session()
    it.run(50)
    it.goto(20)
    act(it)  # type: ignore[operator]
    assert (it.total, it.snapshot().forked, it.index) == (20, True, 20)


def test_looking_around_does_not_fork() -> None:
    it = session()
    it.run(50)
    it.goto(20)
    it.snapshot()
    it.moments()
    it.listing()
    it.read_memory(DATA, 64)
    it.toggle_breakpoint(BASE)
    it.step_back()
    it.run(3)
    assert (it.total, it.snapshot().forked) == (50, False)


def test_an_event_at_a_cut_is_neither_lost_nor_doubled() -> None:
    """A console line, an exception, an external abort, and a cut just before and just after."""
    made = guest("""
        ldr x1, =UART
        mov w2, #10
        ldr x3, =vectors
        msr vbar_el1, x3
        strb w2, [x1]
        svc #0
        str w2, [x1, xzr]
        stp w2, w2, [x1]
        hvc #0
        wfi
        .ltorg
        all_vectors caught
    caught:
        mrs x4, esr_el1
        tbz x4, #31, 1f
        mrs x5, elr_el1
        add x5, x5, #4
        msr elr_el1, x5
    1:  eret
    """)
    it = session(made=made)
    it.run()
    expected = [*it.trace]
    assert len(expected) == 9
    for cut in range(it.total + 1):
        it = session(made=made)
        it.run()
        it.goto(cut)
        it.write_register("x20", 1)
        it.run()
        assert [e for e in it.trace if not isinstance(e, HostInput)] == expected


# -- memory for keyframes


WRITER = """
    // 180 pages, over and over, each time with something else.
    ldr x1, =RAM_FREE
    mov x9, #0
again:
    mov x2, x1
    mov x3, #180
1:  add x9, x9, #1
    str x9, [x2]
    str x9, [x2, #2048]
    add x2, x2, #4096
    subs x3, x3, #1
    b.ne 1b
    b again
""".replace("RAM_FREE", "0x40001000").replace("#180", "#110")


@pytest.mark.parametrize("limit", [1, 1 << 20, 3 << 20, 64 << 20])
def test_a_guest_that_writes_much_and_little_memory_for_it(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keyframes are given up, never a state."""
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1)
    made = guest(WRITER)
    it = session(limit, made)
    oracle = Oracle(made)
    dice = random.Random(limit)
    for _ in range(40):
        it.run(dice.randint(50, 400))
        past = it._recording
        assert sum(k.size for k in past.keyframes) <= limit or len(past.keyframes) == 1
    count = len(past.keyframes)
    assert {1: count == 1, 64 << 20: count == 41}.get(limit, 1 < count < 41)
    indices = [k.index for k in past.keyframes]
    assert indices == sorted(indices)
    assert indices[0] == 0
    for _ in range(25):
        index = dice.randint(0, it.total)
        it.goto(index)
        assert state(it) == oracle.state([], index)
        if dice.randrange(3) == 0:
            it.goto(it.total)
            it.run(dice.randint(1, 300))
    # And another history from the middle.
    it.goto(it.total // 2)
    fork = Action(it.index, "write_memory", (0x4000_1008, b"fork"))
    it.write_memory(*fork.arguments)  # type: ignore[arg-type]
    for _ in range(12):
        it.run(dice.randint(50, 400))
    for _ in range(12):
        index = dice.randint(0, it.total)
        it.goto(index)
        assert state(it) == oracle.state([fork], index)


def test_a_keyframe_holds_the_pages_written_since_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1)
    store = "str x1, [x1]\n add x1, x1, #4096\n"
    it = session(made=guest("ldr x1, =DATA\n" + 3 * store))
    for _ in range(7):
        it.step()
    pages = [set(keyframe.state.pages) for keyframe in it._recording.keyframes]
    # The device tree is on page 0, the image on 0x80, DATA on 0xc0.
    assert pages == [{0, 0x80}, set(), {0xC0}, set(), {0xC1}, set(), {0xC2}, set()]


def test_a_page_the_host_writes_belongs_to_the_recording(often: bool) -> None:
    made = guest("again: ldr x1, [x2]\n add x3, x3, x1\n b again")
    it = session(made=made)
    it.write_register("x2", DATA)
    for value in (1, 10, 100):
        it.write_memory(DATA, value.to_bytes(8, "little"))
        it.run(9)
    assert it.snapshot().registers.x[3] == 3 + 30 + 300
    for index, sum_, content in ((0, 0, 1), (8, 3, 1), (9, 3, 10), (18, 33, 100), (27, 333, 100)):
        it.goto(index)
        assert it.snapshot().registers.x[3] == sum_
        assert it.read_memory(DATA, 8) == content.to_bytes(8, "little")


def test_a_reset_inside_a_recording(often: bool) -> None:
    made = guest("""
        mrs x9, cntvct_el0
        ldr x1, =DATA
        str x9, [x1]
        cmp x9, #20
        b.hi 1f
        .rept 60
        nop
        .endr
        call 0x84000009
    1:  off
    """)
    it = session(made=made)
    oracle = Oracle(made)
    while not it.snapshot().stopped:
        it.run(13)
    assert len([e for e in it.trace if isinstance(e, SystemReset)]) == 6
    for index in reversed(range(0, it.total + 1, 5)):
        it.goto(index)
        assert state(it) == oracle.state([], index)
    assert [*it.trace] == oracle.trace([], it.total)


# -- the end


def test_stepping_at_the_end_of_a_machine_does_nothing() -> None:
    it = session(made=guest("nop\n off"))
    it.step(10)
    assert (it.index, it.total) == (3, 3)
    for _ in range(3):
        it.step()
        assert it.run().reason == "power-off"
    assert it.index == 3
    it.step_back()
    it.step()
    assert (it.index, it.snapshot().stopped) == (3, "the guest switched the machine off")


def test_stepping_back_at_the_start_does_nothing() -> None:
    it = session()
    it.step_back()
    it.step_back(1000)
    assert it.index == 0
    it.step(3)
    it.step_back(1000)
    assert it.index == 0


def test_a_full_recording_says_so_and_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_EVENTS", 40)
    it = session()

    def fill() -> None:
        for _ in range(50):
            it.run(20)
            if it.snapshot().stopped:
                it.inject_event(0)

    with pytest.raises(Error, match="full"):
        fill()
    end = it.total
    assert 40 <= len(it.trace) < 60
    with pytest.raises(Error, match="full"):
        it.run(10)
    with pytest.raises(Error, match="full"):
        it.step()
    assert (it.index, it.total) == (end, end)
    it.goto(10)
    it.run(5)
    it.goto(end)
    it.goto(20)
    it.write_register("x1", 1)  # another history has room again
    it.run(5)
    assert it.total == 25


def test_a_session_of_a_bundled_guest() -> None:
    it = Session("delivery")
    it.run()
    end, events = it.total, [*it.trace]
    it.start()
    assert it.index == 0
    it.step(end)
    assert (it.index, [*it.trace]) == (end, events)
