"""The rules of the tree itself: bounds and pins, licences, line endings, scripts."""

import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
Git = Callable[..., str]
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.+!]*")


def lines(path: str) -> list[str]:
    """The lines of a requirements file that mean something."""
    text = (ROOT / path).read_text().splitlines()
    return [line for line in text if line and not line.startswith("#")]


def pins(path: str) -> dict[str, str]:
    """The version of each package in a requirements file; every line must be an exact pin."""
    found = {}
    for line in lines(path):
        if line == "-e .":
            continue
        assert PIN.fullmatch(line), f"{path}: not an exact pin: {line}"
        name, _, version = line.partition("==")
        assert canonicalize_name(name) not in found, f"{path}: twice: {name}"
        found[canonicalize_name(name)] = version
    return found


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_pyproject_gives_lower_bounds_only(extra: str) -> None:
    for text in EXTRAS[extra] if extra else PROJECT["dependencies"]:
        bounds = Requirement(text).specifier
        assert [bound.operator for bound in bounds] == [">="], text


@pytest.mark.parametrize(
    ("path", "extras"),
    [
        ("requirements/ci.txt", ["lab", "test", "guests"]),
        ("binder/requirements.txt", ["lab"]),
    ],
)
def test_each_lock_is_exact_and_holds_what_pyproject_asks_for(path: str, extras: list[str]) -> None:
    pinned = pins(path)
    wanted = PROJECT["dependencies"] + [text for extra in extras for text in EXTRAS[extra]]
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{path} has no {requirement.name}; make lock"
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_learners_on_binder_get_the_versions_that_the_tests_ran_with() -> None:
    tested, learners = pins("requirements/ci.txt"), pins("binder/requirements.txt")
    assert {name: tested.get(name, version) for name, version in learners.items()} == learners


def test_the_licence_texts_are_there_and_named() -> None:
    assert PROJECT["license"] == "GPL-2.0-or-later"
    licence = " ".join((ROOT / "LICENSE").read_text().split())
    assert licence.startswith("GNU GENERAL PUBLIC LICENSE Version 2, June 1991")
    assert "NO WARRANTY" in licence
    assert "How to Apply These Terms to Your New Programs" in licence
    prose = (ROOT / "LICENSE-prose").read_text()
    assert "Creative Commons Attribution 4.0 International" in prose
    assert "LICENSE" in prose


def test_the_installed_package_is_this_checkout() -> None:
    assert importlib.metadata.version("sdeiviz") == PROJECT["version"]


def test_every_text_file_has_unix_line_ends_in_git_and_on_disk(git: Git) -> None:
    for line in git("ls-files", "--eol").splitlines():
        details, _, path = line.partition("\t")
        index, tree, *_ = details.split()
        assert index in ("i/lf", "i/none", "i/-text"), path
        assert tree in ("w/lf", "w/none", "w/-text", "w/"), path


def test_attributes_keep_unix_line_ends_on_every_system(git: Git) -> None:
    for path in (".ci/run", "binder/postBuild", "assets/guests/link.ld", "Makefile"):
        answer = git("check-attr", "text", "eol", "--", path)
        assert f"{path}: text: auto" in answer
        assert f"{path}: eol: lf" in answer
    for path in ("assets/guests/delivery.elf", "assets/images/debugger-light.png"):
        assert f"{path}: text: unset" in git("check-attr", "text", "--", path)


@pytest.mark.parametrize("path", [".ci/run", "binder/postBuild"])
def test_a_bash_script_is_executable_and_stops_at_the_first_error(git: Git, path: str) -> None:
    text = (ROOT / path).read_text()
    assert re.match(r"#!(/usr/bin/env bash|/bin/bash)\n", text)
    assert re.search(r"^set -e", text, re.MULTILINE)
    assert subprocess.run(["bash", "-n", path], cwd=ROOT).returncode == 0
    assert git("ls-files", "--stage", "--", path).startswith("100755 ")


@pytest.mark.parametrize("path", ["requirements/venv.sh", "requirements/debian.sh"])
def test_a_plain_script_is_good_for_any_shell(path: str) -> None:
    assert (ROOT / path).read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", path], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "path",
    [
        "lab/00_start_here.ipynb",
        ".venv/bin/python",
        "dist/sdeiviz.whl",
        "sdeiviz/__pycache__/x.pyc",
    ],
)
def test_what_make_leaves_is_ignored_by_git(git: Git, path: str) -> None:
    assert git("check-ignore", "--no-index", path).strip() == path


def test_no_tracked_file_is_one_that_git_should_ignore(git: Git) -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == ""


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert {"lab", "test"} <= named <= targets


def test_every_relative_link_of_the_readme_leads_to_a_tracked_file(git: Git) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    tracked = git("ls-files").splitlines()
    for link in links:
        if not re.match(r"https?://", link):
            assert any(
                path == link or path.startswith(f"{link.rstrip('/')}/") for path in tracked
            ), link
    assert links
