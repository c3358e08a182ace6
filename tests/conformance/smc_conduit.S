// SPDX-License-Identifier: GPL-2.0-or-later
//
// 3.4 SMC is as good as HVC
// vcpus: 1
// mutation: knob smc_conduit=off

#include "conformance.inc"

    variable handled

    .macro  smc_0
    .inst   0xd4000003                  // SMC #0: some assemblers keep it for EL3's own code
    .endm

    // by_smc value, function, x1, ..., x5
    .macro  by_smc value, function, a1, a2, a3, a4, a5
    arguments CALL_\function, \a1, \a2, \a3, \a4, \a5
    smc_0
    expect  x0, \value, "\function by SMC"
    .endm

    .globl  guest
guest:
    by_smc  INVALID, EVENT_STATUS, UNKNOWN
    by_smc  SUCCESS, EVENT_REGISTER, 0, handler, 0, 0, 0
    by_smc  SUCCESS, EVENT_ENABLE, 0
    by_smc  SUCCESS, PE_UNMASK
    affinity x6
    by_smc  SUCCESS, EVENT_SIGNAL, 0, x6
    holds   handled, 1, "the handler has run"
    signal_self                         // and the other way, with the same handler
    holds   handled, 2, "the handler has run again"
    arguments 0xc400003e
    smc_0
    expect  x0, NOT_SUPPORTED, "no call, by SMC"
    pass

handler:
    by_smc  ENABLED_RUNNING, EVENT_STATUS, 0
    count   handled
    arguments SDEI_EVENT_COMPLETE, SDEI_EV_HANDLED
    smc_0
    fail    "EVENT_COMPLETE returned"
