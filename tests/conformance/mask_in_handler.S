// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.12 PE_MASK in a handler takes full effect when the handler completes
// vcpus: 1
// mutation: knob mask_waits_for_completion=off
//
// Until then a critical event still comes, as these words are read here; afterwards neither it nor a
// normal one does.

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
    holds   normal_runs, 1, "the handler that masks runs to its end"
    raise   x20
    signal_self
    linger
    holds   normal_runs, 1, "masked for normal events"
    holds   critical_runs, 1, "masked for critical events"
    answers 0, PE_MASK                  // it is
    answers 0, PE_UNMASK
    holds   normal_runs, 2, "unmasked for normal events"
    holds   critical_runs, 2, "unmasked for critical events"
    pass

normal:
    load    x0, normal_runs
    cbnz    x0, 1f
    answers 1, PE_MASK
    raise   x20
    nop                                 // here
    nop
    holds   critical_runs, 1, "a critical event comes before the handler that masked completes"
1:  count   normal_runs
    complete

critical:
    quiesce
    count   critical_runs
    complete
