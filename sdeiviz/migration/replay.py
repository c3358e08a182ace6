"""A migration that is over, without its link: the guest comes again, each page when it came.

What a guest did on the destination depends on nothing but its state at the switch and on when its
pages were there. The source, which stands since, has the one; the record has the other.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.machine import VirtualMachine
from sdeiviz.migration.guest import Arriving, Leaving, pages_of
from sdeiviz.migration.record import MigrationRecord, Stage

_HERE: Final = {Stage.ARRIVED, Stage.ZERO}


class _Arrivals:
    """The store of a destination whose pages come at known times, asked for or not.

    Parameters
    ----------
    due
        When each page comes on the guest's clock, its number, and whether it is zero; in order.
    read
        Returns a page's content.
    """

    def __init__(self, due: Sequence[tuple[int, int, bool]], read: Callable[[int], bytes]) -> None:
        self._due = due
        self._read = read
        self._next = 0

    @property
    def deadline(self) -> int | None:
        """When the next page comes."""
        return self._due[self._next][0] if self._next < len(self._due) else None

    def request(self, page: int, time: int) -> None:
        """Do nothing: what it was good for is known."""

    def arrivals(self, time: int) -> list[tuple[int, bytes | None]]:
        """Return the pages that have come, None for one of zeros."""
        came: list[tuple[int, bytes | None]] = []
        while self._next < len(self._due) and self._due[self._next][0] <= time:
            _, page, zero = self._due[self._next]
            came.append((page, None if zero else self._read(page)))
            self._next += 1
        return came

    def put(self, page: int, data: bytes) -> None:
        """Refuse: nothing was taken away during the migration."""
        raise Error("no page can be taken away while the others are still coming")

    def content(self, page: int) -> bytes:
        """Return a page as the source has it."""
        return self._read(page)

    def save(self) -> dict[str, Any]:
        """Return how many pages have come."""
        return {"next": self._next}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self._next = state["next"]


def replay(record: MigrationRecord, source: VirtualMachine, destination: VirtualMachine) -> None:
    """Put a machine where the guest arrived; it runs on as it did then, and needs no link.

    Parameters
    ----------
    record
        Of a migration in virtual time.
    source
        The machine that the guest left.
    destination
        One like it, which has not run and has a pager.

    Raises
    ------
    Error
        The guest has not arrived, or the record has forgotten how.
    """
    run = record.phases["run"]
    if run is None or record.clock != "virtual":
        raise Error("only a guest that has arrived, in virtual time, can arrive again")
    if record.left_out["messages"] or record.known_since() > run:
        raise Error("this record has forgotten when pages came: record with a higher limit")
    if destination.index or record.pages != pages_of(destination):
        raise Error(f"a guest of {record.pages} pages arrives on such a machine that has not run")
    leaving, arriving = Leaving(source), Arriving(destination)
    offset = run - source.time
    due = [
        (passage.delivered - offset, passage.first, passage.zero)
        for passage in record.messages
        if passage.kind == "Page" and passage.first is not None
        if passage.delivered is not None and passage.delivered >= run
    ]
    assert destination.pager
    destination.pager.store = _Arrivals(sorted(due, key=lambda one: one[0]), leaving.read)
    arriving.discard(0, record.pages)
    for page, stage in enumerate(record.stages(run)):
        if stage in _HERE:
            arriving.place(page, None if stage == Stage.ZERO else leaving.read(page))
    arriving.load(leaving.state())
