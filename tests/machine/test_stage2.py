"""Stage 2 and its log: which pages a guest wrote, by its own stores and by the host's."""

import pytest

from sdeiviz.machine import GuestMemory, VirtualMachine
from sdeiviz.machine.stage2 import TABLES_BASE, Stage2
from sdeiviz.trace import ExternalAbort
from tests.machine.guest import BASE, DATA, MEMORY, RAM, everything, guest

FIRST = (DATA - RAM) >> 12


def protected(code: str, **options: object) -> VirtualMachine:
    vm = guest(code).vm(**options)
    vm.vcpus[0].x[1] = DATA
    vm.stage2.protect()
    vm.vcpus[0].core.flush_tlb()
    return vm


STORES = {
    "str x2, [x1]": {0},
    "strb w2, [x1, #4095]": {0},
    "stp x2, x3, [x1, #-8]": {-1, 0},
    "str x2, [x1, #-4]!": {-1, 0},
    "stur x2, [x1, #-4]": {-1, 0},
    "ldxr x2, [x1]\n stxr w3, x2, [x1]": {0},
    "dc zva, x1": {0},
    "ldr x2, [x1]": set(),
    "ldp x2, x3, [x1, #-8]": set(),
    "prfm pstl1keep, [x1]": set(),
    "stp q0, q1, [x1, #-16]": {-1, 0},
    "str x2, [x1]\n add x1, x1, #0x2000\n str x2, [x1]": {0, 2},
}


@pytest.mark.parametrize("code", STORES)
def test_the_pages_a_guest_writes(code: str) -> None:
    vm = protected(code + "\n off")
    assert vm.stage2.dirty == set()
    vm.run(100)
    assert vm.stopped
    assert vm.stopped.reason == "power-off"
    assert vm.stage2.dirty == {FIRST + n for n in STORES[code]}


@pytest.mark.parametrize("clock", ["native", "python"])
def test_logging_changes_nothing(clock: str) -> None:
    code = "".join(store + "\n" for store in STORES) + "off"
    plain = guest("fpu_on\n" + code).vm()
    plain.vcpus[0].x[1] = DATA
    plain.run()
    for stride in (1000, 1):
        vm = protected("fpu_on\n" + code, clock=clock)
        while not vm.stopped:
            vm.run(stride)
        assert everything(vm) == everything(plain)
        assert vm.stage2.dirty


def test_a_second_log_starts_empty_and_notices_again() -> None:
    vm = protected("again: str x2, [x1]\n add x2, x2, #1\n b again")
    for _ in range(3):
        vm.run(30)
        assert vm.stage2.dirty == {FIRST}
        vm.stage2.protect()
        vm.vcpus[0].core.flush_tlb()
        assert vm.stage2.dirty == set()
    vm.run(1)
    vm.run(2)
    assert vm.stage2.dirty == {FIRST}


def test_writes_of_the_host_are_logged() -> None:
    vm = protected("nop")
    vm.write_memory(DATA - 1, b"ab")
    assert vm.stage2.dirty == {FIRST - 1, FIRST}
    vm.memory[DATA + 0x3000 : DATA + 0x5001] = bytes(0x2001)
    assert vm.stage2.dirty == {FIRST - 1, FIRST, FIRST + 3, FIRST + 4, FIRST + 5}
    vm.write_memory(DATA + 0x9000, b"")
    assert len(vm.stage2.dirty) == 5


def test_pages_that_a_reset_clears_are_logged() -> None:
    vm = guest("str x1, [x1]\n call 0x84000009").vm()
    vm.vcpus[0].x[1] = DATA
    vm.run(1)
    vm.stage2.protect()
    vm.vcpus[0].core.flush_tlb()
    vm.run(2)
    assert vm.memory[DATA : DATA + 8] == bytes(8)
    assert vm.stage2.dirty == {0, FIRST, (BASE - RAM) >> 12}  # with the device tree


def test_a_load_may_clear_every_page() -> None:
    empty = guest("nop").vm().save()
    vm = protected("nop")
    vm.load(empty)
    assert vm.stage2.dirty == set(range(MEMORY >> 12))


