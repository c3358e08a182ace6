"""The side that a guest leaves: events in, messages out. No sockets and no clock.

=============  ====================  ============================================================
state          event                 next state
=============  ====================  ============================================================
NONE           start                 PRECOPY: passes over RAM while the guest runs
PRECOPY        switch                SWITCHING: the guest stands; discards, then the package
PRECOPY        disconnected          FAILED: the guest may run on
SWITCHING      the package is sent   POSTCOPY: the guest lives there, and never again here
SWITCHING      disconnected          FAILED: the guest may run on
POSTCOPY       disconnected          PAUSED
POSTCOPY       Shut                  COMPLETED, or FAILED if its status is not 0; where that is
                                     REFUSED, the guest may run on
PAUSED         reconnected           RECOVER: asks what was received
RECOVER        ResumeAck             POSTCOPY: what was not received is dirty again, or all that
                                     there is, if the package was not
RECOVER        disconnected          PAUSED
=============  ====================  ============================================================

Whoever sends pulls the next message when there is room for it, and not before: until then it can
still be another one. A page is read when it is pulled.
"""

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from sdeiviz.errors import Error
from sdeiviz.machine.memory import PAGE, ZERO_PAGE
from sdeiviz.migration.bitmap import Bitmap
from sdeiviz.migration.checksum import PageSums, page_sums
from sdeiviz.migration.wire import (
    MAX_RANGES,
    MAX_RUN,
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
    pack_frames,
)


class SourceState(StrEnum):
    """Where the source stands."""

    NONE = "none"
    PRECOPY = "precopy"
    SWITCHING = "switching"
    POSTCOPY = "postcopy"
    PAUSED = "paused"
    RECOVER = "recover"
    COMPLETED = "completed"
    FAILED = "failed"


_LEGAL: Final[dict[SourceState, tuple[type[Message], ...]]] = {
    SourceState.NONE: (),
    SourceState.PRECOPY: (Pong,),
    SourceState.SWITCHING: (Pong,),
    SourceState.POSTCOPY: (Pong, RequestPages, Shut),
    SourceState.PAUSED: (),
    SourceState.RECOVER: (Pong, ReceivedBitmap, ResumeAck),
    SourceState.COMPLETED: (),
    SourceState.FAILED: (),
}
"""What the destination may say."""
_DISCONNECTED: Final = {
    SourceState.PRECOPY: SourceState.FAILED,
    SourceState.SWITCHING: SourceState.FAILED,
    SourceState.POSTCOPY: SourceState.PAUSED,
    SourceState.RECOVER: SourceState.PAUSED,
}
_FEW: Final = 16
"""Neighbours that are looked at first: where zero pages lie between others, the rest would be read
for nothing."""


