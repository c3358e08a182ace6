"""A migration's record in a file: what is written is read again, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdeiviz.migration.metrics import Faults, Timeline, report
from sdeiviz.migration.record import MigrationRecord
from sdeiviz.migration.recordfile import RecordError, load, save
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
from tests.migration.stories import story
from tests.views.test_migration_views import busy


def draw(record: MigrationRecord) -> None:
    """Let every view look at it."""
    pages.svg(record)
    moments.film(record)
    player.svg(record, player.frames(record, 4)[2])
    wire.text(wire.span(record, record.start, record.end))
    for view in (traffic, vcpus, latency):
        view.svg(("", record))
    summary.text(("", record))


def crowd() -> MigrationRecord:
    return replace(busy(300), report=report(0, Faults(2), Timeline(), {}, {}, [1, 2]))


@pytest.mark.parametrize("make", [story, lambda: story(limit=4), crowd])
def test_it_comes_back_as_it_was(tmp_path: Path, make: Callable[[], MigrationRecord]) -> None:
    for side in ("", "source", "destination"):
        record = replace(make(), side=side)
        save(record, tmp_path / "record.json")
        assert load(tmp_path / "record.json") == record


def test_a_reader_finds_each_thing_on_a_line_of_its_own(tmp_path: Path) -> None:
    save(story(), tmp_path / "record.json")
    lines = (tmp_path / "record.json").read_text().splitlines()
    assert lines[1:3] == ['"format": "sdeiviz-migration",', '"version": 1,']
    assert '"clock": "virtual",' in lines
    assert '"before": [[0, 8]],' in lines
    # Page 0, of 4,100 bytes, was sent at 1000 on the main channel, and had arrived at 1100.
    assert '[1000, 1100, 0, "Page", 0, 1, 4100, false],' in lines
    assert '[1600, "fault", 0, 3, "notified"],' in lines
    assert "[0, false, 2000, 2200]" in lines


Spoil = Callable[[dict[str, Any]], Any]


def put(*path: Any) -> Spoil:
    """Put a value, the last, where the others lead."""

    def spoil(whole: dict[str, Any]) -> None:
        at: Any = whole
        for part in path[:-2]:
            at = at[part]
        at[path[-2]] = path[-1]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (put("format", "other"), "format wants 'sdeiviz-migration'"),
        (put("version", 2), "version wants 1"),
        (put("more", 1), "missing or unknown: more"),
        (lambda whole: whole.pop("stalls"), "missing or unknown: stalls"),
        (put("clock", "mine"), "clock wants virtual or wall"),
        (put("side", "both"), "side wants source, destination or nothing"),
        (put("start", -1), "start and end want times in order"),
        (put("end", 999), "start and end want times in order"),
        (put("start", True), "start and end want times in order"),
        (put("pages", 0), "pages wants a number from 1 to"),
        (put("pages", 1 << 40), "pages wants a number from 1 to"),
        (put("vcpus", 0), "vcpus wants a number from 1 to 512"),
        (put("bandwidth", 0), "bandwidth wants bits a second"),
        (put("bin", 0), "bin wants nanoseconds"),
        (put("phases", {}), "phases wants start, stop, run, end"),
        (put("phases", "stop", 5), "phases wants times from the start on"),
        (put("phases", "stop", 2400), "phases wants times in order"),
        (put("before", [[0, 9]]), "before wants stages and how many pages"),
        (put("before", [[0, 7]]), "before wants 8 pages"),
        (put("before", [[0, 8], [0, 1]]), "before wants 8 pages"),
        (put("before", [[6, 8]]), "before wants stages and how many pages"),
        (put("changes", {}), "changes wants a list"),
        (put("changes", 0, [1, 2, 3]), r"changes, row 0: wants 4 fields, not \[1, 2, 3\]"),
        (put("changes", 0, 0, "x"), "changes, row 0: wants 4 fields"),
        (put("changes", 0, 0, 1e3), "changes, row 0: wants 4 fields"),
        (put("changes", 0, 0, 10**30), "changes, row 0: wants 4 fields"),
        (put("changes", 0, 0, 2500), "changes wants rows in order of time"),
        (put("changes", 0, 0, 999), "is of no page or stage, or before the start"),
        (put("changes", 0, 1, 8), "is of no page or stage"),
        (put("changes", 0, 2, 0), "is of no page or stage"),
        (put("changes", 0, 3, 6), "is of no page or stage"),
        (put("messages", 0, 2, 3), "messages: Page is of no channel, kind or page"),
        (put("messages", 0, 3, "Letter"), "messages: Letter is of no channel, kind or page"),
        (put("messages", 0, 4, 8), "messages: Page is of no channel, kind or page"),
        (put("messages", 0, 7, 0), "messages, row 0: wants 8 fields"),
        (put("moments", 0, 1, "party"), "moments: party is of no kind, vCPU or page"),
        (put("moments", 0, 2, 1), "moments: fault is of no kind, vCPU or page"),
        (put("moments", 0, 3, 8), "moments: fault is of no kind, vCPU or page"),
        (put("moments", 0, 4, "\ud800"), "moments: half a character"),
        (put("stalls", 0, 0, 1), "is of no vCPU, or not in order of time"),
        (put("stalls", 0, 3, 1999), "is of no vCPU, or not in order of time"),
        (put("moved", {}), "moved wants main, urgent, return path"),
        (put("moved", "main", [0] * 1025), "moved wants 1024 amounts at most"),
        (put("moved", "main", ["0"]), "moved wants 1024 amounts at most"),
        (put("left_out", {"changes": 0}), "left_out wants how many of each"),
        (put("report", []), "report wants an object"),
        (put("report", "faults", 1), "report, faults: wants an object"),
        (put("report", "faults", {}), "report, faults: blocktime is missing"),
        (put("report", "faults", "latency", "p50", "fast"), "p50: wants a number or null"),
        (put("report", "faults", "vcpu_latency", []), "vcpu_latency: wants 1 of them"),
        (put("report", "faults", "worker_latency", "histogram", [0]), "wants 24 of them"),
        (put("report", "source", {"normal": 1}), "report, source: wants what it has counted"),
        (put("report", "destination", "requests", None), "report, destination: wants what"),
        (put("report", "bytes", ["many"]), "report, bytes: wants numbers"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, spoil: Spoil, why: str) -> None:
    path = tmp_path / "record.json"
    save(story(), path)
    whole = json.loads(path.read_text())
    spoil(whole)
    path.write_text(json.dumps(whole))
    with pytest.raises(RecordError, match=f"not the record of a migration: .*{why}"):
        load(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"1" * 9999]
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RecordError, match="not the record of a migration"):
        load(tmp_path / "file")


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read it"):
        load(tmp_path / "none")
    with pytest.raises(RecordError, match="cannot read it"):
        load(tmp_path)
    with pytest.raises(RecordError, match="cannot write the record there"):
        save(story(), tmp_path / "none" / "record.json")


value = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3000) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_read_can_be_drawn(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "record.json"
    save(story(), path)
    whole = json.loads(path.read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        at: Any = whole
        while True:
            key = data.draw(st.sampled_from([*at] if isinstance(at, dict) else range(len(at))))
            if not (isinstance(at[key], (dict, list)) and at[key] and data.draw(st.booleans())):
                break
            at = at[key]
        at[key] = data.draw(value)
    path.write_text(json.dumps(whole))
    try:
        record = load(path)
    except RecordError:
        return
    draw(record)
