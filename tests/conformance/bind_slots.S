// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.14 Each type has its own slots; without a free one INTERRUPT_BIND is OUT_OF_RESOURCE
// vcpus: 1
// mutation: knob shared_bind_slots=0
//
// Binds as many as FEATURES promises, one more, and again after a release.

#include "conformance.inc"

    // exhaust first, slots: from that interrupt on; x21 is the last event.
    .macro  exhaust first, slots
    mov     x22, #\first
    add     x23, x22, \slots
.Lagain\@:
    bind    x22, x21
    add     x22, x22, #1
    cmp     x22, x23
    b.ne    .Lagain\@
    answers OUT_OF_RESOURCE, INTERRUPT_BIND, x22
    answers SUCCESS, INTERRUPT_RELEASE, x21
    bind    x22, x21
    sub     x22, x22, #1
    answers OUT_OF_RESOURCE, INTERRUPT_BIND, x22
    .endm

    .globl  guest
guest:
    call    SDEI_FEATURES, 0
    and     x19, x0, #0xffff
    lsr     x20, x0, #16
    cmp     x20, #1
    cset    x0, hs
    expect  x0, 1, "slots for shared events"
    exhaust SPI, x20                    // all shared ones: private ones are left
    exhaust 18, x19
    pass
