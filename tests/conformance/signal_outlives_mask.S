// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.12 A signal that is pending when a handler masks the PE waits for PE_UNMASK
// vcpus: 1
// mutation: knob masked_signal_waits=off

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    linger
    holds   handled, 1, "masked: not yet"
    answers SUCCESS, PE_UNMASK
    holds   handled, 2, "unmasked"
    pass

handler:
    load    x0, handled
    cbnz    x0, 1f
    signal_self
    call    SDEI_PE_MASK
1:  count   handled
    complete
