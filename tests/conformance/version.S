// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.1 VERSION is 1.1, and bit 63 is clear
// vcpus: 1
// mutation: knob version=1.0

#include "conformance.inc"

    .globl  guest
guest:
    call    SDEI_VERSION
    lsr     x0, x0, #32                 // below is the vendor's own number
    expect  x0, 0x10001, "VERSION: major and minor"
    pass
