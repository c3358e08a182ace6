"""A stock Linux kernel finds its machine, and SDEI in it."""

import hashlib
import random
import re
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import StopReason
from sdeiviz.trace import Hypercall, MaskChanged, PowerChanged
from tests.linux.kernel import kernel

VERSION, PE_UNMASK = 0xC400_0020, 0xC400_002C
PRIVATE_RESET, SHARED_RESET = 0xC400_0031, 0xC400_0032


def linux(**options: Any) -> VirtualMachine:
    return VirtualMachine(
        kernel(),
        load_address=0x4020_0000,
        memory=256 << 20,
        bootargs="console=ttyAMA0 nokaslr panic=-1",
        **options,
    )


@pytest.mark.parametrize(
    ("vcpus", "gic", "profile", "version"),
    [
        (1, 2, "kvm-v7", "SDEIv1.1 (0x564bcaa9)"),
        (2, 2, "tf-a", "SDEIv1.0 (0x0)"),
        (4, 3, "den0054c", "SDEIv1.1 (0x0)"),
    ],
)
def test_it_boots_until_it_wants_a_disk(vcpus: int, gic: int, profile: str, version: str) -> None:
    vm = linux(vcpus=vcpus, gic=gic, profile=profile)
    vm.until = re.compile("Unable to mount root fs")
    assert vm.run(1_500_000_000).reason is StopReason.MATCH
    assert f"SMP: Total of {vcpus} processors activated" in vm.console
    assert f"sdei: {version} detected in firmware." in vm.console
    assert (f"GICv3: CPU{vcpus - 1}: found redistributor" in vm.console) == (gic == 3)
    calls = [(e.vcpu, e.function) for e in vm.trace if isinstance(e, Hypercall)]
    sdei = [function for _, function in calls if 0xC400_0020 <= function < 0xC400_0040]
    assert sdei[0] == VERSION
    assert sdei.count(SHARED_RESET) == 1
    assert {vcpu for vcpu, function in calls if function == PRIVATE_RESET} == set(range(vcpus))
    assert [e.vcpu for e in vm.trace if isinstance(e, MaskChanged) and not e.masked] == list(
        range(vcpus)
    )
    assert [e.vcpu for e in vm.trace if isinstance(e, PowerChanged)] == list(range(1, vcpus))


def test_it_does_the_same_however_it_is_run() -> None:
    """Two vCPUs, 40 million instructions: in one go, stopped at random, and moved half-way."""

    def memory(vm: VirtualMachine) -> tuple[str, int]:
        return hashlib.sha256(vm.memory.buffer).hexdigest(), len(vm.uart.output)

    end = 40_000_000
    free = linux(vcpus=2)
    free.run(end)
    stopped = linux(vcpus=2)
    dice = random.Random(5)
    while stopped.index < end:
        stopped.run_to(min(end, stopped.index + dice.randrange(1, 150_000)))
    moved = linux(vcpus=2)
    first = linux(vcpus=2)
    first.run(end // 2)
    moved.load(first.save())
    moved.run(end - moved.index)
    assert memory(free) == memory(stopped) == memory(moved)
    assert free.trace[:] == stopped.trace[:]
