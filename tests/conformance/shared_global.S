// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.1 A shared event has one handler and one state, whichever PE asks
// vcpus: 2
// mutation: table REGISTER REGISTERED SUCCESS REGISTERED

#include "conformance.inc"

    variable step
    variable event
    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    store   x19, event
    register x19, handler, 0x51
    start   1, other
    await   step, 1, "the other PE enabled it"
    answers ENABLED, EVENT_STATUS, x19
    answers SUCCESS, PE_UNMASK
    raise   SPI
    await   handled, 1, "the handler ran"
    store   2, step
    await   step, 3, "the other PE unregistered it"
    answers UNREGISTERED, EVENT_STATUS, x19
    answers DENIED, EVENT_ENABLE, x19
    pass

other:
    load    x19, event
    bind    SPI, x20
    expect  x20, x19, "the number of the event on the other PE"
    answers REGISTERED, EVENT_STATUS, x19
    answers DENIED, EVENT_REGISTER, x19, handler, 0, 0, 0
    answers SUCCESS, EVENT_ENABLE, x19
    store   1, step
    await   step, 2, "the handler ran"
    answers SUCCESS, EVENT_UNREGISTER, x19
    store   3, step
    wait_here

handler:
    expect  x1, 0x51, "the argument"
    quiesce
    count   handled
    complete
