// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.5 A signal never switches a PE on; after CPU_ON the PE is masked
// vcpus: 2
// mutation: table DELIVER ENABLED DENIED ENABLED

#include "conformance.inc"

    variable step
    variable handled

    .macro  await_off
    mov     x19, #LONG
.Lagain\@:
    call    PSCI_AFFINITY_INFO, 1, 0
    cmp     x0, #1
    b.eq    .Loff\@
    subs    x19, x19, #1
    b.ne    .Lagain\@
    fail    "the other PE is off"
.Loff\@:
    .endm

    .globl  guest
guest:
    start   1, other
    await   step, 1, "the other PE is ready"
    await_off
    call    SDEI_EVENT_SIGNAL, 0, 1     // what it answers is open
    linger
    call    PSCI_AFFINITY_INFO, 1, 0
    expect  x0, 1, "still off"
    holds   handled, 0, "off"

    start   1, again
    await   step, 2, "the other PE is back"
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    linger
    holds   handled, 0, "masked"
    store   3, step
    await   handled, 1, "unmasked"
    linger
    holds   handled, 1, "once"
    pass

other:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    store   1, step
    call    PSCI_CPU_OFF
    fail    "CPU_OFF returned"

again:
    answers 0, PE_MASK
    // Whether the registration outlived CPU_OFF is the dispatcher's choice.
    call    SDEI_EVENT_UNREGISTER, 0
    ready   0, handler
    store   2, step
    await   step, 3, "go"
    answers SUCCESS, PE_UNMASK
    wait_here

handler:
    count   handled
    complete
