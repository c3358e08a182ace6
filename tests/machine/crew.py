"""A guest for den0054c on 2 to 8 vCPUs, in which a little of everything happens between PEs.

Every PE registers event 0 and signals it to the next one, three times. PE 0 binds SPI 71 of the
one-shot timer to a shared event, which goes to whoever may take it, and registers a shared event of
the platform for PE 1 alone. PE 1 takes its virtual timer as an ordinary interrupt.
"""

from pathlib import Path
from typing import Any

from sdeiviz import Session
from tests.machine.guest import MEMORY, Guest, guest
from tests.machine.machines import SMP

QUANTUM = 150

CREW = (
    SMP
    + """
    .equ SHARED_ON_ONE, 0x40400028
    .equ CRITICAL, 0x40400001
    .macro register event, handler, flags=0, affinity=0
        ldr x1, =\\event
        ldr x2, =\\handler
        mov x3, #0
        mov x4, #\\flags
        mov x5, #\\affinity
        call 0xc4000021
    .endm
    .macro enable_event event
        ldr x1, =\\event
        call 0xc4000022
    .endm
    use_vectors
    gic_on
    mov x1, #71
    call 0xc400002d             // INTERRUPT_BIND
    mov x28, x0
    mov x1, x28
    ldr x2, =device
    mov x3, #0
    mov x4, #0
    mov x5, #0
    call 0xc4000021
    mov x1, x28
    call 0xc4000022
    register SHARED_ON_ONE, handler, 1, 1 // RM_PE
    enable_event SHARED_ON_ONE
    .rept 7
    next = next + 1
    cpu_on next, member
    cbnz x0, started            // there are no more
    .endr
started:
    ldr x21, =ONE_SHOT
    mov w0, #71
    str w0, [x21, #4]
    mov w0, #900
    str w0, [x21]
    mov x0, #0
member:
    mov x27, x0
    ldr x26, =DATA
    use_vectors
    register 0, handler
    enable_event 0
    register CRITICAL, critical
    enable_event CRITICAL
    call 0xc400002c             // PE_UNMASK
    cmp x27, #1
    b.ne working
    gic_on
    enable 27
    mov x0, #40
    msr cntv_tval_el0, x0
    mov x0, #1
    msr cntv_ctl_el0, x0
    msr daifclr, #2
working:
    mov x20, #3
round:
    bl work
    add x2, x27, #1
    mov x1, #0
    call 0xc400002f             // EVENT_SIGNAL to the next PE
    cbz x0, 1f
    mov x2, #0                  // the last one's next is the first
    mov x1, #0
    call 0xc400002f
1:  subs x20, x20, #1
    b.ne round
counted:
    ldaxr x3, [x26]
    add x3, x3, #1
    stlxr w4, x3, [x26]
    cbnz w4, counted
    cbz x27, first
    call 0xc400002b             // PE_MASK
    call 0x84000002             // CPU_OFF
first:
    mov x1, #1
    mov x2, #0
    call 0xc4000004             // AFFINITY_INFO of PE 1, until it is off
    cmp x0, #1
    b.ne first
    off
work:
    mov x9, #25
2:  ldr x10, [x26, #8]
    add x10, x10, x9
    str x10, [x26, #8]
    subs x9, x9, #1
    b.ne 2b
    ret
handler:
    mov x9, #12
3:  subs x9, x9, #1
    b.ne 3b
    call 0xc4000025             // EVENT_COMPLETE
critical:
    mov x9, #6
4:  subs x9, x9, #1
    b.ne 4b
    call 0xc4000025
device:
    ldr x9, =ONE_SHOT
    str wzr, [x9, #12]
    call 0xc4000025
    .ltorg
    .align 11
    .global vectors
vectors:
    .rept 5
    .align 7
    b .
    .endr
    .align 7
irq:
    acknowledge
    msr cntv_ctl_el0, xzr
    eret
    .rept 10
    .align 7
    b .
    .endr
"""
).replace("    .rept 7\n    next", "    next = 0\n    .rept 7\n    next", 1)


def crew() -> Guest:
    """Assemble it."""
    return guest(CREW)


def elf(made: Guest) -> Path:
    """Return the same guest with its symbols."""
    return made.path.with_name("guest.elf")


def session(vcpus: int = 3, profile: str = "den0054c", **options: object) -> Session:
    """Open a session on it."""
    settings: dict[str, Any] = {"memory": MEMORY, "quantum": QUANTUM} | options
    return Session(elf(crew()), profile, vcpus=vcpus, **settings)
