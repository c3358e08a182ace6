"""Build every bundled guest again (``make guests``), and print how large each is.

The ELF files in the tree are built with one named compiler, so that building them again gives the
same bytes. Any other compiler serves as well for trying things out: ``build.py DIRECTORY``.
"""

import sys
from pathlib import Path

from sdeiviz.errors import Error
from sdeiviz.guests import GUESTS
from sdeiviz.guests.toolchain import Toolchain, find

COMPILER = "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0"
"""The first line of its ``--version``: gcc-aarch64-linux-gnu of Debian 12."""

HERE = Path(__file__).resolve().parent
SHARED = (HERE / "runtime.S", HERE / "link.ld")


def sources(name: str) -> list[Path]:
    """Return what a guest is built from: its file and the shared ones, or all of its directory."""
    directory = HERE / name
    if not directory.is_dir():
        return [HERE / f"{name}.S", *SHARED]
    return sorted(path for path in directory.iterdir() if path.suffix in (".S", ".c", ".ld"))


def build(name: str, output: Path, toolchain: Toolchain) -> None:
    """Build one guest into the file ``output``."""
    toolchain.compile(sources(name), output)


def main(arguments: list[str]) -> int:
    """Build all of them, into this directory or the one given."""
    try:
        toolchain = find()
        print(f"with {toolchain.version}")
        if not arguments and toolchain.version != COMPILER:
            print(f"the guests in the tree are built with {COMPILER}; give a directory instead")
            return 2
        directory = Path(arguments[0]) if arguments else HERE
        for name, guest in GUESTS.items():
            output = directory / guest.elf.relative_to(HERE)
            output.parent.mkdir(parents=True, exist_ok=True)
            build(name, output, toolchain)
            print(f"{output.stat().st_size:6} bytes  {output.name}")
    except Error as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
