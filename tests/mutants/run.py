"""Do the tests notice small mistakes? `make mutants` makes each on a copy and runs the tests.

    python tests/mutants/run.py [WORD]    only mutations whose file or reason contains WORD

A mutation is killed when a test fails, when the package no longer loads, or when the tests do
not end in time. The exit status is 1 where one survives without a stated reason, and 2 where the
text of one is not found exactly once.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.mutants import (  # noqa: E402
    of_apf,
    of_cpu,
    of_debugger,
    of_devices,
    of_machine,
    of_migration,
    of_paging,
    of_sdei,
    of_trace,
    of_views,
)
from tests.mutants.mutation import Mutation  # noqa: E402

MUTATIONS: list[Mutation] = [
    *of_sdei.MUTATIONS,
    *of_trace.MUTATIONS,
    *of_cpu.MUTATIONS,
    *of_machine.MUTATIONS,
    *of_devices.MUTATIONS,
    *of_apf.MUTATIONS,
    *of_paging.MUTATIONS,
    *of_debugger.MUTATIONS,
    *of_migration.MUTATIONS,
    *of_views.MUTATIONS,
]

# The tests of a room are those of the same name, and for some rooms others too.
MORE_TESTS = {
    "abi": ["sdei"],
    "apf": ["machine/test_apf.py"],
    "cpu": [
        f"machine/test_{name}.py" for name in ("interrupts", "vcpus", "probes", "clocks", "uart")
    ],
    "machine": ["guests/test_kernel.py"],
}
# Which of them come first: those with the file's name in theirs, or with one of these words.
KNOWN_BY = {
    "accounts": ("paging", "apf"),
    "bus": ("uart", "gic", "oneshot", "bad_input"),
    "clock": ("interrupts", "index"),
    "dispatcher": ("calls", "spec_knobs", "routing", "interrupts"),
    "engine": ("protocol",),
    "faults": ("protocol",),
    "gic": ("gicv2", "gicv3", "interrupts"),
    "hooks": ("interrupts", "index", "timer", "uart"),
    "latency": ("paging",),
    "memory": ("paging", "bad_input"),
    "paging": ("paging", "apf"),
    "psci": ("vcpus", "smccc"),
    "pstate": ("abi", "entry"),
    "scheduler": ("vcpus", "interrupts", "apf"),
    "slots": ("routing", "interrupts", "priority"),
    "stage2": ("stage2", "paging"),
    "state": ("state", "paging"),
    "store": ("paging",),
    "table": ("states", "matrix"),
    "vcpu": ("vcpus", "interrupts", "delivery", "stops", "paging", "apf"),
    "vm": ("interrupts", "vcpus", "devicetree", "stops", "paging", "apf"),
}
# Long runs with random input: what only they notice deserves a test that says it. And one that
# measures the host's time, which says little while other tests run.
LEFT_OUT = [
    "test_state_machine.py",
    "test_fuzz.py",
    "test_fuzz_all.py",
    "test_interleavings.py",
    "test_mutants.py",
    "test_interrupt.py",
]
# After the others of their room.
SLOW = [
    "test_apf_interleavings.py",
    "test_clocks.py",
    "test_bad_input.py",
    "test_board_machine.py",
    "test_index.py",
]
JOBS = 2


class Verdict(NamedTuple):
    """What the tests said of a mutation."""

    killed: bool
    by: str
    seconds: float


class NotThere(Exception):
    """The text of a mutation is not found, or more than once."""


def mutate(root: Path, mutation: Mutation) -> tuple[str, int]:
    """Return the file's text with the mutation made, and the number of the line it starts on."""
    text = (root / mutation.file).read_text(encoding="utf-8")
    found = text.count(mutation.old)
    if found != 1:
        raise NotThere(f"{mutation.file}: found {found} times: {mutation.old!r}")
    before, after = text.split(mutation.old)
    return before + mutation.new + after, before.count("\n") + 1


def suites_for(file: str) -> list[str]:
    """Return the test directories, or single files, that look at a file of the package."""
    room = file.split("/")[1]
    return [f"tests/{name}" for name in (room, *MORE_TESTS.get(room, []))]


