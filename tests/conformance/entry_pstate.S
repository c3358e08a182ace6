// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.2.1 A handler starts at EL1h with DAIF set and the interrupted NZCV, whatever was interrupted
// vcpus: 1
// mutation: constant sdeiviz.abi.pstate.DAIF 0x340
//
// One round each at EL1h, EL1t and EL0t, with no exception masked. The round's code cannot signal
// at EL0: there and elsewhere the virtual timer's event strikes.

#include "conformance.inc"

#define FLAGS       0x90000000          // N and V
#define EL1H        0x5
#define EL1T        0x4
#define EL0T        0x0

    variable wanted                     // what the handler shall find in x3
    variable handled

    .globl  guest
guest:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    mov     x19, sp
    bind    TIMER_PPI, x20
    ready   x20, handler
    answers SUCCESS, PE_UNMASK

    .irp    mode, EL1H, EL1T, EL0T
    ldr     x21, =FLAGS + \mode
    store   x21, wanted
    adr     x22, after_\mode
    bl      round
after_\mode:
    msr     spsel, #1
    .endr
    holds   handled, 3, "rounds"
    pass

// Go to the mode in x21; the timer's line goes up some instructions later. Return to x22.
round:
    msr     spsr_el1, x21
    adr     x0, somewhere
    msr     elr_el1, x0
    mov     x0, #5                      // ticks of 16 instructions
    msr     cntv_tval_el0, x0
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    ldr     x0, =LONG
    eret

somewhere:                              // changes no flag
    sub     x0, x0, #1
    cbnz    x0, somewhere
    svc     #0                          // nothing came

back:
    fail    "no event came at this level"

handler:
    mrs     x10, nzcv
    mrs     x11, daif
    mrs     x12, CurrentEL
    mrs     x13, spsel
    mov     x14, sp
    load    x15, wanted
    expect  x3, x15, "x3: the interrupted PSTATE"
    expect  x10, FLAGS, "NZCV"
    expect  x11, 0x3c0, "DAIF"
    expect  x12, 4, "CurrentEL"
    expect  x13, 1, "SPSel"
    expect  x14, x19, "SP: that of EL1"
    timer_off
    count   handled
    call    SDEI_EVENT_COMPLETE_AND_RESUME, resumed
    fail    "EVENT_COMPLETE_AND_RESUME returned"

resumed:
    br      x22

    .balign 0x800
vectors:
    .rept   16
    entry   back
    .endr