def test_without_a_log_nothing_is_noted() -> None:
    vm = guest("str x2, [x1]\n off").vm()
    vm.vcpus[0].x[1] = DATA
    vm.run()
    vm.write_memory(DATA, b"x")
    assert vm.stage2.dirty is None


def test_the_last_page_of_ram_and_the_one_after_it() -> None:
    vm = protected("str x2, [x1, #-8]\n str x2, [x1]\n nop")
    vm.vcpus[0].x[1] = RAM + MEMORY
    vm.run(2)
    assert vm.stage2.dirty == {(MEMORY >> 12) - 1}
    aborts = [e for e in vm.trace if isinstance(e, ExternalAbort)]
    assert [e.ipa for e in aborts][:1] == [RAM + MEMORY]


@pytest.mark.parametrize(
    "size", [0x1000, 0x1F_F000, 0x20_0000, 0x20_1000, 0x4000_0000, 0x4001_0000]
)
def test_tables_cover_ram_and_nothing_else(size: int) -> None:
    """Walked here as the core does: level 1 by gigabytes, level 2 by 2 MiB, level 3 by pages."""
    memory = GuestMemory(size)
    stage2 = Stage2(memory)
    words = memoryview(stage2.tables).cast("Q")

    def walk(ipa: int) -> int | None:
        table = 0
        for shift in (30, 21, 12):
            entry = words[table + (ipa >> shift & 0x1FF)]
            if entry & 3 != 3:
                return None
            table = (entry & 0xFFFF_F000) + (entry >> 32 << 32) - TABLES_BASE >> 3
            page = entry & ~0xFFF & (1 << 48) - 1
        return page

    last = RAM + size - 0x1000
    for page in {RAM, last, RAM + size // 2 & ~0xFFF}:
        assert walk(page) == page
    for hole in (0, 0x0900_0000, RAM - 0x1000, RAM + size, 0x7F_FFFF_F000):
        assert walk(hole) is None
    assert stage2.root == TABLES_BASE


def test_rights_of_pages_that_come_and_go_during_a_log() -> None:
    stage2 = Stage2(GuestMemory(0x8000))
    words = memoryview(stage2.tables).cast("Q")[1024:]

    def rights(page: int) -> str:
        entry = words[page]
        return "r" * (entry & 0x43 == 0x43) + "w" * (entry >> 7 & 1)

    stage2.map_page(1, writable=False)
    stage2.unmap_page(2)
    assert [rights(page) for page in range(4)] == ["rw", "r", "", "rw"]
    stage2.protect()
    assert [rights(page) for page in range(4)] == ["r", "r", "", "r"]
    stage2.mark_dirty((1, 2, 3))
    assert [rights(page) for page in range(4)] == ["r", "r", "", "rw"]
    assert not stage2.written(RAM + 0x1000)
    assert not stage2.written(RAM + 0x2000)
    # One that is in the log may be written as soon as it is there; another tells first.
    stage2.map_page(2, writable=True)
    stage2.unmap_page(4)
    stage2.map_page(4, writable=True)
    assert [rights(2), rights(4)] == ["rw", "r"]
    assert stage2.written(RAM + 0x4000)
    assert rights(4) == "rw"
    assert stage2.dirty == {1, 2, 3, 4}


def test_where_ram_begins_and_ends() -> None:
    memory = GuestMemory(0x3000)
    inside = [memory.contains(RAM + at) for at in (-1, 0, 0x2FFF, 0x3000)]
    assert inside == [False, True, True, False]


def test_no_guest_can_reach_the_tables() -> None:
    vm = guest("ldr x1, =0x4000000000\n str x2, [x1]").vm()
    before = bytes(vm.stage2.tables)
    vm.run(2)
    assert isinstance(vm.trace[0], ExternalAbort)
    assert bytes(vm.stage2.tables) == before


@pytest.mark.parametrize("size", [0x1000 << 8, 0x30_0000, 0x4010_0000])
def test_a_guest_reaches_all_of_its_ram(size: int) -> None:
    vm = guest("str x1, [x1]\n ldr x2, [x1]\n nop").vm(memory=size)
    vm.vcpus[0].x[1] = RAM + size - 8
    vm.run(2)
    assert vm.vcpus[0].x[2] == RAM + size - 8
    assert vm.memory[RAM + size - 8 : RAM + size] == (RAM + size - 8).to_bytes(8, "little")
