// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.19 SHARED_RESET is DENIED while a shared handler runs, which then is the last to run
// vcpus: 1
// mutation: table SHARED_RESET ENABLED_RUNNING SUCCESS UNREGISTER_PENDING

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    ready   x19, handler
    bind    OTHER_SPI, x20
    register x20, handler
    answers SUCCESS, PE_UNMASK
    raise   SPI
    await   handled, 1, "the handler has run"
    answers UNREGISTERED, EVENT_STATUS, x19
    answers SUCCESS, SHARED_RESET
    answers INVALID, INTERRUPT_RELEASE, x19
    pass

handler:
    quiesce
    answers DENIED, SHARED_RESET
    answers UNREGISTER_PENDING, EVENT_STATUS, x19
    answers UNREGISTERED, EVENT_STATUS, x20
    answers DENIED, SHARED_RESET        // still
    count   handled
    complete
