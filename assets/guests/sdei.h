/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The numbers a guest needs, for assembly and for C.
 */

/* SDEI calls: fast, 64-bit, owner 4 "standard secure service" (DEN0054C 5.1). */
#define SDEI_VERSION                    0xc4000020
#define SDEI_EVENT_REGISTER             0xc4000021
#define SDEI_EVENT_ENABLE               0xc4000022
#define SDEI_EVENT_DISABLE              0xc4000023
#define SDEI_EVENT_CONTEXT              0xc4000024
#define SDEI_EVENT_COMPLETE             0xc4000025
#define SDEI_EVENT_COMPLETE_AND_RESUME  0xc4000026
#define SDEI_EVENT_UNREGISTER           0xc4000027
#define SDEI_EVENT_STATUS               0xc4000028
#define SDEI_EVENT_GET_INFO             0xc4000029
#define SDEI_EVENT_ROUTING_SET          0xc400002a
#define SDEI_PE_MASK                    0xc400002b
#define SDEI_PE_UNMASK                  0xc400002c
#define SDEI_INTERRUPT_BIND             0xc400002d
#define SDEI_INTERRUPT_RELEASE          0xc400002e
#define SDEI_EVENT_SIGNAL               0xc400002f
#define SDEI_FEATURES                   0xc4000030
#define SDEI_PRIVATE_RESET              0xc4000031
#define SDEI_SHARED_RESET               0xc4000032

/* SDEI_EVENT_COMPLETE, x1: what became of the event. */
#define SDEI_EV_HANDLED                 0

/* SDEI_FEATURES, x1: what is asked for. */
#define SDEI_FEATURE_BIND_SLOTS         0
#define SDEI_FEATURE_RELATIVE_MODE      1

/* PSCI: switch the machine off (DEN0022 5.9). */
#define PSCI_SYSTEM_OFF                 0x84000008

/* PL011 UART of the "virt" machine: what is written to its data register is printed. */
#define UART                            0x09000000
#define UART_DR                         0x00

/* The vector table: four groups of four entries of 128 bytes (Arm ARM D1.3). */
#define VECTOR_EL1T                     0x000   /* taken from EL1 with SP_EL0 */
#define VECTOR_EL1H                     0x200   /* taken from EL1 with SP_EL1 */
#define VECTOR_EL0                      0x400   /* taken from EL0 */
#define VECTOR_SYNC                     0x000
#define VECTOR_IRQ                      0x080

/* PSTATE, in SPSR_EL1 and in what an SDEI handler gets as x3. */
#define PSTATE_MODE                     0xf
#define PSTATE_EL0T                     0x0
#define PSTATE_EL1T                     0x4
#define PSTATE_EL1H                     0x5

/* ESR_EL1, bits 31:26: why an exception was taken. */
#define ESR_EC_SHIFT                    26
#define ESR_EC_UNKNOWN                  0x00    /* undefined, such as a register of a higher level */
#define ESR_EC_SVC                      0x15
#define ESR_EC_SYSREG                   0x18    /* MSR, MRS or system instruction, trapped */
