"""Where in RAM the device tree is put."""

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.errors import Error
from tests.machine.guest import BASE, MEMORY, RAM, guest

HERE = guest("here: b here\n .balign 8")


def test_at_the_start_of_ram() -> None:
    vm = HERE.vm()
    assert (vm.dtb, vm.vcpus[0].x[0]) == (RAM, RAM)
    assert vm.memory[RAM : RAM + 4].hex() == "d00dfeed"
    assert vm.memory[RAM : RAM + len(vm.device_tree)] == vm.device_tree


def test_nowhere_if_the_image_is_there() -> None:
    vm = VirtualMachine(HERE.path, load_address=RAM, memory=MEMORY)
    assert (vm.dtb, vm.vcpus[0].x[0]) == (0, 0)
    assert vm.memory[RAM : RAM + 8] == HERE.path.read_bytes()[:8]


def test_right_after_an_image() -> None:
    end = BASE + len(HERE.path.read_bytes())
    vm = HERE.vm(dtb=end)
    assert vm.vcpus[0].x[0] == end
    assert vm.memory[end : end + 4].hex() == "d00dfeed"
    with pytest.raises(Error, match="the image has 0x40080000 there"):
        HERE.vm(dtb=end - 8)


@pytest.mark.parametrize(("overlap", "where"), [(0, RAM), (1, 0)])
def test_right_before_an_image(overlap: int, where: int) -> None:
    load = RAM + len(HERE.vm().device_tree) - overlap
    vm = VirtualMachine(HERE.path, load_address=load, entry=load + 3 & ~3, memory=MEMORY)
    assert (vm.dtb, vm.vcpus[0].x[0]) == (where, where)


def test_it_ends_with_ram() -> None:
    end = RAM + MEMORY
    start = end - len(HERE.vm().device_tree) & ~7
    assert HERE.vm(dtb=start).vcpus[0].x[0] == start
    with pytest.raises(Error, match="want a multiple of 8 in RAM"):
        HERE.vm(dtb=start + 8)


def test_it_is_there_again_after_a_reset() -> None:
    made = guest("ldr x1, =0x40000000\n str xzr, [x1]\n call 0x84000009")
    vm = made.vm()
    vm.run(2)
    assert vm.memory[RAM : RAM + 8] == bytes(8)
    vm.run(2)
    assert (vm.vcpus[0].pc, vm.vcpus[0].x[0]) == (BASE, RAM)
    assert vm.memory[RAM : RAM + 4].hex() == "d00dfeed"
