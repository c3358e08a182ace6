"""Sets of pages against Python's own sets."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.migration import Bitmap, BitmapError


@st.composite
def sets(draw: st.DrawFn) -> tuple[int, set[int]]:
    pages = draw(st.integers(1, 100))
    return pages, draw(st.sets(st.integers(0, pages - 1)))


def made(pages: int, members: set[int]) -> Bitmap:
    bitmap = Bitmap(pages)
    bitmap.update(members)
    return bitmap


@given(sets(), st.lists(st.tuples(st.booleans(), st.integers(0, 99)), max_size=20))
def test_as_a_set(start: tuple[int, set[int]], changes: list[tuple[bool, int]]) -> None:
    pages, members = start
    bitmap = made(pages, members)
    members = set(members)
    for put_in, page in changes:
        page %= pages
        if put_in:
            assert bitmap.add(page) == (page not in members)
            members.add(page)
        else:
            assert bitmap.discard(page) == (page in members)
            members.discard(page)
        assert len(bitmap) == len(members)
    assert [*bitmap] == sorted(members)
    assert all((page in bitmap) == (page in members) for page in range(-3, pages + 9))
    assert bitmap == made(pages, members)
    assert {*bitmap.inverted()} == {*range(pages)} - members
    assert len(bitmap.inverted()) == pages - len(members)


@given(sets())
def test_the_next_from_a_cursor(start: tuple[int, set[int]]) -> None:
    pages, members = start
    bitmap = made(pages, members)
    for cursor in range(pages + 1):
        after = [page for page in members if page >= cursor]
        assert bitmap.next(cursor) == min(after or members, default=None)


@given(sets())
def test_runs(start: tuple[int, set[int]]) -> None:
    pages, members = start
    runs = [*made(pages, members).runs()]
    assert {page for first, count in runs for page in range(first, first + count)} == members
    # Neighbouring runs have a page between them.
    ends = [first + count for first, count in runs]
    assert all(count > 0 for _, count in runs)
    assert all(end < first for end, (first, _) in zip(ends, runs[1:], strict=False))


@given(sets(), st.sets(st.integers(0, 99)))
def test_both_and_either(start: tuple[int, set[int]], others: set[int]) -> None:
    pages, members = start
    others = {page for page in others if page < pages}
    one, other = made(pages, members), made(pages, others)
    assert {*(one | other)} == members | others
    assert {*(one & other)} == members & others
    copy = one.copy()
    copy.update(others)
    assert {*one} == members


@given(sets())
def test_over_the_wire(start: tuple[int, set[int]]) -> None:
    bitmap = made(*start)
    assert Bitmap.unpack(bitmap.pages, bitmap.pack()) == bitmap


def test_the_bits_on_the_wire() -> None:
    # 12 pages in 2 bytes: a zlib stream with one block that is stored.
    stored = b"\x78\x01\x01\x02\x00\xfd\xff" + b"\x81\x0c" + zlib.adler32(b"\x81\x0c").to_bytes(4)
    assert [*Bitmap.unpack(12, stored)] == [0, 7, 10, 11]
    assert zlib.decompress(made(12, {0, 7, 10, 11}).pack()) == b"\x81\x0c"


def test_compact() -> None:
    full = Bitmap(1 << 15, full=True)
    assert len(full) == 32768
    assert len(full.pack()) < 64
    assert [*full.runs()] == [(0, 32768)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not of 12 pages"),
        (b"no zlib", "damaged bitmap"),
        (zlib.compress(b"\x81"), "not of 12 pages"),
        (zlib.compress(b"\x81\x0c\x00"), "not of 12 pages"),
        (zlib.compress(b"\x81\x0c")[:-1], "not of 12 pages"),
        (zlib.compress(b"\x81\x0c") + b"x", "not of 12 pages"),
        (zlib.compress(b"\x81\x1c"), "beyond the last, 11"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BitmapError, match=reason):
        Bitmap.unpack(12, data)


def test_no_more_is_unpacked_than_there_can_be() -> None:
    bomb = zlib.compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BitmapError, match="not of 12 pages"):
            Bitmap.unpack(12, bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("page", [-1, 12])
def test_no_such_page(page: int) -> None:
    bitmap = Bitmap(12)
    for change in (bitmap.add, bitmap.discard):
        with pytest.raises(BitmapError, match=f"no page {page}: they are numbered 0 to 11"):
            change(page)
    assert page not in bitmap
