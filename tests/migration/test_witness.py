"""What each side of a real migration sees of it, over 127.0.0.1; times are wall time."""

from time import monotonic_ns
from typing import Any

import pytest

from sdeiviz.debugger.recording import Recording
from sdeiviz.errors import Error
from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.live import MigrationError, migrate
from sdeiviz.migration.record import MigrationRecord, Stage, Witness
from sdeiviz.views.migration import (
    latency,
    moments,
    pages,
    player,
    summary,
    traffic,
    vcpus,
    wire,
)
from sdeiviz.views.threads import Doing
from tests.migration.test_live import kernel
from tests.migration.wires import FORWARD, Cut, Proxy, Spoil, machine, move, served

D, M, R, F, A, Z = Stage
PAGES = 2048
WORK = "pages=200 passes=400 work=200 m=1 c=1"


def seen(
    mode: str = "sync", *, passes: int = 1, bandwidth: int | None = 8 << 20, **serving: Any
) -> tuple[MigrationRecord, MigrationRecord, dict[str, Any], dict[str, Any]]:
    """Both sides' records of one migration, and their reports."""
    here, there = kernel(WORK, mode), kernel(WORK, mode)
    here.vm.run(3_000_000)
    leaves, comes = Witness(), Witness()
    with served(there.vm, witness=comes, **serving) as side:
        sent = move(here.vm, side.address, passes=passes, bandwidth=bandwidth, witness=leaves)
        got = side.wait(20)
    return leaves.record(), comes.record(), sent, got


@pytest.fixture(scope="module")
def both() -> tuple[MigrationRecord, MigrationRecord, dict[str, Any], dict[str, Any]]:
    before = monotonic_ns()
    found = seen(passes=0)
    for record in found[:2]:
        assert before < record.start < record.end < monotonic_ns()
    return found


Both = tuple[MigrationRecord, MigrationRecord, dict[str, Any], dict[str, Any]]


def test_both_say_whose_time_it_is_and_who_saw_it(both: Both) -> None:
    leaves, comes, _, _ = both
    assert (leaves.clock, leaves.side) == ("wall", "source")
    assert (comes.clock, comes.side) == ("wall", "destination")
    for record in (leaves, comes):
        assert (record.pages, record.vcpus, record.bandwidth) == (PAGES, 1, None)
        times = [record.phases[name] for name in ("start", "stop", "run", "end")]
        assert times == sorted(t for t in times if t is not None)
        assert times[0] == record.start
        assert not any(record.left_out.values())
        assert record.report["side"] == record.side


def test_what_was_sent_is_what_has_come(both: Both) -> None:
    leaves, comes, sent, got = both
    for channel in (MAIN, URGENT):
        ways = [
            [(m.kind, m.first, m.count, m.size) for m in record.messages if m.channel == channel]
            for record in (leaves, comes)
        ]
        assert ways[0] == ways[1]
        assert sum(leaves.moved[channel]) == sum(comes.moved[channel])
    # What the handshakes take is not in the record: a Hello and a Proof or none for each channel.
    for report, record in ((sent, leaves), (got, comes)):
        for n, channel in enumerate((MAIN, URGENT)):
            assert 0 < report["bytes"][n] - sum(record.moved[channel]) < 1000
    asked = [
        [(m.first, m.count) for m in record.messages if m.kind == "RequestPages"]
        for record in (leaves, comes)
    ]
    assert asked[0] == asked[1]
    assert sum(count for _, count in asked[0]) == got["destination"]["requests"] > 0
    content = [m for m in comes.messages if m.kind in ("Page", "Pages")]
    assert sum(m.count for m in content) == sent["source"]["normal"] + sent["source"]["zero"]
    assert sum(m.count for m in content if m.zero) == sent["source"]["zero"]


def test_each_side_knows_its_own_end_of_a_messages_way(both: Both) -> None:
    leaves, comes, _, _ = both
    for record, sends in ((leaves, (MAIN, URGENT)), (comes, (RETURN,))):
        for message in record.messages:
            known, unknown = message.sent, message.delivered
            if message.channel not in sends:
                known, unknown = unknown, known
            assert unknown is None
            assert known is not None
            assert record.start <= known <= record.end
    # One clock for both, for they are on one computer: nothing comes before it was sent.
    pairs = zip(
        [m for m in leaves.messages if m.channel == URGENT],
        [m for m in comes.messages if m.channel == URGENT],
        strict=True,
    )
    for one, other in pairs:
        assert one.sent is not None
        assert other.delivered is not None
        assert one.sent <= other.delivered


def test_every_page_is_sent_and_arrives(both: Both) -> None:
    for record in both[:2]:
        assert set(record.stages(record.start)) == {D}
        assert set(record.stages(record.end)) == {A, Z}
        assert F not in {change.stage for change in record.changes}
        assert R in {change.stage for change in record.changes}
        run = record.phases["run"]
        assert run is not None
        assert D not in record.stages(run + 1_000_000)
        last = max(change.time for change in record.changes)
        assert last <= (record.phases["end"] or 0)


def test_only_the_destination_sees_the_guest_wait(both: Both) -> None:
    leaves, comes, _, got = both
    assert leaves.stalls == leaves.moments == ()
    assert sum(stall.end - stall.begin for stall in comes.stalls) == pytest.approx(
        got["faults"]["vcpu_blocktime"][0], rel=0.05, abs=5_000_000
    )
    faults = [moment for moment in comes.moments if moment.kind == "fault"]
    placed = {moment.page for moment in comes.moments if moment.kind == "placed"}
    asked = {m.first for m in comes.messages if m.kind == "RequestPages"}
    assert len(faults) >= len(asked) > 0
    assert asked <= placed
    run = comes.phases["run"]
    assert run is not None
    assert all(moment.time >= run for moment in comes.moments)


