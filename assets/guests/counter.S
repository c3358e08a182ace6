// SPDX-License-Identifier: GPL-2.0-or-later
//
// counter: a long computation that touches registers only. The loop has no call, no memory access
// and one branch in 12 instructions, so it runs as fast as the machine can.
// The result depends on every step: x1 is Marsaglia's 64-bit xorshift, x2 to x5 mix it.

#include "guest.inc"

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top
    mov     sp, x0

    ldr     x0, =iterations             // a word in memory, so that the host may change it
    ldr     x0, [x0]
    mov     x1, #1
    mov     x2, #0
    mov     x3, #0
    mov     x4, #0
    mov     x5, #0

loop:
    eor     x1, x1, x1, lsl #13
    eor     x1, x1, x1, lsr #7
    eor     x1, x1, x1, lsl #17
    add     x2, x2, x1
    eor     x3, x3, x2
    ror     x3, x3, #11
    add     x4, x4, x3
    eor     x5, x5, x4
    ror     x5, x5, #29
    add     x2, x2, x5
    subs    x0, x0, #1
    b.ne    loop

    show    "counter", x2
    b       power_off

    .data
    .balign 8
    .globl  iterations
iterations:
    .quad   10000000
