"""Blocked time and latency, counted by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.errors import Error
from sdeiviz.migration import Faults, Timeline
from sdeiviz.migration.metrics import BUCKETS, Latencies, bucket

US = 1000


@pytest.mark.parametrize(
    ("nanoseconds", "number"),
    [
        (0, 0),
        (999, 0),
        (1 * US, 0),
        (2 * US - 1, 0),
        (2 * US, 1),
        (255 * US, 7),
        (256 * US, 8),
        (512 * US - 1, 8),
        (10_680 * US, 13),  # 8 to 16 ms
        ((1 << 23) * US, 23),
        ((1 << 24) * US, 23),
        (10**18, 23),
    ],
)
def test_buckets(nanoseconds: int, number: int) -> None:
    assert bucket(nanoseconds) == number
    assert BUCKETS == 24


def test_a_vcpu_is_blocked_until_its_last_fault_is_resolved() -> None:
    faults = Faults(1)
    faults.begin(0, 1, 100)
    faults.begin(0, 2, 150)
    faults.end(1, 200)
    assert faults.vcpus[0].total(230) == 130
    faults.end(2, 250)
    faults.begin(0, 3, 400)
    faults.end(3, 410)
    assert faults.vcpus[0].intervals == [(100, 250), (400, 410)]
    assert faults.all.intervals == [(100, 250), (400, 410)]
    assert faults.latencies[0].values == [100, 100, 10]


def test_the_machine_is_blocked_while_all_vcpus_are() -> None:
    faults = Faults(3)
    faults.begin(0, 1, 0)
    faults.begin(1, 2, 10)
    faults.begin(2, 3, 20)  # now all of them
    faults.begin(1, 4, 25)
    faults.end(2, 30)  # vCPU 1 waits for page 4 still
    faults.end(4, 45)
    faults.begin(1, 5, 50)
    faults.end(1, 70)
    faults.end(3, 80)
    faults.end(5, 90)
    assert faults.all.intervals == [(20, 45), (50, 70)]
    assert [stalls.intervals for stalls in faults.vcpus] == [
        [(0, 70)],
        [(10, 45), (50, 90)],
        [(20, 80)],
    ]
    row = faults.report(1000)
    assert (row["blocktime"], row["vcpu_blocktime"]) == (45, [70, 75, 60])


def test_a_worker_blocks_nobody() -> None:
    faults = Faults(1)
    faults.begin(None, 7, 1000)
    faults.begin(0, 8, 2000)
    faults.begin(0, 7, 3000)  # the vCPU needs the worker's page too
    faults.end(8, 4000)
    faults.end(7, 9000)
    assert faults.vcpus[0].intervals == [(2000, 9000)]
    row = faults.report(9000)
    assert row["worker_latency"]["count"] == 1
    assert row["worker_latency"]["mean"] == 8000
    assert row["vcpu_latency"][0]["mean"] == 4000
    # 8000, 2000 and 6000: all of them.
    assert row["latency"]["mean"] == 5333
    assert row["latency"]["histogram"][:4] == [0, 1, 1, 1]


def test_one_page_for_two_vcpus() -> None:
    faults = Faults(2)
    faults.begin(0, 7, 0)
    faults.begin(1, 7, 5)
    faults.end(7, 9)
    faults.end(7, 20)  # again, and nobody waits
    assert faults.all.intervals == [(5, 9)]
    assert [latencies.values for latencies in faults.latencies] == [[9], [4]]


def test_what_is_open_counts_until_now() -> None:
    faults = Faults(1)
    faults.begin(0, 1, 100)
    row = faults.report(175)
    assert (row["blocktime"], row["vcpu_blocktime"], row["open"]) == (75, [75], 1)
    assert row["latency"]["count"] == 0
    assert row["latency"]["mean"] is None


def test_no_time_at_all_is_no_interval() -> None:
    faults = Faults(1)
    faults.begin(0, 1, 100)
    faults.end(1, 100)
    assert faults.vcpus[0].intervals == []
    assert faults.latencies[0].values == [0]


def test_percentiles_by_nearest_rank() -> None:
    latencies = Latencies([15, 20, 35, 40, 50])
    ranks = [latencies.percentile(p) for p in (0, 5, 30, 40, 50, 99, 100)]
    assert ranks == [15, 15, 20, 20, 35, 50, 50]
    assert Latencies().percentile(50) is None
    row = Latencies([*range(1, 201)]).report()
    assert (row["p50"], row["p99"], row["longest"]) == (100, 198, 200)


steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from([None, 0, 1]), st.integers(0, 2), st.integers(0, 9)),
    max_size=30,
)


@given(steps)
def test_against_a_clock_that_ticks(moves: list[tuple[bool, int | None, int, int]]) -> None:
    """Every nanosecond looks who waits; the intervals must have as many."""
    faults, waiting = Faults(2), set()
    blocked, everyone, time = [0, 0], 0, 0
    for begins, vcpu, page, passed in moves:
        for _ in range(passed):
            now = [any(who == n for who, _ in waiting) for n in (0, 1)]
            blocked = [total + is_now for total, is_now in zip(blocked, now, strict=True)]
            everyone += all(now)
        time += passed
        if begins and (vcpu, page) not in waiting:
            faults.begin(vcpu, page, time)
            waiting.add((vcpu, page))
        elif not begins:
            faults.end(page, time)
            waiting = {(who, where) for who, where in waiting if where != page}
    row = faults.report(time)
    assert (row["vcpu_blocktime"], row["blocktime"]) == (blocked, everyone)
    assert row["open"] == len(waiting)
    assert json.loads(json.dumps(row)) == row


def test_the_times_of_a_migration() -> None:
    timeline = Timeline()
    unknown = dict.fromkeys(("precopy", "downtime", "postcopy", "total"))
    assert timeline.report() == unknown
    timeline.mark("start", 100)
    timeline.mark("stop", 500)
    assert timeline.report() == unknown | {"precopy": 400}
    timeline.mark("run", 530)
    timeline.mark("end", 900)
    assert timeline.report() == {"precopy": 400, "downtime": 30, "postcopy": 370, "total": 800}


@pytest.mark.parametrize(
    ("moments", "reason"),
    [
        ([("stop", 1)], "the stop of a migration at 1 ns does not follow"),
        ([("start", 1), ("start", 2)], "the start of a migration at 2 ns"),
        ([("start", 5), ("stop", 4)], "the stop of a migration at 4 ns"),
        ([("start", 1), ("run", 4)], "the run of a migration at 4 ns"),
        ([("pause", 1)], "no moment 'pause' of a migration: start, stop, run, end"),
    ],
)
def test_moments_out_of_order(moments: list[tuple[str, int]], reason: str) -> None:
    timeline = Timeline()
    for moment, time in moments[:-1]:
        timeline.mark(moment, time)
    with pytest.raises(Error, match=reason):
        timeline.mark(*moments[-1])
