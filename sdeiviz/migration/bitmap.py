"""Sets of a machine's pages, a bit for each: those still to be sent, those received."""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator

from sdeiviz.errors import Error

_NOT_ZERO = re.compile(rb"[^\0]")


class BitmapError(Error):
    """Bytes that are no set of that many pages."""


class Bitmap:
    """A set of page numbers from 0 to `pages` - 1.

    Parameters
    ----------
    pages
        How many pages there are.
    full
        Begin with all of them; with none by default.

    Examples
    --------
    >>> dirty = Bitmap(10)
    >>> dirty.update([2, 3, 7])
    >>> [*dirty.runs()], dirty.next(4), dirty.next(8)
    ([(2, 2), (7, 1)], 7, 2)
    >>> [*dirty.inverted()]
    [0, 1, 4, 5, 6, 8, 9]
    """

    def __init__(self, pages: int, *, full: bool = False) -> None:
        self.pages = pages
        self._bits = bytearray(-(-pages // 8))
        """Page n is bit n % 8 of byte n // 8."""
        self._count = 0
        if full:
            self._set_all((1 << pages) - 1)

    def _set_all(self, bits: int) -> None:
        self._bits[:] = bits.to_bytes(len(self._bits), "little")
        self._count = bits.bit_count()

    def _value(self) -> int:
        return int.from_bytes(self._bits, "little")

    def __len__(self) -> int:
        return self._count

    def __contains__(self, page: int) -> bool:
        return 0 <= page < self.pages and bool(self._bits[page >> 3] & 1 << (page & 7))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bitmap):
            return NotImplemented
        return self.pages == other.pages and self._bits == other._bits

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[int]:
        for first, count in self.runs():
            yield from range(first, first + count)

    def add(self, page: int) -> bool:
        """Put a page in; False if it was there."""
        self.check(page)
        if page in self:
            return False
        self._bits[page >> 3] |= 1 << (page & 7)
        self._count += 1
        return True

    def discard(self, page: int) -> bool:
        """Take a page out; False if it was not there."""
        self.check(page)
        if page not in self:
            return False
        self._bits[page >> 3] &= ~(1 << (page & 7))
        self._count -= 1
        return True

    def count_run(self, first: int, count: int) -> int:
        """Return how many of some neighbours are members."""
        bits = int.from_bytes(self._bits[first >> 3 : first + count + 7 >> 3], "little")
        return (bits >> (first & 7) & (1 << count) - 1).bit_count()

    def add_run(self, first: int, count: int) -> int:
        """Put neighbours in; returns how many were not there."""
        return self._change_run(first, count, lambda bits, mask: bits | mask)

    def discard_run(self, first: int, count: int) -> int:
        """Take neighbours out; returns how many were there."""
        return -self._change_run(first, count, lambda bits, mask: bits & ~mask)

    def _change_run(self, first: int, count: int, change: Callable[[int, int], int]) -> int:
        """Change the bits of neighbours; returns by how many members there are more now."""
        if count:
            self.check(first)
            self.check(first + count - 1)
        begin, end = first >> 3, first + count + 7 >> 3
        before = int.from_bytes(self._bits[begin:end], "little")
        after = change(before, (1 << count) - 1 << (first & 7))
        self._bits[begin:end] = after.to_bytes(end - begin, "little")
        more = after.bit_count() - before.bit_count()
        self._count += more
        return more

    def check(self, page: int) -> None:
        """Refuse a number that no page has."""
        if not 0 <= page < self.pages:
            raise BitmapError(f"no page {page}: they are numbered 0 to {self.pages - 1}")

    def update(self, pages: Iterable[int]) -> None:
        """Put pages in."""
        for page in pages:
            self.add(page)

    def next(self, cursor: int) -> int | None:
        """Return the first page from a cursor on, then from the start again; None if empty."""
        if not self._count:
            return None
        for page in range(cursor, min(cursor + 7 & ~7, self.pages)):
            if page in self:
                return page
        found = _NOT_ZERO.search(self._bits, cursor + 7 >> 3) or _NOT_ZERO.search(self._bits)
        assert found
        lowest = self._bits[found.start()]
        return found.start() * 8 + (lowest & -lowest).bit_length() - 1

    def run(self, page: int, most: int) -> int:
        """Return how many neighbours from a page on are members, itself included, up to a limit."""
        if most == 1:
            return int(page in self)
        end = min(page + most, self.pages)
        bits = int.from_bytes(self._bits[page >> 3 : end + 7 >> 3], "little") >> (page & 7)
        absent = ~bits & (1 << end - page) - 1
        return (absent & -absent).bit_length() - 1 if absent else end - page

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield neighbours together, as (first page, how many)."""
        digits = f"{self._value():0{self.pages}b}"[::-1]
        for run in re.finditer("1+", digits):
            yield run.start(), run.end() - run.start()

    def copy(self) -> "Bitmap":
        """Return a set of the same pages."""
        copy = Bitmap(self.pages)
        copy._set_all(self._value())
        return copy

    def inverted(self) -> "Bitmap":
        """Return the set of all other pages."""
        inverted = Bitmap(self.pages)
        inverted._set_all(self._value() ^ (1 << self.pages) - 1)
        return inverted

    def __or__(self, other: "Bitmap") -> "Bitmap":
        union = Bitmap(max(self.pages, other.pages))
        union._set_all(self._value() | other._value())
        return union

    def __and__(self, other: "Bitmap") -> "Bitmap":
        common = Bitmap(min(self.pages, other.pages))
        common._set_all(self._value() & other._value())
        return common

    def pack(self) -> bytes:
        """Return it as bytes for the wire, compressed (RFC 1950)."""
        return zlib.compress(self._bits)

    @classmethod
    def unpack(cls, pages: int, data: bytes) -> "Bitmap":
        """Return the set that `pack` made of one of so many pages.

        Raises
        ------
        BitmapError
            The bytes are damaged, or hold more or fewer bits; no more than these are unpacked.
        """
        bitmap = cls(pages)
        size = len(bitmap._bits)
        unpacker = zlib.decompressobj()
        try:
            # A limit of 0 would be none.
            bits = unpacker.decompress(data, size + 1)
        except zlib.error as error:
            raise BitmapError(f"a damaged bitmap ({error})") from None
        if len(bits) != size or not unpacker.eof or unpacker.unused_data:
            raise BitmapError(f"a bitmap that is not of {pages} pages")
        value = int.from_bytes(bits, "little")
        if value >> pages:
            raise BitmapError(f"a bitmap with pages beyond the last, {pages - 1}")
        bitmap._set_all(value)
        return bitmap
