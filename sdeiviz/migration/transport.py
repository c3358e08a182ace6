"""Connections over TCP: bytes from and to messages, in a thread of their own.

The loop's thread does only that. What comes goes into an `Inbox`, from which the thread that runs
the guest takes it; what that thread sends is handed over to the loop. A connection begins with the
handshake (`sdeiviz.migration.handshake`), which the loop does by itself.
"""

import asyncio
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar

from sdeiviz.errors import Error
from sdeiviz.migration.handshake import Handshake
from sdeiviz.migration.wire import Decoder, Encoder, Hello, Message, Purpose, WireError

_T = TypeVar("_T")

MOST_UNREAD: Final = 8
"""Messages that wait for the guest's thread; beyond it nothing more is read from a connection."""
_TURN: Final = 0.0002
"""Seconds of a thread's turn in the interpreter while there are connections: with the usual 5 ms,
bytes that come would wait that long for the guest's thread, again and again."""
_HANDED_OVER: Final = 2
"""Messages that wait for the loop's thread: one to be encoded while the other is made."""


class TransportError(Error):
    """No connection, or none any more."""


# -- what comes


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection has come, and its handshake is done."""

    channel: "Channel"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message has come."""

    channel: "Channel"
    message: Message


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection is no more; if that is all it says, by the other side's will."""

    channel: "Channel"
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody sleeps in the system until a page is there."""

    page: int


Event = Opened | Arrived | Closed | Missing


class Inbox:
    """What has come for the thread that runs the guest.

    Attributes
    ----------
    on_event
        Called whenever there is something new, by whichever thread brings it.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._urgent: deque[Event] = deque()
        self._something = threading.Event()
        self.on_event: Callable[[], None] = lambda: None

    def put(self, event: Event) -> None:
        """Bring something; what came on the second channel is taken first."""
        urgent = isinstance(event, Arrived) and event.channel.purpose is Purpose.URGENT
        (self._urgent if urgent else self._events).append(event)
        self.wake()

    def wake(self) -> None:
        """Let the thread look up."""
        self._something.set()
        self.on_event()

    def take(self) -> Event | None:
        """Return what is to be looked at next, None for nothing."""
        for events in (self._urgent, self._events):
            if events:
                return events.popleft()
        return None

    def wait(self, seconds: float) -> None:
        """Sleep until something comes, so long at most."""
        self._something.wait(seconds)
        self._something.clear()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._events)


class Address(NamedTuple):
    """Where somebody listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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


# -- a connection


class Channel(asyncio.BufferedProtocol):
    """One connection.

    Parameters
    ----------
    inbox
        Where its messages go, once the handshake is done.
    handshake
        This side's half of it.
    timeout
        Seconds that it may take.
    admit
        Told of the other side's Hello before it is answered; an `Error` refuses it.
    adopt
        Told when the handshake is done; an `Error` refuses the connection still.
    """

    def __init__(
        self,
        inbox: Inbox,
        handshake: Handshake,
        timeout: float,
        admit: Callable[[Hello], None] = lambda hello: None,
        adopt: Callable[["Channel"], None] = lambda channel: None,
    ) -> None:
        self._inbox = inbox
        self._handshake = handshake
        self._timeout = timeout
        self._admit = admit
        self._adopt = adopt
        self._loop = asyncio.get_running_loop()
        self._encoder, self._decoder = Encoder(), Decoder()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._full = self._unread = False
        self._handed = self._written = 0
        """Messages, each counted by one thread only."""
        self._wants_room = False
        self._reason = ""
        self.purpose = Purpose.NEW
        self.session = bytes(16)
        """Which migration it belongs to."""
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done with the handshake, or has the error that ended it."""
        self.peer: Address | None = None
        self.sent = self.received = 0
        """Bytes."""
        self.heard = monotonic()
        """When the last bytes came."""

    # for the guest's thread

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent; if not, the inbox is woken when it may."""
        self._wants_room = True
        room = not self._full and self._handed - self._written < _HANDED_OVER
        self._wants_room = not room
        return room

    def send(self, message: Message) -> None:
        """Send a message; what is sent on a connection that is lost is lost."""
        self._handed += 1
        self._call(lambda: self._write(message))

    def buffer(self, size: int, *, system: bool = False) -> None:
        """Let so many bytes wait to be sent before there is no more room; in the system too."""

        def set_size() -> None:
            if self._transport:
                self._transport.set_write_buffer_limits(size)
                if system:
                    own = self._transport.get_extra_info("socket")
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

        self._call(set_size)

    def read_on(self) -> None:
        """Take more messages, where too many were waiting."""
        if self._unread:
            self._unread = False
            self._call(self._resume)

    def done_with(self, message: Message) -> None:
        """Nobody looks at a message that came any more: its memory may be used again."""
        self._decoder.give_back(message)

    def close(self, reason: str = "", *, flush: bool = False) -> None:
        """End the connection; with `flush`, once everything has been sent."""
        self._call(lambda: self._close(reason, flush))

    def _call(self, function: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            pass  # the loop has ended, and all connections with it

    # for the loop's

    @property
    def is_flushing(self) -> bool:
        """Whether it ends as soon as everything has been sent."""
        return self._transport is not None and self._transport.is_closing()

    def _resume(self) -> None:
        if self._transport:
            self._transport.resume_reading()

    def _write(self, message: Message) -> None:
        self._written += 1
        if self._transport and not self._transport.is_closing():
            for part in self._encoder.parts(message):
                self._transport.write(memoryview(part))
                self.sent += len(part)
        self._offer_room()

    def _offer_room(self) -> None:
        if self._wants_room and not self._full:
            self._wants_room = False
            self._inbox.wake()

    def _close(self, reason: str, flush: bool = False) -> None:
        self._reason = self._reason or reason
        if self._transport:
            if flush:
                self._transport.close()
            else:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = Address(*transport.get_extra_info("peername")[:2])
        self._timer = self._loop.call_later(
            self._timeout, lambda: self._close(f"nothing came for {self._timeout:g} s")
        )
        self._pull_handshake()

    def _pull_handshake(self) -> None:
        while (message := self._handshake.pull()) is not None:
            self._handed += 1
            self._write(message)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where bytes go that come."""
        return self._decoder.room()

    def buffer_updated(self, size: int) -> None:
        """Find the messages in what has come."""
        self.received += size
        self.heard = monotonic()
        try:
            for message in self._decoder.filled(size):
                if self._handshake.done:
                    self._inbox.put(Arrived(self, message))
                else:
                    self._shake_hands(message)
        except Error as error:
            self._close(str(error))
        except MemoryError:
            self._close("there is not enough memory for what came")
        if len(self._inbox) > MOST_UNREAD and self._transport and not self._transport.is_closing():
            self._transport.pause_reading()
            self._unread = True
            self._inbox.wake()

    def _shake_hands(self, message: Message) -> None:
        self._handshake.receive(message)
        if isinstance(message, Hello):
            self._admit(message)
            self.purpose, self.session = Purpose(message.purpose), message.session
        self._pull_handshake()
        if self._handshake.done and not self.opened.done():
            self._adopt(self)
            if self._timer:
                self._timer.cancel()
            self.opened.set_result(None)
            self._inbox.put(Opened(self))

    def eof_received(self) -> None:
        """Nothing more will come: in the middle of a frame that is an error."""
        try:
            self._decoder.finish()
        except WireError as error:
            self._reason = self._reason or str(error)

    def pause_writing(self) -> None:
        """Enough waits to be sent."""
        self._full = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._full = False
        self._offer_room()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        if self._timer:
            self._timer.cancel()
        reason = self._reason or (str(error) if error else "the other side closed the connection")
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(TransportError(reason))
            self.opened.exception()  # seen: it may be that nobody waits for it
        self._inbox.put(Closed(self, reason))


