"""Source lines: compared with pyelftools, and with line tables made by hand."""

import os
import shutil
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from sdeiviz.guests import GUESTS, Image, SourceLine, load
from sdeiviz.guests.lines import Lines, _decode
from sdeiviz.guests.toolchain import Toolchain

RAM = {"ram_base": 0x4000_0000, "ram_size": 0x0800_0000}

PROGRAM = """\
static int twice(int value)
{
    return value + value;
}

void _start(void)
{
    static volatile int result;
    for (;;)
        result = twice(result);
}
""" + "".join(f"int add_{n}(int value) {{ return value + {n}; }}\n" for n in range(100))


def oracle(path: Path) -> dict[int, tuple[str, int]]:
    """Each address of a row, with the last part of its file's name and its line."""
    rows: dict[int, tuple[str, int]] = {}
    with path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            first = 0 if program["version"] >= 5 else 1
            sequence: dict[int, tuple[str, int]] = {}
            for entry in program.get_entries():
                if (state := entry.state) is None:
                    continue
                if state.end_sequence:  # a row right there is of no instruction
                    rows |= {at: place for at, place in sequence.items() if at < state.address}
                    sequence = {}
                    continue
                name = program["file_entry"][state.file - first].name.decode()
                sequence[state.address] = (name.rpartition("/")[2], state.line)
    return rows


def assert_agrees(image: Image) -> None:
    assert image.path is not None
    expected = oracle(image.path)
    assert expected
    for address, (file, line) in expected.items():
        place = image.lines.at(address)
        if line == 0:
            assert place is None
            continue
        assert place is not None
        assert (place.file.rpartition("/")[2], place.line) == (file, line)


@pytest.mark.parametrize("name", GUESTS)
def test_bundled_guests_agree_with_pyelftools(name: str) -> None:
    assert_agrees(load(name, **RAM))


@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("compressed", [False, True])
def test_c_of_every_version_agrees_with_pyelftools(
    version: int, compressed: bool, toolchain: Toolchain, tmp_path: Path
) -> None:
    directory = tmp_path / "source"
    (directory / "build").mkdir(parents=True)
    (directory / "guest.c").write_text(PROGRAM)
    shutil.copy(GUESTS["hello"].source.with_name("link.ld"), directory)
    output = directory / "build" / "guest.elf"
    options = (f"-gdwarf-{version}", *(["-gz=zlib"] if compressed else []))
    toolchain.compile([directory / "guest.c", directory / "link.ld"], output, options)
    with output.open("rb") as file:
        assert bool(ELFFile(file).get_section_by_name(".debug_line").compressed) == compressed
    image = load(output, **RAM)
    assert_agrees(image)
    # The source lies above the directory of the image.
    (file,) = image.lines.files
    assert image.lines.text(file) == tuple(PROGRAM.splitlines())
    assert {line for line in range(12) if image.lines.addresses("guest.c", line)} >= {3, 10}


def test_the_commented_source_of_a_bundled_guest_is_found() -> None:
    lines = load("registration", **RAM).lines
    assert lines.files == ("registration.S", "runtime.S")
    text = lines.text("registration.S")
    assert text is not None
    number = next(n for n, line in enumerate(text, 1) if "=SDEI_EVENT_REGISTER" in line)
    (address,) = lines.addresses("registration.S", number)
    assert lines.at(address) == SourceLine("registration.S", number)
    # A macro is one line for several instructions.
    number = next(n for n, line in enumerate(text, 1) if line.strip().startswith("show"))
    (address,) = lines.addresses("registration.S", number)
    assert lines.at(address) == lines.at(address + 8) == SourceLine("registration.S", number)
    assert lines.at(address + 12) != lines.at(address)
    assert lines.addresses("registration.S", 1) == ()
    assert lines.addresses("nothing.S", 1) == ()
    assert lines.at(0) is None
    assert lines.at(0x4008_0000 + 0x10_0000) is None


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "moved.elf"
    path.write_bytes(GUESTS["hello"].elf.read_bytes())
    lines = load(path, **RAM).lines
    assert lines.at(0x4008_0000) == SourceLine("hello.S", 10)
    assert lines.text("hello.S") is None
    assert lines.text("/nowhere/at/all.S") is None
    assert lines.text("zero\0byte.S") is None
    assert lines.text("") is None


def test_only_a_regular_file_of_sane_size_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "hello.elf"
    path.write_bytes(GUESTS["hello"].elf.read_bytes())
    os.mkfifo(tmp_path / "pipe.S")
    (tmp_path / "huge.S").write_bytes(b"\n" * ((1 << 20) + 1))
    (tmp_path / "large.S").write_bytes(b"\n" * (1 << 20))
    (tmp_path / "latin.S").write_bytes(b"// caf\xe9\r\nnop\n")
    lines = load(path, **RAM).lines
    assert lines.text("pipe.S") is None
    assert lines.text("huge.S") is None
    assert lines.text("large.S") == ("",) * (1 << 20)
    assert lines.text("latin.S") == ("// caf\N{REPLACEMENT CHARACTER}", "nop")
    assert lines.text(str(tmp_path / "latin.S")) == lines.text("latin.S")
    assert lines.text("/built/elsewhere/latin.S") == lines.text("latin.S")


