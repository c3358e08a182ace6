// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.16 EVENT_SIGNAL ends the WFI of another PE
// vcpus: 2
// mutation: knob kick_on_raise=off

#include "conformance.inc"

    variable there
    variable handled
    variable awake

    .globl  guest
guest:
    start   1, other
    await   there, 1, "the other PE is ready"
    linger                              // it sleeps by now
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    await   handled, 1, "its handler ran"
    await   awake, 1, "and it goes on after WFI"
    pass

other:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    store   1, there
    wfi
woken:
    store   1, awake
    wait_here

handler:
    expect  x2, woken, "the interrupted PC"
    count   handled
    complete
