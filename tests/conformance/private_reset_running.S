// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.18 PRIVATE_RESET is DENIED while a private handler runs, which then is the last to run
// vcpus: 1
// mutation: knob reset_denied_while_running=off

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    bind    TIMER_PPI, x19
    ready   x19, handler
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   handled, 1, "the handler ran to its end"
    answers UNREGISTERED, EVENT_STATUS, 0
    answers SUCCESS, PRIVATE_RESET
    ready   0, again
    signal_self
    holds   handled, 2, "registered again"
    pass

handler:
    signal_self                         // pending, and dropped
    answers DENIED, PRIVATE_RESET
    answers UNREGISTER_PENDING, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19
    answers DENIED, PRIVATE_RESET       // still
again:
    count   handled
    complete
