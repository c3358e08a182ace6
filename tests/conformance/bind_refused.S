// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.14 INTERRUPT_BIND refuses what is no PPI or SPI of the client's
// vcpus: 1
// mutation: knob bind_secure_intr_error=DENIED

#include "conformance.inc"

    .globl  guest
guest:
    .irp    intid, 0, SGI, 15, 1020, 1023, 1024, 0xffffffff
    answers INVALID, INTERRUPT_BIND, \intid
    .endr
    answers INVALID, INTERRUPT_BIND, 29 // the secure world's timer
    critical_event x19, x20
    answers INVALID, INTERRUPT_BIND, x20 // the platform has an event for it
    pass
