// SPDX-License-Identifier: GPL-2.0-or-later
//
// What machine is this? The device tree tells: a list of nodes, each with a name, properties and
// further nodes, all in big-endian words (Devicetree Specification, chapter 5).
//
//      header  0x00 magic, 0x08 offset of the structure, 0x0c offset of the properties' names
//      1 name...           a node begins
//      2                   the last node that began ends
//      3 length name value...  a property; `name` is an offset among the names
//      4                   nothing
//      9                   the end

#include "kernel.h"

enum { MAGIC = 0xd00dfeed, BEGIN = 1, END = 2, PROPERTY = 3, NOTHING = 4 };

struct platform platform;

static u32 word(const void *at)
{
    return __builtin_bswap32(*(const u32 *)at);
}

static u64 two_words(const void *at)
{
    return (u64)word(at) << 32 | word((const char *)at + 4);
}

static int same(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

static int begins(const char *text, const char *with)
{
    while (*with && *with == *text)
        text++, with++;
    return !*with;
}

static u64 aligned_length(const char *text)
{
    u64 length = 0;
    while (text[length++])
        ;
    return (length + 3) & ~3ul;
}

// Take what we want of one property; `node` is the name of the node that it belongs to.
static void property(const char *node, const char *name, const char *value)
{
    if (same(node, "chosen") && same(name, "bootargs"))
        platform.bootargs = value;
    else if (begins(node, "memory@") && same(name, "reg"))
        platform.ram_end = two_words(value) + two_words(value + 8);
    else if (begins(node, "intc@") && same(name, "compatible"))
        platform.gic = same(value, "arm,gic-v3") ? 3 : 2;
    else if (begins(node, "cpu@") && same(name, "reg") && platform.cpus < MAX_CPUS)
        platform.mpidr[platform.cpus++] = two_words(value);
}

void read_device_tree(const void *blob)
{
    const char *start = blob, *node = "";
    platform.bootargs = "";
    if (!blob || word(start) != MAGIC)
        panic("there is no device tree at x0");

    const char *at = start + word(start + 8), *names = start + word(start + 12);
    for (;;) {
        u32 what = word(at);
        at += 4;
        if (what == BEGIN) {
            node = at;
            at += aligned_length(at);
        } else if (what == PROPERTY) {
            u32 length = word(at);
            property(node, names + word(at + 4), at + 8);
            at += 8 + ((length + 3) & ~3ul);
        } else if (what != END && what != NOTHING) {
            break;
        }
    }
    if (!platform.cpus || !platform.ram_end || !platform.gic)
        panic("the device tree lacks a CPU, RAM or the GIC");
    cpu_count = platform.cpus;
}
