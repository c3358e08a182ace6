// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.18 A reset in a nested handler leaves both handlers to run to their ends
// vcpus: 1
// mutation: table RESET ENABLED_RUNNING DENIED ENABLED_RUNNING
//
// The critical handler is of a shared event, the normal one of event 0.

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
    holds   normal_runs, 1, "the normal handler ran to its end"
    holds   critical_runs, 1, "the critical handler ran to its end"
    answers UNREGISTERED, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19
    pass

normal:
    raise   x20
    nop                                 // here
    nop
    holds   critical_runs, 1, "the critical handler has run"
    answers UNREGISTER_PENDING, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19
    count   normal_runs
    complete

critical:
    quiesce
    answers DENIED, PRIVATE_RESET
    answers UNREGISTER_PENDING, EVENT_STATUS, 0
    answers ENABLED_RUNNING, EVENT_STATUS, x19
    answers DENIED, SHARED_RESET
    answers UNREGISTER_PENDING, EVENT_STATUS, x19
    count   critical_runs
    complete