def files_of(root: Path, tests: Iterable[str], mutated: str = "") -> list[Path]:
    """Return the files of tests: first those that know the mutated one best, last the slow ones."""
    stem = Path(mutated).stem
    words = KNOWN_BY.get(stem, (stem,)) if stem else ()
    found = [
        path
        for test in tests
        for path in (sorted((root / test).rglob("test_*.py")) or [root / test])
        if path.name not in LEFT_OUT
    ]
    return sorted(found, key=lambda p: (not any(word in p.stem for word in words), p.name in SLOW))


def run_tests(root: Path, tests: Iterable[str], limit: float, mutated: str = "") -> Verdict:
    """Run tests against the package in a directory; "killed" means that they did not pass."""
    options = ["-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    files = files_of(root, tests, mutated)
    environment = os.environ | {
        "PYTHONPATH": str(root),
        # A mutation may keep size and second of the file: compiled code would be taken for current.
        "PYTHONDONTWRITEBYTECODE": "1",
        # Notebook plugins take longer to load than these tests to run.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Verdict(True, "the time limit", time.monotonic() - began)
    seconds = time.monotonic() - began
    if process.returncode == 0:
        return Verdict(False, "", seconds)
    failed = re.search(r"^(?:FAILED|ERROR) (?:\S*/)?(\S+)", output, re.MULTILINE)
    if not failed:
        raise RuntimeError(f"pytest ended with {process.returncode}:\n{output[-2000:]}")
    return Verdict(True, failed[1], seconds)


def copy_to(target: Path, root: Path) -> Path:
    """Copy what the tests need; the guests and notebooks, which no mutation touches, are linked."""
    for name in ("sdeiviz", "tests"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(root / name, target / name, ignore=ignore)
    (target / "tests/conftest.py").unlink(missing_ok=True)  # loads a browser's driver
    for name in ("pyproject.toml", "assets", "notebooks"):
        if (root / name).exists():
            (target / name).symlink_to(root / name)
    return target


@contextlib.contextmanager
def copies(count: int, root: Path) -> Iterator[SimpleQueue[Path]]:
    """Give a queue of directories to mutate in, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="sdeiviz-mutants-") as name:
        queue: SimpleQueue[Path] = SimpleQueue()
        for n in range(count):
            queue.put(copy_to(Path(name, str(n)), root))
        yield queue


def judge(queue: "SimpleQueue[Path]", mutation: Mutation, limit: float) -> Verdict:
    """Make a mutation in a free copy, run its tests, and put the copy back as it was."""
    root = queue.get()
    path = root / mutation.file
    original = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutate(root, mutation)[0], encoding="utf-8")
        return run_tests(root, suites_for(mutation.file), limit, mutation.file)
    finally:
        path.write_text(original, encoding="utf-8")
        queue.put(root)


def main(word: str = "") -> int:
    chosen = [m for m in MUTATIONS if word in m.file or word in m.why]
    try:
        lines = [mutate(ROOT, mutation)[1] for mutation in chosen]
    except NotThere as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    with copies(JOBS, ROOT) as queue, ThreadPoolExecutor(JOBS) as pool:
        # The tests must pass before it means anything that they fail.
        limits = {}
        root = queue.get()
        for tests in sorted({tuple(suites_for(mutation.file)) for mutation in chosen}):
            sound = run_tests(root, tests, 600)
            if sound.killed:
                print(f"error: unchanged, {' '.join(tests)} fail: {sound.by}", file=sys.stderr)
                return 2
            limits[tests] = 10 + 3 * sound.seconds
        queue.put(root)

        verdicts = pool.map(
            lambda m: judge(queue, m, limits[tuple(suites_for(m.file))]),
            chosen,
        )
        status, killed = 0, 0
        for mutation, line, verdict in zip(chosen, lines, verdicts, strict=True):
            word, note = "killed", f"by {verdict.by}"
            if not verdict.killed:
                word, note = "SURVIVED", mutation.survives or "no test notices"
            elif mutation.survives:
                word, note = "KILLED", f"by {verdict.by}, though said to survive"
            killed += verdict.killed
            status |= verdict.killed is bool(mutation.survives)
            print(f"{word:8} {mutation.file}:{line}  {mutation.why}  ({note})", flush=True)
    print(f"{killed} of {len(chosen)} killed")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
