// SPDX-License-Identifier: GPL-2.0-or-later
//
// spin: prints one line and then never does anything again. Only the host can end it.

#include "guest.inc"

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top
    mov     sp, x0

    say     "spinning"
forever:
    b       forever
