// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.5 In nested handlers each sees the registers that it interrupted itself
// vcpus: 1
// mutation: knob keep_x4_to_x17=off

#include "conformance.inc"

    variable handled

    // Registers 3 to 17 of the interrupted context: some set by the normal handler, some by `guest`.
    .macro  expect_context base, first, last
    .set    n, \first
    .rept   \last - \first + 1
    answers \base + n, EVENT_CONTEXT, n
    .set    n, n + 1
    .endr
    .endm

    .globl  guest
guest:
    critical_event x19, x20
    ready   0, normal
    ready   x19, critical
    answers SUCCESS, PE_UNMASK
    fill    0x100
    affinity x2
    mov     x1, #0
    ldr     x0, =SDEI_EVENT_SIGNAL
    hvc     #0
    holds   handled, 1, "the critical handler has run"
    pass

// The normal handler changes x0-x7 and x16, x17; the others stay what they were at its entry.
normal:
    raise   x20, 20
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17
    mov     x\n, #0x200 + \n
    .endr
    .rept   20
    nop                                 // here
    .endr
    holds   handled, 1, "the critical handler has run"
    expect_context 0x100, 3, 17
    complete

critical:
    quiesce
    expect_context 0x200, 0, 7
    expect_context 0x100, 8, 15
    expect_context 0x200, 16, 17
    count   handled
    complete
