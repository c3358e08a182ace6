// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.14 INTERRUPT_BIND is DENIED while the interrupt is active
// vcpus: 1
// mutation: knob bind_refuses_active=off

#include "conformance.inc"

    .globl  guest
guest:
    gic_bit 0x300, TIMER_PPI            // active, as while the client handles it
    answers DENIED, INTERRUPT_BIND, TIMER_PPI
    gic_bit 0x380, TIMER_PPI
    bind    TIMER_PPI, x19
    gic_bit 0x300, SPI
    answers DENIED, INTERRUPT_BIND, SPI
    gic_bit 0x380, SPI
    bind    SPI, x19
    gic_bit 0x200, OTHER_SPI            // pending is no obstacle
    bind    OTHER_SPI, x19
    pass
