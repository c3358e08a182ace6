// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.6 EVENT_COMPLETE gives back x0-x17, PC and PSTATE, whatever the handler made of them
// vcpus: 1
// mutation: table COMPLETE ENABLED_RUNNING SUCCESS ENABLED_RUNNING

#include "conformance.inc"

#define FLAGS   0xa0000000              // N and C

    variable handled

    .globl  guest
guest:
    answers DENIED, EVENT_COMPLETE, 0
    bind    SPI, x19
    ready   x19, handler
    answers SUCCESS, PE_UNMASK
    raise   SPI, 24
    ldr     x20, =FLAGS
    msr     nzcv, x20
    fill    0x300
    .rept   24
    nop                                 // here
    .endr
    mrs     x20, nzcv                   // first, for `expect` compares
    mov     x21, x16
    mov     x22, x17
    expect  x20, FLAGS, "NZCV"
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    expect  x\n, 0x300 + \n, "x\n"
    .endr
    expect  x21, 0x310, "x16"
    expect  x22, 0x311, "x17"
    holds   handled, 1, "the handler has run"
    mrs     x0, daif
    expect  x0, 0x3c0, "DAIF"
    answers ENABLED, EVENT_STATUS, x19
    answers DENIED, EVENT_COMPLETE, 0
    pass

handler:
    quiesce
    count   handled
    fill    0xdd00
    mov     x16, #0x50000000            // Z and V
    msr     nzcv, x16
    complete
