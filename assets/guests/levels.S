// SPDX-License-Identifier: GPL-2.0-or-later
//
// levels: an event may arrive whatever the guest is doing, and the interrupted code must not be
// able to tell. Four rounds: the event interrupts EL1t (EL1 on the stack pointer SP_EL0) and EL0
// (a user program), and the handler ends with COMPLETE and with COMPLETE_AND_RESUME.
//
// The handler behaves as badly as it is allowed to: it fills x0-x17 with rubbish and turns NZCV
// over. Afterwards the interrupted code looks whether its registers are intact.
//
// At EL1t the guest signals the event itself. At EL0 it cannot, for HVC is undefined there: the
// program waits in `el0_loop` for the host to inject event 0. When nothing comes the wait ends.

#include "guest.inc"

#define COMPLETE        0               // how the handler shall end
#define RESUME          1

#define FLAGS_BEFORE    0xa0000000      // N and C
#define FLAGS_RUBBISH   0x50000000      // Z and V
#define WAIT            20000           // turns of el0_loop

// `state`, in .bss; x19 points at it all the time.
//      offset
#define WAY             0               // COMPLETE or RESUME, for the handler
#define LANDED          8               // how many events came in this round
#define RESUMED         16              // how often the resume vector was taken
#define TRAPPED         24              // how often EL0 was refused a privileged register
#define SEEN_LEVEL      32              // by the handler: CurrentEL
#define SEEN_SPSEL      40              //                 which SP
#define SEEN_SP         48              //                 its value
#define SEEN_VBAR       56              //                 a privileged register
#define SEEN_MODE       64              //                 mode that it interrupted
#define AFTER_FLAGS     72              // by the interrupted code, afterwards: NZCV
#define AFTER_SP        80              //                 its SP
#define BEFORE          96              // x0-x17 before the event
#define AFTER           240             // x0-x17 after it
#define STATE_SIZE      384

    // Give each of x0-x17 a value of its own.
    .macro  fill_registers value
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
    mov     x\n, #\value + \n
    .endr
    .endm

    // Store x0-x17 in `state`.
    .macro  store_registers offset
    stp     x0, x1, [x19, #\offset]
    stp     x2, x3, [x19, #\offset + 16]
    stp     x4, x5, [x19, #\offset + 32]
    stp     x6, x7, [x19, #\offset + 48]
    stp     x8, x9, [x19, #\offset + 64]
    stp     x10, x11, [x19, #\offset + 80]
    stp     x12, x13, [x19, #\offset + 96]
    stp     x14, x15, [x19, #\offset + 112]
    stp     x16, x17, [x19, #\offset + 128]
    .endm

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // SP_EL1: the stack of EL1, and of every handler
    mov     sp, x0
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    ldr     x19, =state

    ldr     w0, =SDEI_EVENT_REGISTER
    mov     x1, #0
    adr     x2, handler
    mov     x3, x19
    mov     x4, #0
    mov     x5, #0
    hvc     #0
    show    "SDEI_EVENT_REGISTER", x0
    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_ENABLE", x0
    ldr     w0, =SDEI_PE_UNMASK
    hvc     #0
    show    "SDEI_PE_UNMASK", x0

    say     "EL1t, EVENT_COMPLETE"
    mov     x0, #COMPLETE
    bl      round_el1t
    say     "EL1t, EVENT_COMPLETE_AND_RESUME"
    mov     x0, #RESUME
    bl      round_el1t
    say     "EL0, EVENT_COMPLETE"
    mov     x0, #COMPLETE
    bl      round_el0
    say     "EL0, EVENT_COMPLETE_AND_RESUME"
    mov     x0, #RESUME
    bl      round_el0

    ldr     x0, =failures
    ldr     x0, [x0]
    show    "checks that failed", x0
    b       power_off

// One round at EL1t. x0 says how the handler shall end.
round_el1t:
    stp     x29, x30, [sp, #-16]!
    bl      begin_round
    ldr     x0, =stack_el0_top
    msr     sp_el0, x0
    msr     spsel, #0                   // from here SP means SP_EL0: we are at EL1t

    // The call itself uses x0-x3. Zeros there on both sides: event 0, this PE (the first one,
    // affinity 0), and SUCCESS as the answer.
    fill_registers 0x1100
    mov     x0, #0
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    store_registers BEFORE
    ldr     x20, =FLAGS_BEFORE
    msr     nzcv, x20
    ldr     w0, =SDEI_EVENT_SIGNAL
    hvc     #0
    store_registers AFTER               // the event comes before this line
    mrs     x20, nzcv
    str     x20, [x19, #AFTER_FLAGS]
    mov     x20, sp
    str     x20, [x19, #AFTER_SP]

    mrs     x20, spsel
    msr     spsel, #1
    cmp     x20, #0
    check   "  back at EL1t", eq
    mov     x0, #PSTATE_EL1T
    bl      check_round
    ldp     x29, x30, [sp], #16
    ret

// One round at EL0. x0 says how the handler shall end.
round_el0:
    stp     x29, x30, [sp, #-16]!
    bl      begin_round
    ldr     x0, =stack_el0_top
    msr     sp_el0, x0
    adr     x0, el0
    msr     elr_el1, x0
    mov     x0, #PSTATE_EL0T            // nothing masked, all flags clear
    msr     spsr_el1, x0
    eret

// The user program.
el0:
    fill_registers 0x2200
    store_registers BEFORE
    ldr     x20, =FLAGS_BEFORE
    msr     nzcv, x20
    ldr     x20, =WAIT
el0_loop:                               // changes neither x0-x17 nor NZCV
    ldr     x21, [x19, #LANDED]
    cbnz    x21, el0_landed
    sub     x20, x20, #1
    cbnz    x20, el0_loop
el0_landed:
    store_registers AFTER
    mrs     x20, nzcv
    str     x20, [x19, #AFTER_FLAGS]
    mov     x20, sp
    str     x20, [x19, #AFTER_SP]

    // The handler was privileged; we still are not. This must trap, and leave x20 alone.
    mrs     x20, vbar_el1
    svc     #0                          // back to EL1, at sync_el0

// A synchronous exception from EL0: the privileged read, or the SVC with which a round ends.
sync_el0:
    mrs     x0, esr_el1
    lsr     x0, x0, #ESR_EC_SHIFT
    cmp     x0, #ESR_EC_SVC
    b.eq    el0_done
    cmp     x0, #ESR_EC_UNKNOWN
    mov     x1, #ESR_EC_SYSREG
    ccmp    x0, x1, #4, ne              // either class will do
    b.ne    unexpected
    ldr     x0, [x19, #TRAPPED]
    add     x0, x0, #1
    str     x0, [x19, #TRAPPED]
    mrs     x0, elr_el1                 // skip the instruction
    add     x0, x0, #4
    msr     elr_el1, x0
    eret

el0_done:
    ldr     x0, [x19, #TRAPPED]
    cmp     x0, #1
    check   "  a privileged read at EL0 traps", eq
    ldr     x0, [x19, #LANDED]
    cbnz    x0, 1f
    say     "  no event came: the host may inject event 0 in el0_loop"
    b       2f
1:  mov     x0, #PSTATE_EL0T
    bl      check_round
2:  ldp     x29, x30, [sp], #16         // pushed by round_el0
    ret

// Forget the last round. x0 says how the handler shall end.
begin_round:
    str     x0, [x19, #WAY]
    add     x1, x19, #LANDED
    add     x2, x19, #STATE_SIZE
1:  str     xzr, [x1], #8
    cmp     x1, x2
    b.lo    1b
    ret

// What became of a round in which the event came. x0 is the mode that it should have interrupted.
check_round:
    stp     x29, x30, [sp, #-16]!
    ldr     x1, [x19, #SEEN_MODE]
    cmp     x0, x1
    check   "  the event came at this level", eq

    // The handler ran at EL1, on SP_EL1, which lies in our stack.
    ldr     x0, [x19, #SEEN_LEVEL]
    cmp     x0, #1 << 2
    check   "  handler at EL1", eq
    ldr     x0, [x19, #SEEN_SPSEL]
    cmp     x0, #1
    check   "  handler on SP_EL1", eq
    ldr     x0, [x19, #SEEN_SP]
    add     x1, sp, #16                 // as it was before we pushed x29 and x30
    cmp     x0, x1
    check   "  handler on the same stack as before", eq
    ldr     x0, [x19, #SEEN_VBAR]
    ldr     x1, =vectors
    cmp     x0, x1
    check   "  handler reads a privileged register", eq

    // Did it leave the way it was told to?
    ldr     x0, [x19, #RESUMED]
    ldr     x1, [x19, #WAY]
    cmp     x0, x1
    check   "  left the handler as told", eq

    // And nothing of ours has changed.
    add     x1, x19, #BEFORE
    add     x2, x19, #AFTER
    mov     x3, #18
1:  ldr     x4, [x1], #8
    ldr     x5, [x2], #8
    cmp     x4, x5
    b.ne    2f
    subs    x3, x3, #1
    b.ne    1b
2:  check   "  x0-x17 intact", eq
    ldr     x0, [x19, #AFTER_FLAGS]
    ldr     x1, =FLAGS_BEFORE
    cmp     x0, x1
    check   "  NZCV intact", eq
    ldr     x0, [x19, #AFTER_SP]
    ldr     x1, =stack_el0_top
    cmp     x0, x1
    check   "  SP_EL0 intact", eq
    ldp     x29, x30, [sp], #16
    ret

// The handler: x0 event, x1 `state`, x2 and x3 interrupted PC and PSTATE.
handler:
    ldr     x4, [x1, #LANDED]
    add     x4, x4, #1
    str     x4, [x1, #LANDED]
    and     x5, x3, #PSTATE_MODE
    str     x5, [x1, #SEEN_MODE]

    mrs     x4, CurrentEL               // undefined at EL0, as the next two are
    str     x4, [x1, #SEEN_LEVEL]
    mrs     x4, spsel
    str     x4, [x1, #SEEN_SPSEL]
    mrs     x4, vbar_el1
    str     x4, [x1, #SEEN_VBAR]
    mov     x4, sp
    str     x4, [x1, #SEEN_SP]

    // Keep what we need on the stack, and rubbish all that we may.
    stp     x1, x5, [sp, #-16]!
    fill_registers 0xdd00
    ldr     x0, =FLAGS_RUBBISH
    msr     nzcv, x0
    ldp     x1, x5, [sp], #16

    // Leave as told. To resume is to go to the IRQ entry of our vector table for the level that we
    // interrupted. Neither call returns.
    ldr     x4, [x1, #WAY]
    cbnz    x4, 1f
    ldr     w0, =SDEI_EVENT_COMPLETE
    mov     x1, #SDEI_EV_HANDLED
    b       2f
1:  ldr     w0, =SDEI_EVENT_COMPLETE_AND_RESUME
    mrs     x1, vbar_el1
    add     x1, x1, #VECTOR_IRQ
    add     x2, x1, #VECTOR_EL0
    cmp     x5, #PSTATE_EL0T
    csel    x1, x2, x1, eq
2:  hvc     #0

// The event is complete and the registers are the interrupted ones again. Use only what nobody
// else does, note that we were here, and return to ELR_EL1.
resumed:
    stp     x20, x21, [sp, #-16]!
    ldr     x20, [x19, #RESUMED]
    add     x20, x20, #1
    str     x20, [x19, #RESUMED]
    ldp     x20, x21, [sp], #16
    eret

    .balign 0x800
vectors:
    entry   unexpected                  // from EL1 with SP_EL0
    entry   resumed                     //      IRQ: offset 0x080
    entry   unexpected
    entry   unexpected
    .rept   4                           // from EL1 with SP_EL1
    entry   unexpected
    .endr
    entry   sync_el0                    // from EL0
    entry   resumed                     //      IRQ: offset 0x480
    .rept   6
    entry   unexpected
    .endr

    .bss
    .balign 16
state:
    .skip   STATE_SIZE
stack_el0:
    .skip   0x400
stack_el0_top:
