// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1 A call changes none of x4-x30
// vcpus: 1
// mutation: none: no line of the package writes them after a call

#include "conformance.inc"

    .globl  guest
guest:
    .irp    n, 0x20, 0x22, 0x24, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x3e
    .irp    r, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    mov     x\r, #0x700 + \r
    .endr
    ldr     x0, =0xc4000000 + \n
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    hvc     #0
    mov     x0, x16
    mov     x1, x17
    .irp    r, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    expect  x\r, 0x700 + \r, "x\r"
    .endr
    expect  x0, 0x710, "x16"
    expect  x1, 0x711, "x17"
    .endr
    pass
