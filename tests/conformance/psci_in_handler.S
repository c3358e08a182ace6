// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.5 PSCI_VERSION, AFFINITY_INFO and CPU_ON work in a handler
// vcpus: 2
// mutation: table DELIVER ENABLED DENIED ENABLED

#include "conformance.inc"

    variable there
    variable handled

    .globl  guest
guest:
    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    holds   handled, 1, "the handler has run"
    await   there, 1, "the PE that it switched on"
    pass

other:
    store   1, there
    wait_here

handler:
    call    PSCI_VERSION
    lsr     x0, x0, #16
    expect  x0, 1, "PSCI_VERSION: major"
    call    PSCI_AFFINITY_INFO, 1, 0
    expect  x0, 1, "AFFINITY_INFO: off"
    start   1, other
    call    PSCI_AFFINITY_INFO, 1, 0
    expect  x0, 0, "AFFINITY_INFO: on"
    answers ENABLED_RUNNING, EVENT_STATUS, 0
    count   handled
    complete
