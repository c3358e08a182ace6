"""A conformance guest leaves the same trace and the same machine in every way it can be run."""

import random

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import VmState
from sdeiviz.trace import TraceEvent
from tests.conformance.guests import BUDGET, MEMORY, REQUIREMENTS, elf


def machine(name: str, clock: str = "native") -> VirtualMachine:
    return VirtualMachine(
        elf(name),
        profile="den0054c",
        vcpus=REQUIREMENTS[name].vcpus,
        memory=MEMORY,
        quantum=1000,
        clock=clock,
    )


def everything(vm: VirtualMachine) -> tuple[VmState, list[TraceEvent]]:
    assert vm.stopped
    return vm.save(), vm.trace[:]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_one_trace(name: str) -> None:
    free = machine(name)
    free.run(BUDGET)
    python = machine(name, clock="python")
    python.run(BUDGET)
    assert everything(python) == everything(free)

    dice = random.Random(name)
    stopped = machine(name)
    while not stopped.stopped:
        stopped.run_to(stopped.index + dice.randrange(1, 90))
    assert everything(stopped) == everything(free)

    first, moved = machine(name), machine(name)
    first.run_to(dice.randrange(1, free.index))
    moved.load(first.save())
    moved.run(BUDGET)
    assert moved.save() == free.save()
