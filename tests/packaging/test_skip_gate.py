"""The gate that turns skips into failures, tried on a small suite of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.skip_gate import matches, read_allowed

ROOT = Path(__file__).resolve().parents[2]

SUITE = """
import pytest

def test_runs():
    pass

@pytest.mark.skipif(True, reason="no compiler here")
def test_marked():
    pass

@pytest.mark.parametrize("tool", ["clang", "zig"])
def test_tool(tool):
    pytest.skip(f"no {tool} here")

@pytest.fixture
def chromium():
    pytest.skip("no browser here")

def test_journey(chromium):
    pass

@pytest.mark.browser
def test_other_journey():
    pytest.skip("no browser here")

@pytest.mark.xfail(reason="known")
def test_known():
    assert False
"""
MODULE = "import pytest; pytest.importorskip('a_module_of_nowhere')"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A directory with the gate in it, and tests that skip for every kind of reason."""
    (tmp_path / "tests/browser").mkdir(parents=True)
    shutil.copy(ROOT / "tests/skip_gate.py", tmp_path / "tests")
    (tmp_path / "tests/allowed_skips.txt").touch()
    (tmp_path / "tests/test_suite.py").write_text(SUITE)
    (tmp_path / "tests/browser/test_page.py").write_text(
        "import pytest\ndef test_page(): pytest.skip('no browser here')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    browser: drives a browser\n")
    return tmp_path


def run(suite: Path, require: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite under this wish."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.skip_gate", "--junitxml=out.xml"]
    return subprocess.run(
        [*command, *options],
        cwd=suite,
        env={**os.environ, "SDEIVIZ_REQUIRE": require, "PYTHONPATH": str(suite)},
        capture_output=True,
        text=True,
    )


def outcomes(suite: Path, require: str, *options: str) -> dict[str, str]:
    """What became of each test: passed, skipped, failure or error."""
    run(suite, require, *options)
    found = {}
    for case in ElementTree.parse(suite / "out.xml").iter("testcase"):
        found[case.attrib["name"]] = next((child.tag for child in case), "passed")
    return found


def test_without_the_wish_a_skip_is_a_skip(suite: Path) -> None:
    assert outcomes(suite, "") == {
        "test_runs": "passed",
        "test_marked": "skipped",
        "test_tool[clang]": "skipped",
        "test_tool[zig]": "skipped",
        "test_journey": "skipped",
        "test_other_journey": "skipped",
        "test_known": "skipped",  # so does JUnit call an expected failure
        "test_page": "skipped",
    }


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["alone", "shared"])
def test_with_it_every_skip_fails_and_says_why(suite: Path, options: list[str]) -> None:
    assert outcomes(suite, "all", *options) == {
        "test_runs": "passed",
        "test_marked": "error",
        "test_tool[clang]": "failure",
        "test_tool[zig]": "failure",
        "test_journey": "error",
        "test_other_journey": "failure",
        "test_known": "skipped",
        "test_page": "failure",
    }
    said = (suite / "out.xml").read_text()
    for reason in ("no compiler here", "no clang here", "no browser here"):
        assert reason in said


def test_a_stated_exception_may_be_skipped_but_never_a_browser(suite: Path) -> None:
    (suite / "tests/allowed_skips.txt").write_text("# all of them\n\n* -- nothing is here\n")
    assert outcomes(suite, "all") == {
        "test_runs": "passed",
        "test_marked": "skipped",
        "test_tool[clang]": "skipped",
        "test_tool[zig]": "skipped",
        "test_journey": "error",
        "test_other_journey": "failure",
        "test_known": "skipped",
        "test_page": "failure",
    }


def test_an_exception_holds_for_what_it_names_only(suite: Path) -> None:
    line = "tests/test_suite.py::test_tool[clang] -- zig stands in for it\n"
    (suite / "tests/allowed_skips.txt").write_text(line)
    found = outcomes(suite, "all")
    assert (found["test_tool[clang]"], found["test_tool[zig]"]) == ("skipped", "failure")


def test_a_module_that_skips_itself_fails_too(suite: Path) -> None:
    (suite / "tests/test_module.py").write_text(MODULE)
    assert run(suite, "", "tests/test_module.py").returncode == 5, "nothing ran"
    answer = run(suite, "all", "tests/test_module.py")
    assert answer.returncode == 2
    assert "could not import 'a_module_of_nowhere'" in answer.stdout


@pytest.mark.parametrize(
    ("require", "allowed", "said"),
    [
        ("some", "", "SDEIVIZ_REQUIRE=some: only 'all' is known"),
        ("all", "tests/x.py::test_x\n", "allowed_skips.txt:1: want NODE-ID -- REASON"),
        ("all", "# why\ntests/x.py::test_x -- \n", "allowed_skips.txt:2: want NODE-ID"),
    ],
)
def test_a_wish_or_exception_that_makes_no_sense_stops_the_run(
    suite: Path, require: str, allowed: str, said: str
) -> None:
    (suite / "tests/allowed_skips.txt").write_text(allowed)
    answer = run(suite, require)
    assert answer.returncode == 4
    assert said in answer.stderr


@pytest.mark.parametrize(
    ("pattern", "node_id", "same"),
    [
        ("tests/a.py::test_b", "tests/a.py::test_b", True),
        ("tests/a.py::test_b", "tests/a.py::test_bc", False),
        ("tests/a.py::*", "tests/a.py::test_b[x-1]", True),
        ("tests/a.py::test_b[x-*]", "tests/a.py::test_b[x-1]", True),
        ("tests/a.py::test_b[x]", "tests/a.py::test_bx", False),
    ],
)
def test_a_star_stands_for_anything_and_all_else_for_itself(
    pattern: str, node_id: str, same: bool
) -> None:
    assert matches(pattern, node_id) is same


def test_the_exceptions_of_this_project_name_tests_that_exist_and_no_browser() -> None:
    for pattern in read_allowed(ROOT / "tests/allowed_skips.txt"):
        path, _, _ = pattern.partition("::")
        assert (ROOT / path).is_file(), f"{pattern} allows a skip in no file, or in too many"
        assert not path.startswith("tests/browser/")
