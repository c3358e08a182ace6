// SPDX-License-Identifier: GPL-2.0-or-later
//
// Time. The virtual counter goes on whatever the CPU does or waits for; the virtual timer interrupts
// when it reaches a value, here once a tick.

#include "kernel.h"

static void set_timer(u64 ns)
{
    asm volatile("msr cntv_cval_el0, %0; isb" : : "r"(ns / ns_per_tick));
}

// start_tick: count ticks from when time was last booked.
void start_tick(struct cpu *cpu)
{
    cpu->next_tick = cpu->clock + options.tick;
    set_timer(cpu->next_tick);
}

void start_timer(struct cpu *cpu)
{
    u64 frequency;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    ns_per_tick = 1000000000 / frequency;
    if (ns_per_tick * frequency != 1000000000)
        panic("the clock's ticks are no whole nanoseconds");

    cpu->clock = clock_ns();
    start_tick(cpu);
    asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"(1ul));
    enable_interrupt(cpu, TIMER_INTERRUPT, 1);
}

// tick: the timer's interrupt. Ticks that passed while this CPU could not take it are left out.
void tick(struct cpu *cpu)
{
    u64 now = clock_ns();
    while (cpu->next_tick <= now)
        cpu->next_tick += options.tick;
    set_timer(cpu->next_tick);
    check_slice(cpu);

    if (cpu->number == 0 && results.phase == 1 && options.time
            && now - results.start >= options.time * 1000000)
        end_window();
}
