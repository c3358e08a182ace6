"""The destination: what it does with what it is told, and what it refuses."""

from collections.abc import Callable
from unittest.mock import Mock

import pytest

from sdeiviz.errors import Error
from sdeiviz.migration import Bitmap, Destination, DestinationState, ProtocolError
from sdeiviz.migration.checksum import PageSums, page_sums
from sdeiviz.migration.wire import (
    Advise,
    Checksum,
    Discard,
    End,
    Listen,
    Message,
    OpenReturnPath,
    Packaged,
    Page,
    Ping,
    Pong,
    ReceivedBitmap,
    RecvBitmap,
    RequestPages,
    Resume,
    ResumeAck,
    Run,
    Shut,
    State,
    WireError,
    pack_frames,
)
from tests.migration.board import STATE, New, content, pair, pulled

ADVISE = Advise(4096, 4, False)
PACKAGE = Packaged(pack_frames([Listen(), State(STATE), Run()]))


def destination_of(*messages: Message) -> tuple[New, Destination]:
    """Four pages, with some messages taken."""
    _, _, new, destination = pair([0] * 4)
    for message in messages:
        destination.receive(message)
    return new, destination


def running(*, urgent: bool = False) -> tuple[New, Destination]:
    """Only page 0 came before the guest."""
    new, destination = destination_of(
        OpenReturnPath(),
        Advise(4096, 4, urgent),
        Page(0, False, content(10)),
        Discard(((1, 3),)),
        PACKAGE,
    )
    new.story.clear()
    return new, destination


def test_from_the_first_word_to_the_last() -> None:
    new, destination = destination_of(OpenReturnPath(), Ping(5), ADVISE)
    assert new.story == ["discard 0+4"]
    assert new.pages == {}
    assert destination.state is DestinationState.ADVISE
    for message in (
        Page(0, False, content(10)),
        Page(1, True),
        Page(2, False, content(12)),
        Page(2, False, content(13)),
    ):
        destination.receive(message)
    assert destination.received == 3
    assert new.story[1:] == ["place 0", "place 1", "place 2", "discard 2+1", "place 2"]
    destination.receive(Discard(((1, 1), (3, 1))))
    assert destination.state is DestinationState.DISCARD
    assert destination.received == 2
    assert new.pages == {0: content(10), 2: content(13)}
    new.story.clear()
    assert not destination.runs
    destination.receive(PACKAGE)
    assert new.story == ["load", "run"]
    assert (destination.state, destination.runs) == (DestinationState.RUNNING, True)
    assert destination.fault(3)
    assert [*pulled(destination)] == [Pong(5), RequestPages(3, 1)]
    destination.receive(Page(3, True))
    destination.receive(Page(1, False, content(11)))
    assert [new.pages[n] for n in range(4)] == [content(n) for n in (10, 11, 13, 0)]
    sums = PageSums(4)
    for page in range(4):
        sums.put(page, 1, page_sums(new.pages[page]))
    new.pages[0] = b"the guest has written"
    destination.receive(Checksum(sums.digest()))
    destination.receive(End())
    assert [*pulled(destination)] == [Shut(0)]
    assert destination.state is DestinationState.END
    assert destination.counts() == {"placed": 6, "duplicates": 0, "requests": 1}


