"""The source: what it says, in which order, and what it lets itself be told."""

from collections.abc import Callable

import pytest

from sdeiviz.errors import Error
from sdeiviz.migration import Bitmap, ProtocolError, Source, SourceState
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
    unpack_frames,
)
from tests.migration.board import STATE, Old, content, numbers, pair, pull_until_package, pulled


def source_of(values: list[int], **options: bool) -> tuple[Old, Source]:
    old, source, _, _ = pair(values, **options)
    return old, source


def started(pages: int = 8, **options: bool) -> tuple[Old, Source]:
    """Pages 1 to `pages`, with the opening said."""
    old, source = source_of([*range(1, pages + 1)], **options)
    source.start()
    for _ in range(3):
        source.pull()
    return old, source


def switched(pages: int = 8, **options: bool) -> tuple[Old, Source]:
    """A pure post-copy: no page was sent before the package."""
    old, source = started(pages, **options)
    source.switch(STATE)
    pull_until_package(source)
    return old, source


def take(source: Source, count: int) -> list[int]:
    return numbers([message for _ in range(count) if (message := source.pull())])


def test_from_the_first_word_to_the_last() -> None:
    old, source = source_of([7, 0, 9, 0])
    assert source.pull() is None
    source.start()
    assert [source.pull() for _ in range(7)] == [
        OpenReturnPath(),
        Ping(1),
        Advise(4096, 4, False),
        Page(0, False, content(7)),
        Page(1, True),
        Page(2, False, content(9)),
        Page(3, True),
    ]
    assert source.pull() is None
    old.write(2, 5)
    assert source.pull() == Page(2, False, content(5))
    assert source.passes == 1
    old.write(1, 1)
    old.write(3, 3)
    source.switch(STATE)
    assert source.may_run_on
    assert source.pull() == Discard(((1, 1), (3, 1)))
    assert source.state is SourceState.SWITCHING
    package = source.pull()
    assert isinstance(package, Packaged)
    assert unpack_frames(package.frames) == [Listen(), State(STATE), Run()]
    assert (source.state, source.may_run_on) == (SourceState.POSTCOPY, False)
    last = [*pulled(source)]
    assert last[:2] == [Page(1, False, content(1)), Page(3, False, content(3))]
    # SHA-256 over the CRC-32 of four pages that hold 7, 1, 5 and 3, worked out elsewhere.
    digest = "652cb956ea77354bb07ddb6886063ea5280b7942a5addacb4acc97b8226f0226"
    assert last[2:] == [Checksum(bytes.fromhex(digest)), End()]
    assert source.pull() is None
    source.receive(Shut(0))
    assert (source.state, source.may_run_on) == (SourceState.COMPLETED, False)
    counts = {"passes": 1, "normal": 5, "zero": 2, "requested": 0, "skipped": 0}
    assert source.counts() == counts


def test_a_pass_ends_at_the_last_page_and_the_next_takes_what_was_written() -> None:
    old, source = started(4)
    assert take(source, 2) == [0, 1]
    old.write(0, 9)  # behind the cursor
    old.write(3, 9)  # before it: sent now, and again
    assert take(source, 9) == [2, 3, 0, 3]
    assert source.passes == 2
    for _ in range(5):
        assert source.pull() is None
    assert source.passes == 2
    old.write(0, 1)
    assert take(source, 9) == [0]
    assert source.passes == 3


def test_what_was_written_while_a_pass_ran_is_still_to_be_sent_at_the_switch() -> None:
    old, source = started(8)
    assert take(source, 5) == [0, 1, 2, 3, 4]
    old.write(2, 0)
    source.switch(STATE)
    assert source.pull() == Discard(((2, 1), (5, 3)))
    source.pull()
    assert take(source, 9) == [2, 5, 6, 7]


def test_many_ranges_take_several_commands() -> None:
    old, source = started(600)
    take(source, 600)
    for page in range(0, 600, 2):
        old.write(page, 0)
    source.switch(STATE)
    messages = pull_until_package(source)
    assert [len(m.ranges) for m in messages if isinstance(m, Discard)] == [256, 44]


def test_precopy_alone_needs_no_discard() -> None:
    _, source = started(4)
    assert take(source, 9) == [0, 1, 2, 3]
    source.switch(STATE)
    assert [type(message) for message in pulled(source)] == [Packaged, Checksum, End]


@pytest.mark.parametrize(
    ("jump", "order"),
    [(True, [0, 5, 6, 7, 1, 2, 3, 4]), (False, [0, 5, 1, 2, 3, 4, 6, 7])],
)
def test_a_request_goes_first_and_the_neighbours_follow(jump: bool, order: list[int]) -> None:
    _, source = switched(jump=jump)
    first = take(source, 1)
    source.receive(RequestPages(5, 1))
    assert first + numbers([*pulled(source)]) == order


