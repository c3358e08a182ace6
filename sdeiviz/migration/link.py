"""A connection in virtual time: bandwidth, delay, a sender's socket buffer, and its loss.

Time is in integer nanoseconds and belongs to the caller, who lets it pass (`Link.advance`) as the
guest's time does. Nothing is rounded but the moment of each arrival, up.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sdeiviz.errors import Error
from sdeiviz.migration.destination import Destination, DestinationState
from sdeiviz.migration.source import Source
from sdeiviz.migration.wire import Decoder, Encoder, Message

_NS: Final = 1_000_000_000
MAIN, URGENT, RETURN = 0, 1, 2
"""Channels to the destination, and the way back."""


class Events:
    """What is due when, in order of time, and in order of being asked for at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def next_time(self) -> int | None:
        """When something is due next; None for never."""
        return self._heap[0][0] if self._heap else None

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Let something happen at a time that has not passed."""
        if time < self.now:
            raise Error(f"nothing can be put at {time} ns: it is {self.now} ns already")
        heapq.heappush(self._heap, (time, self._count, action))
        self._count += 1

    def advance(self, time: int) -> None:
        """Let time pass up to this, and happen what is due until then."""
        while self._heap and self._heap[0][0] <= time:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = max(self.now, time)


@dataclass(frozen=True, slots=True)
class LinkSpeed:
    """What a connection can do.

    Parameters
    ----------
    bandwidth
        Bits a second, in each direction; all channels of a direction share it.
    delay
        Nanoseconds from the last byte's leaving until it is there.
    buffer
        Bytes of a channel's socket buffer. A frame is taken while there are fewer in it, so that it
        may hold up to one frame more.
    """

    bandwidth: int
    delay: int = 0
    buffer: int = 1 << 17

    def __post_init__(self) -> None:
        if self.bandwidth < 1 or self.delay < 0 or self.buffer < 1:
            raise Error(f"no link like this: {self}")


class Pipe:
    """One direction of a connection.

    Frames leave one after another. Where several channels have some, they take turns: each gets the
    same share of the bandwidth in frames.

    Parameters
    ----------
    events
        Where arrivals are put.
    speed
        What it can do.
    channels
        How many.
    deliver
        Told of every frame that arrives: channel and bytes.
    refill
        Called when a channel may have room again.
    take
        Nanoseconds that the receiver takes for a frame, one after another of a channel. What it has
        not come to lies in a buffer as large as the sender's: while that is full, the channel's
        frames stay where they are.
    """

    def __init__(
        self,
        events: Events,
        speed: LinkSpeed,
        channels: int,
        deliver: Callable[[int, bytes], None],
        refill: Callable[[], None],
        take: int = 0,
    ) -> None:
        self._events = events
        self._speed = speed
        self._take = take
        self._unread = [0] * channels
        """Bytes that have arrived and wait for the receiver, by channel."""
        self._free = [0] * channels
        """When the receiver has come to the end of what has arrived."""
        self._coming: deque[int] = deque()
        """When frames arrive that have left, in order."""
        self._taking: list[int] = []
        """When the receiver is done with frames that have arrived; a heap."""
        self._deliver = deliver
        self._refill = refill
        self._queues: list[deque[bytes]] = [deque() for _ in range(channels)]
        self._busy = False
        self._end = 0
        """When the frame on the wire has left, in units of 1 ns / bandwidth: exactly."""
        self._last = channels - 1
        self._cuts = 0
        self.came = 0
        """When the frame that is being delivered arrived, though it was not taken at once."""
        self.buffered = [0] * channels
        """Bytes in each channel's buffer; a frame is in it until it has left."""
        self.sent = [0] * channels
        """Bytes that have left, by channel."""

    @property
    def next_delivery(self) -> int | None:
        """A time before which nothing is delivered; None while nothing is to happen at all.

        What has not left yet leaves at the next event at the earliest.
        """
        if (time := self._events.next_time) is None:
            return None
        times = [time + self._speed.delay + self._take]
        if self._coming:
            times.append(self._coming[0] + self._take)
        return min(times + self._taking[:1])

    def room(self, channel: int) -> bool:
        """Tell whether a channel takes another frame."""
        return self.buffered[channel] < self._speed.buffer

    def send(self, channel: int, frame: bytes) -> None:
        """Put a frame into a channel's buffer."""
        self._queues[channel].append(frame)
        self.buffered[channel] += len(frame)
        if not self._busy:
            self._start(self._events.now * self._speed.bandwidth)

    def cut(self) -> None:
        """Lose what is in the buffers and on the way."""
        self._cuts += 1
        self._busy = False
        for queue in self._queues:
            queue.clear()
        self.buffered = [0] * len(self.buffered)
        self._unread = [0] * len(self._unread)
        self._free = [0] * len(self._free)
        self._coming.clear()
        self._taking.clear()

    def _start(self, begin: int) -> None:
        channels = len(self._queues)
        turn = ((self._last + 1 + n) % channels for n in range(channels))
        channel = next((channel for channel in turn if self._may_leave(channel)), None)
        self._busy = channel is not None
        if channel is None:
            return
        self._last = channel
        frame = self._queues[channel].popleft()
        self._end = begin + len(frame) * 8 * _NS
        left = -(-self._end // self._speed.bandwidth)
        self._at(left, lambda: self._left(channel, frame))

    def _left(self, channel: int, frame: bytes) -> None:
        self.buffered[channel] -= len(frame)
        self.sent[channel] += len(frame)
        self._coming.append(self._events.now + self._speed.delay)
        self._at(self._coming[-1], lambda: self._arrive(channel, frame))
        self._refill()
        self._start(self._end)

    def _may_leave(self, channel: int) -> bool:
        return bool(self._queues[channel]) and self._unread[channel] < self._speed.buffer

    def _arrive(self, channel: int, frame: bytes) -> None:
        self._coming.popleft()
        came = self._events.now
        if not self._take:
            self._hand_over(channel, frame, came)
            return
        self._unread[channel] += len(frame)
        self._free[channel] = max(self._free[channel], self._events.now) + self._take
        heapq.heappush(self._taking, self._free[channel])
        self._at(self._free[channel], lambda: self._taken(channel, frame, came))

    def _taken(self, channel: int, frame: bytes, came: int) -> None:
        heapq.heappop(self._taking)
        self._unread[channel] -= len(frame)
        if not self._busy:
            self._start(self._events.now * self._speed.bandwidth)
        self._hand_over(channel, frame, came)

    def _hand_over(self, channel: int, frame: bytes, came: int) -> None:
        self.came = came
        self._deliver(channel, frame)

    def _at(self, time: int, action: Callable[[], None]) -> None:
        """Let something happen unless the connection is lost before."""
        cuts = self._cuts
        self._events.at(time, lambda: action() if self._cuts == cuts else None)


class Link:
    """A source and a destination, connected.

    Parameters
    ----------
    source, destination
        Both sides.
    speed
        What the connection can do; the return path's buffer takes everything.
    urgent
        There is a second channel to the destination.
    events
        Where what happens is put: those of a larger simulation, or its own.
    take
        Nanoseconds that the destination takes for each message of a channel.
    """

    def __init__(
        self,
        source: Source,
        destination: Destination,
        speed: LinkSpeed,
        *,
        urgent: bool = False,
        events: Events | None = None,
        take: int = 0,
    ) -> None:
        self.source = source
        self.destination = destination
        self.events = Events() if events is None else events
        self.connected = True
        self.on_sent: Callable[[int, int, Message, int], None] = lambda *_: None
        """Told of every message that goes into a buffer: time, channel, message, bytes."""
        self.on_delivered: Callable[[int, Message], None] = lambda time, message: None
        """Told of every message that has arrived and been taken, on either side."""
        self.came = 0
        """When the message that is being delivered had come, before it was taken."""
        self.on_lost: Callable[[int], None] = lambda time: None
        """Told when the connection is lost."""
        channels = 1 + urgent
        self.forward = Pipe(self.events, speed, channels, self._at_destination, self.poke, take)
        self.back = Pipe(self.events, speed, 1, self._at_source, lambda: None)
        self._new_connection()

    def _new_connection(self) -> None:
        channels = len(self.forward.buffered)
        self._encoders = [Encoder() for _ in range(channels)]
        self._decoders = [Decoder() for _ in range(channels)]
        self._back_encoder, self._back_decoder = Encoder(), Decoder()

    @property
    def now(self) -> int:
        """The time up to which everything has happened."""
        return self.events.now

    @property
    def next_time(self) -> int | None:
        """When something happens next; None while nothing is on the way."""
        return self.events.next_time

    def advance(self, time: int) -> None:
        """Let time pass up to this."""
        self.poke()
        self.events.advance(time)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until nothing is on the way, or something is the case."""
        self.poke()
        while not until() and (time := self.next_time) is not None:
            self.events.advance(time)
            self.poke()

    def poke(self) -> None:
        """Let both sides send what they have, as far as there is room."""
        if not self.connected:
            return
        pulls = (self.source.pull, self.source.pull_urgent)
        for channel, encoder in enumerate(self._encoders):
            while self.forward.room(channel) and (message := pulls[channel]()) is not None:
                frame = encoder.encode(message)
                self.on_sent(self.now, channel, message, len(frame))
                self.forward.send(channel, frame)
        while (message := self.destination.pull()) is not None:
            frame = self._back_encoder.encode(message)
            self.on_sent(self.now, RETURN, message, len(frame))
            self.back.send(0, frame)

    def _at_destination(self, channel: int, frame: bytes) -> None:
        self.came = self.forward.came
        for message in self._decoders[channel].feed(frame):
            self.destination.receive(message, urgent=channel == URGENT)
            self.on_delivered(self.now, message)
        self.poke()

    def _at_source(self, channel: int, frame: bytes) -> None:
        self.came = self.back.came
        for message in self._back_decoder.feed(frame):
            self.source.receive(message)
            self.on_delivered(self.now, message)
        self.poke()

    def cut(self) -> None:
        """Lose the connection, with everything in buffers and on the way."""
        if not self.connected:
            return
        self.connected = False
        self.forward.cut()
        self.back.cut()
        self.source.disconnected()
        self.destination.disconnected()
        self.on_lost(self.now)

    def reconnect(self) -> None:
        """Connect both sides again."""
        if self.connected:
            raise Error("the connection is not lost")
        self.source.reconnected()
        if self.destination.state is not DestinationState.RECOVER:
            self.destination.reconnected()
        self.connected = True
        self._new_connection()
        self.poke()
