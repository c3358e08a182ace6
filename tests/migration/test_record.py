"""What a recorder keeps of a migration, told by hand and of real ones."""

from dataclasses import replace
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.errors import Error
from sdeiviz.machine import VirtualMachine
from sdeiviz.machine.paging import Paging
from sdeiviz.migration.link import MAIN, RETURN, URGENT, LinkSpeed
from sdeiviz.migration.record import (
    Bins,
    MigrationRecord,
    Moment,
    Recorder,
    Stage,
    Stall,
    Watched,
)
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.migration.wire import Packaged, Page, Pages, Ping, RequestPages
from tests.migration.stories import GFN, PAGES, page, story, tell, told

D, M, R, F, A, Z = Stage
DONE = {"start": 0, "stop": 0, "run": 0, "end": None}


@pytest.mark.parametrize(
    ("time", "stages"),
    [
        (1000, [F, D, D, D, D, D, D, D]),
        (1100, [A, F, D, D, D, D, D, D]),
        (1299, [A, Z, D, D, D, D, D, D]),
        (1300, [D, Z, D, D, D, D, D, D]),
        (1500, [M, Z, M, M, M, M, M, M]),
        (1700, [M, Z, M, R, M, M, M, M]),
        (1800, [M, Z, M, F, M, M, M, M]),
        (1950, [M, Z, M, A, M, M, M, M]),
        (2070, [M, Z, F, A, F, M, M, M]),
        (2200, [M, Z, A, A, A, M, M, M]),
        (3000, [Z, Z, A, A, A, Z, Z, Z]),
    ],
)
def test_every_page_is_at_its_stage(time: int, stages: list[Stage]) -> None:
    assert list(story().stages(time)) == stages


def test_what_is_on_the_way_is_not_asked_for() -> None:
    recorder = Recorder(2, 1, 0)
    recorder.passed(1, MAIN, Packaged(b""), 9)
    recorder.sent(2, MAIN, Page(0, True), 25)
    recorder.sent(3, RETURN, RequestPages(0, 2), 28)
    assert [*recorder.record(3, DONE, {}).stages(3)] == [F, R]


def test_what_was_written_on_the_way_has_not_arrived() -> None:
    recorder = Recorder(1, 1, 0)
    recorder.sent(1, MAIN, page(0), 4121)
    recorder.dirtied(2, [0])
    recorder.delivered(3, page(0))
    assert [*recorder.record(3, DONE, {}).stages(3)] == [D]
    recorder.sent(4, MAIN, page(0), 4121)
    recorder.sent(5, MAIN, Page(0, True), 25)
    recorder.delivered(6, page(0))
    assert [*recorder.record(6, DONE, {}).stages(6)] == [F]
    recorder.delivered(7, Page(0, True))
    assert [*recorder.record(7, DONE, {}).stages(7)] == [Z]


def test_neighbours_in_one_message_are_pages_of_their_own() -> None:
    recorder = Recorder(6, 1, 0)
    together = Pages(1, 4, True)
    recorder.sent(1, MAIN, together, 37)
    assert [*recorder.record(1, DONE, {}).stages(1)] == [D, F, F, F, F, D]
    recorder.dirtied(2, [5, 2])
    recorder.delivered(3, together)
    record = recorder.record(3, DONE, {})
    assert [*record.stages(3)] == [D, Z, D, Z, Z, D]
    assert [(m.kind, m.first, m.count, m.zero) for m in record.messages] == [("Pages", 1, 4, True)]
    assert [change[1:] for change in record.changes if change.time == 3] == [(1, 1, Z), (3, 2, Z)]


def test_messages_keep_when_they_left_and_when_they_came() -> None:
    record = story()
    asked = [m for m in record.messages if m.kind == "RequestPages"]
    assert [(m.sent, m.delivered, m.channel, m.first, m.count) for m in asked] == [
        (1700, 1800, RETURN, 3, 1),
        (2000, 2050, RETURN, 4, 1),
    ]
    discard = next(m for m in record.messages if m.kind == "Discard")
    assert (discard.first, discard.count, discard.size) == (None, 7, 36)
    assert [m.first for m in record.messages if m.zero] == [1, 0, 5, 6, 7]
    assert {n: sum(row) for n, row in record.moved.items()} == {
        MAIN: 4100 + 25 + 36 + 500 + 4121 + 4 * 25,
        URGENT: 2 * 4121,
        RETURN: 56,
    }


def test_the_guest_s_moments_name_pages_and_only_what_is_waited_for_is_placed() -> None:
    assert story().moments == (
        Moment(1600, "fault", 0, 3, "notified"),
        Moment(1600, "worker", 0, 3),
        Moment(1950, "placed", 0, 3),
        Moment(1960, "told", 0, 3),
        Moment(2000, "fault", 0, 4, "wait"),
        Moment(2200, "placed", 0, 4),
        Moment(2200, "resumed", 0, 4),
    )
    assert story().stalls == (Stall(0, False, 2000, 2200),)


