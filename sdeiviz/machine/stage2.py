"""Stage-2 translation: which guest addresses lead to RAM, and which pages were written.

Tables for 4 KiB pages in memory that only the hypervisor has (Arm ARM D8.2): 39 bits of
intermediate address, walked by the core itself from level 1. Addresses map to themselves; whatever
is not RAM stays a hole, so that devices and mistakes arrive as aborts.

A page without write permission is how a write is noticed, as KVM's dirty log does it.
"""

import mmap
from array import array
from collections.abc import Iterable
from typing import Final

from sdeiviz.machine.memory import PAGE, PAGE_SHIFT, GuestMemory, GuestMemoryError

TABLES_BASE: Final = 0x40_0000_0000
"""Where the tables stand in physical memory: nothing maps it, so no guest can reach it."""

_TABLE: Final = 0b11
_PAGE: Final = 0b11 | 0xF << 2 | 3 << 8 | 1 << 10
"""Valid, normal memory, inner shareable, accessed."""
_READ: Final = 1 << 6
_WRITE: Final = 1 << 7
_ENTRIES: Final = 512


class Stage2:
    """The tables of one machine, shared by its cores.

    Parameters
    ----------
    memory
        The RAM to map.

    Raises
    ------
    GuestMemoryError
        The host has no room for the tables.
    """

    def __init__(self, memory: GuestMemory) -> None:
        self._memory = memory
        self._pages = memory.size >> PAGE_SHIFT
        level3 = -(-self._pages // _ENTRIES)
        level2 = -(-level3 // _ENTRIES)
        try:
            self.tables = mmap.mmap(-1, PAGE * (1 + level2 + level3))
        except OSError:
            raise GuestMemoryError("not enough memory for the stage-2 tables of a guest") from None
        words = memoryview(self.tables).cast("Q")
        level2_base, level3_base = TABLES_BASE + PAGE, TABLES_BASE + PAGE * (1 + level2)
        for n in range(level2):
            words[(memory.base >> 30) + n] = level2_base + PAGE * n | _TABLE
        for n in range(level3):
            words[_ENTRIES + n] = level3_base + PAGE * n | _TABLE
        self._entries = words[_ENTRIES * (1 + level2) :]
        self._map_all(_READ | _WRITE)
        self._unmapped: set[int] = set()
        self._read_only: set[int] = set()
        self.dirty: set[int] | None = None
        """Pages written since `protect`, by number in RAM; None while nobody asks."""

    @property
    def root(self) -> int:
        """Physical address of the level-1 table, for VTTBR_EL2."""
        return TABLES_BASE

    def _map_all(self, rights: int) -> None:
        """Write every page's entry: RAM maps to itself."""
        start, end = self._memory.base, self._memory.base + self._memory.size
        entries = range(start | _PAGE | rights, end | _PAGE | rights, PAGE)
        self._entries[: self._pages] = array("Q", entries)

    def protect(self) -> None:
        """Start a new log: no page counts as written, and every page tells when it is.

        The caller flushes the cores' TLBs: entries lose a right.
        """
        if self.dirty is None:
            self._map_all(_READ)
            for n in self._unmapped:
                self._entries[n] = 0
        else:
            for n in self.dirty:
                self._entries[n] &= ~_WRITE
        self.dirty = set()

    def map_page(self, page: int, *, writable: bool) -> None:
        """Map a page by its number in RAM; where writes are being logged, the first one exits.

        Without `writable`, every write exits. Where a right is taken away, the caller flushes the
        cores' TLBs.
        """
        self._unmapped.discard(page)
        (self._read_only.discard if writable else self._read_only.add)(page)
        may_write = writable and (self.dirty is None or page in self.dirty)
        address = self._memory.base + (page << PAGE_SHIFT)
        self._entries[page] = address | _PAGE | _READ | (_WRITE if may_write else 0)

    def unmap_page(self, page: int) -> None:
        """Let every access to a page exit; the caller flushes the cores' TLBs."""
        self.unmap_pages(page, 1)

    def unmap_pages(self, first: int, count: int) -> None:
        """Let every access to neighbours exit; the caller flushes the cores' TLBs."""
        self._unmapped.update(range(first, first + count))
        self._entries[first : first + count] = memoryview(bytes(8 * count)).cast("Q")

    def _may_be_written(self, page: int) -> bool:
        return page not in self._unmapped and page not in self._read_only

    def written(self, ipa: int) -> bool:
        """Note a write that a protected page refused, and let it pass from now on.

        Returns False where the page was not protected: the abort has another reason.
        """
        page = (ipa - self._memory.base) >> PAGE_SHIFT
        if self.dirty is None or not 0 <= page < self._pages or self._entries[page] & _WRITE:
            return False
        if not self._may_be_written(page):
            return False
        self._entries[page] |= _WRITE
        self.dirty.add(page)
        return True

    def written_by_host(self, offset: int, size: int) -> None:
        """Note a write from outside the guest: offset into RAM and length in bytes."""
        if size:
            self.mark_dirty(range(offset >> PAGE_SHIFT, (offset + size - 1 >> PAGE_SHIFT) + 1))

    def mark_dirty(self, pages: Iterable[int]) -> None:
        """Put pages into the log as if they had been written."""
        if self.dirty is not None:
            for page in pages:
                if self._may_be_written(page):
                    self._entries[page] |= _WRITE
                self.dirty.add(page)
