"""Breakpoints, forward and back, wherever the run is cut; and the moments of SDEI."""

import random

import pytest

from sdeiviz import Session
from sdeiviz.cpu import End, core
from sdeiviz.debugger import recording
from sdeiviz.trace import is_sdei
from tests.debugger.busy import BUSY, Action, Oracle, session, state
from tests.machine.guest import Guest, guest

INJECT = "inject_event"


@pytest.fixture(params=["one keyframe", "a keyframe each time", "sliced at random"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a run is cut: nowhere, in keyframes, or as often as if the host were very slow."""
    every = request.param != "one keyframe"
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1 if every else 1e9)
    if request.param == "sliced at random":
        dice = random.Random(9)
        whole = core.Core.run

        def run(self: core.Core, target: int) -> End:
            cut = min(target, self.index + dice.randint(1, 5))
            end = whole(self, cut)
            return End.SLICE if end is End.TARGET and cut < target else end

        monkeypatch.setattr(core.Core, "run", run)
    return str(request.param)


def walk(made: Guest, end: int) -> tuple[list[int], list[Action]]:
    """Return PC at each index, and the injections that woke the guest whenever it waited."""
    vm = made.vm()
    pcs: list[int] = []
    inputs = []
    while vm.index < end:
        if vm.stopped:
            if vm.stopped.reason != "wfi" or vm.inject_event(0):
                break
            inputs.append(Action(vm.index, INJECT, (0,)))
        assert len(pcs) == vm.index
        pcs.append(vm.vcpus[0].pc)
        vm.run(1)
    return pcs, inputs


def places(made: Guest = BUSY) -> list[int]:
    return [made[name] for name in ("again", "leaf", "handler", "resumed", "caught", "vectors")]


def hits_of(pcs: list[int], breakpoints: set[int]) -> list[int]:
    return [index for index, pc in enumerate(pcs) if pc in breakpoints]


def live(it: Session, end: int) -> list[int]:
    """Run on to an index, injecting whenever the guest waits; return where it broke."""
    stops = []
    while it.index < end:
        stop = it.run(end - it.index)
        if stop.reason == "breakpoint":
            stops.append(it.index)
        elif stop.reason == "wfi":
            it.inject_event(0)
        else:
            assert stop.reason in ("budget", "power-off")
            if stop.reason == "power-off":
                break
    return stops


@pytest.mark.parametrize("clock", ["native", "python"])
@pytest.mark.parametrize(
    "names",
    [
        ("handler",),
        ("leaf",),
        ("again", "caught"),
        ("resumed", "leaf", "handler", "again", "_start"),
    ],
)
def test_forward_and_back(names: tuple[str, ...], clock: str, way: str) -> None:
    end = 500
    pcs, inputs = walk(BUSY, end)
    breakpoints = {BUSY[name] for name in names}
    hits = hits_of(pcs, breakpoints)
    woken = {action.index for action in inputs}
    assert len(hits) >= 3
    it = session(clock=clock)
    for place in breakpoints:
        assert it.toggle_breakpoint(place)

    # Recording. Where it stands when it is told to go on, it goes on.
    assert live(it, end) == [i for i in hits if i not in woken | {0}]
    assert (it.index, len(it._recording.inputs)) == (end, len(inputs))

    # Back, each one once and then the start.
    back: list[int] = []
    while len(back) <= len(hits) and it.run_back():
        back.append(it.index)
        assert it.snapshot().registers.pc in breakpoints
    assert back == hits[::-1]
    assert it.index == 0

    # Forward again through what is recorded: also those at which the host acted.
    forward = []
    while it.index < end:
        stop = it.run(end - it.index)
        if stop.reason == "breakpoint":
            forward.append(it.index)
    assert forward == [i for i in hits if i]
    assert it.total == end


def test_from_anywhere(way: str) -> None:
    end = 300
    pcs, _ = walk(BUSY, end)
    breakpoints = {BUSY["leaf"], BUSY["caught"], BUSY["handler"]}
    hits = hits_of(pcs, breakpoints)
    it = session()
    live(it, end)
    for place in breakpoints:
        it.toggle_breakpoint(place)
    dice = random.Random(4)
    around = [hit + d for hit in hits for d in (-1, 0, 1)]
    for start in [0, end, *around, *dice.choices(range(end), k=20)]:
        if not 0 <= start <= end:
            continue
        it.goto(start)
        assert it.run_back() is any(hit < start for hit in hits)
        assert it.index == max([hit for hit in hits if hit < start], default=0)
        it.goto(start)
        stop = it.run(end - start)
        following = min([hit for hit in hits if hit > start], default=end)
        assert it.index == following
        assert stop.reason == ("breakpoint" if following in hits else "budget")
    assert state(it) == Oracle().state(walk(BUSY, end)[1], it.index)


LOOP = guest("""
    .global first, second, loop, last
first:
    mov x1, #5
loop:
    nop
second:
    subs x1, x1, #1
    b.ne loop
last:
    off
never:
    nop
""")


def test_at_the_first_instruction() -> None:
    it = session(made=LOOP)
    it.toggle_breakpoint(LOOP["first"])
    assert it.run().reason == "power-off"  # it stands on it already
    assert it.run_back()
    assert it.index == 0
    assert it.run_back() is False
    assert it.run().reason == "power-off"


def test_each_round_of_a_loop() -> None:
    it = session(made=LOOP)
    it.toggle_breakpoint(LOOP["second"])
    indices = []
    while it.run().reason == "breakpoint":
        indices.append(it.index)
        assert it.snapshot().registers.pc == LOOP["second"]
    assert indices == [2, 5, 8, 11, 14]
    assert it.snapshot().stopped


def test_every_instruction_of_a_loop() -> None:
    it = session(made=LOOP)
    for place in range(LOOP["loop"], LOOP["last"], 4):
        it.toggle_breakpoint(place)
    indices = []
    while it.run().reason == "breakpoint":
        indices.append(it.index)
    assert indices == list(range(1, 16))


def test_a_loop_of_one_instruction() -> None:
    made = guest("nop\n nop\n here: b here")
    it = session(made=made)
    it.toggle_breakpoint(made["here"])
    for index in range(2, 20):
        assert (it.run().reason, it.index) == ("breakpoint", index)
    for index in reversed(range(2, 19)):
        assert it.run_back()
        assert it.index == index


def test_one_that_is_never_reached() -> None:
    it = session(made=LOOP)
    it.toggle_breakpoint(LOOP["never"])
    it.toggle_breakpoint(0x10)
    it.toggle_breakpoint((1 << 64) - 4)
    assert it.run().reason == "power-off"
    assert it.run_back() is False
    assert it.index == 0


@pytest.mark.parametrize("before", range(1, 6))
def test_on_the_first_instruction_after_a_stop(before: int) -> None:
    """Stopped for another reason just before or on it."""
    it = session(made=LOOP)
    it.toggle_breakpoint(LOOP["second"])
    it.toggle_breakpoint(LOOP["second"])
    it.toggle_breakpoint(LOOP["second"])
    it.step(before)
    stop = it.run()
    following = next(i for i in (2, 5, 8, 11, 14) if i > before)
    assert (stop.reason, it.index) == ("breakpoint", following)


def test_set_and_removed_while_standing_on_it() -> None:
    it = session(made=LOOP)
    it.run(4)
    assert it.toggle_breakpoint(LOOP["second"]) is True
    it.run()
    assert it.index == 5
    assert it.toggle_breakpoint(LOOP["second"]) is False
    assert it.breakpoints == ()
    assert it.run().reason == "power-off"


def test_on_a_faulting_instruction_and_in_its_handler() -> None:
    made = guest("""
        ldr x1, =vectors
        msr vbar_el1, x1
        nop
    fault:
        udf #0
    after:
        off
        all_vectors handler
    handler:
        mrs x2, elr_el1
        add x2, x2, #4
        msr elr_el1, x2
        eret
    """)
    it = session(made=made)
    for name in ("fault", "handler", "after"):
        it.toggle_breakpoint(made[name])
    it.toggle_breakpoint(made["vectors"] + 0x200)
    stops = []
    while it.run().reason == "breakpoint":
        stops.append((it.index, it.snapshot().registers.pc))
    assert stops == [
        (3, made["fault"]),
        (4, made["vectors"] + 0x200),
        (5, made["handler"]),
        (9, made["after"]),
    ]
    for index, pc in reversed(stops):
        assert it.run_back()
        assert (it.index, it.snapshot().registers.pc) == (index, pc)


def test_at_an_address_of_the_guests_own_tables() -> None:
    """A breakpoint is at a virtual address: the same code elsewhere is another place."""
    made = guest("""
        ldr x1, =vectors
        msr vbar_el1, x1
        mmu_on
        ldr x1, =twice + 0x1000
        br x1
        .ltorg
        .align 12
    twice:
        add x5, x5, #1
        tbnz x5, #1, 1f
        ldr x1, =twice
        br x1
    1:  off
        .ltorg
        .align 12
        all_vectors handler
    handler:
        off
    """)
    for offset, hits in ((0, [18]), (0x1000, [14]), (0x2000, [])):
        it = session(made=made)
        vm = it._vm
        tables = bytearray(made.vm({}).memory[0x400F_0000:0x400F_3000])
        entry = 0x2000 + ((made["twice"] + 0x1000 - 0x4000_0000) >> 12) * 8
        tables[entry : entry + 8] = tables[entry - 8 : entry]  # the page is mapped twice
        it.write_memory(0x400F_0000, bytes(tables))
        it.toggle_breakpoint(made["twice"] + offset)
        found = []
        while it.run().reason == "breakpoint":
            found.append(it.index)
        assert vm.vcpus[0].x[5] == 2
        base = 15
        assert [i - base for i in found] == [h - 14 for h in hits]


def test_by_symbol() -> None:
    it = Session("delivery")
    assert it.toggle_breakpoint("handler")
    assert it.run().reason == "breakpoint"
    assert it.snapshot().symbol == "handler"
    assert it.breakpoints == (it.snapshot().registers.pc,)
    assert it.toggle_breakpoint("handler") is False


def test_code_of_the_breakpoints_stays_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook at one address, not one at every instruction."""
    calls = []
    made = guest("mov x1, #0\n again: add x1, x1, #1\n b again\n elsewhere: nop")
    it = session(made=made)
    it.toggle_breakpoint(made["elsewhere"])
    whole = core.Core._on_breakpoint
    monkeypatch.setattr(
        core.Core, "_on_breakpoint", lambda self, *a: (calls.append(a), whole(self, *a))
    )
    it.run(10_000)
    assert calls == []


# -- moments of SDEI


def test_next_and_previous_moment(way: str) -> None:
    end = 400
    _, inputs = walk(BUSY, end)
    trace = Oracle().trace(inputs, end)
    moments = sorted({event.index for event in trace if is_sdei(event)})
    woken = {action.index for action in inputs}
    it = session()

    # Recording: to each moment that the guest makes itself.
    found: list[int] = []
    while it.index < moments[-1] and len(found) <= len(moments):
        stop = it.next_sdei()
        if stop is None:
            found.append(it.index)
        else:
            assert stop.reason == "wfi"
            it.inject_event(0)
    assert found == [index for index in moments if index not in woken]
    assert [*it.trace] == [event for event in trace if event.index <= moments[-1]]

    back: list[int] = []
    while it.index and len(back) <= len(moments):
        it.previous_sdei()
        back.append(it.index)
    assert back == [*moments[:-1][::-1], 0]

    forward: list[int] = []
    while it.index < moments[-1] and len(forward) <= len(moments):
        assert it.next_sdei() is None
        forward.append(it.index)
    assert forward == moments


def test_a_delivery_to_a_waiting_guest_is_a_moment() -> None:
    """It has the index of the stop before it."""
    pcs, inputs = walk(BUSY, 200)
    it = session()
    live(it, 200)
    it.goto(inputs[0].index - 1)
    assert it.next_sdei() is None
    assert it.index == inputs[0].index
    assert it.snapshot().registers.pc == BUSY["handler"] == pcs[it.index]
    assert dict(it.moments())[it.index] in ("deliver", "stop")


def test_next_moment_of_a_guest_without_any() -> None:
    it = session(made=guest("nop\n nop\n off"))
    stop = it.next_sdei()
    assert stop
    assert (stop.reason, it.index) == ("power-off", 4)
    it.previous_sdei()
    assert it.index == 0


def test_the_moments_for_the_scrubber() -> None:
    it = Session("delivery")
    it.run()
    moments = it.moments()
    assert [index for index, _ in moments] == sorted({index for index, _ in moments})
    kinds = [kind for _, kind in moments]
    assert kinds.count("deliver") == 2
    assert kinds.count("complete") == 2
    assert kinds[-1] == "stop"
    it.goto(moments[3][0] + 1)
    it.write_register("x20", 1)
    again = it.moments()
    assert again == [*moments[:4], (it.index, "input")]


def test_moments_of_another_history_that_became_longer_than_the_first() -> None:
    """Nobody looked between the cut and the new moments."""
    it = session()
    live(it, 300)
    it.moments()
    it.goto(150)
    it.write_register("x26", 200)
    live(it, 1500)
    fresh = session()
    live(fresh, 150)
    fresh.write_register("x26", 200)
    live(fresh, 1500)
    assert it.moments() == fresh.moments()
    assert [*it.trace] == [*fresh.trace]
