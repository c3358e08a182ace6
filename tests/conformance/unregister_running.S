// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.8 EVENT_UNREGISTER of a running handler is PENDING until the handler completes
// vcpus: 1
// mutation: table UNREGISTER ENABLED_RUNNING SUCCESS UNREGISTERED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    answers DENIED, EVENT_UNREGISTER, 0
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    answers UNREGISTERED, EVENT_STATUS, 0
    answers DENIED, EVENT_UNREGISTER, 0
    holds   handled, 1, "the handler ran to its end"

    // As good as new.
    ready   0, handler
    signal_self
    holds   handled, 2, "registered again"
    answers UNREGISTERED, EVENT_STATUS, 0
    pass

handler:
    answers PENDING, EVENT_UNREGISTER, 0
    answers UNREGISTER_PENDING, EVENT_STATUS, 0
    answers PENDING, EVENT_UNREGISTER, 0
    answers DENIED, EVENT_REGISTER, 0, handler, 0, 0, 0
    answers DENIED, EVENT_ENABLE, 0
    answers DENIED, EVENT_DISABLE, 0
    answers SUCCESS, EVENT_CONTEXT, 0
    answers UNREGISTER_PENDING, EVENT_STATUS, 0
    count   handled
    complete
