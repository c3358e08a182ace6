"""Migration between two processes: `serve` where the guest comes to, `migrate` where it leaves.

Each side has two threads. The loop's thread does the network (`sdeiviz.migration.transport`). The
guest's thread alone touches the machine and the side's states: it lets the guest run in slices,
and looks at what has come between two of them. A slice ends at once when something comes.

All times here are wall time.
"""

import ipaddress
import mmap
import secrets
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from sdeiviz.errors import Error
from sdeiviz.machine import Stop, StopReason, VirtualMachine
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.memory import PAGE, PageAbsent
from sdeiviz.machine.scheduler import FOREVER
from sdeiviz.machine.store import Swap
from sdeiviz.migration.destination import Destination, DestinationState
from sdeiviz.migration.guest import Arriving, Leaving, pages_of
from sdeiviz.migration.handshake import Handshake
from sdeiviz.migration.metrics import PHASES, FaultLog, Faults, Timeline, report
from sdeiviz.migration.source import Source, SourceState
from sdeiviz.migration.transport import (
    Address,
    Arrived,
    Channel,
    Closed,
    Event,
    Inbox,
    Missing,
    Network,
    Opened,
    TransportError,
)
from sdeiviz.migration.userfault import LinuxUserfault
from sdeiviz.migration.wire import (
    MAX_RUN,
    Hello,
    Packaged,
    Page,
    Pages,
    Ping,
    Pong,
    Purpose,
    Role,
    WireError,
)
from sdeiviz.trace import TraceSink

TIMEOUT: Final = 10.0
"""Seconds of silence after which a connection counts as lost."""
PATIENCE: Final = 60.0
"""Seconds for which a destination waits for a source that it has lost."""
TRIES: Final = 10
"""How often a source tries to reach a destination that it has lost, without sending a page."""
SLOWEST: Final = 1 << 16
"""Bytes a second: with less, a single page might look like silence."""
_LOOK: Final = 0.05
"""Seconds after which a sleeping thread looks around."""
_TELL: Final = 0.1
"""Seconds from one report of progress to the next."""
_BATCH: Final = 8
"""Messages between two slices of the guest."""
_TURN: Final = 20_000
"""Instructions of such a slice while there is more to send, or to be taken."""
_PRECOPY_BUFFER: Final = 4 << 20
_POSTCOPY_BUFFER: Final = MAX_RUN * PAGE
"""A page that was asked for waits behind what is in the buffer, where there is one channel."""
_BEAT, _HANDED_OVER, _GOODBYE = 2, 3, 4
"""What the source's Pings say: it is still there; the package was sent before; it knows the end."""

Progress = Callable[[dict[str, Any]], None]
"""Told now and then how far a migration is: `state`, `done` of `pages`, `bytes`."""


class MigrationError(Error):
    """A migration that did not come to its end.

    Attributes
    ----------
    may_run_on
        The guest has not been handed over: on the source it may go on.
    """

    def __init__(self, message: str, *, may_run_on: bool = False) -> None:
        super().__init__(message)
        self.may_run_on = may_run_on


class Recorder(Protocol):
    """Moves the guest over there, and notes each page that comes as an input.

    `sdeiviz.debugger.recording.Recording` is one.
    """

    observer: TraceSink | None

    def advance(self, target: int) -> Stop | None:
        """Go on towards an index for a slice of host time."""

    def act(self, method: str, *arguments: Any) -> Any:
        """Call a method of the machine."""


# -- what both sides have