def test_pages_written_in_precopy_are_to_be_sent_again() -> None:
    leaves, comes, _, _ = seen(passes=2, bandwidth=16 << 20)
    stop = leaves.phases["stop"]
    assert stop is not None
    again = [c for c in leaves.changes if c.stage == D and c.time <= stop]
    assert again
    assert all(c.time >= leaves.start for c in again)
    # The destination learns of it all at once, when the guest has stopped.
    (told,) = {c.time for c in comes.changes if c.stage == D}
    assert told >= stop


def test_with_notifications_and_a_recording() -> None:
    _, comes, _, got = seen("arm64-v4", passes=0, record=Recording)
    kinds = {moment.kind for moment in comes.moments}
    assert {"fault", "worker", "placed", "told"} <= kinds
    workers = sum(moment.kind == "worker" for moment in comes.moments)
    assert workers == got["faults"]["worker_latency"]["count"] > 0


# -- the views


def test_the_views_leave_out_what_was_not_seen(both: Both) -> None:
    leaves, comes, _, _ = both
    (source,), (destination,) = (vcpus.history(r).rows for r in (leaves, comes))
    # From the handover on the source sees nothing; before it the destination does not.
    assert [doing for doing, _, _ in source.spans][-1] is Doing.STOPPED
    assert source.spans[-1][2] == leaves.phases["run"]
    assert destination.spans[0][1] == comes.phases["stop"]
    assert destination.spans[-1][2] == comes.phases["end"]
    assert Doing.BLOCKED in {doing for doing, _, _ in destination.spans}
    frames = player.frames(leaves, 12), player.frames(comes, 12)
    assert frames[0][-1].doing == ("not seen",)
    assert frames[1][0].doing == ("not seen",)
    assert frames[0][-1].said.endswith(f"all is there: {PAGES:,} of {PAGES:,} pages sent")
    assert frames[1][-1].said.endswith(f"all is there: {PAGES:,} of {PAGES:,} pages arrived")
    rows = {row[0]: row[1:] for row in summary.rows([("a", leaves), ("b", comes)])}
    assert rows["clock"] == ("wall", "wall")
    assert rows["seen from"] == ("source", "destination")
    assert (
        rows["latency, mean"][0] == rows["pages asked for"][0] == rows["faults of vCPUs"][0] == "-"
    )
    assert rows["pages sent with content"][1] == rows["of them sent already"][1] == "-"
    assert "-" not in (rows["latency, mean"][1], rows["pages asked for"][1], rows["downtime"][0])
    assert "a source does not see faults" in latency.svg(("", leaves))


def test_the_map_of_a_source_speaks_of_sending(both: Both) -> None:
    leaves, comes, _, _ = both
    for text in (pages.svg(leaves), pages.text(leaves), moments.text(leaves, leaves.end)):
        assert "arrived" not in text
        assert "sent, all zeros" in text
    assert "arrived" in pages.svg(comes)
    assert "(wall time, seen from the source)" in pages.svg(leaves)
    assert "(wall time, seen from the destination)" in moments.svg(comes, comes.end)


def test_a_diagram_shows_the_half_that_was_seen(both: Both) -> None:
    for record, lane in zip(both, (wire.SOURCE, wire.DESTINATION), strict=False):
        assert isinstance(record, MigrationRecord)
        lines = wire.life(record)
        assert {line.start for line in lines} | {line.end for line in lines} <= {wire.WIRE, lane}
        assert len([line for line in lines if line.start != line.end]) >= 2
        assert not any("never came" in line.label for line in lines)
        assert "failed" not in {line.kind for line in lines}
    assert traffic.svg(("source", both[0]), ("destination", both[1])).count("wall time") >= 2


# -- a witness


def test_a_migration_that_fails_is_seen_as_far_as_it_went() -> None:
    here, there = kernel(WORK), kernel(WORK)
    here.vm.run(3_000_000)
    leaves, comes = Witness(), Witness()
    with served(there.vm, witness=comes) as serving:
        spoil: dict[tuple[int, int], Spoil] = {(0, FORWARD): Cut(40_000)}
        with Proxy(serving.address, spoil) as proxy, pytest.raises(MigrationError):
            move(here.vm, proxy.address, witness=leaves)
        serving.close()
    for record in (leaves.record(), comes.record()):
        assert record.phases["start"] is not None
        assert record.phases["end"] is None
        assert record.messages
        assert pages.text(record)


def test_a_witness_sees_one_migration() -> None:
    vm, witness = machine("registration"), Witness()
    with pytest.raises(Error, match="no migration has been seen"):
        witness.record()
    with served(machine("registration"), witness=witness):
        with pytest.raises(Error, match="make another for the next"):
            migrate(vm, ("127.0.0.1", 9), witness=witness)
        with pytest.raises(Error, match="no migration has been seen"):
            witness.record()
    with pytest.raises(Error, match="no migration has been seen"):
        witness.record()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_witness_without_a_memory_is_refused(limit: int) -> None:
    with pytest.raises(Error, match=f"a record of {limit} things"):
        Witness(limit)
