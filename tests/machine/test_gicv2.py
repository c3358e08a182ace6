"""GICv2 by its registers: sequences and results as IHI 0048B has them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz import Error
from sdeiviz.machine.gicv2 import Gic2
from tests.machine.interrupts import Interface, Listener, awaited, irq_by_the_rules, plain

D = 0x0800_0000
C = 0x0801_0000
CTLR, TYPER, IIDR = D, D + 4, D + 8
IGROUPR, ISENABLER, ICENABLER = D + 0x080, D + 0x100, D + 0x180
ISPENDR, ICPENDR, ISACTIVER, ICACTIVER = D + 0x200, D + 0x280, D + 0x300, D + 0x380
IPRIORITYR, ITARGETSR, ICFGR = D + 0x400, D + 0x800, D + 0xC00
SGIR, CPENDSGIR, SPENDSGIR = D + 0xF00, D + 0xF10, D + 0xF20
GICC_CTLR, PMR, BPR, IAR, EOIR, RPR, HPPIR = (C + n for n in range(0, 0x1C, 4))
ABPR, AIAR, AEOIR, AHPPIR, APR0, NSAPR0, GICC_IIDR, DIR = (
    C + n for n in (0x1C, 0x20, 0x24, 0x28, 0xD0, 0xE0, 0xFC, 0x1000)
)


class Bench:
    """A controller and short words for its accesses; PE 0 unless another is named."""

    def __init__(self, pes: int = 2) -> None:
        self.gic = Gic2(pes)
        self.pes = pes
        self.heard = Listener(self.gic, pes)

    def r(self, address: int, size: int = 4, pe: int = 0) -> int:
        return self.gic.read(pe, address, size)

    def w(self, address: int, value: int, size: int = 4, pe: int = 0) -> None:
        self.gic.write(pe, address, size, value)

    def enable(self, intid: int, priority: int = 0xA0, targets: int = 1, pe: int = 0) -> None:
        self.w(IPRIORITYR + intid, priority, 1, pe)
        if intid >= 32:
            self.w(ITARGETSR + intid, targets, 1)
        self.w(ISENABLER + intid // 32 * 4, 1 << intid % 32, pe=pe)

    def edge(self, intid: int) -> None:
        address = ICFGR + intid // 16 * 4
        self.w(address, self.r(address) | 2 << intid % 16 * 2)


@pytest.fixture
def bench() -> Bench:
    """Two PEs, all let through."""
    b = Bench()
    b.w(CTLR, 3)
    for pe in range(2):
        b.w(GICC_CTLR, 3, pe=pe)
        b.w(PMR, 0xF0, pe=pe)
    return b


# -- what is there

IDENTITY = {
    "GICD_CTLR": (CTLR, 0),
    "GICD_TYPER: 9 * 32 INTIDs, 2 PEs": (TYPER, 0x28),
    "GICD_IIDR": (IIDR, 0x43B),
    "IGROUPR1": (IGROUPR + 4, 0),
    "ISENABLER0: SGIs always are": (ISENABLER, 0xFFFF),
    "ICENABLER0": (ICENABLER, 0xFFFF),
    "ISENABLER8": (ISENABLER + 32, 0),
    "ITARGETSR0: oneself": (ITARGETSR, 0x0101_0101),
    "ITARGETSR7": (ITARGETSR + 28, 0x0101_0101),
    "ITARGETSR8": (ITARGETSR + 32, 0),
    "ICFGR0: SGIs are edges": (ICFGR, 0xAAAA_AAAA),
    "ICFGR1": (ICFGR + 4, 0),
    "PIDR4": (D + 0xFD0, 0x04),
    "PIDR0": (D + 0xFE0, 0x90),
    "PIDR1": (D + 0xFE4, 0xB4),
    "PIDR2: architecture 2": (D + 0xFE8, 0x2B),
    "CIDR0": (D + 0xFF0, 0x0D),
    "CIDR3": (D + 0xFFC, 0xB1),
    "SGIR is written only": (SGIR, 0),
    "GICC_CTLR": (GICC_CTLR, 0),
    "PMR": (PMR, 0),
    "BPR": (BPR, 2),
    "ABPR": (ABPR, 3),
    "IAR": (IAR, 1023),
    "AIAR": (AIAR, 1023),
    "RPR": (RPR, 0xFF),
    "HPPIR": (HPPIR, 1023),
    "AHPPIR": (AHPPIR, 1023),
    "APR0": (APR0, 0),
    "GICC_IIDR: architecture 2": (GICC_IIDR, 0x0002_043B),
    "EOIR is written only": (EOIR, 0),
    "no register": (D + 0x00C, 0),
    "after the registers": (C + 0x2000, 0),
    "beyond the INTIDs": (ISENABLER + 36, 0),
    "before": (D - 4, 0),
    "between": (C + 0x1_0000, 0),
}


@pytest.mark.parametrize(("address", "value"), IDENTITY.values(), ids=IDENTITY)
def test_registers_after_power_on(address: int, value: int) -> None:
    assert Bench().r(address) == value


def test_its_place() -> None:
    assert Gic2(1).regions == ((0x0800_0000, 0x1_0000), (0x0801_0000, 0x1_0000))


@pytest.mark.parametrize("pes", [1, 2, 8])
def test_the_number_of_pes(pes: int) -> None:
    b = Bench(pes)
    assert b.r(TYPER) >> 5 & 7 == pes - 1
    assert b.r(ITARGETSR, 1, pe=pes - 1) == (0 if pes == 1 else 1 << pes - 1)


@pytest.mark.parametrize("pes", [0, 9, -1])
def test_too_many_pes(pes: int) -> None:
    with pytest.raises(Error, match="1 to 8 PEs"):
        Gic2(pes)


KEPT = {
    "GICD_CTLR": (CTLR, 0x3),
    "IGROUPR0": (IGROUPR, 0xFFFF_FFFF),
    "IGROUPR8": (IGROUPR + 32, 0xFFFF_FFFF),
    "ISENABLER1": (ISENABLER + 4, 0xFFFF_FFFF),
    "ISPENDR0 is not for SGIs": (ISPENDR, 0xFFFF_0000),
    "ISPENDR1": (ISPENDR + 4, 0xFFFF_FFFF),
    "ISACTIVER0": (ISACTIVER, 0xFFFF_FFFF),
    "IPRIORITYR0: five bits": (IPRIORITYR, 0xF8F8_F8F8),
    "IPRIORITYR71": (IPRIORITYR + 284, 0xF8F8_F8F8),
    "IPRIORITYR72 is not there": (IPRIORITYR + 288, 0),
    "ITARGETSR7 is fixed": (ITARGETSR + 28, 0x0101_0101),
    "ITARGETSR8: two PEs": (ITARGETSR + 32, 0x0303_0303),
    "ITARGETSR71": (ITARGETSR + 284, 0x0303_0303),
    "ITARGETSR72 is not there": (ITARGETSR + 288, 0),
    "ICFGR0 is fixed": (ICFGR, 0xAAAA_AAAA),
    "ICFGR1": (ICFGR + 4, 0xAAAA_AAAA),
    "ICFGR17": (ICFGR + 68, 0xAAAA_AAAA),
    "ICFGR18 is not there": (ICFGR + 72, 0),
    "GICC_CTLR": (GICC_CTLR, 0x21F),
    "PMR": (PMR, 0xF8),
    "BPR": (BPR, 7),
    "ABPR": (ABPR, 7),
    "APR0": (APR0, 0xFFFF_FFFF),
    "NSAPR0": (NSAPR0, 0xFFFF_FFFF),
    "TYPER": (TYPER, 0x28),
    "PIDR2": (D + 0xFE8, 0x2B),
}


@pytest.mark.parametrize(("address", "value"), KEPT.values(), ids=KEPT)
def test_bits_that_keep_what_is_written(address: int, value: int) -> None:
    b = Bench()
    b.w(address, 0xFFFF_FFFF)
    assert b.r(address) == value


@pytest.mark.parametrize(
    ("setting", "clearing"),
    [(ISENABLER, ICENABLER), (ISPENDR, ICPENDR), (ISACTIVER, ICACTIVER)],
)
def test_one_register_sets_and_another_clears(setting: int, clearing: int) -> None:
    b = Bench()
    b.w(setting + 4, 0b1110)
    b.w(setting + 4, 0b0001)
    assert (b.r(setting + 4), b.r(clearing + 4)) == (0b1111, 0b1111)
    b.w(clearing + 4, 0b0110)
    assert (b.r(setting + 4), b.r(clearing + 4)) == (0b1001, 0b1001)
    b.w(clearing + 4, 0)
    assert b.r(setting + 4) == 0b1001


def test_private_interrupts_are_each_pes_own() -> None:
    b = Bench()
    b.w(ISENABLER, 1 << 27, pe=1)
    b.w(IPRIORITYR + 27, 0x40, 1, pe=1)
    assert (b.r(ISENABLER, pe=0), b.r(ISENABLER, pe=1)) == (0xFFFF, 0x0800_FFFF)
    assert (b.r(IPRIORITYR + 27, 1, pe=0), b.r(IPRIORITYR + 27, 1, pe=1)) == (0, 0x40)
    b.w(ISENABLER + 4, 1, pe=1)
    assert b.r(ISENABLER + 4, pe=0) == 1


def test_sgis_cannot_be_disabled() -> None:
    b = Bench()
    b.w(ICENABLER, 0xFFFF_FFFF)
    assert b.r(ISENABLER) == 0xFFFF


def test_sgis_stay_edges() -> None:
    b = Bench()
    for word in range(ICFGR, ICFGR + 72, 4):
        b.w(word, 0)
    assert (b.r(ICFGR), b.r(ICFGR + 4), b.r(ICFGR + 8)) == (0xAAAA_AAAA, 0, 0)


def test_bytes_where_the_architecture_has_them() -> None:
    b = Bench()
    b.w(IPRIORITYR + 32, 0x0810_1820)
    assert [b.r(IPRIORITYR + n, 1) for n in range(32, 36)] == [0x20, 0x18, 0x10, 0x08]
    b.w(IPRIORITYR + 33, 0x1FF, 1)
    assert b.r(IPRIORITYR + 32) == 0x0810_F820
    b.w(ITARGETSR + 35, 2, 1)
    assert (b.r(ITARGETSR + 32), b.r(ITARGETSR + 35, 1)) == (0x0200_0000, 2)


@pytest.mark.parametrize(
    ("address", "size"),
    [
        (IPRIORITYR + 32, 2), (IPRIORITYR + 32, 8), (IPRIORITYR + 32, 3), (IPRIORITYR + 33, 4),
        (IPRIORITYR + 32, 0), (ISENABLER + 4, 1), (ISENABLER + 4, 2), (ISENABLER + 6, 4),
        (ICFGR + 8, 1), (ISPENDR + 4, 8), (CTLR, 1), (GICC_CTLR, 1), (PMR, 1), (PMR, 2),
        (PMR, 8), (PMR + 1, 4), (SGIR, 1), (SGIR, 2),
    ],
)  # fmt: skip
def test_other_sizes_read_as_zero_and_write_nothing(address: int, size: int) -> None:
    b = Bench()
    for word in (IPRIORITYR + 32, ISENABLER + 4, ICFGR + 8, ISPENDR + 4, PMR):
        b.w(word, 0x5A5A_5A5A)
    before = b.gic.save()
    b.w(address, 0x0300_00FF, size)
    assert b.r(address, size) == 0
    assert b.gic.save() == before


# -- an interrupt's life


def test_an_edge_is_taken_once(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    assert not bench.gic.irq(0)
    bench.gic.pulse(40)
    assert bench.gic.irq(0)
    assert (bench.r(ISPENDR + 4), bench.r(ISACTIVER + 4)) == (1 << 8, 0)
    assert bench.r(HPPIR) == 40
    assert bench.r(IAR) == 40
    assert not bench.gic.irq(0)
    assert (bench.r(ISPENDR + 4), bench.r(ISACTIVER + 4)) == (0, 1 << 8)
    assert (bench.r(RPR), bench.r(APR0)) == (0xA0, 1 << 20)
    assert bench.r(IAR) == 1023
    bench.w(EOIR, 40)
    assert (bench.r(ISACTIVER + 4), bench.r(RPR), bench.r(APR0)) == (0, 0xFF, 0)
    assert bench.r(IAR) == 1023
    assert bench.heard.changes == [(0, True), (0, False)]


def test_edges_coalesce(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    for _ in range(3):
        bench.gic.pulse(40)
    assert bench.r(IAR) == 40
    bench.gic.pulse(40)
    bench.gic.pulse(40)
    assert not bench.gic.irq(0)
    assert (bench.r(ISPENDR + 4), bench.r(ISACTIVER + 4)) == (1 << 8, 1 << 8)
    bench.w(EOIR, 40)
    assert bench.gic.irq(0)
    assert bench.r(IAR) == 40
    bench.w(EOIR, 40)
    assert bench.r(IAR) == 1023


def test_an_edge_needs_its_line_to_fall_first(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.r(ISPENDR + 4) == 1 << 8
    assert bench.r(IAR) == 40
    assert bench.r(ISPENDR + 4) == 0, "the line alone is no edge"
    bench.w(EOIR, 40)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 1023
    bench.gic.set_line(40, False)
    bench.gic.set_line(40, True)
    bench.gic.set_line(40, False)
    assert bench.r(IAR) == 40


def test_a_level_is_pending_again_after_its_end(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    for _ in range(3):
        assert bench.r(IAR) == 40
        assert not bench.gic.irq(0)
        assert (bench.r(ISPENDR + 4), bench.r(ISACTIVER + 4)) == (1 << 8, 1 << 8)
        bench.w(EOIR, 40)
        assert bench.gic.irq(0)
    assert bench.r(IAR) == 40
    bench.gic.set_line(40, False)
    assert bench.r(ISPENDR + 4) == 0
    bench.w(EOIR, 40)
    assert not bench.gic.irq(0)


def test_a_level_that_falls_before_it_is_taken_is_spurious(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    bench.gic.set_line(40, False)
    assert (bench.gic.irq(0), bench.r(IAR)) == (False, 1023)
    assert bench.heard.changes == [(0, True), (0, False)]
    bench.gic.pulse(40)
    assert bench.r(ISPENDR + 4) == 0


def test_software_makes_a_level_pending(bench: Bench) -> None:
    """4.3.8: the latch is written and cleared; a high line cannot be cleared away."""
    bench.enable(40)
    bench.w(ISPENDR + 4, 1 << 8)
    bench.gic.set_line(40, True)
    bench.gic.set_line(40, False)
    assert bench.gic.irq(0)
    bench.w(ICPENDR + 4, 1 << 8)
    assert not bench.gic.irq(0)
    bench.gic.set_line(40, True)
    bench.w(ICPENDR + 4, 1 << 8)
    assert (bench.r(ISPENDR + 4), bench.gic.irq(0)) == (1 << 8, True)
    bench.w(ISPENDR + 4, 1 << 8)
    assert bench.r(IAR) == 40
    bench.gic.set_line(40, False)
    bench.w(EOIR, 40)
    assert not bench.gic.irq(0), "the acknowledgement used up the latch"


def test_pending_while_disabled_is_kept(bench: Bench) -> None:
    bench.edge(40)
    bench.gic.pulse(40)
    assert (bench.r(ISPENDR + 4), bench.r(HPPIR)) == (1 << 8, 1023)
    bench.enable(40)
    assert bench.gic.irq(0)
    bench.w(ICENABLER + 4, 1 << 8)
    assert not bench.gic.irq(0)


def test_active_by_software(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    bench.w(ISACTIVER + 4, 1 << 8)
    assert (bench.gic.irq(0), bench.r(RPR)) == (False, 0xFF)
    bench.w(ICACTIVER + 4, 1 << 8)
    assert bench.gic.irq(0)


def test_a_ppi_has_a_line_for_each_pe(bench: Bench) -> None:
    for pe in range(2):
        bench.enable(27, pe=pe)
    bench.gic.set_line(27, True, 1)
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, True]
    assert (bench.r(IAR), bench.r(IAR, pe=1)) == (1023, 27)
    bench.gic.set_line(27, True, 0)
    assert (bench.r(IAR), bench.r(ISACTIVER), bench.r(ISACTIVER, pe=1)) == (27, 1 << 27, 1 << 27)
    bench.w(EOIR, 27, pe=1)
    assert (bench.r(ISACTIVER), bench.r(ISACTIVER, pe=1)) == (1 << 27, 0)


@pytest.mark.parametrize("intid", [-1, 0, 15, 288, 1023])
def test_inputs_that_do_not_exist(intid: int) -> None:
    gic = Gic2(1)
    for call in (
        lambda: gic.set_line(intid, True),
        lambda: gic.pulse(intid),
        lambda: gic.take(intid),
        lambda: gic.acknowledge(intid, 0),
        lambda: gic.end(intid, 0),
        lambda: gic.clear_pending(intid),
    ):
        with pytest.raises(Error, match="neither a PPI"):
            call()


@pytest.mark.parametrize("intid", [16, 31, 32, 287])
def test_inputs_at_the_ends(bench: Bench, intid: int) -> None:
    bench.enable(intid)
    bench.gic.set_line(intid, True)
    assert bench.r(IAR) == intid


def test_a_pe_that_does_not_exist() -> None:
    with pytest.raises(Error, match="no PE 2"):
        Gic2(2).set_line(27, True, 2)


# -- what lets an interrupt through

CLOSED = {
    "disabled": (ICENABLER + 4, 1 << 8),
    "no target": (ITARGETSR + 40, 0),
    "the distributor": (CTLR, 2),
    "the interface": (GICC_CTLR, 2),
    "the mask, equal": (PMR, 0xA0),
    "the mask, seven bits too fine": (PMR, 0xA7),
}


@pytest.mark.parametrize(("address", "value"), CLOSED.values(), ids=CLOSED)
def test_each_gate_closes(bench: Bench, address: int, value: int) -> None:
    bench.enable(40, 0xA0)
    bench.gic.set_line(40, True)
    assert bench.gic.irq(0)
    bench.w(address, value, 1 if address == ITARGETSR + 40 else 4)
    assert (bench.gic.irq(0), bench.r(IAR)) == (False, 1023)
    assert bench.heard.changes == [(0, True), (0, False)]


def test_the_mask_opens_one_step_above(bench: Bench) -> None:
    bench.w(PMR, 0)
    bench.enable(40, 0xA0)
    bench.gic.set_line(40, True)
    assert (bench.gic.irq(0), bench.r(HPPIR)) == (False, 40)
    bench.w(PMR, 0xA8)
    assert bench.gic.irq(0)


def test_the_lowest_priority_is_never_signalled(bench: Bench) -> None:
    """3.3: the mask's largest value, 0xF8 of five bits, masks that priority itself."""
    bench.w(PMR, 0xFF)
    bench.enable(40, 0xFF)
    bench.gic.set_line(40, True)
    assert not bench.gic.irq(0)
    bench.w(IPRIORITYR + 40, 0xF0, 1)
    assert bench.gic.irq(0)


