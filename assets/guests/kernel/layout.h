/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What C and assembly must agree on: sizes, and where the members of a few structures lie.
 * The C side checks the offsets when it is compiled (main.c).
 */

#ifndef LAYOUT_H
#define LAYOUT_H

#define MAX_CPUS        32
#define MAX_THREADS     256             /* one idle thread for each CPU is among them */
#define MAX_HEAP_PAGES  16384
#define PAGE            4096

#define KERNEL_STACK    4096            /* each thread's own, for its system calls */
#define SDEI_STACK      2048            /* each CPU's own, for the SDEI handler */
#define USER_STACK      1024

/* Where EL0 finds the heap: virtual addresses of its own, far from where its pages are. */
#define USER_HEAP       0x80000000

/* Registers of a thread that an exception interrupted, at the top of its kernel stack.
 *                      offset  what */
#define FRAME_X         0       /* x0 to x30, 8 bytes each */
#define FRAME_SP        248     /* SP_EL0 */
#define FRAME_PC        256     /* ELR_EL1: where it goes on */
#define FRAME_PSTATE    264     /* SPSR_EL1 */
#define FRAME_SIZE      272     /* a multiple of 16, as SP must be */

/* struct thread: all that switch_context needs to know of it. */
#define THREAD_SP       0

/* struct cpu, to which TPIDR_EL1 points on each CPU. */
#define CPU_BOOT_STACK  0       /* top of the stack on which it starts */
#define CPU_SDEI_STACK  8       /* top of the stack of its SDEI handler */

/* SGIs: the interrupts that CPUs send each other, and themselves. */
#define SGI_RESCHEDULE  0       /* look again at who should run: the way back to EL0 does */
#define SGI_BEGIN       1       /* to CPU 0: everybody has arrived at the barrier */
#define SGI_GO          2       /* from CPU 0: the barrier is open */
#define SGI_END         3       /* to CPU 0: all work is done */
#define SGI_STOP        4       /* from CPU 0: stand still */

#define SDEI_EVENT_COMPLETE     0xc4000025

#endif
