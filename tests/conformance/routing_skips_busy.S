// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.11 RM_ANY: a PE that runs a handler is passed over for one that does not
// vcpus: 2
// mutation: table DELIVER ENABLED DENIED ENABLED

#include "conformance.inc"

    variable there
    variable by

    .globl  guest
guest:
    bind    SPI, x19
    ready   x19, shared
    ready   0, busy
    start   1, free
    await   there, 1, "the other PE is ready"
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   by, 2, "the event came while the first PE was in its handler"
    pass

free:
    answers SUCCESS, PE_UNMASK
    store   1, there
    wait_here

busy:
    raise   SPI                         // of the PEs that are not masked we are the first
    await   by, 2, "the other PE handled it"
    complete

shared:
    quiesce
    affinity x9
    add     x9, x9, #1
    store   x9, by
    complete
