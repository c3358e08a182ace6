// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.3 A level that the handler does not clear fires again when it completes
// vcpus: 1
// mutation: table COMPLETE ENABLED_RUNNING SUCCESS REGISTERED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    // A shared one, then a private one.
    bind    SPI, x19
    ready   x19, handler
    answers SUCCESS, PE_UNMASK
    raise   SPI
    linger
    holds   handled, 3, "the one-shot timer: until the third handler quiesced it"

    store   0, handled
    bind    TIMER_PPI, x19
    ready   x19, handler
    timer_on
    linger
    holds   handled, 3, "the virtual timer: until the third handler stopped it"
    pass

handler:
    count   handled
    load    x0, handled
    cmp     x0, #3
    b.ne    1f
    quiesce
    timer_off
1:  complete
