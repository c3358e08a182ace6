// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.16 EVENT_SIGNAL succeeds whatever the state of its target, and several signals may be one
// vcpus: 1
// mutation: knob signal_strict=on

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    affinity x6
    answers SUCCESS, EVENT_SIGNAL, 0, x6        // unregistered: what comes of it is open
    register 0, handler
    answers SUCCESS, EVENT_SIGNAL, 0, x6        // disabled
    answers SUCCESS, EVENT_ENABLE, 0
    answers SUCCESS, EVENT_SIGNAL, 0, x6        // masked, and pending already
    answers SUCCESS, EVENT_SIGNAL, 0, x6
    holds   handled, 0, "masked"
    answers SUCCESS, PE_UNMASK
    holds   handled, 1, "one event for all of them"
    linger
    holds   handled, 1, "and no more"

    answers INVALID, EVENT_SIGNAL, 0, NOBODY
    answers INVALID, EVENT_SIGNAL, 1, x6
    bind    SPI, x19
    affinity x6
    answers INVALID, EVENT_SIGNAL, x19, x6
    pass

handler:
    count   handled
    complete
