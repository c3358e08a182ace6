// SPDX-License-Identifier: GPL-2.0-or-later
//
// Threads, and a fair scheduler for each CPU.
//
// Fair means: of the threads that want to run, that one does which has had the least. What a thread
// has had is its virtual runtime: nanoseconds of the clock from when it got the CPU until it lost
// it. The clock goes on while the CPU stands still because the host fetches a page, so that is
// billed to the thread that touched the page. A thread that has slept long must not catch up on all
// of it: when it wakes, it is taken to be at most half a slice behind the others.

#include "kernel.h"

char kernel_stacks[MAX_THREADS][KERNEL_STACK] __attribute__((aligned(16)));
static char user_stacks[MAX_THREADS][USER_STACK] USER_DATA __attribute__((aligned(16)));
static struct thread threads[MAX_THREADS];

struct context {
    u64 x19_to_x29[11], x30;            // what switch_context takes off the stack
};

extern char to_user[];

// Let a thread have on its stack what it would have, had it been interrupted before its first
// instruction, and then been switched away from.
static void prepare_stack(struct thread *thread)
{
    struct frame *frame = (struct frame *)kernel_stacks[thread->id + 1] - 1;
    struct context *context = (struct context *)frame - 1;
    frame->x[0] = (u64)&work[thread->id];
    frame->sp = (u64)user_stacks[thread->id + 1];
    frame->pc = (u64)user_main;
    frame->pstate = 0;                  // EL0, nothing masked
    context->x30 = (u64)to_user;
    thread->sp = (u64)context;
}

// new_thread: make a thread for a CPU. An idle thread is what the CPU does already, on that stack.
struct thread *new_thread(struct cpu *cpu, u64 kind, u64 number)
{
    u64 id = thread_count++;
    struct thread *thread = &threads[id], **last = &cpu->threads;
    thread->id = work[id].id = id;
    thread->kind = work[id].kind = kind;
    work[id].cpu = cpu->number;
    work[id].number = number;
    if (kind != IDLE) {
        prepare_stack(thread);
        while (*last)
            last = &(*last)->peer;
        *last = thread;
        cpu->need_resched = 1;
    }
    probe_thread(id, cpu->number, kind);
    return thread;
}

// Of the threads that want to run, the one that has had the least; none if all sleep.
static struct thread *hungriest(struct cpu *cpu)
{
    struct thread *best = 0;
    for (struct thread *thread = cpu->threads; thread; thread = thread->peer)
        if (thread->state == RUNNABLE && (!best || thread->vruntime < best->vruntime))
            best = thread;
    return best;
}

// book_time: bill the running thread up to now. The least that any thread has had never falls.
void book_time(struct cpu *cpu)
{
    u64 now = clock_ns(), ran = now - cpu->clock;
    cpu->clock = now;
    cpu->current->vruntime += ran;
    work[cpu->current->id].runtime += ran;

    struct thread *first = hungriest(cpu);
    if (first && first->vruntime > cpu->min_vruntime)
        cpu->min_vruntime = first->vruntime;
}

// schedule: give the CPU to whom it is due. Comes back when it is due to the caller again.
void schedule(void)
{
    struct cpu *cpu = this_cpu();
    struct thread *from = cpu->current;
    book_time(cpu);
    struct thread *to = hungriest(cpu);
    if (!to)
        to = cpu->idle;
    cpu->need_resched = 0;
    cpu->picked = cpu->clock;
    if (to == from)
        return;
    cpu->current = to;
    counters()->switches++;
    probe_switch(from->id, to->id);
    switch_context(from, to);
}

// check_slice: at each tick. Who has had the CPU for a slice looks whether it is due to another. A
// slice ends at the tick that is nearest to its end.
void check_slice(struct cpu *cpu)
{
    book_time(cpu);
    if (cpu->clock - cpu->picked + options.tick / 2 >= options.slice
            && cpu->current != cpu->idle)
        cpu->need_resched = 1;
}

static void wake(struct thread *thread)
{
    struct cpu *cpu = this_cpu();
    book_time(cpu);
    s64 least = cpu->min_vruntime - (s64)(options.slice / 2);
    if (thread->vruntime < least)
        thread->vruntime = least;
    thread->state = RUNNABLE;
    if (cpu->current == cpu->idle
            || cpu->current->vruntime - thread->vruntime > (s64)options.wakeup)
        cpu->need_resched = 1;
}

// return_to_user: before EL0 goes on. Whoever must wait for a page, or give way, does so here.
void return_to_user(void)
{
    struct thread *thread = this_cpu()->current;
    while (thread->apf || this_cpu()->need_resched) {
        if (thread->apf)
            apf_wait(thread);
        else
            schedule();
    }
}

// idle: what a CPU does when it has nothing to do. Its thread never sleeps and is never billed.
void idle(void)
{
    for (;;) {
        if (this_cpu()->need_resched)
            schedule();
        else
            wait_for_interrupt();
    }
}

// -- waiting

void sleep_on(struct queue *queue)
{
    struct thread *thread = this_cpu()->current, **last = &queue->first;
    while (*last)
        last = &(*last)->next;
    *last = thread;
    thread->next = 0;
    thread->state = SLEEPING;
    schedule();
}

// wake_first: wake the one that has waited longest, and return it; 0 if nobody waits.
struct thread *wake_first(struct queue *queue)
{
    struct thread *thread = queue->first;
    if (thread) {
        queue->first = thread->next;
        wake(thread);
    }
    return thread;
}

// wait_on, let_go: the same two for all but pages, whose probes tell more.
void wait_on(struct queue *queue)
{
    probe_wait(this_cpu()->current->id);
    sleep_on(queue);
}

struct thread *let_go(struct queue *queue)
{
    struct thread *thread = wake_first(queue);
    if (thread)
        probe_go(thread->id);
    return thread;
}

void mutex_lock(struct mutex *mutex)
{
    while (mutex->owner)
        wait_on(&mutex->waiters);
    mutex->owner = this_cpu()->current;
}

// mutex_unlock: whoever is woken has to look again, for the mutex is free to all until it runs.
void mutex_unlock(struct mutex *mutex)
{
    if (mutex->owner != this_cpu()->current)
        return;
    mutex->owner = 0;
    let_go(&mutex->waiters);
}

// exit_thread: the running thread ends, because it is done or because it did what it must not.
void exit_thread(void)
{
    struct cpu *cpu = this_cpu();
    mutex_unlock(&cpu->mutex);
    cpu->current->state = DEAD;
    arrive(cpu->current);
    finish(cpu->current);
    schedule();
    panic("a dead thread runs");
}