def test_all_pages_are_told_of_at_once_and_a_stall_may_be_open() -> None:
    recorder = told()
    recorder.happened(2600, ("PageReady", 0, 0xFFFF_FFFF), GFN)
    recorder.happened(2700, ("VcpuBlocked", 0, GFN + 5, True), GFN)
    record = recorder.record(2900, DONE, {})
    assert record.moments[-1] == Moment(2600, "told", 0, None)
    assert record.stalls[-1] == Stall(0, True, 2700, 2900)


def test_a_record_does_not_change_when_its_recorder_goes_on() -> None:
    recorder = Recorder(1, 1, 0)
    recorder.sent(1, MAIN, Page(0, True), 25)
    before = recorder.record(5, DONE, {})
    recorder.delivered(6, Page(0, True))
    assert before.messages[0].delivered is None
    assert before.stages(9) == bytes([F])


def test_runs_tile_the_time_of_every_page() -> None:
    runs = [*story().runs()]
    assert [run[1:] for run in runs if run[0] == 3] == [
        (D, 1000, 1500),
        (M, 1500, 1700),
        (R, 1700, 1800),
        (F, 1800, 1950),
        (A, 1950, 3000),
    ]
    assert sum(end - begin for _, _, begin, end in runs) == PAGES * 2000


def test_what_is_lost_is_missing_again_and_comes_later() -> None:
    recorder = Recorder(3, 1, 0)
    recorder.sent(1, MAIN, Page(0, True), 25)
    recorder.lost(2)
    assert [*recorder.record(2, DONE, {}).stages(2)] == [D, D, D]
    recorder = told()
    recorder.dirtied(2510, [5])
    recorder.sent(2520, MAIN, page(5), 4121)
    recorder.lost(2530)
    recorder.sent(2540, MAIN, page(5), 4121)
    recorder.delivered(2550, page(5))
    record = recorder.record(3000, DONE, {})
    assert [m.delivered for m in record.messages if m.first == 5] == [2350, None, 2550]


def test_a_page_lost_in_post_copy_is_missing() -> None:
    recorder = Recorder(2, 1, 0)
    recorder.passed(1, MAIN, Packaged(b""), 9)
    recorder.sent(2, MAIN, Page(0, True), 25)
    recorder.lost(3)
    assert [*recorder.record(3, DONE, {}).stages(3)] == [M, M]


def test_what_overtook_a_loss_nobody_told_of_still_arrives() -> None:
    recorder = Recorder(2, 1, 0)
    recorder.sent(1, MAIN, Page(0, True), 25)
    recorder.sent(2, MAIN, Page(1, True), 25)
    recorder.delivered(3, Page(1, True))
    assert [m.delivered for m in recorder.record(4, DONE, {}).messages] == [None, 3]
    with pytest.raises(Error, match="Page arrived, and nobody has sent it"):
        recorder.delivered(4, Page(0, True))
    with pytest.raises(Error, match="Ping arrived"):
        recorder.delivered(4, Ping(1))


def test_one_side_of_a_real_migration_sees_each_message_once() -> None:
    recorder = Recorder(2, 1, 0, clock="wall")
    recorder.passed(3, MAIN, Page(0, False, bytes(range(256)) * 16), 4121)
    recorder.passed(4, RETURN, RequestPages(1, 1), 28)
    record = recorder.record(9, DONE, {})
    assert record.clock == "wall"
    assert [(m.sent, m.delivered) for m in record.messages] == [(3, 3), (4, 4)]
    assert [*record.stages(3)] == [A, D]
    assert sum(record.moved[MAIN]) == 4121


# -- bounds


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_the_oldest_is_forgotten_first_and_counted(limit: int) -> None:
    whole, short = story(), story(limit=limit)
    assert short.messages == whole.messages[-limit:]
    assert short.moments == whole.moments[-limit:]
    assert short.changes == whole.changes[-limit:]
    assert short.left_out["messages"] == len(whole.messages) - limit
    assert short.left_out["changes"] == len(whole.changes) - limit
    since = short.known_since()
    for time in range(since, 3001):
        assert short.stages(time) == whole.stages(time)
    with pytest.raises(Error, match="is forgotten"):
        short.stages(since - 1)
    assert short.moved == whole.moved
    with pytest.raises(Error, match="want 1 or more"):
        Recorder(1, 1, 0, limit=0)


Told = list[tuple[int, int, Stage]]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([D, F, A, R]))),
    st.integers(1, 8),
)
def test_whatever_is_told_runs_and_stages_agree(steps: Told, limit: int) -> None:
    recorder = Recorder(6, 1, 10, limit=limit)
    now = tell(recorder, 10, steps)
    record = recorder.record(now + 1, DONE, {})
    since = record.known_since()
    runs = [*record.runs()]
    assert sum(end - begin for _, _, begin, end in runs) == 6 * (record.end - since)
    for number, stage, begin, end in runs:
        assert {record.stages(time)[number] for time in range(begin, end)} == {stage}


