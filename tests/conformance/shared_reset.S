// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.19 SHARED_RESET unregisters shared events and releases all bindings; the rest stays
// vcpus: 1
// mutation: table SHARED_RESET ENABLED SUCCESS ENABLED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    critical_event x19, x20
    ready   x19, handler
    bind    SPI, x21
    ready   x21, handler
    bind    TIMER_PPI, x22              // bound, not registered
    ready   0, handler
    answers SUCCESS, PE_UNMASK

    answers SUCCESS, SHARED_RESET
    answers UNREGISTERED, EVENT_STATUS, x19
    answers INVALID, INTERRUPT_RELEASE, x21
    answers INVALID, INTERRUPT_RELEASE, x22
    answers ENABLED, EVENT_STATUS, 0
    answers 1, PE_MASK                  // it did not mask
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   handled, 1, "event 0 comes as before"

    answers SUCCESS, SHARED_RESET       // with nothing left to do
    bind    SPI, x21
    answers UNREGISTERED, EVENT_STATUS, x21
    bind    TIMER_PPI, x22
    register x22, handler
    answers DENIED, SHARED_RESET        // a private bound event is still registered
    answers REGISTERED, EVENT_STATUS, x22
    pass

handler:
    count   handled
    complete
