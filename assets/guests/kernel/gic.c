// SPDX-License-Identifier: GPL-2.0-or-later
//
// The interrupt controller: GICv2 (IHI 0048) or GICv3 (IHI 0069). Both have a distributor that all
// CPUs share. What a CPU has for itself is at the same addresses for each in a GICv2, which knows
// who asks; in a GICv3 it is a redistributor for its private interrupts, one for each CPU, and
// system registers. We use private interrupts only: SGIs 0 to 15 and PPIs 16 to 31.

#include "kernel.h"

#define GICD            0x08000000ul    // distributor
#define GICD_CTLR       0x000
#define GICD_ISENABLER  0x100           // of a GICv2: a bit for each private interrupt
#define GICD_ICENABLER  0x180
#define GICD_SGIR       0xf00

#define GICC            0x08010000ul    // a GICv2's CPU interface
#define GICC_CTLR       0x00
#define GICC_PMR        0x04
#define GICC_IAR        0x0c
#define GICC_EOIR       0x10

#define GICR            0x080a0000ul    // a GICv3's redistributors
#define GICR_STRIDE     0x20000
#define GICR_TYPER_HIGH 0x000c          // affinity of the CPU that it belongs to
#define GICR_WAKER      0x0014
#define GICR_ISENABLER  0x10100
#define GICR_ICENABLER  0x10180

#define ICC_PMR_EL1     "S3_0_C4_C6_0"
#define ICC_SGI1R_EL1   "S3_0_C12_C11_5"
#define ICC_IAR1_EL1    "S3_0_C12_C12_0"
#define ICC_EOIR1_EL1   "S3_0_C12_C12_1"
#define ICC_SRE_EL1     "S3_0_C12_C12_5"
#define ICC_IGRPEN1_EL1 "S3_0_C12_C12_7"

#define write_icc(name, value) asm volatile("msr " name ", %0; isb" : : "r"((u64)(value)) : "memory")

#define SGIS            0xffff

static volatile u32 *at(u64 base, u64 offset)
{
    return (volatile u32 *)(base + offset);
}

static u64 redistributor(struct cpu *cpu)
{
    u64 affinity = (cpu->mpidr & 0xffffff) | (cpu->mpidr >> 32 & 0xff) << 24, base = GICR;
    while (*at(base, GICR_TYPER_HIGH) != affinity)
        base += GICR_STRIDE;
    return base;
}

void start_distributor(void)
{
    // GICv3: affinity routing (bit 4) and group 1 (bit 1). GICv2: on.
    *at(GICD, GICD_CTLR) = platform.gic == 3 ? 1 << 4 | 1 << 1 : 1;
}

void start_gic(struct cpu *cpu)
{
    if (platform.gic == 3) {
        u64 base = redistributor(cpu);
        *at(base, GICR_WAKER) = 0;
        *at(base, GICR_ISENABLER) = SGIS;
        write_icc(ICC_SRE_EL1, 7);
        write_icc(ICC_PMR_EL1, 0xff);   // take interrupts of every priority
        write_icc(ICC_IGRPEN1_EL1, 1);
    } else {
        *at(GICD, GICD_ISENABLER) = SGIS;
        *at(GICC, GICC_PMR) = 0xff;
        *at(GICC, GICC_CTLR) = 1;
    }
}

// enable_interrupt: enable or disable a PPI of this CPU.
void enable_interrupt(struct cpu *cpu, u64 number, u64 enable)
{
    if (platform.gic == 3)
        *at(redistributor(cpu), enable ? GICR_ISENABLER : GICR_ICENABLER) = 1u << number;
    else
        *at(GICD, enable ? GICD_ISENABLER : GICD_ICENABLER) = 1u << number;
}

// take_interrupt: acknowledge the next one. Bits 9:0 of what comes back are its number, from 1020
// on there is none; all of it goes to end_interrupt.
u64 take_interrupt(void)
{
    u64 taken;
    if (platform.gic == 2)
        return *at(GICC, GICC_IAR);
    asm volatile("mrs %0, " ICC_IAR1_EL1 : "=r"(taken) : : "memory");
    return taken;
}

void end_interrupt(u64 taken)
{
    if (platform.gic == 3)
        write_icc(ICC_EOIR1_EL1, taken);
    else
        *at(GICC, GICC_EOIR) = taken;
}

void send_sgi(struct cpu *target, u64 number)
{
    asm volatile("dsb ish" : : : "memory");     // what we wrote before, it shall see
    if (platform.gic == 3) {
        u64 mpidr = target->mpidr;              // affinities 3, 2, 1, and a bit for affinity 0
        write_icc(ICC_SGI1R_EL1, (mpidr >> 32 & 0xff) << 48 | (mpidr >> 16 & 0xff) << 32
                  | (mpidr >> 8 & 0xff) << 16 | 1ul << (mpidr & 0xf) | number << 24);
    } else {
        *at(GICD, GICD_SGIR) = 1u << (16 + target->number) | (u32)number;
    }
}
