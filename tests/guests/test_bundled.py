"""The ELF files in the tree: where they come from and what is in them."""

import re
import shutil
from pathlib import Path

import pytest

from sdeiviz.errors import ToolchainError
from sdeiviz.guests import GUESTS, load, toolchain
from sdeiviz.guests.toolchain import Toolchain
from sdeiviz.resources import resource

RAM = {"ram_base": 0x4000_0000, "ram_size": 0x0800_0000}
COMPILER = "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0"


def parts(name: str) -> list[Path]:
    """Return the files that a guest is built from, headers too."""
    here = GUESTS[name].source.parent
    if name == "kernel":
        return sorted(path for path in here.iterdir() if path.suffix != ".elf")
    return [here / part for part in (f"{name}.S", "runtime.S", "guest.inc", "sdei.h", "link.ld")]


def build(name: str, directory: Path, compiler: Toolchain) -> Path:
    """Build a guest from a copy of its sources in another directory."""
    for part in parts(name):
        shutil.copy(part, directory)
    output = directory / f"{name}.elf"
    sources = [directory / part.name for part in parts(name) if part.suffix in (".S", ".c", ".ld")]
    compiler.compile(sources, output)
    return output


def test_every_elf_file_in_the_tree_is_in_the_catalogue() -> None:
    directory = resource("assets", "guests")
    assert {path.stem for path in directory.rglob("*.elf")} == set(GUESTS)


@pytest.mark.parametrize("name", GUESTS)
def test_small_and_free_of_absolute_paths(name: str) -> None:
    data = GUESTS[name].elf.read_bytes()
    assert len(data) < (120_000 if name == "kernel" else 30_000)
    # A path, in any string or table: a slash after something that a name cannot end in, and
    # another one. A single slash may be an instruction.
    assert re.findall(rb"(?:^|[^\w.\-/])(/[\w.\-]+/[\w.\-]+)", data) == []
    lines = load(name, **RAM).lines
    code = {part.name for part in parts(name) if part.suffix in (".S", ".c")}
    assert {file for file in lines.files if not file.endswith(".h")} == code
    assert {file for file in lines.files if file.endswith(".h")} <= {"kernel.h", "user.h"}
    assert all(lines.text(file) for file in lines.files)


@pytest.mark.parametrize("name", GUESTS)
def test_the_source_to_read_first_is_there(name: str) -> None:
    guest = GUESTS[name]
    assert guest.source.is_file()
    assert guest.source.parent == guest.elf.parent


@pytest.mark.parametrize("name", GUESTS)
def test_rebuilt_with_the_same_compiler_the_loadable_bytes_are_equal(
    name: str, toolchain: Toolchain, tmp_path: Path
) -> None:
    if toolchain.version != COMPILER:
        pytest.skip(f"built with {COMPILER}; here is {toolchain.version}")
    rebuilt = load(build(name, tmp_path, toolchain), **RAM)
    bundled = load(name, **RAM)
    assert rebuilt.segments == bundled.segments
    assert rebuilt.entry == bundled.entry
    assert rebuilt.sha256 == bundled.sha256


def test_what_the_compiler_says_comes_back_in_one_line(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    source = tmp_path / "wrong.S"
    source.write_text("    nonsense x0\n")
    with pytest.raises(ToolchainError) as caught:
        toolchain.compile([source], tmp_path / "wrong.elf")
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{toolchain.name} failed: wrong.S:1")
    assert not (tmp_path / "wrong.elf").exists()


def test_without_a_compiler_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("SDEIVIZ_CC", raising=False)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    assert toolchain.available() == []
    with pytest.raises(ToolchainError) as caught:
        toolchain.find()
    assert str(caught.value) == (
        "no compiler for arm64 guests (looked for aarch64-linux-gnu-gcc, clang with ld.lld, and "
        "the Python package ziglang): apt install gcc-aarch64-linux-gnu, or pip install ziglang"
    )


def test_which_drivers_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SDEIVIZ_CC", raising=False)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: object())

    def put(name: str) -> None:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    put("clang")  # of no use without its linker
    assert [found.name for found in toolchain.available()] == ["zig cc"]
    put("ld.lld")
    put("aarch64-linux-gnu-gcc")
    gcc, clang, zig = toolchain.available()
    assert gcc.command == (str(tmp_path / "aarch64-linux-gnu-gcc"),)
    assert clang.command == (
        str(tmp_path / "clang"),
        "--target=aarch64-none-elf",
        "-fuse-ld=lld",
    )
    assert zig.command[1:] == ("-m", "ziglang", "cc", "-target", "aarch64-freestanding-none")

    monkeypatch.setenv("SDEIVIZ_CC", "/opt/mine")
    assert [found.command for found in toolchain.available()] == [("/opt/mine",)]
    with pytest.raises(ToolchainError, match=r"^/opt/mine does not run: .*No such file"):
        toolchain.find().compile([tmp_path / "a.S"], tmp_path / "a.elf")
