// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.5 EVENT_CONTEXT knows x0-x17, and only while a handler runs
// vcpus: 1
// mutation: constant sdeiviz.sdei.dispatcher.CONTEXT_REGISTERS 17

#include "conformance.inc"

    .globl  guest
guest:
    answers DENIED, EVENT_CONTEXT, 0
    answers DENIED, EVENT_CONTEXT, 17
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    affinity x2
    ldr     x17, =0x1717
    mov     x1, #0
    ldr     x0, =SDEI_EVENT_SIGNAL
    hvc     #0
    fail    "went on where it was interrupted"

handler:
    answers 0x1717, EVENT_CONTEXT, 17
    answers INVALID, EVENT_CONTEXT, 18
    answers INVALID, EVENT_CONTEXT, 0xffffffff
    answers SUCCESS, EVENT_CONTEXT, 0
    call    SDEI_EVENT_COMPLETE_AND_RESUME, resumed
    fail    "EVENT_COMPLETE_AND_RESUME returned"

resumed:
    answers DENIED, EVENT_CONTEXT, 0
    pass
