// SPDX-License-Identifier: GPL-2.0-or-later
//
// What exceptions lead to, once vectors.S has saved the registers: interrupts, system calls, and
// what should not happen.

#include "kernel.h"

#define CLASS_SVC   0x15                // ESR_EL1, bits 31:26

// interrupts: take all that are pending. The interrupt by which a host may tell that a page is
// missing is about the thread that runs now: that is why none is left for after a switch.
void interrupts(void)
{
    struct cpu *cpu = this_cpu();
    for (;;) {
        u64 taken = take_interrupt(), number = taken & 0x3ff;
        if (number >= 1020)
            return;
        if (number == TIMER_INTERRUPT)
            tick(cpu);
        else if (number == cpu->apf_interrupt)
            apf_interrupt(cpu);
        else if (number == SGI_BEGIN)
            begin_window();
        else if (number == SGI_GO)
            open_barrier(cpu);
        else if (number == SGI_END)
            end_window();
        else if (number == SGI_STOP)
            stand_still(cpu);
        // SGI_RESCHEDULE: to have come here is enough.
        end_interrupt(taken);
    }
}

static u64 system_call(u64 number, u64 first, u64 second)
{
    struct thread *thread = this_cpu()->current;
    switch (number) {
    case SYS_EXIT:
        exit_thread();
    case SYS_BARRIER:
        arrive(thread);
        wait_on(&this_cpu()->barrier);
        return 0;
    case SYS_TOUCH:
        // The one place where the kernel touches the heap. If the page is missing, this CPU waits.
        return first < options.pages ? touch_page(first, second) : ~0ul;
    case SYS_LOCK:
        mutex_lock(&this_cpu()->mutex);
        return 0;
    case SYS_UNLOCK:
        mutex_unlock(&this_cpu()->mutex);
        return 0;
    default:
        return ~0ul;
    }
}

// exception: a synchronous one, from EL0.
void exception(struct frame *frame)
{
    u64 syndrome, address;
    asm volatile("mrs %0, esr_el1" : "=r"(syndrome));
    asm volatile("mrs %0, far_el1" : "=r"(address));
    if (syndrome >> 26 == CLASS_SVC) {
        frame->x[0] = system_call(frame->x[8], frame->x[0], frame->x[1]);
        return;
    }
    print("thread %u killed: ESR 0x%x PC 0x%x address 0x%x\n",
          this_cpu()->current->id, syndrome, frame->pc, address);
    exit_thread();
}

// panic_at: an exception that nobody expected; the kernel itself is wrong.
void panic_at(struct frame *frame)
{
    u64 syndrome, address;
    asm volatile("mrs %0, esr_el1" : "=r"(syndrome));
    asm volatile("mrs %0, far_el1" : "=r"(address));
    panic("CPU %u took an exception in the kernel: ESR 0x%x PC 0x%x address 0x%x",
          this_cpu()->number, syndrome, frame->pc, address);
}
