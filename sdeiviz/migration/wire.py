"""What goes over a migration's connection: frames and messages. Bytes in, messages out, no sockets.

A frame, big-endian::

    offset  size
    0       2     magic, "VM"
    2       1     version of the protocol
    3       1     type of the message
    4       4     sequence: 0, 1, 2, ... in each direction of a connection
    8       4     bytes of payload
    12      4     CRC-32 of all before, then of the payload; the content of pages counts as the
                  CRC-32 of each, 4 bytes
    16            payload

The first three bytes have their place in every version, so that two versions can tell each other
what they are. A CRC finds damage, not malice: the handshake keeps strangers out, and nothing hides
what is sent. That of a page is worked out once on either side, and also goes into the digest of all
RAM (`sdeiviz.migration.checksum`).

The commands of the main stream and of the return path are QEMU's, with its numbers; the return path
has 0x80 added. Pages are named by their number in RAM, of which there is one block.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, field, fields
from enum import IntEnum
from typing import Annotated, Any, Final, NamedTuple, Self, get_args, get_origin, get_type_hints

from sdeiviz.errors import Error
from sdeiviz.machine.memory import MAX_SIZE, PAGE, PAGE_SHIFT
from sdeiviz.migration.checksum import page_sums

MAGIC: Final = b"VM"
VERSION: Final = 2
HEADER: Final = struct.Struct(">2sBBIII")
MAX_PAGES: Final = MAX_SIZE >> PAGE_SHIFT
MAX_STATE: Final = 16 << 20
"""Bytes of a machine's state without RAM."""
MAX_RANGES: Final = 256
"""How many runs of pages one `Discard` names."""
MAX_REQUEST: Final = 64
"""How many pages one `RequestPages` asks for."""
MAX_RUN: Final = 256
"""How many neighbours one `Pages` has."""
MAX_BITMAP: Final = (MAX_PAGES >> 3) + 4096
"""Bytes of a packed bitmap: one that cannot be compressed grows a little."""
MAX_SHAPE: Final = 1024
SEQUENCES: Final = 1 << 32
_LEAST: Final = 1 << 16
"""Bytes for which a decoder always has room, as many small frames come at once; fewer are copied
rather than sent or kept apart."""
_ROOM: Final = MAX_RUN * PAGE + _LEAST
"""Bytes of its buffers."""


class WireError(Error):
    """Bytes or messages that the protocol does not allow."""


class ProtocolError(WireError):
    """A message that has no place where the conversation stands. Nothing of it was obeyed."""


U8 = Annotated[int, "B"]
U32 = Annotated[int, "I"]
Flag = Annotated[bool, "B"]
Bytes16 = Annotated[bytes, "16s"]
Bytes32 = Annotated[bytes, "32s"]
_NOT_SENT: Final = None
Sums = Annotated[bytes, _NOT_SENT]
"""`page_sums` of a message's content: both sides work them out."""


class Role(IntEnum):
    """Who speaks."""

    SOURCE = 1
    DESTINATION = 2


class Purpose(IntEnum):
    """What a connection is for."""

    NEW = 1
    URGENT = 2
    """The second channel of a migration, for the pages asked for."""
    RESUME = 3
    """Instead of a connection that was lost."""


