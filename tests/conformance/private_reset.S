// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.18 PRIVATE_RESET unregisters the private events of the calling PE, and nothing else
// vcpus: 2
// mutation: table RESET ENABLED SUCCESS ENABLED

#include "conformance.inc"

    variable step
    variable handled

    .globl  guest
guest:
    bind    TIMER_PPI, x19
    bind    SPI, x20
    start   1, other
    await   step, 1, "the other PE is ready"
    ready   0, handler
    register x19, handler
    ready   x20, handler
    answers SUCCESS, PE_UNMASK

    answers SUCCESS, PRIVATE_RESET
    answers UNREGISTERED, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19
    answers ENABLED, EVENT_STATUS, x20  // shared
    bind    TIMER_PPI, x21
    expect  x21, x19, "the binding"
    raise   SPI
    await   handled, 1, "still unmasked"
    answers SUCCESS, PRIVATE_RESET      // with nothing left to do
    store   2, step
    await   step, 3, "the other PE looked"
    pass

other:
    ready   0, handler
    store   1, step
    await   step, 2, "the first PE made its calls"
    answers ENABLED, EVENT_STATUS, 0
    store   3, step
    wait_here

handler:
    quiesce
    count   handled
    complete
