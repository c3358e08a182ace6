// SPDX-License-Identifier: GPL-2.0-or-later
//
// All that runs at EL0. Every thread begins in `user_main` with its own record in x0. It may touch
// this code, the pages of .user_data, and the heap, whose pages may be missing at any time without
// this code having to know.

#include "user.h"

struct options options USER_DATA;
struct work work[MAX_THREADS] USER_DATA;
u64 ns_per_tick USER_DATA;
static u64 within[MAX_CPUS] USER_DATA;  // how many threads are within the CPU's lock: at most one

static u64 syscall(u64 number, u64 first, u64 second)
{
    register u64 x8 asm("x8") = number;
    register u64 x0 asm("x0") = first;
    register u64 x1 asm("x1") = second;
    asm volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x8) : "memory");
    return x0;
}

static u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void spin(u64 turns)
{
    while (turns-- > 0)
        asm volatile("");
}

static void lock(struct work *self)
{
    if (!options.lock)
        return;
    syscall(SYS_LOCK, 0, 0);
    self->errors += within[self->cpu]++ != 0;
}

static void unlock(struct work *self)
{
    if (!options.lock)
        return;
    self->errors += --within[self->cpu] != 0;
    syscall(SYS_UNLOCK, 0, 0);
}

// populate: write this thread's part of the heap for the first time, and wait for all others.
static void populate(struct work *self)
{
    for (u64 page = self->first; page < self->first + self->pages; page++)
        touch_page(page, 0);
    syscall(SYS_BARRIER, 0, 0);
}

static void visit(struct work *self, u64 page, u64 pass, u64 *random)
{
    lock(self);
    if (next_random(random) % 100 < options.kernel)
        self->errors += syscall(SYS_TOUCH, page, pass);
    else
        self->errors += touch_page(page, pass);
    spin(options.work);
    unlock(self);
    self->done++;
}

// M: write all pages of its part, pass after pass. In random order each page has its turn once a
// pass: a linear congruential generator of full period visits all numbers below a power of two
// (its factor is 1 more than a multiple of 4, its increment odd), and those too large are left out.
static void memory_thread(struct work *self)
{
    u64 random = self->id + 1, mask = 0;
    while (mask + 1 < self->pages)
        mask = mask << 1 | 1;

    populate(self);
    for (u64 pass = 1; self->pages && pass != options.passes + 1; pass++) {
        u64 next = 0;
        for (u64 turn = 0; turn <= mask; turn++) {
            u64 index = options.random ? next : turn;
            next = (next * 6364136223846793005 + 2 * pass + 1) & mask;
            if (index < self->pages)
                visit(self, self->first + index, pass, &random);
        }
        self->passes++;
    }
}

// C: compute, about a hundred instructions a unit, and touch no page that could be missing.
static void compute_thread(struct work *self)
{
    u64 state = self->id + 1;
    populate(self);
    for (;;) {
        lock(self);
        for (u64 turn = 0; turn < 8; turn++)
            next_random(&state);
        asm volatile("" : : "r"(state));
        unlock(self);
        self->done++;
    }
}

// A page out of the whole heap. Each octave of page numbers (1, 2-3, 4-7, ...) is as likely as any
// other, so page n is wanted in proportion to 1/n: Zipf's law.
static u64 popular_page(u64 *random)
{
    u64 octaves = 64 - __builtin_clzl(options.pages), page;
    do {
        u64 first = 1ul << next_random(random) % octaves;
        page = first + (next_random(random) & (first - 1)) - 1;
    } while (page >= options.pages);
    return page;
}

// Server: a request reads four popular pages; who asks waits for the answer and asks again.
static void server_thread(struct work *self)
{
    u64 random = self->id + 1;
    populate(self);
    for (u64 request = 0; request < options.requests; request++) {
        u64 begin = clock_ns();
        for (u64 turn = 0; turn < 4; turn++) {
            u64 page = popular_page(&random);
            u64 word = *(volatile u64 *)(USER_HEAP + page * PAGE);
            self->errors += word >> 20 != pattern(page, 0, 0) >> 20;
            spin(options.work);
        }
        self->latency[63 - __builtin_clzl((clock_ns() - begin) | 1)]++;
        self->done++;
    }
}

void user_main(struct work *self)
{
    if (self->kind == MEMORY)
        memory_thread(self);
    else if (self->kind == COMPUTE)
        compute_thread(self);
    else
        server_thread(self);
    syscall(SYS_EXIT, 0, 0);
}
