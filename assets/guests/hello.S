// SPDX-License-Identifier: GPL-2.0-or-later
//
// hello: the smallest guest. It prints one line and switches the machine off.

#include "guest.inc"

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0

    say     "hello from EL1"
    b       power_off