def unit(program: bytes, version: int = 4, line_range: int = 14, names: bytes = b"") -> bytes:
    """A unit of a line table: line base -5, opcode base 13, one file called a.S."""
    names = names or b"dir\0\0" + b"a.S\0\1\0\0" + b"\0"
    rest = struct.pack("<BBBbBB", 4, 1, 1, -5, line_range, 13)
    rest += bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]) + names
    body = struct.pack("<HI", version, len(rest)) + rest + program
    return struct.pack("<I", len(body)) + body


def extended(code: int, body: bytes = b"") -> bytes:
    return bytes([0, len(body) + 1, code]) + body


SET = extended(2, struct.pack("<Q", 0x4008_0000))
END = extended(1)
COPY = b"\1"
STEP = b"\2\1"  # one instruction further


def unit5(names: bytes, program: bytes) -> bytes:
    """A unit of version 5 in the 64-bit format, with these tables of directories and files."""
    rest = struct.pack("<BBBbBB", 4, 1, 1, -5, 14, 13)
    rest += bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]) + names
    body = struct.pack("<HBBQ", 5, 8, 0, len(rest)) + rest + program
    return b"\xff\xff\xff\xff" + struct.pack("<Q", len(body)) + body


def rows(
    table: bytes, line_strings: bytes = b"", strings: bytes = b""
) -> list[tuple[int, str, int]]:
    found = []
    for sequence in _decode(table, line_strings, strings):
        for row, address in enumerate(sequence.addresses):
            place = sequence.place(row)
            found.append((address, place.file, place.line) if place else (address, "", 0))
        found.append((sequence.end, "end", 0))
    return found


GOOD = unit(SET + COPY + STEP + END)
GOOD_ROWS = [(0x4008_0000, "dir/a.S", 1), (0x4008_0004, "end", 0)]


def test_opcodes() -> None:
    program = SET + COPY  # line 1 at 0
    program += b"\3\x7d" + STEP + b"\3\5" + COPY  # advance_line -3, +5: line 3 at 4
    program += bytes([13 + 14 * 2 + 5 + 4])  # special: 2 further, line + 4: line 7 at 12
    program += b"\x08" + bytes([13 + 5])  # const_add_pc: (255 - 13) // 14 = 17 further, at 80
    program += b"\x09\x10\x00" + COPY  # fixed_advance_pc: 16 bytes, no matter the step, at 96
    program += b"\5\1\6\7\x0a\x0b\x0c\1" + STEP + b"\3\x79" + COPY  # no effect; line 0 at 100
    program += extended(0x80, b"whatever") + b"\0\0" + STEP + END
    assert rows(unit(program)) == [
        (0x4008_0000, "dir/a.S", 1),
        (0x4008_0004, "dir/a.S", 3),
        (0x4008_000C, "dir/a.S", 7),
        (0x4008_0050, "dir/a.S", 7),
        (0x4008_0060, "dir/a.S", 7),
        (0x4008_0064, "", 0),
        (0x4008_0068, "end", 0),
    ]


def test_the_last_row_at_an_address_counts() -> None:
    assert rows(unit(SET + COPY + b"\3\6" + COPY + STEP + END)) == [
        (0x4008_0000, "dir/a.S", 7),
        (0x4008_0004, "end", 0),
    ]


def test_each_sequence_begins_anew() -> None:
    first = SET + b"\4\7\3\x09" + COPY + STEP + END  # file 7, line 10
    second = extended(2, struct.pack("<Q", 0x4009_0000)) + COPY + STEP + END
    assert rows(unit(first + second)) == [
        (0x4008_0000, "", 0),
        (0x4008_0004, "end", 0),
        (0x4009_0000, "dir/a.S", 1),
        (0x4009_0004, "end", 0),
    ]


def test_a_sequence_without_length_is_none() -> None:
    assert rows(unit(SET + COPY + END)) == []
    assert rows(unit(SET + END)) == []


