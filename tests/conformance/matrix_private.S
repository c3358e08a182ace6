// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.1 Every call in every state of a private event
// vcpus: 1
// mutation: table UNREGISTER UNREGISTER_PENDING DENIED UNREGISTER_PENDING
//
// U unregistered, R registered, E enabled, ER enabled and running, RR registered and running, UP
// unregister pending. A cell is the answer and what EVENT_STATUS says afterwards. The event is that
// of a bound PPI, so it knows all the calls.

#include "conformance.inc"

#define INTID   TIMER_PPI

    .macro  trigger
    timer_on
    .endm

    .macro  quiet
    timer_off
    .endm

#include "matrix.inc"

    .data
    .balign 8
table:
    //      U       R       E       ER      RR      UP
    row     EVENT_REGISTER, EVENT, handler
    cells   0, 1,   -3, 1,  -3, 3,  -3, 7,  -3, 5,  -3, 4
    row     EVENT_ENABLE, EVENT
    cells   -3, 0,  0, 3,   0, 3,   0, 7,   0, 7,   -3, 4
    row     EVENT_DISABLE, EVENT
    cells   -3, 0,  0, 1,   0, 1,   0, 5,   0, 5,   -3, 4
    row     EVENT_UNREGISTER, EVENT
    cells   -3, 0,  0, 0,   0, 0,   -5, 4,  -5, 4,  -5, 4
    row     EVENT_STATUS, EVENT
    cells   0, 0,   1, 1,   3, 3,   7, 7,   5, 5,   4, 4
    row     EVENT_GET_INFO, EVENT, TYPE
    cells   0, 0,   0, 1,   0, 3,   0, 7,   0, 5,   0, 4
    row     EVENT_GET_INFO, EVENT, SIGNALED
    cells   1, 0,   1, 1,   1, 3,   1, 7,   1, 5,   1, 4
    row     EVENT_GET_INFO, EVENT, PRIORITY
    cells   0, 0,   0, 1,   0, 3,   0, 7,   0, 5,   0, 4
    row     EVENT_GET_INFO, EVENT, ROUTING_MODE
    cells   -2, 0,  -2, 1,  -2, 3,  -2, 7,  -2, 5,  -2, 4
    row     EVENT_GET_INFO, EVENT, ROUTING_AFF
    cells   -2, 0,  -2, 1,  -2, 3,  -2, 7,  -2, 5,  -2, 4
    row     EVENT_ROUTING_SET, EVENT, RM_ANY
    cells   -2, 0,  -2, 1,  -2, 3,  -2, 7,  -2, 5,  -2, 4
    row     INTERRUPT_BIND, INTID
    cells   EVENT, 0,  EVENT, 1,  EVENT, 3,  EVENT, 7,  EVENT, 5,  EVENT, 4
    row     INTERRUPT_RELEASE, EVENT
    cells   0, -2,  -3, 1,  -3, 3,  -3, 7,  -3, 5,  -3, 4
    row     EVENT_SIGNAL, 0, 0
    cells   0, 0,   0, 1,   0, 3,   0, 7,   0, 5,   0, 4
    row     EVENT_SIGNAL, EVENT, 0
    cells   -2, 0,  -2, 1,  -2, 3,  -2, 7,  -2, 5,  -2, 4
    row     EVENT_CONTEXT, 6
    cells   -3, 0,  -3, 1,  -3, 3,  IN_X6, 7,  IN_X6, 5,  IN_X6, 4
    row     EVENT_COMPLETE, 0
    cells   -3, 0,  -3, 1,  -3, 3,  BACK, 3,  BACK, 1,  BACK, 0
    row     EVENT_COMPLETE_AND_RESUME, resumed
    cells   -3, 0,  -3, 1,  -3, 3,  BACK, 3,  BACK, 1,  BACK, 0
    row     PE_UNMASK
    cells   0, 0,   0, 1,   0, 3,   0, 7,   0, 5,   0, 4
    row     PRIVATE_RESET
    cells   0, 0,   0, 0,   0, 0,   -3, 4,  -3, 4,  -3, 4
    // It does not touch a private event, but wants to release its binding.
    row     SHARED_RESET
    cells   0, -2,  -3, 1,  -3, 3,  -3, 7,  -3, 5,  -3, 4
    .quad   0
