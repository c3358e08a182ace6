// SPDX-License-Identifier: GPL-2.0-or-later
//
// The console: a PL011, whose data register prints what is stored there.

#include "kernel.h"

#define UART ((volatile u32 *)0x09000000)

static void put(char character)
{
    *UART = (u32)character;
}

static void put_number(u64 value, u64 base)
{
    char digits[20];
    u64 count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        put(digits[--count]);
}

// One CPU at a time: each draws a ticket and waits until it is called. A CPU that panics waits for
// nobody, for it may be the one that prints.
static u64 tickets;
static volatile u64 called = 1;

static void put_all(const char *format, __builtin_va_list arguments)
{
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        if (*format == 's')
            for (const char *text = __builtin_va_arg(arguments, const char *); *text; text++)
                put(*text);
        else if (*format == 'c')
            put((char)__builtin_va_arg(arguments, int));
        else
            put_number(__builtin_va_arg(arguments, u64), *format == 'x' ? 16 : 10);
    }
}

void print(const char *format, ...)
{
    __builtin_va_list arguments;
    u64 ticket = atomic_add(&tickets, 1);
    while (called != ticket)
        ;
    __builtin_va_start(arguments, format);
    put_all(format, arguments);
    __builtin_va_end(arguments);
    called = ticket + 1;
}

void panic(const char *format, ...)
{
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    put_all("\npanic: ", arguments);
    put_all(format, arguments);
    put('\n');
    power_off();
}
