// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.16 What a PE stored before EVENT_SIGNAL is there when the event arrives
// vcpus: 2
// mutation: knob signal_resolves_target=off

#include "conformance.inc"

#define ROUNDS      50

    variable there
    variable data
    variable handled

    .globl  guest
guest:
    start   1, other
    await   there, 1, "the other PE is ready"
    mov     x19, #0
1:  add     x19, x19, #1
    store   x19, data                   // no barrier: EVENT_SIGNAL is one
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    await   handled, x19, "the signal arrived"
    cmp     x19, #ROUNDS
    b.ne    1b
    pass

other:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    store   1, there
    wait_here

handler:
    load    x9, handled
    add     x9, x9, #1
    load    x10, data
    expect  x10, x9, "the data"
    store   x9, handled
    complete
