"""Two processes, by the command line: a guest moves, and either of them is killed."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdeiviz.migration.record import Stage
from sdeiviz.migration.recordfile import load
from sdeiviz.views.migration import pages

RUN = [sys.executable, "-m", "sdeiviz", "migrate"]
WORK = "pages=400 passes=30 work=200 m=1 c=1"
GUEST = ["kernel", "--memory", "16M", "--append", WORK]
DONE = 400 * 30


class Process:
    """One side."""

    def __init__(self, *arguments: str, **options: object) -> None:
        self.popen = subprocess.Popen(
            [*RUN, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **options.pop("env", {})},  # type: ignore[dict-item]
            **options,  # type: ignore[call-overload]
        )

    def port(self) -> str:
        assert self.popen.stderr
        line = self.popen.stderr.readline()
        found = re.fullmatch(r"sdeiviz: listening on (127\.0\.0\.1:\d+)\n", line)
        assert found, line + self.popen.stderr.read()
        return found[1]

    def end(self) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        out, err = self.popen.communicate(timeout=60)
        assert "Traceback" not in err
        return self.popen.returncode, out, err


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


def start(processes: list[Process], *arguments: str, **options: object) -> Process:
    processes.append(Process(*arguments, **options))
    return processes[-1]


@pytest.mark.parametrize("machine", [[], ["--vcpus", "2", "--gic", "3", "--apf", "arm64-v4"]])
def test_a_guest_computes_on_in_another_process(
    processes: list[Process], machine: list[str], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("between us\n")
    both = [*GUEST, *machine, "--json", "--secret-file", str(secret)]
    there = start(processes, "serve", *both)
    here = start(processes, "to", there.port(), *both, "--after", "5ms", "--bandwidth", "40M")
    code, out, err = here.end()
    assert code == 0, err
    sent = json.loads(err)
    code, rest, err = there.end()
    assert code == 0, err
    got = json.loads(err)
    cpus = 2 if machine else 1
    console = out + rest
    assert console.startswith(f"kernel: {cpus} CPUs")
    # M finds on each page what it wrote there before, wherever that was.
    done = [int(n) for n in re.findall(r"^M\d+: cpu \d+, done (\d+),.* errors 0$", console, re.M)]
    assert sum(done) == DONE
    assert console.endswith("errors 0\n")
    assert (sent["side"], got["side"]) == ("source", "destination")
    assert sent["source"]["passes"] >= 1
    placed = sent["source"]["normal"] + sent["source"]["zero"]
    assert got["destination"]["placed"] == placed >= 4096
    assert got["losses"] == sent["losses"] == 0


def test_both_sides_write_what_they_saw(processes: list[Process], tmp_path: Path) -> None:
    files = [tmp_path / "there.json", tmp_path / "here.json"]
    there = start(processes, "serve", *GUEST, "--record", str(files[0]))
    to = ("to", there.port(), *GUEST, "--record", str(files[1]))
    here = start(processes, *to, "--after", "5ms", "--bandwidth", "40M", "--passes", "0")
    for process in (here, there):
        code, _, err = process.end()
        assert code == 0, err
    comes, leaves = map(load, files)
    assert (comes.side, leaves.side) == ("destination", "source")
    assert comes.clock == leaves.clock == "wall"
    assert comes.report["session"] == leaves.report["session"]
    for record in (comes, leaves):
        assert set(record.stages(record.end)) == {Stage.ARRIVED, Stage.ZERO}
        assert pages.svg(record)
    sizes = [[m.size for m in r.messages if m.kind == "Pages"] for r in (comes, leaves)]
    assert sizes[0] == sizes[1] != []


def test_a_record_that_cannot_be_written_is_refused_before_anything_moves(
    processes: list[Process], tmp_path: Path
) -> None:
    for side in (["serve"], ["to", "127.0.0.1:9"]):
        one = start(processes, *side, *GUEST, "--record", str(tmp_path / "none" / "file"))
        code, _, err = one.end()
        assert code == 2
        assert "cannot write the record there" in err
        assert "listening" not in err


def test_the_report_as_text(processes: list[Process]) -> None:
    there = start(processes, "serve", "hello", "--memory", "4M")
    here = start(processes, "to", there.port(), "hello", "--memory", "4M", "--one-channel")
    code, out, err = here.end()
    assert code == 0
    assert err.startswith("sdeiviz: migrated, as seen from the source (wall time)\n  total ")
    assert re.search(r"downtime +[\d.]+ ms\n", err)
    code, rest, err = there.end()
    assert code == 0
    assert out + rest == "hello from EL1\n"
    assert re.search(r"placed +\d+\n", err)
    assert "blocked" in err


def test_a_destination_that_is_killed_before_the_switch_leaves_the_guest_here(
    processes: list[Process],
) -> None:
    there = start(processes, "serve", *GUEST)
    # At this rate a pass takes longer than we wait.
    here = start(processes, "to", there.port(), *GUEST, "--bandwidth", "100K", "--timeout", "2s")
    assert here.popen.stdout
    line = here.popen.stdout.readline()
    there.popen.kill()
    code, out, err = here.end()
    assert code == 0
    assert "the guest runs on here" in err
    assert f"done {DONE}" in line + out


def in_postcopy(processes: list[Process]) -> tuple[Process, Process]:
    """Return both sides, of which the destination has the guest, and few of its pages."""
    there = start(processes, "serve", *GUEST, "--patience", "1s")
    slow = ("--passes", "0", "--bandwidth", "64K", "--timeout", "1s", "--tries", "3")
    here = start(processes, "to", there.port(), *GUEST, *slow)
    assert there.popen.stdout
    assert there.popen.stdout.readline().startswith("kernel: 1 CPUs")
    return here, there


def test_the_source_is_killed_after_the_switch(processes: list[Process]) -> None:
    here, there = in_postcopy(processes)
    here.popen.kill()
    code, _, err = there.end()
    assert code == 2
    assert re.search(r"the source was lost .* pages are missing for good", err)


def test_the_destination_is_killed_after_the_switch(processes: list[Process]) -> None:
    here, there = in_postcopy(processes)
    there.popen.kill()
    code, _, err = here.end()
    assert code == 2
    assert "the guest was handed over and the destination is lost" in err
    assert "pages were still to be sent" in err


def test_a_destination_that_stands_still_counts_as_lost(processes: list[Process]) -> None:
    here, there = in_postcopy(processes)
    there.popen.send_signal(signal.SIGSTOP)
    try:
        code, _, err = here.end()
    finally:
        there.popen.send_signal(signal.SIGCONT)
    assert code == 2
    assert "the destination is lost" in err


def test_ctrl_c_ends_a_serving(processes: list[Process]) -> None:
    there = start(processes, "serve", "hello")
    there.port()
    time.sleep(0.1)
    there.popen.send_signal(signal.SIGINT)
    assert there.end()[0] == 130


def test_a_destination_without_memory(processes: list[Process]) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))

    there = start(
        processes,
        "serve",
        "hello",
        "--memory",
        "4G",
        preexec_fn=limit,
        env={"PYTHONMALLOC": "malloc"},
    )
    code, _, err = there.end()
    assert code == 2
    assert re.fullmatch(r"sdeiviz: not enough memory.*\n", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "hello", "--listen", "0.0.0.0:0"], "give a secret"),
        (["serve", "hello", "--listen", "here"], "'here' is no address"),
        (["serve", "hello", "--secret-file", "/no/such/file"], "cannot read the secret"),
        (["serve", "no-such-guest"], "no such file or bundled guest"),
        (["to", "127.0.0.1:1", "hello", "--bandwidth", "1K"], "want 65536 or more"),
        (["to", "127.0.0.1:1", "hello", "--after", "9s"], "stopped before it was to be moved"),
        (["to", "nowhere", "hello"], "'nowhere' is no address"),
        (["to"], "HOST:PORT"),
        ([], "SIDE"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    from sdeiviz.cli import main

    assert main(["migrate", *arguments]) == 2
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err
