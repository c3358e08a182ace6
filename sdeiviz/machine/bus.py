"""The bus: which device answers at which address."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu


class Region(NamedTuple):
    """Addresses that belong to a device."""

    name: str
    base: int
    size: int
    widths: tuple[int, ...]
    """Bytes that an access may have."""
    read: "Callable[[Vcpu, int, int], int]"
    """Called with the vCPU, offset and bytes of a load."""
    write: "Callable[[Vcpu, int, int, int], None]"
    """Called with the vCPU, offset, bytes and value of a store."""


class Bus:
    """The devices of a machine."""

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def find(self, address: int) -> Region | None:
        """Return the region an intermediate physical address lies in."""
        for region in self.regions:
            if region.base <= address < region.base + region.size:
                return region
        return None
