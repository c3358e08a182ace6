"""Neighbours that go together: which, in which order, and what becomes of them."""

import random

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.errors import Error
from sdeiviz.machine import GuestMemory, GuestMemoryError, Paging
from sdeiviz.migration import Bitmap, Destination, ProtocolError, Source
from sdeiviz.migration.wire import (
    Advise,
    Discard,
    Listen,
    Message,
    OpenReturnPath,
    Packaged,
    Page,
    Pages,
    RequestPages,
    Run,
    Shut,
    State,
    pack_frames,
)
from tests.migration.board import STATE, New, content, numbers, pair, pull_until_package, pulled


def run(first: int, *values: int) -> Pages:
    """Neighbours as they go over the wire."""
    data = b"" if not any(values) else b"".join(map(content, values))
    return Pages(first, len(values), not any(values), data)


def test_a_run_is_all_zero_or_not_at_all_and_ends_at_what_was_sent() -> None:
    old, source, _, _ = pair([1, 2, 3, 0, 0, 4, 0, 5, 6, 7, 8, 9], bulk=4)
    source.start()
    for _ in range(3):
        source.pull()
    sent = [source.pull() for _ in range(6)]
    assert sent == [
        run(0, 1, 2, 3),
        run(3, 0, 0),
        run(5, 4),
        run(6, 0),
        run(7, 5, 6, 7, 8),
        Page(11, False, content(9)),
    ]
    assert (source.normal, source.zero) == (9, 3)
    for page in (2, 3, 9):
        old.write(page, 77)
    assert [source.pull(), source.pull()] == [run(2, 77, 77), Page(9, False, content(77))]


def test_what_is_asked_for_goes_alone_and_before() -> None:
    _, source, _, _ = pair([*range(1, 13)], bulk=4)
    source.start()
    source.switch(STATE)
    pull_until_package(source)
    source.receive(RequestPages(9, 2))
    assert source.pull(background=False) == Page(9, False, content(10))
    assert source.pull(background=False) == Page(10, False, content(11))
    assert source.pull(background=False) is None
    rest = [source.pull() for _ in range(4)]
    assert rest[0] == Page(11, False, content(12))
    assert rest[1:3] == [run(0, 1, 2, 3, 4), run(4, 5, 6, 7, 8)]
    assert numbers([message for message in rest if message])[-1] == 8


def test_nothing_in_the_background_before_the_switch_either() -> None:
    _, source, _, _ = pair([1, 2], bulk=4)
    source.start()
    assert [type(source.pull(background=False)) for _ in range(4)][3] is type(None)
    assert source.pull() == run(0, 1, 2)


def there(*messages: Message) -> New:
    _, _, new, destination = pair([0] * 6)
    for message in (OpenReturnPath(), Advise(4096, 6, False), *messages):
        destination.receive(message)
    new.destination = destination  # type: ignore[attr-defined]
    return new


PACKAGE = Packaged(pack_frames([Listen(), State(STATE), Run()]))


def test_a_run_that_comes_again_takes_the_place_of_the_old() -> None:
    new = there(run(0, 1, 2, 3), run(2, 8, 9, 10), run(4, 0, 0))
    assert [new.pages[n] for n in range(6)] == [content(n) for n in (1, 2, 8, 9, 0, 0)]


def test_after_the_switch_only_what_is_absent_is_placed_and_answered() -> None:
    new = there(run(0, 1, 2, 3, 4, 5, 6), Discard(((1, 1), (3, 1))), PACKAGE)
    destination = new.destination  # type: ignore[attr-defined]
    new.pages[2] = b"the guest has written"
    destination.fault(3)
    destination.receive(run(1, 20, 30, 40))
    assert new.placed == [1, 3]
    assert (new.pages[1], new.pages[2], new.pages[3]) == (
        content(20),
        b"the guest has written",
        content(40),
    )
    assert destination.waiting == ()
    assert (destination.placed, destination.duplicates, destination.received) == (8, 1, 6)
    with pytest.raises(ProtocolError, match="page 6 of 6"):
        destination.receive(run(5, 1, 2))


def test_the_sum_is_of_what_was_placed() -> None:
    old, source, new, destination = pair([1, 2, 3, 4, 0, 0], bulk=6)
    source.start()
    for _ in range(6):
        if message := source.pull():
            destination.receive(message)
    old.write(1, 50)
    old.write(4, 60)
    source.switch(STATE)
    for message in pulled(source):
        destination.receive(message)
    for message in pulled(destination):  # a Shut with 0 among them
        if type(message).__name__ == "Shut":
            source.receive(message)
    assert source.state == "completed"
    assert [new.pages[n] for n in range(6)] == [content(n) for n in (1, 50, 3, 4, 60, 0)]