class Message:
    """What all messages can do."""

    __slots__ = ()

    def pack(self) -> bytes:
        """Return the payload of its frame.

        Raises
        ------
        WireError
            A field does not fit its place.
        """
        return b"".join(self.parts())

    def parts(self) -> tuple[bytes, bytes | memoryview]:
        """Return the payload of its frame in two: the fixed fields, and the tail."""
        layout = _LAYOUTS[type(self)]
        values = [getattr(self, name) for name in layout.names]
        for name, kind, value in zip(layout.names, layout.kinds, values, strict=True):
            if type(value) is bytes and len(value) != kind.size:
                raise WireError(f"{_name(self)}: {name} wants {kind.size} bytes, not {len(value)}")
        tail: bytes | memoryview = b""
        if layout.ranges:
            tail = b"".join(_RANGE.pack(*pair) for pair in getattr(self, layout.tail))
        elif layout.tail:
            tail = getattr(self, layout.tail)
        if len(tail) > layout.limit:
            raise WireError(f"{_name(self)}: {len(tail)} bytes, at most {layout.limit} fit")
        try:
            return layout.fixed.pack(*values), tail
        except struct.error:
            raise WireError(f"{_name(self)}: a number does not fit its field: {values}") from None

    @classmethod
    def unpack(cls, payload: bytes | memoryview, **known: bytes) -> Self:
        """Return the message that a payload holds, of whose memory it may be a part.

        Parameters
        ----------
        payload
            Of its frame.
        known
            What is known of it already.

        Raises
        ------
        WireError
            It has another length, or values that mean nothing.
        """
        layout = _LAYOUTS[cls]
        size = layout.fixed.size
        tail = payload[size:]
        if len(payload) < size or len(tail) > layout.limit:
            raise WireError(f"{_name(cls)}: {len(payload)} bytes do not fit its fields")
        values = dict(zip(layout.names, layout.fixed.unpack(payload[:size]), strict=True))
        for name in layout.flags:
            if values[name] > 1:
                raise WireError(f"{_name(cls)}: {name} is {values[name]}, neither 0 nor 1")
            values[name] = bool(values[name])
        if layout.ranges:
            if len(tail) % _RANGE.size:
                raise WireError(f"{_name(cls)}: a range is cut off")
            values[layout.tail] = tuple(_RANGE.iter_unpack(tail))
        elif layout.tail:
            values[layout.tail] = tail
        return cls(**values, **known)


class _Layout(NamedTuple):
    """How a message's fields lie in its payload: fixed ones in order, then perhaps one tail."""

    fixed: struct.Struct
    names: list[str]
    kinds: list[struct.Struct]
    flags: list[str]
    tail: str
    limit: int
    ranges: bool
    pages: bool
    """The tail is the content of pages."""


def _layout(cls: type[Message]) -> _Layout:
    names, codes, flags, tail, limit, ranges, pages = [], [], [], "", 0, False, False
    hints = get_type_hints(cls, include_extras=True)
    for each in fields(cls):  # type: ignore[arg-type]
        kind, how = get_args(hints[each.name])
        if how is _NOT_SENT:
            pages = True
        elif isinstance(how, str):
            names.append(each.name)
            codes.append(how)
            flags += [each.name] * (kind is bool)
        else:
            tail, limit, ranges = each.name, how, get_origin(kind) is tuple
    kinds = [struct.Struct(f">{code}") for code in codes]
    fixed = struct.Struct(">" + "".join(codes))
    return _Layout(fixed, names, kinds, flags, tail, limit, ranges, pages)


_RANGE: Final = struct.Struct(">II")


def _name(message: Message | type[Message]) -> str:
    return (message if isinstance(message, type) else type(message)).__name__


def _check_pages(message: Message, first: int, count: int) -> None:
    if count < 1 or first + count > MAX_PAGES:
        raise WireError(f"{_name(message)}: no pages {first} to {first + count - 1}")


# -- the handshake


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """The first message of either side."""

    role: U8
    purpose: U8
    secret: Flag
    """It has a secret, and wants to see that the other has the same."""
    session: Bytes16
    """Which migration: drawn by the source, and the same for all its connections."""
    nonce: Bytes32
    """Never the same twice."""
    shape: Annotated[bytes, MAX_SHAPE]
    """What both machines must have in common (`sdeiviz.machine.state.shape`), encoded."""

    def __post_init__(self) -> None:
        if self.role not in [*Role] or self.purpose not in [*Purpose]:
            raise WireError(f"Hello: no role {self.role} or no purpose {self.purpose}")


@dataclass(frozen=True, slots=True)
class Proof(Message):
    """A keyed digest of both Hellos: whoever sends it knows the secret."""

    digest: Bytes32


# -- the main stream


