// SPDX-License-Identifier: GPL-2.0-or-later
//
// selftest_hypercalls: may a guest use SDEI? The eight calls that the kernel's own test of the
// firmware bitmap (selftest aarch64/hypercalls, v7 patch 21) makes, in its order.
//
// Whoever runs the machine decides, by a bit for each service, which calls a guest is shown. With
// the bit of SDEI set none of the eight may be NOT_SUPPORTED; each even succeeds, for every one
// finds what the ones before it have left. With the bit clear all of them must be NOT_SUPPORTED:
// the hypervisor turns them away before any code of SDEI sees them.

#include "guest.inc"

    // ask "name", function: make a call with zero for every argument, and print the answer.
    .macro  ask name, function
    ldr     w0, =\function
    .irp    n, 1, 2, 3, 4, 5
    mov     x\n, #0
    .endr
    hvc     #0
    show    "\name", x0
    .endm

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0

    // From nothing: no event has a handler, and this PE lets events through.
    ask     "SDEI_SHARED_RESET", SDEI_SHARED_RESET
    ask     "SDEI_PRIVATE_RESET", SDEI_PRIVATE_RESET
    ask     "SDEI_PE_UNMASK", SDEI_PE_UNMASK

    // Event 0 there and back. Its handler is at address 0, where nothing is; the test does as
    // much, for nobody raises the event and so nobody goes there.
    ask     "SDEI_EVENT_REGISTER", SDEI_EVENT_REGISTER
    ask     "SDEI_EVENT_ENABLE", SDEI_EVENT_ENABLE
    ask     "SDEI_EVENT_DISABLE", SDEI_EVENT_DISABLE
    ask     "SDEI_EVENT_UNREGISTER", SDEI_EVENT_UNREGISTER

    ask     "SDEI_PE_MASK", SDEI_PE_MASK
    b       power_off
