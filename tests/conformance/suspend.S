// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.5 After standby everything is as before; after power-down events are too, but the PE is masked
// vcpus: 1
// mutation: table DELIVER ENABLED DENIED ENABLED

#include "conformance.inc"

#define POWERDOWN   1 << 16

    variable handled

    // wake_up_soon: an interrupt that the client has enabled and masked ends a suspension.
    .macro  wake_up_soon
    mov     x16, #100
    msr     cntv_tval_el0, x16
    mov     x16, #1
    msr     cntv_ctl_el0, x16
    .endm

    .globl  guest
guest:
    gic_on
    gic_bit 0x100, TIMER_PPI
    ready   0, handler
    answers SUCCESS, PE_UNMASK

    wake_up_soon
    call    PSCI_CPU_SUSPEND, 0, 0, 0
    expect  x0, SUCCESS, "CPU_SUSPEND, standby"
    timer_off
    signal_self
    holds   handled, 1, "unmasked after standby, and ready"

    wake_up_soon
    call    PSCI_CPU_SUSPEND, POWERDOWN, secondary, awake
    fail    "CPU_SUSPEND, power-down, returned"

awake:
    timer_off
    answers ENABLED, EVENT_STATUS, 0
    signal_self
    linger
    holds   handled, 1, "masked after power-down"
    answers SUCCESS, PE_UNMASK
    holds   handled, 2, "unmasked, and ready"
    pass

handler:
    count   handled
    complete
