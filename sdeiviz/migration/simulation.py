"""A migration in virtual time: both machines and the link between them on one clock.

The guest runs on the source while passes of pre-copy go over the link, stands during the switch,
and runs on the destination while the rest of its pages comes. The same state machines run over real
connections; here nothing depends on how fast this computer is, and a run repeats itself exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.machine import StopReason, VirtualMachine
from sdeiviz.machine.memory import PAGE_SHIFT
from sdeiviz.migration.destination import Destination, DestinationState
from sdeiviz.migration.guest import Arriving, Leaving, pages_of
from sdeiviz.migration.link import Link, LinkSpeed
from sdeiviz.migration.metrics import FaultLog, Faults, Timeline, report
from sdeiviz.migration.source import Source, SourceState

LONGEST: Final = 3_600_000_000_000
"""An hour of virtual time: no migration here takes longer."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to migrate."""

    speed: LinkSpeed
    passes: int = 0
    """Passes of pre-copy before the switch."""
    urgent: bool = False
    """A second channel for pages that were asked for (QEMU: postcopy-preempt)."""
    jump: bool = True
    """After a page that was asked for, the background goes on with its neighbours."""
    service: int = 0
    """Nanoseconds that the thread that serves missing pages takes for each."""
    place: int = 0
    """Nanoseconds that the destination takes to put a page in place, one thread a channel."""
    step: int = 100_000
    """Nanoseconds of virtual time for which source and link take turns in pre-copy."""

    def __post_init__(self) -> None:
        if self.passes < 0 or min(self.service, self.place) < 0 or self.step < 1:
            raise Error(f"no migration like this: {self}")


class _RemotePages:
    """The store of the destination's pager: the source, at the other end of the link."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._free = 0
        """When the thread that serves missing pages has nothing to do."""

    @property
    def deadline(self) -> int | None:
        """When a page may come, on the destination's clock: till then the guest need not stop."""
        simulation = self._simulation
        time = simulation.link.forward.next_delivery
        return None if time is None else max(time - simulation.offset, 0)

    def request(self, page: int, time: int) -> None:
        """Ask the source, once the serving thread has come to it."""
        simulation = self._simulation
        events = simulation.link.events
        begin = max(time + simulation.offset, self._free, events.now)
        self._free = begin + simulation.setup.service
        events.at(self._free, lambda: simulation.ask(page))

    def arrivals(self, time: int) -> list[tuple[int, bytes]]:
        """Let the link go on; what arrives is put in place by the destination."""
        self._simulation.advance(time + self._simulation.offset)
        return []

    def put(self, page: int, data: bytes) -> None:
        """Refuse: nothing is taken away during a migration."""
        raise Error("no page can be taken away while the others are still coming")

    def content(self, page: int) -> bytes:
        """Return a page as the source has it."""
        return self._simulation.leaving.read(page)

    def save(self) -> dict[str, Any]:
        """Return nothing: what is on the way belongs to no machine."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Take over nothing."""


