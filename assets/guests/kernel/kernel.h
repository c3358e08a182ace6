/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's structures, and what its parts offer each other.
 *
 * Two rules keep it small. Within the kernel interrupts are masked, but for one instruction of the
 * idle loop: so nothing happens between two lines of C, except that an SDEI event may come. And a
 * thread, a queue, a table of async page fault belongs to one CPU for life and is touched by that
 * CPU alone: so nothing has to be locked but the console.
 */

#ifndef KERNEL_H
#define KERNEL_H

#include "user.h"

/* -- structures */

/* Registers of an interrupted thread (layout.h). */
struct frame {
    u64 x[31];
    u64 sp, pc, pstate;
};

enum { RUNNABLE, SLEEPING, DEAD };

struct thread {
    u64 sp;                     /* 0x00  within the kernel, while it does not run */
    u64 id;
    u64 kind;
    u64 state;
    s64 vruntime;               /* ns on the CPU, corrected for long sleeps (sched.c) */
    u64 arrived;                /* at the barrier (window.c) */
    struct apf_entry *apf;      /* not to go to EL0 until its page is there (apf.c) */
    struct thread *next;        /* in the queue in which it waits */
    struct thread *peer;        /* the next one of the same CPU */
};

/* Threads that wait for the same thing, in the order in which they came. */
struct queue {
    struct thread *first;
};

struct mutex {
    struct thread *owner;
    struct queue waiters;
};

/* What async page fault shares with the host, one for each CPU. The host writes the token, then the
 * reason; we clear the token, then the reason; while either is not zero it sends no other.
 *
 *  offset */
struct apf_block {
    volatile u32 reason;        /* 0x00  1: a page is not present, 2: a page is ready */
    volatile u32 token;         /* 0x04  which one; all ones: all of them */
    volatile u32 other_token;   /* 0x08  of page-not-present, where the host has two mailboxes */
    u32 pad[13];                /* 0x0c  */
    u32 enabled;                /* 0x40  ours */
} __attribute__((aligned(64)));

#define APF_ENTRIES 128         /* twice what a host has in flight for a CPU */

/* A page that a thread waits for. */
struct apf_entry {
    u64 used;
    u64 token;
    struct thread *thread;      /* none: the page was ready before we heard of its absence */
    struct queue queue;
};

/* How often what happened on a CPU, 8 bytes each. */
struct counters {
    u64 not_present;            /* 0x00  notifications that a page is missing */
    u64 sleeps;                 /* 0x08  of threads, for a page */
    u64 ready_before_sleep;     /* 0x10  it was there before the thread slept */
    u64 table_full;             /* 0x18  not slept: no entry was free, or the thread had one */
    u64 unknown;                /* 0x20  page-ready for a token that nobody waits for */
    u64 wake_alls;              /* 0x28  */
    u64 unexpected;             /* 0x30  notifications that the mailbox did not bear out */
    u64 switches;               /* 0x38  from one thread to another */
};                              /* 0x40  */

struct cpu {
    u64 boot_stack;             /* 0x00  for assembly (layout.h) */
    u64 sdei_stack;             /* 0x08  */
    u64 number;
    u64 mpidr;
    struct thread *current;
    struct thread *idle;
    struct thread *threads;     /* all of its threads but the idle one, linked by `peer` */
    u64 need_resched;           /* somebody else should run: look before going to EL0 */
    u64 clock;                  /* when the time of `current` was last booked, ns */
    u64 picked;                 /* when `current` got the CPU */
    s64 min_vruntime;
    u64 next_tick;
    struct queue barrier;
    struct mutex mutex;
    u64 apf_interrupt;
    struct apf_entry apf[APF_ENTRIES];
};

/* Everything that was measured, for the console and for whoever reads memory.
 *
 *  offset */
struct results {
    u64 phase;                  /* 0x00  0: before, 1: in, 2: after the window */
    u64 start, end;             /* 0x08, 0x10  of the window, ns by the guest's clock */
    u64 apf_function;           /* 0x18  the hypercall of async page fault, 0: not offered */
    u64 apf_event;              /* 0x20  SDEI event of page-not-present, 0: none */
    u64 apf_cpus;               /* 0x28  bit n: CPU n has enabled it */
    u64 errors;                 /* 0x30  sum over all threads */
    u64 stopped;                /* 0x38  CPUs that stand still */
    struct counters cpu[MAX_CPUS];  /* 0x40  */
};

extern struct cpu cpus[MAX_CPUS];
extern struct results results;
extern u64 cpu_count, thread_count;

