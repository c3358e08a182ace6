"""PSTATE in the layout of SPSR_ELx (Arm ARM C5.2.18), as SDEI passes it in x3."""

from typing import Final

N: Final = 1 << 31
Z: Final = 1 << 30
C: Final = 1 << 29
V: Final = 1 << 28
NZCV: Final = N | Z | C | V
SS: Final = 1 << 21
IL: Final = 1 << 20
D: Final = 1 << 9
A: Final = 1 << 8
I: Final = 1 << 7  # noqa: E741  (the architecture's own name)
F: Final = 1 << 6
DAIF: Final = D | A | I | F
NRW: Final = 1 << 4
MODE: Final = 0x1F

EL0T: Final = 0b00000
EL1T: Final = 0b00100
EL1H: Final = 0b00101

_MODES: Final = {0b0000: "EL0t", 0b0100: "EL1t", 0b0101: "EL1h", 0b1000: "EL2t", 0b1001: "EL2h"}


def exception_level(pstate: int) -> int:
    """Return the exception level, 0 to 3."""
    return 0 if pstate & NRW else (pstate >> 2) & 3


def mode_name(pstate: int) -> str:
    """Return the mode as the Arm ARM writes it.

    >>> mode_name(0x3C5)
    'EL1h'
    """
    if pstate & NRW:
        return "AArch32"
    return _MODES.get(pstate & 0xF, f"M={pstate & 0xF:#06b}")


def describe(pstate: int) -> str:
    """Return flags, masks and mode on one line; a capital letter is a bit that is set.

    >>> describe(0x6000_03C5)
    'nZCv DAIF EL1h'
    """
    flags = "".join(
        c.upper() if pstate & bit else c for c, bit in zip("nzcv", (N, Z, C, V), strict=True)
    )
    masks = "".join(
        c.upper() if pstate & bit else c for c, bit in zip("daif", (D, A, I, F), strict=True)
    )
    return f"{flags} {masks} {mode_name(pstate)}"