def test_order(bench: Bench) -> None:
    """The highest priority first, of equal ones the lowest number."""
    for intid, priority in ((50, 0x80), (34, 0x80), (60, 0x40), (33, 0xA0)):
        bench.enable(intid, priority)
        bench.edge(intid)
        bench.gic.pulse(intid)
    taken = []
    while (intid := bench.r(IAR)) != 1023:
        taken.append(intid)
        bench.w(EOIR, intid)
    assert taken == [60, 34, 50, 33]


# -- preemption


def test_nested_preemption(bench: Bench) -> None:
    for intid, priority in ((40, 0xA0), (41, 0x80), (42, 0x40), (43, 0x80)):
        bench.edge(intid)
        bench.enable(intid, priority)
    bench.gic.pulse(40)
    assert bench.r(IAR) == 40
    bench.gic.pulse(41)
    assert bench.gic.irq(0)
    assert bench.r(IAR) == 41
    bench.gic.pulse(43)
    assert (bench.gic.irq(0), bench.r(HPPIR)) == (False, 43), "an equal one does not preempt"
    bench.gic.pulse(42)
    assert bench.r(IAR) == 42
    assert (bench.r(RPR), bench.r(APR0)) == (0x40, 1 << 8 | 1 << 16 | 1 << 20)
    bench.w(EOIR, 42)
    assert (bench.r(RPR), bench.gic.irq(0)) == (0x80, False)
    bench.w(EOIR, 41)
    assert (bench.r(RPR), bench.gic.irq(0)) == (0xA0, True)
    assert bench.r(IAR) == 43
    bench.w(EOIR, 43)
    bench.w(EOIR, 40)
    assert (bench.r(RPR), bench.r(APR0), bench.r(ISACTIVER + 4)) == (0xFF, 0, 0)