def test_requests_are_served_in_order_and_none_twice() -> None:
    _, source = switched()
    assert take(source, 2) == [0, 1]
    for first, count in ((6, 1), (1, 1), (6, 1), (3, 2), (0, 8)):
        source.receive(RequestPages(first, count))
    assert numbers([*pulled(source)]) == [6, 3, 4, 2, 5, 7]
    # Skipped: 1, 6 again, and of the last eight all but 2, 5 and 7.
    assert (source.requested, source.skipped) == (13, 7)


def test_requests_go_on_the_second_channel_where_there_is_one() -> None:
    _, source = switched(urgent=True)
    assert source.pull_urgent() is None
    source.receive(RequestPages(5, 1))
    assert take(source, 1) == [0]
    assert source.pull_urgent() == Page(5, False, content(6))
    assert source.pull_urgent() is None
    assert take(source, 9) == [6, 7, 1, 2, 3, 4]
    _, source = switched(urgent=True, jump=False)
    source.receive(RequestPages(5, 1))
    source.pull_urgent()
    assert take(source, 9) == [0, 1, 2, 3, 4, 6, 7]


def test_a_page_is_read_when_it_is_pulled() -> None:
    old, source = started(2)
    old.values[0] = 77
    assert source.pull() == Page(0, False, content(77))


@pytest.mark.parametrize("sent", [0, 3, 8])
def test_before_the_package_is_sent_a_loss_lets_the_guest_run_on(sent: int) -> None:
    _, source = started()
    take(source, sent)
    source.disconnected()
    assert (source.state, source.may_run_on) == (SourceState.FAILED, True)
    assert source.failure == "the connection was lost before the guest was handed over"
    assert source.pull() is None


def test_with_the_package_not_yet_sent_too() -> None:
    _, source = started()
    source.switch(STATE)
    assert isinstance(source.pull(), Discard)
    source.disconnected()
    assert (source.state, source.may_run_on) == (SourceState.FAILED, True)
    assert source.pull() is None


def test_after_it_never() -> None:
    _, source = switched()
    source.disconnected()
    assert (source.state, source.may_run_on) == (SourceState.PAUSED, False)
    assert source.pull() is None
    source.reconnected()
    assert (source.state, source.may_run_on) == (SourceState.RECOVER, False)
    source.disconnected()
    assert (source.state, source.may_run_on) == (SourceState.PAUSED, False)


def received(runs: bool, pages: int, *members: int) -> ReceivedBitmap:
    bitmap = Bitmap(pages)
    bitmap.update(members)
    return ReceivedBitmap(runs, pages, bitmap.pack())


def test_recovery_sends_exactly_what_was_lost() -> None:
    _, source = switched()
    assert take(source, 5) == [0, 1, 2, 3, 4]
    source.receive(RequestPages(7, 1))
    source.disconnected()
    source.reconnected()
    assert [*pulled(source)] == [OpenReturnPath(), Advise(4096, 8, False), RecvBitmap()]
    source.receive(received(True, 8, 0, 1, 3))
    assert [*pulled(source)] == [Resume()]
    source.receive(ResumeAck())
    assert source.state is SourceState.POSTCOPY
    assert source.remaining == 5
    source.receive(RequestPages(7, 1))
    # The cursor goes on where it was.
    assert numbers([*pulled(source)]) == [7, 2, 4, 5, 6]
    # The request of before the loss is forgotten: the destination has asked again.
    assert (source.requested, source.skipped) == (2, 0)


def test_recovery_where_the_package_was_lost() -> None:
    old, source = started()
    assert take(source, 8) == [*range(8)]
    old.write(1, 50)
    old.write(6, 60)
    source.switch(STATE)
    package = pull_until_package(source)[-1]
    assert take(source, 9) == [1, 6]
    source.disconnected()
    source.reconnected()
    assert [*pulled(source)] == [OpenReturnPath(), Advise(4096, 8, False), RecvBitmap()]
    # Nothing that it has is known to be the newest: all of it is sent once more.
    source.receive(received(False, 8, 0, 2, 3, 4, 5, 6))
    source.receive(ResumeAck())
    assert source.pull() == Resume()
    assert source.pull() == Discard(((0, 8),))
    assert source.pull() == package
    assert sorted(numbers([*pulled(source)])) == [*range(8)]


def test_recovery_after_the_end_says_the_end_again() -> None:
    _, source = switched(2)
    said = [*pulled(source)]
    assert [type(message) for message in said] == [Page, Page, Checksum, End]
    source.disconnected()
    source.reconnected()
    [*pulled(source)]
    source.receive(received(True, 2, 0, 1))
    source.receive(ResumeAck())
    assert [*pulled(source)] == [Resume(), *said[2:]]
    source.receive(Shut(0))
    assert source.state is SourceState.COMPLETED
    source.disconnected()
    assert source.state is SourceState.COMPLETED


def test_ram_that_differs() -> None:
    _, source = switched(2)
    [*pulled(source)]
    source.receive(Shut(1))
    assert (source.state, source.may_run_on) == (SourceState.FAILED, False)
    assert source.failure == "the destination's RAM is not the source's"
    source.disconnected()
    assert source.failure == "the destination's RAM is not the source's"


