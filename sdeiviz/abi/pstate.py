"""PSTATE in the layout of SPSR_ELx (Arm ARM C5.2.18), as SDEI passes it in x3."""

from dataclasses import dataclass
from typing import Final

UINJ: Final = 1 << 36
PACM: Final = 1 << 35
EXLOCK: Final = 1 << 34
PM: Final = 1 << 32
N: Final = 1 << 31
Z: Final = 1 << 30
C: Final = 1 << 29
V: Final = 1 << 28
NZCV: Final = N | Z | C | V
TCO: Final = 1 << 25
DIT: Final = 1 << 24
UAO: Final = 1 << 23
PAN: Final = 1 << 22
SS: Final = 1 << 21
IL: Final = 1 << 20
ALLINT: Final = 1 << 13
SSBS: Final = 1 << 12
BTYPE: Final = 0b11 << 10
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


SCTLR_SPINTMASK: Final = 1 << 62
SCTLR_DSSBS: Final = 1 << 44
SCTLR_SPAN: Final = 1 << 23
GCSCR_EXLOCKEN: Final = 1 << 6


@dataclass(frozen=True, slots=True)
class PeFeatures:
    """The optional features of a PE that decide what PSTATE an exception starts with.

    A Cortex-A72 has none of them.
    """

    pan: bool = False
    """FEAT_PAN."""
    mte2: bool = False
    """FEAT_MTE2."""
    nmi: bool = False
    """FEAT_NMI."""
    ssbs: bool = False
    """FEAT_SSBS."""
    profiling_exceptions: bool = False
    """FEAT_EBEP, FEAT_SPE_EXC or FEAT_TRBE_EXC."""
    gcs: bool = False
    """FEAT_GCS."""


def take_exception(old: int, sctlr: int, features: PeFeatures, gcscr: int = 0) -> int:
    """Return the PSTATE with which an exception to EL1 starts.

    DEN0054C table 5 gives an event handler the PSTATE of AArch64.TakeException (Arm ARM), bit by
    bit::

        NZCV, DIT, UINJ    as interrupted
        PAN                as interrupted; 1 where the PE has it and SCTLR_EL1.SPAN is 0
        TCO                as interrupted; 1 with FEAT_MTE2
        ALLINT             with FEAT_NMI, not SCTLR_EL1.SPINTMASK
        SSBS               with FEAT_SSBS, SCTLR_EL1.DSSBS
        PM                 1 with exceptions for profiling
        EXLOCK             with FEAT_GCS, from EL1 itself: GCSCR_EL1.EXLOCKEN
        DAIF               1111
        M                  EL1h
        all others         0: UAO, SS, IL, BTYPE, PACM

    Parameters
    ----------
    old
        PSTATE as interrupted, in SPSR layout: that of AArch32 where nRW is set.
    sctlr
        SCTLR_EL1.
    features
        What the PE has.
    gcscr
        GCSCR_EL1, of a PE that has it.

    >>> hex(take_exception(0x2040_0C00, sctlr=1 << 23, features=PeFeatures()))
    '0x204003c5'
    """
    new = old & (NZCV | DIT | PAN | UINJ) | DAIF | EL1H
    if not old & NRW:  # there the bit belongs to IT
        new |= old & TCO
    if features.pan and not sctlr & SCTLR_SPAN:
        new |= PAN
    if features.mte2:
        new |= TCO
    if features.nmi and not sctlr & SCTLR_SPINTMASK:
        new |= ALLINT
    if features.ssbs and sctlr & SCTLR_DSSBS:
        new |= SSBS
    if features.profiling_exceptions:
        new |= PM
    if features.gcs and exception_level(old) == 1 and gcscr & GCSCR_EXLOCKEN:
        new |= EXLOCK
    return new


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
