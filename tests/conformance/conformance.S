// SPDX-License-Identifier: GPL-2.0-or-later
//
// The code behind conformance.inc.

#include "conformance.inc"

#define STACK_SHIFT     11              // 2 KiB for each vCPU

    .text
    .globl  _start
_start:
    adr     x0, guest
    // Falls through: vCPU 0 begins as the others do.

// secondary: where PSCI starts a vCPU. x0 says where it goes on.
    .globl  secondary
secondary:
    affinity x1
    add     x1, x1, #1
    ldr     x2, =stacks
    add     x1, x2, x1, lsl #STACK_SHIFT
    mov     sp, x1
    ldr     x1, =vectors_that_fail
    msr     vbar_el1, x1
    isb
    br      x0

// passed, failed: the last line, and off. The text of what failed is at x0; x16 is what there was,
// x17 what there should have been.
    .globl  passed
passed:
    adr     x0, text_pass
    bl      print
    b       power_off

    .globl  failed
failed:
    mov     x19, x16
    mov     x20, x17
    mov     x21, x30
    mov     x22, x0
    adr     x0, text_fail
    bl      print
    mov     x0, x22
    bl      print
    adr     x0, text_is
    mov     x1, x19
    bl      print_value
    adr     x0, text_wanted
    mov     x1, x20
    bl      print_value
    adr     x0, text_at
    mov     x1, x21
    bl      print_value
    adr     x0, text_failed
    bl      print
    b       power_off

// find_critical_event: x0 its number, x1 the SPI. Two boards are known.
    .globl  find_critical_event
find_critical_event:
    ldr     x8, =boards
1:  ldp     x9, x10, [x8], #16
    cbz     x9, 2f
    call    SDEI_EVENT_GET_INFO, x9, TYPE
    cmp     x0, #1
    b.ne    1b
    mov     x0, x9
    mov     x1, x10
    ret
2:  fail    "no critical event that a device can raise"

exception:
    mrs     x16, esr_el1
    mov     x17, xzr
    fail    "an exception that nobody expected; ESR_EL1:"

    .balign 0x800
vectors_that_fail:
    .rept   16
    entry   exception
    .endr

    .section .rodata
    .balign 8
boards:
    .quad   0x40400029, 41
    .quad   805, 40
    .quad   0
text_pass:      .asciz  "PASS\n"
text_fail:      .asciz  "FAIL: "
text_is:        .asciz  "  is"
text_wanted:    .asciz  "  wanted"
text_at:        .asciz  "  before"
text_failed:    .asciz  "FAIL\n"

    .bss
    .balign 16
stacks:
    .skip   8 << STACK_SHIFT
