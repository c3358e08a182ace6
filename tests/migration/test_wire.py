"""Frames as they lie on the wire, and everything that a damaged or foreign stream may hold."""

import binascii
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.migration.wire import (
    TYPES,
    Advise,
    Checksum,
    Decoder,
    Discard,
    Encoder,
    End,
    Hello,
    Listen,
    Message,
    OpenReturnPath,
    Packaged,
    Page,
    Pages,
    Ping,
    Pong,
    Proof,
    ReceivedBitmap,
    RecvBitmap,
    RequestPages,
    Resume,
    ResumeAck,
    Run,
    Shut,
    State,
    WireError,
    describe,
    frame,
    pack_frames,
    unpack_frames,
)

# Made by hand: the layout typed, the CRC by Python's binascii.
FRAMES: list[tuple[Message, str]] = [
    (OpenReturnPath(), "564d0201 00000000 00000000 a6c1a915"),
    (Ping(7), "564d0202 00000001 00000004 bc2bb562 00000007"),
    (Advise(4096, 256, True), "564d0203 00000002 00000009 19c7cb70 00001000 00000100 01"),
    (Listen(), "564d0204 00000003 00000000 abf6968a"),
    (Run(), "564d0205 00000004 00000000 0ead5ed9"),
    (
        Discard(((2, 3), (16, 1))),
        "564d0206 00000005 00000010 36d5f5a7 00000002 00000003 00000010 00000001",
    ),
    (Packaged(b"abc"), "564d0207 00000006 00000003 8788d6f0 616263"),
    (Resume(), "564d0209 00000007 00000000 af39d71d"),
    (RecvBitmap(), "564d020a 00000008 00000000 14e47c09"),
    (Page(0x1234, True), "564d0220 00000009 00000005 194dc9d0 00001234 01"),
    (State(b"s"), "564d0221 0000000a 00000001 81a8fbbe 73"),
    (Checksum(bytes(range(32))), "564d0222 0000000b 00000020 6b01d059" + bytes(range(32)).hex()),
    (End(), "564d0223 0000000c 00000000 cf36ee31"),
    (
        Hello(1, 3, True, b"S" * 16, b"N" * 32, b"d\0\0\0\0"),
        "564d0240 0000000d 00000038 ebea666f 01 03 01" + "53" * 16 + "4e" * 32 + "64 00000000",
    ),
    (Proof(b"P" * 32), "564d0241 0000000e 00000020 fae8d4ab" + "50" * 32),
    (Shut(1), "564d0281 0000000f 00000004 802a821c 00000001"),
    (Pong(7), "564d0282 00000010 00000004 a7fac647 00000007"),
    (RequestPages(9, 2), "564d0283 00000011 00000008 f97e5489 00000009 00000002"),
    (ReceivedBitmap(True, 16, b"zz"), "564d0285 00000012 00000007 9797d110 01 00000010 7a7a"),
    (ResumeAck(), "564d0286 00000013 00000000 83b529c1"),
    (Pages(0x1234, 64, True), "564d0224 00000014 00000009 c2107f5e 00001234 00000040 01"),
]
STREAM = b"".join(bytes.fromhex(text) for _, text in FRAMES)
MESSAGES = [message for message, _ in FRAMES]


def decoded(*pieces: bytes) -> list[Message]:
    decoder = Decoder()
    messages = [message for piece in pieces for message in decoder.feed(piece)]
    decoder.finish()
    return messages


def raw(kind: int, payload: bytes, sequence: int = 0, magic: bytes = b"VM\x02") -> bytes:
    """A frame whose CRC is right, whatever it holds."""
    head = magic + bytes([kind]) + sequence.to_bytes(4, "big") + len(payload).to_bytes(4, "big")
    counted = payload
    if begin := {0x20: 5, 0x24: 9}.get(kind):
        counted = payload[:begin]
        for at in range(begin, len(payload), 4096):
            counted += binascii.crc32(payload[at : at + 4096]).to_bytes(4, "big")
    return head + binascii.crc32(head + counted).to_bytes(4, "big") + payload


def refused(*pieces: bytes) -> str:
    with pytest.raises(WireError) as caught:
        decoded(*pieces)
    return str(caught.value)


