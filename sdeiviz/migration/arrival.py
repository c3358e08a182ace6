"""A guest comes, by post-copy, from another process: `serve`."""

import ipaddress
import mmap
from collections import deque
from collections.abc import Callable
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from sdeiviz.errors import Error
from sdeiviz.machine import Stop, StopReason, VirtualMachine
from sdeiviz.machine.memory import PAGE, PageAbsent
from sdeiviz.machine.store import Swap
from sdeiviz.migration.destination import Destination, DestinationState
from sdeiviz.migration.guest import Arriving
from sdeiviz.migration.handshake import Handshake
from sdeiviz.migration.metrics import FaultLog
from sdeiviz.migration.record import Witness
from sdeiviz.migration.side import (
    BATCH,
    GOODBYE,
    LOOK,
    TIMEOUT,
    MigrationError,
    Progress,
    Side,
    join,
)
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
)
from sdeiviz.migration.userfault import LinuxUserfault
from sdeiviz.migration.wire import Hello, Packaged, Ping, Purpose, Role, WireError
from sdeiviz.trace import TraceSink

PATIENCE: Final = 60.0
"""Seconds for which a destination waits for a source that it has lost."""


class Recorder(Protocol):
    """Moves the guest over there, and notes each page that comes as an input.

    `sdeiviz.debugger.recording.Recording` is one.
    """

    observer: TraceSink | None

    def advance(self, target: int) -> Stop | None:
        """Go on towards an index for a slice of host time."""

    def act(self, method: str, *arguments: Any) -> Any:
        """Call a method of the machine."""


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

    def place_pages(self, first: int, count: int, data: bytes | memoryview | None) -> int:
        """Put neighbours in place."""
        if not self.running:
            return super().place_pages(first, count, data)
        if self.recorder and data is not None:
            data = bytes(data)
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


class Serving(Side):
    """A machine that waits for its guest, made by `serve`."""

    NAME = "destination"

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
        witness: Witness | None,
    ) -> None:
        super().__init__(vm, secret, timeout, progress, witness)
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
        join(self._thread, timeout)
        if self._thread.is_alive():
            raise Error(f"the migration is not over after {timeout:g} s")
        if self._failure:
            raise self._failure
        return self._result()

    def _result(self) -> dict[str, Any]:
        received = self._bytes(lambda channel: channel.received)
        return self._report({}, self._destination.counts(), received)

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
            for _ in range(BATCH):
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
                self._inbox.wait(LOOK)
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
                self._known |= message == Ping(GOODBYE)
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
        self._note(channel, message, sent=False)
        urgent = channel is self._urgent
        try:
            self._destination.receive(message, urgent=urgent)
        finally:
            self._flush()
            channel.done_with(message)
            if self._destination.state is DestinationState.FAILED:
                self._part()
        if self._destination.state is DestinationState.END and self._timeline.end is None:
            self._mark("end")

    def _part(self) -> None:
        """Let the source close the connection, which it does when it has heard of the failure.

        To close it here while more comes would take back what was said last.
        """
        end = monotonic() + self._timeout
        while self._main and monotonic() < end:
            self._read_on()
            event = self._inbox.take()
            if isinstance(event, Closed) and event.channel is self._main:
                break
            if event is None:
                self._inbox.wait(LOOK)

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
            self._send(self._main, message)

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
            recorder.observer = self._log_faults(first, deque(maxlen=0))
        else:
            vm.trace = self._log_faults(first, self._sink)
        return recorder

    def _log_faults(self, first: int, sink: TraceSink) -> FaultLog:
        if self._witness:
            sink = self._witness.tap(first, sink)
        return FaultLog(self._faults, first, sink, monotonic_ns)

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
    witness: Witness | None = None,
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
    witness
        Sees what happens, for a `sdeiviz.migration.record.MigrationRecord`.

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
        witness=witness,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