def test_runs_of_a_bitmap_are_what_single_pages_would_be() -> None:
    dice = random.Random(5)
    bitmap, model = Bitmap(50), set()
    for _ in range(3000):
        first = dice.randrange(50)
        count = dice.randint(0, 50 - first)
        pages = set(range(first, first + count))
        assert bitmap.count_run(first, count) == len(pages & model)
        if dice.random() < 0.5:
            assert bitmap.add_run(first, count) == len(pages - model)
            model |= pages
        else:
            assert bitmap.discard_run(first, count) == len(pages & model)
            model -= pages
        assert {*bitmap} == model
        assert len(bitmap) == len(model)
        most = dice.randint(1, 60)
        length = next((n for n in range(50 - first) if first + n not in model), 50 - first)
        assert bitmap.run(first, most) == min(length, most)
    with pytest.raises(Error, match="no page 50"):
        bitmap.add_run(49, 2)


@pytest.mark.parametrize("resident", [None, 16])
def test_a_machine_places_neighbours_once(resident: int | None) -> None:
    vm = VirtualMachine("hello", memory=1 << 20, paging=Paging("sync", resident=resident))
    assert vm.pager
    vm.pager.pageable = range(256)
    vm.pager.discard(100, 20)
    assert vm.memory.some_absent(90, 11)
    assert not vm.memory.some_absent(90, 10)
    data = b"".join(bytes([n]) * 4096 for n in range(1, 11))
    assert vm.place_page(105, b"y" * 4096)
    assert vm.place_pages(100, 10, data) == 9
    assert vm.place_pages(110, 10, None) == 10
    assert vm.place_pages(100, 20, None) == 0
    expected = [bytes([n]) * 4096 for n in range(1, 11)] + [bytes(4096)] * 10
    expected[5] = b"y" * 4096
    assert [vm.pager.content(page) for page in range(100, 120)] == expected
    for first, count, wrong in ((250, 7, None), (-1, 2, None), (5, 0, None), (5, 2, b"x")):
        with pytest.raises(Error):
            vm.place_pages(first, count, wrong)


def flushed(source: Source, destination: Destination) -> Message:
    """Let everything over there, and return the last answer."""
    for message in pulled(source):
        destination.receive(message)
    *_, last = pulled(destination)
    return last


@pytest.mark.parametrize("bulk", [1, 4])
def test_what_was_sent_before_the_switch_is_read_again_for_the_sum_and_nothing_else(
    bulk: int,
) -> None:
    old, source, _, destination = pair([1, 2, 3, 4, 5, 6, 7, 8], bulk=bulk)
    reads: list[int] = []
    read = old.read

    def count_reads(first: int, count: int) -> bytes:
        reads.extend(range(first, first + count))
        return read(first, count)

    source._read = count_reads
    source.start()
    while len(reads) < 4:
        message = source.pull()
        assert message
        destination.receive(message)
    old.write(1, 20)
    source.switch(STATE)
    reads.clear()
    assert flushed(source, destination) == Shut(0)
    # Those that go over now, and 0, 2 and 3, which went before.
    assert sorted(reads) == [*range(8)]


@pytest.mark.parametrize("bulk", [1, 4])
def test_a_write_that_the_log_has_lost_is_found_at_the_end(bulk: int) -> None:
    old, source, _, destination = pair([1, 2, 3, 4, 5, 6, 7, 8], bulk=bulk)
    source.start()
    for _ in range(5):
        if message := source.pull():
            destination.receive(message)
    old.values[0] = 99
    source.switch(STATE)
    assert flushed(source, destination) == Shut(1)
    assert destination.state == "failed"


def test_a_page_twice_or_in_anothers_place_is_found_at_the_end() -> None:
    for pages in ([1, 1, 3, 4], [2, 1, 3, 4], [0, 2, 3, 4]):
        _, source, _, destination = pair([1, 2, 3, 4], bulk=4)
        source.start()
        source.switch(STATE)
        for message in pulled(source):
            destination.receive(run(0, *pages) if isinstance(message, Pages) else message)
        *_, last = pulled(destination)
        assert last == Shut(1), pages


def test_pages_have_a_place_in_ram_or_none() -> None:
    memory = GuestMemory(4 * 4096)
    memory.place(1, b"a" * 8192)
    memory.place(3, memoryview(bytearray(b"b" * 8192))[4096:])
    assert bytes(memory.view) == bytes(4096) + b"a" * 8192 + b"b" * 4096
    for first, size in ((3, 8192), (4, 4096), (-1, 4096), (0, 5 * 4096)):
        with pytest.raises(GuestMemoryError, match="have no place"):
            memory.place(first, b"x" * size)
    assert bytes(memory.view) == bytes(4096) + b"a" * 8192 + b"b" * 4096


@pytest.mark.parametrize(("alike", "read"), [(3, 16), (15, 16), (16, 16 + 40), (20, 16 + 40)])
def test_a_few_neighbours_are_looked_at_before_many_are_read(alike: int, read: int) -> None:
    old, source, _, _ = pair([7] * alike + [0] * (40 - alike), bulk=40)
    reads: list[int] = []
    content_of = old.read

    def count_reads(first: int, count: int) -> bytes:
        reads.append(count)
        return content_of(first, count)

    source._read = count_reads
    source.start()
    for _ in range(3):
        source.pull()
    assert source.pull() == run(0, *[7] * alike)
    assert sum(reads) == read
    assert source.pull() == run(alike, *[0] * (40 - alike))
