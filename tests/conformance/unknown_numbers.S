// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1 Numbers that are no call, and calls in the 32-bit form, are NOT_SUPPORTED
// vcpus: 1
// mutation: constant sdeiviz.machine.vcpu.NOT_SUPPORTED 0

#include "conformance.inc"

    .globl  guest
guest:
    .irp    n, 0x33, 0x34, 0x3e
    call    0xc4000000 + \n, 0
    expect  x0, NOT_SUPPORTED, "number 0xc4000000 + \n"
    .endr
    .irp    n, 0x20, 0x28, 0x2b, 0x32
    call    0x84000000 + \n, 0
    expect  x0, NOT_SUPPORTED, "number 0x84000000 + \n"
    .endr
    call    0x44000028, 0               // no fast call
    expect  x0, NOT_SUPPORTED, "number 0x44000028"
    pass
