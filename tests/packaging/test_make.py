"""What stands between a fresh clone and Jupyter is one line with its cure, and nothing runs twice.

The interpreters here are small scripts that play the part of a Python and write down what they were
asked, so these tests install nothing.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Answers what venv.sh asks of a Python, and makes a .venv of its own kind.
PYTHON = """#!/bin/sh
echo "$@" >> '{log}'
case "$*" in
    *platform.python_version*) echo {version} ;;
    *version_info*) {new_enough} ;;
    *ensurepip*) {ensurepip} ;;
    "-m venv .venv")
        mkdir -p .venv/bin && echo "VIRTUAL_ENV=$(pwd -P)/.venv" > .venv/bin/activate
        cp "$0" .venv/bin/python ;;
esac
"""


class Clone:
    """A directory with the Makefile of a fresh clone, and a Python that plays a part."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.parent / "asked"
        root.mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, root)
        shutil.copytree(ROOT / "requirements", root / "requirements")
        self.python()

    def python(self, version: str = "3.11.2", ensurepip: bool = True) -> None:
        """Choose the part that python3 plays."""
        recent = tuple(map(int, version.split(".")[:2])) >= (3, 11)
        self.interpreter = self.root.parent / "python3"
        self.interpreter.write_text(
            PYTHON.format(
                log=self.log,
                version=version,
                new_enough="true" if recent else "exit 1",
                ensurepip="true" if ensurepip else "exit 1",
            )
        )
        self.interpreter.chmod(0o755)

    def make(self, *args: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """Run make here with that Python."""
        self.log.write_text("")
        python = (
            [] if any(arg.startswith("PYTHON=") for arg in args) else [f"PYTHON={self.interpreter}"]
        )
        # A make that runs these tests hands its own variables on.
        own = ("MAKE", "MFLAGS", "PYTHON", "LOCK", "LAB_ARGS", "TEST_ARGS")
        env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        env |= {"PATH": path} if path else {}
        return subprocess.run(
            ["make", *python, *args], cwd=self.root, env=env, capture_output=True, text=True
        )

    def asked(self, what: str) -> list[str]:
        """The calls of the Python that contain this."""
        return [line for line in self.log.read_text().splitlines() if what in line]

    def refusal(self, *args: str, path: str = "") -> str:
        """The one line with which make refuses."""
        answer = self.make(*args, path=path)
        assert answer.returncode != 0
        said = answer.stderr.splitlines()
        assert said.pop().startswith("make: ***")
        assert len(said) == 1, answer.stderr
        assert "Cure: " in said[0]
        return said[0]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "a clone")


def test_the_first_make_lab_installs_and_the_second_runs_no_pip(clone: Clone) -> None:
    assert clone.make("lab", "LAB_ARGS=--no-browser --port 8890").returncode == 0
    assert clone.asked("-m pip") == [
        "-m pip install --quiet --no-input --constraint requirements/ci.txt --editable .[lab]"
    ]
    assert clone.asked("-m sdeiviz") == ["-m sdeiviz lab lab --no-browser --port 8890"]

    assert clone.make("lab").returncode == 0
    assert clone.log.read_text() == "-m sdeiviz lab lab\n"


def test_a_changed_pyproject_installs_again(clone: Clone) -> None:
    clone.make("lab")
    stamp = (clone.root / ".venv/lab.stamp").stat().st_mtime
    os.utime(clone.root / "pyproject.toml", (stamp + 5, stamp + 5))
    clone.make("lab")
    assert len(clone.asked("-m pip")) == 1


def test_after_make_test_a_make_lab_runs_no_pip_either(clone: Clone) -> None:
    clone.make(".venv/test.stamp")
    assert len(clone.asked("--editable .[lab,test,guests]")) == 1
    clone.make("lab")
    assert clone.asked("-m pip") == []


def test_without_the_lock_pip_chooses(clone: Clone) -> None:
    clone.make("lab", "LOCK=")
    assert clone.asked("-m pip") == ["-m pip install --quiet --no-input --editable .[lab]"]


@pytest.mark.parametrize("newer", ["python3.14", "python3.11", None])
def test_a_too_old_python(clone: Clone, newer: str | None) -> None:
    clone.python(version="3.9.18")
    commands = clone.root.parent / "bin"
    commands.mkdir()
    for name in ("sh", "grep", "make"):
        (commands / name).symlink_to(str(shutil.which(name)))
    if newer:
        (commands / newer).symlink_to(str(shutil.which("true")))
    line = clone.refusal("lab", path=str(commands))
    cure = f"add PYTHON={newer} to the command" if newer else "install a newer one"
    assert line == (
        f"sdeiviz: {clone.interpreter} is Python 3.9.18, 3.11 or newer is needed. Cure: {cure}."
    )
    assert not (clone.root / ".venv").exists()


def test_no_python(clone: Clone) -> None:
    assert "python-of-nowhere does not run here" in clone.refusal("lab", "PYTHON=python-of-nowhere")


def test_a_python_without_the_venv_module(clone: Clone) -> None:
    clone.python(ensurepip=False)
    assert "apt install python3 python3-venv" in clone.refusal("lab")
    assert not (clone.root / ".venv").exists()


def half_made(venv: Path) -> None:
    (venv / "bin").mkdir(parents=True)


def pythonless(venv: Path) -> None:
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3")


def pipless(venv: Path) -> None:
    (venv / "bin/python").write_text("#!/bin/sh\ncase $* in *pip*) exit 1 ;; esac\n")


