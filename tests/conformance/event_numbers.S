// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1 An event's number has 32 bits: bits 63:32 of the register do not count
// vcpus: 1
// mutation: knob full_width_arguments=on

#include "conformance.inc"

    .globl  guest
guest:
    register 0xffffffff00000000, 0x1000
    answers REGISTERED, EVENT_STATUS, 0
    answers SUCCESS, EVENT_ENABLE, 0x100000000
    answers ENABLED, EVENT_STATUS, 0x8000000000000000
    answers SUCCESS, EVENT_DISABLE, 0x100000000
    answers SUCCESS, EVENT_UNREGISTER, 0x100000000
    answers 0, EVENT_GET_INFO, 0x100000000, 0x100000000 + TYPE

    // Numbers of no event: a standard one, a negative one, and one that only ACPI uses.
    .irp    event, UNKNOWN, 0xffffffff, 0x80000000
    answers INVALID, EVENT_REGISTER, \event, 0x1000, 0, 0, 0
    answers INVALID, EVENT_ENABLE, \event
    answers INVALID, EVENT_DISABLE, \event
    answers INVALID, EVENT_UNREGISTER, \event
    answers INVALID, EVENT_STATUS, \event
    answers INVALID, EVENT_GET_INFO, \event, TYPE
    answers INVALID, EVENT_ROUTING_SET, \event, RM_ANY, 0
    answers INVALID, INTERRUPT_RELEASE, \event
    .endr
    pass
