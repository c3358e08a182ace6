"""GICv3 by its registers: sequences and results as IHI 0069 has them."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz import Error
from sdeiviz.machine.gicv3 import Gic3
from tests.machine.interrupts import Interface, Listener, awaited, irq_by_the_rules, plain

D = 0x0800_0000
CTLR, TYPER, IIDR = D, D + 4, D + 8
IGROUPR, ISENABLER, ICENABLER = D + 0x080, D + 0x100, D + 0x180
ISPENDR, ICPENDR, ISACTIVER = D + 0x200, D + 0x280, D + 0x300
IPRIORITYR, ICFGR, IROUTER = D + 0x400, D + 0xC00, D + 0x6000
ANY = 1 << 31

R = 0x080A_0000
SGI = R + 0x1_0000
WAKER = R + 0x14
RIGROUPR, RISENABLER, RICENABLER = SGI + 0x080, SGI + 0x100, SGI + 0x180
RISPENDR, RICPENDR, RISACTIVER = SGI + 0x200, SGI + 0x280, SGI + 0x300
RIPRIORITYR, RICFGR = SGI + 0x400, SGI + 0xC00

PMR = (3, 0, 4, 6, 0)
IAR0, EOIR0, HPPIR0, BPR0 = ((3, 0, 12, 8, n) for n in range(4))
AP0R0, AP0R1 = (3, 0, 12, 8, 4), (3, 0, 12, 8, 5)
AP1R0, AP1R1 = (3, 0, 12, 9, 0), (3, 0, 12, 9, 1)
DIR, RPR, SGI1R, ASGI1R, SGI0R = ((3, 0, 12, 11, n) for n in (1, 3, 5, 6, 7))
IAR1, EOIR1, HPPIR1, BPR1, ICC_CTLR, SRE, IGRPEN0, IGRPEN1 = ((3, 0, 12, 12, n) for n in range(8))
Encoding = tuple[int, int, int, int, int]


class Bench:
    """A controller and short words for its accesses; PE 0 unless another is named."""

    def __init__(self, pes: int = 2, affinities: Sequence[int] | None = None) -> None:
        self.gic = Gic3(pes, affinities)
        self.pes = pes
        self.heard = Listener(self.gic, pes)

    def r(self, address: int, size: int = 4, pe: int = 0) -> int:
        """Read the distributor, or a redistributor: that of the PE."""
        return self.gic.read(pe, address + (0x2_0000 * pe if address >= R else 0), size)

    def w(self, address: int, value: int, size: int = 4, pe: int = 0) -> None:
        self.gic.write(pe, address + (0x2_0000 * pe if address >= R else 0), size, value)

    def get(self, register: Encoding, pe: int = 0) -> int:
        value = self.gic.read_system(pe, register)
        assert value is not None
        return value

    def put(self, register: Encoding, value: int, pe: int = 0) -> None:
        assert self.gic.write_system(pe, register, value)

    def open(self) -> None:
        self.w(CTLR, 3)
        for pe in range(self.pes):
            self.w(WAKER, 0, pe=pe)
            self.put(PMR, 0xF0, pe)
            self.put(IGRPEN1, 1, pe)

    def enable(self, intid: int, priority: int = 0xA0, pe: int = 0) -> None:
        if intid < 32:
            self.w(RIPRIORITYR + intid, priority, 1, pe)
            self.w(RISENABLER, 1 << intid, pe=pe)
        else:
            self.w(IPRIORITYR + intid, priority, 1)
            self.w(ISENABLER + intid // 32 * 4, 1 << intid % 32)

    def edge(self, intid: int) -> None:
        address = ICFGR + intid // 16 * 4
        self.w(address, self.r(address) | 2 << intid % 16 * 2)


@pytest.fixture
def bench() -> Bench:
    """Two PEs, 0.0.0.0 and 0.0.0.1, all let through."""
    b = Bench()
    b.open()
    return b


# -- what is there

IDENTITY = {
    "GICD_CTLR: DS and ARE": (CTLR, 0x50),
    "GICD_TYPER: 9 * 32 INTIDs, 16 bits, A3V, RSS": (TYPER, 0x0578_0008),
    "GICD_IIDR": (IIDR, 0x43B),
    "GICD_TYPER2": (D + 0xC, 0),
    "GICD_IGROUPR0 is the redistributor's": (IGROUPR, 0),
    "GICD_IGROUPR1": (IGROUPR + 4, 0xFFFF_FFFF),
    "GICD_ISENABLER1": (ISENABLER + 4, 0),
    "GICD_ICFGR0 is the redistributor's": (ICFGR, 0),
    "GICD_ITARGETSR8: affinity routing": (D + 0x820, 0),
    "GICD_IGRPMODR1: no security": (D + 0xD04, 0),
    "GICD_PIDR0": (D + 0xFFE0, 0x92),
    "GICD_PIDR2: architecture 3": (D + 0xFFE8, 0x3B),
    "GICD_CIDR3": (D + 0xFFFC, 0xB1),
    "GICR_CTLR": (R, 0),
    "GICR_IIDR": (R + 4, 0x43B),
    "GICR_TYPER": (R + 8, 0),
    "GICR_TYPER, upper half": (R + 0xC, 0),
    "GICR_WAKER: asleep": (WAKER, 6),
    "GICR_PIDR0": (R + 0xFFE0, 0x93),
    "GICR_PIDR2: architecture 3": (R + 0xFFE8, 0x3B),
    "GICR_IGROUPR0": (RIGROUPR, 0xFFFF_FFFF),
    "GICR_ISENABLER0": (RISENABLER, 0),
    "GICR_ICFGR0: SGIs are edges": (RICFGR, 0xAAAA_AAAA),
    "GICR_ICFGR1": (RICFGR + 4, 0),
    "not in a redistributor: GICR_ISENABLER1": (RISENABLER + 4, 0),
    "no GICC": (0x0801_0000, 0),
    "after the redistributors": (R + 0x4_0000, 0),
}


@pytest.mark.parametrize(("address", "value"), IDENTITY.values(), ids=IDENTITY)
def test_registers_after_power_on(address: int, value: int) -> None:
    assert Bench().r(address) == value


SYSTEM = {
    "PMR": (PMR, 0, 0xF8),
    "BPR0": (BPR0, 2, 7),
    "BPR1": (BPR1, 3, 7),
    "AP0R0": (AP0R0, 0, 0xFFFF_FFFF),
    "AP1R0": (AP1R0, 0, 0xFFFF_FFFF),
    "IGRPEN0": (IGRPEN0, 0, 1),
    "IGRPEN1": (IGRPEN1, 0, 1),
    "CTLR: RSS, A3V, five bits of priority": (ICC_CTLR, 0x0004_8400, 0x0004_8403),
    "SRE": (SRE, 7, 7),
}


@pytest.mark.parametrize(("register", "reset", "kept"), SYSTEM.values(), ids=SYSTEM)
def test_system_registers_that_keep_what_is_written(
    register: Encoding, reset: int, kept: int
) -> None:
    b = Bench()
    assert b.get(register) == reset
    b.put(register, (1 << 64) - 1)
    assert b.get(register) == kept
    if register != ICC_CTLR:
        b.put(register, 0)
        assert b.get(register) == (reset if register in (BPR0, BPR1, SRE) else 0)
    assert b.get(register, 1) == reset


def test_system_registers_read_only_and_write_only() -> None:
    b = Bench()
    for register, value in ((IAR0, 1023), (IAR1, 1023), (HPPIR0, 1023), (HPPIR1, 1023)):
        assert b.get(register) == value
        assert not b.gic.write_system(0, register, 0)
    assert b.get(RPR) == 0xFF
    assert not b.gic.write_system(0, RPR, 0)
    for register in (EOIR0, EOIR1, DIR, SGI0R, SGI1R, ASGI1R):
        assert b.gic.read_system(0, register) is None
        assert b.gic.write_system(0, register, 1023)
    for register in (AP0R1, AP1R1, (3, 4, 12, 9, 5), (3, 6, 12, 12, 5), (3, 0, 12, 8, 8)):
        assert b.gic.read_system(0, register) is None
        assert not b.gic.write_system(0, register, 0)


KEPT = {
    "GICD_CTLR": (CTLR, 0x53),
    "GICD_IGROUPR8": (IGROUPR + 32, 0xFFFF_FFFF),
    "GICD_ISENABLER0": (ISENABLER, 0),
    "GICD_ISENABLER1": (ISENABLER + 4, 0xFFFF_FFFF),
    "GICD_ISENABLER9 is not there": (ISENABLER + 36, 0),
    "GICD_IPRIORITYR7": (IPRIORITYR + 28, 0),
    "GICD_IPRIORITYR8": (IPRIORITYR + 32, 0xF8F8_F8F8),
    "GICD_ICFGR2": (ICFGR + 8, 0xAAAA_AAAA),
    "GICD_ITARGETSR8": (D + 0x820, 0),
    "GICD_SGIR": (D + 0xF00, 0),
    "GICD_IROUTER31 is not there": (IROUTER + 31 * 8, 0),
    "GICD_IROUTER32": (IROUTER + 32 * 8, 0x80FF_FFFF),
    "GICD_IROUTER32, upper half": (IROUTER + 32 * 8 + 4, 0xFF),
    "GICR_WAKER": (WAKER, 6),
    "GICR_ISPENDR0: SGIs too": (RISPENDR, 0xFFFF_FFFF),
    "GICR_ISENABLER0": (RISENABLER, 0xFFFF_FFFF),
    "GICR_IPRIORITYR0": (RIPRIORITYR, 0xF8F8_F8F8),
    "GICR_IPRIORITYR8 is not there": (RIPRIORITYR + 32, 0),
    "GICR_ICFGR0 is fixed": (RICFGR, 0xAAAA_AAAA),
    "GICR_ICFGR1": (RICFGR + 4, 0xAAAA_AAAA),
}


@pytest.mark.parametrize(("address", "value"), KEPT.values(), ids=KEPT)
def test_bits_that_keep_what_is_written(address: int, value: int) -> None:
    b = Bench()
    b.w(address, 0xFFFF_FFFF)
    assert b.r(address) == value


@pytest.mark.parametrize(
    ("address", "size"),
    [
        (IPRIORITYR + 32, 2), (IPRIORITYR + 32, 8), (IPRIORITYR + 33, 4), (ISENABLER + 4, 1),
        (ISENABLER + 8, 8), (IROUTER + 320, 1), (IROUTER + 320, 2), (IROUTER + 324, 8),
        (IROUTER + 322, 4), (IROUTER + 320, 16), (CTLR, 8), (CTLR, 1), (WAKER, 1), (WAKER, 2),
        (RIPRIORITYR, 8), (RISENABLER, 8), (RISENABLER, 1), (RISENABLER, 3), (R + 8, 1),
    ],
)  # fmt: skip
def test_other_sizes_read_as_zero_and_write_nothing(address: int, size: int) -> None:
    b = Bench()
    for word in (IPRIORITYR + 32, ISENABLER + 4, RISENABLER, RIPRIORITYR, IROUTER + 320):
        b.w(word, 0x5A5A_5A5A)
    before = b.gic.save()
    b.w(address, 0x0101_0303, size)
    assert b.r(address, size) == 0
    assert b.gic.save() == before


def test_redistributors_of_a_few() -> None:
    affinities = (0x00_0000_0000, 0x00_0000_0001, 0x00_0001_0200, 0x7F_0003_0201)
    b = Bench(4, affinities)
    assert b.gic.regions == ((0x0800_0000, 0x1_0000), (0x080A_0000, 0x8_0000))
    assert [b.r(R + 8, 8, pe) for pe in range(4)] == [
        0x0000_0000_0000_0000,
        0x0000_0001_0000_0100,
        0x0001_0200_0000_0200,
        0x7F03_0201_0000_0310,
    ]
    assert (b.r(R + 8, 4, 3), b.r(R + 12, 4, 3)) == (0x310, 0x7F03_0201)
    b.w(R + 8, 0, 8)
    # One PE may use another's.
    b.gic.write(0, RISENABLER + 0x6_0000, 4, 1 << 20)
    assert [b.r(RISENABLER, pe=pe) for pe in range(4)] == [0, 0, 0, 1 << 20]


def test_redistributors_of_many() -> None:
    """The UART is where the 124th would be: the others have a region of their own."""
    gic = Gic3(300)
    assert gic.regions == (
        (0x0800_0000, 0x1_0000),
        (0x080A_0000, 0x0F6_0000),
        (0x40_0000_0000, 177 * 0x2_0000),
    )
    assert gic.read(0, 0x080A_0000 + 122 * 0x2_0000 + 8, 8) == 0x0000_070A_0000_7A10
    assert gic.read(0, 0x0900_0008, 8) == 0
    assert gic.read(0, 0x40_0000_0008, 8) == 0x0000_070B_0000_7B00
    assert gic.read(0, 0x40_0000_0008 + 176 * 0x2_0000, 8) == 0x0000_120B_0001_2B10
    gic.write(0, 0x40_0001_0100, 4, 1 << 27)
    gic.set_line(27, True, 123)
    gic.write(0, D, 4, 2)
    gic.write_system(123, PMR, 0xF0)
    gic.write_system(123, IGRPEN1, 1)
    assert [pe for pe in range(300) if gic.irq(pe)] == [123]
    assert Gic3(123).regions[1:] == ((0x080A_0000, 0x0F6_0000),)


def test_pes_that_cannot_be() -> None:
    for pes in (0, 513):
        with pytest.raises(Error, match="1 to 512"):
            Gic3(pes)
    for affinities in ((0,), (0, 0), (0, 1 << 40), (0, 1 << 24), (0, -1)):
        with pytest.raises(Error, match="different affinities"):
            Gic3(2, affinities)


# -- an interrupt's life


def test_an_edge_is_taken_once(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.pulse(40)
    assert (bench.gic.irq(0), bench.r(ISPENDR + 4), bench.get(HPPIR1)) == (True, 1 << 8, 40)
    assert bench.get(IAR1) == 40
    assert (bench.gic.irq(0), bench.r(ISPENDR + 4), bench.r(ISACTIVER + 4)) == (False, 0, 1 << 8)
    assert (bench.get(RPR), bench.get(AP1R0), bench.get(AP0R0)) == (0xA0, 1 << 20, 0)
    assert bench.get(IAR1) == 1023
    bench.gic.pulse(40)
    bench.gic.pulse(40)
    bench.put(EOIR1, 40)
    assert (bench.get(RPR), bench.get(AP1R0), bench.get(IAR1)) == (0xFF, 0, 40)
    bench.put(EOIR1, 40)
    assert bench.get(IAR1) == 1023


def test_a_level_is_pending_again_after_its_end(bench: Bench) -> None:
    bench.enable(27, pe=1)
    bench.gic.set_line(27, True, 1)
    for _ in range(2):
        assert [bench.gic.irq(pe) for pe in range(2)] == [False, True]
        assert (bench.get(IAR1), bench.get(IAR1, 1)) == (1023, 27)
        assert not bench.gic.irq(1)
        assert (bench.r(RISPENDR, pe=1), bench.r(RISACTIVER, pe=1)) == (1 << 27, 1 << 27)
        bench.put(EOIR1, 27, 1)
    bench.gic.set_line(27, False, 1)
    assert bench.get(IAR1, 1) == 1023


def test_nested_preemption(bench: Bench) -> None:
    for intid, priority in ((40, 0xA0), (41, 0x80), (42, 0x40), (43, 0x80)):
        bench.edge(intid)
        bench.enable(intid, priority)
    for intid in (40, 41):
        bench.gic.pulse(intid)
        assert bench.get(IAR1) == intid
    bench.gic.pulse(43)
    assert (bench.gic.irq(0), bench.get(HPPIR1), bench.get(IAR1)) == (False, 43, 1023)
    bench.gic.pulse(42)
    assert bench.get(IAR1) == 42
    assert (bench.get(RPR), bench.get(AP1R0)) == (0x40, 1 << 8 | 1 << 16 | 1 << 20)
    bench.put(EOIR1, 42)
    assert (bench.get(RPR), bench.gic.irq(0)) == (0x80, False)
    bench.put(EOIR1, 41)
    assert (bench.get(RPR), bench.get(IAR1)) == (0xA0, 43)
    bench.put(EOIR1, 43)
    bench.put(EOIR1, 40)
    assert (bench.get(RPR), bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (0xFF, 0, False)


@pytest.mark.parametrize(
    ("point", "preempts", "running"),
    [(3, True, 0xA8), (4, True, 0xA0), (5, False, 0xA0), (7, False, 0x80)],
)
def test_the_binary_point_of_group_1(
    bench: Bench, point: int, preempts: bool, running: int
) -> None:
    """4.8: BPR1 of n leaves bits 7 to n to preemption, one fewer than BPR0 of n - 1 would."""
    bench.put(BPR1, point)
    bench.enable(40, 0xA8)
    bench.enable(41, 0x98 if point < 5 else 0xA0)
    bench.gic.set_line(40, True)
    assert (bench.get(IAR1), bench.get(RPR)) == (40, running)
    bench.gic.set_line(41, True)
    assert bench.gic.irq(0) == preempts


def test_one_binary_point_for_both_groups(bench: Bench) -> None:
    """12.2: with CBPR set, BPR1 reads one more than BPR0 and ignores writes."""
    bench.put(BPR1, 4)
    bench.put(ICC_CTLR, 1)
    bench.put(BPR0, 5)
    bench.put(BPR1, 3)
    assert bench.get(BPR1) == 6
    bench.enable(40, 0xF8 - 0x18)
    bench.gic.set_line(40, True)
    assert (bench.get(IAR1), bench.get(RPR)) == (40, 0xC0)
    bench.put(BPR0, 7)
    assert bench.get(BPR1) == 7
    bench.put(ICC_CTLR, 0)
    assert bench.get(BPR1) == 4


def test_eoimode_splits_drop_and_deactivation(bench: Bench) -> None:
    bench.put(ICC_CTLR, 2)
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.get(IAR1) == 40
    bench.put(EOIR1, 40)
    assert (bench.get(RPR), bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (0xFF, 1 << 8, False)
    bench.put(DIR, 40, 1)
    assert bench.r(ISACTIVER + 4) == 1 << 8, "PE 1 has EOImode clear: its DIR is ignored"
    bench.put(DIR, 40)
    assert (bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (0, True)


@pytest.mark.parametrize("spurious", [1020, 1023, 288, 8192])
def test_the_end_of_a_spurious_interrupt_is_ignored(bench: Bench, spurious: int) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.get(IAR1) == 40
    bench.put(EOIR1, spurious)
    assert (bench.get(RPR), bench.r(ISACTIVER + 4)) == (0xA0, 1 << 8)


GATES = {
    "disabled": lambda b: b.w(ICENABLER + 4, 1 << 8),
    "elsewhere": lambda b: b.w(IROUTER + 320, 1, 8),
    "nowhere": lambda b: b.w(IROUTER + 320, 0x100, 8),
    "the distributor": lambda b: b.w(CTLR, 1),
    "the interface": lambda b: b.put(IGRPEN1, 0),
    "the mask": lambda b: b.put(PMR, 0xA0),
    "the other group": lambda b: b.w(IGROUPR + 4, 0),
}


@pytest.mark.parametrize("gate", GATES)
def test_each_gate_closes(bench: Bench, gate: str) -> None:
    bench.enable(40, 0xA0)
    bench.gic.set_line(40, True)
    assert bench.gic.irq(0)
    GATES[gate](bench)
    assert (bench.gic.irq(0), bench.get(IAR1)) == (False, 1023)
    assert bench.r(ISPENDR + 4) == 1 << 8


# -- groups


def test_group_0_is_not_an_irq(bench: Bench) -> None:
    bench.w(IGROUPR + 4, ~(1 << 8))
    bench.put(IGRPEN0, 1)
    bench.enable(40, 0x20)
    bench.enable(41, 0x40)
    bench.gic.set_line(41, True)
    assert bench.gic.irq(0)
    bench.gic.set_line(40, True)
    assert (bench.gic.irq(0), bench.get(IAR1), bench.get(HPPIR1)) == (False, 1023, 1023)
    assert bench.get(HPPIR0) == 40
    assert bench.get(IAR0) == 40
    assert (bench.get(RPR), bench.get(AP0R0), bench.get(AP1R0)) == (0x20, 1 << 4, 0)
    bench.put(EOIR1, 40)
    assert (bench.get(RPR), bench.r(ISACTIVER + 4)) == (0x20, 1 << 8), "of the other group"
    bench.gic.set_line(40, False)
    bench.put(EOIR0, 40)
    assert (bench.get(RPR), bench.gic.irq(0), bench.get(IAR1)) == (0xFF, True, 41)


def test_the_running_priority_has_a_group(bench: Bench) -> None:
    """Groups preempt each other; EOIR of the one that does not run now is ignored."""
    bench.w(IGROUPR + 4, ~(0b101 << 8))
    bench.put(IGRPEN0, 1)
    for intid, priority in ((40, 0xA0), (41, 0x80), (42, 0x60)):
        bench.enable(intid, priority)
    for intid, iar in ((40, IAR0), (41, IAR1), (42, IAR0)):
        bench.gic.set_line(intid, True)
        assert bench.get(iar) == intid
        bench.gic.set_line(intid, False)
    assert (bench.get(AP0R0), bench.get(AP1R0)) == (1 << 12 | 1 << 20, 1 << 16)
    bench.put(EOIR1, 42)
    assert bench.get(RPR) == 0x60
    bench.put(EOIR0, 42)
    assert bench.get(RPR) == 0x80
    bench.put(EOIR0, 41)
    assert bench.get(RPR) == 0x80
    bench.put(EOIR1, 41)
    assert bench.get(RPR) == 0xA0
    # Software can make both run at one priority: then group 0 ends first.
    bench.put(AP1R0, 1 << 20)
    bench.put(EOIR1, 40)
    assert (bench.get(AP0R0), bench.get(AP1R0)) == (1 << 20, 1 << 20)
    bench.put(EOIR0, 40)
    assert (bench.get(AP0R0), bench.get(AP1R0), bench.r(ISACTIVER + 4)) == (0, 1 << 20, 0)


def test_a_group_that_is_disabled_is_not_in_the_way(bench: Bench) -> None:
    bench.w(IGROUPR + 4, ~(1 << 8))
    bench.enable(40, 0x20)
    bench.enable(41, 0x40)
    bench.gic.set_line(40, True)
    bench.gic.set_line(41, True)
    assert (bench.get(HPPIR0), bench.get(HPPIR1), bench.get(IAR1)) == (1023, 41, 41)


# -- SGIs

CLUSTERS = (0x000, 0x001, 0x00F, 0x013, 0x100, 0x1_0000, 0x01_0000_0000)
"""Affinities of seven PEs: a cluster with affinity 0 beyond 15, then one of each higher level."""
SGIS = {
    "a list": (0b11, [0, 1]),
    "the sixteenth": (1 << 15, [2]),
    "the second sixteen": (1 << 44 | 1 << 3, [3]),
    "the same bit without range selector": (1 << 3, []),
    "affinity 1": (1 << 16 | 1, [4]),
    "affinity 2": (1 << 32 | 1, [5]),
    "affinity 3": (1 << 48 | 1, [6]),
    "no such cluster": (2 << 16 | 0xFFFF, []),
    "nobody": (0, []),
    "all others": (1 << 40, [0, 2, 3, 4, 5, 6]),
    "all others, whatever is listed": (1 << 40 | 1 << 16 | 0b11, [0, 2, 3, 4, 5, 6]),
}


@pytest.mark.parametrize(("value", "reached"), SGIS.values(), ids=SGIS)
def test_whom_an_sgi_reaches(value: int, reached: list[int]) -> None:
    b = Bench(7, CLUSTERS)
    b.open()
    for pe in range(7):
        b.enable(9, pe=pe)
    b.put(SGI1R, value | 9 << 24, 1)
    assert [pe for pe in range(7) if b.gic.irq(pe)] == reached
    assert [pe for pe in range(7) if b.get(IAR1, pe) == 9] == reached


def test_sgis_coalesce(bench: Bench) -> None:
    bench.enable(9)
    for pe in (0, 1, 1):
        bench.put(SGI1R, 9 << 24 | 1, pe)
    assert bench.get(IAR1) == 9
    bench.put(EOIR1, 9)
    assert bench.get(IAR1) == 1023


def test_groups_of_sgis(bench: Bench) -> None:
    """With one security state SGI1R makes SGIs of either group, SGI0R and ASGI1R group 0's only."""
    bench.w(RIGROUPR, 0b10)
    for register, pending in ((SGI1R, 0b11), (SGI0R, 0b01), (ASGI1R, 0b01)):
        for sgi in range(2):
            bench.put(register, sgi << 24 | 1)
        assert bench.r(RISPENDR) == pending
        bench.w(RICPENDR, 0xFFFF)


