"""Find the exact versions again: requirements/ci.txt and binder/requirements.txt.

pyproject.toml gives lower bounds only. What was tested together is written here, by asking pip to
resolve without installing: for the interpreter that runs this, and for the Python of Binder.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(*extras: str) -> list[str]:
    """What pyproject.toml asks for, with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return wanted


def resolve(wanted: list[str], *options: str) -> list[str]:
    """The `name==version` lines of everything that an installation of `wanted` would bring."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", *options, *wanted]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found = (entry["metadata"] for entry in report["install"])
    return sorted((f"{data['name']}=={data['version']}" for data in found), key=str.lower)


def write(path: Path, about: str, lines: list[str]) -> None:
    """Write a requirements file of exact pins with its heading."""
    path.write_text("\n".join([f"# {about} Written by `make lock`.", *lines, ""]))
    print(f"{path.relative_to(ROOT)}: {len(lines)} lines")


def main() -> None:
    """Write both files."""
    version = ".".join(map(str, sys.version_info[:2]))
    write(
        ROOT / "requirements/ci.txt",
        f"What `make lab` and `make test` install, found with Python {version}.",
        resolve(requirements("lab", "test", "guests")),
    )
    binder = (ROOT / "binder/runtime.txt").read_text().strip().removeprefix("python-")
    system = ["--only-binary=:all:", "--target=unused", f"--python-version={binder}"]
    system += [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (39, 28, 17)]
    pins = resolve(requirements("lab"), *system, "--platform=manylinux2014_x86_64")
    write(
        ROOT / "binder/requirements.txt",
        f"What a Binder image holds, found for Python {binder}.",
        [*pins, "-e ."],
    )


if __name__ == "__main__":
    main()
