"""The import contracts of pyproject.toml break when they should: each is tried on a small house."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    *("abi", "trace", "sdei", "apf", "cpu", "guests", "machine", "migration", "experiment"),
    *("debugger", "views", "widgets", "classroom", "cli", "lab", "resources", "errors"),
)

LAYERS = "Imports point one way only"
UNICORN = "Only cpu knows the core"
CORE = "Only machine holds a core"
FILES = "The dispatcher and the core import abi and trace, and no files"
PURE = "The rules are pure Python"
NOTEBOOKS = "Below widgets nothing knows of notebooks"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A package with an empty module for each room, under the contracts of this project."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "sdeiviz").mkdir()
    for name in ("__init__", "__main__", *ROOMS):
        (tmp_path / "sdeiviz" / f"{name}.py").touch()
    return tmp_path


def broken(house: Path) -> set[str]:
    """The contracts that do not hold in this house."""
    answer = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=house,
        capture_output=True,
        text=True,
    )
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", answer.stdout, re.MULTILINE))
    found = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert set(verdicts) == {LAYERS, UNICORN, CORE, FILES, PURE, NOTEBOOKS}, answer.stdout
    assert (answer.returncode != 0) == bool(found)
    return found


def test_the_house_as_it_was_designed(house: Path) -> None:
    imports = {
        "__init__": ["widgets"],
        "trace": ["abi"],
        "sdei": ["abi", "trace"],
        "apf": ["abi", "trace"],
        "cpu": ["abi", "trace"],
        "guests": ["abi", "trace", "resources"],
        "machine": ["sdei", "cpu", "guests", "trace", "abi"],
        "migration": ["machine"],
        "debugger": ["machine", "migration"],
        "views": ["debugger", "sdei", "guests", "resources"],
        "widgets": ["views", "debugger"],
        "classroom": ["views", "debugger"],
        "cli": ["lab", "views", "debugger", "machine", "sdei"],
        "lab": ["resources"],
    }
    for room, others in imports.items():
        text = "".join(f"import sdeiviz.{other}\n" for other in (*others, "errors"))
        text += {"cpu": "import unicorn\n", "widgets": "import ipywidgets\n"}.get(room, "")
        (house / "sdeiviz" / f"{room}.py").write_text(text)
    assert broken(house) == set()


@pytest.mark.parametrize(
    ("room", "imported", "contracts"),
    [
        ("abi", "sdeiviz.trace", {LAYERS}),
        ("trace", "sdeiviz.sdei", {LAYERS}),
        ("sdei", "sdeiviz.guests", {LAYERS}),
        ("apf", "sdeiviz.sdei", {LAYERS}),
        ("guests", "sdeiviz.sdei", {LAYERS}),
        ("sdei", "sdeiviz.cpu", {LAYERS, CORE}),
        ("machine", "sdeiviz.debugger", {LAYERS}),
        ("debugger", "sdeiviz.views", {LAYERS}),
        ("views", "sdeiviz.widgets", {LAYERS}),
        ("widgets", "sdeiviz.classroom", {LAYERS}),
        ("classroom", "sdeiviz.cli", {LAYERS}),
        ("machine", "unicorn", {UNICORN}),
        ("sdei", "unicorn", {UNICORN, PURE}),
        ("debugger", "unicorn.arm64_const", {UNICORN}),
        ("debugger", "sdeiviz.cpu", {CORE}),
        ("cpu", "sdeiviz.resources", {FILES}),
        ("trace", "capstone", {PURE}),
        ("views", "ipywidgets", {NOTEBOOKS}),
        ("machine", "IPython.display", {NOTEBOOKS}),
    ],
)
def test_an_import_that_points_the_wrong_way(
    house: Path, room: str, imported: str, contracts: set[str]
) -> None:
    (house / "sdeiviz" / f"{room}.py").write_text(f"def late():\n    import {imported}\n")
    assert broken(house) == contracts


def test_a_room_without_a_floor(house: Path) -> None:
    (house / "sdeiviz/attic.py").touch()
    assert broken(house) == {LAYERS}
