// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.17 FEATURES: two bind slots of each type at least; relative mode or not; nothing else
// vcpus: 1
// mutation: knob version=1.0

#include "conformance.inc"

    .globl  guest
guest:
    call    SDEI_FEATURES, 0
    mov     x19, x0
    lsr     x0, x19, #32
    expect  x0, 0, "FEATURES 0: bits 63:32"
    and     x0, x19, #0xffff
    cmp     x0, #2
    cset    x0, hs
    expect  x0, 1, "FEATURES 0: two slots for private events"
    lsr     x0, x19, #16
    cmp     x0, #2
    cset    x0, hs
    expect  x0, 1, "FEATURES 0: two slots for shared events"

    call    SDEI_FEATURES, 1
    lsr     x0, x0, #1
    expect  x0, 0, "FEATURES 1 is 0 or 1"
    answers INVALID, FEATURES, 2
    answers INVALID, FEATURES, 0x10
    pass