@dataclass(frozen=True, slots=True)
class OpenReturnPath(Message):
    """From now on the destination may answer."""


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Wants a Pong with the same number."""

    value: U32


@dataclass(frozen=True, slots=True)
class Advise(Message):
    """A migration begins that may become post-copy: all pages are absent from now on."""

    page_size: U32
    pages: U32
    urgent: Flag
    """Pages asked for come on a channel of their own."""

    def __post_init__(self) -> None:
        if self.page_size != PAGE:
            raise WireError(f"Advise: pages of {self.page_size} bytes, here of {PAGE}")
        _check_pages(self, 0, self.pages)


@dataclass(frozen=True, slots=True)
class Listen(Message):
    """From now on a page that is touched is asked for, and a page that is there stays."""


@dataclass(frozen=True, slots=True)
class Run(Message):
    """Let the vCPUs run."""


@dataclass(frozen=True, slots=True)
class Discard(Message):
    """Pages of which an older content was sent: absent from now on."""

    ranges: Annotated[tuple[tuple[int, int], ...], MAX_RANGES * _RANGE.size]
    """First page and how many, each 4 bytes."""

    def __post_init__(self) -> None:
        for first, count in self.ranges:
            _check_pages(self, first, count)


@dataclass(frozen=True, slots=True)
class Packaged(Message):
    """Frames that are read whole before the first is obeyed: Listen, State, Run."""

    frames: Annotated[bytes, MAX_STATE + 4096]


@dataclass(frozen=True, slots=True)
class State(Message):
    """The machine's state without RAM (`sdeiviz.migration.encoding`)."""

    state: Annotated[bytes, MAX_STATE]


@dataclass(frozen=True, slots=True)
class Resume(Message):
    """Go on after a connection that was lost."""


@dataclass(frozen=True, slots=True)
class RecvBitmap(Message):
    """Wants to know which pages were received."""


@dataclass(frozen=True, slots=True)
class Page(Message):
    """A page's content; nothing of one that is zero but this header."""

    number: U32
    zero: Flag
    data: Annotated[bytes, PAGE] = b""
    sums: Sums = field(init=False, repr=False, compare=False)
    known: InitVar[bytes] = b""
    """The sums, where the decoder has worked them out."""

    def __post_init__(self, known: bytes) -> None:
        _check_pages(self, self.number, 1)
        if len(self.data) != (0 if self.zero else PAGE):
            raise WireError(f"Page: {len(self.data)} bytes of content, zero={self.zero}")
        object.__setattr__(self, "sums", known or page_sums(self.data))


@dataclass(frozen=True, slots=True)
class Pages(Message):
    """The content of neighbours that nobody waits for: all of them zero, or as they are."""

    first: U32
    count: U32
    zero: Flag
    data: Annotated[bytes | memoryview, MAX_RUN * PAGE] = b""
    sums: Sums = field(init=False, repr=False, compare=False)
    known: InitVar[bytes] = b""
    """The sums, where the decoder has worked them out."""

    def __post_init__(self, known: bytes) -> None:
        _check_pages(self, self.first, self.count)
        if self.count > MAX_RUN:
            raise WireError(f"Pages: {self.count} pages, at most {MAX_RUN} at once")
        if len(self.data) != (0 if self.zero else self.count * PAGE):
            raise WireError(
                f"Pages: {len(self.data)} bytes of {self.count} pages, zero={self.zero}"
            )
        object.__setattr__(self, "sums", known or page_sums(self.data))


@dataclass(frozen=True, slots=True)
class Checksum(Message):
    """Of the source's whole RAM (`sdeiviz.migration.checksum`)."""

    digest: Bytes32


@dataclass(frozen=True, slots=True)
class End(Message):
    """Every page was sent."""


# -- the return path

DAMAGED: Final = 1
"""The destination's RAM is not the source's."""
REFUSED: Final = 2
"""The destination could not load the state: the guest has not run there and never will."""


@dataclass(frozen=True, slots=True)
class Shut(Message):
    """The destination needs nothing more."""

    status: U32
    """0: all is well. `DAMAGED`, `REFUSED`."""


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """The answer to a Ping."""

    value: U32


@dataclass(frozen=True, slots=True)
class RequestPages(Message):
    """Somebody waits for these pages."""

    first: U32
    count: U32

    def __post_init__(self) -> None:
        _check_pages(self, self.first, self.count)
        if self.count > MAX_REQUEST:
            raise WireError(f"RequestPages: {self.count} pages, at most {MAX_REQUEST} at once")


@dataclass(frozen=True, slots=True)
class ReceivedBitmap(Message):
    """The answer to RecvBitmap."""

    runs: Flag
    """The package has arrived: the guest lives here."""
    pages: U32
    bitmap: Annotated[bytes, MAX_BITMAP]
    """Packed (`sdeiviz.migration.bitmap`)."""

    def __post_init__(self) -> None:
        _check_pages(self, 0, self.pages)


@dataclass(frozen=True, slots=True)
class ResumeAck(Message):
    """The answer to Resume; requests that are still open follow."""


