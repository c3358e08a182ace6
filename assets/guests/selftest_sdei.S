// SPDX-License-Identifier: GPL-2.0-or-later
//
// selftest_sdei: the commands of the kernel's own test of SDEI (selftest aarch64/sdei, v7 patch 22)
// in its order, on two vCPUs at once. There the host sends a command, waits until both vCPUs have
// obeyed, and prints what they found; here the vCPUs wait for each other, and know what to expect.
//
// What a command finds goes into a record, of which each vCPU has one. The first vCPU then compares
// the two, for they must not differ in any byte, and prints a line.
//
// Made for the series: under its rules EVENT_SIGNAL is for the caller whatever x2 holds, a call
// leaves zeros in x1-x3, EV_SIGNALED is 1 for an event that can be signalled, and PE_MASK answers 0.

#include "guest.inc"

#define VERSION_1_1     0x0001000100000000
#define VENDOR_KVM      0x564bcaa9
#define PSTATE          0x3c5           // EL1h, all masked; NZCV may be anything

// SDEI_EVENT_GET_INFO, x2.
#define INFO_TYPE       0
#define INFO_SIGNALED   1
#define INFO_PRIORITY   2

#define PSCI_CPU_OFF    0x84000002
#define PSCI_CPU_ON     0xc4000003

