"""What an access wanted, from its syndrome and its word; both typed as a core gives them."""

import pytest

from sdeiviz.cpu import MemoryAccess, decode_access
from sdeiviz.cpu.loadstore import extend

# ISS of a data abort: ISV 24, SAS 23:22, SSE 21, SRT 20:16, SF 15, WnR 6 (Arm ARM D17.2.37).
ISV = 0x9000_0000 | 1 << 24 | 1 << 25

CASES = {
    "ldrb w3, [x1]": (
        ISV | 3 << 16 | 0x7,
        0x3940_0023,
        MemoryAccess(False, 1, 3, False, False, None, 0),
    ),
    "strh w30, [x1, #4]!": (
        ISV | 1 << 22 | 30 << 16 | 1 << 6,
        0x7800_4C3E,
        MemoryAccess(True, 2, 30, False, False, 1, 4),
    ),
    "ldr w0, [sp], #-256": (
        ISV | 2 << 22,
        0xB850_07E0,
        MemoryAccess(False, 4, 0, False, False, 31, -256),
    ),
    "str x31, [x2], #255": (
        ISV | 3 << 22 | 31 << 16 | 1 << 15 | 1 << 6,
        0xF80F_F45F,
        MemoryAccess(True, 8, 31, False, True, 2, 255),
    ),
    "ldrsb x4, [x5, #-1]!": (
        ISV | 1 << 21 | 4 << 16 | 1 << 15,
        0x389F_FCA4,
        MemoryAccess(False, 1, 4, True, True, 5, -1),
    ),
    "ldrsw x6, [x7, x8]": (
        ISV | 2 << 22 | 1 << 21 | 6 << 16 | 1 << 15,
        0xB8A8_68E6,
        MemoryAccess(False, 4, 6, True, True, None, 0),
    ),
    "ldur w9, [x10, #-4]": (
        ISV | 2 << 22 | 9 << 16,
        0xB85F_C149,
        MemoryAccess(False, 4, 9, False, False, None, 0),
    ),
    "ldtr w9, [x10, #-4]": (
        ISV | 2 << 22 | 9 << 16,
        0xB85F_C949,
        MemoryAccess(False, 4, 9, False, False, None, 0),
    ),
    "ldr w11, a literal": (
        ISV | 2 << 22 | 11 << 16,
        0x1800_044B,
        MemoryAccess(False, 4, 11, False, False, None, 0),
    ),
    "ldar w12, [x13]": (
        ISV | 2 << 22 | 12 << 16 | 1 << 14,
        0x88DF_FDAC,
        MemoryAccess(False, 4, 12, False, False, None, 0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_decoded(name: str) -> None:
    syndrome, word, access = CASES[name]
    assert decode_access(syndrome, word) == access


def test_not_described() -> None:
    for syndrome, word, _ in CASES.values():
        assert decode_access(syndrome & ~(1 << 24), word) is None


@pytest.mark.parametrize(
    ("size", "signed", "wide", "value", "register"),
    [
        (1, False, False, 0x80, 0x80),
        (1, True, False, 0x80, 0xFFFF_FF80),
        (1, True, True, 0x80, 0xFFFF_FFFF_FFFF_FF80),
        (1, True, True, 0x7F, 0x7F),
        (2, True, False, 0x8001, 0xFFFF_8001),
        (2, True, True, 0x7FFF, 0x7FFF),
        (4, True, True, 0x8000_0000, 0xFFFF_FFFF_8000_0000),
        (4, False, False, 0xFFFF_FFFF, 0xFFFF_FFFF),
        (8, False, True, 1 << 63, 1 << 63),
    ],
)
def test_extended(size: int, signed: bool, wide: bool, value: int, register: int) -> None:
    assert extend(MemoryAccess(False, size, 0, signed, wide, None, 0), value) == register
