"""A whole conversation cut at every byte, and with every byte damaged: no page is lost or wrong."""

from collections.abc import Callable

import pytest

from sdeiviz.migration import DestinationState, SourceState, WireError
from sdeiviz.migration.wire import Packaged, Page
from tests.migration.board import STATE, Connection, New, Old, content, pair

VALUES = [7, 0, 9, 8]
WRITTEN = {1: 11, 2: 12}
"""What the guest writes after its pages were sent."""


class Conversation:
    """A migration of four pages with one request, under somebody who spoils the bytes."""

    def __init__(self, bulk: int = 1) -> None:
        self.old, self.source, self.new, self.destination = pair(VALUES, bulk=bulk)
        self.connection = Connection(self.source, self.destination, 1)

    def run(self, forward: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> None:
        """Carry all of it; both are given everything that is on the way, and return what comes."""
        source, connection = self.source, self.connection
        source.start()
        switched = asked = False
        quiet = False
        while not quiet:
            quiet = True
            while connection.pull(0):
                quiet = False
                connection.forward[0][:] = forward(bytes(connection.forward[0]))
                connection.deliver(0, 1 << 30)
            if not switched and source.state is SourceState.PRECOPY:
                switched = True
                for page, value in WRITTEN.items():
                    self.old.write(page, value)
                source.switch(STATE)
                quiet = False
            if self.destination.runs and not asked:
                asked = True
                self.destination.fault(2)
            while connection.pull_back():
                quiet = False
                connection.back[:] = back(bytes(connection.back))
                connection.deliver_back(1 << 30)

    def recover(self) -> None:
        """The connection is lost: both sides notice, and go on if they can."""
        self.source.disconnected()
        self.destination.disconnected()
        if self.source.may_run_on:
            assert self.source.state is SourceState.FAILED
            assert not self.destination.runs
            return
        if self.source.state is SourceState.COMPLETED:
            return
        self.source.reconnected()
        self.destination.reconnected()
        Connection(self.source, self.destination, 1).flush()
        assert self.source.state is SourceState.COMPLETED

    def check(self) -> None:
        """Every page is there and right, if the guest is."""
        if self.destination.runs:
            assert self.destination.state is DestinationState.END
            expected = [WRITTEN.get(page, value) for page, value in enumerate(VALUES)]
            assert [self.new.pages[page] for page in range(4)] == [*map(content, expected)]
            assert len(self.new.placed) == len({*self.new.placed})


class Meter:
    """Lets everything pass, and counts."""

    def __init__(self) -> None:
        self.all = bytearray()

    def __call__(self, data: bytes) -> bytes:
        self.all += data
        return data


def lengths(bulk: int) -> tuple[int, int]:
    conversation, forward, back = Conversation(bulk), Meter(), Meter()
    conversation.run(forward, back)
    assert conversation.source.state is SourceState.COMPLETED
    conversation.check()
    return len(forward.all), len(back.all)


LENGTHS = {bulk: lengths(bulk) for bulk in (1, 4)}


class Cut(Meter):
    """Lets so many bytes pass, and no more."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, data: bytes) -> bytes:
        data = data[: max(self.at - len(self.all), 0)]
        return super().__call__(data)


class Damage(Meter):
    """Changes one byte."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, data: bytes) -> bytes:
        spoilt = bytearray(data)
        if 0 <= self.at - len(self.all) < len(data):
            spoilt[self.at - len(self.all)] ^= 0x40
        super().__call__(data)
        return bytes(spoilt)


def places(length: int, starts: list[int]) -> list[int]:
    """Every byte, but of a page's content only some: not deep in a frame."""
    return [
        at
        for at in range(length)
        if length < 2000 or at % 97 == 0 or any(start - 8 <= at < start + 80 for start in starts)
    ]


def starts(bulk: int) -> list[int]:
    conversation, forward = Conversation(bulk), Meter()
    conversation.run(forward, Meter())
    data = bytes(forward.all)
    return [at for at in range(len(data)) if data[at : at + 3] == b"VM\x02"]


@pytest.mark.parametrize("bulk", [1, 4])
@pytest.mark.parametrize("spoil", [Cut, Damage])
@pytest.mark.parametrize("direction", ["forward", "back"])
def test_at_every_byte(spoil: type[Cut] | type[Damage], direction: str, bulk: int) -> None:
    outcomes = set()
    for at in places(LENGTHS[bulk][direction == "back"], starts(bulk)):
        conversation = Conversation(bulk)
        spoiler, meter = spoil(at), Meter()
        try:
            conversation.run(*((spoiler, meter) if direction == "forward" else (meter, spoiler)))
        except WireError:
            pass
        if conversation.source.state is not SourceState.COMPLETED:
            conversation.recover()
        conversation.check()
        outcomes.add(conversation.source.state)
    expected = {SourceState.COMPLETED}
    if spoil is Damage:  # it is noticed at once, a cut when the package has been sent long ago
        expected.add(SourceState.FAILED)
    assert outcomes == expected


def test_a_newer_content_that_is_lost_with_the_package() -> None:
    """The destination has page 0 as it was before: it is not to be believed."""
    old, source, new, destination = pair([1, 2])
    first = Connection(source, destination, 1)
    source.start()
    for _ in range(5):
        first.pull(0)
    first.deliver(0, 1 << 20)
    assert new.pages == {0: content(1), 1: content(2)}
    old.write(0, 3)
    assert first.pull(0) == Page(0, False, content(3))
    source.switch(STATE)
    assert isinstance(first.pull(0), Packaged)
    source.disconnected()
    destination.disconnected()
    source.reconnected()
    destination.reconnected()
    Connection(source, destination, 1).flush()
    assert source.state is SourceState.COMPLETED
    assert new.pages == {0: content(3), 1: content(2)}


def test_the_guests_of_this_test() -> None:
    old, new = Old([1]), New(1)
    assert old.read(0, 1) == b"\0\0\0\0\0\0\0\1" * 512
    assert not new.place(0, None)
    new.discard(0, 1)
    assert new.place(0, None)
    assert new.pages == {0: bytes(4096)}
