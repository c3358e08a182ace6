"""Rows: every one has what it depends on, and none is made twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sdeiviz.experiment import (
    ExperimentError,
    Job,
    Table,
    complete,
    jobs,
    load,
    load_postcopy,
    migrate,
    sweep_jobs,
)
from tests.experiment.bench import fake_run

OURS = load().set("window.short", 100_000_000).set("window.swap", 500_000_000)


class Counting:
    """Runs the fake, and counts."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, int]] = []

    def __call__(self, case, mode, parameters, seed):
        self.runs.append((case.name, mode, seed))
        return fake_run(case, mode, parameters, seed)


def test_jobs_of_a_case():
    ablation = jobs(OURS.case("ablation"), OURS)
    assert [job.mode for job in ablation] == ["sync", "halt", "x86-rules", "arm64-v4", "irq-only"]
    assert {job.seed for job in ablation} == {1}
    drawn = jobs(OURS.case("swap_rfcv2"), OURS)
    assert [(job.seed, job.mode) for job in drawn[:3]] == [
        (1, "sync"),
        (1, "arm64-v4"),
        (2, "sync"),
    ]
    assert len(drawn) == 6


def test_jobs_of_a_sweep():
    swept = sweep_jobs("notification", OURS)
    assert [job.parameters.costs.inject for job in swept[::2]] == [
        0,
        1500,
        5000,
        10000,
        20000,
        50000,
    ]
    assert {job.mode for job in swept} == {"sync", "arm64-v4"}
    assert [job.case.m for job in sweep_jobs("faulting", OURS)[::2]] == [1, 2, 4, 8]


def test_a_row_has_all_that_it_depends_on(tmp_path):
    job = jobs(OURS.case("ablation"), OURS)[0]
    row = next(complete([job], Table(tmp_path / "t.csv"), runner=fake_run))
    assert {name for name in row if name in OURS.values} == set(OURS.values)
    assert row["case.name"] == "ablation"
    assert (row["seed"], row["mode"]) == ("1", "sync")
    assert row["result.computed"] == "50000"
    assert row["result.waits"] == "mode:100"
    assert int(row["result.run"]) + int(row["result.blocked"]) == int(row["result.window"])


def test_a_table_goes_on_where_it_was_cut_off(tmp_path):
    path, work = tmp_path / "t.csv", jobs(OURS.case("ablation"), OURS)
    first = Counting()
    whole = list(complete(work, Table(path), runner=first))
    assert len(first.runs) == 5
    path.write_text(path.read_text()[:-40])
    again = Counting()
    rows = list(complete(work, Table(path), runner=again))
    assert again.runs == [("ablation", "irq-only", 1)]
    assert [r["mode"] for r in rows] == [r["mode"] for r in whole]
    assert len(Table(path).rows) == 5


def test_another_value_is_another_run(tmp_path):
    runs, table = Counting(), Table(tmp_path / "t.csv")
    case = OURS.case("swap_bound")
    for parameters in (OURS, OURS, OURS.set("costs.exit", 2000)):
        list(complete([Job(case, "sync", parameters)], table, runner=runs))
    assert len(runs.runs) == 2


def test_a_job_named_twice_is_made_once(tmp_path):
    runs = Counting()
    one, other = jobs(OURS.case("ablation"), OURS)[:2]
    rows = list(complete([one, one, other], Table(tmp_path / "t.csv"), runner=runs))
    assert [row["mode"] for row in rows] == ["sync", "sync", "halt"]
    assert [mode for _, mode, _ in runs.runs] == ["sync", "halt"]


def test_an_executor_makes_the_same_rows_in_the_same_order(tmp_path):
    work = sweep_jobs("latency", OURS)
    here = list(complete(work, Table(tmp_path / "a.csv"), runner=fake_run))
    with ThreadPoolExecutor(3) as pool:
        there = list(complete(work, Table(tmp_path / "b.csv"), pool, fake_run))
    for row in here + there:
        del row["result.host_seconds"]
    assert here == there


def test_a_file_that_is_something_else(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ExperimentError, match="no table of results"):
        Table(path)


def test_a_table_of_other_columns(tmp_path):
    path, job = tmp_path / "t.csv", jobs(OURS.case("ablation"), OURS)[0]
    list(complete([job], Table(path), runner=fake_run))
    path.write_text(path.read_text().replace("costs.exit", "costs.entry"))
    with pytest.raises(ExperimentError, match="other columns"):
        list(complete([job], Table(path), runner=fake_run))


def test_jobs_of_a_migration_and_of_a_sweep_of_one():
    postcopy = load_postcopy()
    found = jobs(postcopy.migration("vanilla"), postcopy)
    assert [(job.seed, job.mode) for job in found] == [
        (seed, mode) for seed in (1, 2, 3) for mode in ("sync", "arm64-v4")
    ]
    swept = sweep_jobs("order", postcopy)
    assert [job.case.order for job in swept[::2]] == ["sequential", "random"]
    assert swept[0].inputs()["varied"] == "order"
    assert swept[0].inputs()["case.order"] == "sequential"
    assert swept[0].inputs()["link.bandwidth"] == "1000000000.0"
    assert sweep_jobs("delay", postcopy)[0].parameters["link.delay"] == 5000


def test_progress_is_told_from_nothing_to_all(tmp_path):
    work, seen = jobs(OURS.case("ablation"), OURS), []
    rows = complete(
        work, Table(tmp_path / "t.csv"), runner=fake_run, progress=lambda *n: seen.append(n)
    )
    next(rows)
    assert seen == [(0, 5), (1, 5)]
    list(rows)
    assert seen == [(n, 5) for n in range(6)]


def test_migrations_go_on_where_they_were_cut_off(tmp_path):
    postcopy = load_postcopy().set("workload.pages", 64).set("workload.memory", 8)
    path, work = tmp_path / "t.csv", jobs(postcopy.migration("vanilla"), postcopy, [1, 2])
    whole = list(complete(work, Table(path), runner=migrate))
    assert [(row["mode"], row["seed"]) for row in whole] == [
        ("sync", "1"),
        ("arm64-v4", "1"),
        ("sync", "2"),
        ("arm64-v4", "2"),
    ]
    assert {row["result.errors"] for row in whole} == {"0"}
    path.write_text(path.read_text()[:-40])
    made = []

    def counting(*what):
        made.append(what[1:2] + what[3:])
        return migrate(*what)

    rows = list(complete(work, Table(path), runner=counting))
    assert made == [("arm64-v4", 2)]
    for row in rows + whole:
        del row["result.host_seconds"]
    assert rows == whole
