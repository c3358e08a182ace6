"""KVM's user interface as far as the SDEI series extends it (v7 patches 17 to 19)."""

from enum import IntEnum
from typing import Final

CAP_ARM_SDEI: Final = 217
"""KVM_CAP_ARM_SDEI: there is nothing to enable, it only tells (patch 17)."""

STD_BMAP: Final = 0x6030_0000_0016_0000
"""KVM_REG_ARM_STD_BMAP: bit 0 shows the guest TRNG, bit 1 SDEI (patch 17)."""

_ARM64: Final = 0x6000_0000_0000_0000
_SIZE_SHIFT: Final = 52
_FIRMWARE: Final = 0x0014 << 16


def _register(index: int, size: int) -> int:
    return _ARM64 | (size.bit_length() - 1) << _SIZE_SHIFT | _FIRMWARE | index


class SdeiRegister(IntEnum):
    """Pseudo firmware registers of KVM_GET_ONE_REG, in the order of KVM_GET_REG_LIST (patch 19)."""

    EVENT_HANDLER_0 = _register(4, 16)
    """Entry point and argument of event 0, 64 bits each."""
    EVENT_HANDLER_1 = _register(5, 16)
    EVENT_HANDLER_2 = _register(6, 16)
    """This and the next are reserved."""
    EVENT_HANDLER_3 = _register(7, 16)
    EVENT_REGISTERED = _register(8, 8)
    """One bit for each event, as in the next three."""
    EVENT_ENABLED = _register(9, 8)
    EVENT_RUNNING = _register(10, 8)
    EVENT_PENDING = _register(11, 8)
    EVENT_CONTEXT = _register(12, 256)
    """PC, PSTATE and x0 to x17 as interrupted: 160 bytes, and 96 that mean nothing."""
    PE_STATE = _register(13, 8)
    """1: masked."""


def register_size(register: int) -> int:
    """Return the size of a register in bytes, which its identifier holds.

    >>> register_size(SdeiRegister.EVENT_CONTEXT)
    256
    """
    return 1 << (register >> _SIZE_SHIFT & 0xF)
