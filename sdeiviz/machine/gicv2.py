"""GICv2 as QEMU's `virt` has it: one security state, all registers in memory (IHI 0048B).

Software has both groups to itself. An interrupt of either is an IRQ, unless GICC_CTLR.FIQEn makes
group 0's FIQs. With one PE, the target registers read as zero and everything goes to it (4.3.12).
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.machine.gic import ARM, GICD_BASE, GICD_SIZE, INTIDS, ITLINES, SPURIOUS, Gic, bits

GICC_BASE: Final = 0x0801_0000
GICC_SIZE: Final = 0x1_0000
MOST_PES: Final = 8


class Gicd(IntEnum):
    """Distributor registers (4.3), besides those that `Gic` has for each interrupt."""

    CTLR = 0x000
    TYPER = 0x004
    IIDR = 0x008
    ITARGETSR = 0x800
    SGIR = 0xF00
    CPENDSGIR = 0xF10
    SPENDSGIR = 0xF20
    PIDR4 = 0xFD0


class Gicc(IntEnum):
    """Registers of a CPU interface (4.4)."""

    CTLR = 0x0000
    PMR = 0x0004
    BPR = 0x0008
    IAR = 0x000C
    EOIR = 0x0010
    RPR = 0x0014
    HPPIR = 0x0018
    ABPR = 0x001C
    AIAR = 0x0020
    AEOIR = 0x0024
    AHPPIR = 0x0028
    APR0 = 0x00D0
    NSAPR0 = 0x00E0
    IIDR = 0x00FC
    DIR = 0x1000


_IDENTIFICATION: Final = bytes.fromhex("04000000 90b42b00 0df005b1")
"""PIDR4-7, PIDR0-3 and CIDR0-3, one byte a word: architecture 2 (4.3.18)."""
_GICC_IIDR: Final = 2 << 16 | ARM

_ACK_CTL: Final = 1 << 2
_FIQ_EN: Final = 1 << 3
_CBPR: Final = 1 << 4
_EOI_MODE: Final = 1 << 9
_GICC_CTLR: Final = 0b11 | _ACK_CTL | _FIQ_EN | _CBPR | _EOI_MODE

_ASK_ALIAS: Final = 1022
"""IAR's answer where only AIAR, or IAR with AckCtl set, gives the number (4.4.4)."""


