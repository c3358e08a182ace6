"""GICv3 as QEMU's `virt` has it: one security state, no LPIs, no legacy mode (IHI 0069).

GICD_CTLR.DS and ARE read as one. Group 1 interrupts are IRQs; group 0's would be FIQs and wait.
Every interrupt is in group 1 after a reset, as it is for a guest of KVM. A PE whose redistributor
sleeps still gets its IRQ line raised: that is its wake request.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Final

from sdeiviz.abi.smccc import MASK32
from sdeiviz.errors import Error
from sdeiviz.machine.gic import (
    ARM,
    GICD_BASE,
    GICD_SIZE,
    INTIDS,
    ITLINES,
    PRIVATE,
    SHARED,
    SPURIOUS,
    Gic,
    bits,
)

GICR_BASE: Final = 0x080A_0000
GICR_STRIDE: Final = 0x2_0000
FIRST_REGION_PES: Final = 123
"""So many redistributors fit below the UART."""
SECOND_GICR_BASE: Final = 0x40_0000_0000
MOST_PES: Final = 512


class Gicd(IntEnum):
    """Distributor registers (12.9), besides those that `Gic` has for each interrupt."""

    CTLR = 0x0000
    TYPER = 0x0004
    IIDR = 0x0008
    IROUTER = 0x6000
    PIDR4 = 0xFFD0


class Gicr(IntEnum):
    """Redistributor registers (12.11); the second 64 KiB have the private interrupts."""

    CTLR = 0x0000
    IIDR = 0x0004
    TYPER = 0x0008
    TYPER_HIGH = 0x000C
    WAKER = 0x0014
    PIDR4 = 0xFFD0
    SGI_BASE = 0x1_0000


_ENABLE_GROUPS: Final = 0b11
_ARE: Final = 1 << 4
_DS: Final = 1 << 6
_TYPER: Final = ITLINES | 15 << 19 | 1 << 24 | 1 << 26
"""Sixteen INTID bits, A3V: affinity 3 may be used, RSS: and all of affinity 0 (12.9)."""
_GICR_TYPER_LAST: Final = 1 << 4
_PROCESSOR_SLEEP: Final = 1 << 1
_CHILDREN_ASLEEP: Final = 1 << 2
_GICD_IDENTIFICATION: Final = bytes.fromhex("44000000 92b43b00 0df005b1")
_GICR_IDENTIFICATION: Final = bytes.fromhex("44000000 93b43b00 0df005b1")
"""PIDR4-7, PIDR0-3 and CIDR0-3, one byte a word: architecture 3 (12.9)."""

AFFINITY: Final = 0xFF_00FF_FFFF
"""Aff3 to Aff0 as in MPIDR_EL1 and IROUTER."""
_ROUTING_MODE: Final = 1 << 31

_CBPR: Final = 1 << 0
_EOI_MODE: Final = 1 << 1
_ICC_CTLR: Final = 4 << 8 | 1 << 15 | 1 << 18
"""Five bits of priority, A3V and RSS (12.2)."""
_ICC_SRE: Final = 0b111

Encoding = tuple[int, int, int, int, int]
"""(op0, op1, CRn, CRm, op2) of a system register."""

SYSTEM_REGISTERS: Final[dict[Encoding, str]] = {
    (3, 0, 4, 6, 0): "PMR",
    (3, 0, 12, 8, 0): "IAR0",
    (3, 0, 12, 8, 1): "EOIR0",
    (3, 0, 12, 8, 2): "HPPIR0",
    (3, 0, 12, 8, 3): "BPR0",
    (3, 0, 12, 8, 4): "AP0R0",
    (3, 0, 12, 9, 0): "AP1R0",
    (3, 0, 12, 11, 1): "DIR",
    (3, 0, 12, 11, 3): "RPR",
    (3, 0, 12, 11, 5): "SGI1R",
    (3, 0, 12, 11, 6): "ASGI1R",
    (3, 0, 12, 11, 7): "SGI0R",
    (3, 0, 12, 12, 0): "IAR1",
    (3, 0, 12, 12, 1): "EOIR1",
    (3, 0, 12, 12, 2): "HPPIR1",
    (3, 0, 12, 12, 3): "BPR1",
    (3, 0, 12, 12, 4): "CTLR",
    (3, 0, 12, 12, 5): "SRE",
    (3, 0, 12, 12, 6): "IGRPEN0",
    (3, 0, 12, 12, 7): "IGRPEN1",
}
"""ICC_<name>_EL1 (12.2). With 32 levels of priority AP0R1-3 and AP1R1-3 do not exist."""
SGI_REGISTERS: Final = ((3, 0, 12, 11, 5), (3, 0, 12, 11, 6), (3, 0, 12, 11, 7))
"""Those that send an SGI."""


class Gic3(Gic):
    """The controller of any number of PEs.

    Parameters
    ----------
    pes
        How many there are.
    affinities
        Aff3 to Aff0 of each, as in MPIDR_EL1: all different. Without them, 16 PEs to a cluster.

    Raises
    ------
    sdeiviz.Error
        There cannot be that many, or their affinities do not fit.

    Examples
    --------
    >>> gic = Gic3(2, (0x000, 0x100))
    >>> hex(gic.read(0, 0x080C_0008, 8))  # GICR_TYPER of PE 1: affinity, number, the last
    '0x10000000110'
    """

    irq_groups = 0b10
    reset_group = 1
    fixed_sgis = 0
    _awake: int
    """Bit n: the redistributor of PE n is."""

    def __init__(self, pes: int, affinities: Sequence[int] | None = None) -> None:
        if not 1 <= pes <= MOST_PES:
            raise Error(f"this GICv3 serves 1 to {MOST_PES} PEs, not {pes}")
        if affinities is None:
            affinities = [n >> 4 << 8 | n & 15 for n in range(pes)]
        self._pe_of = {affinity: pe for pe, affinity in enumerate(affinities)}
        if len(self._pe_of) != pes or any(a & ~AFFINITY for a in self._pe_of):
            raise Error(f"{pes} PEs want as many different affinities, Aff3 in bits 39:32")
        self._affinities = tuple(affinities)
        first = min(pes, FIRST_REGION_PES)
        self.regions: tuple[tuple[int, int], ...] = (
            (GICD_BASE, GICD_SIZE),
            (GICR_BASE, first * GICR_STRIDE),
        )
        if pes > first:
            self.regions += ((SECOND_GICR_BASE, (pes - first) * GICR_STRIDE),)
        super().__init__(pes)

    def read(self, pe: int, address: int, size: int) -> int:
        """Return what a PE reads; 0 where there is nothing, or nothing of that size."""
        if size not in (1, 4, 8) or address % size:
            return 0
        if GICD_BASE <= address < GICD_BASE + GICD_SIZE:
            return self._read_distributor(address - GICD_BASE, size)
        if (found := self._find_redistributor(address)) is not None:
            return self._read_redistributor(*found, size)
        return 0

    def write(self, pe: int, address: int, size: int, value: int) -> None:
        """Do what a PE's write does: nothing where there is nothing of that size."""
        if size not in (1, 4, 8) or address % size:
            return
        value &= (1 << 8 * size) - 1
        if GICD_BASE <= address < GICD_BASE + GICD_SIZE:
            self._write_distributor(address - GICD_BASE, size, value)
        elif (found := self._find_redistributor(address)) is not None:
            self._write_redistributor(*found, size, value)

    # -- the distributor

    def _read_distributor(self, offset: int, size: int) -> int:
        if Gicd.IROUTER <= offset < Gicd.IROUTER + 8 * INTIDS:
            intid, shift = offset - Gicd.IROUTER >> 3, 8 * (offset & 4)
            route = 0 if self.is_owned(intid) else self._routes[intid]
            return route >> shift & (1 << 8 * size) - 1 if size >= 4 else 0
        if size == 4:
            match offset:
                case Gicd.CTLR:
                    return _DS | _ARE | self._groups
                case Gicd.TYPER:
                    return _TYPER
                case Gicd.IIDR:
                    return ARM
                case _ if offset >= Gicd.PIDR4:
                    return _GICD_IDENTIFICATION[(offset - Gicd.PIDR4) >> 2]
        return self._read_interrupts(0, offset, size, SHARED)

    def _write_distributor(self, offset: int, size: int, value: int) -> None:
        if Gicd.IROUTER + 8 * 32 <= offset < Gicd.IROUTER + 8 * INTIDS:
            intid, shift = offset - Gicd.IROUTER >> 3, 8 * (offset & 4)
            if size >= 4 and not self.is_owned(intid):
                kept = self._routes[intid] & ~((1 << 8 * size) - 1 << shift)
                self._routes[intid] = (kept | value << shift) & (AFFINITY | _ROUTING_MODE)
                self._route((intid,))
                self._update(self._pes)
        elif offset == Gicd.CTLR and size == 4:
            self._groups = value & _ENABLE_GROUPS
            self._update(self._pes)
        else:
            self._write_interrupts(0, offset, size, value, SHARED)

    def _targets(self, intid: int) -> Iterable[int]:
        """Return the one PE an SPI goes to: the one named, or the first to take part (12.9)."""
        route = self._routes[intid]
        if not route & _ROUTING_MODE:
            return [self._pe_of[route]] if route in self._pe_of else []
        group = self._group(intid, 0)
        return [pe for pe in bits(self._awake) if self._cpus[pe].groups >> group & 1][:1]

    def _participation_changed(self) -> None:
        self._route(n for n in SHARED if self._routes[n] & _ROUTING_MODE)
        self._update(self._pes)

    # -- the redistributors

    def _find_redistributor(self, address: int) -> tuple[int, int] | None:
        """Return whose it is, and the offset in it."""
        first = 0
        for base, size in self.regions[1:]:
            if base <= address < base + size:
                number, offset = divmod(address - base, GICR_STRIDE)
                return first + number, offset
            first += size // GICR_STRIDE
        return None

    def _read_redistributor(self, pe: int, offset: int, size: int) -> int:
        if offset >= Gicr.SGI_BASE:
            return self._read_interrupts(pe, offset - Gicr.SGI_BASE, size, PRIVATE)
        if offset == Gicr.TYPER and size == 8:
            return self._typer(pe)
        if size != 4:
            return 0
        match offset:
            case Gicr.IIDR:
                return ARM
            case Gicr.TYPER:
                return self._typer(pe) & MASK32
            case Gicr.TYPER_HIGH:
                return self._typer(pe) >> 32
            case Gicr.WAKER:
                return 0 if self._awake >> pe & 1 else _PROCESSOR_SLEEP | _CHILDREN_ASLEEP
            case _ if offset >= Gicr.PIDR4:
                return _GICR_IDENTIFICATION[(offset - Gicr.PIDR4) >> 2]
        return 0

    def _write_redistributor(self, pe: int, offset: int, size: int, value: int) -> None:
        if offset >= Gicr.SGI_BASE:
            self._write_interrupts(pe, offset - Gicr.SGI_BASE, size, value, PRIVATE)
        elif offset == Gicr.WAKER and size == 4:
            asleep = bool(value & _PROCESSOR_SLEEP)
            self._awake = self._awake & ~(1 << pe) | (not asleep) << pe
            self._participation_changed()

    def _typer(self, pe: int) -> int:
        """GICR_TYPER: affinity, processor number, and whether its region ends (12.11)."""
        affinity = self._affinities[pe]
        packed = affinity >> 32 << 24 | affinity & 0xFF_FFFF
        last = pe + 1 in (len(self._pes), FIRST_REGION_PES)
        return packed << 32 | pe << 8 | (_GICR_TYPER_LAST if last else 0)

    # -- a CPU interface

    def read_system(self, pe: int, encoding: Encoding) -> int | None:
        """Return what a PE reads from a system register, None where there is none to read."""
        cpu = self._cpus[pe]
        match SYSTEM_REGISTERS.get(encoding):
            case "IAR1":
                return self._read_iar(pe, 1)
            case "IAR0":
                return self._read_iar(pe, 0)
            case "HPPIR1":
                return self._if_of_group(self._highest[pe], pe, 1)
            case "HPPIR0":
                return self._if_of_group(self._highest[pe], pe, 0)
            case "PMR":
                return cpu.mask
            case "RPR":
                return cpu.running
            case "BPR0":
                return cpu.binary_point[0]
            case "BPR1":
                return min(cpu.binary_point[0] + 1, 7) if cpu.common else cpu.binary_point[1]
            case "CTLR":
                return _ICC_CTLR | cpu.control
            case "SRE":
                return _ICC_SRE
            case "IGRPEN0":
                return cpu.groups & 1
            case "IGRPEN1":
                return cpu.groups >> 1
            case "AP0R0":
                return cpu.active[0]
            case "AP1R0":
                return cpu.active[1]
        return None

    def write_system(self, pe: int, encoding: Encoding, value: int) -> bool:
        """Write a system register as a PE does; return False where there is none to write."""
        cpu = self._cpus[pe]
        match SYSTEM_REGISTERS.get(encoding):
            case "EOIR1":
                self._end_of_interrupt(value & 0xFF_FFFF, pe, 0b10)
            case "EOIR0":
                self._end_of_interrupt(value & 0xFF_FFFF, pe, 0b01)
            case "DIR":
                if cpu.split:
                    self._deactivate(value & 0xFF_FFFF, pe)
            case "SGI1R":
                self._generate(pe, value, 0b11)
            case "SGI0R" | "ASGI1R":
                # There is no other security state: its group 1 is group 0 here.
                self._generate(pe, value, 0b01)
            case "PMR":
                cpu.set_mask(value)
            case "BPR0":
                cpu.set_binary_point(0, value)
            case "BPR1":
                if not cpu.common:
                    cpu.set_binary_point(1, value)
            case "CTLR":
                cpu.control = value & (_CBPR | _EOI_MODE)
                cpu.common = bool(value & _CBPR)
                cpu.split = bool(value & _EOI_MODE)
            case "SRE":
                pass  # no other way than system registers: SRE and the bypasses off stay one
            case "IGRPEN0":
                cpu.groups = cpu.groups & 0b10 | value & 1
                self._participation_changed()
            case "IGRPEN1":
                cpu.groups = cpu.groups & 0b01 | (value & 1) << 1
                self._participation_changed()
            case "AP0R0":
                cpu.active[0] = value & MASK32
            case "AP1R0":
                cpu.active[1] = value & MASK32
            case _:
                return False
        self._update((pe,))
        return True

    def _if_of_group(self, intid: int, pe: int, group: int) -> int:
        """Hide an interrupt from the registers of the other group (12.2)."""
        return intid if intid == SPURIOUS or self._group(intid, pe) == group else SPURIOUS

    def _read_iar(self, pe: int, group: int) -> int:
        signalled = self._highest[pe] if self._signalled[pe] else SPURIOUS
        intid = self._if_of_group(signalled, pe, group)
        if intid != SPURIOUS:
            reached = self._reached(intid, pe)
            self._acknowledge(intid, pe)
            self._update(reached)
        return intid

    def _generate(self, pe: int, value: int, groups: int) -> None:
        """ICC_SGInR_EL1: to a list in one cluster, or to all others (12.2)."""
        if value >> 40 & 1:
            named: Iterable[int] = (n for n in self._pes if n != pe)
        else:
            cluster = (value >> 48 & 0xFF) << 32 | (value >> 32 & 0xFF) << 16
            cluster |= (value >> 16 & 0xFF) << 8 | (value >> 44 & 0xF) << 4
            affinities = (cluster | n for n in bits(value & 0xFFFF))
            named = (self._pe_of[a] for a in affinities if a in self._pe_of)
        intid = value >> 24 & 15
        targets = [n for n in named if groups >> self._group(intid, n) & 1]
        for n in targets:
            self._private[n].latch |= 1 << intid
        self._update(targets)

    # -- state

    def reset(self) -> None:
        """Go back to what power-on leaves. Input lines stay: they are the devices' to lower."""
        self._awake = 0
        super().reset()

    def save(self) -> dict[str, Any]:
        """Return the controller's whole state as plain values."""
        return super().save() | {"awake": self._awake}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state, of a controller with the same PEs; see `Gic.load`."""
        self._awake = state["awake"]
        super().load(state)