/* This CPU's own structure. */
static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    asm("mrs %0, tpidr_el1" : "=r"(cpu));
    return cpu;
}

static inline struct counters *counters(void)
{
    return &results.cpu[this_cpu()->number];
}

/* Add to a number that all CPUs share; returns the sum. */
static inline u64 atomic_add(u64 *number, u64 value)
{
    u64 sum, failed;
    do {
        asm volatile("ldaxr %0, [%2]\n\tadd %0, %0, %3\n\tstlxr %w1, %0, [%2]"
                     : "=&r"(sum), "=&r"(failed) : "r"(number), "r"(value) : "memory");
    } while (failed & 1);
    return sum;
}

/* -- what there is (devicetree.c, options.c) */

struct platform {
    const char *bootargs;
    u64 gic;                    /* version */
    u64 ram_end;
    u64 cpus;
    u64 mpidr[MAX_CPUS];
};

extern struct platform platform;
void read_device_tree(const void *blob);
void read_options(const char *line);

/* -- the console (console.c) */

void print(const char *format, ...);    /* %s, %c, %u: decimal, %x: hexadecimal (64 bits) */
void panic(const char *reason, ...) __attribute__((noreturn));

/* -- calls to the hypervisor (smccc.c) */

struct answer {
    u64 x[4];
};

#define PSCI_CPU_OFF            0x84000002
#define PSCI_CPU_ON             0xc4000003
#define PSCI_SYSTEM_OFF         0x84000008
#define SDEI_EVENT_REGISTER     0xc4000021
#define SDEI_EVENT_ENABLE       0xc4000022
#define SDEI_EVENT_DISABLE      0xc4000023
#define SDEI_EVENT_UNREGISTER   0xc4000027
#define SDEI_PE_UNMASK          0xc400002c

struct answer hypercall(u64 function, u64 x1, u64 x2, u64 x3);
s64 call(u64 function, u64 x1, u64 x2, u64 x3);     /* the same, x0 only */
void power_off(void) __attribute__((noreturn));

/* -- memory (mmu.c) */

void build_tables(void);

/* -- interrupts and time (gic.c, timer.c) */

#define TIMER_INTERRUPT 27

void start_distributor(void);
void start_gic(struct cpu *cpu);
void enable_interrupt(struct cpu *cpu, u64 number, u64 enable);
u64 take_interrupt(void);
void end_interrupt(u64 number);
void send_sgi(struct cpu *target, u64 number);
void start_timer(struct cpu *cpu);
void start_tick(struct cpu *cpu);
void tick(struct cpu *cpu);

/* -- what assembly calls: main.c, trap.c, sched.c, user.c */

void build(const void *device_tree);
void start_all(struct cpu *cpu) __attribute__((noreturn));
void start_cpu(struct cpu *cpu) __attribute__((noreturn));
void interrupts(void);
void exception(struct frame *frame);
void panic_at(struct frame *frame) __attribute__((noreturn));
void return_to_user(void);

/* -- threads (sched.c) */

struct thread *new_thread(struct cpu *cpu, u64 kind, u64 number);
void schedule(void);
void book_time(struct cpu *cpu);
void check_slice(struct cpu *cpu);
void sleep_on(struct queue *queue);
struct thread *wake_first(struct queue *queue);
void wait_on(struct queue *queue);
struct thread *let_go(struct queue *queue);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
void exit_thread(void) __attribute__((noreturn));
void idle(void) __attribute__((noreturn));
void switch_context(struct thread *from, struct thread *to);
void wait_for_interrupt(void);

/* -- async page fault (apf.c) */

void apf_discover(void);
void apf_start(struct cpu *cpu);
void apf_stop(struct cpu *cpu);
u64 apf_not_present(u64 event, struct cpu *cpu, u64 pc, u64 pstate);
void apf_interrupt(struct cpu *cpu);
void apf_wait(struct thread *thread);

/* -- the measured window (window.c) */

void prepare_window(void);
void arrive(struct thread *thread);
void finish(struct thread *thread);
void begin_window(void);
void open_barrier(struct cpu *cpu);
void end_window(void) __attribute__((noreturn));
void stand_still(struct cpu *cpu) __attribute__((noreturn));

/* -- probes (vectors.S) */

void probe_thread(u64 id, u64 cpu, u64 kind);
void probe_switch(u64 from, u64 to);
void probe_sleep(u64 thread, u64 token);
void probe_wake(u64 thread, u64 token);
void probe_wait(u64 thread);
void probe_go(u64 thread);
void probe_start(void);
void probe_end(void);

#endif
