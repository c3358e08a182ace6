"""Sections of an ELF file, which may say anything about themselves."""

import struct
import zlib

import pytest

from sdeiviz.guests.elf import Elf, Section, string
from tests.guests.elf_builder import Part, elf

COMPRESSED = 1 << 11
PLAIN = b"what the section holds"
PACKED = zlib.compress(PLAIN)


def contents(data: bytes, flags: int = 0, *, kind: int = 1, size: int | None = None) -> bytes:
    program = elf(Part())
    section = Section(
        ".debug_line", kind, flags, 0, len(program), len(data) if size is None else size, 0
    )
    return Elf(program + data, "guest.elf").contents(section)


def header(size: int, kind: int = 1) -> bytes:
    return struct.pack("<IIQQ", kind, 0, size, 1)


def test_contents() -> None:
    assert contents(PLAIN) == PLAIN
    assert contents(b"") == b""
    assert contents(header(len(PLAIN)) + PACKED, COMPRESSED) == PLAIN


BROKEN = {
    "reaches beyond the file": (PLAIN, 0, {"size": len(PLAIN) + 1}),
    "far too long": (PLAIN, 0, {"size": (1 << 64) - 1}),
    "nothing in the file": (PLAIN, 0, {"kind": 8}),
    "no room for the header of compression": (header(9)[:-1], COMPRESSED, {}),
    "only a header of compression": (header(9), COMPRESSED, {}),
    "another compression": (header(len(PLAIN), kind=2) + PACKED, COMPRESSED, {}),
    "claims 64 MiB and a byte": (header((64 << 20) + 1) + PACKED, COMPRESSED, {}),
    "not zlib": (header(len(PLAIN)) + PLAIN, COMPRESSED, {}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_section_is_empty(what: str) -> None:
    data, flags, options = BROKEN[what]
    assert contents(data, flags, **options) == b""


def test_no_more_is_unpacked_than_a_section_claims() -> None:
    bomb = zlib.compress(bytes(1 << 20))
    assert contents(header(100) + bomb, COMPRESSED) == bytes(100)


def test_string() -> None:
    assert string(b"one\0two", 0) == "one"
    assert string(b"one\0two", 4) == "two"
    assert string(b"one", 3) == ""
    assert string(b"one", 1 << 32) == ""
    assert string(b"\xff\0", 0) == "\N{REPLACEMENT CHARACTER}"
    assert string(b"x" * 5000, 0) == "x" * 1024


def test_section_headers_that_do_not_fit_are_none() -> None:
    program = bytearray(elf(Part()))
    struct.pack_into("<Q", program, 40, len(program))
    struct.pack_into("<HHH", program, 58, 64, 1, 0)
    assert Elf(bytes(program), "guest.elf").sections == ()
    # One that fits, but the section of names is none of them.
    struct.pack_into("<H", program, 62, 1)
    (section,) = Elf(bytes(program) + bytes(64), "guest.elf").sections
    assert section == Section("", 0, 0, 0, 0, 0, 0)
    assert Elf(bytes(program) + bytes(64), "guest.elf").section(".symtab") == b""
