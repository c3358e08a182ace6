// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.11 EVENT_ROUTING_SET is for shared events that are registered and neither enabled nor running
// vcpus: 2
// mutation: table ROUTING_SET ENABLED SUCCESS ENABLED

#include "conformance.inc"

    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    answers DENIED, EVENT_ROUTING_SET, x19, RM_ANY, 0
    register x19, handler
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_ANY, NOBODY
    answers INVALID, EVENT_ROUTING_SET, x19, RM_PE, NOBODY
    answers INVALID, EVENT_ROUTING_SET, x19, 2, 0
    answers INVALID, EVENT_ROUTING_SET, x19, 0x100000000, 0
    answers INVALID, EVENT_ROUTING_SET, 0, RM_ANY, 0
    answers INVALID, EVENT_ROUTING_SET, UNKNOWN, RM_ANY, 0
    answers RM_ANY, EVENT_GET_INFO, x19, ROUTING_MODE
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_PE, 1
    answers 1, EVENT_GET_INFO, x19, ROUTING_AFF
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_PE, 0
    answers 0, EVENT_GET_INFO, x19, ROUTING_AFF

    answers SUCCESS, EVENT_ENABLE, x19
    answers DENIED, EVENT_ROUTING_SET, x19, RM_ANY, 0
    answers SUCCESS, PE_UNMASK
    raise   SPI
    await   handled, 1, "the handler has run"
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_ANY, 0
    pass

handler:
    quiesce
    answers DENIED, EVENT_ROUTING_SET, x19, RM_ANY, 0
    answers SUCCESS, EVENT_DISABLE, x19
    answers DENIED, EVENT_ROUTING_SET, x19, RM_ANY, 0
    count   handled
    complete
