// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.16 EVENT_SIGNAL interrupts another PE in a loop that makes no call
// vcpus: 2
// mutation: knob signal_resolves_target=off

#include "conformance.inc"

    variable there
    variable handled

    .globl  guest
guest:
    start   1, other
    await   there, 1, "the other PE is ready"
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    await   handled, 1, "its handler ran"
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    await   handled, 2, "and ran again"
    pass

other:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    store   1, there
loop:
    b       loop

handler:
    expect  x2, loop, "the interrupted PC"
    affinity x9
    expect  x9, 1, "the PE"
    count   handled
    complete