class _Side(ABC):
    """One side: its connections, its clock, its thread."""

    def __init__(
        self, vm: VirtualMachine, secret: bytes | None, timeout: float, progress: Progress | None
    ) -> None:
        if timeout <= 0:
            raise Error(f"a timeout of {timeout:g} s: want more than nothing")
        self._vm = vm
        self._secret = secret
        self._timeout = timeout
        self._progress = progress
        self._pages = pages_of(vm)
        self._shape = vm_state.shape(vm)
        self._inbox = Inbox()
        self._network = Network()
        self._session: bytes | None = None
        self._main: Channel | None = None
        self._urgent: Channel | None = None
        self._used: list[Channel] = []
        self._losses = 0
        self._reason = ""
        """Why the connection was lost last."""
        self._timeline = Timeline()
        self._faults = Faults(len(vm.vcpus))
        self._cancelled = False
        self._failure: BaseException | None = None
        self._told = 0.0
        self._thread = threading.Thread(target=self._work, name="guest that migrates", daemon=True)

    def _work(self) -> None:
        try:
            self._go_through()
        except MemoryError:
            self._failure = MigrationError("there is not enough memory here to go on")
        except BaseException as error:
            self._failure = error
        finally:
            self._network.close()

    @abstractmethod
    def _go_through(self) -> None:
        """Be this side of the migration, from its beginning to its end."""

    def _cancel(self) -> None:
        self._cancelled = True
        self._inbox.wake()

    def _use(self, channel: Channel, purpose: Purpose) -> None:
        if purpose is Purpose.URGENT:
            self._urgent = channel
        else:
            self._main = channel
        self._used.append(channel)

    def _is_ours(self, channel: Channel) -> bool:
        return channel in (self._main, self._urgent)

    def _drop(self, reason: str) -> None:
        """Count the connection as lost."""
        for channel in (self._main, self._urgent):
            if channel:
                channel.close(reason)
        self._main = self._urgent = None
        self._losses += 1
        self._reason = reason

    def _check_silence(self) -> str:
        """Return why the connection counts as lost, "" where it does not."""
        if self._main and monotonic() - self._main.heard > self._timeout:
            return f"nothing came for {self._timeout:g} s"
        return ""

    def _read_on(self) -> None:
        for channel in (self._main, self._urgent):
            if channel:
                channel.read_on()

    def _run_slice(self, run: Callable[[int], Stop | None], *, short: bool = False) -> Stop | None:
        """Let the guest run until something comes; only for a turn where something waits."""
        if short or len(self._inbox):
            return run(self._vm.index + _TURN)
        self._inbox.on_event = self._vm.end_slice
        try:
            return None if len(self._inbox) else run(FOREVER)
        finally:
            self._inbox.on_event = lambda: None

    def _mark(self, moment: str) -> None:
        """Note a moment, and those before it that this side cannot have seen."""
        for name in PHASES[: PHASES.index(moment) + 1]:
            if getattr(self._timeline, name) is None:
                self._timeline.mark(name, monotonic_ns())

    def _tell(self, state: str, done: int, *, now: bool = False) -> None:
        if self._progress and (now or monotonic() - self._told > _TELL):
            self._told = monotonic()
            moved = sum(channel.sent + channel.received for channel in self._used)
            self._progress({"state": state, "done": done, "pages": self._pages, "bytes": moved})

    def _report(
        self, side: str, source: dict[str, int], destination: dict[str, int], sent: list[int]
    ) -> dict[str, Any]:
        return {
            "side": side,
            "clock": "wall, ns",
            "session": self._session.hex() if self._session else None,
            "losses": self._losses,
            **report(monotonic_ns(), self._faults, self._timeline, source, destination, sent),
        }

    def _bytes(self, count: Callable[[Channel], int]) -> list[int]:
        """Return a count of all connections there were, by kind."""
        main, urgent = 0, 0
        for channel in self._used:
            if channel.purpose is Purpose.URGENT:
                urgent += count(channel)
            else:
                main += count(channel)
        return [main, urgent] if urgent else [main]


# -- the destination


class _RemotePages:
    """The store of the destination's pager: the source, and a swap for what is taken away here."""

    def __init__(self, vm: VirtualMachine, ask: Callable[[int], None]) -> None:
        assert vm.paging
        self._ask = ask
        self._swap = Swap(vm.paging.latency, vm.paging.depth, vm.paging.costs.place)

    @property
    def deadline(self) -> int | None:
        """When a page arrives from the swap: those of the source come when they come."""
        return self._swap.deadline

    def request(self, page: int, time: int) -> None:
        """Ask for a page."""
        if page in self._swap:
            self._swap.request(page, time)
        else:
            self._ask(page)

    def arrivals(self, time: int) -> list[tuple[int, bytes]]:
        """Return what has arrived from the swap."""
        return self._swap.arrivals(time)

    def put(self, page: int, data: bytes) -> None:
        """Keep a page."""
        self._swap.put(page, data)

    def content(self, page: int) -> bytes:
        """Return a page, unless the source has it."""
        if page in self._swap:
            return self._swap.content(page)
        raise PageAbsent(f"page {page:#x} has not come yet")

    def save(self) -> dict[str, Any]:
        """Return the swap's state: what is on the way belongs to no machine."""
        return self._swap.save()

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self._swap.load(state)


