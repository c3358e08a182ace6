// SPDX-License-Identifier: GPL-2.0-or-later
//
// 4.3 A critical event preempts a normal handler, and no handler preempts a critical one
// vcpus: 1
// mutation: event 0x40400029 critical=off

#include "conformance.inc"

    variable normal_runs
    variable critical_runs

    .globl  guest
guest:
    critical_event x19, x20
    ready   0, normal
    ready   x19, critical
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   normal_runs, 2, "the signal sent in the critical handler came later"
    holds   critical_runs, 2, "the critical event came again after its handler"
    pass

normal:
    load    x0, normal_runs
    cbnz    x0, 1f
    raise   x20
    nop                                 // here
    nop
    holds   critical_runs, 2, "critical handlers run inside the normal one"
    holds   normal_runs, 0, "a normal event does not preempt a normal handler"
1:  count   normal_runs
    complete

critical:
    quiesce
    count   critical_runs
    load    x0, critical_runs
    cmp     x0, #2
    b.eq    1f
    // Raise it again, and the normal event too: neither comes before this handler is complete.
    raise   x20
    signal_self
    linger
    holds   critical_runs, 1, "a critical event does not preempt a critical handler"
    holds   normal_runs, 0, "a normal event does not preempt a critical handler"
1:  complete
