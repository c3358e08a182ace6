"""A connection in virtual time against arithmetic done by hand."""

import json
from itertools import pairwise

import pytest

from sdeiviz.errors import Error
from sdeiviz.migration import (
    DestinationState,
    Events,
    Faults,
    Link,
    LinkSpeed,
    SourceState,
    Timeline,
    report,
)
from sdeiviz.migration.link import Pipe
from sdeiviz.migration.wire import Message, Page, RequestPages
from tests.migration.board import STATE, Connection, New, content, pair

GBPS = 1_000_000_000
FRAME = 4117
"""Bytes of a page on the wire: 16 of a frame's header, 5 of the page's."""


class Line:
    """A pipe, and what has arrived by when."""

    def __init__(self, speed: LinkSpeed, channels: int = 1, take: int = 0) -> None:
        self.events = Events()
        self.arrived: list[tuple[int, int, bytes]] = []
        self.pipe = Pipe(self.events, speed, channels, self.note, lambda: None, take)

    def note(self, channel: int, frame: bytes) -> None:
        self.arrived.append((self.events.now, channel, frame))


@pytest.mark.parametrize(
    ("gbps", "nanoseconds"), [(1, 32_768), (10, 3_277), (25, 1_311), (100, 328)]
)
def test_a_page_on_the_wire(gbps: int, nanoseconds: int) -> None:
    line = Line(LinkSpeed(gbps * GBPS))
    line.pipe.send(0, bytes(4096))
    line.events.advance(nanoseconds - 1)
    assert line.arrived == []
    line.events.advance(nanoseconds)
    assert line.arrived == [(nanoseconds, 0, bytes(4096))]


def test_the_delay_comes_once_and_does_not_take_bandwidth() -> None:
    line = Line(LinkSpeed(1 * GBPS, delay=50_000))
    for _ in range(3):
        line.pipe.send(0, bytes(4096))
    line.events.advance(1_000_000)
    assert [time for time, *_ in line.arrived] == [82_768, 115_536, 148_304]


def test_fractions_of_a_nanosecond_do_not_add_up() -> None:
    line = Line(LinkSpeed(10 * GBPS))
    for _ in range(1000):
        line.pipe.send(0, bytes(4096))
    line.events.advance(10_000_000)
    assert [line.arrived[n - 1][0] for n in (1, 2, 5, 1000)] == [3277, 6554, 16_384, 3_276_800]


def test_after_a_pause_the_wire_begins_when_it_is_given_something() -> None:
    line = Line(LinkSpeed(10 * GBPS))
    line.pipe.send(0, bytes(4096))
    line.events.advance(10_000)
    line.pipe.send(0, bytes(4096))
    line.events.advance(20_000)
    assert [time for time, *_ in line.arrived] == [3277, 13_277]


def test_behind_a_full_buffer_a_page_waits_for_all_of_it() -> None:
    # 1.2 MB at 1 Gbps are 9.6 ms.
    line = Line(LinkSpeed(1 * GBPS, delay=50_000, buffer=1_200_000), channels=2)
    sent = 0
    while line.pipe.room(0):
        line.pipe.send(0, bytes(4000))
        sent += 4000
    assert sent == 1_200_000
    line.pipe.send(0, b"u" * 4096)
    line.events.advance(20_000_000)
    assert line.arrived[-1] == (9_600_000 + 32_768 + 50_000, 0, b"u" * 4096)
    # On a channel of its own it waits for the frame on the wire.
    line = Line(LinkSpeed(1 * GBPS, delay=50_000, buffer=1_200_000), channels=2)
    while line.pipe.room(0):
        line.pipe.send(0, bytes(4000))
    line.pipe.send(1, b"u" * 4096)
    line.events.advance(20_000_000)
    assert (32_000 + 32_768 + 50_000, 1, b"u" * 4096) in line.arrived
    assert line.arrived[-1][0] == 9_600_000 + 32_768 + 50_000


def test_two_channels_share_the_bandwidth() -> None:
    line = Line(LinkSpeed(1 * GBPS, buffer=1 << 30), channels=2)
    for channel in (0, 1):
        for _ in range(50):
            line.pipe.send(channel, bytes(4096))
    line.events.advance(50 * 32_768)
    assert [channel for _, channel, _ in line.arrived].count(0) == 25
    assert line.pipe.sent == [25 * 4096, 25 * 4096]
    line.events.advance(100 * 32_768)
    assert line.pipe.sent == [50 * 4096, 50 * 4096]
    assert line.arrived[-1][0] == 100 * 32_768


def test_room() -> None:
    line = Line(LinkSpeed(1 * GBPS, buffer=5000))
    line.pipe.send(0, bytes(4999))
    assert line.pipe.room(0)
    line.pipe.send(0, bytes(4999))
    assert not line.pipe.room(0)
    line.events.advance(39_992)  # 4999 bytes have left
    assert line.pipe.room(0)
    assert line.pipe.buffered == [4999]