def test_a_page_is_asked_for_once() -> None:
    _, destination = running()
    assert [destination.fault(page) for page in (2, 2, 0, 1, 2)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert [*pulled(destination)] == [RequestPages(2, 1), RequestPages(1, 1)]
    assert destination.waiting == (2, 1)
    destination.receive(Page(2, True))
    assert not destination.fault(2)
    assert destination.waiting == (1,)
    assert destination.requests == 2
    assert [*pulled(destination)] == []
    with pytest.raises(Error, match="no page 4"):
        destination.fault(4)


def test_a_page_twice_is_harmless() -> None:
    new, destination = running()
    destination.receive(Page(1, False, content(1)))
    new.pages[1] = b"the guest has written"
    destination.receive(Page(1, False, content(1)))
    assert new.pages[1] == b"the guest has written"
    assert (destination.placed, destination.duplicates) == (2, 1)
    # Should another content come, what counts is the one that was placed.
    destination.receive(Page(1, False, content(2)))
    for page in (2, 3):
        destination.receive(Page(page, True))
    sums = PageSums(4)
    sums.put(0, 1, page_sums(content(10)))
    sums.put(1, 1, page_sums(content(1)))
    destination.receive(Checksum(sums.digest()))
    destination.receive(End())
    assert destination.state is DestinationState.END


def test_a_device_may_touch_an_absent_page_while_it_is_loaded() -> None:
    new, destination = destination_of(OpenReturnPath(), ADVISE)
    seen = []

    def load(state: bytes) -> None:
        seen.append(destination.state)
        assert destination.fault(1)
        with pytest.raises(ProtocolError, match="while the destination is listen"):
            destination.receive(Ping(1))

    new.load = load  # type: ignore[method-assign]
    destination.receive(PACKAGE)
    assert seen == [DestinationState.LISTEN]
    assert [*pulled(destination)] == [RequestPages(1, 1)]


@pytest.mark.parametrize("state", ["advise", "discard"])
@pytest.mark.parametrize("error", [None, Error("of another version"), MemoryError("none left")])
def test_a_state_that_cannot_be_loaded(state: str, error: Exception | None) -> None:
    new, destination = MAKERS[DestinationState(state)]()
    before = destination.received, dict(new.pages)
    if error:
        new.load = Mock(side_effect=error)  # type: ignore[method-assign]
    with pytest.raises(type(error or Error()), match=str(error or "not the state of this")):
        destination.receive(Packaged(pack_frames([Listen(), State(b"?"), Run()])))
    assert [*pulled(destination)] == [Shut(2)]
    assert (destination.state, destination.runs) == (DestinationState.FAILED, False)
    assert (destination.received, new.pages) == before
    destination.disconnected()
    assert destination.state is DestinationState.FAILED
    assert not new.running


def test_urgent_pages() -> None:
    new, destination = running(urgent=True)
    destination.fault(3)
    destination.receive(Page(1, True))
    destination.receive(Page(2, True))
    sums = PageSums(4)
    sums.put(0, 1, page_sums(content(10)))
    sums.put(3, 1, page_sums(content(3)))
    # The end overtakes a page on the other channel.
    destination.receive(Checksum(sums.digest()))
    destination.receive(End())
    assert destination.state is DestinationState.RUNNING
    [*pulled(destination)]
    destination.receive(Page(3, False, content(3)), urgent=True)
    assert destination.state is DestinationState.END
    assert [*pulled(destination)] == [Shut(0)]
    assert new.placed == [1, 2, 3]


def test_what_may_come_on_the_second_channel() -> None:
    _, destination = running()
    with pytest.raises(ProtocolError, match=r"Page from the source .* on the second channel"):
        destination.receive(Page(1, True), urgent=True)
    _, destination = running(urgent=True)
    with pytest.raises(ProtocolError, match=r"Ping from the source .* on the second channel"):
        destination.receive(Ping(1), urgent=True)
    destination.disconnected()
    with pytest.raises(ProtocolError, match=r"on the second channel while .* paused"):
        destination.receive(Page(1, True), urgent=True)


def test_ram_that_differs() -> None:
    _, destination = running()
    for page in (1, 2, 3):
        destination.receive(Page(page, True))
    destination.receive(Checksum(bytes(32)))
    destination.receive(End())
    assert [*pulled(destination)] == [Shut(1)]
    assert destination.state is DestinationState.FAILED


def test_an_end_without_all_pages_or_without_a_checksum() -> None:
    _, destination = running()
    with pytest.raises(ProtocolError, match="the end came without a checksum"):
        destination.receive(End())
    destination.receive(Checksum(bytes(32)))
    with pytest.raises(ProtocolError, match="the end came, and 3 pages have not"):
        destination.receive(End())
    assert destination.state is DestinationState.RUNNING


def bits(*members: int) -> bytes:
    bitmap = Bitmap(4)
    bitmap.update(members)
    return bitmap.pack()


def test_recovery() -> None:
    _, destination = running()
    destination.fault(2)
    assert [*pulled(destination)] == [RequestPages(2, 1)]
    destination.fault(3)
    destination.disconnected()
    assert destination.state is DestinationState.PAUSED
    assert [*pulled(destination)] == []
    # The guest runs until it needs a page.
    assert destination.fault(1)
    assert [*pulled(destination)] == []
    destination.reconnected()
    destination.receive(OpenReturnPath())
    destination.receive(RecvBitmap())
    destination.receive(Resume())
    assert destination.state is DestinationState.RUNNING
    assert [*pulled(destination)] == [
        ReceivedBitmap(True, 4, bits(0)),
        ResumeAck(),
        RequestPages(2, 1),
        RequestPages(3, 1),
        RequestPages(1, 1),
    ]
    assert destination.requests == 3
    destination.receive(Page(2, True))
    assert destination.waiting == (3, 1)


@pytest.mark.parametrize("discarded", [False, True])
def test_recovery_before_the_package_has_come(discarded: bool) -> None:
    new, destination = destination_of(OpenReturnPath(), ADVISE, Page(0, True), Page(1, True))
    if discarded:
        destination.receive(Discard(((0, 1),)))
    destination.disconnected()
    with pytest.raises(Error, match="no page is asked for while the destination is paused"):
        destination.fault(1)
    destination.reconnected()
    destination.receive(OpenReturnPath())
    destination.receive(RecvBitmap())
    destination.receive(Resume())
    members = (1,) if discarded else (0, 1)
    assert [*pulled(destination)] == [ReceivedBitmap(False, 4, bits(*members)), ResumeAck()]
    assert destination.state is DestinationState.DISCARD
    destination.receive(Discard(((0, 1), (2, 2))))
    destination.receive(PACKAGE)
    assert new.running
    assert sorted(new.pages) == [1]


def test_recovery_of_one_that_was_told_nothing() -> None:
    new, destination = destination_of()
    destination.disconnected()
    destination.reconnected()
    destination.receive(OpenReturnPath())
    with pytest.raises(ProtocolError, match="nothing can be resumed: there was no Advise"):
        destination.receive(Resume())
    assert len(new.pages) == 4
    for message in (ADVISE, RecvBitmap(), Resume()):
        destination.receive(message)
    assert new.pages == {}
    assert [*pulled(destination)] == [ReceivedBitmap(False, 4, bits()), ResumeAck()]
    destination.receive(PACKAGE)
    assert new.running


def test_advice_again_discards_nothing() -> None:
    new, destination = running()
    destination.disconnected()
    destination.reconnected()
    for message in (OpenReturnPath(), Advise(4096, 4, True), Resume()):
        destination.receive(message)
    assert new.pages == {0: content(10)}
    destination.receive(Page(1, True), urgent=True)
    assert new.placed == [1]


def test_the_end_again() -> None:
    _, destination = ended()
    destination.disconnected()
    assert destination.state is DestinationState.END
    destination.reconnected()
    for message in (OpenReturnPath(), RecvBitmap(), Resume(), Checksum(zeros()), End()):
        destination.receive(message)
    full = ReceivedBitmap(True, 4, bits(0, 1, 2, 3))
    assert [*pulled(destination)] == [full, ResumeAck(), Shut(0)]
    assert destination.state is DestinationState.END


# -- what has no place


def zeros() -> bytes:
    return PageSums(4).digest()


def ended() -> tuple[New, Destination]:
    new, destination = destination_of(OpenReturnPath(), ADVISE, PACKAGE)
    for page in range(4):
        destination.receive(Page(page, True))
    destination.receive(Checksum(zeros()))
    destination.receive(End())
    [*pulled(destination)]
    return new, destination


def failed() -> tuple[New, Destination]:
    new, destination = destination_of(OpenReturnPath(), ADVISE, PACKAGE)
    for page in range(4):
        destination.receive(Page(page, False, content(1)))
    destination.receive(Checksum(zeros()))
    destination.receive(End())
    [*pulled(destination)]
    return new, destination


def paused() -> tuple[New, Destination]:
    new, destination = running()
    destination.disconnected()
    return new, destination


def recovering() -> tuple[New, Destination]:
    new, destination = paused()
    destination.reconnected()
    return new, destination


MAKERS: dict[DestinationState, Callable[[], tuple[New, Destination]]] = {
    DestinationState.NONE: destination_of,
    DestinationState.ADVISE: lambda: destination_of(OpenReturnPath(), ADVISE),
    DestinationState.DISCARD: lambda: destination_of(
        OpenReturnPath(), ADVISE, Page(1, True), Discard(((1, 1),))
    ),
    DestinationState.RUNNING: running,
    DestinationState.PAUSED: paused,
    DestinationState.RECOVER: recovering,
    DestinationState.END: ended,
    DestinationState.FAILED: failed,
}
# `listen` lasts while the state is loaded: see the test of a device above.
SAID: list[Message] = [
    OpenReturnPath(),
    Ping(1),
    ADVISE,
    Page(1, True),
    Discard(((2, 1),)),
    PACKAGE,
    Checksum(bytes(32)),
    RecvBitmap(),
    Resume(),
    Listen(),
    State(STATE),
    Run(),
    Pong(1),
    RequestPages(1, 1),
    ResumeAck(),
    Shut(0),
]
LEGAL = {
    DestinationState.NONE: "OpenReturnPath",  # then Ping and Advise
    DestinationState.ADVISE: "Ping Page Discard Packaged",
    DestinationState.DISCARD: "Ping Discard Packaged",
    DestinationState.RUNNING: "Ping Page Checksum",
    DestinationState.PAUSED: "",
    DestinationState.RECOVER: "OpenReturnPath",  # then Ping, Advise, RecvBitmap and Resume
    DestinationState.END: "Ping",
    DestinationState.FAILED: "",
}


@pytest.mark.parametrize("state", MAKERS)
@pytest.mark.parametrize("message", SAID, ids=lambda message: type(message).__name__)
def test_what_may_be_said_in_which_state(state: DestinationState, message: Message) -> None:
    new, destination = MAKERS[state]()
    assert destination.state is state
    if type(message).__name__ in LEGAL[state].split():
        destination.receive(message)
        return
    before = destination.received, destination.counts(), dict(new.pages), list(new.story)
    with pytest.raises(ProtocolError):
        destination.receive(message)
    assert destination.state is state
    assert (destination.received, destination.counts(), new.pages, new.story) == before
    assert [*pulled(destination)] == []


@pytest.mark.parametrize("state", MAKERS)
def test_reconnected(state: DestinationState) -> None:
    _, destination = MAKERS[state]()
    if state in ("paused", "end"):
        destination.reconnected()
        assert destination.state is DestinationState.RECOVER
    else:
        with pytest.raises(Error, match=f"the destination of a migration is {state}"):
            destination.reconnected()
        assert destination.state is state


@pytest.mark.parametrize("state", MAKERS)
def test_disconnected(state: DestinationState) -> None:
    _, destination = MAKERS[state]()
    destination.disconnected()
    stays = state in ("end", "failed")
    assert destination.state is (state if stays else DestinationState.PAUSED)


REFUSED: list[tuple[str, Message, str]] = [
    ("none", Advise(4096, 5, False), "the source has 5 pages of RAM, here 4"),
    ("none", ADVISE, "no post-copy without a return path"),
    ("none", Ping(1), "opened no return path"),
    ("recover", RecvBitmap(), "opened no return path"),
    ("recover", ADVISE, "no post-copy without a return path"),
    ("recover", Resume(), "opened no return path"),
    ("advise", Page(4, True), "page 4 of 4"),
    ("running", Page(4, True), "page 4 of 4"),
    ("advise", Discard(((0, 1), (2, 3))), "page 4 of 4"),
    ("advise", Packaged(b""), "a package of nothing: want Listen, State, Run"),
    ("advise", Packaged(pack_frames([Listen(), Run()])), "a package of Listen, Run"),
    ("advise", Packaged(pack_frames([State(STATE), Listen(), Run()])), "State, Listen, Run"),
    ("advise", Packaged(PACKAGE.frames[:-1]), "into a frame"),
    ("advise", Packaged(PACKAGE.frames + PACKAGE.frames), "frame 0 again"),
    ("advise", Packaged(pack_frames([PACKAGE])), "a package of Packaged"),
]


@pytest.mark.parametrize(("state", "message", "reason"), REFUSED)
def test_refused_whole(state: str, message: Message, reason: str) -> None:
    new, destination = MAKERS[DestinationState(state)]()
    before = destination.received, dict(new.pages)
    with pytest.raises((WireError, Error), match=reason):
        destination.receive(message)
    assert destination.state == state
    assert (destination.received, new.pages) == before
    assert not new.running or state in ("running", "recover")
    assert [*pulled(destination)] == []