class _Guest(Arriving):
    """The machine, to which pages come as inputs of its recording once it runs."""

    def __init__(
        self, vm: VirtualMachine, prepare: Callable[[], None], start: Callable[[], Recorder | None]
    ) -> None:
        super().__init__(vm)
        self._prepare = prepare
        self._start = start
        self.recorder: Recorder | None = None

    def discard(self, first: int, count: int) -> None:
        """Make pages absent."""
        self._prepare()
        super().discard(first, count)

    def _act(self, method: str, *arguments: Any) -> Any:
        if self.recorder:
            return self.recorder.act(method, *arguments)
        return getattr(self.vm, method)(*arguments)

    def place(self, page: int, data: bytes | None) -> bool:
        """Put a page in place."""
        if not self.running:
            return super().place(page, data)
        return bool(self._act("place_page", page, data))

    def place_pages(self, first: int, count: int, data: bytes | None) -> int:
        """Put neighbours in place."""
        if not self.running:
            return super().place_pages(first, count, data)
        return int(self._act("place_pages", first, count, data))

    def run(self) -> None:
        """Let the guest run."""
        super().run()
        self.recorder = self._start()

    def advance(self, target: int) -> Stop | None:
        """Let the guest run for a slice of host time, to an index at most."""
        return self.recorder.advance(target) if self.recorder else self.vm.run_slice(target)


class _WatchedUserfault(LinuxUserfault):
    """Missing pages of the system, whose messages the loop reads."""

    def __init__(self, buffer: mmap.mmap, network: Network, inbox: Inbox) -> None:
        super().__init__(buffer)
        self._network = network

        def serve() -> None:
            for fault in self.read():
                inbox.put(Missing(fault.page))

        network.watch(self.fileno(), serve)

    def close(self) -> None:
        """Serve no more."""
        self._network.unwatch(self.fileno())
        super().close()


