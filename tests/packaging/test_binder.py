"""What Binder would build, read from the recipe that it would follow; no container is needed."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINDER = ROOT / "binder"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The container recipe that repo2docker writes for this repository."""
    # Only binder/ decides; away from the checkout nothing else can slip in.
    repository = tmp_path_factory.mktemp("repository")
    (repository / "binder").symlink_to(BINDER)
    answer = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(repository)],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout + answer.stderr


def test_the_image_has_the_python_that_the_pins_were_found_for(recipe: str) -> None:
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"Building conda environment for python={version}\n" in recipe
    assert f"found for Python {version}." in (BINDER / "requirements.txt").read_text()


def test_the_image_installs_the_pins_and_the_package(recipe: str) -> None:
    assert re.search(r"^RUN .*pip install .*-r \"binder/requirements.txt\"", recipe, re.MULTILINE)
    assert (BINDER / "requirements.txt").read_text().splitlines()[-1] == "-e ."
    # A local path in the requirements makes Binder copy the sources before it installs.
    assert recipe.index(" src/ ${REPO_DIR}/\n") < recipe.index("pip install")


def test_the_image_has_the_debian_packages(recipe: str) -> None:
    packages = [
        line for line in (BINDER / "apt.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert packages == ["graphviz"]
    assert "apt-get install --yes --no-install-recommends graphviz " in recipe


def test_the_image_is_tried_while_it_is_built(recipe: str) -> None:
    assert "\nRUN ./binder/postBuild\n" in recipe
    assert "sdeiviz selfcheck" in (BINDER / "postBuild").read_text()


def test_a_failing_selfcheck_fails_the_build(tmp_path: Path) -> None:
    # A python that fails stands for a package that does not work in the image.
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "postBuild").write_text((BINDER / "postBuild").read_text() + "echo built\n")
    answer = subprocess.run(
        ["bash", "postBuild"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode != 0
    assert "built" not in answer.stdout


def test_the_badge_is_the_address_of_the_project_and_opens_what_is_there() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    badges = re.findall(r"\]\((https://[^)\s]*/v2/[^)\s]+)\)", (ROOT / "README.md").read_text())
    assert badges == [address for name, address in urls.items() if name == "Binder"]
    for badge in badges:
        for path in parse_qs(urlsplit(badge).query).get("labpath", []):
            assert (ROOT / path).is_file()
