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

REGISTER_RM_PE: Final = 1 << 0
"""EVENT_REGISTER flag: deliver a shared event to the PE in x5 only (DEN0054C 5.1.2)."""
REGISTER_RELATIVE_MODE: Final = 1 << 1
"""EVENT_REGISTER flag: the entry is an offset from VBAR_ELc (DEN0054C 5.1.2)."""
AFFINITY: Final = 0xFF_00FF_FFFF
"""Where an affinity argument, like MPIDR_EL1, has Aff3 to Aff0; its other bits must be zero."""

PPIS: Final = (range(16, 32), range(1056, 1120))
"""Interrupts each PE has of its own, whose bound events are private; the second range is that of
GICv3.1 (DEN0054C 5.1.14)."""
SPIS: Final = (range(32, 1020), range(4096, 5120))
"""Interrupts shared by all PEs, whose bound events are shared."""

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


class RoutingMode(IntEnum):
    """Which PEs may handle a shared event (DEN0054C 5.1.11)."""

    RM_ANY = 0
    RM_PE = 1


class Feature(IntEnum):
    """What FEATURES can be asked (DEN0054C 5.1.17)."""

    BIND_SLOTS = 0
    RELATIVE_MODE = 1


def is_ppi(intid: int) -> bool:
    """Tell whether an interrupt number is that of a private peripheral interrupt."""
    return any(intid in numbers for numbers in PPIS)


def is_spi(intid: int) -> bool:
    """Tell whether an interrupt number is that of a shared peripheral interrupt."""
    return any(intid in numbers for numbers in SPIS)


def call_of(function: int) -> Call | None:
    """Return the SDEI call a 32-bit function identifier names, or None."""
    number = function - FIRST_FUNCTION
    return Call(number) if 0 <= number <= Call.SHARED_RESET else None