def test_sgis_are_enabled_and_made_pending_like_others(bench: Bench) -> None:
    bench.put(SGI1R, 9 << 24 | 1)
    assert not bench.gic.irq(0)
    bench.w(RISENABLER, 1 << 9)
    assert bench.gic.irq(0)
    bench.w(RICPENDR, 1 << 9)
    assert not bench.gic.irq(0)
    bench.w(RISPENDR, 1 << 9)
    assert bench.get(IAR1) == 9


# -- routes


def test_a_route_to_one_pe() -> None:
    b = Bench(3, (0x000, 0x100, 0x02_0003_0401))
    b.open()
    b.enable(40)
    b.gic.set_line(40, True)
    for route, pe in ((0, 0), (0x100, 1), (0x02_0003_0401, 2)):
        b.w(IROUTER + 320, route, 8)
        assert b.r(IROUTER + 320, 8) == route
        assert [n for n in range(3) if b.gic.irq(n)] == [pe]
    b.w(IROUTER + 320, 0x100)
    assert b.r(IROUTER + 320, 8) == 0x02_0000_0100
    b.w(IROUTER + 324, 0)
    assert [n for n in range(3) if b.gic.irq(n)] == [1]


def test_one_of_n_goes_to_the_first_that_takes_part() -> None:
    b = Bench(3)
    b.w(CTLR, 2)
    for pe in range(3):
        b.put(PMR, 0xF0, pe)
    b.enable(40)
    b.w(IROUTER + 320, ANY, 8)
    b.gic.set_line(40, True)

    def where() -> list[int]:
        return [pe for pe in range(3) if b.gic.irq(pe)]

    assert where() == []
    b.put(IGRPEN1, 1, 2)
    assert where() == [], "its redistributor sleeps"
    b.w(WAKER, 0, pe=2)
    assert (b.r(WAKER, pe=2), where()) == (0, [2])
    b.w(WAKER, 0, pe=1)
    assert where() == [2], "group 1 is disabled there"
    b.put(IGRPEN1, 1, 1)
    assert where() == [1]
    b.w(IGROUPR + 4, 0)
    b.put(IGRPEN0, 1, 2)
    b.w(IGROUPR + 4, 1 << 8)
    assert where() == [1]
    b.w(WAKER, 2, pe=1)
    assert (b.r(WAKER, pe=1), where()) == (6, [2])


