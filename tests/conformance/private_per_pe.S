// SPDX-License-Identifier: GPL-2.0-or-later
//
// 6.1 A private event has a handler, a state and a context of its own on every PE
// vcpus: 2
// mutation: knob signal_resolves_target=off

#include "conformance.inc"

#define FIRST       0x1111
#define SECOND      0x2222

    variable step
    variable first_runs
    variable second_runs

    .globl  guest
guest:
    bind    TIMER_PPI, x19              // the same number on every PE
    ready   0, first, FIRST
    ready   x19, first, FIRST
    answers SUCCESS, PE_UNMASK
    start   1, other
    await   step, 1, "the other PE is ready"
    affinity x6
    answers SUCCESS, EVENT_SIGNAL, 0, x6
    holds   first_runs, 1, "our handler for our signal"
    holds   second_runs, 0, "and not theirs"
    answers SUCCESS, EVENT_SIGNAL, 0, 1
    await   second_runs, 1, "their handler for their signal"
    holds   first_runs, 1, "and not ours"

    // We give both up; the other PE does not notice.
    answers SUCCESS, EVENT_UNREGISTER, 0
    answers SUCCESS, EVENT_UNREGISTER, x19
    store   2, step
    await   step, 3, "the other PE looked"
    pass

other:
    answers 0, PE_MASK                  // masked, though the first PE is not
    bind    TIMER_PPI, x19
    answers UNREGISTERED, EVENT_STATUS, 0
    answers UNREGISTERED, EVENT_STATUS, x19
    answers DENIED, EVENT_ENABLE, 0
    register x19, second, SECOND
    ready   0, second, SECOND
    answers REGISTERED, EVENT_STATUS, x19
    answers SUCCESS, PE_UNMASK
    store   1, step
    await   step, 2, "the first PE has given up its events"
    answers ENABLED, EVENT_STATUS, 0
    answers REGISTERED, EVENT_STATUS, x19
    store   3, step
    wait_here

first:
    expect  x1, FIRST, "the argument of the first PE"
    affinity x9
    expect  x9, 0, "the first PE"
    count   first_runs
    complete

second:
    expect  x1, SECOND, "the argument of the other PE"
    affinity x9
    expect  x9, 1, "the other PE"
    count   second_runs
    complete
