// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.2.1 A handler starts with x0-x3 of its own and every other register as interrupted
// vcpus: 1
// mutation: knob keep_x4_to_x17=off
//
// The event strikes right after the HVC that signals it, and the call has its answer by then.
// ELR_EL1 and SPSR_EL1 are not touched: the interrupted code may have just taken an exception.

#include "conformance.inc"

#define ARGUMENT    0xdabfdabf01234567
#define ELR         0x1111222233334444
#define SPSR        0x60000005
#define SP0         0x5000

    variable handled

    .globl  guest
guest:
    ready   0, handler, ARGUMENT
    answers SUCCESS, PE_UNMASK
    ldr     x0, =ELR
    msr     elr_el1, x0
    ldr     x0, =SPSR
    msr     spsr_el1, x0
    ldr     x0, =SP0
    msr     sp_el0, x0

    .irp    n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    ldr     x\n, =0xa5a5000000000100 + \n
    .endr
    affinity x2
    mov     x1, #0
    ldr     x0, =SDEI_EVENT_SIGNAL
    hvc     #0
interrupted:
    holds   handled, 1, "the handler has run"
    pass

handler:
    expect  x0, 0, "x0: the event"
    expect  x1, ARGUMENT, "x1: the argument"
    expect  x2, interrupted, "x2: the interrupted PC"
    and     x3, x3, #0xfffffff          // all but NZCV
    expect  x3, 0x3c5, "x3: the interrupted PSTATE"
    .irp    n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    expect  x\n, 0xa5a5000000000100 + \n, "x\n"
    .endr
    // x16 and x17 were used up by the comparisons: what they held is in the context, and so is
    // the answer of the interrupted call.
    .irp    n, 3, 4, 16, 17
    answers 0xa5a5000000000100 + \n, EVENT_CONTEXT, \n
    .endr
    answers SUCCESS, EVENT_CONTEXT, 0
    mrs     x0, sp_el0
    expect  x0, SP0, "SP_EL0"
    mrs     x0, elr_el1
    expect  x0, ELR, "ELR_EL1"
    mrs     x0, spsr_el1
    expect  x0, SPSR, "SPSR_EL1"
    count   handled
    complete
