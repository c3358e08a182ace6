// SPDX-License-Identifier: GPL-2.0-or-later
//
// 5.1.14 Binding again gives the same number, on every PE and in every state
// vcpus: 2
// mutation: knob private_bind_slots=0

#include "conformance.inc"

    variable ppi_event
    variable step
    variable handled

    .globl  guest
guest:
    bind    TIMER_PPI, x19
    bind    SPI, x20
    store   x19, ppi_event
    cmp     x19, #0
    cset    x0, ne
    expect  x0, 1, "an event number other than 0"
    cmp     x19, x20
    cset    x0, ne
    expect  x0, 1, "different numbers for different interrupts"
    answers x19, INTERRUPT_BIND, TIMER_PPI
    answers x20, INTERRUPT_BIND, SPI
    ready   x19, handler
    answers x19, INTERRUPT_BIND, TIMER_PPI
    start   1, other
    await   step, 1, "the other PE has bound it too"
    answers SUCCESS, PE_UNMASK
    timer_on
    await   handled, 1, "the handler has run"
    answers x19, INTERRUPT_BIND, TIMER_PPI
    pass

other:
    bind    TIMER_PPI, x19
    load    x20, ppi_event
    expect  x19, x20, "the number on the other PE"
    store   1, step
    wait_here

handler:
    answers x19, INTERRUPT_BIND, TIMER_PPI
    timer_off
    count   handled
    complete
