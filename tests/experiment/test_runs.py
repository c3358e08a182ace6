"""A window: everything is counted over the same time, and nothing beside it."""

import struct
from collections import Counter
from dataclasses import replace

import pytest

from sdeiviz.experiment import ExperimentError, FaultTimes, bound, gain, load
from sdeiviz.trace import AT
from tests.experiment.bench import fake_run

OURS = load().set("window.short", 100_000_000)
CASE = OURS.case("ablation")


def test_what_is_counted_is_within_the_window():
    result = fake_run(CASE, "sync", OURS, 1)
    # Threads begin at 12 ms, the first look after that is at 15, the window ends at 115 ms.
    assert result.window == 100_000_000
    assert result.computed == 103_000_000 // 2000 - 3_000_000 // 2000
    assert result.touched == 100
    assert result.accounts == (
        dict.fromkeys(["overhead", "halted", "idle", "ready", "off"], 0)
        | {"run": 50_000_000, "blocked": 50_000_000},
    )
    assert result.instructions == 50_000_000
    assert result.faults == {("wait", "mode"): 100}
    assert result.rate == 500
    assert result.pages_per_ms == 1
    assert result.spent("blocked") == 50_000_000


def test_what_the_host_does_at_the_end_belongs_to_the_window():
    result = fake_run(CASE, "sync", OURS, 1, late=7)
    assert result.window == 100_000_007
    assert sum(result.accounts[0].values()) == 100_000_007


def test_gain():
    new, old = (fake_run(CASE, mode, OURS, 1) for mode in ("arm64-v4", "sync"))
    assert gain(new, old) == pytest.approx(0.5)
    assert gain(old, old) == 0
    assert (new.asynchronous, old.asynchronous) == (1, 0)


def test_a_retry_is_no_fault_of_its_own():
    told = fake_run(CASE, "arm64-v4", OURS, 1)
    retried = replace(told, faults=told.faults + Counter({("retry", ""): 900, ("halt", ""): 100}))
    assert retried.asynchronous == 0.5


def test_bound():
    assert bound(4, 1) == 4
    assert bound(1, 4) == 0.25
    with pytest.raises(ExperimentError, match="computing thread"):
        bound(1, 0)


def test_a_guest_that_never_begins():
    with pytest.raises(ExperimentError, match="does not begin"):
        fake_run(CASE, "sync", OURS.set("window.step", 100_000_000), 1, begin=1 << 60)


def test_a_machine_that_stops_within_the_window():
    with pytest.raises(ExperimentError, match="stopped at 60000000 ns"):
        fake_run(CASE, "sync", OURS, 1, stops_at=60_000_000)


def test_what_m_finds_wrong_is_told():
    assert fake_run(CASE, "sync", OURS, 1, errors=3).errors == 3


def test_nothing_to_compare_with():
    result = fake_run(CASE, "sync", OURS, 1, share=0)
    with pytest.raises(ExperimentError, match="computed nothing"):
        gain(result, result)


def test_latencies():
    times = FaultTimes()
    for page, latency in enumerate((100, 300, 200, 1000)):
        times.extend((AT, 0, 5000))
        times.extend(("PageFault", 0, page, None, "wait", "mode"))
        times.extend((AT, 0, 5001, "FetchStarted", 0, page, "vcpu"))
        times.extend((AT, 0, 5000 + latency, "FetchDone", 0, page))
    assert times.summary() == (400, 200, 300)
    assert times.summary(3) == (1000, 1000, 1000)
    assert times.summary(4) == (0, 0, 0)


def test_latency_begins_with_the_first_fault_on_a_page_and_takes_its_time_from_a_call():
    times = FaultTimes()
    times.extend(("HVC", 0, struct.pack("=9Q", 0, 100, 0x4000_0000, *range(6))))
    times.extend(("answer", 0))
    times.extend(("PageFault", 0, 9, 0x1000, "notified", ""))
    times.extend((AT, 0, 500))
    times.extend(("PageFault", 1, 9, 0x1001, "notified", ""))
    times.extend((AT, 0, 900, "FetchDone", 0, 9))
    times.extend((AT, 0, 900, "FetchDone", 0, 8))
    assert times.summary() == (800, 800, 800)
