"""Exception syndromes, ESR_ELx (Arm ARM D17.2.37)."""

from enum import IntEnum
from typing import Final


class Class(IntEnum):
    """Exception class, bits 31:26."""

    UNKNOWN = 0x00
    WFX = 0x01
    SVC = 0x15
    HVC = 0x16
    SMC = 0x17
    SYSTEM_REGISTER = 0x18
    INSTRUCTION_ABORT_LOWER = 0x20
    INSTRUCTION_ABORT = 0x21
    PC_ALIGNMENT = 0x22
    DATA_ABORT_LOWER = 0x24
    DATA_ABORT = 0x25
    SP_ALIGNMENT = 0x26
    BRK = 0x3C


IL: Final = 1 << 25
ISV: Final = 1 << 24
WNR: Final = 1 << 6
S1PTW: Final = 1 << 7
CM: Final = 1 << 8
EXTERNAL_ABORT: Final = 0x10
"""Fault status: synchronous external abort, not on a table walk."""
EXTERNAL_ABORT_ON_WALK: Final = 0x14
"""The same on a walk, plus the level."""

_NAMES: Final[dict[int, str]] = {
    Class.UNKNOWN: "undefined instruction",
    Class.WFX: "WFI or WFE",
    Class.SVC: "SVC",
    Class.HVC: "HVC",
    Class.SMC: "SMC",
    Class.SYSTEM_REGISTER: "system register access",
    Class.INSTRUCTION_ABORT_LOWER: "instruction abort from EL0",
    Class.INSTRUCTION_ABORT: "instruction abort",
    Class.PC_ALIGNMENT: "PC alignment fault",
    Class.DATA_ABORT_LOWER: "data abort from EL0",
    Class.DATA_ABORT: "data abort",
    Class.SP_ALIGNMENT: "SP alignment fault",
    Class.BRK: "BRK",
}


def exception_class(syndrome: int) -> int:
    """Return bits 31:26, an `esr.Class` where it has a name."""
    return (syndrome >> 26) & 0x3F


def describe(syndrome: int) -> str:
    """Return the cause in words.

    >>> describe(0x5600_0003)
    'SVC #0x3'
    >>> describe(0x9600_0010)
    'data abort, external abort on a read'
    """
    number = exception_class(syndrome)
    name = _NAMES.get(number)
    if name is None:
        return f"exception class {number:#04x}"
    if number in (Class.SVC, Class.HVC, Class.SMC, Class.BRK):
        return f"{name} #{syndrome & 0xFFFF:#x}"
    if number in (Class.DATA_ABORT, Class.DATA_ABORT_LOWER):
        return f"{name}, {fault_status(syndrome)} on a {'write' if syndrome & WNR else 'read'}"
    if number in (Class.INSTRUCTION_ABORT, Class.INSTRUCTION_ABORT_LOWER):
        return f"{name}, {fault_status(syndrome)}"
    return name


def fault_status(syndrome: int) -> str:
    """Return an abort's fault status code, bits 5:0, in words."""
    status = syndrome & 0x3F
    kinds = {
        0b0000: "address size fault",
        0b0001: "translation fault",
        0b0010: "access flag fault",
        0b0011: "permission fault",
        0b0101: "external abort on a walk",
    }
    if status == EXTERNAL_ABORT:
        return "external abort"
    if status == 0b100001:
        return "alignment fault"
    kind = kinds.get(status >> 2)
    return f"{kind} at level {status & 3}" if kind else f"fault status {status:#04x}"
