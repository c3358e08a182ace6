"""Runs to rows: cases, ablations and sweeps, each row with everything that it depends on.

A table is a CSV file that grows as runs end. Started again, only what is missing runs.
"""

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from sdeiviz.experiment.parameters import Case, Migration, Parameters, varied
from sdeiviz.experiment.runs import ExperimentError, Result, run
from sdeiviz.machine.accounts import Activity
from sdeiviz.resources import resource

Row = dict[str, str]
"""A line of a table, by column."""
Runner = Callable[[Any, str, Parameters, int], Result]
"""Makes a run of a case in a mode with a seed."""

_NOTES: Final = ("what", "why", "expect", "compare", "modes", "outside", "model")
"""Fields of a case on which no result depends."""


@dataclass(frozen=True)
class Job:
    """A run that is to be made."""

    case: Case | Migration
    mode: str
    parameters: Parameters
    seed: int = 1
    varied: str = ""
    """What a sweep varies, if this is of one."""

    def inputs(self) -> Row:
        """Return all that the result depends on, as text."""
        case = {
            f.name: str(getattr(self.case, f.name))
            for f in dataclasses.fields(self.case)
            if f.name not in _NOTES
        }
        values = {name: str(p.value) for name, p in self.parameters.values.items()}
        return {
            "mode": self.mode,
            "seed": str(self.seed),
            "varied": self.varied,
            **{f"case.{name}": value for name, value in case.items()},
            **values,
        }


def outputs(result: Result) -> Row:
    """Return what came of a run, as text; accounts are sums over all vCPUs."""
    mean, median, worst = result.latencies
    waits = {why: n for (what, why), n in sorted(result.faults.items()) if what == "wait"}
    values: dict[str, object] = {
        "window": result.window,
        "computed": result.computed,
        "rate": f"{result.rate:.6g}",
        "touched": result.touched,
        "served": result.served,
        "errors": result.errors,
        **{activity.value: result.spent(activity) for activity in Activity},
        "faults": result.faults.total(),
        **{
            what: sum(n for (kind, _), n in result.faults.items() if kind == what)
            for what in ("notified", "halt", "retry", "wait")
        },
        "waits": " ".join(f"{why}:{n}" for why, n in waits.items() if n),
        "latency_mean": mean,
        "latency_p50": median,
        "latency_p99": worst,
        "instructions": result.instructions,
        **result.more(),
        "host_seconds": f"{result.host_seconds:.3f}",
    }
    return {f"result.{name}": str(value) for name, value in values.items()}


def jobs(
    case: Case | Migration, parameters: Parameters, seeds: Iterable[int] | None = None
) -> list[Job]:
    """Return the runs of a case: every mode, with every seed where it makes a difference."""
    if seeds is None:
        first = parameters.whole("seeds.first")
        constant = isinstance(case, Case) and case.distribution == "constant"
        seeds = range(first, first + (1 if constant else parameters.whole("seeds.count")))
    return [Job(case, mode, parameters, seed) for seed in seeds for mode in case.modes]


def sweep_jobs(name: str, parameters: Parameters) -> list[Job]:
    """Return the runs of a sweep: every value in every mode, with one seed."""
    sweep = parameters.sweep(name)
    seed = parameters.whole("seeds.first")
    of = parameters.migrations.get(sweep.case) or parameters.case(sweep.case)
    found: list[Job] = []
    for value in sweep.values:
        changed, case = varied(parameters, of, sweep.parameter, value)
        found += (Job(case, mode, changed, seed, sweep.parameter) for mode in sweep.modes)
    return found


def find(rows: Iterable[Row], job: Job) -> Row | None:
    """Return the row of a run, None if it was not made yet."""
    inputs = job.inputs()
    return next((row for row in rows if inputs.items() <= row.items()), None)


class Table:
    """A CSV file of results.

    Parameters
    ----------
    path
        The file; made with the first row. A last line that was cut off is dropped.

    Raises
    ------
    ExperimentError
        It is there and is not such a table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        """What is there, in order."""
        if not path.exists():
            return
        text = path.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1]
        reader = csv.DictReader(io.StringIO(whole), strict=True)
        if "result.computed" not in (reader.fieldnames or ()):
            raise ExperimentError(f"{path} is no table of results: choose another file")
        self.rows = list(reader)
        if whole != text:
            path.write_text(whole, "utf-8")

    def find(self, job: Job) -> Row | None:
        """Return the row of a run, None if it was not made yet."""
        return find(self.rows, job)

    def add(self, job: Job, result: Result) -> Row:
        """Append a row; returns it."""
        row = job.inputs() | outputs(result)
        if self.rows and list(self.rows[0]) != list(row):
            raise ExperimentError(f"{self.path} has other columns: choose another file")
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if not self.rows:
            writer.writeheader()
        writer.writerow(row)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        self.rows.append(row)
        return row


def measured() -> list[Row]:
    """Return the rows of ``assets/results/postcopy.csv``: `load_postcopy`'s cases, then its sweeps.

    Examples
    --------
    >>> measured()[0]["case.name"]
    'empty_buffer'
    """
    return Table(resource("assets", "results", "postcopy.csv")).rows


def complete(
    work: Iterable[Job],
    table: Table,
    executor: Executor | None = None,
    runner: Runner = run,
    *,
    cores: bool = False,
    progress: Callable[[int, int], None] = lambda done, wanted: None,
) -> Iterator[Row]:
    """Make the runs that a table does not have yet; yields a row for each job, in order.

    Parameters
    ----------
    work
        What is wanted.
    table
        What is there, and where new rows go.
    executor
        Makes runs elsewhere, such as ``Client(address).get_executor()`` of dask.distributed. None:
        here, one after the other.
    runner
        Makes a run: `run`, or `migrate` for migrations.
    cores
        Without an executor: let every core of this computer make runs.
    progress
        Called with how many rows there are and how many are wanted, at the beginning and with each.
    """
    wanted = list(work)
    missing: list[Job] = []
    for job in wanted:
        if job not in missing and table.find(job) is None:
            missing.append(job)
    with ExitStack() as stack:
        if missing and cores and executor is None:
            # Forking a process that has threads is unsafe, and other systems do not fork.
            pool = ProcessPoolExecutor(mp_context=get_context("spawn"))
            executor = stack.enter_context(pool)
        results = iter(
            (executor.map if executor else map)(
                runner,
                [job.case for job in missing],
                [job.mode for job in missing],
                [job.parameters for job in missing],
                [job.seed for job in missing],
            )
        )
        progress(0, len(wanted))
        for done, job in enumerate(wanted, 1):
            row = table.find(job) or table.add(job, next(results))
            progress(done, len(wanted))
            yield row
