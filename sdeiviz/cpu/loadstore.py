"""What a load or store that faulted at stage 2 wanted, from its syndrome and its instruction word.

The syndrome says size, direction and register (Arm ARM D17.2.37, ISS of a data abort). The base
register of pre- and post-indexed forms comes from the instruction: this core reports them as if
they were plain, so the write-back is ours to do.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from sdeiviz.abi import esr

ZERO_REGISTER: Final = 31


class MemoryAccess(NamedTuple):
    """A single-register load or store."""

    write: bool
    size: int
    """Bytes: 1, 2, 4 or 8."""
    register: int
    """Transfer register, 0 to 31; 31 is the zero register."""
    sign_extend: bool
    wide: bool
    """The transfer register is 64 bits wide."""
    base: int | None
    """Register to write back (31 is SP), None where the form has no write-back."""
    base_step: int
    """What the write-back adds."""


@lru_cache(maxsize=1024)
def decode_access(syndrome: int, word: int) -> MemoryAccess | None:
    """Return the access, or None where the syndrome does not describe it (ISV = 0)."""
    if not syndrome & esr.ISV:
        return None
    base, step = _write_back(word)
    return MemoryAccess(
        write=bool(syndrome & esr.WNR),
        size=1 << (syndrome >> 22 & 3),
        register=syndrome >> 16 & 31,
        sign_extend=bool(syndrome >> 21 & 1),
        wide=bool(syndrome >> 15 & 1),
        base=base,
        base_step=step,
    )


def _write_back(word: int) -> tuple[int | None, int]:
    """Decode "load/store register (immediate pre- or post-indexed)" (Arm ARM C4.1.66)."""
    if word & 0x3B20_0400 != 0x3800_0400:
        return None, 0
    immediate = word >> 12 & 0x1FF
    return word >> 5 & 31, immediate - 512 if immediate & 0x100 else immediate


def extend(access: MemoryAccess, value: int) -> int:
    """Return a loaded value as the transfer register gets it."""
    bits = 8 * access.size
    if access.sign_extend and value >> (bits - 1):
        value |= ~0 << bits
    return value & (0xFFFF_FFFF_FFFF_FFFF if access.wide else 0xFFFF_FFFF)
