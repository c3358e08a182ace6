"""What ends a run besides its index, and what a core takes over from a saved state."""

from collections.abc import Callable

import pytest

from sdeiviz.cpu import End, core
from tests.machine.guest import DATA, TABLES, guest

LOOP = "again: add x1, x1, #1\n place: add x2, x2, #1\n b again"


class Sink:
    """A trace that calls something for every record."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def extend(self, record: object) -> None:
        self._call()


@pytest.mark.parametrize("clock", ["native", "python"])
def test_an_interrupt_ends_a_run_at_the_next_block(clock: str) -> None:
    vm = guest("nop\n hvc #0\n again: b again").vm(clock=clock)
    it = vm.vcpus[0].core
    vm.trace = Sink(it.interrupt)
    assert (it.run(1000), it.index) == (End.SLICE, 2)
    assert (it.run(1000), it.index) == (End.TARGET, 1000)


@pytest.mark.parametrize("clock", ["native", "python"])
def test_breakpoints_come_and_go_in_code_that_has_run(clock: str) -> None:
    made = guest(LOOP)
    vm = made.vm(clock=clock)
    vm.run(30)
    it = vm.vcpus[0].core
    it.breakpoints = [made["place"]]
    assert it.breakpoints == (made["place"],)
    for index in (31, 34, 37):
        assert (vm.run(100).reason, vm.index) == ("breakpoint", index)
    it.breakpoints = [made["again"]]
    assert (vm.run(100).reason, vm.index) == ("breakpoint", 39)
    it.breakpoints = []
    assert it.breakpoints == ()
    assert (vm.run(100).reason, vm.index) == ("budget", 139)


def test_a_breakpoint_lets_go_on_who_stands_on_it() -> None:
    made = guest(LOOP)
    it = made.vm().vcpus[0].core
    it.breakpoints = [made["place"]]
    assert [(it.run(100), it.index) for _ in range(3)] == [
        (End.BREAKPOINT, 1),
        (End.BREAKPOINT, 4),
        (End.BREAKPOINT, 7),
    ]


@pytest.mark.parametrize(("moved", "failed"), [(False, 0), (True, 1)])
def test_a_watch_for_a_store_exclusive_ends_where_the_hypervisor_moves_the_guest(
    moved: bool, failed: int
) -> None:
    it = guest("ldxr x2, [x1]\n nop\n stxr w3, x2, [x1]").vm().vcpus[0].core
    it.x[1] = DATA
    it.run(1)
    if moved:
        it.go_to(*it.where())
    it.run(3)
    assert it.x[3] == failed


@pytest.mark.parametrize("way", ["in place", "copied registers"])
def test_all_of_a_state_is_taken_over(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "copied registers":
        monkeypatch.setattr(core, "find_live_state", lambda uc, layout: None)
    it = guest(LOOP).vm().vcpus[0].core
    state = it.save() | {
        "x30": 0xF000_0000_0000_0030,
        "v0": 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210,
        "v31": 0xF << 124,
        "exclusive0": DATA,
        "fpcr": 0x00C0_0000,
        "fpsr": 0x10,
        "pc": 0x4008_0004,
        "pstate": 0x6000_0000,
        "sp_el0": 0x1230,
        "sp_el1": 0x4560,
        "esr_el1": 0x5600_0007,
    }
    it.load(state)
    assert it.save() == state
    assert (it.pc, it.pstate, it.sp, it.at_el0) == (0x4008_0004, 0x6000_0000, 0x1230, True)


def test_a_load_leads_back_from_aarch32() -> None:
    made = guest("enter 0x10, there\n there: nop\n nop")
    vm = made.vm()
    it = vm.vcpus[0].core
    start = it.save()
    assert vm.run(100).reason == "unsupported"
    it.load(start)
    assert (it.run(it.index + 4), it.pc) == (End.TARGET, made["there"] - 4)


def test_no_translation_outlives_a_load() -> None:
    made = guest("mmu_on\n again: ldr x2, [x1]\n b again")
    vm = made.vm({})
    it = vm.vcpus[0].core
    it.x[1] = DATA
    vm.memory[DATA + 0x1000 : DATA + 0x1008] = b"moved..."
    vm.run(40)
    assert it.x[2] == 0
    entry = TABLES + 0x2000 + ((DATA - 0x4000_0000) >> 12) * 8
    vm.memory[entry : entry + 8] = vm.memory[entry + 8 : entry + 16]
    it.load(it.save())
    vm.run(2)
    assert it.x[2].to_bytes(8, "little") == b"moved..."
