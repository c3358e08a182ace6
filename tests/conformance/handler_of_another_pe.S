// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.1 A shared handler is completed by the PE that runs it; others can only unregister it
// vcpus: 2
// mutation: table UNREGISTER ENABLED_RUNNING DENIED ENABLED_RUNNING

#include "conformance.inc"

    variable event
    variable step
    variable completed

    .globl  guest
guest:
    bind    SPI, x19
    store   x19, event
    register x19, handler, 0, RM_PE, 1
    answers SUCCESS, EVENT_ENABLE, x19
    start   1, other
    await   step, 1, "the handler runs on the other PE"
    answers ENABLED_RUNNING, EVENT_STATUS, x19
    answers DENIED, EVENT_CONTEXT, 0
    answers DENIED, EVENT_COMPLETE, 0
    answers DENIED, EVENT_COMPLETE_AND_RESUME, guest
    answers DENIED, INTERRUPT_RELEASE, x19
    answers PENDING, EVENT_UNREGISTER, x19
    answers UNREGISTER_PENDING, EVENT_STATUS, x19
    answers PENDING, EVENT_UNREGISTER, x19
    store   2, step
    await   completed, 1, "the handler has completed"
    answers UNREGISTERED, EVENT_STATUS, x19
    answers SUCCESS, INTERRUPT_RELEASE, x19
    pass

other:
    answers SUCCESS, PE_UNMASK
    raise   SPI
    await   step, 2, "the event came, and the first PE unregistered it"
    store   1, completed
    wait_here

handler:
    quiesce
    store   1, step
    await   step, 2, "the first PE made its calls"
    load    x9, event
    answers UNREGISTER_PENDING, EVENT_STATUS, x9
    complete
