"""The interrupts that the SDEI dispatcher owns, over the machine's GIC (DEN0054C 6.3)."""

from typing import Final

from sdeiviz.machine.gic import INTIDS, Gic

_HYPERVISORS: Final = (25, 26, 28, 29)
"""PPIs of the hypervisor and the secure world: GIC maintenance, EL2's and EL3's timers."""


class OwnedInterrupts:
    """What `sdeiviz.sdei.interrupts.Interrupts` asks for."""

    def __init__(self, gic: Gic) -> None:
        self._gic = gic

    def exists(self, intid: int) -> bool:
        """PPIs and SPIs there are."""
        return 16 <= intid < INTIDS

    def belongs_to_client(self, intid: int) -> bool:
        """All but the hypervisor's own and the secure world's."""
        return intid not in _HYPERVISORS

    def is_active(self, intid: int, pe: int | None) -> bool:
        """Also while the guest's own handler has it."""
        return self._gic.is_active(intid, pe)

    def is_pending(self, intid: int, pe: int | None) -> bool:
        """A latch or a line."""
        return self._gic.is_pending(intid, pe or 0)

    def take(self, intid: int, pe: int | None) -> None:
        """Keep it from the guest."""
        self._gic.take(intid, pe)

    def give_back(self, intid: int, pe: int | None) -> None:
        """Let the guest have it, disabled."""
        self._gic.give_back(intid, pe)

    def clear_pending(self, intid: int, pe: int | None) -> None:
        """Forget an edge."""
        self._gic.clear_pending(intid, pe)

    def acknowledge(self, intid: int, pe: int | None) -> None:
        """Make it active."""
        self._gic.acknowledge(intid, pe or 0)

    def end(self, intid: int, pe: int | None) -> None:
        """Make it inactive."""
        self._gic.end(intid, pe or 0)
