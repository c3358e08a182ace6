"""The instruction index is architectural: counted by hand, and the same however a run is cut."""

import random

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.cpu import core
from tests.cpu.zoo import ZOO
from tests.machine.guest import everything, guest, step_through, trace_bytes

VARIANTS = ["native", "python", "copied registers"]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each clock, and a core whose registers cannot be reached in place."""
    if request.param == "copied registers":
        monkeypatch.setattr(core, "find_live_state", lambda uc, layout: None)
    return str(request.param)


def machine(name: str, variant: str) -> VirtualMachine:
    clock = "native" if variant == "copied registers" else variant
    vm = guest(ZOO[name].source).vm(clock=clock)
    assert vm.clock == clock
    assert vm.vcpus[0].core.copies_registers is (variant == "copied registers")
    return vm


@pytest.mark.parametrize("name", ZOO)
def test_counted_by_hand(name: str, variant: str) -> None:
    vm = machine(name, variant)
    stop = vm.run_to(ZOO[name].end)
    assert [(type(event).__name__, event.index) for event in vm.trace] == ZOO[name].events
    assert (vm.index, stop.index) == (ZOO[name].end, ZOO[name].end)
    assert [event.time for event in vm.trace] == [event.index for event in vm.trace]


@pytest.mark.parametrize("name", ZOO)
def test_a_stop_at_every_index(name: str, variant: str) -> None:
    """Stepped, in one run, and in two runs cut anywhere: the same states and the same trace."""
    vm = machine(name, variant)
    start = vm.save()
    end = ZOO[name].end
    stepped = [everything(vm)]
    while vm.index < end and not vm.stopped:
        vm.run_to(vm.index + 1)
        stepped.append(everything(vm))
    assert [state.index for state, _ in stepped] == list(range(len(stepped)))
    assert stepped[-1][0].index == end

    for index in range(1, end + 1):
        vm.load(start)
        vm.trace = type(vm.trace)()
        vm.run_to(index)
        assert everything(vm) == stepped[index]
        vm.run_to(end)
        assert everything(vm) == stepped[-1]


@pytest.mark.parametrize("name", ZOO)
def test_every_machine_is_the_same(name: str) -> None:
    results = [machine(name, clock) for clock in ("native", "python")]
    for vm in results:
        vm.run_to(ZOO[name].end)
    assert everything(results[0]) == everything(results[1])


LONG = """
    ldr x1, =vectors
    msr vbar_el1, x1
    ldr x20, =DATA
    ldr x21, =UART
    mov x22, #60
again:
    mov x2, #3
1:  add x3, x3, x2
    str x3, [x20, x2, lsl 3]
    subs x2, x2, #1
    b.ne 1b
    ldr x4, [x20, #16]
    eor x3, x3, x4, ror 9
    tbz x3, #2, 2f
    svc #1
2:  tbz x3, #3, 3f
    ldr x0, =0xc4000020
    hvc #0
3:  tbz x3, #5, 4f
    ldr w5, [x21, #0x18]
4:  add w6, w22, #33
    strb w6, [x21]
    mrs x7, cntvct_el0
    add x8, x8, x7
    bl leaf
    subs x22, x22, #1
    b.ne again
    mov w6, #10
    strb w6, [x21]
    off
leaf:
    ldxr x9, [x20]
    add x9, x9, #1
    stxr w10, x9, [x20]
    ret
    all_vectors return
return:
    add x11, x11, #1
    eret
"""


@pytest.mark.parametrize("clock", ["native", "python"])
def test_every_index_of_a_long_guest(clock: str) -> None:
    vm = guest(LONG).vm(clock=clock)
    start = vm.save()
    stepped = {0: start}
    while not vm.stopped:
        vm.run_to(vm.index + 1)
        stepped[vm.index] = vm.save()
    end, trace = vm.index, trace_bytes(vm)
    assert 2000 < end < 3000
    assert len(vm.console) == 61

    free = guest(LONG).vm(clock=clock)
    free.run()
    assert everything(free) == (stepped[end], trace)

    # The state at each index, reached in one run; now and then the rest of the way as well.
    for index in range(1, end + 1):
        vm.load(start)
        vm.trace = type(vm.trace)()
        vm.run_to(index)
        assert vm.save() == stepped[index]
        if index % 50 == 0:
            vm.run()
            assert everything(vm) == (stepped[end], trace)


@pytest.mark.parametrize("clock", ["native", "python"])
def test_a_thousand_random_stops(clock: str) -> None:
    reference = guest(LONG).vm()
    reference.run()
    end = reference.index
    cuts = random.Random(1).sample(range(1, end), 1000)
    vm = guest(LONG).vm(clock=clock)
    for index in sorted(cuts):
        assert vm.run_to(index).index == index
    vm.run()
    assert everything(vm) == everything(reference)


def test_forward_in_steps_of_two_and_three() -> None:
    reference = guest(LONG).vm()
    reference.run()
    for stride in (2, 3, 7):
        vm = guest(LONG).vm()
        while not vm.stopped:
            vm.run(stride)
        assert everything(vm) == everything(reference)


def test_the_budget_counts_from_where_the_machine_is() -> None:
    vm = guest("forever: nop\n nop\n b forever").vm()
    for count in (0, 1, 2, 1000, 0, 77):
        before = vm.index
        stop = vm.run(count)
        assert (stop.reason, stop.index, vm.index) == ("budget", before + count, before + count)


def test_a_breakpoint_does_not_change_what_is_counted(variant: str) -> None:
    for name in ("faults in the middle of a block", "SVC by SVC", "back into its own block"):
        vm = machine(name, variant)
        code = len(guest(ZOO[name].source).path.read_bytes())
        vm.vcpus[0].core.breakpoints = range(0x4008_0000, 0x4008_0000 + min(code, 0x80), 4)
        stops = 0
        while not vm.stopped and vm.index < ZOO[name].end:
            stop = vm.run(1000)
            stops += stop.reason == "breakpoint"
        plain = machine(name, variant)
        step_through(plain, ZOO[name].end)
        assert everything(vm) == everything(plain)
        assert stops >= 7
