"""One digest of a whole RAM, that both sides can work out: the destination as pages come.

The destination's guest runs and writes while pages arrive, so that its RAM is compared as it was
placed, and not as it is in the end. The source's stands still.
"""

import hashlib
import sys
import zlib
from array import array
from typing import Final

from sdeiviz.machine.memory import PAGE, ZERO_PAGE

_ZERO_PAGE: Final = zlib.crc32(ZERO_PAGE)


class PageSums:
    """CRC-32 of every page of a RAM that begins as zeros.

    Parameters
    ----------
    pages
        How many there are.
    """

    def __init__(self, pages: int) -> None:
        self._sums = array("I", [_ZERO_PAGE]) * pages

    def put(self, page: int, data: bytes | None) -> None:
        """Note a page's content, None for zeros."""
        self._sums[page] = _ZERO_PAGE if data is None else zlib.crc32(data)

    def put_pages(self, first: int, count: int, data: bytes | None) -> None:
        """Note the content of neighbours, None for zeros."""
        for n in range(count):
            at = n * PAGE
            if data is None or data.startswith(ZERO_PAGE, at):
                self._sums[first + n] = _ZERO_PAGE
            else:
                self._sums[first + n] = zlib.crc32(data[at : at + PAGE])

    def digest(self) -> bytes:
        """Return SHA-256 over all sums, each 4 bytes, big-endian, in the order of the pages."""
        sums = array("I", self._sums)
        if sys.byteorder == "little":
            sums.byteswap()
        return hashlib.sha256(sums).digest()