class Source:
    """The source's half of a migration.

    Parameters
    ----------
    pages
        How many pages of RAM the machine has.
    read
        Returns the content of pages by the number of the first and how many.
    dirty_log
        Returns the pages written since it was called last, and forgets them.
    urgent
        There is a second channel: pages that were asked for go there (`pull_urgent`).
    jump
        After a page that was asked for, go on with its neighbours.
    bulk
        How many neighbours go together where nobody waits for them, `MAX_RUN` at most.
    """

    def __init__(
        self,
        pages: int,
        read: Callable[[int, int], bytes],
        dirty_log: Callable[[], Iterable[int]],
        *,
        urgent: bool = False,
        jump: bool = True,
        bulk: int = 1,
    ) -> None:
        self.state = SourceState.NONE
        self.passes = 0
        """Passes over RAM that are complete, before the switch."""
        self.normal = self.zero = 0
        """Pages sent with their content, and as zeros."""
        self.requested = self.skipped = 0
        """Pages that were asked for, and those of them that had been sent already."""
        self.failure = ""
        """Why it has failed, where it has."""
        self.may_run_on = True
        """The guest has not been handed over: it may run here."""
        self._pages = pages
        self._read = read
        self._dirty_log = dirty_log
        self._urgent = urgent
        self._jump = jump
        self._bulk = bulk
        self._dirty = Bitmap(pages, full=True)
        """Pages to be sent."""
        self._cursor = 0
        """Where the scan for the next dirty page goes on."""
        self._control: deque[Message] = deque()
        """What goes before any page."""
        self._requests: deque[int] = deque()
        self._package: Packaged | None = None
        self._there = False
        """The destination is known to have the package."""
        self._received: Bitmap | None = None
        """What the destination has after a loss, between its bitmap and the acknowledgement."""
        self._sums = PageSums(pages)
        self._unsummed = Bitmap(pages, full=True)
        """Pages that have not been read since the guest stands still."""
        self._ended = False

    @property
    def remaining(self) -> int:
        """How many pages are to be sent, as far as it is known."""
        return len(self._dirty)

    def counts(self) -> dict[str, int]:
        """Return what has been counted, by name."""
        names = ("passes", "normal", "zero", "requested", "skipped")
        return {name: getattr(self, name) for name in names}

    # -- what happens

    def start(self) -> None:
        """Begin with the first pass."""
        self._expect("start", SourceState.NONE)
        self.state = SourceState.PRECOPY
        advise = Advise(PAGE, self._pages, self._urgent)
        self._control += [OpenReturnPath(), Ping(1), advise]

    def switch(self, state: bytes) -> None:
        """Hand the guest over. It has been stopped for good, unless the migration fails now.

        Parameters
        ----------
        state
            The machine's state without RAM.

        Raises
        ------
        WireError
            The state is too big, and nothing has been changed.
        """
        self._expect("switch", SourceState.PRECOPY)
        package = Packaged(pack_frames([Listen(), State(state), Run()]))
        self._sync()
        self._package = package
        self._hand_over()
        self.state = SourceState.SWITCHING

    def disconnected(self) -> None:
        """The connection is lost, with all that was on the way."""
        self._control.clear()
        self._requests.clear()
        self._received = None
        self._ended = False
        self.state = _DISCONNECTED.get(self.state, self.state)
        if self.state is SourceState.FAILED and not self.failure:
            self.failure = "the connection was lost before the guest was handed over"

    def reconnected(self) -> None:
        """There is a new connection to the same destination."""
        self._expect("reconnected", SourceState.PAUSED)
        self.state = SourceState.RECOVER
        # Even the first one may have been lost, with the package in the same buffer.
        advise = Advise(PAGE, self._pages, self._urgent)
        self._control += [OpenReturnPath(), advise, RecvBitmap()]

    def _expect(self, event: str, state: SourceState) -> None:
        if self.state is not state:
            raise Error(f"{event}: the source of a migration is {self.state}, not {state}")

    # -- what goes out

    def pull(self, *, background: bool = True) -> Message | None:
        """Return what to send next on the main channel; None for nothing at the moment.

        Without `background` only what somebody waits for: no page but those asked for.
        """
        if not self._control and self.state is SourceState.POSTCOPY and not self._dirty:
            self._end()
        if self._control:
            message = self._control.popleft()
            if message is self._package:
                self.state = SourceState.POSTCOPY
                self.may_run_on = False
            return message
        if self.state is SourceState.PRECOPY:
            return self._next_of_pass() if background else None
        if self.state is SourceState.POSTCOPY:
            if not self._urgent and (requested := self._next_requested()) is not None:
                return requested
            return self._next_in_background() if background else None
        return None

    def pull_urgent(self) -> Message | None:
        """Return what to send next on the second channel; None for nothing at the moment."""
        if self._urgent and self.state is SourceState.POSTCOPY:
            return self._next_requested()
        return None

    def _next_of_pass(self) -> Message | None:
        page = self._dirty.next(self._cursor)
        if page is None or page < self._cursor:
            self.passes += self._cursor > 0
            self._sync()
            page = self._dirty.next(0)
        return None if page is None else self._send_run(page)

    def _next_requested(self) -> Message | None:
        while self._requests:
            page = self._requests.popleft()
            if page in self._dirty:
                cursor = self._cursor
                message = self._send(page)
                if not self._jump:
                    self._cursor = cursor
                return message
            self.skipped += 1
        return None

    def _next_in_background(self) -> Message | None:
        page = self._dirty.next(self._cursor)
        return None if page is None else self._send_run(page)

    def _send(self, page: int) -> Page:
        self._dirty.discard(page)
        self._cursor = page + 1
        data = self._read(page, 1)
        zero = data == ZERO_PAGE
        if zero:
            self.zero += 1
        else:
            self.normal += 1
        message = Page(page, zero, b"" if zero else data)
        self._note_sums(page, 1, message.sums)
        return message

    def _send_run(self, first: int) -> Page | Pages:
        """Send a page and the dirty neighbours after it, as long as all or none are zero."""
        count = self._dirty.run(first, self._bulk)
        if count == 1:
            return self._send(first)
        data = self._read_alike(first, min(count, _FEW))
        if len(data) == _FEW * PAGE < count * PAGE:
            data = self._read_alike(first, count)
        count = len(data) // PAGE
        self._dirty.discard_run(first, count)
        self._cursor = first + count
        zero = data.startswith(ZERO_PAGE)
        if zero:
            self.zero += count
        else:
            self.normal += count
        message = Pages(first, count, zero, b"" if zero else data)
        self._note_sums(first, count, message.sums)
        return message

    def _read_alike(self, first: int, count: int) -> bytes:
        """Return the content of neighbours, as long as all or none are zero."""
        data = self._read(first, count)
        zero = data.startswith(ZERO_PAGE)
        for n in range(1, count):
            if data.startswith(ZERO_PAGE, n * PAGE) is not zero:
                return data[: n * PAGE]
        return data

    def _note_sums(self, first: int, count: int, sums: bytes) -> None:
        if self.state is SourceState.POSTCOPY:
            self._sums.put(first, count, sums)
            self._unsummed.discard_run(first, count)

    def _sync(self) -> None:
        """Take over the dirty log, and go on with the first page."""
        self._dirty.update(self._dirty_log())
        self._cursor = 0

    def _hand_over(self) -> None:
        """Name the pages that are not valid there, and let the package follow."""
        assert self._package
        ranges = [*self._dirty.runs()]
        for first in range(0, len(ranges), MAX_RANGES):
            self._control.append(Discard(tuple(ranges[first : first + MAX_RANGES])))
        self._control.append(self._package)

    def _end(self) -> None:
        """Let the destination compare, once after every page has been sent."""
        if self._ended:
            return
        self._ended = True
        while (first := self._unsummed.next(0)) is not None:
            count = self._unsummed.run(first, MAX_RUN)
            self._note_sums(first, count, page_sums(self._read(first, count)))
        self._control += [Checksum(self._sums.digest()), End()]

    # -- what comes in

    def receive(self, message: Message) -> None:
        """Take a message of the return path.

        Raises
        ------
        ProtocolError
            It has no place in this state, or says what cannot be.
        """
        if not isinstance(message, _LEGAL[self.state]):
            raise ProtocolError(
                f"{type(message).__name__} from the destination has no place"
                f" while the source is {self.state}"
            )
        match message:
            case RequestPages(first, count):
                self._take_request(first, count)
            case ReceivedBitmap():
                self._take_bitmap(message)
            case ResumeAck():
                self._resume()
            case Shut(status):
                self._shut(status)

    def _take_request(self, first: int, count: int) -> None:
        if first + count > self._pages:
            raise ProtocolError(f"a request for page {first + count - 1} of {self._pages}")
        self._there = True
        self.requested += count
        self._requests.extend(range(first, first + count))

    def _take_bitmap(self, message: ReceivedBitmap) -> None:
        if message.pages != self._pages:
            raise ProtocolError(f"a bitmap of {message.pages} pages where {self._pages} are")
        received = Bitmap.unpack(message.pages, message.bitmap)
        if self._received is not None:
            raise ProtocolError("a second bitmap for one question")
        if self._there and not message.runs:
            raise ProtocolError("the destination had the package and has lost it")
        if message.runs and received & self._dirty:
            raise ProtocolError("the destination has pages that were never sent")
        self._there = message.runs
        self._received = received
        self._control.append(Resume())

    def _resume(self) -> None:
        if self._received is None:
            raise ProtocolError("ResumeAck before there was anything to resume")
        self.state = SourceState.POSTCOPY
        if self._there:
            self._dirty = self._received.inverted()
        else:
            # Lost with the package may be discards, and newer contents of pages that it has.
            self._dirty = Bitmap(self._pages, full=True)
            self._hand_over()
        self._received = None

    def _shut(self, status: int) -> None:
        if status == REFUSED:
            self.failure = "the destination could not take the guest over"
            self.may_run_on = True
        elif not self._ended:
            raise ProtocolError("the destination has ended before every page was sent")
        elif status:
            self.failure = "the destination's RAM is not the source's"
        self.state = SourceState.FAILED if status else SourceState.COMPLETED
