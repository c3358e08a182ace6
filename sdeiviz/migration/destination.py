"""The side that a guest comes to: events in, messages out. No sockets and no clock.

=============  ====================  ============================================================
state          event                 next state
=============  ====================  ============================================================
NONE           Advise                ADVISE: every page is absent
ADVISE         Page                  ADVISE: pages come, some more than once
ADVISE         Discard               DISCARD: pages that were written after they were sent
ADVISE         Packaged              LISTEN, RUNNING: no page needed to be discarded
DISCARD        Packaged              LISTEN while the state is loaded, then RUNNING, or FAILED if
                                     it cannot be
RUNNING        Page                  RUNNING: pages come that are absent
RUNNING        End                   END, or FAILED if RAM is not the source's
NONE, ADVISE, DISCARD, RUNNING, RECOVER
               disconnected          PAUSED: a guest that runs does so until it needs a page
PAUSED, END    reconnected           RECOVER: tells what was received
RECOVER        Resume                RUNNING, or DISCARD if the package has not come
=============  ====================  ============================================================
"""

from collections import deque
from enum import StrEnum
from typing import Final, Protocol

from sdeiviz.errors import Error
from sdeiviz.migration.bitmap import Bitmap
from sdeiviz.migration.checksum import SUM, PageSums
from sdeiviz.migration.wire import (
    DAMAGED,
    REFUSED,
    Advise,
    Checksum,
    Discard,
    End,
    Listen,
    Message,
    OpenReturnPath,
    Packaged,
    Page,
    Pages,
    Ping,
    Pong,
    ProtocolError,
    ReceivedBitmap,
    RecvBitmap,
    RequestPages,
    Resume,
    ResumeAck,
    Run,
    Shut,
    State,
    unpack_frames,
)


class DestinationState(StrEnum):
    """Where the destination stands."""

    NONE = "none"
    ADVISE = "advise"
    DISCARD = "discard"
    LISTEN = "listen"
    RUNNING = "running"
    PAUSED = "paused"
    RECOVER = "recover"
    END = "end"
    FAILED = "failed"


_LEGAL: Final[dict[DestinationState, tuple[type[Message], ...]]] = {
    DestinationState.NONE: (OpenReturnPath, Ping, Advise),
    DestinationState.ADVISE: (Ping, Page, Pages, Discard, Packaged),
    DestinationState.DISCARD: (Ping, Discard, Packaged),
    DestinationState.LISTEN: (),
    DestinationState.RUNNING: (Ping, Page, Pages, Checksum, End),
    DestinationState.PAUSED: (),
    DestinationState.RECOVER: (OpenReturnPath, Ping, Advise, RecvBitmap, Resume),
    DestinationState.END: (Ping,),
    DestinationState.FAILED: (),
}
"""What the source may say on the main channel."""
_DISCONNECTED: Final = {
    DestinationState.NONE: DestinationState.PAUSED,
    DestinationState.ADVISE: DestinationState.PAUSED,
    DestinationState.DISCARD: DestinationState.PAUSED,
    DestinationState.RUNNING: DestinationState.PAUSED,
    DestinationState.RECOVER: DestinationState.PAUSED,
}


class Host(Protocol):
    """What a destination needs of its machine."""

    def discard(self, first: int, count: int) -> None:
        """Make pages absent, whatever they hold."""

    def place(self, page: int, data: bytes | None) -> bool:
        """Put a whole page in place, None for zeros, and wake who waits for it.

        Returns False, and changes nothing, where the page exists already (EEXIST).
        """

    def place_pages(self, first: int, count: int, data: bytes | memoryview | None) -> int:
        """Put neighbours in place, None for zeros, as `place` does each; returns how many.

        The data is not to be kept: its memory is used again.
        """

    def load(self, state: bytes) -> None:
        """Take over a machine's state without RAM, or raise an `Error`."""

    def run(self) -> None:
        """Let the guest run."""


