"""Probes: functions of the guest that are there to be watched, each time and at no cost."""

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.trace import ProbeHit
from tests.machine.guest import guest

CODE = """
    nop
    nop
    .global here
here:
    add x2, x2, #1
    nop
    cmp x2, #3
    b.ne here
    off
"""
HITS = [(2, 0), (6, 1), (10, 2)]
"""Index and x2 whenever the guest comes there."""
TOTAL = 2 + 3 * 4 + 2


def probed(clock: str) -> VirtualMachine:
    made = guest(CODE)
    vm = made.vm(clock=clock)
    vm.vcpus[0].core.probes = {made["here"]: "here"}
    return vm


def hits(vm: VirtualMachine) -> list[tuple[int, int]]:
    found = [event for event in vm.trace if isinstance(event, ProbeHit)]
    assert {event.name for event in found} <= {"here"}
    return [(event.index, event.arguments[2]) for event in found]


@pytest.mark.parametrize("stride", [1, 3, 1000])
@pytest.mark.parametrize("clock", ["native", "python"])
def test_each_time_once(clock: str, stride: int) -> None:
    vm = probed(clock)
    while not vm.stopped:
        vm.run(stride)
    assert hits(vm) == HITS
    assert vm.index == vm.time == TOTAL


@pytest.mark.parametrize("clock", ["native", "python"])
def test_a_breakpoint_at_the_same_place(clock: str) -> None:
    vm = probed(clock)
    vm.vcpus[0].core.breakpoints = vm.vcpus[0].core.probes.keys()
    for told, stop in enumerate((2, 6, 10)):
        assert vm.run().index == stop
        assert hits(vm) == HITS[:told], "the guest has not gone on yet"
        vm.load(vm.save())
    assert vm.run().reason == "power-off"
    assert hits(vm) == HITS


@pytest.mark.parametrize("clock", ["native", "python"])
def test_again_after_going_back(clock: str) -> None:
    vm = probed(clock)
    vm.run_to(10)
    before = vm.save()
    vm.run_to(11)
    vm.load(before)
    vm.run_to(11)
    assert hits(vm) == [*HITS, HITS[-1]]
