"""An interrupt controller's state and rules: `gicv2` and `gicv3` add the registers to them.

GICv2 (IHI 0048B) and GICv3 (IHI 0069) agree on what an interrupt is. It is *pending* because of a
latch (an edge, or software) or, if level-sensitive, because its line is high. It is *forwarded* to
a PE while pending, enabled and not active; *signalled* there if its priority passes the mask and
preempts what runs; *active* from its acknowledgement to its deactivation.

This is a GIC with one security state. Each set of interrupts is one integer: bit n is INTID n.

An interrupt can be *taken* from the guest by firmware or a hypervisor. The guest then finds zeros
where it was, as a Non-secure guest does for a Secure interrupt (IHI 0048B 4.3.5), until it is given
back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple

from sdeiviz.abi.smccc import MASK32
from sdeiviz.errors import Error

GICD_BASE: Final = 0x0800_0000
GICD_SIZE: Final = 0x1_0000
"""Where `virt` has the distributor, of either version."""
INTIDS: Final = 288
"""SGIs 0-15 and PPIs 16-31 of each PE, and 256 SPIs from 32."""
PRIVATE: Final = range(32)
SHARED: Final = range(32, INTIDS)
SPURIOUS: Final = 1023
IDLE: Final = 0xFF
"""The running priority while nothing runs."""

ITLINES: Final = INTIDS // 32 - 1
"""GICD_TYPER.ITLinesNumber (IHI 0048B 4.3.2)."""
ARM: Final = 0x43B
"""Arm's JEP106 code, as it stands in IIDR registers."""

_SGIS: Final = 0xFFFF
_ALL: Final = (1 << INTIDS) - 1
_PRIORITY: Final = 0xF8
"""Five bits of priority: 32 levels, so every level has a bit in one active priorities register."""

_LEAST_POINT: Final = (2, 3)


class Block(IntEnum):
    """Registers with a bit for each interrupt: offset >> 7 (IHI 0048B table 4-1, IHI 0069 12.8)."""

    IGROUPR = 1
    ISENABLER = 2
    ICENABLER = 3
    ISPENDR = 4
    ICPENDR = 5
    ISACTIVER = 6
    ICACTIVER = 7


class Interrupt(NamedTuple):
    """What a display shows of one interrupt; `pe` is None for a shared one."""

    intid: int
    pe: int | None
    enabled: bool
    pending: bool
    active: bool
    edge: bool
    line: bool
    priority: int
    group: int
    targets: tuple[int, ...]
    owned: bool


