// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.6 EVENT_COMPLETE gives back x0-x17, PC and PSTATE, whatever the handler made of them
// vcpus: 1
// mutation: table COMPLETE ENABLED_RUNNING SUCCESS ENABLED_RUNNING

#include "conformance.inc"

#define FLAGS   0xa0000000              // N and C

    variable before

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    answers DENIED, EVENT_COMPLETE, 0
    fill    0x300
    affinity x2
    mov     x19, x2
    ldr     x1, =0
    ldr     x20, =FLAGS
    msr     nzcv, x20
    ldr     x0, =SDEI_EVENT_SIGNAL
    hvc     #0
    mrs     x20, nzcv                   // first, for `expect` compares
    mov     x21, x16
    mov     x22, x17
    expect  x20, FLAGS, "NZCV"
    expect  x0, SUCCESS, "x0: the answer of the interrupted call"
    expect  x1, 0, "x1"
    expect  x2, x19, "x2"
    .irp    n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    expect  x\n, 0x300 + \n, "x\n"
    .endr
    expect  x21, 0x310, "x16"
    expect  x22, 0x311, "x17"
    mrs     x0, daif
    expect  x0, 0x3c0, "DAIF"
    answers ENABLED, EVENT_STATUS, 0
    answers DENIED, EVENT_COMPLETE, 0
    pass

handler:
    fill    0xdd00
    mov     x16, #0x50000000            // Z and V
    msr     nzcv, x16
    complete
