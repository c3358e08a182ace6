// SPDX-License-Identifier: GPL-2.0-or-later
//
// The command line: words such as "pages=256", a name and a decimal number. Some have names for
// their numbers. What makes no sense is named on the console and left out.

#include "kernel.h"

static const struct option {
    const char *name;
    u64 *value, initial, least, most;
    const char *words[4];       // names of 0, 1, 2, 3
} table[] = {
    { "m",        &options.m,        1,       0, 200, {0} },
    { "c",        &options.c,        1,       0, 200, {0} },
    { "serve",    &options.serve,    0,       0, 200, {0} },
    { "pages",    &options.pages,    128,     1, MAX_HEAP_PAGES, {0} },
    { "passes",   &options.passes,   0,       1, 1000000, {0} },
    { "order",    &options.random,   1,       0, 1, { "sequential", "random" } },
    { "touch",    &options.touch,    64,      1, PAGE / 8, {0} },
    { "work",     &options.work,     3000,    0, 1000000000, {0} },
    { "kernel",   &options.kernel,   0,       0, 100, {0} },
    { "lock",     &options.lock,     0,       0, 1, {0} },
    { "requests", &options.requests, 0,       1, 1000000000, {0} },
    { "time",     &options.time,     0,       0, 1000000, {0} },
    { "slice",    &options.slice,    3000000, 0, 1000000000, {0} },
    { "tick",     &options.tick,     1000000, 20000, 1000000000, {0} },
    { "wakeup",   &options.wakeup,   1000000, 0, 1000000000, {0} },
    { "apf",      &options.apf,      1,       0, 1, {0} },
    { "noack",    &options.noack,    0,       0, 1, {0} },
    { "lie",      &options.lie,      0,       0, 3, { "no", "block", "event", "token" } },
};

#define OPTIONS (sizeof table / sizeof table[0])

// Whether the text from `at` to `end` is just this word.
static int is(const char *at, const char *end, const char *word)
{
    while (at < end && *word && *at == *word)
        at++, word++;
    return at == end && !*word;
}

// Read a value; returns 0 if it is none.
static int read_value(const struct option *option, const char *at, const char *end, u64 *value)
{
    for (u64 n = 0; n < 4 && option->words[n]; n++)
        if (is(at, end, option->words[n])) {
            *value = n;
            return 1;
        }
    if (at == end || option->words[0])
        return 0;
    for (*value = 0; at < end; at++) {
        if (*at < '0' || *at > '9' || *value > option->most)
            return 0;
        *value = *value * 10 + (*at - '0');
    }
    return *value >= option->least && *value <= option->most;
}

static void read_option(const char *at, const char *end)
{
    const char *equals = at;
    u64 value;
    while (equals < end && *equals != '=')
        equals++;
    for (u64 n = 0; n < OPTIONS && equals < end; n++)
        if (is(at, equals, table[n].name) && read_value(&table[n], equals + 1, end, &value)) {
            *table[n].value = value;
            return;
        }
    print("option ignored: ");
    while (at < end)
        print("%c", *at++);
    print("\n");
}

static void set_limits(void)
{
    extern char heap[];
    u64 room = (platform.ram_end - (u64)heap) / PAGE;
    u64 threads = (MAX_THREADS - cpu_count) / cpu_count;
    if (options.pages > room) {
        print("only %u pages of heap fit into RAM\n", room);
        options.pages = room;
    }
    if (options.m + options.c + options.serve > threads) {
        print("only %u threads a CPU: m=1 c=1 serve=0\n", threads);
        options.m = options.c = 1;
        options.serve = 0;
    }
}

void read_options(const char *line)
{
    for (u64 n = 0; n < OPTIONS; n++)
        *table[n].value = table[n].initial;
    while (*line) {
        const char *end = line;
        while (*end && *end != ' ')
            end++;
        if (end > line)
            read_option(line, end);
        line = *end ? end + 1 : end;
    }
    set_limits();
    // Somebody must come to an end, or the time must.
    if (!options.m && !options.serve && !options.time)
        options.time = 10;
    if (!options.passes)
        options.passes = options.time ? ~0ul : 4;
    if (!options.requests)
        options.requests = options.time ? ~0ul : 100;
}
