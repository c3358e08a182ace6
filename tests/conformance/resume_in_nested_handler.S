// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.7 EVENT_COMPLETE_AND_RESUME of a critical handler leaves the normal one that it interrupted running
// vcpus: 1
// mutation: table COMPLETE ENABLED_RUNNING SUCCESS ENABLED_RUNNING

#include "conformance.inc"

    variable normal_runs
    variable resumed_at

    .globl  guest
guest:
    critical_event x19, x20
    ready   0, normal
    ready   x19, critical
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   normal_runs, 1, "the normal handler ran to its end"
    answers ENABLED, EVENT_STATUS, 0
    answers DENIED, EVENT_CONTEXT, 0
    pass

normal:
    mov     x21, #0
    raise   x20
    nop
here:
    cbz     x21, here                   // x21 is ours: `guest` keeps nothing there
    holds   resumed_at, 1, "came by the resume address"
    answers SUCCESS, EVENT_CONTEXT, 0   // still a handler
    count   normal_runs
    complete

critical:
    quiesce
    call    SDEI_EVENT_COMPLETE_AND_RESUME, resumed
    fail    "EVENT_COMPLETE_AND_RESUME returned"

resumed:
    answers ENABLED, EVENT_STATUS, x19
    answers ENABLED_RUNNING, EVENT_STATUS, 0
    mov     x21, #1
    count   resumed_at
    eret                                // into the normal handler
