// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.15 INTERRUPT_RELEASE: DENIED while registered on any PE, INVALID_PARAMETERS for what is not bound
// vcpus: 2
// mutation: table RELEASE REGISTERED SUCCESS REGISTERED

#include "conformance.inc"

    variable event
    variable step

    .globl  guest
guest:
    answers INVALID, INTERRUPT_RELEASE, 0
    answers INVALID, INTERRUPT_RELEASE, UNKNOWN
    critical_event x19, x20
    answers INVALID, INTERRUPT_RELEASE, x19     // the platform's

    bind    SPI, x19
    ready   x19, 0x1000
    answers DENIED, INTERRUPT_RELEASE, x19
    answers SUCCESS, EVENT_DISABLE, x19
    answers DENIED, INTERRUPT_RELEASE, x19
    answers SUCCESS, EVENT_UNREGISTER, x19
    answers SUCCESS, INTERRUPT_RELEASE, x19
    answers INVALID, INTERRUPT_RELEASE, x19     // twice
    answers INVALID, EVENT_STATUS, x19
    answers INVALID, EVENT_REGISTER, x19, 0x1000, 0, 0, 0

    bind    TIMER_PPI, x19
    store   x19, event
    start   1, other
    await   step, 1, "the other PE has registered it"
    answers UNREGISTERED, EVENT_STATUS, x19
    answers DENIED, INTERRUPT_RELEASE, x19
    store   2, step
    await   step, 3, "the other PE has unregistered it"
    answers SUCCESS, INTERRUPT_RELEASE, x19
    pass

other:
    load    x19, event
    register x19, 0x1000
    store   1, step
    await   step, 2, "go"
    answers SUCCESS, EVENT_UNREGISTER, x19
    store   3, step
    wait_here
