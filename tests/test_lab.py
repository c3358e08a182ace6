"""The learner's copy of the notebooks: made once, and what was changed in it stays."""

import os
import sys
from pathlib import Path

import pytest

import sdeiviz.lab
from sdeiviz.errors import Error
from sdeiviz.lab import copy_notebooks, launch


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small course in place of the real one."""
    root = tmp_path / "packaged"
    files = {
        "00_start_here.ipynb": "start",
        "00_start_here.py": "start, as text",
        "exercises/first.ipynb": "first",
        "exercises/helper.py": "help",
        "jupytext.toml": "pairs",
        ".ipynb_checkpoints/00_start_here.ipynb": "old",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(sdeiviz.lab, "resource", lambda *parts: root)
    return root


def written(directory: Path) -> list[str]:
    return [path.relative_to(directory).as_posix() for path in copy_notebooks(directory)]


def test_the_first_copy_holds_the_course_and_not_what_its_authors_use(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "deep" / "mine"
    names = ["00_start_here.ipynb", "exercises/first.ipynb", "exercises/helper.py"]
    assert written(mine) == names
    assert [(mine / name).read_text() for name in names] == ["start", "first", "help"]
    visible = [path for path in mine.rglob("[!.]*") if path.is_file()]
    assert len(visible) == len(names)
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"sdeiviz: 3 notebook files copied to {mine}\n")


def test_a_second_copy_writes_nothing_and_says_nothing(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    copy_notebooks(mine)
    before = {path: path.stat().st_mtime_ns for path in mine.rglob("*.ipynb")}
    capsys.readouterr()
    assert written(mine) == []
    assert {path: path.stat().st_mtime_ns for path in mine.rglob("*.ipynb")} == before
    assert capsys.readouterr().err == ""


def test_a_changed_file_is_kept_and_named_also_when_the_course_moves_on(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    copy_notebooks(mine)
    (mine / "exercises/first.ipynb").write_text("my answer")
    (packaged / "exercises/first.ipynb").write_text("first, second edition")
    (packaged / "00_start_here.ipynb").write_text("start, second edition")
    capsys.readouterr()
    assert written(mine) == ["00_start_here.ipynb"]
    assert (mine / "exercises/first.ipynb").read_text() == "my answer"
    assert (mine / "00_start_here.ipynb").read_text() == "start, second edition"
    kept = "sdeiviz: your changes are kept: exercises/first.ipynb\n"
    assert capsys.readouterr().err.endswith(kept)


def test_deleting_a_file_brings_a_fresh_one(packaged: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    copy_notebooks(mine)
    (mine / "exercises/first.ipynb").write_text("my answer")
    (mine / "exercises/first.ipynb").unlink()
    assert written(mine) == ["exercises/first.ipynb"]
    assert (mine / "exercises/first.ipynb").read_text() == "first"


@pytest.mark.parametrize("record", [None, "", "{", "[1]"])
def test_without_a_readable_record_whatever_differs_is_the_learners(
    packaged: Path, tmp_path: Path, record: str | None
) -> None:
    mine = tmp_path / "mine"
    copy_notebooks(mine)
    (mine / "00_start_here.ipynb").write_text("mine")
    if record is None:
        (mine / ".sdeiviz-notebooks.json").unlink()
    else:
        (mine / ".sdeiviz-notebooks.json").write_text(record)
    assert written(mine) == []
    assert (mine / "00_start_here.ipynb").read_text() == "mine"


def test_an_interrupted_copy_leaves_no_half_notebook(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"

    def interrupted(source: Path, target: Path) -> None:
        target.write_text("sta")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            copy_notebooks(mine)
    assert not (mine / "00_start_here.ipynb").exists()
    assert len(copy_notebooks(mine)) == 3
    assert not list(mine.rglob("*.partial"))


def test_a_file_in_the_way_is_one_clear_line(packaged: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("not a directory")
    with pytest.raises(Error, match=r"^cannot copy the notebooks to .*mine: [^\n]+$"):
        copy_notebooks(tmp_path / "mine")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line that would have replaced this process."""
    command: list[str] = []

    def execv(path: str, args: list[str]) -> None:
        assert path == sys.executable
        command.extend(args)

    monkeypatch.setattr(os, "execv", execv)
    return command


def test_jupyter_stays_local_keeps_its_token_and_fetches_nothing(
    launched: list[str], tmp_path: Path
) -> None:
    launch(tmp_path, ["--no-browser", "--port", "8890"])
    assert launched[1:3] == ["-m", "jupyterlab"]
    assert "--ServerApp.ip=127.0.0.1" in launched
    assert f"--ServerApp.root_dir={tmp_path}" in launched
    assert "--LabApp.news_url=None" in launched
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in launched
    assert not [option for option in launched if "token" in option or "password" in option]
    assert launched[-3:] == ["--no-browser", "--port", "8890"]


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_when_it_is_root(
    launched: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: int,
    allowed: bool,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    launch(tmp_path)
    assert ("--allow-root" in launched) is allowed


def test_the_course_opens_at_its_first_page_if_it_is_there(
    launched: list[str], tmp_path: Path
) -> None:
    launch(tmp_path)
    assert not [option for option in launched if "default_url" in option]
    (tmp_path / "00_start_here.ipynb").touch()
    launched.clear()
    launch(tmp_path)
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in launched


def test_without_jupyterlab_the_cure_is_named(
    launched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Error, match=r"pip install 'sdeiviz\[lab\]'"):
        launch(tmp_path)
    assert launched == []