def test_who_takes_frames_does_it_one_after_another() -> None:
    line = Line(LinkSpeed(1 * GBPS, delay=50_000), take=40_000)
    for _ in range(3):
        line.pipe.send(0, bytes(4096))
    line.events.advance(1_000_000)
    # The first is there after 32,768 and 50,000 ns; the next comes sooner than it has been taken.
    assert [time for time, *_ in line.arrived] == [122_768, 162_768, 202_768]


def test_channels_are_taken_beside_each_other() -> None:
    line = Line(LinkSpeed(1 * GBPS), channels=2, take=100_000)
    for channel in (0, 1):
        line.pipe.send(channel, bytes(4096))
    line.events.advance(1_000_000)
    assert [(time, channel) for time, channel, _ in line.arrived] == [(132_768, 0), (165_536, 1)]


def test_what_nobody_takes_stays_where_it_is() -> None:
    # Frames of 80 ns, taken in 10,000: two fill the receiver's buffer, and the third, which is on
    # the wire, comes besides. The next leaves when two have been taken.
    line = Line(LinkSpeed(1 * GBPS, buffer=20), take=10_000)
    for _ in range(6):
        line.pipe.send(0, bytes(10))
    line.events.advance(20_079)
    assert line.pipe.sent == [30]
    assert [time for time, *_ in line.arrived] == [10_080]
    line.events.advance(20_160)
    assert line.pipe.sent == [40]
    line.events.advance(100_000)
    assert [time for time, *_ in line.arrived] == [10_080 + 10_000 * n for n in range(6)]


def test_nothing_comes_before_it_may() -> None:
    line = Line(LinkSpeed(1 * GBPS, delay=50_000), take=4_000)
    assert line.pipe.next_delivery is None
    for _ in range(20):
        line.pipe.send(0, bytes(4096))
    while (time := line.pipe.next_delivery) is not None:
        before = len(line.arrived)
        line.events.advance(time - 1)
        assert len(line.arrived) == before
        assert time > line.events.now
        line.events.advance(time)
    assert len(line.arrived) == 20


def test_what_is_lost_comes_to_nobody() -> None:
    line = Line(LinkSpeed(1 * GBPS, delay=50_000), take=40_000)
    for _ in range(5):
        line.pipe.send(0, bytes(4096))
    line.events.advance(130_000)
    line.pipe.cut()
    line.pipe.send(0, b"new")
    line.events.advance(10_000_000)
    assert [frame for *_, frame in line.arrived] == [bytes(4096), b"new"]
    assert line.arrived[-1][0] == 130_000 + 24 + 50_000 + 40_000


def test_events() -> None:
    events, seen = Events(), []
    assert events.next_time is None
    for time, name in ((5, "a"), (3, "b"), (5, "c"), (9, "d")):
        events.at(time, lambda name=name: seen.append((events.now, name)))
    assert events.next_time == 3
    events.at(3, lambda: events.at(4, lambda: seen.append((events.now, "from b"))))
    events.advance(5)
    assert seen == [(3, "b"), (4, "from b"), (5, "a"), (5, "c")]
    assert (events.now, events.next_time) == (5, 9)
    with pytest.raises(Error, match="nothing can be put at 4 ns: it is 5 ns already"):
        events.at(4, lambda: None)


