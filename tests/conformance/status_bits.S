// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.9 EVENT_STATUS: registered, enabled, running are bits 0, 1, 2
// vcpus: 1
// mutation: table DISABLE ENABLED_RUNNING SUCCESS ENABLED_RUNNING

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    answers 0, EVENT_STATUS, 0
    register 0, handler
    answers 1, EVENT_STATUS, 0
    answers SUCCESS, EVENT_ENABLE, 0
    answers 3, EVENT_STATUS, 0
    answers SUCCESS, EVENT_DISABLE, 0
    answers 1, EVENT_STATUS, 0
    answers SUCCESS, EVENT_ENABLE, 0
    answers SUCCESS, PE_UNMASK
    signal_self
    answers 0, EVENT_STATUS, 0
    holds   handled, 1, "the handler has run"
    pass

handler:
    answers 7, EVENT_STATUS, 0
    answers SUCCESS, EVENT_DISABLE, 0
    answers 5, EVENT_STATUS, 0
    answers SUCCESS, EVENT_ENABLE, 0
    answers 7, EVENT_STATUS, 0
    answers PENDING, EVENT_UNREGISTER, 0
    answers 4, EVENT_STATUS, 0
    count   handled
    complete
