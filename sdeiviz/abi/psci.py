"""Power State Coordination Interface (Arm DEN0022): the identifiers this machine answers."""

from enum import IntEnum
from typing import Final

VERSION_1_1: Final = 0x0001_0001


class Function(IntEnum):
    """PSCI 0.2+ function identifiers, 32-bit form."""

    VERSION = 0x8400_0000
    SYSTEM_OFF = 0x8400_0008
    SYSTEM_RESET = 0x8400_0009
    FEATURES = 0x8400_000A


# PSCI 0.1 numbers predate the calling convention: KVM lets them through its filter (v7 patch 2)
# and, having no guest that asked for PSCI 0.1, answers NOT_SUPPORTED.
# Values: CPU_SUSPEND, CPU_OFF, CPU_ON, MIGRATE.
PSCI_0_1: Final = range(0x95C1BA5E, 0x95C1BA62)