class Bank:
    """Interrupts that are kept together: the private ones of a PE, or all shared ones."""

    def __init__(self, interrupts: range, *, enabled: int, group: int) -> None:
        self.enabled = enabled
        self.latch = 0
        self.line = 0
        self.edge = _SGIS if interrupts is PRIVATE else 0
        self.active = 0
        self.group = group
        """Set: group 1."""
        self.owned = 0
        """Not the guest's: taken by whoever delivers them as events."""
        self.priority = bytearray(interrupts.stop)

    @property
    def pending(self) -> int:
        """A level-sensitive interrupt has its latch and its line (IHI 0048B 4.3.8)."""
        return self.latch | self.line & ~self.edge

    @property
    def forwarded(self) -> int:
        """What may go on to a PE."""
        pending = self.latch | self.line & ~self.edge  # a call less, here where most time goes
        return pending & self.enabled & ~(self.active | self.owned)

    def save(self) -> dict[str, Any]:
        """Return the interrupts' state as plain values."""
        return vars(self) | {"priority": bytes(self.priority)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state: what there is here, and no other names."""
        vars(self).update({name: state[name] for name in vars(self)})
        self.priority = bytearray(self.priority)


class CpuInterface:
    """What one PE lets through, and what it is busy with."""

    def __init__(self, irq_groups: int) -> None:
        self.control = 0
        """GICC_CTLR or ICC_CTLR_EL1, the bits that can be written."""
        self.groups = 0
        """Groups enabled: bit n for group n."""
        self.irq_groups = irq_groups
        """Groups signalled as IRQ; others are FIQs, which nobody takes here."""
        self.mask = 0
        self.split = False
        """EOImode: the end of an interrupt only drops the priority, DIR deactivates."""
        self.common = False
        """CBPR: group 1 uses group 0's binary point."""
        self.binary_point = list(_LEAST_POINT)
        """Of group 0, and of group 1, which counts one higher (IHI 0048B 3.3.3)."""
        self.active = [0, 0]
        """Active priorities of each group, bit n for priority 8 * n (IHI 0048B 4.4.12)."""

    @property
    def running(self) -> int:
        """The running priority."""
        active = self.active[0] | self.active[1]
        return ((active & -active).bit_length() - 1) << 3 if active else IDLE

    @property
    def running_group(self) -> int | None:
        """Which group the running priority belongs to."""
        group_0, group_1 = self.active
        if not group_1:
            return 0 if group_0 else None
        return 0 if group_0 and group_0 & -group_0 <= group_1 & -group_1 else 1

    def group_priority(self, priority: int, group: int) -> int:
        """Return the part of a priority that can preempt (IHI 0048B 3.3.3, IHI 0069 4.8)."""
        point = self.binary_point[1] - 1 if group and not self.common else self.binary_point[0]
        return priority & (0xFF << (point + 1)) & _PRIORITY

    def set_mask(self, value: int) -> None:
        """Write the priority mask."""
        self.mask = value & _PRIORITY

    def set_binary_point(self, group: int, value: int) -> None:
        """Write a binary point: at least what splits off the bits that do not exist."""
        self.binary_point[group] = max(value & 7, _LEAST_POINT[group])

    def lets_through(self, priority: int, group: int) -> bool:
        """Tell whether a priority passes the mask and preempts (IHI 0048B 3.3, IHI 0069 4.8)."""
        if not (self.active[0] or self.active[1]):
            return priority < self.mask
        return priority < self.mask and self.group_priority(priority, group) < self.running

    def save(self) -> dict[str, Any]:
        """Return the interface's state as plain values."""
        return vars(self) | {
            "binary_point": list(self.binary_point),
            "active": list(self.active),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        vars(self).update({name: state[name] for name in vars(self)})
        self.binary_point, self.active = list(self.binary_point), list(self.active)


class Gic(ABC):
    """The controller, short of its registers.

    Parameters
    ----------
    pes
        How many PEs it serves; they are numbered from 0.
    """

    irq_groups: ClassVar[int]
    """Groups signalled as IRQ after a reset."""
    reset_group: ClassVar[int]
    """The group of every interrupt after a reset."""
    fixed_sgis: ClassVar[int]
    """SGIs that are always enabled, and made pending by their own registers only."""

    on_irq_change: Callable[[int, bool], object] | None = None
    """Told of (PE, level) when the IRQ line to a PE changes."""
    on_owned_pending: Callable[[int, int], object] | None = None
    """Told of (INTID, PE) when an owned interrupt comes to await its owner: it is pending and not
    active. The PE is 0 for a shared one."""

    def __init__(self, pes: int) -> None:
        self._pes = range(pes)
        self._private = [self._new_bank(PRIVATE) for _ in self._pes]
        self._shared = self._new_bank(SHARED)
        self._irq = [False for _ in self._pes]
        self._signalled = [False for _ in self._pes]
        self._highest = [SPURIOUS for _ in self._pes]
        self.reset()

    # -- inputs

    def set_line(self, intid: int, level: bool, pe: int = 0) -> None:
        """Drive the input of a PPI (of that PE) or SPI: an edge is a rising one."""
        bank, bit = self._wired(intid, pe)
        if level == bool(bank.line & bit):
            return
        awaited = self._awaits_owner(bank, bit)
        bank.line ^= bit
        if level:
            bank.latch |= bit & bank.edge
        self._changed(intid, pe, awaited)

    def pulse(self, intid: int, pe: int = 0) -> None:
        """Send an edge. A level-sensitive interrupt does not notice it."""
        bank, bit = self._wired(intid, pe)
        awaited = self._awaits_owner(bank, bit)
        bank.latch |= bit & bank.edge
        self._changed(intid, pe, awaited)

    # -- output

    def irq(self, pe: int) -> bool:
        """Return the IRQ line to a PE."""
        return self._irq[pe]

    # -- for an owner of interrupts (DEN0054C 6.3)

    def take(self, intid: int, pe: int | None = None) -> None:
        """Keep a PPI (on every PE if none is named) or SPI from the guest; pending stays so."""
        self._wired(intid, pe or 0)
        for bank in self._named_banks(intid, pe):
            bank.owned |= 1 << intid
        self._update(self._pes)

    def give_back(self, intid: int, pe: int | None = None) -> None:
        """Let the guest have it again, disabled, inactive, and in the group of a reset.

        What was not taken stays as it is.
        """
        for bank in self._named_banks(intid, pe):
            if not bank.owned >> intid & 1:
                continue
            keep = ~(1 << intid)
            bank.enabled &= keep
            bank.latch &= keep
            bank.active &= keep
            bank.owned &= keep
            bank.group = bank.group & keep | self.reset_group << intid
        if intid in SHARED:
            self._route((intid,))

    def _named_banks(self, intid: int, pe: int | None) -> Iterable[Bank]:
        return self._banks(intid) if pe is None else (self._bank(intid, pe),)

    def is_owned(self, intid: int, pe: int = 0) -> bool:
        """Tell whether it was taken."""
        return bool(self._bank(intid, pe).owned >> intid & 1)

    def is_pending(self, intid: int, pe: int = 0) -> bool:
        """Tell whether it is pending, active or not."""
        return bool(self._bank(intid, pe).pending >> intid & 1)

    def is_active(self, intid: int, pe: int | None = None) -> bool:
        """Tell whether it is active, on any PE if none is named."""
        return any(bank.active >> intid & 1 for bank in self._named_banks(intid, pe))

    def acknowledge(self, intid: int, pe: int = 0) -> None:
        """Make it active; an edge is used up."""
        bank, bit = self._wired(intid, pe)
        bank.latch &= ~bit
        bank.active |= bit
        self._changed(intid, pe)

    def end(self, intid: int, pe: int = 0) -> None:
        """Make it inactive; a line still high, or an edge since, makes it await its owner again."""
        bank, bit = self._wired(intid, pe)
        awaited = self._awaits_owner(bank, bit)
        bank.active &= ~bit
        self._changed(intid, pe, awaited)

    def clear_pending(self, intid: int, pe: int | None = None) -> None:
        """Forget an edge, on every PE if none is named; a level stays while its line is high."""
        self._wired(intid, pe or 0)
        for bank in self._named_banks(intid, pe):
            bank.latch &= ~(1 << intid)
        self._update(self._pes)

    # -- a display

    def rows(self) -> list[Interrupt]:
        """Return every interrupt that differs from what it is after a reset, as it is now."""
        rows = [
            row for pe, bank in enumerate(self._private) for row in self._rows(bank, PRIVATE, pe)
        ]
        return rows + self._rows(self._shared, SHARED, None)

    def _rows(self, bank: Bank, interrupts: range, pe: int | None) -> list[Interrupt]:
        reset = self._new_bank(interrupts)
        differs = (
            (bank.enabled ^ reset.enabled)
            | (bank.edge ^ reset.edge)
            | (bank.group ^ reset.group)
            | bank.pending
            | bank.line
            | bank.active
            | bank.owned
        )
        return [
            Interrupt(
                intid=n,
                pe=pe,
                enabled=bool(bank.enabled >> n & 1),
                pending=bool(bank.pending >> n & 1),
                active=bool(bank.active >> n & 1),
                edge=bool(bank.edge >> n & 1),
                line=bool(bank.line >> n & 1),
                priority=bank.priority[n],
                group=bank.group >> n & 1,
                targets=tuple(self._targets(n)) if pe is None else (pe,),
                owned=bool(bank.owned >> n & 1),
            )
            for n in interrupts
            if differs >> n & 1 or bank.priority[n] or self._routes[n]
        ]

    # -- state

    def reset(self) -> None:
        """Go back to what power-on leaves. Input lines stay: they are the devices' to lower."""
        for bank in self._private:
            bank.load(self._new_bank(PRIVATE).save() | {"line": bank.line})
        self._shared.load(self._new_bank(SHARED).save() | {"line": self._shared.line})
        self._groups = 0
        self._routes = [0] * INTIDS
        self._cpus = [CpuInterface(self.irq_groups) for _ in self._pes]
        self._refresh()

    def save(self) -> dict[str, Any]:
        """Return the controller's whole state as plain values."""
        return {
            "groups": self._groups,
            "routes": list(self._routes),
            "private": [bank.save() for bank in self._private],
            "shared": self._shared.save(),
            "cpus": [cpu.save() for cpu in self._cpus],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state, of a controller with as many PEs.

        IRQ lines that differ are told; owned interrupts are not, their owner has a state too.
        """
        self._groups = state["groups"]
        self._routes = list(state["routes"])
        for bank, saved in zip(self._private, state["private"], strict=True):
            bank.load(saved)
        self._shared.load(state["shared"])
        for cpu, saved in zip(self._cpus, state["cpus"], strict=True):
            cpu.load(saved)
        self._refresh()

    def _refresh(self) -> None:
        """Work out everything that follows from the state."""
        self._routed = [0 for _ in self._pes]
        self._route(SHARED)
        self._update(self._pes)

    # -- the rules

    def _new_bank(self, interrupts: range) -> Bank:
        private = interrupts is PRIVATE
        return Bank(
            interrupts,
            enabled=self.fixed_sgis if private else 0,
            group=self.reset_group * (MASK32 if private else _ALL ^ MASK32),
        )

    def _bank(self, intid: int, pe: int) -> Bank:
        return self._private[pe] if intid < 32 else self._shared

    def _banks(self, intid: int) -> list[Bank]:
        return self._private if intid in PRIVATE else [self._shared]

    def _wired(self, intid: int, pe: int) -> tuple[Bank, int]:
        if not 16 <= intid < INTIDS:
            raise Error(f"interrupt {intid} is neither a PPI (16 to 31) nor an SPI (32 to 287)")
        if pe not in self._pes:
            raise Error(f"no PE {pe}: this interrupt controller has {len(self._pes)}")
        return self._bank(intid, pe), 1 << intid

    @abstractmethod
    def _targets(self, intid: int) -> Iterable[int]:
        """Return the PEs an SPI goes to, by its route and its group."""

    def _route(self, intids: Iterable[int]) -> None:
        """Take note of where SPIs go now."""
        moved = 0
        for intid in intids:
            moved |= 1 << intid
        self._routed = [routed & ~moved for routed in self._routed]
        for intid in bits(moved):
            for pe in self._targets(intid):
                self._routed[pe] |= 1 << intid

    def _awaits_owner(self, bank: Bank, bit: int) -> bool:
        return bool(bank.owned & bit and bank.pending & ~bank.active & bit)

    def _changed(self, intid: int, pe: int, awaited: bool = True) -> None:
        """Tell whom it concerns that an interrupt changed; `awaited`: its owner knew already."""
        bank = self._bank(intid, pe)
        if bank.owned >> intid & 1:
            if not awaited and self._awaits_owner(bank, 1 << intid) and self.on_owned_pending:
                self.on_owned_pending(intid, pe if intid in PRIVATE else 0)
        else:
            self._update(self._reached(intid, pe))

    def _reached(self, intid: int, pe: int) -> Iterable[int]:
        """Return the PEs whose IRQ line an interrupt can move."""
        if intid < 32:
            return (pe,)
        return [pe for pe, routed in enumerate(self._routed) if routed >> intid & 1]

    def _update(self, pes: Iterable[int]) -> None:
        """Work out again what each PE is signalled."""
        changed = []
        for pe in pes:
            intid, signalled, irq = self._find_highest(pe), False, False
            if intid != SPURIOUS:
                bank = self._private[pe] if intid < 32 else self._shared
                cpu, group = self._cpus[pe], bank.group >> intid & 1
                signalled = cpu.lets_through(bank.priority[intid], group)
                irq = signalled and bool(cpu.irq_groups >> group & 1)
            self._highest[pe], self._signalled[pe] = intid, signalled
            if irq != self._irq[pe]:
                self._irq[pe] = irq
                changed.append(pe)
        if self.on_irq_change:
            for pe in changed:
                self.on_irq_change(pe, self._irq[pe])

    def _group(self, intid: int, pe: int) -> int:
        return self._bank(intid, pe).group >> intid & 1

    def _find_highest(self, pe: int) -> int:
        """Return the forwarded interrupt with the highest priority, then the lowest INTID."""
        private, shared = self._private[pe], self._shared
        waiting = private.forwarded
        if shared.latch or shared.line:
            waiting |= shared.forwarded & self._routed[pe]
        if not waiting:
            return SPURIOUS
        groups = self._groups & self._cpus[pe].groups
        if not groups & 1:
            waiting &= private.group | shared.group
        if not groups & 2:
            waiting &= ~(private.group | shared.group)
        highest, priority = SPURIOUS, IDLE + 1  # lower than any
        while waiting:
            intid = (waiting & -waiting).bit_length() - 1
            its_own = (private if intid < 32 else shared).priority[intid]
            if its_own < priority:
                highest, priority = intid, its_own
            waiting &= waiting - 1
        return highest

    def _acknowledge(self, intid: int, pe: int) -> None:
        """Let a PE run an interrupt; the caller updates."""
        bank, cpu = self._bank(intid, pe), self._cpus[pe]
        group = bank.group >> intid & 1
        bank.latch &= ~(1 << intid)
        bank.active |= 1 << intid
        cpu.active[group] |= 1 << (cpu.group_priority(bank.priority[intid], group) >> 3)

    def _end_of_interrupt(self, intid: int, pe: int, groups: int) -> None:
        """EOIR: drop the priority if it is of one of these groups, and deactivate unless split.

        The caller updates this PE.
        """
        cpu = self._cpus[pe]
        group = cpu.running_group
        if intid >= INTIDS or group is None or not groups >> group & 1:
            return
        cpu.active[group] &= cpu.active[group] - 1
        if not cpu.split:
            self._deactivate(intid, pe)

    def _deactivate(self, intid: int, pe: int) -> None:
        """Make an interrupt inactive; the caller updates this PE."""
        if intid >= INTIDS:
            return
        bank = self._bank(intid, pe)
        if not bank.owned >> intid & 1:
            bank.active &= ~(1 << intid)
            if bank is self._shared:
                self._update(other for other in self._reached(intid, pe) if other != pe)

    # -- the registers that both have, for each interrupt

    def _read_interrupts(self, pe: int, offset: int, size: int, served: range) -> int:
        """Read IGROUPR to IPRIORITYR or ICFGR, where it is about interrupts in `served`."""
        first = _first_interrupt(offset)
        if first not in served or size > 4:
            return 0
        bank = self._bank(first, pe)
        if 0x400 <= offset < 0x800:
            priorities = bank.priority[first : first + size]
            visible = (0 if self.is_owned(first + n, pe) else p for n, p in enumerate(priorities))
            return int.from_bytes(visible, "little")
        if size != 4:
            return 0
        if offset >= 0xC00:
            edges = (bank.edge & ~bank.owned) >> first & 0xFFFF
            return sum(2 << 2 * n for n in bits(edges))
        match offset >> 7:
            case Block.IGROUPR:
                value = bank.group
            case Block.ISENABLER | Block.ICENABLER:
                value = bank.enabled
            case Block.ISPENDR | Block.ICPENDR:
                value = bank.pending
            case _:
                value = bank.active
        return (value & ~bank.owned) >> first & MASK32

    def _write_interrupts(self, pe: int, offset: int, size: int, value: int, served: range) -> None:
        """Write one of them."""
        first = _first_interrupt(offset)
        if first not in served or size > 4:
            return
        bank = self._bank(first, pe)
        if 0x400 <= offset < 0x800:
            for n, priority in enumerate(value.to_bytes(size, "little"), first):
                if not self.is_owned(n, pe):
                    bank.priority[n] = priority & _PRIORITY
        elif size != 4:
            return
        elif offset >= 0xC00:
            configured = 0xFFFF << first & ~bank.owned & ~_SGIS
            edges = sum(1 << n for n in range(16) if value >> 2 * n & 2)
            bank.edge = bank.edge & ~configured | edges << first & configured
        else:
            self._write_bits(bank, offset >> 7, MASK32 << first & ~bank.owned, value << first)
        self._update((pe,) if first in PRIVATE else self._pes)

    def _write_bits(self, bank: Bank, block: int, field: int, value: int) -> None:
        value &= field
        if block in (Block.ISENABLER, Block.ICENABLER, Block.ISPENDR, Block.ICPENDR):
            value &= ~self.fixed_sgis
        match block:
            case Block.IGROUPR:
                bank.group = bank.group & ~field | value
                if bank is self._shared:
                    self._route(bits(field))
            case Block.ISENABLER:
                bank.enabled |= value
            case Block.ICENABLER:
                bank.enabled &= ~value
            case Block.ISPENDR:
                bank.latch |= value
            case Block.ICPENDR:
                bank.latch &= ~value
            case Block.ISACTIVER:
                bank.active |= value
            case Block.ICACTIVER:
                bank.active &= ~value


def bits(value: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, lowest first.

    >>> list(bits(0b1011))
    [0, 1, 3]
    """
    while value:
        lowest = value & -value
        yield lowest.bit_length() - 1
        value ^= lowest


def _first_interrupt(offset: int) -> int:
    """Return the first INTID a register is about: 1, 8 or 2 bits each; INTIDS for none."""
    if 0x080 <= offset < 0x400:
        return (offset & 0x7F) << 3
    if 0x400 <= offset < 0x800:
        return offset & 0x3FF
    if 0xC00 <= offset < 0xD00:
        return (offset & 0xFF) << 2
    return INTIDS
