"""Software Delegated Exception Interface (Arm DEN0054C): call numbers, results, codes."""

from enum import IntEnum, IntFlag
from typing import Final

FIRST_FUNCTION: Final = 0xC400_0020
LAST_FUNCTION: Final = 0xC400_003F

SW_SIGNALED_EVENT: Final = 0
"""Event 0, the software-signalled event every implementation has (DEN0054C 5.1.16)."""
ASYNC_PF_EVENT: Final = 1
"""Event 1, which the KVM series v7 reserves for asynchronous page fault (patch 17)."""

CONTEXT_REGISTERS: Final = 18
"""x0-x17 are saved at delivery and readable with EVENT_CONTEXT (DEN0054C 5.1.4)."""

REGISTER_RELATIVE_MODE: Final = 1 << 1
VENDOR_KVM: Final = 0x564B_CAA9
"""Vendor word that v7 patch 16 reports: ARM_SMCCC_VENDOR_HYP_UID_KVM_REG_2."""


class Call(IntEnum):
    """Calls by their offset from 0xC400_0020 (DEN0054C 5.1)."""

    VERSION = 0x00
    EVENT_REGISTER = 0x01
    EVENT_ENABLE = 0x02
    EVENT_DISABLE = 0x03
    EVENT_CONTEXT = 0x04
    EVENT_COMPLETE = 0x05
    EVENT_COMPLETE_AND_RESUME = 0x06
    EVENT_UNREGISTER = 0x07
    EVENT_STATUS = 0x08
    EVENT_GET_INFO = 0x09
    EVENT_ROUTING_SET = 0x0A
    PE_MASK = 0x0B
    PE_UNMASK = 0x0C
    INTERRUPT_BIND = 0x0D
    INTERRUPT_RELEASE = 0x0E
    EVENT_SIGNAL = 0x0F
    FEATURES = 0x10
    PRIVATE_RESET = 0x11
    SHARED_RESET = 0x12

    @property
    def function(self) -> int:
        """The SMC64 function identifier."""
        return FIRST_FUNCTION + self


ARGUMENTS: Final[dict[Call, tuple[str, ...]]] = {
    Call.VERSION: (),
    Call.EVENT_REGISTER: ("event", "entry", "argument", "flags", "affinity"),
    Call.EVENT_ENABLE: ("event",),
    Call.EVENT_DISABLE: ("event",),
    Call.EVENT_CONTEXT: ("register",),
    Call.EVENT_COMPLETE: ("status",),
    Call.EVENT_COMPLETE_AND_RESUME: ("resume",),
    Call.EVENT_UNREGISTER: ("event",),
    Call.EVENT_STATUS: ("event",),
    Call.EVENT_GET_INFO: ("event", "info"),
    Call.EVENT_ROUTING_SET: ("event", "mode", "affinity"),
    Call.PE_MASK: (),
    Call.PE_UNMASK: (),
    Call.INTERRUPT_BIND: ("interrupt",),
    Call.INTERRUPT_RELEASE: ("event",),
    Call.EVENT_SIGNAL: ("event", "target"),
    Call.FEATURES: ("feature",),
    Call.PRIVATE_RESET: (),
    Call.SHARED_RESET: (),
}
"""What x1, x2, ... of each call mean, in order."""


class Result(IntEnum):
    """Return codes, sign-extended to all 64 bits of x0 (DEN0054C 5.1, table 4)."""

    SUCCESS = 0
    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    DENIED = -3
    PENDING = -5
    OUT_OF_RESOURCE = -10


class Status(IntFlag):
    """Bits that EVENT_STATUS returns (DEN0054C 5.1.9)."""

    REGISTERED = 1
    ENABLED = 2
    RUNNING = 4


class Info(IntEnum):
    """What EVENT_GET_INFO can be asked (DEN0054C 5.1.10)."""

    TYPE = 0
    SIGNALED = 1
    PRIORITY = 2
    ROUTING_MODE = 3
    ROUTING_AFFINITY = 4


class Feature(IntEnum):
    """What FEATURES can be asked (DEN0054C 5.1.17)."""

    BIND_SLOTS = 0
    RELATIVE_MODE = 1


def call_of(function: int) -> Call | None:
    """Return the SDEI call a 32-bit function identifier names, or None."""
    number = function - FIRST_FUNCTION
    return Call(number) if 0 <= number <= Call.SHARED_RESET else None
