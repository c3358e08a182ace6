"""What both sides of a migration between two processes have: connections, a clock, a thread.

All times here are wall time.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from time import monotonic, monotonic_ns
from typing import Any, Final, Literal

from sdeiviz.errors import Error
from sdeiviz.machine import Stop, VirtualMachine
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.scheduler import FOREVER
from sdeiviz.migration.guest import pages_of
from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.metrics import PHASES, Faults, Timeline, report
from sdeiviz.migration.record import Witness
from sdeiviz.migration.transport import Channel, Inbox, Network
from sdeiviz.migration.wire import Message, Purpose

TIMEOUT: Final = 10.0
"""Seconds of silence after which a connection counts as lost."""
LOOK: Final = 0.05
"""Seconds after which a sleeping thread looks around."""
_TELL: Final = 0.1
"""Seconds from one report of progress to the next."""
BATCH: Final = 2
"""Messages between two slices of the guest."""
_TURN: Final = 20_000
"""Instructions of such a slice while there is more to send, or to be taken."""
BEAT, HANDED_OVER, GOODBYE = 2, 3, 4
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


class Side(ABC):
    """One side: its connections, its clock, its thread."""

    NAME: Literal["source", "destination"]

    def __init__(
        self,
        vm: VirtualMachine,
        secret: bytes | None,
        timeout: float,
        progress: Progress | None,
        witness: Witness | None,
    ) -> None:
        if timeout <= 0:
            raise Error(f"a timeout of {timeout:g} s: want more than nothing")
        if witness:
            witness.take()
        self._vm = vm
        self._secret = secret
        self._timeout = timeout
        self._progress = progress
        self._witness = witness
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
            if self._witness:
                self._witness.end(self._timeline, self._result())

    @abstractmethod
    def _go_through(self) -> None:
        """Be this side of the migration, from its beginning to its end."""

    @abstractmethod
    def _result(self) -> dict[str, Any]:
        """Return what the migration was like, as seen from here."""

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

    def _send(self, channel: Channel, message: Message) -> None:
        # In this order: the other side may have it at once.
        self._note(channel, message, sent=True)
        channel.send(message)

    def _note(self, channel: Channel, message: Message, *, sent: bool) -> None:
        """Let the witness know of a message."""
        if self._witness:
            forward = URGENT if channel is self._urgent else MAIN
            self._witness.passed(forward if sent == (self.NAME == "source") else RETURN, message)

    def _mark(self, moment: str) -> None:
        """Note a moment, and those before it that this side cannot have seen."""
        for name in PHASES[: PHASES.index(moment) + 1]:
            if getattr(self._timeline, name) is None:
                self._timeline.mark(name, monotonic_ns())
        if moment == "start" and self._witness:
            assert self._timeline.start is not None
            self._witness.begin(self.NAME, self._pages, len(self._vm.vcpus), self._timeline.start)

    def _tell(self, state: str, done: int, *, now: bool = False) -> None:
        if self._progress and (now or monotonic() - self._told > _TELL):
            self._told = monotonic()
            moved = sum(channel.sent + channel.received for channel in self._used)
            self._progress({"state": state, "done": done, "pages": self._pages, "bytes": moved})

    def _report(
        self, source: dict[str, int], destination: dict[str, int], sent: list[int]
    ) -> dict[str, Any]:
        return {
            "side": self.NAME,
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


def join(thread: threading.Thread, timeout: float | None) -> None:
    """Wait for a thread so that Ctrl-C is heard."""
    end = None if timeout is None else monotonic() + timeout
    while thread.is_alive() and (end is None or monotonic() < end):
        thread.join(LOOK if end is None else min(LOOK, max(end - monotonic(), 0)))
