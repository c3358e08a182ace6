"""A migration in virtual time: its moments to the nanosecond, and what a receiving thread takes."""

from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.errors import Error
from sdeiviz.machine import Paging
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.simulation import Setup, Simulation

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
