// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1 Errors are sign-extended to 64 bits
// vcpus: 1
// mutation: constant sdeiviz.machine.vcpu.MASK64 0xffffffff
//
// One call for each error that a single call gets; every expectation compares all of x0.

#include "conformance.inc"

    .globl  guest
guest:
    answers INVALID, EVENT_STATUS, UNKNOWN
    answers DENIED, EVENT_ENABLE, 0
    answers INVALID, FEATURES, 0x10
    call    0xc400003e
    expect  x0, NOT_SUPPORTED, "a number in the range of SDEI that is no call"

    ready   0, handler
    answers SUCCESS, PE_UNMASK
    signal_self
    pass

handler:
    answers PENDING, EVENT_UNREGISTER, 0
    complete
