// SPDX-License-Identifier: GPL-2.0-or-later
//
// What every guest needs: a way to print, and a way to end. Nothing here is about SDEI, so step
// over it. The routines change x0-x7 only; the caller keeps x30.

#include "sdei.h"

    .text

// print: write the zero-terminated text at x0 to the UART, one character at a time.
// Each store leaves the guest: no memory is at that address, so the hypervisor acts as the UART.
    .globl  print
print:
    ldr     x1, =UART
1:  ldrb    w2, [x0], #1
    cbz     w2, 2f
    strb    w2, [x1, #UART_DR]
    b       1b
2:  ret

// print_value: write the text at x0, " = ", the value in x1 and a new line.
    .globl  print_value
print_value:
    stp     x1, x30, [sp, #-16]!
    bl      print
    adr     x0, text_equals
    bl      print
    ldr     x3, [sp]                    // the value

    mvn     x4, x3                      // -1 becomes 0, -2 becomes 1 ...
    cmp     x4, #10
    b.hs    1f
    adr     x0, error_names
    add     x0, x0, x4, lsl #5
    bl      print
    b       3f

1:  adr     x0, text_0x
    bl      print
    orr     x4, x3, #1                  // so that zero has one digit too
    clz     x4, x4
    bic     x4, x4, #3
    mov     x5, #60
    sub     x5, x5, x4                  // shift of the first digit that is not zero
2:  lsr     x6, x3, x5
    and     x6, x6, #0xf
    add     x7, x6, #'0'
    add     x6, x6, #'a' - 10
    cmp     x7, #'9'
    csel    x6, x7, x6, ls
    strb    w6, [x1, #UART_DR]          // x1 still points at the UART
    subs    x5, x5, #4
    b.pl    2b

3:  adr     x0, text_newline
    bl      print
    ldp     x1, x30, [sp], #16
    ret

// print_check: write the text at x0, then PASS when x1 is 1, FAIL when it is 0.
// Failures are counted, for the last line.
    .globl  print_check
print_check:
    stp     x1, x30, [sp, #-16]!
    bl      print
    ldp     x1, x30, [sp]
    ldr     x2, =failures
    ldr     x3, [x2]
    add     x3, x3, #1
    sub     x3, x3, x1
    str     x3, [x2]
    adr     x0, text_pass
    adr     x2, text_fail
    cmp     x1, #1
    csel    x0, x0, x2, eq
    bl      print
    ldp     x1, x30, [sp], #16
    ret

// power_off: ask the hypervisor, by PSCI, to switch this machine off. Does not return.
    .globl  power_off
power_off:
    ldr     w0, =PSCI_SYSTEM_OFF
    hvc     #0
    b       power_off

// unexpected: where a vector leads that nothing should take.
    .globl  unexpected
unexpected:
    adr     x0, text_unexpected
    bl      print
    mrs     x1, esr_el1
    adr     x0, text_esr
    bl      print_value
    b       power_off

    .section .rodata
text_equals:        .asciz  " = "
text_0x:            .asciz  "0x"
text_newline:       .asciz  "\n"
text_pass:          .asciz  ": PASS\n"
text_fail:          .asciz  ": FAIL\n"
text_unexpected:    .asciz  "an exception that this guest did not expect\n"
text_esr:           .asciz  "ESR_EL1"

// Results of SDEI calls below zero, 32 bytes each, from -1 down (DEN0054C 5.1.1).
    .balign 32
error_names:
    .asciz  "NOT_SUPPORTED"
    .balign 32
    .asciz  "INVALID_PARAMETERS"
    .balign 32
    .asciz  "DENIED"
    .balign 32
    .asciz  "-4"
    .balign 32
    .asciz  "PENDING"
    .balign 32
    .asciz  "-6"
    .balign 32
    .asciz  "-7"
    .balign 32
    .asciz  "-8"
    .balign 32
    .asciz  "-9"
    .balign 32
    .asciz  "OUT_OF_RESOURCE"
    .balign 32

    .bss
    .balign 8
    .globl  failures
failures:
    .skip   8