// A record; x19 points at the vCPU's own all the time.
//      offset
#define ANSWER          0               // x0 after the command's call
#define SECOND          8               // and of its second and third
#define THIRD           16
#define HANDLED         24              // by the handler: it ran
#define EVENT           32              //                 for this event
#define STATUS          40              //                 in this state
#define PC              48              //                 and interrupted this
#define SAVED_PSTATE    56
#define CONTEXT         64              //                 with these x0-x3
#define IRQ             96              // by the IRQ vector: it was reached
#define WRONG           104             // how many of these values are not as expected
#define RECORD_SIZE     112

    // obey function, x1, x2: a call whose answer goes to an offset of the record.
    .macro  obey function, x1=0, x2=0, answer=ANSWER
    ldr     w0, =\function
    ldr     x1, =\x1
    ldr     x2, =\x2
    hvc     #0
    str     x0, [x19, #\answer]
    .endm

    // expect offset, value: count it in x21 when the record has something else.
    .macro  expect offset, value
    ldr     x0, [x19, #\offset]
    ldr     x1, =\value
    cmp     x0, x1
    cinc    x21, x21, ne
    .endm

    // report "command": both vCPUs have obeyed it; the first one tells.
    .macro  report command
    str     x21, [x19, #WRONG]
    bl      together
    cbnz    x20, 1f
    bl      same_records
    check   "\command", eq
1:  bl      together
    bl      new_record
    .endm

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0
    ldr     x19, =records
    mov     x20, #0                     // number of this vCPU

    ldr     w0, =PSCI_CPU_ON
    mov     x1, #1                      // its affinity
    adr     x2, second
    mov     x3, #0
    hvc     #0
    cbz     x0, obey_all
    say     "there is no second vCPU: this test needs two"
    b       power_off

// The second vCPU begins here.
second:
    ldr     x0, =second_stack_top
    mov     sp, x0
    ldr     x19, =records + RECORD_SIZE
    mov     x20, #1

// Both vCPUs.
obey_all:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    mov     x22, #0                     // how often they have met
    bl      new_record

    // Nothing was asked for; nothing has been found.
    expect  ANSWER, 0
    report  "IDLE"

    obey    SDEI_VERSION
    expect  ANSWER, VERSION_1_1 + VENDOR_KVM
    report  "SDEI_VERSION"

    // No interrupt can be bound, and there is no relative mode.
    obey    SDEI_FEATURES, SDEI_FEATURE_BIND_SLOTS
    obey    SDEI_FEATURES, SDEI_FEATURE_RELATIVE_MODE, 0, SECOND
    expect  ANSWER, 0
    expect  SECOND, 0
    report  "SDEI_FEATURES"

    obey    SDEI_SHARED_RESET
    expect  ANSWER, 0
    report  "SDEI_SHARED_RESET"

    obey    SDEI_PRIVATE_RESET
    expect  ANSWER, 0
    report  "SDEI_PRIVATE_RESET"

    obey    SDEI_PE_UNMASK
    expect  ANSWER, 0
    report  "SDEI_PE_UNMASK"

    // Private, of normal priority, and software can signal it.
    obey    SDEI_EVENT_GET_INFO, 0, INFO_TYPE
    obey    SDEI_EVENT_GET_INFO, 0, INFO_PRIORITY, SECOND
    obey    SDEI_EVENT_GET_INFO, 0, INFO_SIGNALED, THIRD
    expect  ANSWER, 0
    expect  SECOND, 0
    expect  THIRD, 1
    report  "SDEI_EVENT_GET_INFO"

    mov     x3, x19                     // the handler's argument: the record
    mov     x4, #0
    mov     x5, #0
    obey    SDEI_EVENT_REGISTER, 0, handler
    expect  ANSWER, 0
    report  "SDEI_EVENT_REGISTER"

    obey    SDEI_EVENT_ENABLE
    expect  ANSWER, 0
    report  "SDEI_EVENT_ENABLE"

    // The handler runs, and then the IRQ vector, before the next instruction does. x2 holds the
    // record's address, as in the kernel's test, although EVENT_SIGNAL should find a PE there.
    ldr     w0, =SDEI_EVENT_SIGNAL
    mov     x1, #0
    mov     x2, x19
    hvc     #0
signalled:
    str     x0, [x19, #ANSWER]
    expect  ANSWER, 0
    expect  HANDLED, 1
    expect  EVENT, 0
    expect  STATUS, 0b111               // running, enabled, registered
    expect  PC, signalled
    expect  SAVED_PSTATE, PSTATE
    expect  CONTEXT, 0                  // x0: the call had its answer already
    expect  CONTEXT + 8, 0              // x1-x3: cleared by the call
    expect  CONTEXT + 16, 0
    expect  CONTEXT + 24, 0
    expect  IRQ, 1
    report  "SDEI_EVENT_SIGNAL"

    obey    SDEI_PE_MASK
    expect  ANSWER, 0
    report  "SDEI_PE_MASK"

    obey    SDEI_EVENT_DISABLE
    expect  ANSWER, 0
    report  "SDEI_EVENT_DISABLE"

    obey    SDEI_EVENT_UNREGISTER
    expect  ANSWER, 0
    report  "SDEI_EVENT_UNREGISTER"

    // The second vCPU is done; the first says how it went.
    cbz     x20, 1f
    ldr     w0, =PSCI_CPU_OFF
    hvc     #0
1:  say     "EXIT"
    ldr     x0, =failures
    ldr     x0, [x0]
    cbnz    x0, 2f
    say     "PASS"
    b       power_off
2:  say     "FAIL"
    b       power_off

// together: wait until the other vCPU is here too, for the same time. x22 counts.
together:
    add     x22, x22, #1
    ldr     x0, =meetings
    str     x22, [x0, x20, lsl #3]
    eor     x1, x20, #1                 // the other one
    dmb     ish                         // what we wrote before, it shall see
1:  ldr     x2, [x0, x1, lsl #3]
    cmp     x2, x22
    b.lo    1b
    dmb     ish
    ret

// new_record: forget the last command.
new_record:
    mov     x21, #0
    mov     x0, #RECORD_SIZE
1:  sub     x0, x0, #8
    str     xzr, [x19, x0]
    cbnz    x0, 1b
    ret

// same_records: EQ when both records are the same, and nothing in them is wrong.
same_records:
    ldr     x0, =records
    mov     x1, #0
1:  ldr     x2, [x0, #RECORD_SIZE]
    ldr     x3, [x0], #8
    cmp     x2, x3
    b.ne    2f
    add     x1, x1, #8
    cmp     x1, #RECORD_SIZE
    b.ne    1b
    ldr     x0, =records
    ldr     x0, [x0, #WRONG]
    cmp     x0, #0
2:  ret

// The handler of event 0: x0 event, x1 the record, x2 and x3 interrupted PC and PSTATE.
handler:
    mov     x6, x1
    str     x0, [x6, #EVENT]
    str     x2, [x6, #PC]
    bic     x3, x3, #0xf0000000         // NZCV
    str     x3, [x6, #SAVED_PSTATE]

    ldr     w0, =SDEI_EVENT_STATUS
    ldr     x1, [x6, #EVENT]
    hvc     #0
    str     x0, [x6, #STATUS]

    mov     x7, #0
1:  ldr     w0, =SDEI_EVENT_CONTEXT
    mov     x1, x7
    hvc     #0
    add     x2, x6, x7, lsl #3
    str     x0, [x2, #CONTEXT]
    add     x7, x7, #1
    cmp     x7, #4
    b.ne    1b

    mov     x0, #1
    str     x0, [x6, #HANDLED]
    ldr     w0, =SDEI_EVENT_COMPLETE_AND_RESUME
    mrs     x1, vbar_el1
    add     x1, x1, #VECTOR_EL1H + VECTOR_IRQ
    hvc     #0

// Where that leads: as after an interrupt, and every register but ours is the interrupted code's.
irq:
    stp     x0, x1, [sp, #-16]!
    ldr     x0, [x19, #IRQ]
    add     x0, x0, #1
    str     x0, [x19, #IRQ]
    ldp     x0, x1, [sp], #16
    eret                                // to `signalled`

    .balign 0x800
vectors:
    .rept   5                           // from EL1 with SP_EL0: four entries; then synchronous
    entry   unexpected
    .endr
    entry   irq                         // from EL1 with SP_EL1, IRQ: offset 0x280
    .rept   10
    entry   unexpected
    .endr

    .bss
    .balign 16
records:
    .skip   2 * RECORD_SIZE
meetings:
    .skip   16
second_stack:
    .skip   0x400
second_stack_top:
