"""The guest of the fourth notebook: what it is told, and what is known of it afterwards."""

from itertools import pairwise

import pytest

import sdeiviz
from sdeiviz.classroom import moving
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.views import fault


def test_both_machines_are_told_the_same_and_the_link_its_own() -> None:
    guest = moving("halt", passes=3, urgent=True, bandwidth=7, delay=8, buffer=9, pages=64)
    assert guest.setup.speed == LinkSpeed(7, 8, 9)
    # assets/parameters: the serving thread, and a page that is put in place
    assert (guest.setup.service, guest.setup.place) == (6700, 4000)
    assert (guest.setup.passes, guest.setup.urgent) == (3, True)
    assert "64 pages of heap" in guest.vm.console
    for machine in (guest.leaving.vm, guest.arriving.vm):
        assert machine.memory.size == 4 << 20
        assert machine.paging.mode == "halt"


def test_what_each_pass_leaves() -> None:
    # M writes each of its 64 pages within any pass, and the kernel a few of its own.
    slow = moving("sync", pages=64, passes=3, bandwidth=10_000_000, time=3000)
    slow.switch()
    assert all(64 <= left < 80 for left in slow.left()[:3])
    assert len(slow.left()) in (3, 4)


def test_the_threads_of_a_guest_that_has_moved_have_names() -> None:
    guest = moving("arm64-v4")
    with pytest.raises(sdeiviz.Error, match="only a guest that has arrived"):
        guest.session()
    guest.migrate()
    session = guest.session()
    session.run()
    steps = fault.life(session.trace, fault.number_of(session.trace, 0x1000))
    told = [step.words for step in steps]
    assert told[0].startswith("M touches page 0x")
    assert "runs C compute meanwhile" in told
    assert steps[0].index > guest.leaving.vm.index


def test_its_work_is_counted_wherever_it_is() -> None:
    guest = moving("sync")
    before = guest.work()
    guest.run_until(guest.time + 3_000_000)
    here = guest.work()
    guest.switch()
    guest.run_until(guest.time + 3_000_000)
    there = guest.work()
    assert before.computed <= here.computed < there.computed
    assert before.touched < here.touched < there.touched
    assert there.errors == 0


def test_its_connection_is_lost_for_five_milliseconds() -> None:
    guest = moving("sync")
    guest.switch()
    arrival = guest.time
    guest.lose_connection()
    guest.finish()
    sent = sorted(m.sent or 0 for m in guest.record().messages)
    gaps = [(b - a, a) for a, b in pairwise(sent)]
    length, begin = max(gaps)
    assert 4_900_000 < length <= 5_700_000
    assert arrival + 1_300_000 < begin <= arrival + 2_000_000
