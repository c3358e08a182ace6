// SPDX-License-Identifier: GPL-2.0-or-later
//
// 4.3 An event comes although the client has DAIF set, also in its interrupt handler
// vcpus: 1
// mutation: table DELIVER ENABLED DENIED ENABLED
//
// The client's own interrupt, of the virtual timer, is what gets it there.

#include "conformance.inc"

    variable handled
    variable interrupted

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    msr     daifset, #15
    signal_self
    holds   handled, 1, "with DAIF set"

    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    gic_on
    gic_bit 0x100, TIMER_PPI
    timer_on
    msr     daifclr, #2
    nop
    holds   interrupted, 1, "the interrupt came"
    holds   handled, 2, "an event in its handler"
    pass

irq:
    ldr     x16, =GICC
    ldr     w19, [x16, #0xc]            // acknowledge
    expect  x19, TIMER_PPI, "the interrupt"
    timer_off
    mrs     x20, elr_el1
    mrs     x21, spsr_el1
    signal_self
    mrs     x0, elr_el1
    expect  x0, x20, "ELR_EL1"
    mrs     x0, spsr_el1
    expect  x0, x21, "SPSR_EL1"
    count   interrupted
    ldr     x16, =GICC
    str     w19, [x16, #0x10]           // end
    eret

handler:
    count   handled
    complete

    .balign 0x800
vectors:
    .skip   VECTOR_EL1H + VECTOR_IRQ
    b       irq