@pytest.mark.parametrize(
    ("point", "preempts", "running"),
    [(2, True, 0xA8), (3, True, 0xA0), (4, False, 0xA0), (6, False, 0x80), (7, False, 0)],
)
def test_the_binary_point(bench: Bench, point: int, preempts: bool, running: int) -> None:
    """Table 3-2: BPR 3 splits 0xA8 from 0x98, BPR 4 does not split 0xA8 from 0xA0."""
    bench.w(BPR, point)
    bench.enable(40, 0xA8)
    bench.enable(41, 0x98 if point < 4 else 0xA0)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 40
    assert bench.r(RPR) == running
    bench.gic.set_line(41, True)
    assert bench.gic.irq(0) == preempts


def test_the_binary_point_of_group_1(bench: Bench) -> None:
    """Table 3-2 by one off: with ABPR 5, the group priority is bits 7 to 5."""
    bench.w(GICC_CTLR, 7)
    bench.w(IGROUPR + 4, 0xFFFF_FFFF)
    bench.w(ABPR, 5)
    bench.enable(40, 0xB8)
    bench.enable(41, 0xA0)
    bench.enable(42, 0x98)
    bench.gic.set_line(40, True)
    assert (bench.r(IAR), bench.r(RPR), bench.r(NSAPR0), bench.r(APR0)) == (40, 0xA0, 1 << 20, 0)
    bench.gic.set_line(41, True)
    assert not bench.gic.irq(0)
    bench.gic.set_line(42, True)
    assert bench.gic.irq(0)
    assert (bench.r(IAR), bench.r(RPR)) == (42, 0x80)