class Destination:
    """The destination's half of a migration.

    Parameters
    ----------
    pages
        How many pages of RAM the machine has.
    host
        The machine.
    """

    def __init__(self, pages: int, host: Host) -> None:
        self.state = DestinationState.NONE
        self.runs = False
        """The guest has been handed over: it lives here."""
        self.placed = self.duplicates = 0
        """Pages put in place, and those that came where one was already."""
        self.requests = 0
        """Pages that were asked for, each counted once."""
        self._pages = pages
        self._host = host
        self._received = Bitmap(pages)
        """Pages whose content is valid here."""
        self._requested: dict[int, None] = {}
        """Pages that were asked for and have not come, in the order of asking."""
        self._sums = PageSums(pages)
        self._outbox: deque[Message] = deque()
        self._return_path = False
        self._advised = False
        self._urgent = False
        self._checksum: bytes | None = None
        self._ended = False

    @property
    def received(self) -> int:
        """How many pages are valid here."""
        return len(self._received)

    @property
    def waiting(self) -> tuple[int, ...]:
        """The pages that were asked for and have not come, in the order of asking."""
        return tuple(self._requested)

    def counts(self) -> dict[str, int]:
        """Return what has been counted, by name."""
        names = ("placed", "duplicates", "requests")
        return {name: getattr(self, name) for name in names}

    # -- what happens

    def fault(self, page: int) -> bool:
        """The guest, or who works for it, needs a page; False if that is no news.

        A page that has come, or has been asked for, is not asked for again. Without a connection
        it is asked for when there is one.
        """
        if not self.runs and self.state is not DestinationState.LISTEN:
            raise Error(f"no page is asked for while the destination is {self.state}")
        if page in self._received or page in self._requested:
            return False
        self._received.check(page)
        self._requested[page] = None
        self.requests += 1
        if self.state in (DestinationState.LISTEN, DestinationState.RUNNING):
            self._outbox.append(RequestPages(page, 1))
        return True

    def disconnected(self) -> None:
        """The connection is lost, with all that was on the way."""
        self._outbox.clear()
        self._return_path = False
        self._checksum = None
        self._ended = False
        self.state = _DISCONNECTED.get(self.state, self.state)

    def reconnected(self) -> None:
        """There is a new connection from the same source."""
        if self.state not in (DestinationState.PAUSED, DestinationState.END):
            raise Error(f"reconnected: the destination of a migration is {self.state}")
        self.state = DestinationState.RECOVER

    # -- what goes out

    def pull(self) -> Message | None:
        """Return what to send next on the return path; None for nothing at the moment."""
        return self._outbox.popleft() if self._outbox else None

    # -- what comes in

    def receive(self, message: Message, *, urgent: bool = False) -> None:
        """Take a message of the source.

        Parameters
        ----------
        message
            What it is.
        urgent
            It came on the second channel.

        Raises
        ------
        ProtocolError
            It has no place in this state, or says what cannot be: nothing of it was obeyed.
        """
        legal = _LEGAL[self.state]
        if urgent:
            legal = (Page,) if self._urgent and self.state is DestinationState.RUNNING else ()
        if not isinstance(message, legal):
            raise ProtocolError(
                f"{type(message).__name__} from the source has no place"
                f"{' on the second channel' * urgent} while the destination is {self.state}"
            )
        match message:
            case Page(number, _, data, sums=sums):
                self._take_page(number, data or None, sums)
            case Pages(first, count, _, data, sums=sums):
                self._take_pages(first, count, data or None, sums)
            case Ping(value):
                self._answer(Pong(value))
            case OpenReturnPath():
                self._return_path = True
            case Advise():
                self._advise(message)
            case Discard(ranges):
                self._discard(ranges)
            case Packaged(frames):
                self._unpack(frames)
            case RecvBitmap():
                bitmap = ReceivedBitmap(self.runs, self._pages, self._received.pack())
                self._answer(bitmap)
            case Resume():
                self._resume()
            case Checksum(digest):
                self._checksum = digest
            case End():
                self._end()

    def _answer(self, message: Message) -> None:
        if not self._return_path:
            raise ProtocolError("the source wants an answer and has opened no return path")
        self._outbox.append(message)

    def _advise(self, message: Advise) -> None:
        if message.pages != self._pages:
            raise ProtocolError(f"the source has {message.pages} pages of RAM, here {self._pages}")
        if not self._return_path:
            raise ProtocolError("there is no post-copy without a return path")
        if not self._advised:
            self._host.discard(0, self._pages)
            self._advised = True
        self._urgent = message.urgent
        if self.state is DestinationState.NONE:
            self.state = DestinationState.ADVISE

    def _take_page(self, page: int, data: bytes | None, sums: bytes) -> None:
        self._check_end(page + 1)
        if not self.runs and page in self._received:
            self._host.discard(page, 1)
        if not self.runs or page not in self._received:
            self._sums.put(page, 1, sums)
        if self._host.place(page, data):
            self.placed += 1
        else:
            self.duplicates += 1
        self._received.add(page)
        self._requested.pop(page, None)
        self._compare_if_last()

    def _take_pages(
        self, first: int, count: int, data: bytes | memoryview | None, sums: bytes
    ) -> None:
        self._check_end(first + count)
        known = self._received.count_run(first, count)
        if known and self.runs:
            for n in range(count):
                if first + n not in self._received:
                    self._sums.put(first + n, 1, sums[n * SUM : (n + 1) * SUM])
        else:
            self._sums.put(first, count, sums)
        if known and not self.runs:
            self._host.discard(first, count)
        self._received.add_run(first, count)
        placed = self._host.place_pages(first, count, data)
        self.placed += placed
        self.duplicates += count - placed
        for page in [page for page in self._requested if first <= page < first + count]:
            del self._requested[page]
        self._compare_if_last()

    def _compare_if_last(self) -> None:
        if self._ended and len(self._received) == self._pages:
            self._compare()

    def _check_end(self, end: int) -> None:
        if end > self._pages:
            raise ProtocolError(f"page {end - 1} of {self._pages}")

    def _discard(self, ranges: tuple[tuple[int, int], ...]) -> None:
        for first, count in ranges:
            self._check_end(first + count)
        for first, count in ranges:
            self._host.discard(first, count)
            self._received.discard_run(first, count)
        self.state = DestinationState.DISCARD

    def _unpack(self, frames: bytes) -> None:
        match unpack_frames(frames):
            case [Listen(), State(state), Run()]:
                self.state = DestinationState.LISTEN
                try:
                    self._host.load(state)
                except BaseException:
                    self.state = DestinationState.FAILED
                    if self._return_path:
                        self._answer(Shut(REFUSED))
                    raise
            case messages:
                names = ", ".join(type(message).__name__ for message in messages[:5])
                raise ProtocolError(f"a package of {names or 'nothing'}: want Listen, State, Run")
        self.state = DestinationState.RUNNING
        self.runs = True
        self._host.run()

    def _resume(self) -> None:
        if not self._advised:
            raise ProtocolError("nothing can be resumed: there was no Advise")
        self._answer(ResumeAck())
        self.state = DestinationState.RUNNING if self.runs else DestinationState.DISCARD
        self._outbox.extend(RequestPages(page, 1) for page in self._requested)

    def _end(self) -> None:
        if self._checksum is None:
            raise ProtocolError("the end came without a checksum")
        missing = self._pages - len(self._received)
        if not missing:
            self._compare()
        elif self._urgent:
            self._ended = True  # they may still be on the second channel
        else:
            raise ProtocolError(f"the end came, and {missing} pages have not")

    def _compare(self) -> None:
        intact = self._checksum == self._sums.digest()
        self._answer(Shut(0 if intact else DAMAGED))
        self.state = DestinationState.END if intact else DestinationState.FAILED