@pytest.mark.parametrize("speed", [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_no_such_link(speed: tuple[int, int, int]) -> None:
    with pytest.raises(Error, match="no link like this"):
        LinkSpeed(*speed)


# -- both sides over it

PAGES = 256


class Run:
    """A migration of 1 MiB without zero pages, over a link with 100 us of round trip."""

    def __init__(self, *, buffer: int, urgent: bool = False, jump: bool = True) -> None:
        values = [*range(1, PAGES + 1)]
        self.old, self.source, self.new, self.destination = pair(values, urgent=urgent, jump=jump)
        speed = LinkSpeed(1 * GBPS, delay=50_000, buffer=buffer)
        self.link = Link(self.source, self.destination, speed, urgent=urgent)
        self.log: list[tuple[int, Message]] = []
        self.link.on_delivered = lambda time, message: self.log.append((time, message))
        self.source.start()
        self.source.switch(STATE)
        self.link.run(lambda: self.destination.runs)
        self.ran_at = self.link.now

    def arrivals(self) -> dict[int, int]:
        return {message.number: time for time, message in self.log if isinstance(message, Page)}

    def check(self) -> None:
        assert self.source.state is SourceState.COMPLETED
        assert self.destination.state is DestinationState.END
        assert all(self.new.pages[page] == content(page + 1) for page in range(PAGES))


def test_the_whole_of_it_takes_as_long_as_its_bytes() -> None:
    run = Run(buffer=100_000)
    run.link.run()
    run.check()
    # Frames and their payloads: OpenReturnPath, Ping, Advise, one Discard, the package.
    before = 16 + (16 + 4) + (16 + 9) + (16 + 8) + (16 + 16 + 16 + 21 + 16)
    assert run.ran_at == before * 8 + 50_000
    times = run.arrivals()
    assert times[0] == (before + FRAME) * 8 + 50_000
    assert times[255] == (before + 256 * FRAME) * 8 + 50_000
    end = 16 + 32 + 16
    # Shut, 20 bytes, takes the way back.
    assert run.link.now == (before + 256 * FRAME + end + 20) * 8 + 100_000
    assert run.link.forward.sent == [before + 256 * FRAME + end]


@pytest.mark.parametrize("jump", [True, False])
def test_a_request_waits_for_the_buffer_or_not(jump: bool) -> None:
    latencies = {}
    for urgent in (False, True):
        run = Run(buffer=400_000, urgent=urgent, jump=jump)
        asked = run.ran_at + 200_000
        run.link.advance(asked)
        assert run.destination.fault(200)
        run.link.run()
        run.check()
        latencies[urgent] = run.arrivals()[200] - asked
    # There: 24 bytes. Back: everything in the buffer, then itself.
    way = 2 * 50_000 + 24 * 8 + FRAME * 8
    # Of the buffer's last frame, and of the one on the wire, some more or less.
    assert way + 3_200_000 - FRAME * 8 <= latencies[False] <= way + 3_200_000 + FRAME * 8
    assert way <= latencies[True] <= way + FRAME * 8


def test_the_neighbours_of_a_page_that_was_asked_for_come_next() -> None:
    run = Run(buffer=FRAME)
    run.destination.fault(100)
    run.link.run()
    order = [message.number for _, message in run.log if isinstance(message, Page)]
    at = order.index(100)
    assert order[:at] == [*range(at)]
    assert order[at:] == [*range(100, 256), *range(at, 100)]


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("lost_at", [60_000, 1_000_000, 3_000_000, 8_000_000, 8_500_000])
def test_a_connection_that_is_lost(lost_at: int, urgent: bool) -> None:
    run = Run(buffer=100_000, urgent=urgent)
    run.destination.fault(250)
    run.link.advance(lost_at)
    received = run.destination.received
    run.link.cut()
    run.link.cut()
    assert run.source.state is SourceState.PAUSED
    run.link.advance(lost_at + 5_000_000)
    assert run.destination.received == received
    assert run.link.next_time is None or run.link.next_time < lost_at + 5_000_000
    run.link.reconnect()
    with pytest.raises(Error, match="not lost"):
        run.link.reconnect()
    assert run.source.remaining <= PAGES
    run.link.run()
    run.check()
    assert len(run.new.placed) == len({*run.new.placed}) == PAGES
    requests = [message for _, message in run.log if isinstance(message, RequestPages)]
    assert 1 <= len(requests) <= 2


def test_the_same_twice() -> None:
    logs = []
    for _ in range(2):
        run = Run(buffer=50_000, urgent=True)
        for n in range(20):
            run.destination.fault(n * 37 % PAGES)
            run.link.advance(run.link.now + 77_777)
        run.link.cut()
        run.link.advance(run.link.now + 1)
        run.link.reconnect()
        run.link.run()
        run.check()
        logs.append(run.log)
    assert logs[0] == logs[1]
    times = [time for time, _ in logs[0]]
    assert all(one <= other for one, other in pairwise(times))


def test_the_numbers_of_a_migration() -> None:
    run = Run(buffer=FRAME, urgent=True)
    faults, timeline = Faults(1), Timeline()
    timeline.mark("start", 0)
    timeline.mark("stop", 0)
    timeline.mark("run", run.ran_at)
    place = run.new.place

    def note(page: int, data: bytes | None) -> bool:
        faults.end(page, run.link.now)
        return place(page, data)

    run.new.place = note  # type: ignore[method-assign]
    for page in (50, 200):
        faults.begin(0, page, run.link.now)
        run.destination.fault(page)
        run.link.run(lambda page=page: page in run.new.pages)
    run.link.run()
    timeline.mark("end", run.link.now)
    row = report(
        run.link.now,
        faults,
        timeline,
        run.source.counts(),
        run.destination.counts(),
        run.link.forward.sent,
    )
    assert json.loads(json.dumps(row)) == row
    assert row["faults"]["latency"]["count"] == 2
    assert row["faults"]["blocktime"] == row["faults"]["latency"]["mean"] * 2
    assert row["faults"]["latency"]["histogram"][7] == 2  # 128 to 255 us
    assert row["times"]["downtime"] == run.ran_at
    assert row["source"]["requested"] == row["destination"]["requests"] == 2
    assert row["bytes"][1] == 2 * FRAME


def test_a_connection_of_tests_and_a_link_say_the_same() -> None:
    """Bytes are bytes: without time the same pages come in the same order."""
    old, source, new, destination = pair([1, 0, 2])
    source.start()
    source.switch(STATE)
    Connection(source, destination, 1).flush()
    assert isinstance(new, New)
    assert new.placed == [0, 1, 2]
    assert old.log == set()