def test_names_of_version_5_in_every_form() -> None:
    path, directory, size, digest = b"\1", b"\2", b"\4", b"\5"
    names = b"\1" + path + b"\x1f" + b"\2"  # directories: a path in .debug_line_str each
    names += struct.pack("<QQ", 0, 6)
    # Files: directory as one byte, path in place, a block to pass over, an MD5 sum of 16 bytes.
    names += b"\4" + directory + b"\x0b" + path + b"\x08" + size + b"\x09" + digest + b"\x1e"
    names += b"\2"
    names += b"\0" + b"a.S\0" + b"\3abc" + bytes(16)
    names += b"\1" + b"b.S\0" + b"\0" + bytes(16)
    program = SET + COPY + STEP + b"\4\0" + COPY + STEP + END
    assert rows(unit5(names, program), line_strings=b"build\0sub\0") == [
        (0x4008_0000, "build/sub/b.S", 1),
        (0x4008_0004, "build/a.S", 1),
        (0x4008_0008, "end", 0),
    ]

    names = b"\1" + path + b"\x0e" + b"\1" + struct.pack("<Q", 4)  # path in .debug_str
    names += b"\3" + path + b"\x08" + directory + b"\x0f" + size + b"\x05" + b"\2"
    names += b"a.S\0\x80\0\1\1" + b"/b.S\0\0\1\1"
    assert rows(unit5(names, program), strings=b"xxx\0/made/../here\0") == [
        (0x4008_0000, "/b.S", 1),
        (0x4008_0004, "/here/a.S", 1),
        (0x4008_0008, "end", 0),
    ]

    # A number where the path should be, a path where the directory should be: no name, no line.
    names = b"\1" + path + b"\x08" + b"\1" + b"build\0"
    names += b"\2" + path + b"\x0b" + directory + b"\x08" + b"\2" + b"\1a\0" + b"\1b\0"
    assert rows(unit5(names, program)) == [
        (0x4008_0000, "build", 1),
        (0x4008_0004, "build", 1),
        (0x4008_0008, "end", 0),
    ]


BROKEN = {
    "addresses fall": unit(SET + STEP + COPY + SET + COPY + STEP + END),
    "addresses pass 2^64": unit(
        extended(2, b"\xfc" + b"\xff" * 7) + COPY + STEP + STEP + COPY + STEP + END
    ),
    "a program that ends in a number": unit(SET + COPY + STEP + END + b"\2\x80"),
    "a number of 80 bits": unit(SET + COPY + STEP + END + b"\2" + b"\xff" * 11 + b"\0"),
    "an extended opcode that ends early": unit(SET + COPY + STEP + END + extended(2, b"\1"))[:-1],
    "no range of lines": unit(SET + COPY + STEP + END, line_range=0),
    "version 1": unit(SET + COPY + STEP + END, version=1),
    "version 6": unit(SET + COPY + STEP + END, version=6),
    "a name without an end": unit(b"", names=b"dir"),
    "a file of no directory": unit(b"", names=b"\0" + b"a.S\0\1\0\0" + b"\0"),
    "version 5, endless directories": unit(b"", version=5, names=b"\0" + b"\xff" * 9 + b"\1"),
    "version 5, directories without end": unit(
        b"", version=5, names=b"\1\1\x09" + b"\xff" * 9 + b"\1"
    ),
    "version 5, an unknown form": unit(b"", version=5, names=b"\1\1\x25\1"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_unit_is_left_out(what: str) -> None:
    broken = BROKEN[what]
    # The length is made right again where the case cut something off.
    broken = struct.pack("<I", len(broken) - 4) + broken[4:]
    assert rows(broken) == []
    assert rows(GOOD + broken + GOOD) == GOOD_ROWS * 2


def test_a_table_that_is_cut_off_keeps_what_came_before() -> None:
    for end in range(len(GOOD)):
        assert rows(GOOD + GOOD[:end]) == GOOD_ROWS


class OnlyLines:
    """Stands for an ELF file that has nothing but a line table."""

    def __init__(self, table: bytes) -> None:
        self.table = table

    def section(self, name: str) -> bytes:
        return self.table if name == ".debug_line" else b""


def test_code_of_no_line_is_of_no_file() -> None:
    no_line = b"\3\x7f" + COPY + STEP  # line - 1: line 0
    wild = b"\3\x7f" + COPY + STEP  # and below zero
    back = b"\3\2" + COPY + STEP + COPY + STEP
    lines = Lines(OnlyLines(unit(SET + COPY + STEP + no_line + wild + back + END)))
    assert lines.files == ("dir/a.S",)
    assert [lines.at(0x4008_0000 + 4 * n) for n in range(-1, 6)] == [
        None,
        SourceLine("dir/a.S", 1),
        None,
        None,
        SourceLine("dir/a.S", 1),
        SourceLine("dir/a.S", 1),
        None,
    ]
    # Two stretches of code, each named by its beginning.
    assert lines.addresses("a.S", 1) == (0x4008_0000, 0x4008_000C)


def test_file_that_the_table_does_not_name() -> None:
    assert rows(unit(SET + b"\4\7" + COPY + STEP + END)) == [
        (0x4008_0000, "", 0),
        (0x4008_0004, "end", 0),
    ]
