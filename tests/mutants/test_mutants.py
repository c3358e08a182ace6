"""The mutations still fit the code, and the runner tells killed from survived."""

import ast
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.mutants import run
from tests.mutants.mutation import Mutation
from tests.mutants.run import (
    MUTATIONS,
    ROOT,
    NotThere,
    Verdict,
    copy_to,
    files_of,
    judge,
    main,
    mutate,
    suites_for,
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.file}: {m.why}")
def test_it_fits_the_code(mutation: Mutation) -> None:
    text, line = mutate(ROOT, mutation)
    original = (ROOT / mutation.file).read_text(encoding="utf-8")
    if mutation.file.endswith(".py"):
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(original))
    else:
        assert text != original
    assert mutation.old.lstrip("\n").split("\n")[0] in original.split("\n")[line - 1]
    assert mutation.why
    assert all((ROOT / test).exists() for test in suites_for(mutation.file))


def test_there_are_enough_and_none_twice() -> None:
    assert len(MUTATIONS) >= 40
    assert len({(m.file, m.old, m.new) for m in MUTATIONS}) == len(MUTATIONS)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package of two functions, one of them tested."""
    files = {
        "sdeiviz/__init__.py": "",
        "sdeiviz/sdei/__init__.py": "",
        "sdeiviz/sdei/sums.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n"
        "    while False:\n        pass\n    return a - b\n",
        "tests/conftest.py": "raise RuntimeError\n",
        "tests/sdei/test_sums.py": "from sdeiviz.sdei.sums import add, sub\n\n\n"
        "def test_add():\n    sub(1, 1)\n    assert add(1, 2) == 3\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n",
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return copy_to(tmp_path / "copy", tmp_path / "project")


def ask(project: Path, old: str, new: str, limit: float = 60) -> Verdict:
    queue: SimpleQueue[Path] = SimpleQueue()
    queue.put(project)
    before = (project / "sdeiviz/sdei/sums.py").read_text()
    verdict = judge(queue, Mutation("sdeiviz/sdei/sums.py", old, new, "a sum"), limit)
    assert (project / "sdeiviz/sdei/sums.py").read_text() == before
    assert queue.get() is project
    return verdict


def test_killed_by_a_test(project: Path) -> None:
    verdict = ask(project, "a + b", "a * b")
    assert (verdict.killed, verdict.by) == (True, "test_sums.py::test_add")


def test_killed_because_it_does_not_load(project: Path) -> None:
    verdict = ask(project, "def add(", "def plus(")
    assert (verdict.killed, verdict.by) == (True, "test_sums.py")


def test_killed_because_it_does_not_end(project: Path) -> None:
    verdict = ask(project, "while False", "while True", limit=3)
    assert (verdict.killed, verdict.by) == (True, "the time limit")
    assert verdict.seconds < 30


def test_survived(project: Path) -> None:
    assert not ask(project, "a - b", "a - b - 1").killed


@pytest.mark.parametrize("old", ["a / b", "(a, b)"])
def test_not_found_exactly_once(project: Path, old: str) -> None:
    with pytest.raises(NotThere, match=r"sums\.py: found [02] times"):
        ask(project, old, "")


def test_the_tests_that_know_a_file_best_come_first(tmp_path: Path) -> None:
    for name in ("a", "clocks", "fuzz", "gicv2", "vcpus", "z"):
        (tmp_path / f"test_{name}.py").write_text("")
    names = {
        file: [path.stem for path in files_of(tmp_path.parent, [tmp_path.name], file)]
        for file in ("sdeiviz/machine/gicv2.py", "sdeiviz/machine/scheduler.py")
    }
    assert names == {
        "sdeiviz/machine/gicv2.py": ["test_gicv2", "test_a", "test_vcpus", "test_z", "test_clocks"],
        "sdeiviz/machine/scheduler.py": [
            "test_vcpus", "test_a", "test_gicv2", "test_z", "test_clocks",
        ],
    }  # fmt: skip
    assert files_of(tmp_path, ["test_z.py"], "") == [tmp_path / "test_z.py"]


KILLED = Mutation("sdeiviz/sdei/sums.py", "a + b", "a * b", "product")
SURVIVING = Mutation("sdeiviz/sdei/sums.py", "a - b", "a - b - 1", "less")


@pytest.mark.parametrize(
    ("mutations", "status", "says"),
    [
        ([KILLED], 0, "1 of 1 killed"),
        ([KILLED, SURVIVING], 1, "SURVIVED sdeiviz/sdei/sums.py:8  less  (no test notices)"),
        ([SURVIVING._replace(survives="nobody calls it")], 0, "(nobody calls it)"),
        ([KILLED._replace(survives="nobody calls it")], 1, "though said to survive"),
        ([KILLED, KILLED._replace(old="a / b")], 2, "error: sdeiviz/sdei/sums.py: found 0 times"),
    ],
)
def test_exit_status(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mutations: list[Mutation],
    status: int,
    says: str,
) -> None:
    monkeypatch.setattr(run, "ROOT", project)
    monkeypatch.setattr(run, "MUTATIONS", mutations)
    assert main() == status
    output = capsys.readouterr()
    assert says in output.out + output.err


def test_nothing_is_said_while_the_unchanged_tests_fail(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "sdeiviz/sdei/sums.py"
    path.write_text(path.read_text().replace("a + b", "b + a + 1"))
    monkeypatch.setattr(run, "ROOT", project)
    monkeypatch.setattr(run, "MUTATIONS", [SURVIVING])
    assert main() == 2
    assert "unchanged, tests/sdei fail: test_sums.py::test_add" in capsys.readouterr().err
