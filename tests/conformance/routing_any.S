// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.11 RM_ANY: the event goes to a PE that is not masked, once; without one it waits
// vcpus: 4
// mutation: table DELIVER ENABLED DENIED ENABLED

#include "conformance.inc"

    variable ready_pes
    variable go
    variable handled
    variable by

    .globl  guest
guest:
    bind    SPI, x19
    ready   x19, handler
    start   1, masked
    await   ready_pes, 1, "PE 1 is there"
    start   2, unmasked
    await   ready_pes, 2, "PE 2 is there"
    start   3, masked
    await   ready_pes, 3, "PE 3 is there"

    raise   SPI
    await   handled, 1, "somebody handles it"
    holds   by, 2, "the PE that is not masked"
    linger
    holds   handled, 1, "it is handled once"

    // Now all are masked.
    store   1, go
    await   ready_pes, 4, "PE 2 has masked itself"
    raise   SPI
    linger
    holds   handled, 1, "it waits while all are masked"
    answers SUCCESS, PE_UNMASK
    holds   handled, 2, "and comes to the first that unmasks"
    holds   by, 0, "which is PE 0"
    pass

unmasked:
    answers SUCCESS, PE_UNMASK
    count   ready_pes
    await   go, 1, "PE 0 has seen the event handled"
    answers 1, PE_MASK
    count   ready_pes
    wait_here

masked:
    count   ready_pes
    wait_here

handler:
    quiesce
    affinity x9
    store   x9, by
    count   handled
    complete
