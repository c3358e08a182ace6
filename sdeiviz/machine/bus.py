"""The bus: which device answers at which address."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from sdeiviz.machine import oneshot, uart
from sdeiviz.machine.gicv2 import GICC_BASE, GICC_SIZE, Gic2
from sdeiviz.machine.memory import PAGE_SHIFT

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.machine.vm import VirtualMachine


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
    exits: bool = True
    """An access leaves the guest also where the hardware helps, as it does with the GIC's CPU
    interface; that costs time."""


class Bus:
    """The devices of a machine."""

    def __init__(self) -> None:
        self.pages: dict[int, Region] = {}
        """Regions by the number of each of their pages."""

    def add(self, region: Region) -> None:
        """Put a device on the bus."""
        first = region.base >> PAGE_SHIFT
        for page in range(first, first + (region.size >> PAGE_SHIFT)):
            self.pages[page] = region

    def find(self, address: int) -> Region | None:
        """Return the region an intermediate physical address lies in."""
        return self.pages.get(address >> PAGE_SHIFT)


def connect(vm: "VirtualMachine") -> None:
    """Put a machine's devices on its bus."""
    vm.bus.add(_uart(vm))
    vm.bus.add(_one_shot_timer(vm))
    for base, size in vm.gic.regions:
        if isinstance(vm.gic, Gic2) and base == GICC_BASE:
            vm.bus.add(_gic_interface(vm.gic))
        else:
            vm.bus.add(_gic(vm, base, size))


def _uart(vm: "VirtualMachine") -> Region:
    def read(vcpu: "Vcpu", offset: int, size: int) -> int:
        return vm.uart.read(offset)

    def write(vcpu: "Vcpu", offset: int, size: int, value: int) -> None:
        if vm.uart.write(offset, value):
            vm.output_written(vcpu)

    return Region("UART", uart.BASE, uart.SIZE, (1, 2, 4), read, write)


def _one_shot_timer(vm: "VirtualMachine") -> Region:
    def read(vcpu: "Vcpu", offset: int, size: int) -> int:
        return vm.one_shot.read(offset, vm.time)

    def write(vcpu: "Vcpu", offset: int, size: int, value: int) -> None:
        vm.one_shot.write(offset, value, vm.time)
        vm.timers_changed()

    return Region("one-shot timer", oneshot.BASE, oneshot.SIZE, (1, 2, 4), read, write)


def _gic(vm: "VirtualMachine", base: int, size: int) -> Region:
    def read(vcpu: "Vcpu", offset: int, size: int) -> int:
        return vm.gic.read(vcpu.number, base + offset, size)

    def write(vcpu: "Vcpu", offset: int, size: int, value: int) -> None:
        vm.gic.write(vcpu.number, base + offset, size, value)

    return Region("GIC", base, size, (1, 2, 4, 8), read, write)


def _gic_interface(gic: Gic2) -> Region:
    """A GICv2's CPU interface, which a guest uses more than all else, and without leaving."""

    def read(vcpu: "Vcpu", offset: int, size: int) -> int:
        return gic.read_interface(vcpu.number, offset) if size == 4 else 0

    def write(vcpu: "Vcpu", offset: int, size: int, value: int) -> None:
        if size == 4:
            gic.write_interface(vcpu.number, offset, value)

    return Region("GIC", GICC_BASE, GICC_SIZE, (1, 2, 4, 8), read, write, exits=False)
