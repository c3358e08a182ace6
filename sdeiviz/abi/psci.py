"""Power State Coordination Interface (Arm DEN0022): the identifiers this machine answers."""

from enum import IntEnum
from typing import Final

VERSION_1_1: Final = 0x0001_0001


class Function(IntEnum):
    """PSCI 0.2+ function identifiers; those that take addresses have a 64-bit form too."""

    VERSION = 0x8400_0000
    CPU_SUSPEND = 0x8400_0001
    CPU_OFF = 0x8400_0002
    CPU_ON = 0x8400_0003
    AFFINITY_INFO = 0x8400_0004
    MIGRATE_INFO_TYPE = 0x8400_0006
    SYSTEM_OFF = 0x8400_0008
    SYSTEM_RESET = 0x8400_0009
    FEATURES = 0x8400_000A
    CPU_SUSPEND_64 = 0xC400_0001
    CPU_ON_64 = 0xC400_0003
    AFFINITY_INFO_64 = 0xC400_0004


class Result(IntEnum):
    """Return codes (DEN0022 5.2.2)."""

    SUCCESS = 0
    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    ALREADY_ON = -4
    INVALID_ADDRESS = -9


AFFINITY_ON: Final = 0
AFFINITY_OFF: Final = 1
"""What AFFINITY_INFO answers (DEN0022 5.7)."""
NO_MIGRATION: Final = 2
"""MIGRATE_INFO_TYPE: no Trusted OS that would have to move (DEN0022 5.9)."""
POWERDOWN: Final = 1 << 16
"""Bit of CPU_SUSPEND's power_state: the core loses its state, and starts again at the entry given
(DEN0022 5.4.2, original format)."""

# PSCI 0.1 numbers predate the calling convention: KVM lets them through its filter (v7 patch 2)
# and, having no guest that asked for PSCI 0.1, answers NOT_SUPPORTED.
# Values: CPU_SUSPEND, CPU_OFF, CPU_ON, MIGRATE.
PSCI_0_1: Final = range(0x95C1BA5E, 0x95C1BA62)
