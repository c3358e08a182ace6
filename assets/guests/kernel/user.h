/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel and its threads at EL0 share: the command line's options, each thread's record of
 * its work, the pattern on the pages, and the system calls.
 */

#ifndef USER_H
#define USER_H

#include "layout.h"

typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

#define USER_DATA __attribute__((section(".user_data")))

/* The command line, as numbers; options.c has the names, the defaults and the limits. */
struct options {
    u64 m, c, serve;                    /* threads of each kind, on each CPU */
    u64 pages;                          /* of the heap */
    u64 passes;                         /* over them; ~0: until the time is up */
    u64 random;                         /* order of the pages */
    u64 touch;                          /* words written on each page */
    u64 work;                           /* turns of an empty loop after each page */
    u64 kernel;                         /* percent of the pages that the kernel touches for us */
    u64 lock;                           /* hold a mutex over each page and each unit of work */
    u64 requests;                       /* for each server to answer; ~0: as passes */
    u64 time;                           /* ms after which all ends; 0: when the work is done */
    u64 slice, tick, wakeup;            /* of the scheduler, in ns (sched.c) */
    u64 apf, noack, lie;                /* of async page fault (apf.c) */
};

extern struct options options;
extern u64 ns_per_tick;                 /* of the clock CNTVCT_EL0 */

/* Kinds of threads. */
enum { IDLE, MEMORY, COMPUTE, SERVER };

/* One thread's work, `work[id]`. It lies in the image, so it is always there.
 *
 *  offset */
struct work {
    volatile u64 done;  /* 0x00  pages touched, units computed or requests answered in the window */
    volatile u64 errors; /* 0x08 words that were not what this thread had written, broken locks */
    u64 runtime;        /* 0x10  ns on its CPU within the window; the kernel writes this, */
    u64 sleeps;         /* 0x18  times it slept for a page, and all up to `pages` */
    u32 id;             /* 0x20  */
    u32 cpu;            /* 0x24  */
    u32 kind;           /* 0x28  */
    u32 number;         /* 0x2c  among its kind */
    u32 first, pages;   /* 0x30, 0x34  its part of the heap */
    u64 passes;         /* 0x38  finished */
    u32 latency[32];    /* 0x40  [n]: requests that took 2^n ns or more, and less than 2^(n+1) */
    u64 unused[8];      /* 0xc0  */
};                      /* 0x100 */

extern struct work work[MAX_THREADS];

void user_main(struct work *self);      /* where a thread begins */

/* System calls: number in x8, arguments in x0 and x1, answer in x0. */
enum { SYS_EXIT, SYS_BARRIER, SYS_TOUCH, SYS_LOCK, SYS_UNLOCK };

/* The word that belongs at a place of the heap after a pass: no two places, and no two passes,
 * have the same, and none is zero. */
static inline u64 pattern(u64 page, u64 word, u64 pass)
{
    return (page + 1) << 32 | word << 20 | (pass & 0xfffff);
}

/* Check what the last pass left on a page, and write what this pass is to leave. Returns how many
 * words were wrong. The pass that populates the heap, 0, finds nothing to check. */
static inline u64 touch_page(u64 page, u64 pass)
{
    volatile u64 *words = (volatile u64 *)(USER_HEAP + page * PAGE);
    u64 errors = 0;
    for (u64 word = 0; word < options.touch; word++) {
        if (pass > 0)
            errors += words[word] != pattern(page, word, pass - 1);
        words[word] = pattern(page, word, pass);
    }
    return errors;
}

static inline u64 clock_ns(void)
{
    u64 ticks;
    asm volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks * ns_per_tick;
}

#endif
