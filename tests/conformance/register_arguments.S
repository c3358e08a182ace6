// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.2 EVENT_REGISTER refuses a bad entry, reserved flags, and a PE that is not there
// vcpus: 1
// mutation: knob reserved_flags_error=SUCCESS

#include "conformance.inc"

    .globl  guest
guest:
    bind    SPI, x19
    answers INVALID, EVENT_REGISTER, 0, 0x40080002, 0, 0, 0
    answers INVALID, EVENT_REGISTER, 0, 0x1000, 0, 4, 0
    answers INVALID, EVENT_REGISTER, 0, 0x1000, 0, 0x8000000000000000, 0
    answers INVALID, EVENT_REGISTER, x19, 0x1000, 0, 4, 0
    answers INVALID, EVENT_REGISTER, x19, 0x1000, 0, RM_PE, NOBODY
    answers UNREGISTERED, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19

    // Nobody looks at the affinity of RM_ANY, and at the routing of a private event.
    register x19, 0x1000, 0, RM_ANY, NOBODY
    register 0, 0x1000, 0, RM_PE, NOBODY
    pass
