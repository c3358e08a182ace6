// SPDX-License-Identifier: GPL-2.0-or-later
//
// The measured window. It begins when every thread has arrived at the barrier, those of memory
// having populated the heap; it ends when all that have an end have come to it, or the time is up.
// CPU 0 begins and ends it, and tells the others by SGI.

#include "kernel.h"

struct results results;
static u64 threads_to_come;             // to the barrier
static u64 threads_to_end;              // of those that have an end: all but the computing ones

static int has_end(u64 id)
{
    return work[id].kind == MEMORY || work[id].kind == SERVER;
}

// prepare_window: once all threads are made. Each that has an end gets a part of the heap.
void prepare_window(void)
{
    u64 parts = 0, part = 0;
    for (u64 id = 0; id < thread_count; id++)
        parts += has_end(id);
    for (u64 id = 0; id < thread_count; id++)
        if (has_end(id)) {
            work[id].first = options.pages * part / parts;
            work[id].pages = options.pages * ++part / parts - work[id].first;
        }
    threads_to_end = parts;
    threads_to_come = thread_count - cpu_count;
    if (!threads_to_come)
        panic("no threads: give m=, c= or serve=");
}

void arrive(struct thread *thread)
{
    if (thread->arrived)
        return;
    thread->arrived = 1;
    if (atomic_add(&threads_to_come, -1) == 0)
        send_sgi(&cpus[0], SGI_BEGIN);
}

void finish(struct thread *thread)
{
    if (has_end(thread->id) && atomic_add(&threads_to_end, -1) == 0)
        send_sgi(&cpus[0], SGI_END);
}

// open_barrier: on each CPU. Everybody is asleep; they all begin at the same line.
void open_barrier(struct cpu *cpu)
{
    book_time(cpu);
    work[cpu->idle->id].runtime = 0;
    for (struct thread *thread = cpu->threads; thread; thread = thread->peer)
        thread->vruntime = work[thread->id].runtime = 0;
    cpu->min_vruntime = 0;
    while (let_go(&cpu->barrier))
        ;
    start_tick(cpu);
}

// begin_window, end_window: on CPU 0.
void begin_window(void)
{
    for (u64 n = 1; n < cpu_count; n++)
        send_sgi(&cpus[n], SGI_GO);
    open_barrier(&cpus[0]);
    results.phase = 1;
    results.start = cpus[0].clock;
    probe_start();
}

static void print_thread(struct work *thread)
{
    static const char *const kinds[] = { "idle", "M", "C", "S" };
    print("%s%u: cpu %u, done %u, runtime %u ns, sleeps %u, errors %u\n",
          kinds[thread->kind], (u64)thread->number, (u64)thread->cpu, thread->done,
          thread->runtime, thread->sleeps, thread->errors);
}

static void print_latencies(void)
{
    for (u64 bit = 0; bit < 32; bit++) {
        u64 sum = 0;
        for (u64 id = 0; id < thread_count; id++)
            sum += work[id].latency[bit];
        if (sum)
            print("requests from %u ns: %u\n", 1ul << bit, sum);
    }
}

static void print_results(void)
{
    for (u64 id = 0; id < thread_count; id++) {
        print_thread(&work[id]);
        results.errors += work[id].errors;
    }
    print_latencies();
    for (u64 n = 0; n < cpu_count; n++) {
        struct counters *c = &results.cpu[n];
        print("cpu %u: not-present %u, sleeps %u, ready-before-sleep %u, table-full %u, unknown %u,"
              " wake-all %u, unexpected %u, switches %u\n", n, c->not_present, c->sleeps,
              c->ready_before_sleep, c->table_full, c->unknown, c->wake_alls, c->unexpected,
              c->switches);
    }
    print("window: %u ns, errors %u\n", results.end - results.start, results.errors);
}

void end_window(void)
{
    probe_end();
    book_time(&cpus[0]);
    results.end = cpus[0].clock;
    results.phase = 2;
    for (u64 n = 1; n < cpu_count; n++)
        send_sgi(&cpus[n], SGI_STOP);
    apf_stop(&cpus[0]);
    while (*(volatile u64 *)&results.stopped < cpu_count - 1)
        ;
    print_results();
    power_off();
}

// stand_still: on all other CPUs, at the end.
void stand_still(struct cpu *cpu)
{
    book_time(cpu);
    apf_stop(cpu);
    atomic_add(&results.stopped, 1);
    call(PSCI_CPU_OFF, 0, 0, 0);
    panic("a CPU does not go off");
}
