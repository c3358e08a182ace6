"""What users get: build it, install it in a clean environment, and use it outside the checkout."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sdeiviz.guests import GUESTS
from sdeiviz.resources import resource

ROOT = Path(__file__).resolve().parents[2]
Git = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the sdist, and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdeiviz(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the installed command in an empty directory; the dependencies are installed for real."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home / "venv", with_pip=True)
    python = home / "venv/bin/python"
    # Nothing of this test run reaches in: not its PYTHONPATH, not its coverage, not its terminal.
    env = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    env["PATH"] = f"{home}/venv/bin:/usr/bin:/bin"
    install = [python, "-m", "pip", "install", "--quiet", "--no-input", "--retries=2"]
    install += ["--disable-pip-version-check", f"--constraint={ROOT}/requirements/ci.txt"]
    passed_on = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    answer = subprocess.run([*install, wheel], env=env | passed_on, capture_output=True, text=True)
    if answer.returncode and re.search(r"Temporary failure in name|NewConnection", answer.stderr):
        pytest.skip("no network to install the dependencies from")
    assert answer.returncode == 0, answer.stderr
    assert subprocess.run([python, "-m", "pip", "check"], env=env).returncode == 0
    (home / "work").mkdir()

    def run(*args: str | Path, command: str = "sdeiviz") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [home / "venv/bin" / command, *args],
            cwd=home / "work",
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size <= 3_000_000


def test_the_wheel_is_the_package_and_all_of_assets_and_notebooks(wheel: Path, git: Git) -> None:
    tracked = git("ls-files", "sdeiviz", "assets", "notebooks").splitlines()
    expected = {re.sub(r"^(assets|notebooks)/", r"sdeiviz/_\1/", path) for path in tracked}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    untracked = git("ls-files", "--others", "--exclude-standard", "sdeiviz", "assets", "notebooks")
    names -= {re.sub(r"^(assets|notebooks)/", r"sdeiviz/_\1/", p) for p in untracked.splitlines()}
    assert names == expected
    assert "sdeiviz/py.typed" in names


def test_the_source_of_every_packed_guest_is_packed_too(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    guests = {name for name in names if name.endswith(".elf")}
    assert "sdeiviz/_assets/guests/delivery.elf" in guests
    sources = {g.source.relative_to(resource("assets")).as_posix() for g in GUESTS.values()}
    assert {f"sdeiviz/_assets/{source}" for source in sources} <= names


def test_both_licences_are_in_the_wheel_and_named(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for licence in ("LICENSE", "LICENSE-prose"):
            (name,) = (n for n in archive.namelist() if n.endswith(f"/licenses/{licence}"))
            assert archive.read(name) == (ROOT / licence).read_bytes()
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        assert b"\nLicense-Expression: GPL-2.0-or-later\n" in archive.read(metadata)


def test_the_sdist_is_the_whole_checkout(built: Path, git: Git) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(git("ls-files").splitlines()) - names == set()


def test_everything_is_found_inside_the_installation(sdeiviz: Run) -> None:
    code = "from sdeiviz.resources import resource as r; print(r('assets'), r('notebooks'))"
    answer = sdeiviz("-c", code, command="python")
    assert re.fullmatch(r"\S+/venv/\S+/_assets \S+/venv/\S+/_notebooks\n", answer.stdout)
    assert str(ROOT) not in answer.stdout


def test_a_bundled_guest_runs_by_name_as_it_does_in_the_checkout(sdeiviz: Run) -> None:
    installed = sdeiviz("run", "delivery")
    here = subprocess.run(
        [sys.executable, "-m", "sdeiviz", "run", "delivery"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (installed.returncode, installed.stderr) == (0, here.stderr)
    assert installed.stdout == here.stdout != ""


def test_the_notebooks_are_copied_once_and_changes_stay(sdeiviz: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert sdeiviz("lab", "--copy-only", mine).returncode == 0
    notebooks = sorted(path.relative_to(mine).as_posix() for path in mine.rglob("*.ipynb"))
    shipped = sorted(
        path.relative_to(ROOT / "notebooks").as_posix()
        for path in (ROOT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    )
    assert notebooks == shipped != []

    first = mine / shipped[0]
    notebook = json.loads(first.read_text())
    notebook["metadata"]["mine"] = True
    first.write_text(json.dumps(notebook))
    before = {path: path.read_bytes() for path in mine.rglob("*.ipynb")}
    again = sdeiviz("lab", "--copy-only", mine)
    assert again.returncode == 0
    assert again.stderr == f"sdeiviz: your changes are kept: {shipped[0]}\n"
    assert {path: path.read_bytes() for path in mine.rglob("*.ipynb")} == before


def test_selfcheck_finds_a_sound_installation(sdeiviz: Run) -> None:
    answer = sdeiviz("selfcheck")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout + answer.stderr != ""


def test_without_jupyterlab_lab_names_the_cure(sdeiviz: Run, tmp_path: Path) -> None:
    answer = sdeiviz("lab", tmp_path / "mine")
    assert answer.returncode == 2
    assert "pip install 'sdeiviz[lab]'" in answer.stderr
    assert "Traceback" not in answer.stderr
