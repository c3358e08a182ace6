// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.7 EVENT_COMPLETE_AND_RESUME: INVALID_PARAMETERS for a bad address, DENIED outside a handler
// vcpus: 1
// mutation: knob bad_resume_addr_error=DENIED

#include "conformance.inc"

    .globl  guest
guest:
    answers DENIED, EVENT_COMPLETE_AND_RESUME, 0
    answers DENIED, EVENT_COMPLETE_AND_RESUME, 2
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    fail    "went on where it was interrupted"

handler:
    .irp    odd, 1, 2, 3
    answers INVALID, EVENT_COMPLETE_AND_RESUME, resumed + \odd
    .endr
    answers ENABLED_RUNNING, EVENT_STATUS, 0    // nothing has changed
    answers SUCCESS, EVENT_CONTEXT, 0
    call    SDEI_EVENT_COMPLETE_AND_RESUME, resumed
    fail    "EVENT_COMPLETE_AND_RESUME returned"

resumed:
    answers ENABLED, EVENT_STATUS, 0
    answers DENIED, EVENT_COMPLETE_AND_RESUME, resumed
    pass
