"""Guest RAM: one buffer of the host, sparse until touched."""

import ctypes
import mmap
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from sdeiviz.errors import Error

PAGE: Final = 4096
PAGE_SHIFT: Final = 12
ZERO_PAGE: Final = bytes(PAGE)
_CHUNK: Final = 1 << 20
RAM_BASE: Final = 0x4000_0000
"""Where QEMU's `virt` has its RAM."""
DEFAULT_SIZE: Final = 128 << 20
MAX_SIZE: Final = 32 << 30


class GuestMemoryError(Error):
    """An access outside guest RAM, or a size of RAM that cannot be."""


class PageState(IntEnum):
    """Where a page is."""

    PRESENT = 0
    ABSENT = 1
    FETCHING = 2
    ZERO = 3


NOT_HERE: Final = (PageState.ABSENT, PageState.FETCHING)
"""States of a page whose content is elsewhere."""
_FEW: Final = 8
"""Pages."""


class PageAbsent(GuestMemoryError):
    """An access from the host to a page whose content is elsewhere."""


class GuestMemory:
    """RAM by intermediate physical address: ``memory[ipa:ipa + n]``, to read and to assign.

    Parameters
    ----------
    size
        Bytes, a multiple of 4 KiB.
    """

    def __init__(self, size: int) -> None:
        if size <= 0 or size % PAGE or size > MAX_SIZE:
            raise GuestMemoryError(
                f"guest memory of {size:#x} bytes: want a multiple of 4 KiB, "
                f"up to {MAX_SIZE >> 30} GiB"
            )
        self.base = RAM_BASE
        self.size = size
        try:
            self.buffer = mmap.mmap(
                -1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
            )
        except OSError:
            raise GuestMemoryError(
                f"not enough memory for a guest with {size >> 20} MiB of RAM"
            ) from None
        self.view = memoryview(self.buffer)
        self.words = self.view.cast("I")
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        self.on_write: Callable[[int, int], None] = lambda offset, size: None
        """Told of every write from the host: offset into RAM and length."""
        self.states: bytearray | None = None
        """A `PageState` for each page, where the host takes pages away."""

    def _range(self, key: object) -> tuple[int, int]:
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise TypeError("memory is read and written by slices: memory[ipa:ipa + n]")
        start, stop = key.start, key.stop
        if start is None or stop is None or not self.base <= start <= stop <= self.base + self.size:
            raise GuestMemoryError(
                f"no RAM at {_address(start)}-{_address(stop)}: "
                f"it is {self.base:#x}-{self.base + self.size:#x}"
            )
        start, stop = start - self.base, stop - self.base
        if self.states is not None and start < stop:
            self._require_present(start >> PAGE_SHIFT, (stop - 1 >> PAGE_SHIFT) + 1)
        return start, stop

    def _require_present(self, first: int, end: int) -> None:
        assert self.states is not None
        for page, state in enumerate(self.states[first:end], first):
            if state in NOT_HERE:
                raise PageAbsent(
                    f"the page at {self.base + (page << PAGE_SHIFT):#x} is absent: its content is"
                    " not in the host's memory now"
                )

    def __getitem__(self, key: slice) -> bytes:
        start, stop = self._range(key)
        return bytes(self.view[start:stop])

    def __setitem__(self, key: slice, data: bytes) -> None:
        start, stop = self._range(key)
        if len(data) != stop - start:
            raise GuestMemoryError(f"{len(data)} bytes do not fill {stop - start}")
        self.view[start:stop] = data
        self.on_write(start, len(data))

    def place(self, first: int, data: bytes | memoryview) -> None:
        """Put whole pages in place, from the one with that number on.

        Other threads go on meanwhile, for memory that is touched for the first time takes long; for
        a single page that is not worth it.

        Raises
        ------
        GuestMemoryError
            Not all of it would be in RAM.
        """
        start = first << PAGE_SHIFT
        if not 0 <= start <= self.size - len(data):
            raise GuestMemoryError(f"{len(data)} bytes have no place from page {first} on")
        if len(data) <= PAGE:
            self.view[start : start + len(data)] = data
            return
        source = data if isinstance(data, bytes) else ctypes.byref(ctypes.c_char.from_buffer(data))
        ctypes.memmove(self._address + start, source, len(data))

    def discard(self, first: int, count: int) -> None:
        """Make pages zero, and give them back to the host; a few are cleared in less time."""
        if sys.platform == "linux" and count > _FEW:
            self.buffer.madvise(mmap.MADV_DONTNEED, first << PAGE_SHIFT, count << PAGE_SHIFT)
        else:
            self.place(first, ZERO_PAGE * count)

    def is_absent(self, page: int) -> bool:
        """Tell whether a page's content is elsewhere; then the memory itself is not to be touched.

        Where the system keeps the page back (`sdeiviz.migration.userfault`), who touches it sleeps.
        """
        return self.states is not None and self.states[page] in NOT_HERE

    def some_absent(self, first: int, count: int) -> bool:
        """Tell whether one of some neighbours is absent."""
        if self.states is None:
            return False
        states = self.states[first : first + count]
        return any(state in states for state in NOT_HERE)

    def contains(self, ipa: int) -> bool:
        """Tell whether there is RAM at an address."""
        return self.base <= ipa < self.base + self.size

    def page(self, number: int) -> bytes:
        """Return a page's content by its number in RAM; zeros for one that is absent."""
        if self.is_absent(number):
            return ZERO_PAGE
        return bytes(self.view[number << PAGE_SHIFT : (number + 1) << PAGE_SHIFT])

    def used_pages(self) -> list[int]:
        """Return the numbers of the pages that are not zero."""
        pages = []
        zeros = bytes(_CHUNK)
        for start in range(0, self.size, _CHUNK):
            end = min(start + _CHUNK, self.size)
            numbers = range(start >> PAGE_SHIFT, end >> PAGE_SHIFT)
            some_absent = self.some_absent(numbers.start, len(numbers))
            if some_absent or self.buffer[start:end] != zeros[: end - start]:
                pages += [number for number in numbers if self.page(number) != ZERO_PAGE]
        return pages

    def clear(self) -> None:
        """Make all of RAM zero, and give it back to the host."""
        if sys.platform == "linux":
            self.discard(0, self.size >> PAGE_SHIFT)
        else:
            for number in self.used_pages():
                self.place(number, ZERO_PAGE)


def _address(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else repr(value)


_NORESERVE: Final = getattr(mmap, "MAP_NORESERVE", 0)