class Gic2(Gic):
    """The controller of up to eight PEs.

    Parameters
    ----------
    pes
        How many there are.

    Raises
    ------
    sdeiviz.Error
        There cannot be that many.

    Examples
    --------
    >>> gic = Gic2(1)
    >>> gic.read(0, 0x0800_0004, 4)  # GICD_TYPER: nine times 32 INTIDs
    8
    """

    irq_groups = 0b11
    reset_group = 0
    fixed_sgis = 0xFFFF

    def __init__(self, pes: int) -> None:
        if not 1 <= pes <= MOST_PES:
            raise Error(f"a GICv2 serves 1 to {MOST_PES} PEs, not {pes}: take a GICv3")
        self.regions = (GICD_BASE, GICD_SIZE), (GICC_BASE, GICC_SIZE)
        super().__init__(pes)

    def read(self, pe: int, address: int, size: int) -> int:
        """Return what a PE reads; 0 where there is nothing, or nothing of that size."""
        if size not in (1, 4) or address % size:
            return 0
        if GICD_BASE <= address < GICD_BASE + GICD_SIZE:
            return self._read_distributor(pe, address - GICD_BASE, size)
        if GICC_BASE <= address < GICC_BASE + GICC_SIZE and size == 4:
            return self.read_interface(pe, address - GICC_BASE)
        return 0

    def write(self, pe: int, address: int, size: int, value: int) -> None:
        """Do what a PE's write does: nothing where there is nothing of that size."""
        if size not in (1, 4) or address % size:
            return
        value &= (1 << 8 * size) - 1
        if GICD_BASE <= address < GICD_BASE + GICD_SIZE:
            self._write_distributor(pe, address - GICD_BASE, size, value)
        elif GICC_BASE <= address < GICC_BASE + GICC_SIZE and size == 4:
            self.write_interface(pe, address - GICC_BASE, value)

    # -- the distributor

    def _read_distributor(self, pe: int, offset: int, size: int) -> int:
        if Gicd.ITARGETSR <= offset < Gicd.ITARGETSR + INTIDS:
            first = offset - Gicd.ITARGETSR
            targets = (self._target_byte(n, pe) for n in range(first, first + size))
            return int.from_bytes(targets, "little")
        if Gicd.CPENDSGIR <= offset < Gicd.SPENDSGIR + 16:
            first = offset & 15
            return int.from_bytes(self._sources[pe][first : first + size], "little")
        if size == 4:
            match offset:
                case Gicd.CTLR:
                    return self._groups
                case Gicd.TYPER:
                    return ITLINES | (len(self._pes) - 1) << 5
                case Gicd.IIDR:
                    return ARM
                case _ if Gicd.PIDR4 <= offset < 0x1000:
                    return _IDENTIFICATION[(offset - Gicd.PIDR4) >> 2]
        return self._read_interrupts(pe, offset, size, range(INTIDS))

    def _write_distributor(self, pe: int, offset: int, size: int, value: int) -> None:
        if offset == Gicd.SGIR and size == 4:  # first: the most frequent one
            self._generate(pe, value)
        elif Gicd.ITARGETSR + 32 <= offset < Gicd.ITARGETSR + INTIDS:
            first = offset - Gicd.ITARGETSR
            for n, targets in enumerate(value.to_bytes(size, "little"), first):
                if not self.is_owned(n):
                    self._routes[n] = targets & (1 << len(self._pes)) - 1
            self._route(range(first, first + size))
            self._update(self._pes)
        elif Gicd.CPENDSGIR <= offset < Gicd.SPENDSGIR + 16:
            for n, sources in enumerate(value.to_bytes(size, "little"), offset & 15):
                if offset < Gicd.SPENDSGIR:
                    self._set_sources(n, pe, self._sources[pe][n] & ~sources)
                else:
                    self._set_sources(n, pe, self._sources[pe][n] | sources)
            self._update((pe,))
        elif offset == Gicd.CTLR and size == 4:
            self._groups = value & 0b11
            self._update(self._pes)
        else:
            self._write_interrupts(pe, offset, size, value, range(INTIDS))

    def _targets(self, intid: int) -> Iterable[int]:
        return self._pes if len(self._pes) == 1 else bits(self._routes[intid])

    def _target_byte(self, intid: int, pe: int) -> int:
        if len(self._pes) == 1 or self.is_owned(intid, pe):
            return 0
        return 1 << pe if intid < 32 else self._routes[intid]

    def _generate(self, pe: int, value: int) -> None:
        """GICD_SGIR: to the PEs listed, to all others, or to itself (4.3.15)."""
        everyone = (1 << len(self._pes)) - 1
        listed, filtered = value >> 16 & 0xFF, value >> 24 & 3
        targets = (listed, ~(1 << pe), 1 << pe, 0)[filtered] & everyone
        for target in bits(targets):
            self._set_sources(value & 15, target, self._sources[target][value & 15] | 1 << pe)
        self._update(bits(targets))

    def _set_sources(self, sgi: int, pe: int, sources: int) -> None:
        """An SGI is pending once for each PE that sent it (4.3.17)."""
        sources &= (1 << len(self._pes)) - 1
        self._sources[pe][sgi] = sources
        latch = self._private[pe].latch & ~(1 << sgi)
        self._private[pe].latch = latch | bool(sources) << sgi

    # -- a CPU interface

    def read_interface(self, pe: int, offset: int) -> int:
        """Return a register of a PE's CPU interface, all of which have 32 bits."""
        cpu = self._cpus[pe]
        match offset:
            case Gicc.IAR:
                return self._read_iar(pe, alias=False)
            case Gicc.AIAR:
                return self._read_iar(pe, alias=True)
            case Gicc.HPPIR | Gicc.AHPPIR:
                intid = self._visible(self._highest[pe], pe, alias=offset == Gicc.AHPPIR)
                return intid | self._source(intid, pe) << 10
            case Gicc.CTLR:
                return cpu.control
            case Gicc.PMR:
                return cpu.mask
            case Gicc.BPR:
                return cpu.binary_point[0]
            case Gicc.ABPR:
                return cpu.binary_point[1]
            case Gicc.RPR:
                return cpu.running
            case Gicc.APR0:
                return cpu.active[0]
            case Gicc.NSAPR0:
                return cpu.active[1]
            case Gicc.IIDR:
                return _GICC_IIDR
        return 0

    def write_interface(self, pe: int, offset: int, value: int) -> None:
        """Write a register of a PE's CPU interface."""
        cpu = self._cpus[pe]
        match offset:
            case Gicc.EOIR:
                # With AckCtl clear, a group 1 interrupt may come here or not: UNPREDICTABLE.
                self._end_of_interrupt(value & 0x3FF, pe, 0b11)
            case Gicc.AEOIR:
                self._end_of_interrupt(value & 0x3FF, pe, 0b10)
            case Gicc.DIR:
                if cpu.split:
                    self._deactivate(value & 0x3FF, pe)
            case Gicc.CTLR:
                cpu.control = value & _GICC_CTLR
                cpu.groups = value & 0b11
                cpu.irq_groups = 0b10 if value & _FIQ_EN else 0b11
                cpu.common = bool(value & _CBPR)
                cpu.split = bool(value & _EOI_MODE)
            case Gicc.PMR:
                cpu.set_mask(value)
            case Gicc.BPR:
                cpu.set_binary_point(0, value)
            case Gicc.ABPR:
                cpu.set_binary_point(1, value)
            case Gicc.APR0:
                cpu.active[0] = value
            case Gicc.NSAPR0:
                cpu.active[1] = value
        self._update((pe,))

    def _visible(self, intid: int, pe: int, *, alias: bool) -> int:
        """Apply what depends on the group: IAR and HPPIR are group 0's first (4.4.4, 4.4.9)."""
        if intid == SPURIOUS:
            return SPURIOUS
        group = self._group(intid, pe)
        if alias:
            return intid if group else SPURIOUS
        return _ASK_ALIAS if group and not self._cpus[pe].control & _ACK_CTL else intid

    def _read_iar(self, pe: int, *, alias: bool) -> int:
        if not self._signalled[pe]:
            return SPURIOUS
        intid = self._visible(self._highest[pe], pe, alias=alias)
        if intid >= INTIDS:
            return intid
        source = self._source(intid, pe)
        reached = self._reached(intid, pe)
        self._acknowledge(intid, pe)
        if intid < 16:
            self._set_sources(intid, pe, self._sources[pe][intid] & ~(1 << source))
        self._update(reached)
        return intid | source << 10

    def _source(self, intid: int, pe: int) -> int:
        """Return which PE an SGI is from, the lowest of those that sent it."""
        return next(bits(self._sources[pe][intid]), 0) if intid < 16 else 0

    # -- state

    def reset(self) -> None:
        """Go back to what power-on leaves. Input lines stay: they are the devices' to lower."""
        self._sources = [bytearray(16) for _ in self._pes]
        super().reset()

    def save(self) -> dict[str, Any]:
        """Return the controller's whole state as plain values."""
        return super().save() | {"sources": [bytes(sources) for sources in self._sources]}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state, of a controller with as many PEs; see `Gic.load`."""
        self._sources = [bytearray(sources) for sources in state["sources"]]
        super().load(state)
