"""The table of page numbers does what a set does, through collisions and deletions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz.apf.gfns import GfnSlots, home


@pytest.mark.parametrize(
    ("gfn", "place"),
    # The top 6 of 32 bits of gfn * 0x61c88647.
    [(0, 0), (1, 24), (2, 48), (3, 9), (0x4_0000, 6), (1 << 32, 0), (1 << 32 | 1, 24)],
)
def test_the_hash(gfn: int, place: int) -> None:
    assert home(gfn) == place


def colliding(count: int, place: int) -> list[int]:
    numbers = (gfn for gfn in range(1 << 20) if home(gfn) == place)
    return [next(numbers) for _ in range(count)]


def test_probing_wraps_around_and_deletion_closes_the_gap() -> None:
    a, b, c = colliding(3, 63)
    (at_home,) = colliding(1, 1)
    slots = GfnSlots()
    for gfn in (a, b, at_home, c):
        slots.add(gfn)
    places = slots.save()
    assert [places.index(gfn) for gfn in (a, b, at_home, c)] == [63, 0, 1, 2]
    slots.discard(a)
    places = slots.save()
    assert [places.index(gfn) for gfn in (b, at_home, c)] == [63, 1, 0]
    assert places[2] is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=60))
@settings(deadline=None)
def test_it_is_a_set(steps: list[tuple[bool, int]]) -> None:
    numbers = [*colliding(6, 62), *colliding(4, 63), *colliding(2, 0)]
    slots, model = GfnSlots(), set[int]()
    for add, which in steps:
        gfn = numbers[which]
        if not add:
            slots.discard(gfn)
            model.discard(gfn)
        elif gfn not in model:
            slots.add(gfn)
            model.add(gfn)
        assert {n for n in numbers if n in slots} == model
        assert len(slots) == len(model)
        assert GfnSlots(slots.save()).save() == slots.save()


def test_64_fit() -> None:
    slots = GfnSlots()
    for gfn in range(64):
        slots.add(gfn * 7)
    assert len(slots) == 64
    assert all(gfn * 7 in slots for gfn in range(64))
    assert 1 not in slots
    slots.discard(1)
    for gfn in range(64):
        slots.discard(gfn * 7)
        assert len(slots) == 63 - gfn
    slots.add(1)
    slots.clear()
    assert len(slots) == 0