def test_a_sleeping_pe_is_woken(bench: Bench) -> None:
    """What is sent to it raises its line: a request to wake it."""
    bench.enable(27)
    bench.w(WAKER, 2)
    bench.gic.set_line(27, True)
    assert bench.gic.irq(0)


def test_what_linux_does() -> None:
    """Its driver's accesses, as far as they matter, then an IPI from PE 0 to PE 1."""
    b = Bench(2)
    assert b.r(D + 0xFFE8) & 0xF0 == 0x30
    assert b.r(CTLR) & 1 << 6, "one security state"
    b.w(CTLR, 0)
    for n in range(32, 288, 32):
        b.w(IGROUPR + n // 8, 0xFFFF_FFFF)
    for n in range(32, 288, 4):
        b.w(IPRIORITYR + n, 0xA0A0_A0A0)
    b.w(CTLR, 0x13)
    for n in range(32, 288):
        b.w(IROUTER + 8 * n, 0, 8)
    for pe in range(2):
        assert b.r(R + 0xFFE8, pe=pe) & 0xF0 == 0x30
        b.w(WAKER, b.r(WAKER, pe=pe) & ~2, pe=pe)
        assert not b.r(WAKER, pe=pe) & 4
        b.w(RIGROUPR, 0xFFFF_FFFF, pe=pe)
        b.w(RICENABLER, 0xFFFF_0000, pe=pe)
        b.w(RISENABLER, 0x0000_FFFF, pe=pe)
        for n in range(0, 32, 4):
            b.w(RIPRIORITYR + n, 0xA0A0_A0A0, pe=pe)
        assert b.get(SRE, pe) & 1
        b.put(PMR, 0x08, pe)
        assert b.get(PMR, pe) == 0x08, "group 0 is there"
        b.put(PMR, 0xF0, pe)
        b.put(BPR1, 0, pe)
        assert b.get(ICC_CTLR, pe) >> 8 & 7 == 4
        b.put(ICC_CTLR, 2, pe)
        for register in (AP0R0, AP1R0):
            b.put(register, 0, pe)
        b.put(IGRPEN1, 1, pe)
    b.put(SGI1R, 1 << 1 | 1 << 24)
    assert b.heard.changes == [(1, True)]
    assert b.get(IAR1, 1) == 1
    b.put(EOIR1, 1, 1)
    b.put(DIR, 1, 1)
    assert (b.get(IAR1, 1), b.heard.changes) == (1023, [(1, True), (1, False)])


# -- owned interrupts


def test_an_owned_interrupt_is_its_owners(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.take(40)
    bench.gic.pulse(40)
    bench.gic.pulse(40)
    assert (bench.heard.owned, bench.heard.changes) == ([(40, 0)], [])
    assert (bench.get(IAR1), bench.get(HPPIR1), bench.r(ISPENDR + 4)) == (1023, 1023, 0)
    bench.gic.acknowledge(40, 0)
    bench.gic.pulse(40)
    bench.gic.end(40, 0)
    assert bench.heard.owned == [(40, 0), (40, 0)]
    bench.gic.give_back(40)
    assert (bench.gic.is_pending(40), bench.r(ISENABLER + 4)) == (False, 0)
    assert bench.r(IGROUPR + 4) == 0xFFFF_FFFF


def test_giving_back_restores_the_group() -> None:
    b = Bench()
    b.w(IGROUPR + 4, 0)
    b.gic.take(40)
    b.gic.give_back(40)
    assert b.r(IGROUPR + 4) == 1 << 8
    b.w(RIGROUPR, 0, pe=1)
    b.gic.take(23)
    assert b.r(RIGROUPR) == 0xFF7F_FFFF
    b.gic.give_back(23)
    assert b.r(RIGROUPR, pe=1) == 1 << 23


def test_an_owned_ppi_on_each_pe(bench: Bench) -> None:
    bench.gic.take(23)
    for pe in (1, 0):
        bench.gic.set_line(23, True, pe)
    assert bench.heard.owned == [(23, 1), (23, 0)]
    bench.gic.acknowledge(23, 1)
    assert [bench.gic.is_active(23, pe) for pe in (0, 1, None)] == [False, True, True]
    bench.gic.end(23, 1)
    assert bench.heard.owned == [(23, 1), (23, 0), (23, 1)]


def test_the_route_of_an_owned_interrupt_is_hidden(bench: Bench) -> None:
    bench.w(IROUTER + 320, 1, 8)
    bench.gic.take(40)
    bench.w(IROUTER + 320, 0, 8)
    assert bench.r(IROUTER + 320, 8) == 0
    bench.gic.give_back(40)
    assert bench.r(IROUTER + 320, 8) == 1


def test_given_back_it_goes_where_its_group_is_enabled(bench: Bench) -> None:
    bench.w(IROUTER + 320, ANY, 8)
    bench.put(IGRPEN1, 0)
    bench.put(IGRPEN0, 1)
    bench.w(IGROUPR + 4, 0)
    bench.gic.take(40)
    bench.gic.give_back(40)
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, True]


# -- the display


def test_rows(bench: Bench) -> None:
    assert bench.gic.rows() == []
    bench.enable(27, 0x80, pe=1)
    bench.w(IROUTER + 320, 1, 8)
    bench.w(IROUTER + 328, 1 << 31, 8)
    bench.w(IROUTER + 336, 0xFF, 8)
    bench.gic.set_line(40, True)
    bench.w(IGROUPR + 8, 0xFFFF_FFFE)
    assert [tuple(row) for row in bench.gic.rows()] == [
        # INTID, PE, enabled, pending, active, edge, line, priority, group, targets, owned
        (27, 1, True, False, False, False, False, 0x80, 1, (1,), False),
        (40, None, False, True, False, False, True, 0, 1, (1,), False),
        (41, None, False, False, False, False, False, 0, 1, (0,), False),
        (42, None, False, False, False, False, False, 0, 1, (), False),
        (64, None, False, False, False, False, False, 0, 0, (0,), False),
    ]


# -- state


def test_a_state_continues_elsewhere(bench: Bench) -> None:
    bench.put(ICC_CTLR, 2)
    bench.edge(40)
    bench.enable(40, 0xA0)
    bench.enable(41, 0x80)
    bench.enable(27, 0x20)
    bench.enable(45, pe=1)
    bench.w(IROUTER + 8 * 45, ANY, 8)
    bench.gic.pulse(40)
    assert bench.get(IAR1) == 40
    for intid in (41, 27):
        bench.gic.set_line(intid, True)
        assert bench.get(IAR1) == intid
    bench.gic.take(60)
    bench.gic.set_line(60, True)
    bench.gic.acknowledge(60, 0)
    bench.gic.set_line(45, True)
    bench.w(WAKER, 2)
    state = bench.gic.save()
    assert plain(state)

    def finish(b: Bench) -> list[Any]:
        seen: list[Any] = []
        for intid in (27, 41, 40):
            b.put(EOIR1, intid)
            seen += [b.get(RPR), b.get(AP1R0), b.get(HPPIR1), b.r(ISACTIVER + 4), b.gic.irq(0)]
            b.put(DIR, intid)
            seen += [b.get(HPPIR1), b.gic.irq(0)]
        b.gic.end(60, 0)
        return [*seen, b.heard.owned[-1:], b.get(IAR1, 1), b.gic.rows()]

    other = Bench()
    other.gic.load(state)
    assert other.heard.lines == [False, True]
    expected = finish(bench)
    assert finish(other) == expected
    assert expected[:7] == [0x80, 1 << 16 | 1 << 20, 1023, 0x300, False, 27, True]
    assert expected[-3:-1] == [[(60, 0)], 45]
    other.gic.load(state)
    assert other.gic.save() == state
    for pes in (1, 3):
        with pytest.raises(ValueError, match="zip"):
            Gic3(pes).load(state)


def test_a_reset_leaves_lines_only(bench: Bench) -> None:
    bench.enable(40)
    bench.edge(41)
    bench.w(IROUTER + 320, 1, 8)
    bench.gic.take(60)
    bench.gic.set_line(40, True)
    assert bench.get(IAR1, 1) == 40
    bench.gic.reset()
    fresh = Gic3(2)
    fresh.set_line(40, True)
    assert bench.gic.save() == fresh.save()
    assert bench.heard.lines == [False, False]


# -- anything at all

INTID = st.sampled_from([0, 1, 5, 27, 30, 32, 33, 40, 41])
WIRED = st.sampled_from([27, 30, 32, 33, 40, 41])
PE = st.integers(0, 1)
PRIORITY = st.sampled_from([0, 0x10, 0x40, 0x48, 0x80, 0xF0, 0xFF])
GROUP = st.sampled_from([0, 1, 1, 1])
ACTION = st.one_of(
    st.tuples(st.just("line"), WIRED, st.booleans(), PE),
    st.tuples(st.just("pulse"), WIRED, PE),
    st.tuples(st.just("bit"), st.sampled_from(range(0x100, 0x400, 0x80)), INTID, PE),
    st.tuples(st.just("group"), INTID, st.booleans(), PE),
    st.tuples(st.just("priority"), INTID, PRIORITY, PE),
    st.tuples(st.just("route"), INTID, st.sampled_from([0, 1, ANY, 2])),
    st.tuples(st.just("edge"), INTID, st.booleans(), PE),
    st.tuples(st.just("sgi"), st.sampled_from([SGI1R, SGI0R, ASGI1R]), st.integers(0, 3),
              st.booleans(), st.integers(0, 5), PE),
    st.tuples(st.just("waker"), st.booleans(), PE),
    st.tuples(st.just("gicd"), st.integers(0, 3)),
    st.tuples(st.just("put"), st.just(ICC_CTLR), st.integers(0, 3), PE),
    st.tuples(st.just("put"), st.sampled_from([IGRPEN0, IGRPEN1]), st.integers(0, 1), PE),
    st.tuples(st.just("put"), st.sampled_from([BPR0, BPR1]), st.integers(0, 7), PE),
    st.tuples(st.just("put"), st.just(PMR), PRIORITY, PE),
    st.tuples(st.just("iar"), GROUP, PE),
    st.tuples(st.just("iar"), GROUP, PE),
    st.tuples(st.just("eoi"), GROUP, PE),
    st.tuples(st.just("put"), st.just(DIR), INTID, PE),
    st.tuples(st.sampled_from(["take", "give_back", "clear"]), WIRED),
    st.tuples(st.sampled_from(["acknowledge", "end"]), WIRED, PE),
    st.tuples(st.just("save")),
)  # fmt: skip


def interface(b: Bench, pe: int) -> Interface:
    return Interface(
        forwarded=b.r(CTLR) & 3,
        enabled=b.get(IGRPEN0, pe) | b.get(IGRPEN1, pe) << 1,
        mask=b.get(PMR, pe),
        running=b.get(RPR, pe),
        points=(
            b.get(BPR0, pe),
            b.get(BPR0, pe) + 1 if b.get(ICC_CTLR, pe) & 1 else b.get(BPR1, pe),
        ),
        irq_groups=(1,),
    )


def levels(b: Bench, pe: int) -> int:
    return b.get(AP0R0, pe).bit_count() + b.get(AP1R0, pe).bit_count()


def bit(b: Bench, block: int, intid: int, pe: int, value: int | None = None) -> None:
    """Write one interrupt's bit; of a register that has both values, leave the others."""
    base, register = (SGI, 0) if intid < 32 else (D, intid // 32 * 4)
    address, mask = base + block + register, 1 << intid % 32
    if value is None:
        b.w(address, mask, pe=pe)
    else:
        b.w(address, b.r(address, pe=pe) & ~mask | value * mask, pe=pe)


def act(b: Bench, stacks: list[list[int]], action: tuple[Any, ...]) -> object:
    """Do one thing; return what can be read of it. `stacks`: what each PE has to end."""
    match action:
        case ("line", intid, level, pe):
            b.gic.set_line(intid, level, pe)
        case ("pulse", intid, pe):
            b.gic.pulse(intid, pe)
        case ("bit", block, intid, pe):
            bit(b, block, intid, pe)
        case ("group", intid, group, pe):
            bit(b, 0x080, intid, pe, int(group))
        case ("priority", intid, value, pe):
            b.w((RIPRIORITYR if intid < 32 else IPRIORITYR) + intid, value, 1, pe)
        case ("route", intid, route):
            b.w(IROUTER + 8 * intid, route, 8)
        case ("edge", intid, edge, pe):
            address = (RICFGR if intid < 32 else ICFGR) + intid // 16 * 4
            b.w(address, (2 if edge else 0) << intid % 16 * 2, pe=pe)
        case ("sgi", register, targets, others, sgi, pe):
            b.put(register, targets | others << 40 | sgi << 24, pe)
        case ("waker", asleep, pe):
            b.w(WAKER, asleep << 1, pe=pe)
        case ("gicd", value):
            b.w(CTLR, value)
        case ("put", register, value, pe):
            b.put(register, value, pe)
        case ("iar", group, pe):
            before, running, irq = levels(b, pe), b.get(RPR, pe), b.gic.irq(pe)
            intid = b.get((IAR0, IAR1)[group], pe)
            assert (intid != 1023) == irq or not group
            if intid != 1023:
                assert not b.gic.is_owned(intid)
                assert b.gic.is_active(intid, pe)
                assert (levels(b, pe), b.get(RPR, pe) < running) == (before + 1, True)
                stacks[pe].append(intid)
            else:
                assert (levels(b, pe), b.gic.irq(pe)) == (before, irq)
            return intid
        case ("eoi", group, pe):
            before = levels(b, pe)
            b.put((EOIR0, EOIR1)[group], stacks[pe].pop() if stacks[pe] else 1023, pe)
            assert before - levels(b, pe) in (0, 1)
        case ("take", intid):
            b.gic.take(intid)
        case ("give_back", intid):
            b.gic.give_back(intid)
        case ("clear", intid):
            b.gic.clear_pending(intid)
        case ("acknowledge", intid, pe) if b.gic.is_owned(intid):
            b.gic.acknowledge(intid, pe)
        case ("end", intid, pe) if b.gic.is_owned(intid):
            b.gic.end(intid, pe)
    return None


@settings(deadline=None, max_examples=150)
@given(st.lists(ACTION, max_size=60))
def test_whatever_happens(actions: list[tuple[Any, ...]]) -> None:
    b = Bench()
    b.open()
    for pe in range(2):
        b.w(RISENABLER, 1 << 27 | 1 << 30 | 0x3F, pe=pe)
    b.w(ISENABLER + 4, 0x303)
    for intid, route in ((33, 1), (40, ANY)):
        b.w(IROUTER + 8 * intid, route, 8)
    stacks: list[list[int]] = [[], []]
    twin: Bench | None = None
    twins_stacks: list[list[int]] = [[], []]
    for action in actions:
        waiting, told = awaited(b.gic), len(b.heard.owned)
        result = act(b, stacks, action)
        for pe in range(2):
            assert b.gic.irq(pe) == irq_by_the_rules(b.gic, pe, interface(b, pe))
        assert b.heard.lines == [b.gic.irq(pe) for pe in range(2)]
        new = awaited(b.gic) - waiting
        assert b.heard.owned[told:] == ([] if action[0] == "take" else sorted(new))
        if twin:
            assert act(twin, twins_stacks, action) == result
            assert twin.gic.save() == b.gic.save()
            assert twin.heard.lines == b.heard.lines
        if action[0] == "save":
            twin = Bench()
            twin.gic.load(b.gic.save())
            twins_stacks = [list(stack) for stack in stacks]
