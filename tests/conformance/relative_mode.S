// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.2 In relative mode the entry counts from VBAR_EL1 as that is when the event strikes
// vcpus: 1
// mutation: knob relative_mode=off
//
// The specification does not say when VBAR_EL1 is read; for a shared event only then makes sense.

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    answers 1, FEATURES, 1
    ldr     x6, =handler
    ldr     x7, =elsewhere
    sub     x6, x6, x7
    ready   0, x6, 0, RELATIVE          // VBAR_EL1 has another value yet
    answers SUCCESS, PE_UNMASK
    ldr     x0, =elsewhere
    msr     vbar_el1, x0
    isb
    signal_self
    holds   handled, 1, "the handler has run"
    pass

    .balign 0x800
elsewhere:
    .skip   0x800
handler:
    count   handled
    complete
