"""Pieces of guests with several vCPUs and interrupts, and ways to run one that must not differ."""

import random
from typing import Any

from sdeiviz.machine import VmState
from tests.machine.guest import Guest, everything, step_through

SMP = """
    .equ GICD, 0x08000000
    .equ GICC, 0x08010000
    .equ ONE_SHOT, 0x090d0000
    // Switch a vCPU on at a label; it finds its number in x0.
    .macro cpu_on number, label
        mov x1, #\\number
        ldr x2, =\\label
        mov x3, #\\number
        call 0xc4000003
    .endm
    // GICv2: distributor and this CPU's interface on, all priorities pass.
    .macro gic_on
        ldr x1, =GICD
        mov w0, #1
        str w0, [x1]
        ldr x1, =GICC
        mov w0, #0xff
        str w0, [x1, #4]
        mov w0, #1
        str w0, [x1]
    .endm
    .macro enable intid
        ldr x1, =GICD + 0x100 + 4 * (\\intid / 32)
        mov w0, #1 << (\\intid % 32)
        str w0, [x1]
    .endm
    // Acknowledge into w10 and end at once.
    .macro acknowledge
        ldr x11, =GICC
        ldr w10, [x11, #0xc]
        str w10, [x11, #0x10]
    .endm
    .macro use_vectors
        adr x0, vectors
        msr vbar_el1, x0
        isb
    .endm
"""
"""Goes in front of a guest's own lines, for its macros."""

WAYS = ("native", "python", "stepped", "stopped at random", "short slices")


def run(made: Guest, way: str, limit: int = 200_000, **options: Any) -> tuple[VmState, bytes]:
    """Run a guest to its end in one of the `WAYS`, and return all that came of it."""
    clock = "python" if way == "python" else "native"
    vm = made.vm(clock=clock, **options)
    if way == "stepped":
        step_through(vm, limit)
    elif way == "stopped at random":
        dice = random.Random(7)
        while not vm.stopped and vm.index < limit:
            vm.run_to(min(limit, vm.index + dice.randrange(1, 60)))
    elif way == "short slices":
        while not vm.stopped and vm.index < limit:
            for vcpu in vm.vcpus:
                vcpu.core.interrupt()
            vm.run_slice(limit)
    else:
        vm.run(limit)
    assert vm.stopped, f"still running at {vm.index}"
    return everything(vm)