def test_one_binary_point_for_both_groups(bench: Bench) -> None:
    bench.w(IGROUPR + 4, 0xFFFF_FFFF)
    bench.w(GICC_CTLR, 0x17)
    bench.w(BPR, 7)
    bench.enable(40, 0xA0)
    bench.enable(41, 0)
    bench.gic.set_line(40, True)
    assert (bench.r(IAR), bench.r(RPR)) == (40, 0)
    bench.gic.set_line(41, True)
    assert not bench.gic.irq(0)


def test_a_running_priority_that_software_restores(bench: Bench) -> None:
    bench.enable(40, 0xA0)
    bench.gic.set_line(40, True)
    bench.w(APR0, 1 << 4)
    assert (bench.r(RPR), bench.gic.irq(0)) == (0x20, False)
    bench.w(NSAPR0, 1 << 2)
    assert bench.r(RPR) == 0x10
    bench.w(APR0, 0)
    bench.w(NSAPR0, 0)
    assert bench.gic.irq(0)


# -- ends


def test_an_end_without_a_beginning_does_nothing(bench: Bench) -> None:
    bench.w(ISACTIVER + 4, 1 << 8)
    bench.w(EOIR, 40)
    assert bench.r(ISACTIVER + 4) == 1 << 8


@pytest.mark.parametrize("spurious", [1023, 1022, 1020, 288])
def test_the_end_of_a_spurious_interrupt_is_ignored(bench: Bench, spurious: int) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 40
    bench.w(EOIR, spurious)
    assert (bench.r(RPR), bench.r(ISACTIVER + 4)) == (0xA0, 1 << 8)


