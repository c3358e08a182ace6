// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.12 PE_MASK returns 1 where it masked the PE and 0 where that was masked; PE_UNMASK returns 0
// vcpus: 1
// mutation: knob mask_tells_change=off

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    answers 0, PE_MASK                  // a PE starts masked
    answers 0, PE_UNMASK
    answers 0, PE_UNMASK
    answers 1, PE_MASK
    answers 0, PE_MASK

    // What becomes pending meanwhile comes at once when the PE is unmasked.
    bind    SPI, x19
    ready   x19, handler
    raise   SPI
    linger
    holds   handled, 0, "masked"
    answers ENABLED, EVENT_STATUS, x19
    answers 0, PE_UNMASK
    holds   handled, 1, "unmasked"
    pass

handler:
    quiesce
    count   handled
    answers 1, PE_MASK                  // that a handler runs does not mask
    answers 0, PE_MASK
    answers 0, PE_UNMASK
    complete
