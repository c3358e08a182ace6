"""ACPI: the table by which firmware without a device tree says that there is SDEI."""

import struct
from typing import Final

_HEADER: Final = struct.Struct("<4sIBB6s8sI4sI")
"""Signature, length, revision, checksum; OEM, its table and revision; creator and its revision
(ACPI Specification 6.5, 5.2.6)."""
_CHECKSUM: Final = 9


def sdei_table() -> bytes:
    """Return the "SDEI" table: a header and nothing else (DEN0054C appendix D).

    Its presence is the message. Whether to call by HVC or SMC stands in the FADT, with PSCI's.

    Returns
    -------
    bytes
        36 of them, which add up to 0.

    Examples
    --------
    >>> len(sdei_table()), sum(sdei_table()) % 256
    (36, 0)
    """
    table = bytearray(
        _HEADER.pack(b"SDEI", _HEADER.size, 1, 0, b"SDEIVZ", b"SDEIVIZ ", 1, b"SDVZ", 1)
    )
    table[_CHECKSUM] = -sum(table) % 256
    return bytes(table)