def test_the_guest_was_not_taken_over() -> None:
    """It has not run there, so it may run on here, though the package was sent."""
    _, source = switched()
    [source.pull() for _ in range(3)]
    assert not source.may_run_on
    source.receive(Shut(2))
    assert (source.state, source.may_run_on) == (SourceState.FAILED, True)
    assert source.failure == "the destination could not take the guest over"
    source.disconnected()
    assert (source.state, source.pull(), source.may_run_on) == (SourceState.FAILED, None, True)


# -- what has no place


def paused() -> Source:
    _, source = switched()
    source.disconnected()
    return source


def recovering() -> Source:
    source = paused()
    source.reconnected()
    return source


def completed() -> Source:
    _, source = switched(1)
    [*pulled(source)]
    source.receive(Shut(0))
    return source


def failed() -> Source:
    _, source = started()
    source.disconnected()
    return source


def switching() -> Source:
    _, source = started()
    source.switch(STATE)
    return source


MAKERS: dict[SourceState, Callable[[], Source]] = {
    SourceState.NONE: lambda: source_of([1] * 8)[1],
    SourceState.PRECOPY: lambda: started()[1],
    SourceState.SWITCHING: switching,
    SourceState.POSTCOPY: lambda: switched()[1],
    SourceState.PAUSED: paused,
    SourceState.RECOVER: recovering,
    SourceState.COMPLETED: completed,
    SourceState.FAILED: failed,
}
ANSWERS: list[Message] = [
    Pong(1),
    RequestPages(0, 1),
    Shut(0),
    received(True, 8),
    ResumeAck(),
    Page(0, True),
    Ping(1),
]
LEGAL = {
    SourceState.NONE: "",
    SourceState.PRECOPY: "Pong",
    SourceState.SWITCHING: "Pong",
    SourceState.POSTCOPY: "Pong RequestPages",  # Shut too, after the end
    SourceState.PAUSED: "",
    SourceState.RECOVER: "Pong ReceivedBitmap",  # ResumeAck too, after the bitmap
    SourceState.COMPLETED: "",
    SourceState.FAILED: "",
}


@pytest.mark.parametrize("state", SourceState)
@pytest.mark.parametrize("message", ANSWERS, ids=lambda message: type(message).__name__)
def test_what_may_be_said_in_which_state(state: SourceState, message: Message) -> None:
    source = MAKERS[state]()
    assert source.state is state
    if type(message).__name__ in LEGAL[state].split():
        source.receive(message)
        return
    before = source.remaining, source.may_run_on, source.counts()
    with pytest.raises(ProtocolError):
        source.receive(message)
    assert (source.state, source.remaining, source.may_run_on) == (state, *before[:2])
    assert source.counts() == before[2]


@pytest.mark.parametrize("state", SourceState)
def test_which_event_may_happen_in_which_state(state: SourceState) -> None:
    events: dict[SourceState, tuple[Callable[[Source], None], SourceState]] = {
        SourceState.NONE: (Source.start, SourceState.PRECOPY),
        SourceState.PRECOPY: (lambda source: source.switch(STATE), SourceState.SWITCHING),
        SourceState.PAUSED: (Source.reconnected, SourceState.RECOVER),
    }
    for at, (event, to) in events.items():
        source = MAKERS[state]()
        if at is state:
            event(source)
            assert source.state is to
        else:
            with pytest.raises(Error, match=f"the source of a migration is {state}, not {at}"):
                event(source)
            assert source.state is state


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (received(True, 9), "a bitmap of 9 pages where 8 are"),
        (ReceivedBitmap(True, 8, b"no zlib"), "damaged bitmap"),
        (received(True, 8, 5), "pages that were never sent"),
        (received(False, 8), "had the package and has lost it"),
    ],
)
def test_bitmaps_that_cannot_be(message: ReceivedBitmap, reason: str) -> None:
    _, source = switched()
    source.receive(RequestPages(0, 1))  # so the guest runs over there
    take(source, 5)
    source.disconnected()
    source.reconnected()
    with pytest.raises(Error, match=reason):
        source.receive(message)
    source.receive(received(True, 8, 0, 1, 2))
    source.receive(ResumeAck())
    assert source.remaining == 5


def test_other_things_that_cannot_be() -> None:
    _, source = switched()
    with pytest.raises(ProtocolError, match="a request for page 8 of 8"):
        source.receive(RequestPages(7, 2))
    assert source.requested == 0
    with pytest.raises(ProtocolError, match="ended before every page was sent"):
        source.receive(Shut(0))
    source.disconnected()
    source.reconnected()
    with pytest.raises(ProtocolError, match="before there was anything to resume"):
        source.receive(ResumeAck())
    source.receive(received(True, 8))
    with pytest.raises(ProtocolError, match="a second bitmap"):
        source.receive(received(True, 8, 1))


def test_a_state_that_is_too_big_changes_nothing() -> None:
    old, source = started()
    take(source, 8)
    old.write(3, 1)
    with pytest.raises(WireError, match="State: 16777217 bytes"):
        source.switch(bytes((16 << 20) + 1))
    assert source.state is SourceState.PRECOPY
    assert take(source, 9) == [3]
