"""Which device answers where, whom it hears, and which interrupts the dispatcher can take."""

import pytest

from sdeiviz.machine.gicv2 import Gic2
from sdeiviz.machine.interrupts import OwnedInterrupts
from tests.machine.guest import guest

STAY = guest("here: b here")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0x07FF_FFFF, None),
        (0x0800_0000, "GIC"),
        (0x0801_FFFF, "GIC"),
        (0x0802_0000, None),
        (0x0900_0000, "UART"),
        (0x0900_0FFF, "UART"),
        (0x0900_1000, None),
        (0x090D_0000, "one-shot timer"),
        (0x090D_0FFF, "one-shot timer"),
        (0x090D_1000, None),
    ],
)
def test_addresses(address: int, name: str | None) -> None:
    region = STAY.vm().bus.find(address)
    assert (region and region.name) == name


def test_a_vcpu_reads_and_writes_its_own_registers() -> None:
    vm = STAY.vm(vcpus=2)
    gic = vm.bus.find(0x0800_0000)
    assert gic
    # GICD_ITARGETSR0 tells a PE which it is.
    assert [gic.read(vcpu, 0x800, 4) for vcpu in vm.vcpus] == [0x0101_0101, 0x0202_0202]
    gic.write(vm.vcpus[1], 0x100, 4, 1 << 27)
    assert [gic.read(vcpu, 0x100, 4) for vcpu in vm.vcpus] == [0xFFFF, 0x0800_FFFF]


class TestOwned:
    def test_interrupts_there_are(self) -> None:
        owned = OwnedInterrupts(Gic2(1))
        assert [owned.exists(intid) for intid in (15, 16, 287, 288)] == [False, True, True, False]

    def test_those_of_the_hypervisor_and_the_secure_world(self) -> None:
        owned = OwnedInterrupts(Gic2(1))
        others = [intid for intid in range(16, 288) if not owned.belongs_to_client(intid)]
        assert others == [25, 26, 28, 29]

    def test_a_ppi_is_one_pes(self) -> None:
        gic = Gic2(2)
        owned = OwnedInterrupts(gic)
        owned.take(22, 1)
        gic.set_line(22, True, 1)
        assert [owned.is_pending(22, pe) for pe in (0, 1)] == [False, True]
        owned.acknowledge(22, 1)
        assert [owned.is_active(22, pe) for pe in (0, 1)] == [False, True]
        owned.end(22, 1)
        assert [owned.is_active(22, pe) for pe in (0, 1)] == [False, False]
