// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.7 EVENT_COMPLETE_AND_RESUME goes on at an address as if an exception had been taken
// vcpus: 1
// mutation: knob cr_other_pstate=zero
//
// ELR_EL1 and SPSR_EL1 are the interrupted PC and PSTATE, x0-x17 are back, DAIF is set, the level is
// EL1h; an ERET leads to the interrupted code. It was at EL1t with interrupts enabled.

#include "conformance.inc"

#define PSTATE      0x60000004          // Z and C, nothing masked, EL1t

    variable stack
    variable resumed_at

    .globl  guest
guest:
    mov     x19, sp
    store   x19, stack
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    affinity x20
    ldr     x0, =0x5000
    msr     sp_el0, x0
    ldr     x0, =PSTATE
    msr     spsr_el1, x0
    adr     x0, lower
    msr     elr_el1, x0
    fill    0x400
    mov     x1, #0
    mov     x2, x20
    eret

lower:
    ldr     x0, =SDEI_EVENT_SIGNAL
    hvc     #0
interrupted:
    mrs     x21, nzcv
    mrs     x22, daif
    mrs     x23, spsel
    expect  x21, 0x60000000, "back: NZCV"
    expect  x22, 0, "back: DAIF"
    expect  x23, 0, "back: SPSel"
    expect  x3, 0x403, "back: x3"
    expect  x15, 0x40f, "back: x15"
    holds   resumed_at, 1, "came by the resume address"
    pass

handler:
    fill    0xdd00
    mov     x16, #0x90000000
    msr     nzcv, x16
    call    SDEI_EVENT_COMPLETE_AND_RESUME, resumed
    fail    "EVENT_COMPLETE_AND_RESUME returned"

resumed:
    mrs     x24, nzcv
    mov     x25, x16
    mov     x26, x17
    expect  x24, 0x60000000, "NZCV as interrupted"
    expect  x0, SUCCESS, "x0"
    expect  x1, 0, "x1"
    expect  x2, x20, "x2"
    .irp    n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    expect  x\n, 0x400 + \n, "x\n"
    .endr
    expect  x25, 0x410, "x16"
    expect  x26, 0x411, "x17"
    mrs     x16, elr_el1
    expect  x16, interrupted, "ELR_EL1"
    mrs     x16, spsr_el1
    expect  x16, PSTATE, "SPSR_EL1"
    mrs     x16, daif
    expect  x16, 0x3c0, "DAIF"
    mrs     x16, CurrentEL
    expect  x16, 4, "CurrentEL"
    mrs     x16, spsel
    expect  x16, 1, "SPSel"
    load    x27, stack
    mov     x16, sp
    expect  x16, x27, "SP"
    count   resumed_at
    ldr     x16, =PSTATE                // and on
    eret
