// SPDX-License-Identifier: GPL-2.0-or-later
//
// 3.4 EL0 is no client: HVC is undefined there
// vcpus: 1
// mutation: none: the core itself takes the exception to EL1; no call reaches the dispatcher

#include "conformance.inc"

    .globl  guest
guest:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    ldr     x0, =user
    msr     elr_el1, x0
    msr     spsr_el1, xzr               // EL0t
    isb
    ldr     x0, =SDEI_PE_UNMASK
    eret

user:
    hvc     #0
    b       .

undefined:
    mrs     x1, esr_el1
    lsr     x1, x1, #ESR_EC_SHIFT
    expect  x1, ESR_EC_UNKNOWN, "the exception that HVC at EL0 is"
    mrs     x1, elr_el1
    expect  x1, user, "where it is taken"
    expect  x0, SDEI_PE_UNMASK, "x0, which no answer was written to"
    answers 0, PE_MASK                  // still masked
    pass

    .balign 0x800
vectors:
    .skip   0x400
    b       undefined
