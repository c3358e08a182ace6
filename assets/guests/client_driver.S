// SPDX-License-Identifier: GPL-2.0-or-later
//
// client_driver: what the series' test driver for Linux does, in assembly. A handler can see the
// interrupted registers in two ways: it can ask for x0-x17 with EVENT_CONTEXT, and it finds x4-x30
// where they were, in the registers themselves. Do both ways show the same?
//
// By the specification they do (DEN0054C table 5). The series clears x4-x17 before it enters the
// handler (v7 patch 12), so there they do not. Either way the interrupted code must get them back.

#include "guest.inc"

#define ARGUMENT    0xdabfdabf          // what the driver registers its handler with
#define MARK        0x5de1c0de00000000  // xN holds MARK + N when the event arrives

#define X4_TO_X17   4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
#define X18_TO_X30  18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0

    // Is there an SDEI? Without it there is nothing to do.
    ldr     w0, =SDEI_VERSION
    hvc     #0
    mov     x19, x0                     // printing would change x0
    show    "SDEI_VERSION", x19
    tbnz    x19, #63, power_off         // below zero: an error

    ldr     w0, =SDEI_EVENT_REGISTER
    mov     x1, #0                      // event
    adr     x2, handler                 // where to enter
    ldr     x3, =ARGUMENT               // what the handler gets in x1
    mov     x4, #0                      // flags
    mov     x5, #0                      // affinity
    hvc     #0
    mov     x19, x0
    show    "SDEI_EVENT_REGISTER", x19
    tbnz    x19, #63, power_off

    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    mov     x19, x0
    show    "SDEI_EVENT_ENABLE", x19
    tbnz    x19, #63, unload

    ldr     w0, =SDEI_PE_UNMASK
    hvc     #0
    show    "SDEI_PE_UNMASK", x0

    // Raise event 0 on this PE, with something in every register that we can recognise. No
    // register is left to say where to store them afterwards, but SP.
    sub     sp, sp, #256
    .irp    n, 3, X4_TO_X17, X18_TO_X30
    ldr     x\n, =MARK + \n
    .endr
    ldr     w0, =SDEI_EVENT_SIGNAL
    mov     x1, #0                      // event
    mrs     x2, mpidr_el1
    and     x2, x2, #0xffffff           // this PE: its affinity, without flag bits
    hvc     #0                          // answers with x0 = SUCCESS, which is 0, and x1-x3 = 0
interrupted:                            // the event comes before the next line
    .irp    n, 0, 1, 2, 3, X4_TO_X17, X18_TO_X30
    str     x\n, [sp, #8 * \n]
    .endr

    // Are they what they were? x0-x17 the hypervisor has put back, the others the handler.
    ldr     x8, =MARK
    mov     x9, #0                      // number of a register
1:  ldr     x10, [sp, x9, lsl #3]
    add     x11, x8, x9
    cmp     x9, #4
    csel    x11, xzr, x11, lo           // x0-x3 have the answer of the call
    cmp     x10, x11
    b.ne    2f
    add     x9, x9, #1
    cmp     x9, #31
    b.ne    1b
2:  check   "x0-x30 came back", eq
    add     sp, sp, #256

    // As when the driver is unloaded.
unload:
    ldr     w0, =SDEI_EVENT_UNREGISTER
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_UNREGISTER", x0
    b       power_off

// The handler: x0 event, x1 our argument, x2 and x3 interrupted PC and PSTATE. The interrupted
// x0-x17 are safe in the hypervisor. x30 is not: it goes on the stack, and above it x0-x17 as we
// get to see them.
handler:
    str     x30, [sp, #-160]!
    .irp    n, X4_TO_X17                // as they are in the registers, before we use any
    str     x\n, [sp, #8 + 8 * \n]
    .endr
    mov     x8, x0                      // printing changes x0-x7 only
    mov     x9, x1
    mov     x10, x2
    mov     x11, x3
    show    "  handler: event", x8
    show    "  handler: argument", x9
    show    "  handler: interrupted PC", x10
    show    "  handler: interrupted PSTATE", x11

    // x0-x3 had the event's data when we were entered. What they had before can only be asked for.
    mov     x8, #0                      // number of a register
    add     x9, sp, #8                  // where it is in our frame
1:  bl      context
    str     x0, [x9, x8, lsl #3]
    add     x8, x8, #1
    cmp     x8, #4
    b.ne    1b

    // Now ask for all of them and compare. One line for each that differs.
    mov     x8, #0
    mov     x10, #0                     // how many differ
2:  bl      context
    ldr     x11, [x9, x8, lsl #3]
    cmp     x0, x11
    b.eq    3f
    add     x10, x10, #1
    adr     x0, text_differs
    bl      print
    adr     x0, names
    add     x0, x0, x8, lsl #2
    mov     x1, x11
    bl      print_value
3:  add     x8, x8, #1
    cmp     x8, #18
    b.ne    2b
    cbnz    x10, 4f
    say     "  handler: context: same"

    // Put back what is not ours, and finish. This call does not return.
4:  ldr     x30, [sp], #160
    ldr     w0, =SDEI_EVENT_COMPLETE
    mov     x1, #SDEI_EV_HANDLED
    hvc     #0

// Return in x0 the interrupted register whose number is in x8.
context:
    ldr     w0, =SDEI_EVENT_CONTEXT
    mov     x1, x8
    hvc     #0
    ret

    .section .rodata
text_differs:
    .asciz  "  handler: context differs: at entry "
    .balign 4
names:                                  // four bytes each
    .irp    n, 0, 1, 2, 3, X4_TO_X17
    .asciz  "x\n"
    .balign 4
    .endr