def test_every_message_as_it_lies_on_the_wire() -> None:
    encoder = Encoder()
    for message, text in FRAMES:
        assert encoder.encode(message) == bytes.fromhex(text), message
    assert {*map(type, MESSAGES)} == {*TYPES.values()}
    assert decoded(STREAM) == MESSAGES


def test_a_page_takes_21_bytes_more_than_its_content() -> None:
    data = frame(Page(5, False, b"\xaa" * 4096), 0)
    assert data[:21].hex() == "564d022000000000000010058991b9c50000000500"
    assert data[21:] == b"\xaa" * 4096
    assert len(frame(Page(5, True), 0)) == 21


def test_64_pages_take_25_bytes_more_than_their_content() -> None:
    content = bytes(range(1, 65)) * 4096
    data = frame(Pages(5, 64, False, content), 0)
    assert data[:25].hex() == "564d022400000000000400094251da4c000000050000004000"
    assert data[25:] == content
    assert decoded(data) == [Pages(5, 64, False, content)]


def test_cut_anywhere_in_two() -> None:
    for at in range(len(STREAM) + 1):
        assert decoded(STREAM[:at], STREAM[at:]) == MESSAGES


def test_byte_by_byte() -> None:
    decoder = Decoder()
    got = [message for byte in STREAM for message in decoder.feed(bytes([byte]))]
    assert got == MESSAGES


def test_ended_anywhere() -> None:
    ends = {0}
    for _, text in FRAMES:
        ends.add(max(ends) + len(bytes.fromhex(text)))
    for at in range(len(STREAM)):
        if at in ends:
            assert decoded(STREAM[:at]) == MESSAGES[: sorted(ends).index(at)]
        else:
            assert "into a frame" in refused(STREAM[:at])


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_each_byte_damaged(flip: int) -> None:
    for at in range(len(STREAM)):
        damaged = bytearray(STREAM)
        damaged[at] ^= flip
        assert refused(bytes(damaged))


def test_messages_before_the_damage_are_read() -> None:
    first, second, third = (bytes.fromhex(text) for _, text in FRAMES[:3])
    decoder = Decoder()
    got: list[Message] = []
    with pytest.raises(WireError, match=r"Ping: damaged on the way \(CRC\)"):
        got.extend(decoder.feed(first + second[:-1] + b"\xff" + third))
    assert got == [OpenReturnPath()]
    # There is no telling where the next frame begins.
    with pytest.raises(WireError, match="Ping: damaged"):
        [*decoder.feed(third)]
    with pytest.raises(WireError, match="Ping: damaged"):
        decoder.finish()


def test_frames_twice_left_out_or_exchanged() -> None:
    frames = [bytes.fromhex(text) for _, text in FRAMES]
    for n, (one, other) in enumerate(pairwise(frames)):
        assert refused(b"".join(frames[: n + 1]) + one) == f"frame {n} again, after frame {n}"
        missing = f"frame {n + 1} where {n} should be: some are missing"
        assert refused(b"".join(frames[:n]) + other) == missing
        assert refused(b"".join(frames[:n]) + other + one) == missing


def test_the_sequence_begins_again_after_the_last() -> None:
    encoder, decoder = Encoder(), Decoder()
    encoder._sequence = decoder._sequence = 0xFFFF_FFFF
    data = encoder.encode(Ping(1)) + encoder.encode(Ping(2))
    assert data[4:8] == b"\xff\xff\xff\xff"
    assert data[24:28] == b"\0\0\0\0"
    assert [*decoder.feed(data)] == [Ping(1), Ping(2)]