def test_eoimode_splits_drop_and_deactivation(bench: Bench) -> None:
    bench.w(GICC_CTLR, 0x203)
    bench.enable(40)
    bench.enable(41)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 40
    bench.w(EOIR, 40)
    assert (bench.r(RPR), bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (0xFF, 1 << 8, False)
    bench.gic.set_line(41, True)
    assert bench.r(IAR) == 41
    bench.w(DIR, 40, pe=1)
    assert bench.r(ISACTIVER + 4) == 0b11 << 8, "PE 1 has EOImode clear: its DIR is ignored"
    bench.w(DIR, 40)
    assert (bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (1 << 9, False)
    bench.w(EOIR, 41)
    assert bench.gic.irq(0)
    bench.w(DIR, 41)
    assert (bench.r(ISACTIVER + 4), bench.r(IAR)) == (0, 40)


def test_deactivation_by_another_pe(bench: Bench) -> None:
    for pe in range(2):
        bench.w(GICC_CTLR, 0x203, pe=pe)
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 40
    bench.w(EOIR, 40)
    bench.w(DIR, 40, pe=1)
    assert (bench.r(ISACTIVER + 4), bench.gic.irq(0)) == (0, True)


# -- groups


def test_group_1_at_iar(bench: Bench) -> None:
    """4.4.4: IAR says 1022 until AckCtl is set; the aliases say the number."""
    bench.w(IGROUPR + 4, 1 << 8)
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.gic.irq(0)
    assert (bench.r(IAR), bench.r(HPPIR), bench.r(AHPPIR)) == (1022, 1022, 40)
    assert bench.r(AIAR) == 40
    bench.w(AEOIR, 40)
    assert bench.r(RPR) == 0xFF
    bench.w(GICC_CTLR, 7)
    assert (bench.r(HPPIR), bench.r(IAR), bench.r(NSAPR0)) == (40, 40, 1 << 20)
    bench.w(EOIR, 40)
    assert (bench.r(RPR), bench.r(ISACTIVER + 4)) == (0xFF, 0)


def test_group_0_is_not_for_the_aliases(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert (bench.r(AIAR), bench.r(AHPPIR)) == (1023, 1023)
    assert bench.r(IAR) == 40
    bench.w(AEOIR, 40)
    assert (bench.r(RPR), bench.r(ISACTIVER + 4)) == (0xA0, 1 << 8)


def test_groups_are_enabled_each(bench: Bench) -> None:
    bench.w(IGROUPR + 4, 1 << 8)
    bench.enable(40, 0x20)
    bench.enable(41, 0x40)
    bench.gic.set_line(40, True)
    bench.gic.set_line(41, True)
    assert bench.r(AHPPIR) == 40
    bench.w(CTLR, 1)
    assert (bench.r(HPPIR), bench.gic.irq(0)) == (41, True)
    bench.w(CTLR, 3)
    bench.w(GICC_CTLR, 2)
    assert (bench.r(AHPPIR), bench.gic.irq(0)) == (40, True)
    bench.w(GICC_CTLR, 0)
    assert not bench.gic.irq(0)


def test_with_fiqen_group_0_is_no_irq(bench: Bench) -> None:
    bench.w(IGROUPR + 4, 1 << 8)
    bench.enable(40, 0x40)
    bench.enable(41, 0x20)
    bench.w(GICC_CTLR, 0xB)
    bench.gic.set_line(40, True)
    assert bench.gic.irq(0)
    bench.gic.set_line(41, True)
    assert not bench.gic.irq(0)
    assert bench.r(IAR) == 41
    bench.w(EOIR, 41)
    bench.w(GICC_CTLR, 3)
    assert bench.gic.irq(0)


# -- SGIs


def test_an_sgi_to_a_list(bench: Bench) -> None:
    bench.w(SGIR, 0b10 << 16 | 5)
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, True]
    assert bench.r(IAR, pe=1) == 5
    bench.w(EOIR, 5, pe=1)
    assert bench.r(IAR, pe=1) == 1023


def test_an_sgi_says_who_sent_it(bench: Bench) -> None:
    bench.w(SGIR, 0b01 << 16 | 5, pe=1)
    assert (bench.r(HPPIR), bench.r(IAR)) == (1 << 10 | 5, 1 << 10 | 5)
    assert (bench.r(RPR), bench.r(ISACTIVER)) == (0, 1 << 5)
    bench.w(EOIR, 1 << 10 | 5)
    assert (bench.r(RPR), bench.r(ISACTIVER)) == (0xFF, 0)


@pytest.mark.parametrize(
    ("value", "reached"),
    [
        (0b1011 << 16, [0, 1, 3]),
        (0xFF << 16, [0, 1, 2, 3]),
        (0, []),
        (1 << 24 | 0xFF << 16, [0, 1, 3]),
        (2 << 24, [2]),
        (3 << 24 | 0xFF << 16, []),
    ],
)
def test_filters_of_an_sgi(value: int, reached: list[int]) -> None:
    b = Bench(4)
    b.w(SGIR, value | 7, pe=2)
    assert [pe for pe in range(4) if b.r(ISPENDR, pe=pe) == 1 << 7] == reached
    assert all(b.r(SPENDSGIR + 7, 1, pe=pe) == 0b0100 for pe in reached)


def test_an_sgi_is_pending_once_for_each_source() -> None:
    b = Bench(4)
    b.w(CTLR, 1)
    b.w(GICC_CTLR, 1)
    b.w(PMR, 0xF0)
    for source in (3, 1, 1, 0):
        b.w(SGIR, 1 << 16 | 5, pe=source)
    assert (b.r(SPENDSGIR + 4), b.r(CPENDSGIR + 4)) == (0b1011 << 8, 0b1011 << 8)
    taken = []
    for _ in range(3):
        taken.append(b.r(IAR))
        assert (b.r(ISACTIVER), b.gic.irq(0)) == (1 << 5, False)
        b.w(EOIR, taken[-1])
    assert taken == [5, 1 << 10 | 5, 3 << 10 | 5]
    assert (b.r(IAR), b.r(ISPENDR), b.r(SPENDSGIR + 5, 1)) == (1023, 0, 0)


def test_sources_are_set_and_cleared(bench: Bench) -> None:
    bench.w(SPENDSGIR + 3, 0xFF, 1)
    assert bench.r(SPENDSGIR) == 0x0300_0000, "two PEs only"
    bench.w(SPENDSGIR + 4, 0x0000_0201)
    assert bench.r(SPENDSGIR + 4) == 0x0000_0201
    bench.w(CPENDSGIR + 3, 1, 1)
    assert (bench.r(IAR), bench.r(ISPENDR)) == (1 << 10 | 3, 0b11 << 4)
    bench.w(CPENDSGIR + 4, 0xFFFF_FFFF)
    bench.w(EOIR, 3)
    assert (bench.r(ISPENDR), bench.gic.irq(0)) == (0, False)


def test_the_first_sgi_and_the_last_pe() -> None:
    b = Bench(8)
    b.w(SPENDSGIR, 0x81, 1, pe=7)
    assert (b.r(SPENDSGIR, pe=7), b.r(CPENDSGIR, 1, pe=7), b.r(ISPENDR, pe=7)) == (0x81, 0x81, 1)
    b.w(CPENDSGIR, 0x80, 1, pe=7)
    assert b.r(SPENDSGIR, 1, pe=7) == 1
    b.w(SGIR, 1 << 23 | 15)
    assert (b.r(SPENDSGIR + 15, 1, pe=7), b.r(ISPENDR, pe=7)) == (1, 0x8001)


def test_pending_registers_leave_sgis_alone(bench: Bench) -> None:
    bench.w(SGIR, 2 << 24 | 5)
    bench.w(ICPENDR, 0xFFFF)
    bench.w(ISPENDR, 0xFFFF)
    assert bench.r(ISPENDR) == 1 << 5


# -- targets


def test_an_spi_goes_to_whom_it_is_sent(bench: Bench) -> None:
    bench.enable(40, targets=2)
    bench.gic.set_line(40, True)
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, True]
    bench.w(ITARGETSR + 40, 1, 1)
    assert [bench.gic.irq(pe) for pe in range(2)] == [True, False]
    bench.w(ITARGETSR + 40, 0, 1)
    assert bench.r(ISPENDR + 4) == 1 << 8


def test_of_several_targets_the_first_to_ask_gets_it(bench: Bench) -> None:
    bench.enable(40, targets=3)
    bench.gic.set_line(40, True)
    assert [bench.gic.irq(pe) for pe in range(2)] == [True, True]
    assert bench.r(IAR, pe=1) == 40
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, False]
    assert bench.r(IAR) == 1023
    bench.w(EOIR, 40, pe=1)
    assert [bench.gic.irq(pe) for pe in range(2)] == [True, True]