@pytest.mark.parametrize("harm", [half_made, pythonless, pipless])
def test_a_half_made_venv_is_refused_and_make_clean_cures_it(
    clone: Clone, harm: Callable[[Path], None]
) -> None:
    venv = clone.root / ".venv"
    if harm is not half_made:
        clone.make("lab")
    harm(venv)
    if harm is pipless:  # an install that is complete is not looked at again
        (venv / "lab.stamp").unlink()
    assert "make clean" in clone.refusal("lab")
    assert clone.make("clean").returncode == 0
    assert clone.make("lab").returncode == 0


def test_a_moved_clone_is_refused(clone: Clone) -> None:
    clone.make("lab")
    clone.root = clone.root.rename(clone.root.with_name("elsewhere"))
    assert "was moved" in clone.refusal("lab")


def test_an_interrupted_install_is_taken_up_again(clone: Clone) -> None:
    clone.make("lab")
    (clone.root / ".venv/lab.stamp").unlink()
    clone.make("lab")
    assert clone.asked("-m venv") == []
    assert len(clone.asked("-m pip")) == 1


def test_when_pip_fails_nothing_counts_as_installed(clone: Clone) -> None:
    clone.make("lab")
    (clone.root / ".venv/lab.stamp").unlink()
    python = clone.root / ".venv/bin/python"
    python.write_text("#!/bin/sh\ncase $* in *install*) exit 1 ;; esac\n")
    answer = clone.make("lab")
    assert "pip could not install that, see above. Cure: " in answer.stderr
    assert not (clone.root / ".venv/lab.stamp").exists()


def test_make_clean_leaves_the_learners_notebooks(clone: Clone) -> None:
    (clone.root / "lab").mkdir()
    (clone.root / "lab/00_start_here.ipynb").write_text("mine")
    clone.make("lab")
    clone.make("clean")
    assert not (clone.root / ".venv").exists()
    assert (clone.root / "lab/00_start_here.ipynb").read_text() == "mine"


class System:
    """A PATH with a few commands in it, for requirements/debian.sh to find or to miss."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.log = root / "installed"
        self.log.write_text("")
        self.bin.mkdir()
        for command in ("sh", "env", "true"):
            self.command(command, f'exec {shutil.which(command)} "$@"')
        self.user(1000)
        self.ubuntu(False)
        shutil.copytree(ROOT / "requirements", root / "requirements")
        packages = root / "requirements/debian.txt"
        packages.write_text(packages.read_text().replace("/usr/lib/", f"{root}/lib/"))

    def command(self, name: str, does: str = "true") -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{does}\n")
        (self.bin / name).chmod(0o755)

    def user(self, number: int) -> None:
        self.command("id", f"echo {number}")

    def ubuntu(self, it_is: bool) -> None:
        self.command("grep", f"exit {0 if it_is else 1}")  # what is looked for in os-release

    def apt(self) -> None:
        self.command("apt-get", f"echo \"$@\" >> '{self.log}'")

    def run(self) -> str:
        """Run the script; what it says."""
        answer = subprocess.run(
            ["/bin/sh", "requirements/debian.sh"],
            cwd=self.root,
            env={"PATH": str(self.bin), "PYTHON": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, "the tests that need nothing can still run"
        assert answer.stdout == ""
        return answer.stderr


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


ALL = (
    "chromium gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu graphviz"
    " device-tree-compiler acpica-tools libatomic1"
)


def test_an_ordinary_user_is_told_in_one_line_what_is_missing(system: System) -> None:
    system.apt()
    assert system.run() == (
        f"sdeiviz: tests that need these Debian packages will be skipped: {ALL}"
        f" (as root: apt install {ALL})\n"
    )
    assert system.log.read_text() == ""


def test_root_gets_them_installed(system: System) -> None:
    system.apt()
    system.user(0)
    assert system.run() == f"sdeiviz: installing Debian packages: {ALL}\n"
    assert system.log.read_text().splitlines() == [
        "update -qq",
        f"install -qq --no-install-recommends {ALL}",
    ]


def test_sudo_serves_as_well_as_root(system: System) -> None:
    system.apt()
    system.command("sudo", 'test "$1" = -n && shift; exec "$@"')
    system.run()
    assert system.log.read_text().splitlines()[-1].endswith(f" {ALL}")


def test_sudo_that_wants_a_password_is_not_waited_for_without_a_terminal(system: System) -> None:
    system.apt()
    system.command("sudo", "exit 1")
    assert "will be skipped" in system.run()
    assert system.log.read_text() == ""


def test_only_what_is_missing_is_named_and_any_chromium_will_do(system: System) -> None:
    system.apt()
    (system.root / "lib/of-this-machine").mkdir(parents=True)
    (system.root / "lib/of-this-machine/libatomic.so.1").touch()
    gnu = ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objdump")
    for command in ("google-chrome", *gnu, "dtc", "iasl"):
        system.command(command)
    assert system.run().endswith(" (as root: apt install graphviz)\n")
    system.command("dot")
    assert system.run() == ""


def test_on_ubuntu_the_chromium_that_is_a_snap_is_left_alone(system: System) -> None:
    system.apt()
    system.user(0)
    system.ubuntu(True)
    assert "chromium" not in system.run()
    assert "graphviz" in system.log.read_text()


def test_a_system_without_apt_is_told_so(system: System) -> None:
    assert "no apt-get here" in system.run()


def test_packages_that_fail_to_install_do_not_stop_the_other_tests(system: System) -> None:
    system.command("apt-get", "exit 100")
    system.user(0)
    assert "will be skipped" in system.run()
