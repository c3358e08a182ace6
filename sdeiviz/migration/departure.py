"""A guest leaves for another process, by pre-copy and post-copy: `migrate`."""

import secrets
from time import monotonic
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.machine import StopReason, VirtualMachine
from sdeiviz.machine.memory import PAGE
from sdeiviz.migration.guest import Leaving
from sdeiviz.migration.handshake import Handshake
from sdeiviz.migration.record import Witness
from sdeiviz.migration.side import (
    BATCH,
    BEAT,
    GOODBYE,
    HANDED_OVER,
    LOOK,
    TIMEOUT,
    MigrationError,
    Progress,
    Side,
    join,
)
from sdeiviz.migration.source import Source, SourceState
from sdeiviz.migration.transport import (
    Address,
    Arrived,
    Channel,
    Closed,
    Event,
    TransportError,
    parse_address,
)
from sdeiviz.migration.wire import (
    MAX_RUN,
    Packaged,
    Page,
    Pages,
    Ping,
    Pong,
    Purpose,
    Role,
)

TRIES: Final = 10
"""How often a source tries to reach a destination that it has lost, without sending a page."""
SLOWEST: Final = 1 << 16
"""Bytes a second: with less, a single page might look like silence."""
_FEW: Final = 64
"""Pages of a frame, and that wait to be sent, where others have to wait for them: on one channel,
or with a bandwidth."""


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
        """How many pages one frame may have: what goes over in a tenth of a second, and few."""
        return MAX_RUN if self._rate is None else max(min(self._rate // 10 // PAGE, _FEW), 1)

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


class _Departure(Side):
    """The source's side of one migration."""

    NAME = "source"

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
        witness: Witness | None,
    ) -> None:
        if passes < 0 or tries < 1:
            raise Error(f"no migration of {passes} passes with {tries} tries")
        budget = _Budget(bandwidth)
        super().__init__(vm, secret, timeout, progress, witness)
        self._budget = budget
        self._most = MAX_RUN if urgent else _FEW
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
            join(self._thread, None)
        except BaseException:
            self._cancel()
            self._thread.join()
            raise
        if isinstance(self._failure, Error):
            raise MigrationError(str(self._failure), may_run_on=self.may_run_on) from None
        if self._failure:
            raise self._failure
        return self._result()

    def _result(self) -> dict[str, Any]:
        counts = self._source.counts() if self._source else {}
        return self._report(counts, {}, self._bytes(lambda channel: channel.sent))

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
        self._main.buffer(MAX_RUN * PAGE)
        self._mark("start")
        self._leaving = Leaving(self._vm)
        if self._witness:
            self._leaving.on_dirty = self._witness.dirtied
        source = self._source = Source(
            self._pages,
            self._leaving.read,
            self._leaving.dirty_log,
            urgent=self._has_urgent,
            bulk=min(self._budget.pages, self._most),
        )
        source.start()
        while source.state is not SourceState.COMPLETED:
            self._step(source)
        self._mark("end")
        if (main := self._main) is not None:
            self._send(main, Ping(GOODBYE))
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
        has_room = self._push(source)
        self._tell(str(source.state), self._pages - source.remaining)
        if source.state is SourceState.PRECOPY:
            stop = self._run_slice(self._vm.run_slice, short=has_room)
            self._standing = bool(stop and stop.reason is not StopReason.BUDGET)
        elif not len(self._inbox) and not has_room:
            self._inbox.wait(LOOK)

    def _push(self, source: Source) -> bool:
        """Send what there is and as much as there is room for; True if there is more of both."""
        main, urgent = self._main, self._urgent
        while urgent and urgent.has_room and (message := source.pull_urgent()) is not None:
            self._send(urgent, message)
        if not main:
            return False
        if monotonic() - self._beaten > self._timeout / 4:
            self._beaten = monotonic()
            self._send(main, Ping(BEAT))
        for _ in range(BATCH):
            if not main.has_room:
                return False
            message = source.pull(background=self._budget.ready)
            if message is None:
                return False
            self._send(main, message)
            if isinstance(message, (Page, Pages)):
                self._budget.spend(len(message.data))
            elif isinstance(message, Packaged):
                self._send(main, Ping(HANDED_OVER))
                main.buffer(self._most * PAGE, system=True)
            if len(self._inbox):
                break
        return True

    def _handle(self, source: Source, event: Event) -> None:
        match event:
            case Arrived(channel, message) if channel is self._main:
                self._note(channel, message, sent=False)
                try:
                    source.receive(message)
                except Error as error:
                    self._lose(source, str(error))
                else:
                    if message == Pong(HANDED_OVER) and self._timeline.run is None:
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
            self._main.buffer(self._most * PAGE, system=True)
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
    witness: Witness | None = None,
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
    witness
        Sees what happens, for a `sdeiviz.migration.record.MigrationRecord`.

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
        witness=witness,
    )
    return departure.run()
