// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where it begins. The first CPU comes here from power-on: at EL1 with everything masked, the MMU
// off, x0 pointing at the device tree. All others are off until the first one has built the world
// for them; then PSCI CPU_ON sends them to `secondary_start`.

#include "layout.h"

    .text
    .globl  _start
_start:
    mov     x19, x0                     // the device tree
    ldr     x20, =cpus                  // struct cpu of the first CPU
    bl      prepare
    ldr     x1, =kernel_stacks + KERNEL_STACK
    mov     sp, x1                      // nobody has filled in struct cpu yet
    mov     x0, x19
    bl      build                       // main.c: tables, threads, everything
    bl      mmu_on
    mov     x0, x20
    b       start_all                   // main.c; does not return

// The other CPUs: x0 is what CPU_ON was given as context, here their own struct cpu.
    .globl  secondary_start
secondary_start:
    mov     x20, x0
    bl      prepare
    ldr     x1, [x20, #CPU_BOOT_STACK]
    mov     sp, x1
    bl      mmu_on
    mov     x0, x20
    b       start_cpu                   // main.c; does not return

// prepare: TPIDR_EL1 says who we are from now on, VBAR_EL1 where exceptions go.
prepare:
    msr     tpidr_el1, x20
    ldr     x1, =vectors
    msr     vbar_el1, x1
    mov     x1, #1 << 1                 // CNTKCTL_EL1.EL0VCTEN: EL0 may read the clock
    msr     cntkctl_el1, x1
    isb
    ret

// mmu_on: use the tables that mmu.c has built. We stand on an identity mapping, so that the next
// instruction is where it was.
mmu_on:
    mov     x1, #0x04ff                 // attribute 0: memory, cached; 1: devices, nGnRE (mmu.c)
    msr     mair_el1, x1
    ldr     x1, =0x00803520             // TCR_EL1: 32 bits of address, 4 KiB pages, walks cached
    msr     tcr_el1, x1                 // and shareable; nothing in the upper half (EPD1)
    ldr     x1, =table_root
    msr     ttbr0_el1, x1
    dsb     ish
    tlbi    vmalle1
    dsb     ish
    isb
    mrs     x1, sctlr_el1
    mov     x2, #1 << 0 | 1 << 2        // MMU, data cache
    orr     x2, x2, #1 << 12            // instruction cache
    orr     x1, x1, x2
    msr     sctlr_el1, x1
    isb
    ret