TYPES: Final[dict[int, type[Message]]] = {
    0x01: OpenReturnPath,
    0x02: Ping,
    0x03: Advise,
    0x04: Listen,
    0x05: Run,
    0x06: Discard,
    0x07: Packaged,
    0x09: Resume,
    0x0A: RecvBitmap,
    # Parts of a stream that are no commands in QEMU's.
    0x20: Page,
    0x21: State,
    0x22: Checksum,
    0x23: End,
    0x24: Pages,
    0x40: Hello,
    0x41: Proof,
    0x81: Shut,
    0x82: Pong,
    0x83: RequestPages,
    0x85: ReceivedBitmap,
    0x86: ResumeAck,
}
_NUMBERS: Final = {cls: number for number, cls in TYPES.items()}
_LAYOUTS: Final = {cls: _layout(cls) for cls in _NUMBERS}


# -- frames


def frame(message: Message, sequence: int) -> bytes:
    """Return a message as the frame with that sequence."""
    return b"".join(_frame_parts(message, sequence))


def _frame_parts(message: Message, sequence: int) -> tuple[bytes, bytes | memoryview]:
    fixed, tail = message.parts()
    size = len(fixed) + len(tail)
    header = HEADER.pack(MAGIC, VERSION, _NUMBERS[type(message)], sequence, size, 0)[:-4]
    counted = message.sums if isinstance(message, (Page, Pages)) else tail
    return header + _crc(header, fixed, counted).to_bytes(4, "big") + fixed, tail


def _crc(*parts: bytes | memoryview) -> int:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc


class Encoder:
    """Makes the frames of one direction of a connection.

    Examples
    --------
    >>> encoder = Encoder()
    >>> encoder.encode(Ping(7)).hex(" ", 4)
    '564d0202 00000000 00000004 ab50a121 00000007'
    """

    def __init__(self) -> None:
        self._sequence = 0

    def encode(self, message: Message) -> bytes:
        """Return the next frame."""
        return b"".join(self.parts(message))

    def parts(self, message: Message) -> tuple[bytes | memoryview, ...]:
        """Return the next frame, in two parts where much would have to be copied for one."""
        parts = _frame_parts(message, self._sequence)
        self._sequence = (self._sequence + 1) % SEQUENCES
        return parts if len(parts[1]) > _LEAST else (b"".join(parts),)