class Serving(_Side):
    """A machine that waits for its guest, made by `serve`."""

    def __init__(
        self,
        vm: VirtualMachine,
        address: Address,
        *,
        secret: bytes | None,
        timeout: float,
        patience: float,
        linux: bool,
        record: Callable[[VirtualMachine], Recorder] | None,
        progress: Progress | None,
    ) -> None:
        super().__init__(vm, secret, timeout, progress)
        self._patience = patience
        self._linux = linux
        self._record = record
        self._lost_at: float | None = None
        self._standing = ""
        """Why the guest does not run, though its machine might."""
        self._known = False
        """The source has said that it knows of the end."""
        self._sink = vm.trace
        self.refused: deque[str] = deque(maxlen=16)
        """Who was not let in, and why."""
        try:
            self._guest = _Guest(vm, self._guard, self._begin)
            self._destination = Destination(self._pages, self._guest)
            assert vm.pager
            self._store = vm.pager.store = _RemotePages(vm, self._need)
            self.address = self._network.listen(address, self._new_channel)
        except BaseException:
            self._network.close()
            raise
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def recording(self) -> Recorder | None:
        """What `record` has made, once the guest is here."""
        return self._guest.recorder

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait until all is here; then the machine is the caller's again, and its guest runs on.

        Parameters
        ----------
        timeout
            Seconds; None for as long as it takes.

        Returns
        -------
        dict
            What the migration was like, as seen from here: `sdeiviz.migration.metrics.report`.

        Raises
        ------
        Error
            It has failed, or is not over in that time.
        """
        _join(self._thread, timeout)
        if self._thread.is_alive():
            raise Error(f"the migration is not over after {timeout:g} s")
        if self._failure:
            raise self._failure
        return self._report(
            "destination",
            {},
            self._destination.counts(),
            self._bytes(lambda channel: channel.received),
        )

    def close(self) -> None:
        """Stop waiting, or end the migration where it is."""
        self._cancel()
        self._thread.join()

    # in the loop's thread

    def _new_channel(self) -> Channel:
        handshake = Handshake(
            Role.DESTINATION, self._shape, session=self._session, secret=self._secret
        )
        return Channel(self._inbox, handshake, self._timeout, self._admit, self._adopt)

    def _admit(self, hello: Hello) -> None:
        if hello.purpose != Purpose.NEW and hello.session != self._session:
            raise WireError("there is no such migration")

    def _adopt(self, channel: Channel) -> None:
        if channel.purpose is Purpose.NEW:
            if self._session:
                raise WireError("a migration to here is on its way already")
            self._session = channel.session

    # in the guest's thread

    def _go_through(self) -> None:
        try:
            self._receive_all()
        finally:
            self._release()

    def _receive_all(self) -> None:
        while not self._is_over():
            for _ in range(_BATCH):
                if self._known or (event := self._inbox.take()) is None:
                    self._read_on()
                    break
                self._handle(event)
                if self._destination.state is DestinationState.FAILED:
                    raise MigrationError("the guest's RAM is not the source's: it was damaged")
            if self._cancelled:
                raise MigrationError("the migration was ended here")
            if reason := self._check_silence():
                self._lose(reason)
            self._tell(str(self._destination.state), self._destination.received)
            if self._guest.running and not self._vm.stopped and not self._standing:
                self._go_on()
            elif not len(self._inbox):
                self._inbox.wait(_LOOK)
        self._tell(str(self._destination.state), self._destination.received, now=True)

    def _is_over(self) -> bool:
        if self._known:
            return True
        if self._lost_at is None:
            return False
        alone = monotonic() - self._lost_at
        if self._destination.state is DestinationState.END:
            return alone > min(2 * self._timeout, self._patience)
        if alone <= self._patience:
            return False
        if not self._destination.runs:
            raise MigrationError(
                f"the source was lost before the guest was here ({self._reason}), and has not come"
                f" back for {self._patience:g} s"
            )
        missing = self._pages - self._destination.received
        raise MigrationError(
            f"the source was lost ({self._reason}), and has not come back for"
            f" {self._patience:g} s: {missing} of {self._pages} pages are missing for good"
        )

    def _go_on(self) -> None:
        try:
            stop = self._run_slice(self._guest.advance)
        except Error as error:
            self._standing = str(error)
        else:
            if stop and not stop.reason.final and stop.reason is not StopReason.BUDGET:
                self._standing = stop.detail

    def _handle(self, event: Event) -> None:
        match event:
            case Opened(channel):
                self._open(channel)
            case Arrived(channel, message) if self._is_ours(channel):
                try:
                    self._receive(channel, message)
                except WireError as error:
                    self._lose(str(error))
                self._known |= message == Ping(_GOODBYE)
            case Closed(channel, reason) if channel is self._main or self._needs(channel):
                self._lose(reason)
            case Closed(channel, reason) if channel not in self._used:
                self.refused.append(f"{channel.peer}: {reason}")
            case Missing(page):
                self._need_from_source(page)
            case _:
                pass  # of a connection that was given up

    def _needs(self, channel: Channel) -> bool:
        return channel is self._urgent and self._destination.state is not DestinationState.END

    def _receive(self, channel: Channel, message: Any) -> None:
        if isinstance(message, Packaged):
            self._mark("stop")
        urgent = channel is self._urgent
        try:
            self._destination.receive(message, urgent=urgent)
        finally:
            self._flush()
        if self._destination.state is DestinationState.END and self._timeline.end is None:
            self._mark("end")

    def _open(self, channel: Channel) -> None:
        if channel.purpose is Purpose.URGENT:
            self._use(channel, Purpose.URGENT)
            return
        if channel.purpose is Purpose.NEW:
            self._mark("start")
        else:
            if self._main:
                self._lose("the source has come again")
            self._destination.reconnected()
            self._lost_at = None
        self._use(channel, channel.purpose)

    def _lose(self, reason: str) -> None:
        self._drop(reason)
        self._destination.disconnected()
        self._lost_at = monotonic()

    def _flush(self) -> None:
        while self._main and (message := self._destination.pull()) is not None:
            self._main.send(message)

    def _guard(self) -> None:
        """Let the system keep absent pages back, before the first becomes absent."""
        pager = self._vm.pager
        if self._linux and pager and not pager.guard:
            pager.guard = _WatchedUserfault(self._vm.memory.buffer, self._network, self._inbox)

    def _need(self, page: int) -> None:
        """Somebody needs a page: with the system's help he sleeps, and it tells us."""
        guard = self._vm.pager.guard if self._vm.pager else None
        if isinstance(guard, LinuxUserfault):
            guard.touch(page, page)
        else:
            self._need_from_source(page)

    def _need_from_source(self, page: int) -> None:
        self._destination.fault(page)
        self._flush()

    def _begin(self) -> Recorder | None:
        """The guest is here: record from now on."""
        self._mark("run")
        vm, first = self._vm, self._vm.memory.base // PAGE
        recorder = self._record(vm) if self._record else None
        if recorder:
            recorder.observer = FaultLog(self._faults, first, deque(maxlen=0), monotonic_ns)
        else:
            vm.trace = FaultLog(self._faults, first, self._sink, monotonic_ns)
        return recorder

    def _release(self) -> None:
        """Leave the machine to whoever made it."""
        if self._guest.recorder:
            self._guest.recorder.observer = None
        self._vm.trace = self._sink
        if self._vm.pager:
            self._vm.pager.release()


