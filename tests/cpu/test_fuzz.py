"""Random programs, run in every way: the same states, the same trace."""

import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sdeiviz import VirtualMachine
from sdeiviz.cpu import core
from tests.cpu.programs import BODY, bodies, prologue, write
from tests.machine.guest import (
    BASE,
    DATA,
    KERNEL,
    MEMORY,
    USER_CODE,
    USER_DATA,
    everything,
    page_tables,
    step_through,
)

END = 300
"""Instructions of each run; the way to the program takes some forty."""

settings.register_profile("programs", deadline=None, suppress_health_check=[*HealthCheck])


def run(
    path: Path, level: int, mmu: bool, cuts: list[int] | None, clock: str, injections: list[int]
) -> object:
    """Run a program to its end, stopping on the way; inject event 0 at certain indices."""
    vm = VirtualMachine(path, load_address=BASE, memory=MEMORY, clock=clock)
    if mmu:
        code = USER_CODE if level == 0 else KERNEL
        page_tables(vm, {BODY: code, DATA: USER_DATA})
    for index in [*injections, END]:
        if cuts is None:
            step_through(vm, index)
        else:
            for cut in (c for c in cuts if vm.index < c < index):
                vm.run_to(cut)
            vm.run_to(index)
        if index < END:
            vm.inject_event(0)
    return everything(vm)


@pytest.mark.parametrize("level", [0, 1], ids=["EL0", "EL1"])
@pytest.mark.parametrize("mmu", [False, True], ids=["MMU off", "MMU on"])
def test_one_program_one_trace(level: int, mmu: bool) -> None:
    start = prologue(level, mmu)

    @settings(settings.get_profile("programs"), max_examples=40, phases=tuple(Phase)[:4])
    @given(
        body=bodies(),
        cuts=st.lists(st.integers(1, END - 1), max_size=80, unique=True).map(sorted),
        injections=st.lists(st.integers(1, END - 1), max_size=3, unique=True).map(sorted),
    )
    def check(body: bytes, cuts: list[int], injections: list[int]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory), start + body)
            free = run(path, level, mmu, [], "native", injections)
            assert run(path, level, mmu, None, "native", injections) == free
            assert run(path, level, mmu, cuts, "native", injections) == free
            assert run(path, level, mmu, cuts, "python", injections) == free
            with mock.patch.object(core, "find_live_state", return_value=None):
                assert run(path, level, mmu, cuts, "native", injections) == free

    check()