class Simulation:
    """One guest, two machines, a link.

    Parameters
    ----------
    source
        The machine that the guest runs on.
    destination
        One like it, which has not run and has a pager.
    setup
        How to migrate.
    """

    def __init__(self, source: VirtualMachine, destination: VirtualMachine, setup: Setup) -> None:
        self.setup = setup
        self.leaving = Leaving(source)
        self.arriving = Arriving(destination)
        self.timeline = Timeline()
        self.faults = Faults(len(destination.vcpus))
        self._pages = pages = pages_of(source)
        self.source = Source(
            pages,
            self.leaving.read,
            self.leaving.dirty_log,
            urgent=setup.urgent,
            jump=setup.jump,
        )
        self.destination = Destination(pages, self.arriving)
        self.link = Link(
            self.source, self.destination, setup.speed, urgent=setup.urgent, take=setup.place
        )
        self.link.events.advance(source.time)
        self.offset = 0
        """The link's time minus the guest's, which stands during the switch."""
        first_gfn = destination.memory.base >> PAGE_SHIFT
        destination.trace = FaultLog(self.faults, first_gfn, destination.trace)
        assert destination.pager
        destination.pager.store = _RemotePages(self)

    @property
    def vm(self) -> VirtualMachine:
        """The machine that the guest runs on now."""
        return self.arriving.vm if self.arriving.running else self.leaving.vm

    @property
    def time(self) -> int:
        """Virtual time, in nanoseconds: the switch counts."""
        return max(self.vm.time + self.offset, self.link.now)

    @property
    def complete(self) -> bool:
        """Whether every page is there."""
        return self.arriving.running and self.destination.received == self._pages

    @property
    def done(self) -> bool:
        """Whether both sides know that every page is there, and what it should be."""
        return self.destination.state is DestinationState.END

    def content(self, page: int) -> bytes:
        """Return what the guest has in a page, on whichever side that is now."""
        if self.arriving.running and self.vm.pager:
            return self.vm.pager.content(page)
        return self.leaving.read(page)

    def ask(self, page: int) -> None:
        """Let the destination ask for a page, as soon as there is a connection."""
        if self.destination.runs:
            self.destination.fault(page)
            self.link.poke()

    def outage(self, begin: int, end: int | None = None) -> None:
        """Let the connection be lost, with all that is on the way then.

        Parameters
        ----------
        begin
            When, in nanoseconds from now on.
        end
            When there is another one; None for never.

        Raises
        ------
        Error
            It would be over before it begins, or is in the past.
        """
        if begin < self.link.now or (end is not None and end <= begin):
            raise Error(f"no outage from {begin} ns to {end} ns: it is {self.link.now} ns now")
        self.link.events.at(begin, self.link.cut)
        if end is not None:
            self.link.events.at(end, self._reconnect)

    def _reconnect(self) -> None:
        if self.source.state is SourceState.PAUSED:
            self.link.reconnect()

    # -- going on

    def migrate(self) -> None:
        """Go through all of it.

        Raises
        ------
        Error
            The guest stops, or it does not end.
        """
        self.switch()
        self.finish()

    def finish(self) -> None:
        """Let the guest run on the destination until both sides are done.

        Raises
        ------
        Error
            The guest stops, the connection is lost for good, or it does not end.
        """
        while not self.done:
            if not self.link.connected and self.link.next_time is None:
                missing = self._pages - self.destination.received
                raise Error(f"the source is lost: {missing} of {self._pages} pages are missing")
            if self.time > LONGEST:
                raise Error("this migration does not end")
            self.run_until(self.time + 10_000_000)

    def switch(self) -> None:
        """Make the passes of pre-copy, and hand the guest over.

        Raises
        ------
        Error
            The guest stops, or the connection is lost before the guest is there.
        """
        self.timeline.mark("start", self.time)
        self.source.start()
        while self.source.passes < self.setup.passes:
            time = self.time + self.setup.step
            self._run(self.leaving.vm, time)
            self.link.advance(time)
            self._check_source()
        self.timeline.mark("stop", self.time)
        self.source.switch(self.leaving.state())
        self.link.run(lambda: self.arriving.running)
        if not self.arriving.running:
            self._check_source()
            raise Error("the guest has not come to the destination")
        self.offset = self.link.now - self.arriving.vm.time
        self.timeline.mark("run", self.time)
        self.arriving.vm.timers_changed()

    def _check_source(self) -> None:
        if self.source.failure:
            raise Error(self.source.failure)

    def run_until(self, time: int) -> None:
        """Let the guest run until a time, where it is; once, until all its pages are there.

        Raises
        ------
        Error
            The guest stops, or the destination's RAM is not the source's.
        """
        self._run(self.vm, time - self.offset)
        if not self.arriving.running:
            self.link.advance(time)
        if self.complete and self.timeline.end is None:
            self.timeline.mark("end", self.time)
        if self.destination.state is DestinationState.FAILED:
            raise Error("the destination's RAM is not the source's")

    def advance(self, time: int) -> None:
        """Let what happens on the link happen up to a time, while the guest runs over there.

        The guest stops for a moment when the last page has come.
        """
        self.link.advance(time)
        if self.complete and self.timeline.end is None:
            self.vm.pause(StopReason.MOMENT, "every page is there")

    def _run(self, vm: VirtualMachine, time: int) -> None:
        stop = vm.run_until(time)
        if stop.reason.final:
            raise Error(f"the guest stopped: {stop.detail}")

    def report(self) -> dict[str, Any]:
        """Return everything about it as plain values."""
        return report(
            self.time,
            self.faults,
            self.timeline,
            self.source.counts(),
            self.destination.counts(),
            self.link.forward.sent,
        )


Make = Callable[[], VirtualMachine]
"""Makes a machine, twice the same."""
