// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.3 The interrupt of a registered event never reaches the client, which gets it back disabled
// vcpus: 1
// mutation: table UNREGISTER ENABLED SUCCESS ENABLED

#include "conformance.inc"

    variable interrupts
    variable handled

    .globl  guest
guest:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    gic_on
    gic_bit 0x100, TIMER_PPI            // enabled for the client, and then bound
    bind    TIMER_PPI, x19
    ready   x19, handler
    answers SUCCESS, PE_UNMASK
    msr     daifclr, #2
    timer_on
    nop
    holds   handled, 1, "the event came"
    holds   interrupts, 0, "no interrupt came"

    answers SUCCESS, EVENT_UNREGISTER, x19
    timer_on
    linger
    holds   handled, 1, "no event once unregistered"
    holds   interrupts, 0, "no interrupt yet: it is disabled"
    gic_bit 0x100, TIMER_PPI
    nop
    holds   interrupts, 1, "an interrupt, once enabled"
    answers SUCCESS, INTERRUPT_RELEASE, x19
    pass

irq:
    ldr     x16, =GICC
    ldr     w20, [x16, #0xc]            // acknowledge
    timer_off
    count   interrupts
    ldr     x16, =GICC
    str     w20, [x16, #0x10]           // end
    eret

handler:
    timer_off
    count   handled
    complete

    .balign 0x800
vectors:
    .skip   VECTOR_EL1H + VECTOR_IRQ
    b       irq
