// SPDX-License-Identifier: GPL-2.0-or-later
//
// Calls to the hypervisor: the function in w0, arguments in x1 to x5, up to four words of answer in
// x0 to x3 (DEN0028). HVC is how this machine wants it for all of them: PSCI, SDEI and its own.

#include "kernel.h"

struct answer hypercall(u64 function, u64 first, u64 second, u64 third)
{
    register u64 x0 asm("x0") = function;
    register u64 x1 asm("x1") = first;
    register u64 x2 asm("x2") = second;
    register u64 x3 asm("x3") = third;
    register u64 x4 asm("x4") = 0;      // flags and affinity of an SDEI registration: none
    register u64 x5 asm("x5") = 0;
    asm volatile("hvc #0"
                 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : "r"(x4), "r"(x5) : "memory");
    return (struct answer){ { x0, x1, x2, x3 } };
}

s64 call(u64 function, u64 first, u64 second, u64 third)
{
    return (s64)hypercall(function, first, second, third).x[0];
}

void power_off(void)
{
    for (;;)
        call(PSCI_SYSTEM_OFF, 0, 0, 0);
}