@given(st.lists(st.tuples(st.integers(5, 5000), st.integers(0, 9))), st.integers(1, 9))
def test_bins_lose_nothing_and_stay_few(added: list[tuple[int, int]], most: int) -> None:
    bins = Bins(5, most, 3)
    for time, amount in added:
        bins.add("x", time, amount)
    row = bins.amounts.get("x", [])
    assert len(row) <= most
    for n, amount in enumerate(row):
        inside = range(5 + n * bins.width, 5 + (n + 1) * bins.width)
        assert amount == sum(a for time, a in added if time in inside)


# -- real migrations


def simulation(mode: str, passes: int = 1) -> Simulation:
    arguments = "pages=512 passes=1000 touch=4 work=3000 order=random time=100000"

    def machine() -> VirtualMachine:
        return VirtualMachine(
            "kernel", memory=4 << 20, bootargs=arguments, paging=Paging(mode=mode)
        )

    source, destination = machine(), machine()
    source.run_until(20_000_000)
    setup = Setup(LinkSpeed(10**9, 50_000, 1 << 17), passes=passes, urgent=True, service=6700)
    return Simulation(source, destination, setup)


def watched(mode: str, passes: int) -> tuple[Simulation, MigrationRecord]:
    migrated = simulation(mode, passes)
    watch = Watched(migrated)
    migrated.migrate()
    return migrated, watch.record()


def test_watching_changes_nothing() -> None:
    alone, (seen, _) = simulation("arm64-v4"), watched("arm64-v4", 1)
    alone.migrate()
    assert alone.report() == seen.report()
    assert alone.timeline == seen.timeline
    assert alone.vm.save() == seen.vm.save()


@pytest.mark.parametrize(("mode", "passes"), [("sync", 0), ("sync", 2), ("arm64-v4", 0)])
def test_a_record_agrees_with_what_both_sides_count(mode: str, passes: int) -> None:
    migrated, record = watched(mode, passes)
    report = migrated.report()
    source = report["source"]
    kinds = [message.kind for message in record.messages]
    assert kinds.count("Page") == source["normal"] + source["zero"]
    assert sum(message.zero for message in record.messages) == source["zero"]
    assert kinds.count("RequestPages") == report["destination"]["requests"] > 10
    assert all(message.delivered is not None for message in record.messages)
    moved = [sum(record.moved[channel]) for channel in (MAIN, URGENT, RETURN)]
    assert moved == [*report["bytes"], *migrated.link.back.sent]
    blocked = sum(stall.end - stall.begin for stall in record.stalls)
    assert blocked == report["faults"]["vcpu_blocktime"][0]
    assert set(record.stages(record.end)) == {A, Z}
    last = max(m.delivered or 0 for m in record.messages if m.kind == "Page")
    assert 0 <= (record.phases["end"] or 0) - last < 1000
    placed = [m for m in record.moments if m.kind == "placed"]
    assert len({m.page for m in placed}) == report["destination"]["requests"]
    assert not any(record.left_out.values())
    came = {m.first: m.delivered for m in record.messages if m.kind == "Page"}
    for moment in placed:
        # The guest may be in the middle of an instruction, or the host at work.
        assert 0 <= moment.time - (came[moment.page] or 0) < 1000
    stages = bytearray(record.before)
    for _, first, count, stage in record.changes:
        for number in range(first, first + count):
            if stage == F:
                assert stages[number] in (D, M, R), "nothing is sent that is there"
            stages[number] = stage


def test_what_is_not_there_when_the_guest_runs_is_what_comes_afterwards() -> None:
    _, record = watched("sync", 2)
    run = record.phases["run"]
    assert run is not None
    stages = record.stages(run)
    absent = {n for n, stage in enumerate(stages) if stage in (M, F)}
    late = {m.first for m in record.messages if m.kind == "Page" and (m.delivered or 0) > run}
    assert late == absent
    assert 0 < stages.count(M) < record.pages
    assert D not in stages


def test_no_more_bytes_come_than_the_link_carries_however_late_they_are_taken() -> None:
    migrated = simulation("sync")
    # Pages of zeros come faster than they are placed, and others pile up behind them.
    setup = replace(migrated.setup, place=4_000)
    late = Simulation(migrated.leaving.vm, migrated.arriving.vm, setup)
    watch = Watched(late)
    late.migrate()
    record = watch.record()
    assert record.bin == 32_768
    both = zip_longest(record.moved[MAIN], record.moved[URGENT], fillvalue=0)
    # 1 Gbit/s for 32,768 ns, a frame that began before, and one of the second channel.
    assert max(map(sum, both)) <= 4096 + 2 * 4121
