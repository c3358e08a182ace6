"""Beside what others measured: each rate over its own window, and no row of another case."""

import pytest

from sdeiviz.experiment import ExperimentError, Table, compare, complete, jobs, load, report
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
