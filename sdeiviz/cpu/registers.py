"""Names of the registers that make up a core's state, and how Unicorn is asked for them.

A `CP` tuple is a system register in the order Unicorn wants: (CRn, CRm, op0, op1, op2).
"""

from typing import Final

CP = tuple[int, int, int, int, int]


def cp(op0: int, op1: int, crn: int, crm: int, op2: int) -> CP:
    """Return a system register's encoding, given in the Arm ARM's order."""
    return (crn, crm, op0, op1, op2)


EL1_REGISTERS: Final[dict[str, CP]] = {
    "sctlr_el1": cp(3, 0, 1, 0, 0),
    "cpacr_el1": cp(3, 0, 1, 0, 2),
    "ttbr0_el1": cp(3, 0, 2, 0, 0),
    "ttbr1_el1": cp(3, 0, 2, 0, 1),
    "tcr_el1": cp(3, 0, 2, 0, 2),
    "spsr_el1": cp(3, 0, 4, 0, 0),
    "elr_el1": cp(3, 0, 4, 0, 1),
    "sp_el0": cp(3, 0, 4, 1, 0),
    "sp_el1": cp(3, 4, 4, 1, 0),
    "esr_el1": cp(3, 0, 5, 2, 0),
    "far_el1": cp(3, 0, 6, 0, 0),
    "par_el1": cp(3, 0, 7, 4, 0),
    "mair_el1": cp(3, 0, 10, 2, 0),
    "vbar_el1": cp(3, 0, 12, 0, 0),
    "contextidr_el1": cp(3, 0, 13, 0, 1),
    "tpidr_el1": cp(3, 0, 13, 0, 4),
    "tpidr_el0": cp(3, 3, 13, 0, 2),
    "tpidrro_el0": cp(3, 3, 13, 0, 3),
    "cntkctl_el1": cp(3, 0, 14, 1, 0),
    "csselr_el1": cp(3, 2, 0, 0, 0),
}
"""EL1 and EL0 system state a guest can change; timers, PMU and debug are the machine's."""

# EL3 and EL2: ours. Set once, in this order.
SCR_EL3: Final = cp(3, 6, 1, 1, 0)
HCR_EL2: Final = cp(3, 4, 1, 1, 0)
MDCR_EL2: Final = cp(3, 4, 1, 1, 1)
CNTHCTL_EL2: Final = cp(3, 4, 14, 1, 0)
VPIDR_EL2: Final = cp(3, 4, 0, 0, 0)
VMPIDR_EL2: Final = cp(3, 4, 0, 0, 5)
VTCR_EL2: Final = cp(3, 4, 2, 1, 2)
VTTBR_EL2: Final = cp(3, 4, 2, 1, 0)
HPFAR_EL2: Final = cp(3, 4, 6, 0, 4)

SCR_NS_HCE_RW: Final = 1 << 0 | 1 << 8 | 1 << 10
HCR_VM: Final = 1 << 0
HCR_TWI: Final = 1 << 13
HCR_TSC: Final = 1 << 19
HCR_TID3: Final = 1 << 18
HCR_TPU: Final = 1 << 24
HCR_TTLB: Final = 1 << 25
"""What some machines let trap too: identification registers; cache and TLB maintenance."""
HCR_RW: Final = 1 << 31
MDCR_TRAPS: Final = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11
"""TPM, TDA, TDOSA, TDRA: the PMU and the debug registers exit to EL2."""
VTCR: Final = 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1 << 31
"""39-bit intermediate addresses, 4 KiB granule, walks from level 1, 40-bit output."""

PMUSERENR_EL0: Final = cp(3, 3, 9, 14, 0)
"""Which of the PMU EL0 may touch: the core itself looks at it before it traps to EL2."""

ID_AA64PFR0_EL1: Final = cp(3, 0, 0, 4, 0)
ID_AA64PFR0_GIC: Final = 1 << 24
"""System registers of a GICv3 CPU interface are there."""