def test_with_one_pe_everything_goes_to_it() -> None:
    b = Bench(1)
    b.w(CTLR, 1)
    b.w(GICC_CTLR, 1)
    b.w(PMR, 0xF0)
    b.enable(40, targets=0)
    b.gic.set_line(40, True)
    assert (b.gic.irq(0), b.r(ITARGETSR + 40, 1), b.r(IAR)) == (True, 0, 40)
    b.w(ITARGETSR + 40, 1, 1)
    assert b.r(ITARGETSR + 40, 1) == 0


def test_what_linux_does() -> None:
    """Its driver's accesses to the distributor and the interface, then one timer interrupt."""
    b = Bench(1)
    assert b.r(D + 0xFE8) & 0xF0 == 0x20
    assert (b.r(TYPER) & 31) + 1 == 9
    b.w(CTLR, 0)
    for n in range(32, 288, 16):
        b.w(ICFGR + n // 4, 0)
    for n in range(32, 288, 4):
        b.w(IPRIORITYR + n, 0xA0A0_A0A0)
    for n in range(32, 288, 32):
        b.w(ICACTIVER + n // 8, 0xFFFF_FFFF)
        b.w(ICENABLER + n // 8, 0xFFFF_FFFF)
    b.w(CTLR, 1)
    b.w(ICACTIVER, 0xFFFF_FFFF)
    b.w(ICENABLER, 0xFFFF_0000)
    b.w(ISENABLER, 0x0000_FFFF)
    for n in range(0, 32, 4):
        b.w(IPRIORITYR + n, 0xA0A0_A0A0)
    b.w(PMR, 0xF0)
    b.w(APR0, 0)
    b.w(GICC_CTLR, b.r(GICC_CTLR) & 0x1E0 | 0x201)
    b.w(ISENABLER, 1 << 27)
    b.gic.set_line(27, True)
    assert b.gic.irq(0)
    assert b.r(IAR) == 27
    b.w(EOIR, 27)
    b.gic.set_line(27, False)
    b.w(DIR, 27)
    assert (b.r(IAR), b.gic.irq(0), b.heard.changes) == (1023, False, [(0, True), (0, False)])


# -- owned interrupts


def test_an_owned_interrupt_is_its_owners(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.take(40)
    assert bench.gic.is_owned(40)
    bench.gic.pulse(40)
    assert bench.heard.owned == [(40, 0)]
    assert (bench.gic.irq(0), bench.r(IAR), bench.r(HPPIR)) == (False, 1023, 1023)
    assert (bench.gic.is_pending(40), bench.gic.is_active(40)) == (True, False)
    bench.gic.pulse(40)
    assert bench.heard.owned == [(40, 0)], "it was pending already"
    bench.gic.acknowledge(40, 1)
    assert (bench.gic.is_pending(40), bench.gic.is_active(40, 0)) == (False, True)
    bench.gic.pulse(40)
    assert bench.heard.owned == [(40, 0)], "not while it is active"
    bench.gic.end(40, 1)
    assert bench.heard.owned == [(40, 0), (40, 0)]
    bench.gic.clear_pending(40)
    assert not bench.gic.is_pending(40)
    assert bench.heard.changes == []


def test_an_owned_level_comes_again_until_it_is_quiesced(bench: Bench) -> None:
    bench.gic.take(40)
    bench.gic.set_line(40, True)
    for n in range(1, 4):
        assert bench.heard.owned == [(40, 0)] * n
        bench.gic.acknowledge(40, 0)
        assert (bench.gic.is_pending(40), bench.gic.is_active(40)) == (True, True)
        bench.gic.end(40, 0)
    bench.gic.acknowledge(40, 0)
    bench.gic.set_line(40, False)
    bench.gic.end(40, 0)
    assert len(bench.heard.owned) == 4
    bench.gic.set_line(40, True)
    bench.gic.clear_pending(40)
    assert (len(bench.heard.owned), bench.gic.is_pending(40)) == (5, True)


def test_an_owned_ppi_is_owned_on_every_pe(bench: Bench) -> None:
    for pe in range(2):
        bench.enable(23, pe=pe)
    bench.gic.take(23)
    for pe in (1, 0):
        bench.gic.set_line(23, True, pe)
    assert (bench.heard.owned, bench.heard.changes) == ([(23, 1), (23, 0)], [])
    bench.gic.acknowledge(23, 1)
    assert [bench.gic.is_active(23, pe) for pe in (0, 1, None)] == [False, True, True]
    bench.gic.end(23, 0)
    assert bench.gic.is_active(23)
    bench.gic.give_back(23)
    assert not bench.gic.is_active(23)
    assert [bench.r(ISENABLER, pe=pe) for pe in range(2)] == [0xFFFF, 0xFFFF]


def test_taking_withdraws_what_was_signalled(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.pulse(40)
    bench.gic.take(40)
    assert bench.heard.changes == [(0, True), (0, False)]
    assert (bench.gic.is_pending(40), bench.heard.owned) == (True, [])


def test_giving_back(bench: Bench) -> None:
    bench.edge(40)
    bench.w(IGROUPR + 4, 1 << 8)
    bench.enable(40, 0x50)
    bench.gic.take(40)
    bench.gic.pulse(40)
    bench.gic.give_back(40)
    assert not bench.gic.is_owned(40)
    assert (bench.r(ISENABLER + 4), bench.r(IGROUPR + 4), bench.r(ISPENDR + 4)) == (0, 0, 0)
    assert (bench.r(IPRIORITYR + 40, 1), bench.r(ITARGETSR + 40, 1)) == (0x50, 1)
    assert bench.r(ICFGR + 8) == 2 << 16
    bench.w(ISENABLER + 4, 1 << 8)
    assert not bench.gic.irq(0)
    bench.gic.pulse(40)
    assert bench.r(IAR) == 40
    assert bench.heard.owned == [(40, 0)]


def test_giving_back_a_level_that_is_still_high(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.take(40)
    bench.gic.set_line(40, True)
    bench.gic.acknowledge(40, 0)
    bench.gic.give_back(40)
    assert (bench.gic.is_pending(40), bench.gic.is_active(40), bench.gic.irq(0)) == (
        True, False, False,
    )  # fmt: skip
    bench.w(ISENABLER + 4, 1 << 8)
    assert bench.gic.irq(0)


def test_giving_back_what_nobody_took(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.give_back(40)
    assert bench.r(ISENABLER + 4) == 1 << 8


def test_the_guest_finds_nothing_where_an_owned_interrupt_was(bench: Bench) -> None:
    everything = (
        (IGROUPR + 4, 1 << 8, 4), (ISENABLER + 4, 1 << 8, 4), (ISPENDR + 4, 1 << 8, 4),
        (ISACTIVER + 4, 1 << 8, 4), (ICENABLER + 4, 1 << 8, 4), (ICPENDR + 4, 1 << 8, 4),
        (ICACTIVER + 4, 1 << 8, 4), (IPRIORITYR + 40, 0xF8, 1), (ITARGETSR + 40, 3, 1),
        (ICFGR + 8, 2 << 16, 4),
    )  # fmt: skip
    for address, value, size in everything[:4] + everything[7:]:
        bench.w(address, value, size)
    bench.gic.take(40)
    before = bench.gic.save()
    for address, value, size in everything:
        assert bench.r(address, size) == 0
        bench.w(address, value, size)
        bench.w(address, 0, size)
    assert bench.gic.save() == before
    # Its neighbours in the same registers are the guest's.
    bench.w(ISENABLER + 4, 0b111 << 7)
    bench.w(IPRIORITYR + 40, 0x1010_1010)
    assert (bench.r(ISENABLER + 4), bench.r(IPRIORITYR + 40)) == (0b101 << 7, 0x1010_1000)


def test_the_end_of_an_interrupt_that_was_taken_meanwhile(bench: Bench) -> None:
    bench.enable(40)
    bench.gic.set_line(40, True)
    assert bench.r(IAR) == 40
    bench.gic.take(40)
    bench.w(EOIR, 40)
    assert (bench.r(RPR), bench.gic.is_active(40), bench.heard.owned) == (0xFF, True, [])
    bench.gic.end(40, 0)
    assert bench.heard.owned == [(40, 0)]


def test_an_interrupt_that_is_not_owned_can_be_handled_from_outside(bench: Bench) -> None:
    bench.edge(40)
    bench.enable(40)
    bench.gic.pulse(40)
    bench.gic.acknowledge(40, 0)
    assert (bench.gic.irq(0), bench.gic.is_active(40), bench.r(RPR)) == (False, True, 0xFF)
    bench.gic.pulse(40)
    bench.gic.end(40, 0)
    assert bench.gic.irq(0)
    bench.gic.clear_pending(40)
    assert (bench.gic.irq(0), bench.heard.owned) == (False, [])
    for pe in range(2):
        bench.enable(23, pe=pe)
        bench.w(ISPENDR, 1 << 23, pe=pe)
    bench.gic.clear_pending(23, 1)
    assert [bench.gic.irq(pe) for pe in range(2)] == [True, False]
    bench.w(ISPENDR, 1 << 23, pe=1)
    bench.gic.clear_pending(23)
    assert [bench.gic.irq(pe) for pe in range(2)] == [False, False]


# -- the display


def test_rows(bench: Bench) -> None:
    assert bench.gic.rows() == []
    bench.enable(27, 0x80, pe=1)
    bench.enable(40, 0xA0, targets=3)
    bench.edge(41)
    bench.gic.set_line(40, True)
    bench.gic.take(50)
    bench.w(SGIR, 2 << 24 | 4)
    assert [tuple(row) for row in bench.gic.rows()] == [
        # INTID, PE, enabled, pending, active, edge, line, priority, group, targets, owned
        (4, 0, True, True, False, True, False, 0, 0, (0,), False),
        (27, 1, True, False, False, False, False, 0x80, 0, (1,), False),
        (40, None, True, True, False, False, True, 0xA0, 0, (0, 1), False),
        (41, None, False, False, False, True, False, 0, 0, (), False),
        (50, None, False, False, False, False, False, 0, 0, (), True),
    ]


# -- state


def busy() -> Bench:
    """Two nested actives, one of them SGI 3 with another source waiting, and more of everything."""
    b = Bench()
    b.w(CTLR, 3)
    for pe in range(2):
        b.w(GICC_CTLR, 0x207, pe=pe)
        b.w(PMR, 0xF0, pe=pe)
    b.w(IGROUPR + 4, 1 << 9)
    b.edge(40)
    b.enable(40, 0xA0)
    b.enable(41, 0x80)
    b.enable(45, 0x10, targets=2)
    b.gic.pulse(40)
    assert b.r(IAR) == 40
    b.gic.set_line(41, True)
    assert b.r(IAR) == 41
    b.w(IPRIORITYR + 3, 0x20, 1)
    for pe in range(2):
        b.w(SGIR, 1 << 16 | 3, pe=pe)
    assert b.r(IAR) == 3
    b.gic.take(60)
    b.gic.set_line(60, True)
    b.gic.acknowledge(60, 0)
    b.gic.set_line(45, True)
    return b


def finish(b: Bench) -> list[Any]:
    """Everything that can be seen of it from there on."""
    seen: list[Any] = [b.gic.irq(pe) for pe in range(2)]
    for intid in (3, 41, 40):
        seen += [b.r(RPR), b.r(APR0), b.r(NSAPR0)]
        b.w(EOIR, intid)
        b.w(DIR, intid)
        seen += [b.gic.irq(0), b.r(HPPIR), b.r(ISACTIVER), b.r(ISACTIVER + 4)]
    while (intid := b.r(IAR)) != 1023 and len(seen) < 100:
        seen.append(intid)
        b.w(EOIR, intid)
    b.gic.end(60, 0)
    return [*seen, b.r(IAR, pe=1), b.heard.owned[-1:], b.gic.rows()]


def test_a_state_continues_elsewhere() -> None:
    b = busy()
    state = b.gic.save()
    assert plain(state)
    other = Bench()
    other.gic.load(state)
    assert other.gic.save() == state
    assert other.heard.owned == []
    assert other.heard.lines == [False, True]
    expected = finish(b)
    assert b.gic.save() != state, "what is saved has no references to what goes on"
    assert finish(other) == expected
    assert expected[:2] == [False, True]
    assert expected[-5:-1] == [1 << 10 | 3, 41, 45, [(60, 0)]]
    other.gic.load(state)
    assert other.gic.save() == state
    assert finish(other) == expected


def test_a_reset_leaves_lines_only() -> None:
    b = busy()
    b.gic.reset()
    assert b.heard.lines == [False, False]
    fresh = Gic2(2)
    for intid in (41, 45, 60):
        fresh.set_line(intid, True)
    assert b.gic.save() == fresh.save()
    assert [row.intid for row in b.gic.rows()] == [41, 45, 60]
    for intid in (41, 45, 60):
        b.gic.set_line(intid, False)
    assert b.gic.rows() == []
    assert not b.gic.is_owned(60)


def test_a_reset_leaves_the_lines_of_each_pe() -> None:
    gic = Gic2(2)
    gic.set_line(27, True, 1)
    gic.reset()
    assert [(row.intid, row.pe, row.line, row.pending) for row in gic.rows()] == [
        (27, 1, True, True)
    ]


# -- anything at all

INTID = st.sampled_from([0, 1, 5, 27, 30, 32, 33, 40, 41])
WIRED = st.sampled_from([27, 30, 32, 33, 40, 41])
PE = st.integers(0, 1)
PRIORITY = st.sampled_from([0, 0x10, 0x40, 0x48, 0x80, 0xF0, 0xFF])
ACTION = st.one_of(
    st.tuples(st.just("line"), WIRED, st.booleans(), PE),
    st.tuples(st.just("pulse"), WIRED, PE),
    st.tuples(st.just("bit"), st.sampled_from(range(0x080, 0x400, 0x80)), INTID, PE),
    st.tuples(st.just("byte"), st.just(0x400), INTID, PRIORITY, PE),
    st.tuples(st.just("byte"), st.just(0x800), INTID, st.integers(0, 3), PE),
    st.tuples(st.just("edge"), INTID, st.booleans()),
    st.tuples(st.just("sgi"), st.integers(0, 3), st.integers(0, 3), st.integers(0, 5), PE),
    st.tuples(st.just("gicd"), st.integers(0, 3)),
    st.tuples(st.just("gicc"), st.sampled_from([3, 7, 0x203, 0x207, 0xB, 0x17, 1, 0]), PE),
    st.tuples(st.just("pmr"), PRIORITY, PE),
    st.tuples(st.just("bpr"), st.integers(0, 7), st.booleans(), PE),
    st.tuples(st.just("iar"), st.booleans(), PE),
    st.tuples(st.just("iar"), st.just(False), PE),
    st.tuples(st.just("eoi"), st.booleans(), PE),
    st.tuples(st.just("dir"), INTID, PE),
    st.tuples(st.sampled_from(["take", "give_back", "clear"]), WIRED),
    st.tuples(st.sampled_from(["acknowledge", "end"]), WIRED, PE),
    st.tuples(st.just("save")),
)


def interface(b: Bench, pe: int) -> Interface:
    control = b.r(GICC_CTLR, pe=pe)
    point, other = b.r(BPR, pe=pe), b.r(ABPR, pe=pe)
    return Interface(
        forwarded=b.r(CTLR, pe=pe),
        enabled=control & 3,
        mask=b.r(PMR, pe=pe),
        running=b.r(RPR, pe=pe),
        points=(point, point + 1 if control & 0x10 else other),
        irq_groups=(1,) if control & 8 else (0, 1),
    )


def levels(b: Bench, pe: int) -> int:
    return b.r(APR0, pe=pe).bit_count() + b.r(NSAPR0, pe=pe).bit_count()


def act(b: Bench, stacks: list[list[int]], action: tuple[Any, ...]) -> object:
    """Do one thing; return what can be read of it. `stacks`: what each PE has to end."""
    match action:
        case ("line", intid, level, pe):
            b.gic.set_line(intid, level, pe)
        case ("pulse", intid, pe):
            b.gic.pulse(intid, pe)
        case ("bit", block, intid, pe):
            b.w(D + block + intid // 32 * 4, 1 << intid % 32, pe=pe)
        case ("byte", block, intid, value, pe):
            b.w(D + block + intid, value, 1, pe)
        case ("edge", intid, edge):
            b.w(ICFGR + intid // 16 * 4, (2 if edge else 0) << intid % 16 * 2)
        case ("sgi", filtered, targets, sgi, pe):
            b.w(SGIR, filtered << 24 | targets << 16 | sgi, pe=pe)
        case ("gicd", value):
            b.w(CTLR, value)
        case ("gicc", value, pe):
            b.w(GICC_CTLR, value, pe=pe)
        case ("pmr", value, pe):
            b.w(PMR, value, pe=pe)
        case ("bpr", value, alias, pe):
            b.w(ABPR if alias else BPR, value, pe=pe)
        case ("iar", alias, pe):
            before, running, irq = levels(b, pe), b.r(RPR, pe=pe), b.gic.irq(pe)
            intid = b.r(AIAR if alias else IAR, pe=pe)
            if intid & 0x3FF < 1020:
                assert not b.gic.is_owned(intid & 0x3FF)
                assert b.gic.is_active(intid & 0x3FF, pe)
                assert (levels(b, pe), b.r(RPR, pe=pe) < running) == (before + 1, True)
                stacks[pe].append(intid)
            else:
                assert (levels(b, pe), b.gic.irq(pe)) == (before, irq)
            return intid
        case ("eoi", alias, pe):
            before = levels(b, pe)
            b.w(AEOIR if alias else EOIR, stacks[pe].pop() if stacks[pe] else 1023, pe=pe)
            assert before - levels(b, pe) in (0, 1)
        case ("dir", intid, pe):
            b.w(DIR, intid, pe=pe)
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
    b.w(CTLR, 3)
    for pe in range(2):
        b.w(GICC_CTLR, 7, pe=pe)
        b.w(PMR, 0xF8, pe=pe)
        b.w(ISENABLER, 1 << 27 | 1 << 30, pe=pe)
    b.w(ISENABLER + 4, 0x303)
    for intid in (32, 33, 40, 41):
        b.w(ITARGETSR + intid, 1 + intid % 3, 1)
    stacks: list[list[int]] = [[], []]
    twin: Bench | None = None
    twins_stacks: list[list[int]] = [[], []]
    for action in actions:
        waiting, told = awaited(b.gic), len(b.heard.owned)
        result = act(b, stacks, action)
        for pe in range(2):
            assert b.gic.irq(pe) == irq_by_the_rules(b.gic, pe, interface(b, pe))
            sources = int.from_bytes(bytes(b.r(SPENDSGIR + n, 1, pe) > 0 for n in range(16)))
            assert sources.bit_count() == (b.r(ISPENDR, pe=pe) & 0xFFFF).bit_count()
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
