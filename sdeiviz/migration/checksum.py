"""One digest of a whole RAM, that both sides can work out: the destination as pages come.

The destination's guest runs and writes while pages arrive, so that its RAM is compared as it was
placed, and not as it is in the end. The source's stands still from the switch on: what it sends
then need not be read twice. What it sent before is read again, so that a write that the dirty log
has lost is found.
"""

import hashlib
import struct
import zlib
from typing import Final

from sdeiviz.machine.memory import PAGE, ZERO_PAGE

SUM: Final = 4
"""Bytes of a page's sum."""


def page_sums(data: bytes | memoryview) -> bytes:
    """Return the CRC-32 of each page of some data, 4 bytes, big-endian."""
    with memoryview(data) as view:
        sums = [zlib.crc32(view[at : at + PAGE]) for at in range(0, len(view), PAGE)]
    return struct.pack(f">{len(sums)}I", *sums)


_ZERO_PAGE: Final = page_sums(ZERO_PAGE)


class PageSums:
    """CRC-32 of every page of a RAM that begins as zeros.

    Parameters
    ----------
    pages
        How many there are.
    """

    def __init__(self, pages: int) -> None:
        self._sums = bytearray(_ZERO_PAGE * pages)

    def put(self, first: int, count: int, sums: bytes) -> None:
        """Note the sums of neighbours as `page_sums` returns them; none at all for zeros."""
        self._sums[first * SUM : (first + count) * SUM] = sums or _ZERO_PAGE * count

    def digest(self) -> bytes:
        """Return SHA-256 over all sums, in the order of the pages."""
        return hashlib.sha256(self._sums).digest()
