"""SMC Calling Convention (Arm DEN0028): how a function identifier is put together."""

from enum import IntEnum
from typing import Final

MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
MASK32: Final = 0xFFFF_FFFF

FAST_CALL: Final = 1 << 31
CALL_64: Final = 1 << 30

NOT_SUPPORTED: Final = -1

VERSION: Final = 0x8000_0000
ARCH_FEATURES: Final = 0x8000_0001
VERSION_1_1: Final = 0x0001_0001


class Owner(IntEnum):
    """Owning entity, bits 29:24 of a function identifier (DEN0028 table 6-2)."""

    ARCHITECTURE = 0
    CPU = 1
    SIP = 2
    OEM = 3
    STANDARD_SECURE = 4
    STANDARD_HYPERVISOR = 5
    VENDOR_HYPERVISOR = 6


def owner(function: int) -> int:
    """Return the owning entity of a 32-bit function identifier (an `Owner` where it has a name)."""
    return (function >> 24) & 0x3F


def signed(value: int) -> int:
    """Return a 64-bit register value as the signed number that C code sees.

    >>> signed(0xFFFF_FFFF_FFFF_FFFD)
    -3
    """
    return value - (1 << 64) if value >> 63 else value
