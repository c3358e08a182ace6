// SPDX-License-Identifier: GPL-2.0-or-later
//
// registration: a guest gets ready to receive an SDEI event, and takes it all back.
//
// An SDEI event is delivered to a handler that the guest named beforehand. Three things must be so
// before that can happen: the event is registered (it has a handler), the event is enabled, and
// this PE (processing element, one core) is unmasked. The guest does the three in order, looks at
// the event's status after each, undoes them, and at last makes a call that must be refused.
//
// Every call is made alike: the function id in w0, arguments from x1 on, then HVC, which enters
// the hypervisor. The result comes back in x0: zero or more is good, below zero is an error.

#include "guest.inc"

    .text
    .globl  _start
_start:
    ldr     x0, =stack_top              // we are entered at EL1 with SP = 0
    mov     sp, x0

    // Is there an SDEI at all? The answer has the major version in bits 62:48, the minor one in
    // bits 47:32, and who made it in bits 31:0. Without SDEI it would be NOT_SUPPORTED.
    ldr     w0, =SDEI_VERSION
    hvc     #0
    show    "SDEI_VERSION", x0

    // How many interrupts may be bound to events? None here: events come from software only.
    ldr     w0, =SDEI_FEATURES
    mov     x1, #SDEI_FEATURE_BIND_SLOTS
    hvc     #0
    show    "SDEI_FEATURES", x0

    // Status bits: 0 registered, 1 enabled, 2 its handler runs. A fresh event has none of them.
    ldr     w0, =SDEI_EVENT_STATUS
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_STATUS", x0

    // First thing: the handler. Event 0 is the one that software may signal.
    ldr     w0, =SDEI_EVENT_REGISTER
    mov     x1, #0                      // event
    adr     x2, handler                 // where to enter
    mov     x3, #0                      // what the handler gets in x1
    mov     x4, #0                      // flags: nothing special
    mov     x5, #0                      // affinity: not used by a private event
    hvc     #0
    show    "SDEI_EVENT_REGISTER", x0

    ldr     w0, =SDEI_EVENT_STATUS
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_STATUS", x0

    // Second thing: the event itself.
    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_ENABLE", x0

    ldr     w0, =SDEI_EVENT_STATUS
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_STATUS", x0

    // Third thing: this PE, for all its events at once. From here on event 0 could arrive
    // between any two instructions. Nobody raises it, so it does not.
    ldr     w0, =SDEI_PE_UNMASK
    hvc     #0
    show    "SDEI_PE_UNMASK", x0

    // And back: disable the event ...
    ldr     w0, =SDEI_EVENT_DISABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_DISABLE", x0

    // ... and give the handler up.
    ldr     w0, =SDEI_EVENT_UNREGISTER
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_UNREGISTER", x0

    ldr     w0, =SDEI_EVENT_STATUS
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_STATUS", x0

    // A mistake, on purpose: an event without a handler cannot be enabled.
    ldr     w0, =SDEI_EVENT_ENABLE
    mov     x1, #0
    hvc     #0
    show    "SDEI_EVENT_ENABLE", x0

    b       power_off

// The handler, should the event arrive after all: nothing to do, so say that it is done.
// EVENT_COMPLETE gives x0-x17, PSTATE and PC back to what was interrupted and does not return.
handler:
    ldr     w0, =SDEI_EVENT_COMPLETE
    mov     x1, #SDEI_EV_HANDLED
    hvc     #0
