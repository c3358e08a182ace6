// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.4 EVENT_DISABLE never touches a running handler, but no further event comes after it
// vcpus: 1
// mutation: table DISABLE ENABLED_RUNNING SUCCESS ENABLED_RUNNING

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    answers REGISTERED, EVENT_STATUS, 0
    holds   handled, 1, "the handler ran to its end, once"
    answers SUCCESS, EVENT_ENABLE, 0
    holds   handled, 2, "what it signalled itself comes once enabled"
    pass

handler:
    load    x0, handled
    cbnz    x0, 1f
    answers SUCCESS, EVENT_DISABLE, 0
    answers SUCCESS, EVENT_DISABLE, 0
    signal_self
    answers SUCCESS, EVENT_CONTEXT, 0
1:  count   handled
    complete
