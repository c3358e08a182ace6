"""A migration in virtual time: its moments to the nanosecond, and what a receiving thread takes."""

from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.errors import Error
from sdeiviz.machine import Paging
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.migration.wire import Packaged, RequestPages

GBPS = 1_000_000_000
BOOTARGS = "m=1 c=1 pages=64 time=10000 work=1000"


def machine() -> VirtualMachine:
    return VirtualMachine("kernel", memory=4 << 20, bootargs=BOOTARGS, paging=Paging("sync"))


def simulation(**how: Any) -> Simulation:
    source = machine()
    source.run_until(20_000_000)
    speed = LinkSpeed(GBPS, delay=50_000, buffer=20_000)
    return Simulation(source, machine(), Setup(speed, **how))


def test_the_end_is_when_the_last_page_is_there_and_not_the_next_look():
    run = simulation()
    arrivals = []
    run.link.on_delivered = lambda time, message: arrivals.append((time, run.complete))
    run.switch()
    run.run_until(run.time + 1_000_000_000)
    first = next(time for time, complete in arrivals if complete)
    assert first <= run.timeline.end < first + 1_000
    assert not run.done
    run.finish()
    assert run.done
    assert run.report()["times"]["postcopy"] == run.timeline.end - run.timeline.run


def test_it_stops_for_that_once():
    run = simulation()
    run.switch()
    began = run.time
    run.run_until(began + 1_000_000_000)
    assert run.complete
    assert run.time < began + 100_000_000
    run.run_until(began + 1_000_000_000)
    assert run.time >= began + 1_000_000_000


def test_placing_takes_its_time_even_where_pages_are_zeros():
    # 1,024 pages; those of zeros are nothing on the wire.
    times = []
    for place in (0, 100_000):
        run = simulation(place=place)
        run.migrate()
        times.append(run.report()["times"]["postcopy"])
    assert times[0] < 20_000_000
    assert 1024 * 100_000 <= times[1] < 1024 * 100_000 + 3_000_000


@pytest.mark.parametrize("wrong", [{"place": -1}, {"service": -1}, {"passes": -1}, {"step": 0}])
def test_no_such_migration(wrong):
    with pytest.raises(Error, match="no migration like this"):
        Setup(LinkSpeed(GBPS), **wrong)


# -- outages


def test_in_an_outage_a_vcpu_that_waits_does_so_till_the_page_is_sent_again():
    run = simulation()
    run.switch()
    begin = run.time + 500_000
    run.outage(begin, begin + 7_000_000)
    run.finish()
    faults = run.report()["faults"]
    # Asked for again after the connection: four messages of 50 us each, and the page's own.
    assert 7_000_000 < faults["latency"]["longest"] < 8_100_000
    assert faults["open"] == 0
    assert run.source.state == "completed"


def test_a_page_needed_during_an_outage_is_asked_for_afterwards():
    run = simulation()
    run.switch()
    while run.destination.waiting:
        run.run_until(run.time + 10_000)
    run.outage(run.time, run.time + 7_000_000)
    run.run_until(run.time + 6_000_000)
    (page,) = run.destination.waiting
    asked = []
    run.link.on_sent = lambda time, channel, message, size: asked.append((time, message))
    run.finish()
    time, _ = next(one for one in asked if one[1] == RequestPages(page, 1))
    assert time > run.timeline.run + 7_000_000


def test_an_outage_without_an_end_and_a_guest_that_needs_a_page():
    run = simulation()
    run.switch()
    run.outage(run.time + 500_000)
    with pytest.raises(Error, match=r"the source is lost: \d+ of 1024 pages are missing"):
        run.finish()
    assert not run.source.may_run_on


def test_an_outage_before_the_switch_leaves_the_guest_where_it_is():
    run = simulation(passes=1)
    run.outage(run.time + 500_000, run.time + 900_000)
    with pytest.raises(Error, match="lost before the guest was handed over"):
        run.switch()
    assert run.source.may_run_on
    assert run.vm is run.leaving.vm
    was = run.time
    run.vm.run_until(was + 1_000_000)
    assert run.vm.time >= was + 1_000_000


def test_an_outage_while_the_package_is_on_its_way():
    run = simulation()
    run.link.on_sent = lambda time, channel, message, size: (
        run.outage(time + 1, time + 2_000_000)
        if isinstance(message, Packaged) and not run.source.may_run_on and run.link.now < 21_000_000
        else None
    )
    run.switch()
    assert run.timeline.run - run.timeline.stop > 2_000_000
    run.finish()


def test_an_outage_when_all_is_over_changes_nothing():
    run = simulation()
    run.migrate()
    run.outage(run.time, run.time + 1_000_000)
    run.run_until(run.time + 2_000_000)
    assert run.done
    assert run.source.state == "completed"


def test_no_such_outage():
    run = simulation()
    for begin, end in ((0, 1), (30_000_000, 30_000_000)):
        with pytest.raises(Error, match="no outage from"):
            run.outage(begin, end)
