// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.3 A level that is lowered before the event is delivered raises none
// vcpus: 1
// mutation: table ENABLE REGISTERED SUCCESS REGISTERED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    ready   x19, handler
    raise   SPI
    nop
    nop
    quiesce                             // still masked
    answers SUCCESS, PE_UNMASK
    linger
    holds   handled, 0, "no event of a line that is low again"
    raise   SPI
    linger
    holds   handled, 1, "an event of the next one"
    pass

handler:
    quiesce
    count   handled
    complete
