"""Beside what others measured: each rate over its own window, and no row of another case."""

import dataclasses

import pytest

from sdeiviz.experiment import (
    ExperimentError,
    Table,
    claim,
    compare,
    complete,
    jobs,
    load,
    load_postcopy,
    report,
    sweep_jobs,
    swept,
)
from sdeiviz.experiment.table import Row
from tests.experiment.bench import fake_run

OURS = load().set("window.short", 100_000_000).set("window.swap", 500_000_000)
CASE = OURS.case("swap_bound")


@pytest.fixture
def rows(tmp_path):
    return list(complete(jobs(CASE, OURS), Table(tmp_path / "t.csv"), runner=fake_run))


def test_gain_over_the_first_mode(rows):
    (line,) = compare(CASE, rows)
    assert (line.case, line.mode) == ("swap_bound", "arm64-v4")
    assert line.gain == line.lowest == line.highest == pytest.approx(0.5)
    assert line.time == 0
    assert line.told == 1


def test_each_rate_is_over_its_own_window(rows):
    for row in rows:
        if row["mode"] == "arm64-v4":
            row["result.window"] = str(2 * int(row["result.window"]))
    (line,) = compare(CASE, rows)
    assert line.gain == pytest.approx(-0.25)
    assert line.time == pytest.approx(1.0)


def test_seeds_have_a_spread(rows):
    new = next(row for row in rows if (row["mode"], row["seed"]) == ("arm64-v4", "2"))
    new["result.computed"] = "100000"
    (line,) = compare(CASE, rows)
    assert (line.lowest, line.highest) == (pytest.approx(0.5), pytest.approx(1.0))
    assert line.gain == pytest.approx(2 / 3)


def test_rows_of_sweeps_and_other_cases_are_left_out(rows):
    others = [row | {"varied": "m", "result.computed": "1"} for row in rows]
    others += [row | {"case.name": "x", "result.computed": "1"} for row in rows]
    assert compare(CASE, rows + others) == compare(CASE, rows)


def test_nothing_to_compare(rows):
    with pytest.raises(ExperimentError, match="no rows"):
        compare(CASE, [])
    with pytest.raises(ExperimentError, match="no row of arm64-v4 with seed 3"):
        compare(CASE, rows[:-1])
    for row in rows:
        row["result.computed"] = row["result.touched"] = "0"
    (line,) = compare(CASE, rows)
    assert line.gain is line.lowest is line.time is None


def test_report(rows):
    head, line, *published = report(OURS, rows).splitlines()
    assert "C gains" in head
    assert line.split()[:3] == ["swap_bound", "arm64-v4", "+50.0%"]
    assert line.endswith("+90.0% .. +100.0%")
    assert [text.split()[1] for text in published] == ["+27.7%", "+39.4%"]


def migrated(case: str, mode: str, seed: int, computed: int, touched: int) -> Row:
    """Return a row of a migration: a window of 1 ms, of which half was blocked without telling."""
    told = mode != "sync"
    numbers = {
        "window": 1_000_000,
        "computed": computed,
        "touched": touched,
        "served": 0,
        "faults": 10,
        "notified": 8 * told,
        "retry": 0,
        "latency_mean": 250_000 if told else 150_000,
        "blocktime": 10_000 if told else 500_000,
    }
    row = {"case.name": case, "mode": mode, "seed": str(seed), "varied": ""}
    return row | {f"result.{name}": str(value) for name, value in numbers.items()}


def test_the_claim():
    ours = load_postcopy()
    rows = [
        migrated("v3", "sync", 1, 100, 50),
        migrated("v3", "arm64-v4", 1, 150, 100),
        migrated("v3", "sync", 2, 100, 50),
        migrated("v3", "arm64-v4", 2, 170, 100),
        migrated("m_alone", "sync", 1, 0, 50),
        migrated("m_alone", "arm64-v4", 1, 0, 49),
    ]
    head, alone, within, of_v3, claimed = claim(ours, rows).splitlines()
    assert "M pages" in head
    assert within.split() == (
        "v3 arm64-v4 +60.0% +50.0% .. +70.0% +100.0% 80% 150 250 50% 1.0% within"
        " +85.0% .. +100.0%".split()
    )
    assert "+67.5% .. +68.6%" in of_v3
    assert claimed.startswith("claim: published +41.0% .. +68.0%")
    assert alone.split()[:3] == ["m_alone", "arm64-v4", "-2.0%"]


@pytest.mark.parametrize(
    ("computed", "word"), [(140, "below"), (141, "within"), (168, "within"), (169, "above")]
)
def test_where_a_gain_falls(computed, word):
    ours = load_postcopy()
    case = dataclasses.replace(ours.migration("v3"), outside="For a reason.")
    ours = dataclasses.replace(ours, migrations={"v3": case})
    rows = [migrated("v3", mode, 1, c, 1) for mode, c in (("sync", 100), ("arm64-v4", computed))]
    text = claim(ours, rows)
    assert f" {word} " in text
    assert ("For a reason." in text) is (word != "within")


def swept_rows() -> list[Row]:
    """Rows of the sweep of Ms: with m of them C computes m times 100 where the guest is told."""
    ours = load_postcopy()
    rows = []
    for job in sweep_jobs("faulting", ours):
        computed = 100 * (job.case.m if job.mode == "arm64-v4" else 1)
        made = migrated("preempt", job.mode, 1, computed, 50)
        rows.append(job.inputs() | {k: v for k, v in made.items() if k.startswith("result.")})
    return rows


def test_a_sweep_is_compared_value_by_value():
    found = swept("faulting", load_postcopy(), swept_rows())
    assert [(value, line.mode, line.gain) for value, line in found] == [
        (1, "arm64-v4", 0),
        (2, "arm64-v4", 1),
        (4, "arm64-v4", 3),
        (8, "arm64-v4", 7),
    ]


def test_a_sweep_that_lacks_a_run():
    rows = swept_rows()
    with pytest.raises(ExperimentError, match="sweep faulting: no row of sync at 4"):
        swept("faulting", load_postcopy(), rows[:4] + rows[5:])
    changed = load_postcopy().set("costs.exit", 1300)
    with pytest.raises(ExperimentError, match="no row of sync at 1"):
        swept("faulting", changed, rows)
