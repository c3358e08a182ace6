// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.5 CPU_OFF in a handler completes it
// vcpus: 2
// mutation: knob power_off_completes=off

#include "conformance.inc"

    variable event
    variable off
    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    store   x19, event
    register x19, handler, 0, RM_PE, 1
    answers SUCCESS, EVENT_ENABLE, x19
    start   1, other
    await   off, 1, "its handler ran"
    mov     x20, #LONG
1:  call    PSCI_AFFINITY_INFO, 1, 0
    cmp     x0, #1
    b.eq    2f
    subs    x20, x20, #1
    b.ne    1b
    fail    "the other PE is off"
2:  answers ENABLED, EVENT_STATUS, x19  // and no more running

    // As good as before: to this PE it comes.
    answers SUCCESS, EVENT_DISABLE, x19
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_ANY, 0
    answers SUCCESS, EVENT_ENABLE, x19
    answers SUCCESS, PE_UNMASK
    raise   SPI
    await   handled, 1, "the next one comes here"
    pass

other:
    answers SUCCESS, PE_UNMASK
    raise   SPI
    wait_here

handler:
    quiesce
    affinity x9
    cbz     x9, 1f
    load    x19, event
    answers ENABLED_RUNNING, EVENT_STATUS, x19
    store   1, off
    call    PSCI_CPU_OFF
    fail    "CPU_OFF returned"
1:  count   handled
    complete
