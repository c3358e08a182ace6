"""Build every guest of the conformance suite: ``python tests/conformance/build.py DIRECTORY``.

Each then runs by itself, with the number of vCPUs that is printed beside it::

    sdeiviz run DIRECTORY/NAME.elf --profile den0054c --vcpus 4
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from sdeiviz.errors import Error
from sdeiviz.guests.toolchain import Toolchain, find
from sdeiviz.resources import resource

HERE = Path(__file__).resolve().parent
RUNTIME = ("conformance.S", "conformance.inc", "matrix.inc")
FROM_GUESTS = ("runtime.S", "sdei.h", "link.ld")
"""Shared with the bundled guests."""

_HEADER = re.compile(
    r"// SPDX-License-Identifier: GPL-2\.0-or-later\n//\n"
    r"// (?P<section>\S+) (?P<title>[^\n]+)\n"
    r"// vcpus: (?P<vcpus>[1-8])\n"
    r"// mutation: (?P<mutation>[^\n]+)\n(?://|\n)"
)


class Requirement(NamedTuple):
    """What a guest says of itself in its first lines."""

    name: str
    section: str
    """Of DEN0054C."""
    title: str
    vcpus: int
    mutation: str
    """A change of the package under which it fails, or "none: why"."""


def read(path: Path) -> Requirement:
    """Read the header of a guest."""
    header = _HEADER.match(path.read_text(encoding="utf-8"))
    if header is None:
        raise Error(f"{path.name}: no header of section and title, vcpus, mutation")
    section, title, vcpus, mutation = header.groups()
    return Requirement(path.stem, section, title, int(vcpus), mutation)


def requirements() -> dict[str, Requirement]:
    """Return all of them by name."""
    sources = sorted(path for path in HERE.glob("*.S") if path.name not in RUNTIME)
    return {path.stem: read(path) for path in sources}


def build(name: str, output: Path, toolchain: Toolchain) -> None:
    """Build one guest into the file ``output``."""
    with tempfile.TemporaryDirectory() as directory:
        sources = [HERE / f"{name}.S", *(HERE / part for part in RUNTIME)]
        sources += [resource("assets", "guests", part) for part in FROM_GUESTS]
        copies = [Path(shutil.copy(source, directory)) for source in sources]
        toolchain.compile([c for c in copies if c.suffix in (".S", ".ld")], output)


def main(arguments: list[str]) -> int:
    """Build all of them into the directory given."""
    if len(arguments) != 1:
        print("usage: build.py DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    try:
        toolchain = find()
        directory.mkdir(parents=True, exist_ok=True)
        for requirement in requirements().values():
            build(requirement.name, directory / f"{requirement.name}.elf", toolchain)
            print(
                f"{requirement.name:28} {requirement.vcpus} vCPU"
                f"{'s' if requirement.vcpus > 1 else ' '}  {requirement.section:7}"
                f" {requirement.title}"
            )
    except Error as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
