// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.10 EVENT_GET_INFO: type, signalled, priority; routing only of a registered shared event
// vcpus: 1
// mutation: knob signaled_per_event=off
//
// EV_SIGNALED is 0 where software can signal the event: of all events, 0 alone.

#include "conformance.inc"

    .globl  guest
guest:
    answers 0, EVENT_GET_INFO, 0, TYPE
    answers 0, EVENT_GET_INFO, 0, SIGNALED
    answers 0, EVENT_GET_INFO, 0, PRIORITY
    answers INVALID, EVENT_GET_INFO, 0, ROUTING_MODE
    answers INVALID, EVENT_GET_INFO, 0, ROUTING_AFF
    answers INVALID, EVENT_GET_INFO, 0, 5
    answers INVALID, EVENT_GET_INFO, UNKNOWN, TYPE

    bind    TIMER_PPI, x19
    answers 0, EVENT_GET_INFO, x19, TYPE
    answers 1, EVENT_GET_INFO, x19, SIGNALED
    answers 0, EVENT_GET_INFO, x19, PRIORITY
    answers INVALID, EVENT_GET_INFO, x19, ROUTING_MODE

    critical_event x20, x21
    answers 1, EVENT_GET_INFO, x20, TYPE
    answers 1, EVENT_GET_INFO, x20, SIGNALED
    answers 1, EVENT_GET_INFO, x20, PRIORITY

    bind    SPI, x19
    answers 1, EVENT_GET_INFO, x19, TYPE
    answers 1, EVENT_GET_INFO, x19, SIGNALED
    answers 0, EVENT_GET_INFO, x19, PRIORITY
    answers DENIED, EVENT_GET_INFO, x19, ROUTING_MODE
    answers DENIED, EVENT_GET_INFO, x19, ROUTING_AFF
    register x19, 0x1000
    answers RM_ANY, EVENT_GET_INFO, x19, ROUTING_MODE
    answers INVALID, EVENT_GET_INFO, x19, ROUTING_AFF
    affinity x22
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_PE, x22
    answers RM_PE, EVENT_GET_INFO, x19, ROUTING_MODE
    answers x22, EVENT_GET_INFO, x19, ROUTING_AFF
    answers SUCCESS, EVENT_UNREGISTER, x19
    answers DENIED, EVENT_GET_INFO, x19, ROUTING_MODE
    pass
