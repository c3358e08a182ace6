"""Where pages are that are not in memory."""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from sdeiviz.machine.latency import Latency


class Store(Protocol):
    """Keeps pages and brings them back. Pages go by their number in RAM, time is virtual (ns)."""

    @property
    def deadline(self) -> int | None:
        """When `arrivals` is to be asked next, None: whoever brings a page will say so."""

    def request(self, page: int, time: int) -> None:
        """Begin to bring a page."""

    def arrivals(self, time: int) -> Sequence[tuple[int, bytes | None]]:
        """Return the pages that have arrived: (page, content or None for zeros), in order."""

    def put(self, page: int, data: bytes) -> None:
        """Keep a page that is taken out of memory."""

    def content(self, page: int) -> bytes:
        """Return what it keeps of a page; nobody waits for it."""

    def save(self) -> dict[str, Any]:
        """Return the store's state as plain values."""

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""


class Swap:
    """A disk or the like: so many requests at a time, each as long as the latency model says.

    Parameters
    ----------
    latency
        How long a request takes.
    depth
        How many requests are served at a time.
    place
        Nanoseconds from then until the page is in the host's memory.

    Examples
    --------
    >>> from sdeiviz.machine.latency import Constant
    >>> swap = Swap(Constant(100), depth=1)
    >>> swap.put(7, b"seven"), swap.put(8, b"eight")
    (None, None)
    >>> swap.request(7, time=1000)
    >>> swap.request(8, time=1000)
    >>> swap.deadline, swap.arrivals(1150), swap.deadline
    (1100, [(7, b'seven')], 1200)
    """

    def __init__(self, latency: Latency, depth: int, place: int = 0) -> None:
        self._latency = latency
        self._depth = depth
        self._place = place
        self._contents: dict[int, bytes] = {}
        self._number = 0
        self._busy: list[int] = []
        """When each of the requests that are being served is done; a heap."""
        self._due: list[tuple[int, int]] = []
        """(time, page) of what will arrive; a heap."""

    def __contains__(self, page: int) -> bool:
        return page in self._contents

    @property
    def deadline(self) -> int | None:
        """When the next page arrives."""
        return self._due[0][0] if self._due else None

    def request(self, page: int, time: int) -> None:
        """Begin to bring a page."""
        if len(self._busy) == self._depth:
            time = max(time, heappop(self._busy))
        done = time + self._latency.draw(self._number)
        self._number += 1
        heappush(self._busy, done)
        heappush(self._due, (done + self._place, page))

    def arrivals(self, time: int) -> list[tuple[int, bytes]]:
        """Return the pages that have arrived."""
        arrived = []
        while self._due and self._due[0][0] <= time:
            _, page = heappop(self._due)
            arrived.append((page, self._contents.pop(page)))
        return arrived

    def put(self, page: int, data: bytes) -> None:
        """Keep a page."""
        self._contents[page] = data

    def content(self, page: int) -> bytes:
        """Return what it keeps of a page."""
        return self._contents[page]

    def save(self) -> dict[str, Any]:
        """Return the store's state as plain values."""
        return {
            "contents": dict(self._contents),
            "number": self._number,
            "busy": tuple(self._busy),
            "due": tuple(self._due),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state: a heap as a tuple is a heap."""
        self._contents = dict(state["contents"])
        self._number = state["number"]
        self._busy = list(state["busy"])
        self._due = [(time, page) for time, page in state["due"]]
