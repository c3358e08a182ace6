// SPDX-License-Identifier: GPL-2.0-or-later
//
// The story in order: the first CPU finds out what there is and builds all of it, wakes the other
// CPUs, and then each becomes its own idle thread. What happens from there on happens in threads
// (user.c), or because an interrupt or an SDEI event comes.

#include "kernel.h"

// Assembly knows these by number (layout.h).
_Static_assert(__builtin_offsetof(struct frame, sp) == FRAME_SP, "");
_Static_assert(__builtin_offsetof(struct frame, pc) == FRAME_PC, "");
_Static_assert(__builtin_offsetof(struct frame, pstate) == FRAME_PSTATE, "");
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "");
_Static_assert(__builtin_offsetof(struct thread, sp) == THREAD_SP, "");
_Static_assert(__builtin_offsetof(struct cpu, boot_stack) == CPU_BOOT_STACK, "");
_Static_assert(__builtin_offsetof(struct cpu, sdei_stack) == CPU_SDEI_STACK, "");

// The host knows these.
_Static_assert(__builtin_offsetof(struct apf_block, enabled) == 0x40, "");
_Static_assert(__builtin_offsetof(struct work, latency) == 0x40, "");
_Static_assert(sizeof(struct work) == 0x100, "");
_Static_assert(__builtin_offsetof(struct results, cpu) == 0x40, "");
_Static_assert(sizeof(struct counters) == 0x40, "");

struct cpu cpus[MAX_CPUS];
u64 cpu_count, thread_count;
static char sdei_stacks[MAX_CPUS][SDEI_STACK] __attribute__((aligned(16)));

extern char kernel_stacks[MAX_THREADS][KERNEL_STACK];

// build: on the first CPU, with the MMU off. Memory is as slow as devices are then, and whatever is
// written goes straight to RAM.
void build(const void *device_tree)
{
    read_device_tree(device_tree);
    read_options(platform.bootargs);
    build_tables();

    // Thread n is the idle thread of CPU n: it is the thread that runs on the stack that the CPU
    // starts on.
    for (u64 n = 0; n < cpu_count; n++) {
        struct cpu *cpu = &cpus[n];
        cpu->number = n;
        cpu->mpidr = platform.mpidr[n];
        cpu->boot_stack = (u64)kernel_stacks[n + 1];
        cpu->sdei_stack = (u64)sdei_stacks[n + 1];
        cpu->idle = cpu->current = new_thread(cpu, IDLE, n);
    }
}

// start_cpu: on each CPU, with the MMU on.
void start_cpu(struct cpu *cpu)
{
    start_gic(cpu);
    apf_start(cpu);
    start_timer(cpu);
    idle();
}

// start_all: on the first CPU.
void start_all(struct cpu *cpu)
{
    extern char secondary_start[];

    print("kernel: %u CPUs, GICv%u, %u pages of heap\n", cpu_count, platform.gic, options.pages);
    for (u64 n = 0; n < cpu_count; n++) {
        for (u64 i = 0; i < options.m; i++)
            new_thread(&cpus[n], MEMORY, n * options.m + i);
        for (u64 i = 0; i < options.c; i++)
            new_thread(&cpus[n], COMPUTE, n * options.c + i);
        for (u64 i = 0; i < options.serve; i++)
            new_thread(&cpus[n], SERVER, n * options.serve + i);
    }
    prepare_window();
    start_distributor();
    apf_discover();
    for (u64 n = 1; n < cpu_count; n++)
        if (call(PSCI_CPU_ON, cpus[n].mpidr, (u64)secondary_start, (u64)&cpus[n]))
            panic("a CPU does not start");
    start_cpu(cpu);
}
