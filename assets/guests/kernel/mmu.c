// SPDX-License-Identifier: GPL-2.0-or-later
//
// Stage 1: what virtual addresses mean. 32 bits of them, 4 KiB pages, three levels of tables with
// entries of 8 bytes (Arm ARM D8):
//
//      0x00000000  devices             one block of 1 GiB
//      0x40000000  RAM up to `heap`    blocks of 2 MiB, the first one in pages
//      0x80000000  the heap            pages, from `heap` on in RAM
//      0xc0000000  nothing
//
// The first two are identity mappings. The kernel has no mapping of the heap but EL0's, and touches
// it only when a thread asks for that (SYS_TOUCH): a kernel that reads a missing page has to wait.
// The tables are complete before the MMU is on, and never change.

#include "kernel.h"

#define TABLE       3ul                 // an entry that names the table of the next level
#define BLOCK       1ul                 // an entry that maps 1 GiB or 2 MiB
#define LAST        3ul                 // an entry that maps a page
#define NORMAL      (0ul << 2 | 3ul << 8)   // attribute 0 of MAIR_EL1 (boot.S), inner shareable
#define DEVICE      (1ul << 2)
#define USER        (1ul << 6)          // EL0 may use it too
#define READ_ONLY   (1ul << 7)
#define ACCESSED    (1ul << 10)         // or the first access would trap
#define NO_KERNEL_X (1ul << 53)         // EL1 does not execute it
#define NO_USER_X   (1ul << 54)

#define KERNEL      (NORMAL | ACCESSED | NO_USER_X)
#define USER_CODE   (NORMAL | ACCESSED | USER | READ_ONLY | NO_KERNEL_X)
#define USER_RW     (NORMAL | ACCESSED | USER | NO_KERNEL_X | NO_USER_X)

#define MIB2        0x200000ul
#define RAM         0x40000000ul
#define ENTRIES     512

typedef u64 table[ENTRIES] __attribute__((aligned(PAGE)));

table table_root;                       // level 1: an entry is 1 GiB
static table table_ram, table_user;     // level 2: 2 MiB
static table first_pages;               // level 3: 4 KiB, the first 2 MiB of RAM
static table heap_pages[MAX_HEAP_PAGES / ENTRIES];

extern char user_text[], user_text_end[], user_data[], user_data_end[], heap[];

static int within(u64 address, const char *start, const char *end)
{
    return address >= (u64)start && address < (u64)end;
}

void build_tables(void)
{
    table_root[0] = 0 | BLOCK | DEVICE | ACCESSED | NO_KERNEL_X | NO_USER_X;
    table_root[1] = (u64)table_ram | TABLE;
    table_root[2] = (u64)table_user | TABLE;

    table_ram[0] = (u64)first_pages | TABLE;
    for (u64 n = 0; n < ENTRIES; n++) {
        u64 address = RAM + n * PAGE, attributes = KERNEL;
        if (within(address, user_text, user_text_end))
            attributes = USER_CODE;
        else if (within(address, user_data, user_data_end))
            attributes = USER_RW;
        first_pages[n] = address | LAST | attributes;
    }
    for (u64 n = 1; RAM + n * MIB2 < (u64)heap; n++)
        table_ram[n] = (RAM + n * MIB2) | BLOCK | KERNEL;

    for (u64 n = 0; n < MAX_HEAP_PAGES / ENTRIES; n++)
        table_user[n] = (u64)heap_pages[n] | TABLE;
    for (u64 n = 0; n < options.pages; n++)
        heap_pages[n / ENTRIES][n % ENTRIES] = ((u64)heap + n * PAGE) | LAST | USER_RW;
}
