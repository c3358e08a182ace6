// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.11 RM_PE: the event waits for its own PE, though others could take it
// vcpus: 2
// mutation: constant sdeiviz.sdei.delivery.AFFINITY 0

#include "conformance.inc"

    variable step
    variable handled

    .globl  guest
guest:
    bind    SPI, x19
    register x19, handler, 0, RM_PE, 1
    answers SUCCESS, EVENT_ENABLE, x19
    answers SUCCESS, PE_UNMASK
    raise   SPI
    linger
    holds   handled, 0, "not while its PE is off"
    call    PSCI_AFFINITY_INFO, 1, 0
    expect  x0, 1, "the event does not switch its PE on"
    start   1, other
    await   step, 1, "the other PE is there"
    linger
    holds   handled, 0, "not while its PE is masked"
    store   2, step
    await   handled, 1, "once its PE has unmasked"

    // Back to ourselves.
    answers DENIED, EVENT_ROUTING_SET, x19, RM_PE, 0
    answers SUCCESS, EVENT_DISABLE, x19
    answers SUCCESS, EVENT_ROUTING_SET, x19, RM_PE, 0
    answers SUCCESS, EVENT_ENABLE, x19
    raise   SPI
    await   handled, 2, "where EVENT_ROUTING_SET sent it"
    pass

other:
    answers 0, PE_MASK
    store   1, step
    await   step, 2, "go"
    answers SUCCESS, PE_UNMASK
    wait_here

handler:
    quiesce
    affinity x9
    load    x10, handled
    eor     x9, x9, #1                  // PE 1 at first, then PE 0
    expect  x9, x10, "which PE"
    count   handled
    complete
