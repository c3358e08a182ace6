"""A guest with two tasks at EL0, for the protocol of async page fault on the real machine.

Task A does what a test wants; task B counts in x16 for ever. The event's handler puts A to sleep
and runs B; the interrupt of page-ready wakes A. Both write what they found in the mailbox to a log:
reason and token. A may use x0 to x9, the kernel x10 to x15 and x19 on.
"""

import struct
from typing import Any

from sdeiviz import VirtualMachine
from sdeiviz.machine import Paging
from sdeiviz.machine.latency import Constant
from tests.machine.guest import guest
from tests.machine.machines import SMP

BLOCK, LOG = 0x4008_8000, 0x4008_9000
PAGE0 = 0x4009_0000
"""The pages that A touches."""
EVENT, PPI = 1, 17
ALL = 0xFFFF_FFFF
US = 1000

_MACROS = f"""
    .equ BLOCK, {BLOCK:#x}
    .equ LOG, {LOG:#x}
    .equ PAGE0, {PAGE0:#x}
    .macro apf sub, low=0, high=0
        mov x1, #\\sub
        ldr x2, =\\low
        mov x3, #\\high
        call 0x86000002
    .endm
    // Write reason and token to the log, and clear them: token first.
    .macro consume
        ldr x10, =BLOCK
        ldr w11, [x10]
        ldr w12, [x10, #4]
        str w11, [x19], #4
        str w12, [x19], #4
        str wzr, [x10, #4]
        str wzr, [x10]
    .endm
    .macro back_to_a
        mov x22, #0
        msr elr_el1, x20
        msr spsr_el1, x21
    .endm
"""

SLEEP = """
    mov w23, w12
    ldr x1, =nap
    call 0xc4000026             // COMPLETE_AND_RESUME
nap:
    mrs x20, elr_el1
    mrs x21, spsr_el1
    mov x22, #1
    adr x10, task_b
    msr elr_el1, x10
    msr spsr_el1, xzr
    eret
"""
"""The handler puts A to sleep."""

GO_ON = """
    ldr x1, =skip
    call 0xc4000026
skip:
    mrs x10, elr_el1
    add x10, x10, #4
    msr elr_el1, x10
    eret
"""
"""The handler lets A go on behind the instruction that faulted, so that many can be in flight."""

AGAIN = "    call 0xc4000025\n"
"""The handler just completes: A meets the same fault again."""

ACKNOWLEDGE = "    apf 5\n"


def source(
    task_a: str,
    *,
    enable: str = "    apf 4, BLOCK + 1\n",
    handler: str = SLEEP,
    acknowledge: str = ACKNOWLEDGE,
    ready: str = "",
    unmask: str = "    call 0xc400002c\n",
    register: bool = True,
) -> str:
    """Return the guest: what A does, and how the kernel treats the two notifications."""
    registration = f"""
        mov x1, #{EVENT}
        ldr x2, =not_present
        mov x3, #0
        mov x4, #0
        mov x5, #0
        call 0xc4000021
        mov x1, #{EVENT}
        call 0xc4000022
    """
    return f"""{SMP}{_MACROS}
        ldr x19, =LOG
        mov x22, #0
        use_vectors
        gic_on
        enable {PPI}
        {registration if register else ""}
        {unmask}
        {enable}
        mov x10, x0
        str w10, [x19], #4          // how ENABLE went
        str w10, [x19], #4
        mov x16, #0
        adr x10, task_a
        msr elr_el1, x10
        msr spsr_el1, xzr
        eret
    task_b:
        add x16, x16, #1
        b task_b
    not_present:
        consume
        {handler}
    irq:
        mov x24, x0
        mov x25, x1
        mov x26, x2
        mov x27, x3
        acknowledge                 // the GIC's
        consume
        {ready}
        cbz x22, 2f
        cmp w12, w23
        b.eq 1f
        cmn w12, #1                 // wake-all
        b.ne 2f
    1:  back_to_a
    2:  {acknowledge}
        mov x0, x24
        mov x1, x25
        mov x2, x26
        mov x3, x27
        eret
    // What A asks for: SVC 0 ends it; 1 masks SDEI, 2 unmasks it; 3 disables async page fault,
    // 4 enables it.
    svc_entry:
        mrs x10, esr_el1
        ands x10, x10, #0xffff
        b.eq end
        mov x24, x0
        mov x25, x1
        mov x26, x2
        mov x27, x3
        cmp x10, #2
        b.lo 1f
        b.eq 2f
        cmp x10, #4
        b.lo 3f
        apf 4, BLOCK + 1
        b 5f
    1:  call 0xc400002b
        b 5f
    2:  call 0xc400002c
        b 5f
    3:  apf 4, 0
    5:  mov x0, x24
        mov x1, x25
        mov x2, x26
        mov x3, x27
        eret
    end:
        off
        .ltorg
        .align 11
        .global vectors
    vectors:
        .rept 8
        .align 7
        b end
        .endr
        .align 7
        b svc_entry                 // 0x400: SVC from EL0
        .align 7
        b irq                       // 0x480: IRQ from EL0
        .rept 6
        .align 7
        b end
        .endr
    task_a:
        {task_a}
        svc #0
    """


def machine(
    task_a: str,
    *,
    absent: int = 1,
    paging: Paging | None = None,
    quantum: int = 200_000,
    **options: Any,
) -> VirtualMachine:
    """Return a machine with the guest; the first `absent` of A's pages are with the store."""
    made = guest(source(task_a, **options))
    vm = made.vm(paging=paging or Paging(latency=Constant(50 * US)), quantum=quantum)
    for n in range(absent):
        address = PAGE0 + 4096 * n
        vm.write_memory(address, f"page {n}".encode().ljust(8, b"\0"))
        vm.evict_page(address >> 12)
    return vm


INTERPRETER = """
    ldr x5, =PAGE0 + 0x60000        // operations: kind above, page below, 16 bits each
    mov x6, #0                      // sum of what was read
1:  ldr w7, [x5], #4
    lsr w4, w7, #16
    and x7, x7, #0xffff
    ldr x8, =PAGE0
    add x8, x8, x7, lsl #12
    cbz w4, 9f
    cmp w4, #2
    b.lo 2f
    b.eq 3f
    cmp w4, #4
    b.lo 4f
    b.eq 5f
    cmp w4, #6
    b.lo 6f
    b.eq 7f
9:  svc #0
2:  ldr x9, [x8]                    // 1: read
    add x6, x6, x9
    b 1b
3:  ldr x9, [x8]                    // 2: add one
    add x9, x9, #1
    str x9, [x8]
    b 1b
4:  svc #1                          // 3 to 6: mask, unmask, disable, enable
    b 1b
5:  svc #2
    b 1b
6:  svc #3
    b 1b
7:  svc #4
    b 1b
"""
"""A does what stands in memory, so that one guest serves for any order of things."""


def log(vm: VirtualMachine) -> list[tuple[int, int]]:
    """Return (reason, token) of everything the kernel was told; first comes ENABLE's result."""
    end = vm.vcpus[0].x[19]
    words = struct.unpack(f"<{(end - LOG) // 4}I", vm.memory[LOG:end])
    return list(zip(words[::2], words[1::2], strict=True))


def touches(count: int, first: int = 0) -> str:
    """Return loads of so many pages, one after the other, each into x9."""
    lines = [f"    ldr x8, ={PAGE0 + 4096 * n:#x}\n    ldr x9, [x8]\n" for n in range(first, count)]
    return "".join(lines)
