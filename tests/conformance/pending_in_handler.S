// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.2 What becomes pending while a handler runs is delivered after it
// vcpus: 1
// mutation: knob request_after_complete=off

#include "conformance.inc"

    variable handled
    variable running

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   handled, 2, "both have been handled before the next instruction"
    pass

handler:
    holds   running, 0, "handlers do not overlap"
    store   1, running
    count   handled
    load    x0, handled
    cmp     x0, #1
    b.ne    1f
    signal_self
    signal_self                         // the two are one
    linger
1:  store   0, running
    complete
