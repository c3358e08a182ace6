"""The benchmarks measure what they say: the same guest on both sides, and floors that can fail."""

from pathlib import Path

import pytest
from capstone import CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, Cs

from sdeiviz import VirtualMachine
from sdeiviz.trace import EventCompleted, EventDelivered, HypercallResult
from tests.benchmarks import guests
from tests.benchmarks.rows import start
from tests.benchmarks.run import ROOT, Row


@pytest.mark.parametrize("listing", [guests.VERSION, guests.SIGNAL], ids=["version", "signal"])
def test_every_word_is_what_stands_beside_it(listing: str) -> None:
    disassembler = Cs(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN)
    found = [
        f"{instruction.mnemonic} {instruction.op_str}"
        for instruction in disassembler.disasm(guests.words(listing), guests.BASE)
    ]
    assert found == [line.split(maxsplit=1)[1] for line in listing.strip().split("\n")]


def test_the_baseline_is_short() -> None:
    source = ROOT / "tests/benchmarks/baseline.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) < 30


def test_both_sides_run_the_same_guest() -> None:
    vm = VirtualMachine("counter_memory")
    end = vm.image.symbols.address_of("power_off")
    assert end
    vm.vcpus[0].core.breakpoints = (end,)
    vm.run()
    uc = start(vm.image)
    uc.emu_start(vm.image.entry, end)
    assert uc.index.value == vm.index > 100_000_000
    ram = slice(vm.image.entry, vm.image.entry + 0x10_0000)
    assert bytes(uc.mem_read(ram.start, 0x10_0000)) == bytes(vm.memory[ram])


def test_a_round_signals_delivers_and_completes(tmp_path: Path) -> None:
    vm = VirtualMachine(guests.image(guests.SIGNAL, tmp_path))
    assert vm.run().reason.value == "power-off"
    kinds = [type(event) for event in vm.trace]
    assert kinds.count(EventDelivered) == kinds.count(EventCompleted) == guests.SIGNAL_ROUNDS
    vm = VirtualMachine(guests.image(guests.VERSION, tmp_path))
    assert vm.run().reason.value == "power-off"
    kinds = [type(event) for event in vm.trace]
    assert kinds.count(HypercallResult) == guests.VERSION_CALLS


@pytest.mark.parametrize(
    ("floor", "results", "reached"),
    [
        ("ratio >= 0.5", [2.0, 6.0, 5.0, 4.0, 9.0], True),
        ("ratio >= 0.5", [2.0, 6.0, 4.9, 4.0, 9.0], False),
        ("ours >= 300", [299.0, 300.0, 301.0], True),
        ("ours >= 300", [299.0, 299.0, 301.0], False),
        ("ours <= 50", [49.0, 50.0, 90.0], True),
        ("ours <= 50", [49.0, 51.0, 90.0], False),
    ],
)
def test_a_row_is_judged_by_its_median(floor: str, results: list[float], reached: bool) -> None:
    values = iter(results)
    row = Row("row", "native", "things", lambda: next(values), lambda: 10.0, floor, turns=1)
    for _ in results:
        row.repeat()
    assert row.reached is reached
    assert row.line().endswith("ok" if reached else "BELOW")


def test_a_repetition_keeps_the_best_of_its_turns() -> None:
    for floor, best in (("ratio >= 0.5", (7.0, 4.0)), ("ours <= 50", (1.0, 2.0))):
        ours, base = iter([3.0, 7.0, 1.0]), iter([4.0, 2.0, 3.0])
        row = Row("row", "native", "things", lambda o=ours: next(o), lambda b=base: next(b), floor)
        row.repeat()
        assert row.results == [best]
