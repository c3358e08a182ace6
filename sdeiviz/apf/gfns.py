"""The page numbers in flight on one vCPU: a small open-addressing table (v4 patch 3)."""

from collections.abc import Iterable
from typing import Final

from sdeiviz.abi.apf import SLOTS
from sdeiviz.abi.smccc import MASK32

_GOLDEN_RATIO: Final = 0x61C8_8647
"""Multiplier of the kernel's 32-bit hash."""
_HASH_BITS: Final = SLOTS.bit_length() - 1


def home(gfn: int) -> int:
    """Return where a page number belongs: the top 6 bits of a product of its low 32 bits.

    >>> [home(gfn) for gfn in (0, 1, 2, 1 << 32 | 2)]
    [0, 24, 48, 48]
    """
    return (gfn & MASK32) * _GOLDEN_RATIO % (1 << 32) >> 32 - _HASH_BITS


class GfnSlots:
    """A set of at most 64 guest page numbers, so that no page is announced twice on one vCPU.

    Parameters
    ----------
    places
        As `save` returned them; None for an empty table.
    """

    def __init__(self, places: Iterable[int | None] | None = None) -> None:
        self._places: list[int | None] = list(places or [None] * SLOTS)

    def __contains__(self, gfn: int) -> bool:
        return self._places[self._probe(gfn)] == gfn

    def __len__(self) -> int:
        return SLOTS - self._places.count(None)

    def _probe(self, gfn: int) -> int:
        """Return the place of a number, or the free one that ends its run of neighbours."""
        places, place = self._places, home(gfn)
        for _ in range(SLOTS):
            if places[place] is None or places[place] == gfn:
                break
            place = (place + 1) % SLOTS
        return place

    def add(self, gfn: int) -> None:
        """Put a number that is not in it into a table that is not full."""
        place = self._probe(gfn)
        assert self._places[place] is None
        self._places[place] = gfn

    def discard(self, gfn: int) -> None:
        """Take a number out, if it is in.

        What follows in its run moves back into the gap where its home allows: a search ends at the
        first free place.
        """
        gap = place = self._probe(gfn)
        if self._places[gap] != gfn:
            return
        self._places[gap] = None
        for _ in range(SLOTS - 1):
            place = (place + 1) % SLOTS
            follower = self._places[place]
            if follower is None:
                return
            # How far it may move back is how far it is from home.
            if (place - home(follower)) % SLOTS >= (place - gap) % SLOTS:
                self._places[gap], self._places[place] = follower, None
                gap = place

    def clear(self) -> None:
        """Empty the table."""
        self._places = [None] * SLOTS

    def save(self) -> tuple[int | None, ...]:
        """Return all 64 places, None where one is free."""
        return tuple(self._places)
