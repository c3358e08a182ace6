"""Random programs on two vCPUs with interrupts and events: the same in every way to run them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sdeiviz import VirtualMachine
from tests.cpu.programs import BODY, bodies, write
from tests.machine.guest import BASE, MEMORY, everything, guest, step_through

END = 1500

INSTRUCTIONS = """
    ldr w1, [x23]
    str w1, [x23]
    str w2, [x23, #0x100]
    str w2, [x23, #0x180]
    str w1, [x23, #0x200]
    str w3, [x23, #0x280]
    ldr w4, [x23, #0x200]
    str w1, [x23, #0x400]
    strb w2, [x23, #0x41b]
    str w2, [x23, #0xc04]
    str w5, [x23, #0xf00]
    ldr w5, [x24, #0xc]
    str w5, [x24, #0x10]
    str w1, [x24, #4]
    str w2, [x24]
    ldr w3, [x24, #0x14]
    str w1, [x25]
    str w2, [x25, #4]
    str wzr, [x25, #0xc]
    ldr w1, [x25, #8]
    mov w5, #0x03ff0000
    mov w2, #0x08000000
    mov w2, #7
    msr cntv_tval_el0, x2
    msr cntp_tval_el0, x2
    msr cntv_ctl_el0, x23
    msr daifclr, #2
    msr daifclr, #2
    wfi
    wfi
    tlbi vmalle1is
    ic ialluis
    ic ivau, x19
    ldaxr x12, [x19]
    stlxr w13, x12, [x19]
    movz x0, #0x4
    movz x1, #0x1
    movz x2, #0x1
    movz x0, #0x21
    movz x0, #0x22
    movz x0, #0x23
    movz x0, #0x2d
    movz x0, #0x2b
    movz x0, #3
    movz x0, #2
    movz x0, #1
    movz x1, #46
"""

PROLOGUE = """
    adr x2, other
    mov x1, #1
    mov x3, #1
    call 0xc4000003
other:
    ldr x0, =vectors
    msr vbar_el1, x0
    ldr x19, =DATA
    ldr x20, =UART
    ldr x21, =UART + 0xff0
    ldr x22, =0x10000000
    ldr x23, =0x08000000
    ldr x24, =0x08010000
    ldr x25, =0x090d0000
    mov x0, #3 << 20
    msr cpacr_el1, x0
    ldr x0, =0x40098000
    mrs x1, mpidr_el1
    sub x0, x0, x1, lsl #12
    msr sp_el0, x0
    mov sp, x0
    mov w0, #1
    str w0, [x23]
    str w0, [x24]
    mov w0, #0xff
    str w0, [x24, #4]
    mov w0, #0x08000000
    str w0, [x23, #0x100]       // the virtual timer
    mov x1, #0
    ldr x2, =event
    mov x4, #0
    mov x5, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
    mov x0, #13
    msr cntv_tval_el0, x0
    mov x0, #1
    msr cntv_ctl_el0, x0
    msr daifclr, #2
    ldr x30, =body
    br x30
event:
    add x26, x26, #1
    call 0xc4000025
    b event
    .ltorg
    .align 11
    .global vectors
vectors:
    .rept 4                     // each of: synchronous, IRQ, FIQ, SError
    .align 7
    mrs x18, esr_el1
    lsr w18, w18, #26
    cmp w18, #0x15
    mrs x18, elr_el1
    b.eq 1f
    add x18, x18, #4
1:  and x18, x18, #~3
    msr elr_el1, x18
    add x28, x28, #1
    eret
    .align 7
    ldr w27, [x24, #0xc]
    str w27, [x24, #0x10]
    mov w27, #5                 // and again in 80 ns
    msr cntv_tval_el0, x27
    msr cntp_ctl_el0, xzr
    str wzr, [x25, #0xc]
    add x29, x29, #1
    eret
    .align 7
    eret
    .align 7
    eret
    .endr
    .align 12
    .global body
body:
"""


def run(
    path: Path, profile: str, cuts: list[int] | None, clock: str, injections: list[tuple[int, int]]
) -> object:
    """Run a program, stopping on the way; inject event 0 into a vCPU at certain indices."""
    vm = VirtualMachine(
        path, load_address=BASE, memory=MEMORY, vcpus=2, quantum=100, clock=clock, profile=profile
    )
    for index, vcpu in [*injections, (END, 0)]:
        if cuts is None:
            step_through(vm, index)
        else:
            for cut in (c for c in cuts if vm.index < c < index):
                vm.run_to(cut)
            vm.run_to(index)
        if index < END:
            vm.inject_event(0, vcpu=vcpu)
    return everything(vm)


@pytest.mark.parametrize("profile", ["kvm-v7", "kvm-v7-literal", "den0054c", "tf-a"])
def test_one_program_one_trace(profile: str) -> None:
    made = guest(PROLOGUE)
    assert made["body"] == BODY
    start = made.path.read_bytes()
    indices = st.integers(1, END - 1)

    @settings(
        deadline=None,
        suppress_health_check=[*HealthCheck],
        max_examples=25,
        phases=tuple(Phase)[:4],
    )
    @given(
        body=bodies(more=INSTRUCTIONS),
        cuts=st.lists(indices, max_size=120, unique=True).map(sorted),
        injections=st.lists(st.tuples(indices, st.integers(0, 1)), max_size=4).map(sorted),
    )
    def check(body: bytes, cuts: list[int], injections: list[tuple[int, int]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory), start + body)
            free = run(path, profile, [], "native", injections)
            assert run(path, profile, None, "native", injections) == free
            assert run(path, profile, cuts, "native", injections) == free
            assert run(path, profile, cuts, "python", injections) == free

    check()