REFUSED: list[tuple[str, bytes, str]] = [
    ("another protocol", b"GET / HTTP/1.1\r\n", r"no frame begins with b'GE'"),
    ("its first byte", b"G", r"no frame begins with b'G'"),
    ("the next version", raw(2, bytes(4), magic=b"VM\x03"), "speaks version 3 .* version 2"),
    ("its first three bytes", b"VM\x01", "speaks version 1"),
    ("an unknown type", b"VM\x02\x08", "no message has type 0x8"),
    ("too long for its type", raw(2, bytes(5)), "Ping: 5 bytes do not fit"),
    ("too short for its type", raw(2, bytes(3)), "Ping: 3 bytes do not fit"),
    ("one byte for nothing", raw(1, b"x"), "OpenReturnPath: 1 bytes do not fit"),
    ("4 GiB of page", b"VM\x02\x20" + bytes(4) + b"\xff" * 8, "Page: 4294967295 bytes do not fit"),
    ("16 MiB and more of state", b"VM\x02\x21" + bytes(4) + b"\1\0\0\1" + bytes(4), "16777217"),
    ("a zero page with content", raw(0x20, bytes(4) + b"\1x"), "1 bytes of content, zero=True"),
    ("a page without content", raw(0x20, bytes(5)), "0 bytes of content, zero=False"),
    ("half a page", raw(0x20, bytes(5 + 2048)), "2048 bytes of content"),
    ("257 pages", raw(0x24, b"\0\0\0\0\0\0\1\1\1"), "257 pages, at most 256"),
    ("no pages", raw(0x24, bytes(8) + b"\1"), "Pages: no pages 0 to -1"),
    ("pages that go on beyond", raw(0x24, b"\0\x7f\xff\xff\0\0\0\2\1"), "8388607 to 8388608"),
    ("two pages and half", raw(0x24, bytes(7) + b"\2\0" + bytes(6000)), "6000 bytes of 2 pages"),
    ("zero pages with content", raw(0x24, bytes(7) + b"\2\1" + bytes(8192)), "2 pages, zero=True"),
    ("too many pages", raw(0x24, bytes(9 + 257 * 4096)), "Pages: 1052681 bytes do not fit"),
    ("a flag of 2", raw(0x20, bytes(4) + b"\2"), "zero is 2, neither 0 nor 1"),
    ("a page beyond all RAM", raw(0x20, b"\0\x80\0\0\1"), "no pages 8388608 to 8388608"),
    ("half a range", raw(6, bytes(4)), "a range is cut off"),
    ("an empty range", raw(6, bytes(8)), "Discard: no pages 0 to -1"),
    ("a range that goes on beyond", raw(6, b"\0\x7f\xff\xff\0\0\0\2"), "8388607 to 8388608"),
    ("257 ranges", raw(6, bytes(257 * 8)), "Discard: 2056 bytes do not fit"),
    ("a request for nothing", raw(0x83, bytes(8)), "RequestPages: no pages"),
    ("a request for 65", raw(0x83, bytes(7) + b"\x41"), "65 pages, at most 64"),
    ("pages of 64 KiB", raw(3, b"\0\1\0\0\0\0\0\1\0"), "pages of 65536 bytes, here of 4096"),
    ("a machine without RAM", raw(3, b"\0\0\x10\0\0\0\0\0\0"), "Advise: no pages"),
    ("a bitmap of nothing", raw(0x85, bytes(5)), "ReceivedBitmap: no pages"),
    ("a third role", raw(0x40, b"\3\1\0" + bytes(48)), "no role 3"),
    ("a fourth purpose", raw(0x40, b"\1\4\0" + bytes(48)), "no purpose 4"),
    ("a shape without end", raw(0x40, b"\1\1\0" + bytes(48 + 1025)), "Hello: 1076 bytes"),
]


