// SPDX-License-Identifier: GPL-2.0-or-later
//
// delivery: a guest sends itself an SDEI event, twice, and comes back from the handler in the two
// ways that there are.
//
// Round one: the handler looks at what it interrupted and ends with EVENT_COMPLETE, which puts the
// interrupted code back exactly as it was.
// Round two: the handler ends with EVENT_COMPLETE_AND_RESUME, which goes to an address of the
// handler's choice instead, as if an interrupt had just been taken there. We choose our own IRQ
// vector. Its ERET then leads back to the interrupted code.

#include "guest.inc"

#define ARGUMENT    0x51                // what our handlers get in x1
#define KEEPSAKE    0x1234              // what x4 holds when the event arrives

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb

    say     "round one: EVENT_COMPLETE"
    ldr     w0, =SDEI_EVENT_REGISTER
    mov     x1, #0                      // event
    adr     x2, handler                 // where to enter
    mov     x3, #ARGUMENT               // what the handler gets in x1
    mov     x4, #0                      // flags
    mov     x5, #0                      // affinity
    hvc     #0
    show    "SDEI_EVENT_REGISTER", x0

    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_ENABLE", x0

    ldr     w0, =SDEI_PE_UNMASK
    hvc     #0
    show    "SDEI_PE_UNMASK", x0

    // Raise event 0 on this PE. The call succeeds and returns first; the event arrives at the
    // instruction after the HVC, before that instruction runs. x4 is ours, not an argument: we
    // put something there that we can recognise.
    mov     x4, #KEEPSAKE
    ldr     w0, =SDEI_EVENT_SIGNAL
    mov     x1, #0                      // event: only 0 can be signalled
    mrs     x2, mpidr_el1
    and     x2, x2, #0xffffff           // to whom: the affinity of this PE, without its flag bits
    hvc     #0
interrupted:
    mov     x19, x4                     // printing would change x4
    show    "back: SDEI_EVENT_SIGNAL", x0
    show    "back: x4", x19

    // Another handler for the same event: give up the old one first.
    say     "round two: EVENT_COMPLETE_AND_RESUME"
    ldr     w0, =SDEI_EVENT_UNREGISTER
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_UNREGISTER", x0

    ldr     w0, =SDEI_EVENT_REGISTER
    mov     x1, #0
    adr     x2, handler_resume
    mov     x3, #ARGUMENT
    mov     x4, #0
    mov     x5, #0
    hvc     #0
    show    "SDEI_EVENT_REGISTER", x0

    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_ENABLE", x0

    mov     x4, #KEEPSAKE
    ldr     w0, =SDEI_EVENT_SIGNAL
    mov     x1, #0
    mrs     x2, mpidr_el1
    and     x2, x2, #0xffffff
    hvc     #0
interrupted_again:
    mov     x19, x4
    show    "back: SDEI_EVENT_SIGNAL", x0
    show    "back: x4", x19

    b       power_off

// The handler of round one. We are at EL1 with everything masked, on the stack of EL1, and have
//      x0  the event               x2  PC of what we interrupted
//      x1  our argument            x3  PSTATE of what we interrupted
// The interrupted x0-x17 are safe in the hypervisor, so we may change ours. All else, x30 too, is
// still the interrupted code's: what we change of it we must put back ourselves.
handler:
    stp     x4, x30, [sp, #-32]!
    stp     x2, x3, [sp, #16]
    mov     x8, x1                      // printing changes x0-x7 only

    show    "  handler: event", x0
    show    "  handler: argument", x8

    // x2 and x3 say where the event struck.
    ldp     x2, x3, [sp, #16]
    mov     x8, x3
    adr     x1, interrupted
    cmp     x2, x1
    check   "  handler: interrupted right after the HVC", eq
    show    "  handler: interrupted PSTATE", x8

    // x4 as we found it, and as the interrupted code has it: those are two different things.
    ldr     x8, [sp]
    show    "  handler: x4 at entry", x8
    ldr     w0, =SDEI_EVENT_CONTEXT
    mov     x1, #4                      // which of x0-x17
    hvc     #0
    show    "  handler: x4 by EVENT_CONTEXT", x0

    // Registered, enabled, and now running: three bits.
    ldr     w0, =SDEI_EVENT_STATUS
    mov     x1, #0
    hvc     #0
    show    "  handler: SDEI_EVENT_STATUS", x0

    // Put back what is not ours, and finish. This HVC does not return: the next instruction that
    // runs is the one at `interrupted`.
    ldp     x4, x30, [sp], #32
    ldr     w0, =SDEI_EVENT_COMPLETE
    mov     x1, #SDEI_EV_HANDLED
    hvc     #0

// The handler of round two does nothing but choose where to go: the entry of the vector table
// that an IRQ from EL1 would take.
handler_resume:
    stp     x29, x30, [sp, #-16]!
    say     "  handler: to the IRQ vector"
    ldp     x29, x30, [sp], #16

    ldr     w0, =SDEI_EVENT_COMPLETE_AND_RESUME
    mrs     x1, vbar_el1
    add     x1, x1, #VECTOR_EL1H + VECTOR_IRQ
    hvc     #0

// The vector leads here. The event is complete; x0-x17 are the interrupted ones again, so unlike
// the handler we must keep every register that we use. ELR_EL1 and SPSR_EL1 say where to return.
irq:
    stp     x0, x1, [sp, #-80]!
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    str     x30, [sp, #64]

    mrs     x0, elr_el1
    adr     x1, interrupted_again
    cmp     x0, x1
    check   "  IRQ vector: ELR_EL1 is right after the HVC", eq

    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldr     x30, [sp, #64]
    ldp     x0, x1, [sp], #80
    eret                                // to ELR_EL1, with PSTATE from SPSR_EL1

    .balign 0x800
vectors:
    .rept   5                           // from EL1 with SP_EL0: four entries; then synchronous
    entry   unexpected
    .endr
    entry   irq                         // from EL1 with SP_EL1, IRQ: offset 0x280
    .rept   10
    entry   unexpected
    .endr
