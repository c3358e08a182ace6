// SPDX-License-Identifier: GPL-2.0-or-later
//
// The ways into the kernel and out of it: exceptions, SDEI events, and from one thread to another.

#include "layout.h"

// save: put the interrupted registers on the stack, as a frame (layout.h).
    .macro  save
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp, #FRAME_X + 8 * 0]
    stp     x2, x3, [sp, #FRAME_X + 8 * 2]
    stp     x4, x5, [sp, #FRAME_X + 8 * 4]
    stp     x6, x7, [sp, #FRAME_X + 8 * 6]
    stp     x8, x9, [sp, #FRAME_X + 8 * 8]
    stp     x10, x11, [sp, #FRAME_X + 8 * 10]
    stp     x12, x13, [sp, #FRAME_X + 8 * 12]
    stp     x14, x15, [sp, #FRAME_X + 8 * 14]
    stp     x16, x17, [sp, #FRAME_X + 8 * 16]
    stp     x18, x19, [sp, #FRAME_X + 8 * 18]
    stp     x20, x21, [sp, #FRAME_X + 8 * 20]
    stp     x22, x23, [sp, #FRAME_X + 8 * 22]
    stp     x24, x25, [sp, #FRAME_X + 8 * 24]
    stp     x26, x27, [sp, #FRAME_X + 8 * 26]
    stp     x28, x29, [sp, #FRAME_X + 8 * 28]
    mrs     x0, sp_el0
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    stp     x30, x0, [sp, #FRAME_X + 8 * 30]
    stp     x1, x2, [sp, #FRAME_PC]
    mov     x0, sp                      // the handler's argument
    .endm

// vector handler: one entry of the table, 128 bytes apart from the next.
    .macro  vector handler
    .balign 0x80
    b       \handler
    .endm

    .text
    .balign 0x800
    .globl  vectors
vectors:
    .rept   4
    vector  from_kernel                 // EL1 with SP_EL0: we never use that
    .endr
    vector  from_kernel                 // EL1: synchronous, that is a bug of ours
    vector  irq_from_kernel             //      IRQ, which only the idle loop lets in
    vector  from_kernel                 //      FIQ
    vector  from_kernel                 //      SError
    vector  sync_from_user              // EL0
    vector  irq_from_user
    vector  from_kernel
    vector  from_kernel
    .rept   4
    vector  from_kernel                 // EL0 in AArch32
    .endr

from_kernel:
    save
    b       panic_at                    // trap.c; does not return

irq_from_kernel:
    save
    bl      interrupts                  // trap.c
    b       restore

sync_from_user:
    save
    bl      exception                   // trap.c
    b       to_user

irq_from_user:
    save
    bl      interrupts

// to_user: the only way to EL0. A thread that must not go there now sleeps or is switched away from
// in `return_to_user`, and comes out of it when it may. A new thread begins here: its first frame
// was made by hand.
    .globl  to_user
to_user:
    bl      return_to_user              // sched.c

restore:
    ldp     x1, x2, [sp, #FRAME_PC]
    ldp     x30, x0, [sp, #FRAME_X + 8 * 30]
    msr     sp_el0, x0
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldp     x0, x1, [sp, #FRAME_X + 8 * 0]
    ldp     x2, x3, [sp, #FRAME_X + 8 * 2]
    ldp     x4, x5, [sp, #FRAME_X + 8 * 4]
    ldp     x6, x7, [sp, #FRAME_X + 8 * 6]
    ldp     x8, x9, [sp, #FRAME_X + 8 * 8]
    ldp     x10, x11, [sp, #FRAME_X + 8 * 10]
    ldp     x12, x13, [sp, #FRAME_X + 8 * 12]
    ldp     x14, x15, [sp, #FRAME_X + 8 * 14]
    ldp     x16, x17, [sp, #FRAME_X + 8 * 16]
    ldp     x18, x19, [sp, #FRAME_X + 8 * 18]
    ldp     x20, x21, [sp, #FRAME_X + 8 * 20]
    ldp     x22, x23, [sp, #FRAME_X + 8 * 22]
    ldp     x24, x25, [sp, #FRAME_X + 8 * 24]
    ldp     x26, x27, [sp, #FRAME_X + 8 * 26]
    ldp     x28, x29, [sp, #FRAME_X + 8 * 28]
    add     sp, sp, #FRAME_SIZE
    eret

// switch_context(from, to): leave one thread within the kernel, go on with another where it left.
// A call in C may change x0 to x18 anyway, so only the others are kept, on the thread's stack.
    .globl  switch_context
switch_context:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    mov     x2, sp
    str     x2, [x0, #THREAD_SP]
    ldr     x2, [x1, #THREAD_SP]
    mov     sp, x2
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret                                 // a new thread: to `to_user`

// sdei_entry: the hypervisor sends us here with an event, at EL1 with everything masked, whatever
// this CPU was doing: x0 the event, x1 the argument of its registration (our struct cpu), x2 and x3
// PC and PSTATE of what was interrupted. SP_EL1 is as it was, so that we had better use a stack of
// our own. EVENT_COMPLETE gives x0 to x17 back, not x18, which C may change too.
    .globl  sdei_entry
sdei_entry:
    mov     x4, sp
    ldr     x5, [x1, #CPU_SDEI_STACK]
    mov     sp, x5
    stp     x4, x18, [sp, #-32]!
    stp     x29, x30, [sp, #16]
    bl      apf_not_present             // apf.c: returns what became of the event
    mov     x1, x0
    ldp     x29, x30, [sp, #16]
    ldp     x4, x18, [sp], #32
    mov     sp, x4
    ldr     w0, =SDEI_EVENT_COMPLETE
    hvc     #0                          // does not return

// wait_for_interrupt: sleep until an interrupt comes, then let it in. They are masked before and
// after, so none can slip in between looking for work and going to sleep: WFI ends for a masked
// interrupt too.
    .globl  wait_for_interrupt
wait_for_interrupt:
    wfi
    msr     daifclr, #2
    isb
    msr     daifset, #2
    ret

// Probes: they do nothing but be called. Whoever watches this machine from outside sees the CPU at
// these addresses, with the arguments in x0, x1, x2.
    .macro  probe name
    .globl  \name
\name:
    ret
    .endm

    probe   probe_thread                // (id, cpu, kind): a thread was made
    probe   probe_switch                // (from, to): a CPU goes from one thread to another
    probe   probe_sleep                 // (thread, token): it sleeps until its page is there
    probe   probe_wake                  // (thread, token): its page is there
    probe   probe_wait                  // (thread): it sleeps until a lock is free, or all are there
    probe   probe_go                    // (thread): it need not wait any longer
    probe   probe_start                 // (): the measured window begins
    probe   probe_end                   // (): and ends