class Decoder:
    """Finds the messages in the bytes of one direction of a connection.

    It keeps no more than one frame that is not complete, and what came with it. After an error
    nothing can be read.

    Content of pages that is longer than 64 KiB is not copied: the message is given the buffer that
    it came in, and whoever is done with it may give that back.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_ROOM))
        self._spare: list[memoryview] = []
        """Buffers that were given back."""
        self._begin = self._end = 0
        """Where in it the bytes are that have not been read."""
        self._wanted = HEADER.size
        """How many bytes of a frame must be there before more can be said."""
        self._sequence = 0
        self._error: WireError | None = None

    def room(self) -> memoryview:
        """Return where the next bytes go; `filled` is told how many came.

        The rest of a big frame goes to where it is read from, with the header of the next one.
        """
        if self._begin == self._end:
            self._begin = self._end = 0
        size = max(self._wanted + HEADER.size, _LEAST)
        if self._begin + size > len(self._buffer):
            fits = size <= len(self._buffer)
            self._move(self._buffer if fits else memoryview(bytearray(size)))
        return self._buffer[self._end : self._begin + size]

    def _move(self, buffer: memoryview) -> None:
        """Go on at the beginning of a buffer."""
        kept = self._end - self._begin
        buffer[:kept] = self._buffer[self._begin : self._end]
        self._buffer, self._begin, self._end = buffer, 0, kept

    def give_back(self, message: Message) -> None:
        """Nobody looks at this message any more: its memory may be used again."""
        if isinstance(message, Pages) and isinstance(message.data, memoryview):
            buffer = memoryview(message.data.obj)
            # One for a big state is not kept.
            if len(buffer) == _ROOM:
                self._spare.append(buffer)

    def filled(self, size: int) -> Iterator[Message]:
        """So many bytes have come: yield the messages that are complete now.

        Raises
        ------
        WireError
            While iterating: the bytes are not what a peer of this version sends.
        """
        self._end += size
        try:
            while (message := self._next()) is not None:
                yield message
        except WireError as error:
            self._error = error
            raise

    def feed(self, data: bytes | bytearray) -> Iterator[Message]:
        """Take bytes as they come, and yield messages as `filled` does."""
        at = 0
        while at < len(data):
            with self.room() as room:
                piece = data[at : at + len(room)]
                room[: len(piece)] = piece
            at += len(piece)
            yield from self.filled(len(piece))

    def finish(self) -> None:
        """The connection has ended.

        Raises
        ------
        WireError
            In the middle of a frame.
        """
        if self._error:
            raise self._error
        if self._begin < self._end:
            raise WireError(f"the connection ended {self._end - self._begin} bytes into a frame")

    def _next(self) -> Message | None:
        if self._error:
            raise self._error
        buffer = self._buffer[self._begin : self._end]
        if HEADER.size < self._wanted > len(buffer):
            return None
        if not MAGIC.startswith(buffer[: len(MAGIC)]):
            raise WireError(f"no frame begins with {bytes(buffer[:2])!r}: is this a migration?")
        if len(buffer) > 2 and buffer[2] != VERSION:
            raise WireError(
                f"the peer speaks version {buffer[2]} of the protocol, this sdeiviz version"
                f" {VERSION}: use the same on both sides"
            )
        if len(buffer) > 3 and buffer[3] not in TYPES:
            raise WireError(f"no message has type {buffer[3]:#x}")
        if len(buffer) < HEADER.size:
            return None
        _, _, number, sequence, length, crc = HEADER.unpack_from(buffer)
        cls = TYPES[number]
        layout = _LAYOUTS[cls]
        if not layout.fixed.size <= length <= layout.fixed.size + layout.limit:
            raise WireError(f"{_name(cls)}: {length} bytes do not fit its fields")
        self._wanted = HEADER.size + length
        if len(buffer) < self._wanted:
            return None
        payload = buffer[HEADER.size : self._wanted]
        fixed, tail = payload[: layout.fixed.size], payload[layout.fixed.size :]
        known = {"known": page_sums(tail)} if layout.pages else {}
        if _crc(buffer[: HEADER.size - 4], fixed, known.get("known", tail)) != crc:
            raise WireError(f"{_name(cls)}: damaged on the way (CRC)")
        self._check_sequence(sequence)
        given = layout.pages and len(tail) > _LEAST
        message = cls.unpack(payload if given else bytes(payload), **known)
        self._begin += self._wanted
        if given:
            self._move(self._spare.pop() if self._spare else memoryview(bytearray(_ROOM)))
        self._wanted = HEADER.size
        self._sequence = (sequence + 1) % SEQUENCES
        return message

    def _check_sequence(self, sequence: int) -> None:
        ahead = (sequence - self._sequence) % SEQUENCES
        if ahead >= SEQUENCES // 2:
            raise WireError(f"frame {sequence} again, after frame {self._sequence - 1}")
        if ahead:
            raise WireError(f"frame {sequence} where {self._sequence} should be: some are missing")


def size_of(message: Message) -> int:
    """Return the bytes of a message's frame.

    >>> size_of(Ping(7)), size_of(Discard(((0, 1), (5, 2))))
    (20, 32)
    """
    layout = _LAYOUTS[type(message)]
    tail = len(getattr(message, layout.tail)) if layout.tail else 0
    return HEADER.size + layout.fixed.size + tail * (_RANGE.size if layout.ranges else 1)


def pack_frames(messages: Iterable[Message]) -> bytes:
    """Return messages as frames one after another, numbered from 0: what a package holds."""
    encoder = Encoder()
    return b"".join(map(encoder.encode, messages))


def unpack_frames(data: bytes) -> list[Message]:
    """Return the messages of a package.

    Raises
    ------
    WireError
        A frame is damaged or cut off.
    """
    decoder = Decoder()
    messages = [*decoder.feed(data)]
    decoder.finish()
    return messages


def describe(message: Message) -> dict[str, Any]:
    """Return a message for a log: its fields, of long bytes only how many."""
    row: dict[str, Any] = {"message": _name(message)}
    for each in fields(message):  # type: ignore[arg-type]
        if each.repr:
            value = getattr(message, each.name)
            long = isinstance(value, (bytes, memoryview))
            row[each.name] = f"{len(value)} bytes" if long else value
    return row
