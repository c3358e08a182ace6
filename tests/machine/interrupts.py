"""What the tests of both interrupt controllers share: who listens, and the rules told anew.

`irq_by_the_rules` looks at every interrupt and reads the interface's registers each time; it takes
nothing from the controller's own working.
"""

from typing import Any, NamedTuple

from sdeiviz.machine.gic import Gic


class Interface(NamedTuple):
    """A PE's registers, as read: which groups the distributor and the PE let through, and so on."""

    forwarded: int
    enabled: int
    mask: int
    running: int
    points: tuple[int, int]
    irq_groups: tuple[int, ...]


def irq_by_the_rules(gic: Gic, pe: int, interface: Interface) -> bool:
    waiting = [
        (row.priority, row.intid, row.group)
        for row in gic.rows()
        if row.pending and row.enabled and not row.active and not row.owned
        if row.pe in (None, pe) and pe in row.targets
        if (interface.forwarded & interface.enabled) >> row.group & 1
    ]
    if not waiting:
        return False
    priority, _, group = min(waiting)
    # Bits that BPR n leaves to preemption: 7 to n + 1; for group 1 of the second point, 7 to n.
    lowest = interface.points[0] + 1 if group == 0 else interface.points[1]
    preempts = priority >> lowest << lowest < interface.running
    return priority < interface.mask and preempts and group in interface.irq_groups


def awaited(gic: Gic) -> set[tuple[int, int]]:
    """Owned interrupts that are pending and not active, by (INTID, PE)."""
    return {
        (row.intid, row.pe or 0)
        for row in gic.rows()
        if row.owned and row.pending and not row.active
    }


class Listener:
    """Keeps what a controller tells: IRQ lines as they are now, all changes, owned interrupts."""

    def __init__(self, gic: Gic, pes: int) -> None:
        self.lines = [gic.irq(pe) for pe in range(pes)]
        self.changes: list[tuple[int, bool]] = []
        self.owned: list[tuple[int, int]] = []
        gic.on_irq_change = self._irq
        gic.on_owned_pending = lambda intid, pe: self.owned.append((intid, pe))

    def _irq(self, pe: int, level: bool) -> None:
        assert level != self.lines[pe], "told although nothing changed"
        self.lines[pe] = level
        self.changes.append((pe, level))


def plain(value: Any) -> bool:
    """Whether a saved state is made of plain values only."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(plain(inner) for inner in value)
    return type(value) in (int, bool, bytes)