@pytest.mark.parametrize(("name", "data", "reason"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decoded(data)


def test_a_length_is_refused_before_anything_is_kept_for_it() -> None:
    decoder = Decoder()
    with pytest.raises(WireError):
        [*decoder.feed(b"VM\x02\x20" + bytes(4) + b"\xff" * 8 + bytes(1 << 16))]
    assert len(decoder._buffer) < 2 << 20
    with pytest.raises(WireError):
        decoder.finish()
    decoder = Decoder()
    for _ in range(100):
        assert not [*decoder.feed(b"")]
    page = frame(Page(0, False, b"x" * 4096), 0)
    for at in range(0, len(page) - 1, 7):
        assert not [*decoder.feed(page[at : min(at + 7, len(page) - 1)])]
    with pytest.raises(WireError, match="ended 4116 bytes into a frame"):
        decoder.finish()


def test_content_of_many_pages_lies_where_it_came_until_it_is_given_back() -> None:
    contents = [bytes([n]) * (17 * 4096) for n in range(1, 5)]
    encoder, decoder = Encoder(), Decoder()
    stream = b"".join(encoder.encode(Pages(0, 17, False, content)) for content in contents)
    messages = [*decoder.feed(stream)]
    assert messages == [Pages(0, 17, False, content) for content in contents]
    first = messages[0]
    assert isinstance(first, Pages)
    assert isinstance(first.data, memoryview)
    assert len({id(message.data.obj) for message in messages if isinstance(message, Pages)}) == 4
    # Two more, of which only one can have what was given back, and only the second: the buffer in
    # which the first of them comes is there already.
    decoder.give_back(first)
    for n in (5, 6):
        [message] = decoder.feed(encoder.encode(Pages(0, 17, False, bytes([n]) * (17 * 4096))))
        assert isinstance(message, Pages)
        assert bytes(message.data) == bytes([n]) * (17 * 4096)
        assert (message.data.obj is first.data.obj) is (n == 6)
    assert [message.data[0] for message in messages[1:]] == [2, 3, 4]
    assert [message.sums for message in messages[1:]] == [
        binascii.crc32(content[:4096]).to_bytes(4, "big") * 17 for content in contents[1:]
    ]


def test_few_pages_and_all_else_are_copied() -> None:
    encoder, decoder = Encoder(), Decoder()
    small = Pages(0, 16, False, b"s" * (16 * 4096))
    got = [*decoder.feed(encoder.encode(small) + encoder.encode(State(b"t" * 100_000)))]
    [*decoder.feed(encoder.encode(Pages(0, 200, False, bytes(200 * 4096))))]
    assert got == [small, State(b"t" * 100_000)]
    assert all(type(data) is bytes for data in (got[0].data, got[1].state))  # type: ignore[attr-defined]


@pytest.mark.parametrize("pages", [1, 2, 17, 256])
def test_damage_anywhere_in_content(pages: int) -> None:
    content = random.Random(pages).randbytes(pages * 4096)
    data = frame(Pages(7, pages, False, content), 0)
    assert decoded(data) == [Pages(7, pages, False, content)]
    for at in (25, 25 + 4095, len(data) - 4096, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        assert refused(bytes(damaged)) == "Pages: damaged on the way (CRC)"
    if pages > 1:
        exchanged = data[:25] + content[4096:8192] + content[:4096] + content[8192:]
        assert refused(exchanged) == "Pages: damaged on the way (CRC)"


UNSENDABLE: list[tuple[Callable[[], bytes], str]] = [
    (lambda: frame(Ping(1 << 32), 0), "Ping: a number does not fit"),
    (lambda: frame(Ping(-1), 0), "Ping: a number does not fit"),
    (lambda: frame(Proof(b"short"), 0), "Proof: digest wants 32 bytes, not 5"),
    (lambda: frame(State(bytes((16 << 20) + 1)), 0), "State: 16777217 bytes, at most 16777216"),
    (lambda: frame(Discard(((0, 1),) * 257), 0), "Discard: 2056 bytes, at most 2048"),
    (lambda: frame(Page(0, True, bytes(4096)), 0), "4096 bytes of content, zero=True"),
    (lambda: frame(Page(-1, True), 0), "Page"),
]


@pytest.mark.parametrize(("make", "reason"), UNSENDABLE)
def test_what_cannot_be_sent(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        make()


def test_packages() -> None:
    inside = [Listen(), State(b"all of it"), Run()]
    assert unpack_frames(pack_frames(inside)) == inside
    with pytest.raises(WireError, match="into a frame"):
        unpack_frames(pack_frames(inside)[:-1])


def test_a_message_in_a_log() -> None:
    assert describe(Page(3, False, bytes(4096))) == {
        "message": "Page",
        "number": 3,
        "zero": False,
        "data": "4096 bytes",
    }


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes(pieces: list[bytes]) -> None:
    try:
        decoded(*pieces)
    except WireError:
        pass


kinds = st.sampled_from([*TYPES])


@given(st.lists(st.tuples(kinds, st.binary(max_size=80)), max_size=5), st.data())
def test_any_payloads_in_whole_frames(rows: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """What is read can be written again, and is the same."""
    stream = b"".join(raw(kind, payload, n) for n, (kind, payload) in enumerate(rows))
    cut = data.draw(st.integers(0, len(stream)))
    decoder, messages = Decoder(), []
    try:
        for piece in (stream[:cut], stream[cut:]):
            for message in decoder.feed(piece):
                messages.append(message)
    except WireError:
        pass
    else:
        assert len(messages) == len(rows)
    assert stream.startswith(b"".join(frame(m, n) for n, m in enumerate(messages)))
