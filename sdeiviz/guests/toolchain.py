"""Compile guests with whatever compiler driver there is.

GCC, Clang and Zig's C compiler take the same command line, so one path serves all three. No
directory of the machine that compiles gets into the ELF file: whoever runs the guest finds its
sources beside it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sdeiviz.errors import ToolchainError

_COMPILE = (
    "-g",
    "-O1",
    "-ffreestanding",
    "-fno-pic",
    "-mgeneral-regs-only",  # the FPU may be off
    "-mstrict-align",  # with the MMU off memory is Device memory, which must be aligned
)
_LINK = (
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
    "-Wl,-z,max-page-size=4096",  # else each segment begins at a multiple of 64 KiB in the file
)


@dataclass(frozen=True)
class Toolchain:
    """A compiler driver that assembles, compiles and links for bare arm64."""

    name: str
    command: tuple[str, ...]
    """The driver, and what makes it compile for arm64."""

    @cached_property
    def version(self) -> str:
        """What the driver says it is, in one line."""
        return self._run(None, "--version").partition("\n")[0]

    def compile(self, sources: Sequence[Path], output: Path, options: Sequence[str] = ()) -> None:
        """Build a guest.

        Parameters
        ----------
        sources
            Assembly (``.S``) and C files, and one link script (``.ld``); all in one directory, in
            which ``#include`` looks too.
        output
            The ELF file to write.
        options
            More for the driver, after our own.

        Raises
        ------
        ToolchainError
            The driver refused; the message has the first line of what it said.
        """
        directory = sources[0].resolve().parent
        prefix = f"-ffile-prefix-map={directory}=."
        scripts = [f"-Wl,-T,{source.name}" for source in sources if source.suffix == ".ld"]
        # Object files of our own naming: the linker writes their names into the symbol table, and
        # the driver would make up others each time.
        with tempfile.TemporaryDirectory() as temporary:
            objects = []
            for source in sources:
                if source.suffix == ".ld":
                    continue
                objects.append(str(Path(temporary) / f"{source.name}.o"))
                self._run(
                    directory, *_COMPILE, *options, prefix, "-c", source.name, "-o", objects[-1]
                )
            self._run(directory, *_LINK, *options, *scripts, *objects, "-o", str(output.resolve()))

    def _run(self, directory: Path | None, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [*self.command, *arguments],
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=300,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolchainError(f"{self.name} does not run: {error}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            # The first line that names an error; those before it tell where the compiler was.
            reason = next((line for line in said if "error" in line.lower()), said[0])
            raise ToolchainError(f"{self.name} failed: {reason}")
        return done.stdout


def available() -> list[Toolchain]:
    """Return the toolchains of this machine, the one that the bundled guests are built with first.

    ``SDEIVIZ_CC`` in the environment names another driver, which then is the only one.
    """
    if chosen := os.environ.get("SDEIVIZ_CC"):
        return [Toolchain(chosen, (chosen,))]
    found = []
    if driver := shutil.which("aarch64-linux-gnu-gcc"):
        found.append(Toolchain("aarch64-linux-gnu-gcc", (driver,)))
    if (driver := shutil.which("clang")) and shutil.which("ld.lld"):
        found.append(Toolchain("clang", (driver, "--target=aarch64-none-elf", "-fuse-ld=lld")))
    if importlib.util.find_spec("ziglang"):
        zig = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-freestanding-none")
        found.append(Toolchain("zig cc", zig))
    return found


def find() -> Toolchain:
    """Return the toolchain to use.

    Raises
    ------
    ToolchainError
        There is none.
    """
    if found := available():
        return found[0]
    raise ToolchainError(
        "no compiler for arm64 guests (looked for aarch64-linux-gnu-gcc, clang with ld.lld, "
        "and the Python package ziglang): apt install gcc-aarch64-linux-gnu, or pip install ziglang"
    )