# -- the loop


class Network:
    """An event loop in a thread, and the connections in it."""

    _open = 0
    _usual_turn = 0.0

    def __init__(self) -> None:
        if not Network._open:
            Network._usual_turn = sys.getswitchinterval()
            sys.setswitchinterval(_TURN)
        Network._open += 1
        self.loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._channels: list[Channel] = []
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="migration's connections", daemon=True
        )
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run something in the loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def watch(self, file: int, function: Callable[[], None]) -> None:
        """Call a function in the loop's thread whenever a file can be read."""
        self.loop.call_soon_threadsafe(self.loop.add_reader, file, function)

    def unwatch(self, file: int) -> None:
        """Look at a file no more."""

        async def remove() -> None:
            self.loop.remove_reader(file)

        self.call(remove())

    def listen(self, address: Address, make: Callable[[], Channel]) -> Address:
        """Accept connections; returns where, if any port would do.

        Raises
        ------
        TransportError
            Nobody can listen there.
        """

        def accept() -> Channel:
            channel = make()
            self._keep(channel)
            return channel

        async def listen() -> Address:
            server = await self.loop.create_server(accept, *address)
            self._servers.append(server)
            return Address(*server.sockets[0].getsockname()[:2])

        try:
            return self.call(listen())
        except (OSError, OverflowError) as error:
            raise TransportError(f"cannot listen on {address}: {_words(error)}") from None

    def connect(self, address: Address, make: Callable[[], Channel], timeout: float) -> Channel:
        """Return a connection whose handshake is done.

        Raises
        ------
        TransportError
            There is nobody, or somebody else.
        """

        async def connect() -> Channel:
            opening = self.loop.create_connection(make, *address)
            _, channel = await asyncio.wait_for(opening, timeout)
            self._keep(channel)
            await channel.opened
            return channel

        try:
            return self.call(connect())
        except TransportError as error:
            raise TransportError(f"no migration to {address}: {error}") from None
        except TimeoutError:
            raise TransportError(f"no answer from {address} for {timeout:g} s") from None
        except (OSError, OverflowError) as error:
            raise TransportError(f"cannot connect to {address}: {_words(error)}") from None

    def _keep(self, channel: Channel) -> None:
        self._channels = [*filter(_is_open, self._channels), channel]

    def close(self) -> None:
        """Close everything, and end the thread."""

        async def finish() -> None:
            for server in self._servers:
                server.close()
            open_ = [*filter(_is_open, self._channels)]
            for last in (False, True):
                for channel in open_:
                    if last or not channel.is_flushing:
                        channel._close("closed here")
                for _ in range(1000):
                    if any(map(_is_open, open_)):
                        await asyncio.sleep(0.001)

        if not self.loop.is_closed():
            self.call(finish())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()
            Network._open -= 1
            if not Network._open:
                sys.setswitchinterval(Network._usual_turn)


def _is_open(channel: Channel) -> bool:
    return channel._transport is not None or not channel.opened.done()


def _words(error: OSError | OverflowError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)
