// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.2 A shared event raised while its handler runs waits for it, though other PEs are free
// vcpus: 4
// mutation: table COMPLETE ENABLED_RUNNING SUCCESS REGISTERED

#include "conformance.inc"

    variable ready_pes
    variable running
    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    ready   x19, handler
    .irp    n, 1, 2, 3
    start   \n, free
    await   ready_pes, \n, "PE \n is there"
    .endr
    raise   SPI
    await   handled, 2, "it is handled, and again"
    linger
    holds   handled, 2, "and no more"
    pass

free:
    answers SUCCESS, PE_UNMASK
    count   ready_pes
    wait_here

handler:
    holds   running, 0, "its handler runs on one PE only"
    store   1, running
    quiesce
    load    x0, handled
    cbnz    x0, 1f
    raise   SPI                         // while we run
    linger
1:  store   0, running
    count   handled
    complete