def serve(
    vm: VirtualMachine,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    secret: bytes | None = None,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    userfault: Literal["emulated", "linux"] = "emulated",
    record: Callable[[VirtualMachine], Recorder] | None = None,
    progress: Progress | None = None,
) -> Serving:
    """Let a guest come to a machine.

    Parameters
    ----------
    vm
        One like the source's, which has not run and has a pager. Until the migration is over it
        must not be touched.
    host, port
        Where to listen; any free port by default.
    secret
        What the source must know; without one, nobody listens but on this computer.
    timeout
        Seconds of silence after which a connection counts as lost.
    patience
        Seconds in which the source may come back then.
    userfault
        "linux": absent pages are missing in this process's own memory, and who fetches one sleeps
        in the system until it is there (`sdeiviz.migration.userfault`).
    record
        Makes a recording of the machine as soon as the guest is here.
    progress
        Told now and then how far it is, in another thread.

    Raises
    ------
    Error
        The machine has no pager, nobody can listen there, or the system has no userfaultfd.
    """
    if secret is None and not _is_loopback(host):
        raise Error(f"to listen on {host}, where others can connect, give a secret")
    if userfault == "linux":
        LinuxUserfault(mmap.mmap(-1, PAGE)).close()
    elif userfault != "emulated":
        raise Error(f"no userfault {userfault!r:.40}: emulated or linux")
    return Serving(
        vm,
        Address(host, port),
        secret=secret,
        timeout=timeout,
        patience=patience,
        linux=userfault == "linux",
        record=record,
        progress=progress,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -- the source


class _Budget:
    """A bandwidth as a bucket of bytes, which time fills and pages empty."""

    def __init__(self, rate: int | None) -> None:
        if rate is not None and rate < SLOWEST:
            raise Error(f"a bandwidth of {rate} bytes a second: want {SLOWEST} or more")
        self._rate = rate
        self._bytes = 0.0
        self._since = monotonic()

    @property
    def pages(self) -> int:
        """How many pages one frame may have: what goes over in a tenth of a second."""
        return MAX_RUN if self._rate is None else max(min(self._rate // 10 // PAGE, MAX_RUN), 1)

    @property
    def ready(self) -> bool:
        """Whether more may be sent."""
        if self._rate is None:
            return True
        now = monotonic()
        self._bytes = min(self._bytes + (now - self._since) * self._rate, self._rate / 10)
        self._since = now
        return self._bytes >= 0

    def spend(self, size: int) -> None:
        """Note that so much was sent."""
        self._bytes -= size


class _Departure(_Side):
    """The source's side of one migration."""

    def __init__(
        self,
        vm: VirtualMachine,
        address: Address,
        *,
        secret: bytes | None,
        passes: int,
        bandwidth: int | None,
        urgent: bool,
        timeout: float,
        tries: int,
        progress: Progress | None,
    ) -> None:
        if passes < 0 or tries < 1:
            raise Error(f"no migration of {passes} passes with {tries} tries")
        budget = _Budget(bandwidth)
        super().__init__(vm, secret, timeout, progress)
        self._budget = budget
        self._address = address
        self._passes = passes
        self._has_urgent = urgent
        self._tries = self._tries_left = tries
        self._session = secrets.token_bytes(16)
        self._source: Source | None = None
        self._leaving: Leaving | None = None
        self._beaten = monotonic()
        self._fewest = self._pages + 1
        self._standing = False

    @property
    def may_run_on(self) -> bool:
        """The guest has not been handed over."""
        return self._source is None or self._source.may_run_on

    def run(self) -> dict[str, Any]:
        """Go through all of it."""
        self._thread.start()
        try:
            _join(self._thread, None)
        except BaseException:
            self._cancel()
            self._thread.join()
            raise
        if isinstance(self._failure, Error):
            raise MigrationError(str(self._failure), may_run_on=self.may_run_on) from None
        if self._failure:
            raise self._failure
        assert self._source
        return self._report(
            "source", self._source.counts(), {}, self._bytes(lambda channel: channel.sent)
        )

    def _connect(self, purpose: Purpose) -> None:
        def make() -> Channel:
            handshake = Handshake(
                Role.SOURCE,
                self._shape,
                purpose=purpose,
                session=self._session,
                secret=self._secret,
            )
            return Channel(self._inbox, handshake, self._timeout)

        channel = self._network.connect(self._address, make, self._timeout)
        self._use(channel, purpose)
        self._beaten = monotonic()

    def _connect_all(self, purpose: Purpose) -> None:
        self._connect(purpose)
        if self._has_urgent:
            self._connect(Purpose.URGENT)

    def _go_through(self) -> None:
        self._connect_all(Purpose.NEW)
        assert self._main
        self._main.buffer(_PRECOPY_BUFFER)
        self._mark("start")
        self._leaving = Leaving(self._vm)
        source = self._source = Source(
            self._pages,
            self._leaving.read,
            self._leaving.dirty_log,
            urgent=self._has_urgent,
            bulk=self._budget.pages,
        )
        source.start()
        while source.state is not SourceState.COMPLETED:
            self._step(source)
        self._mark("end")
        if (main := self._main) is not None:
            main.send(Ping(_GOODBYE))
            main.close(flush=True)
        self._tell(str(source.state), self._pages, now=True)

    def _step(self, source: Source) -> None:
        while (event := self._inbox.take()) is not None:
            self._handle(source, event)
        self._read_on()
        if self._cancelled:
            raise MigrationError("the migration was ended here")
        if reason := self._check_silence():
            self._lose(source, reason)
        if source.state is SourceState.FAILED:
            raise MigrationError(f"{source.failure}{self._reason and f': {self._reason}'}")
        if source.state is SourceState.COMPLETED:
            return
        if source.state is SourceState.PAUSED:
            self._recover(source)
            return
        if source.state is SourceState.PRECOPY and (
            source.passes >= self._passes or self._vm.stopped or self._standing
        ):
            self._mark("stop")
            assert self._leaving
            source.switch(self._leaving.state())
        has_room = self._send(source)
        self._tell(str(source.state), self._pages - source.remaining)
        if source.state is SourceState.PRECOPY:
            stop = self._run_slice(self._vm.run_slice, short=has_room)
            self._standing = bool(stop and stop.reason is not StopReason.BUDGET)
        elif not len(self._inbox) and not has_room:
            self._inbox.wait(_LOOK)

    def _send(self, source: Source) -> bool:
        """Send what there is and as much as there is room for; True if there is more of both."""
        main, urgent = self._main, self._urgent
        while urgent and urgent.has_room and (message := source.pull_urgent()) is not None:
            urgent.send(message)
        if not main:
            return False
        if monotonic() - self._beaten > self._timeout / 4:
            self._beaten = monotonic()
            main.send(Ping(_BEAT))
        for _ in range(_BATCH):
            if not main.has_room:
                return False
            message = source.pull(background=self._budget.ready)
            if message is None:
                return False
            main.send(message)
            if isinstance(message, (Page, Pages)):
                self._budget.spend(len(message.data))
            elif isinstance(message, Packaged):
                main.send(Ping(_HANDED_OVER))
                main.buffer(_POSTCOPY_BUFFER, system=True)
            if len(self._inbox):
                break
        return True

    def _handle(self, source: Source, event: Event) -> None:
        match event:
            case Arrived(channel, message) if channel is self._main:
                try:
                    source.receive(message)
                except Error as error:
                    self._lose(source, str(error))
                else:
                    if message == Pong(_HANDED_OVER) and self._timeline.run is None:
                        self._mark("run")
            case Closed(channel, reason) if self._is_ours(channel):
                self._lose(source, reason)
            case _:
                pass

    def _lose(self, source: Source, reason: str) -> None:
        if source.state is not SourceState.COMPLETED:
            self._drop(reason)
            source.disconnected()

    def _recover(self, source: Source) -> None:
        """Reach the destination again, or give up after some tries without a page sent between."""
        if source.remaining < self._fewest:
            self._fewest, self._tries_left = source.remaining, self._tries
        reason = self._reason
        while self._tries_left and not self._cancelled:
            done = self._tries - self._tries_left
            self._tries_left -= 1
            self._inbox.wait(min(0.05 * 2**done, 2.0))
            try:
                self._connect_all(Purpose.RESUME)
            except TransportError as error:
                reason = str(error)
                for channel in (self._main, self._urgent):
                    if channel:
                        channel.close("given up")
                self._main = self._urgent = None
                continue
            assert self._main
            self._main.buffer(_POSTCOPY_BUFFER, system=True)
            source.reconnected()
            return
        raise MigrationError(
            f"the guest was handed over and the destination is lost ({reason}):"
            f" {source.remaining} of {self._pages} pages were still to be sent"
        )


def migrate(
    vm: VirtualMachine,
    address: tuple[str, int] | str,
    *,
    secret: bytes | None = None,
    passes: int = 1,
    bandwidth: int | None = None,
    urgent: bool = True,
    timeout: float = TIMEOUT,
    tries: int = TRIES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Hand a guest over to a machine in another process; it runs here until the switch.

    Parameters
    ----------
    vm
        The machine; after that its guest is not here any more.
    address
        Where `serve` listens, (host, port) or "host:port".
    secret
        What the destination knows too.
    passes
        How often to go over RAM before the switch.
    bandwidth
        Bytes a second at most, but for pages that are asked for; None for no limit.
    urgent
        Let pages that are asked for go on a connection of their own.
    timeout
        Seconds of silence after which a connection counts as lost.
    tries
        How often to try to reach a destination that was lost after the switch.
    progress
        Told now and then how far it is, in another thread.

    Returns
    -------
    dict
        What it was like, as seen from here (`sdeiviz.migration.metrics.report`). The downtime ends
        when the destination's answer is here.

    Raises
    ------
    MigrationError
        It did not come to its end; `may_run_on` tells whether the guest is still here.
    """
    departure = _Departure(
        vm,
        parse_address(address) if isinstance(address, str) else Address(*address),
        secret=secret,
        passes=passes,
        bandwidth=bandwidth,
        urgent=urgent,
        timeout=timeout,
        tries=tries,
        progress=progress,
    )
    return departure.run()


def parse_address(text: str) -> Address:
    """Return the address that a text says, such as ``127.0.0.1:4040`` or ``[::1]:4040``.

    Raises
    ------
    Error
        It says none.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise Error(f"{text!r:.60} is no address such as 127.0.0.1:4040")
    return Address(host, int(port))


def _join(thread: threading.Thread, timeout: float | None) -> None:
    """Wait for a thread so that Ctrl-C is heard."""
    end = None if timeout is None else monotonic() + timeout
    while thread.is_alive() and (end is None or monotonic() < end):
        thread.join(_LOOK if end is None else min(_LOOK, max(end - monotonic(), 0)))
