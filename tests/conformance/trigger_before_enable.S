// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.2 What is triggered while registered but disabled stays pending, and comes once enabled, once
// vcpus: 1
// mutation: table DISABLE ENABLED SUCCESS ENABLED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    answers SUCCESS, PE_UNMASK
    register 0, handler
    signal_self                         // between register and enable
    holds   handled, 0, "not while only registered"
    answers SUCCESS, EVENT_ENABLE, 0
    holds   handled, 1, "at once when enabled"

    answers SUCCESS, EVENT_DISABLE, 0
    signal_self
    signal_self
    holds   handled, 1, "not while disabled"
    answers SUCCESS, EVENT_ENABLE, 0
    holds   handled, 2, "once when enabled again"
    answers SUCCESS, EVENT_DISABLE, 0
    answers SUCCESS, EVENT_ENABLE, 0
    answers SUCCESS, EVENT_ENABLE, 0
    linger
    holds   handled, 2, "and no more"

    // The same for an interrupt.
    bind    SPI, x19
    register x19, interrupt
    raise   SPI
    linger
    holds   handled, 2, "an interrupt waits while only registered"
    answers SUCCESS, EVENT_ENABLE, x19
    holds   handled, 3, "and comes when enabled"
    pass

interrupt:
    quiesce
handler:
    count   handled
    complete
