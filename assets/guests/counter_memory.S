// SPDX-License-Identifier: GPL-2.0-or-later
//
// counter_memory: a long computation that also writes: each turn reads one word of a buffer of
// 64 pages, mixes it and writes it back. Good for watching which pages change.

#include "guest.inc"

#define BUFFER_SIZE 0x40000

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top
    mov     sp, x0

    ldr     x0, =iterations             // a word in memory, so that the host may change it
    ldr     x0, [x0]
    ldr     x6, =buffer
    mov     x1, #1
    mov     x2, #0

loop:
    eor     x1, x1, x1, lsl #13
    eor     x1, x1, x1, lsr #7
    eor     x1, x1, x1, lsl #17
    and     x3, x1, #BUFFER_SIZE - 8    // any word of the buffer
    ldr     x4, [x6, x3]
    add     x4, x4, x1
    ror     x4, x4, #11
    str     x4, [x6, x3]
    eor     x2, x2, x4
    add     x2, x2, x3
    subs    x0, x0, #1
    b.ne    loop

    show    "counter_memory", x2
    b       power_off

    .data
    .balign 8
    .globl  iterations
iterations:
    .quad   10000000

    .bss
    .balign 0x1000
    .globl  buffer
buffer:
    .skip   BUFFER_SIZE
