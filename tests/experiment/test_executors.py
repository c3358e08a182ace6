"""The same rows from another process, another core, another computer: a real scheduler of dask."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from sdeiviz.experiment import Job, Table, complete, load_postcopy, migrate

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
"""After which something is wrong."""
OURS = load_postcopy().set("workload.pages", 64).set("workload.memory", 8)
CASE = OURS.migration("preempt")
WORK = [Job(CASE, mode, OURS, seed) for seed in (1, 2) for mode in ("sync", "halt")]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"no {what} after {SECONDS} s"
        time.sleep(0.05)


@pytest.fixture
def scheduler(tmp_path) -> Iterator[str]:
    """Address of a scheduler with two workers, each a process of its own."""
    found = tmp_path / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(found)]
    programs = [["dask_scheduler", "--port", "0", *local]]
    programs += [["dask_worker", "--nthreads", "1", "--no-nanny", *local]] * 2
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}
    started = []
    try:
        for program, *arguments in programs:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
            with (tmp_path / f"{len(started)}.log").open("w") as log:
                started.append(
                    subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=tmp_path)
                )
            wait_for(lambda: found.exists() and found.read_text().endswith("}"), "scheduler")
        yield json.loads(found.read_text())["address"]
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def same(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "result.host_seconds"} for row in rows]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> list[dict[str, str]]:
    table = Table(tmp_path_factory.mktemp("here") / "t.csv")
    return same(list(complete(WORK, table, runner=migrate)))


def test_a_scheduler_of_dask_with_two_workers(tmp_path, scheduler, here):
    seen = []
    with Client(scheduler, timeout=SECONDS) as client:
        client.wait_for_workers(2, timeout=SECONDS)
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        assert {worker["host"] for worker in workers} == {"127.0.0.1"}
        rows = complete(
            WORK,
            Table(tmp_path / "t.csv"),
            client.get_executor(),
            migrate,
            progress=lambda *numbers: seen.append(numbers),
        )
        assert same(list(rows)) == here
    assert seen == [(done, 4) for done in range(5)]
    assert same(Table(tmp_path / "t.csv").rows) == here


def test_every_core_of_this_computer(tmp_path, here):
    assert same(list(complete(WORK, Table(tmp_path / "t.csv"), runner=migrate, cores=True))) == here
