"""The guest of the fourth notebook: two threads, on their way to another host."""

from collections import Counter
from typing import Any, Final

from sdeiviz.debugger import Recording, Session
from sdeiviz.experiment import Work, load_postcopy
from sdeiviz.experiment.runs import work_of
from sdeiviz.machine import Paging, VirtualMachine
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.record import MigrationRecord, Stage, Watched
from sdeiviz.migration.replay import replay
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.trace import ProbeHit, Trace

THREADS: Final = {"m": 1, "c": 1, "pages": 384, "touch": 1, "work": 3_000, "time": 60}
"""Options of the guest ``kernel``: 384 pages, 10 us of computing after each touch, for 60 ms."""
MEMORY: Final = 4 << 20
"""Bytes of RAM: 1,024 pages, more than half of them never written."""
START: Final = 20_000_000
"""Nanoseconds of the guest's time before it may move."""
BANDWIDTH: Final = 1_000_000_000
"""Bits a second: a page takes 33 us."""
DELAY: Final = 50_000
"""Nanoseconds one way."""
BUFFER: Final = 1 << 16
"""Bytes of the sender's buffer: half a millisecond."""


OUTAGE: Final = 2_000_000, 5_000_000
"""Nanoseconds from the guest's arrival to the loss of the connection, and how long that takes."""


class Moving(Simulation):
    """A guest that is to move, with all that happens noted.

    Parameters
    ----------
    setup
        How it moves.
    machine
        What `VirtualMachine` takes besides the name of the guest ``kernel``.
    """

    def __init__(self, setup: Setup, machine: dict[str, Any]) -> None:
        self._machine = machine
        source = VirtualMachine("kernel", **machine)
        assert isinstance(source.trace, Trace)
        self._past = source.trace
        source.run_until(START)
        super().__init__(source, VirtualMachine("kernel", **machine), setup)
        self._watched = Watched(self)

    def record(self) -> MigrationRecord:
        """Return what has happened until now, for the views of `sdeiviz.views.migration`."""
        return self._watched.record()

    def work(self) -> Work:
        """Return what the guest's threads have done, wherever it is now."""
        return work_of(self.vm, self.content)

    def left(self) -> list[int]:
        """Return how many pages had been written since they were sent, after each pass."""
        pages, end = Counter[int](), self.timeline.stop or self.time
        for change in self.record().changes:
            if change.stage is Stage.DIRTY and change.time <= end:
                pages[change.time] += change.pages
        return list(pages.values())

    def lose_connection(self) -> None:
        """Let the connection be lost for a while, soon after the guest's arrival (`OUTAGE`)."""
        begin = self.time + OUTAGE[0]
        self.outage(begin, begin + OUTAGE[1])

    def session(self) -> Session:
        """Return the destination to be debugged from the guest's arrival on, without its source.

        Raises
        ------
        Error
            The guest has not arrived.
        """
        source, machine = self.leaving.vm, VirtualMachine("kernel", **self._machine)
        replay(self.record(), source, machine)
        threads = [event for event in self._past if isinstance(event, ProbeHit)]
        return Session.over(Recording(machine, past=threads))


def moving(
    mode: str,
    *,
    vcpus: int = 1,
    passes: int = 1,
    urgent: bool = False,
    bandwidth: int = BANDWIDTH,
    delay: int = DELAY,
    buffer: int = BUFFER,
    **options: int | str,
) -> Moving:
    """Return a guest that is to move.

    Parameters
    ----------
    mode
        How a missing page is treated: one of `sdeiviz.apf.MODES`.
    vcpus
        How many; each has threads of its own.
    passes
        Of pre-copy before the switch.
    urgent
        Let pages that are asked for have a channel of their own.
    bandwidth
        Bits a second.
    delay
        Nanoseconds one way.
    buffer
        Bytes of each channel's buffer.
    options
        Of the guest, in place of those of `THREADS`.

    Examples
    --------
    >>> guest = moving("sync", pages=64, passes=0)
    >>> guest.migrate()
    >>> guest.record().report["destination"]["placed"]
    1024
    """
    parameters = load_postcopy()
    setup = Setup(
        LinkSpeed(bandwidth, delay, buffer),
        passes=passes,
        urgent=urgent,
        service=parameters.whole("host.service"),
        place=parameters.costs.place,
    )
    chosen = THREADS | options
    machine = {
        "memory": MEMORY,
        "vcpus": vcpus,
        "bootargs": " ".join(f"{name}={value}" for name, value in chosen.items()),
        "paging": Paging(mode, costs=parameters.costs),
    }
    return Moving(setup, machine)
