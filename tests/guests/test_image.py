"""Loading: what goes where, where it begins, and a clear line for everything that cannot run."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from sdeiviz.errors import Error, ImageError
from sdeiviz.guests import GUESTS, Image, Segment, load
from tests.guests.elf_builder import CORE, DYN, INTERP, NOP, REL, Part, elf

RAM = {"ram_base": 0x4000_0000, "ram_size": 0x0800_0000}


def load_bytes(tmp_path: Path, data: bytes, **options: Any) -> Image:
    path = tmp_path / "guest.elf"
    path.write_bytes(data)
    return load(path, **{**RAM, **options})


def test_elf_loads_at_its_physical_addresses(tmp_path: Path) -> None:
    code = Part(0x4010_0000, NOP * 3, virtual=0xFFFF_0000_0000_0000)
    data = Part(0x4000_0000, b"data", memory_size=0x2000, virtual=0xFFFF_0000_0020_0000)
    contents = elf(code, data, entry=0xFFFF_0000_0000_0008)
    image = load_bytes(tmp_path, contents)
    assert image.segments == (
        Segment(0x4000_0000, b"data", 0x2000),
        Segment(0x4010_0000, NOP * 3, 12),
    )
    assert image.entry == 0x4010_0008
    assert image.name == "guest"
    assert image.path == tmp_path / "guest.elf"
    assert image.sha256 == hashlib.sha256(contents).hexdigest()


def test_entry_may_be_physical_where_no_virtual_address_fits(tmp_path: Path) -> None:
    part = Part(0x4010_0000, NOP * 3, virtual=0xFFFF_0000_0000_0000)
    assert load_bytes(tmp_path, elf(part, entry=0x4010_0004)).entry == 0x4010_0004


def test_entry_can_be_given(tmp_path: Path) -> None:
    part = Part(0x4010_0000, NOP * 3, virtual=0x1000)
    assert load_bytes(tmp_path, elf(part, entry=0x1000), entry=0x1004).entry == 0x4010_0004


def test_segments_may_touch_each_other_and_the_ends_of_ram(tmp_path: Path) -> None:
    parts = (
        Part(0x4000_0000, NOP, memory_size=0x1000),
        Part(0x4000_1000, NOP, memory_size=0x07FF_F000),
    )
    image = load_bytes(tmp_path, elf(*parts, entry=0x4000_0000))
    assert [s.address + s.memory_size for s in image.segments] == [0x4000_1000, 0x4800_0000]


def test_other_program_headers_and_empty_segments_are_passed_over(tmp_path: Path) -> None:
    note = Part(0, b"note", kind=4)
    empty = Part(0, b"", memory_size=0)
    assert len(load_bytes(tmp_path, elf(note, Part(), empty)).segments) == 1


def test_position_independent_program_without_a_loader_runs_where_it_is_linked(
    tmp_path: Path,
) -> None:
    assert load_bytes(tmp_path, elf(Part(), kind=DYN)).entry == 0x4008_0000


def test_flat_image_goes_where_it_is_told(tmp_path: Path) -> None:
    image = load_bytes(tmp_path, NOP * 5, load=0x4020_0000)
    assert image.segments == (Segment(0x4020_0000, NOP * 5, 20),)
    assert image.entry == 0x4020_0000
    assert image.symbols.name_at(0x4020_0000) is None
    assert image.lines.at(0x4020_0000) is None
    assert load_bytes(tmp_path, NOP * 5, load=0x4020_0000, entry=0x4020_0010).entry == 0x4020_0010


FLAT = {"load": 0x4008_0000}
BIG = 1 << 64

# What is wrong, the file, options, and the whole message after the name of the file.
BAD: dict[str, tuple[bytes, dict[str, int], str]] = {
    "empty": (b"", {}, "an empty file; build or copy it again"),
    "empty, flat": (b"", FLAT, "an empty file; build or copy it again"),
    "not an ELF file": (
        b"#!/bin/sh\n",
        {},
        "not an ELF file; for a flat image say where it goes, such as --load 0x40080000",
    ),
    "one byte": (
        b"\x7f",
        {},
        "not an ELF file; for a flat image say where it goes, such as --load 0x40080000",
    ),
    "ELF with --load": (
        elf(Part()),
        FLAT,
        "an ELF file says itself where it loads; leave out --load",
    ),
    "only the magic": (
        b"\x7fELF",
        {},
        "the ELF header is cut off; build or copy the file again",
    ),
    "header cut off": (
        elf(Part())[:63],
        {},
        "the ELF header is cut off; build or copy the file again",
    ),
    "32 bits": (
        elf(Part(), bits=1),
        {},
        "not a 64-bit little-endian ELF file; build it for aarch64",
    ),
    "big-endian": (
        elf(Part(), order=2),
        {},
        "not a 64-bit little-endian ELF file; build it for aarch64",
    ),
    "x86-64": (elf(Part(), machine=62), {}, "built for ELF machine 62; build it for aarch64"),
    "object file": (
        elf(Part(), kind=REL),
        {},
        "an object file; link it at an address in RAM first",
    ),
    "core dump": (
        elf(Part(), kind=CORE),
        {},
        "ELF type 4 is not a program; give a linked one",
    ),
    "dynamic": (
        elf(Part(kind=INTERP, data=b"/lib/ld.so\0"), Part(), kind=DYN),
        {},
        "needs a dynamic loader, and there is none; link with -static -no-pie",
    ),
    "shared library at 0": (
        elf(Part(physical=0), kind=DYN, entry=0),
        {},
        "a segment at 0x0-0x10 is outside RAM (0x40000000-0x48000000); "
        "there are only devices below RAM, load it higher",
    ),
    "program headers of another size": (
        elf(Part(), entry_size=32),
        {},
        "program headers of 32 bytes instead of 56; build the file again",
    ),
    "program headers cut off": (
        elf(Part())[:100],
        {},
        "the program headers reach beyond the end of the file; build or copy it again",
    ),
    "program headers far away": (
        elf(Part(), table=BIG - 1),
        {},
        "the program headers reach beyond the end of the file; build or copy it again",
    ),
    "too many program headers": (
        elf(Part(), count=0xFFFF),
        {},
        "the program headers reach beyond the end of the file; build or copy it again",
    ),
    "no program headers": (elf(), {}, "nothing in it to load; link it as a program"),
    "nothing to load": (
        elf(Part(kind=4), Part(memory_size=0, data=b"")),
        {},
        "nothing in it to load; link it as a program",
    ),
    "segment cut off": (
        elf(Part())[:-1],
        {},
        "segment 0 reaches beyond the end of the file; build or copy it again",
    ),
    "segment far away in the file": (
        elf(Part(offset=BIG - 8)),
        {},
        "segment 0 reaches beyond the end of the file; build or copy it again",
    ),
    "segment of nearly 2^64 bytes in the file": (
        elf(Part(file_size=BIG - 16, memory_size=BIG - 16)),
        {},
        "segment 0 reaches beyond the end of the file; build or copy it again",
    ),
    "more in the file than in memory": (
        elf(Part(memory_size=8)),
        {},
        "segment 0 has 0x10 bytes in the file and room for 0x8 in memory; build the file again",
    ),
    "segment of nearly 2^64 bytes": (
        elf(Part(memory_size=BIG - 1)),
        {},
        "a segment at 0x40080000-0x1000000004007ffff is outside RAM (0x40000000-0x48000000); "
        "load it lower or give the machine more memory",
    ),
    "segment at nearly 2^64": (
        elf(Part(physical=BIG - 16)),
        {},
        "a segment at 0xfffffffffffffff0-0x10000000000000000 is outside RAM "
        "(0x40000000-0x48000000); load it lower or give the machine more memory",
    ),
    "segment over the UART": (
        elf(Part(physical=0x0900_0000)),
        {},
        "a segment at 0x9000000-0x9000010 is outside RAM (0x40000000-0x48000000); "
        "there are only devices below RAM, load it higher",
    ),
    "segment begins below RAM": (
        elf(Part(physical=0x3FFF_FFFC)),
        {},
        "a segment at 0x3ffffffc-0x4000000c is outside RAM (0x40000000-0x48000000); "
        "there are only devices below RAM, load it higher",
    ),
    "segment ends above RAM": (
        elf(Part(), Part(physical=0x47FF_FFF4)),
        {},
        "a segment at 0x47fffff4-0x48000004 is outside RAM (0x40000000-0x48000000); "
        "load it lower or give the machine more memory",
    ),
    "BSS ends above RAM": (
        elf(Part(memory_size=0x0800_0000)),
        {},
        "a segment at 0x40080000-0x48080000 is outside RAM (0x40000000-0x48000000); "
        "load it lower or give the machine more memory",
    ),
    "overlapping": (
        elf(Part(0x4008_0008), Part(0x4008_0000)),
        {},
        "two segments overlap at 0x40080008; mend the link script",
    ),
    "BSS over code": (
        elf(Part(0x4008_0000, memory_size=0x2000), Part(0x4008_1000)),
        {},
        "two segments overlap at 0x40081000; mend the link script",
    ),
    "entry outside": (
        elf(Part(), entry=0x4008_0010),
        {},
        "no code at entry 0x40080010; give --entry inside a segment",
    ),
    "entry 0": (
        elf(Part(), entry=0),
        {},
        "no code at entry 0x0; give --entry inside a segment",
    ),
    "entry at nearly 2^64": (
        elf(Part(), entry=BIG - 4),
        {},
        "no code at entry 0xfffffffffffffffc; give --entry inside a segment",
    ),
    "entry in the BSS": (
        elf(Part(memory_size=0x1000), entry=0x4008_0800),
        {},
        "no code at entry 0x40080800; give --entry inside a segment",
    ),
    "entry between instructions": (
        elf(Part(), entry=0x4008_0002),
        {},
        "entry 0x40080002 is not a multiple of 4; give another --entry",
    ),
    "entry given outside": (
        elf(Part()),
        {"entry": 0x4000_0000},
        "no code at entry 0x40000000; give --entry inside a segment",
    ),
    "flat outside RAM": (
        NOP,
        {"load": 0},
        "the image at 0x0-0x4 is outside RAM (0x40000000-0x48000000); "
        "there are only devices below RAM, load it higher",
    ),
    "flat at nearly 2^64": (
        NOP,
        {"load": BIG - 1},
        "the image at 0xffffffffffffffff-0x10000000000000003 is outside RAM "
        "(0x40000000-0x48000000); load it lower or give the machine more memory",
    ),
    "flat at a negative address": (
        NOP,
        {"load": -4},
        "the image at -0x4-0x0 is outside RAM (0x40000000-0x48000000); "
        "there are only devices below RAM, load it higher",
    ),
    "flat, entry outside": (
        NOP,
        {"load": 0x4008_0000, "entry": 0x4008_0004},
        "no code at entry 0x40080004; give --entry inside a segment",
    ),
    "flat, loaded between instructions": (
        NOP,
        {"load": 0x4008_0001},
        "entry 0x40080001 is not a multiple of 4; give another --entry",
    ),
    "flat, cut short of an instruction": (
        NOP[:3],
        FLAT,
        "no code at entry 0x40080000; give --entry inside a segment",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_clear_line(what: str, tmp_path: Path) -> None:
    data, options, message = BAD[what]
    with pytest.raises(ImageError) as caught:
        load_bytes(tmp_path, data, **options)
    assert str(caught.value) == f"{tmp_path / 'guest.elf'}: {message}"


def message_for(image: str | Path) -> str:
    with pytest.raises(ImageError) as caught:
        load(image, **RAM)
    assert isinstance(caught.value, Error)
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert message_for(tmp_path) == f"{tmp_path}: a directory; give the file of a guest"
    assert message_for(tmp_path / "pipe").endswith(
        "pipe: not a regular file; give the file of a guest"
    )
    assert message_for(tmp_path / "no.elf").endswith(
        "no.elf: cannot be read: No such file or directory; check the path"
    )
    assert message_for("zero\0byte.elf") == (
        "zero?byte.elf: cannot be read: embedded null byte; check the path"
    )
    assert message_for("two\nlines.elf") == (
        "two?lines.elf: cannot be read: No such file or directory; check the path"
    )
    assert message_for("") == "(no name): a directory; give the file of a guest"
    huge = tmp_path / "huge.elf"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert message_for(huge).endswith("huge.elf: larger than 1 GiB; strip its debug sections")


def test_bundled_guests_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("delivery", **RAM).name == "delivery"

    # A file of the same name needs a separator or a suffix; a Path always is a file.
    (tmp_path / "delivery").write_bytes(elf(Part(data=NOP)))
    (tmp_path / "other").write_bytes(elf(Part(data=NOP)))
    assert len(load("delivery", **RAM).segments[0].data) > 4
    for image in ("./delivery", str(tmp_path / "delivery"), Path("delivery"), "other"):
        assert load(image, **RAM).segments[0].data == NOP

    assert message_for("deliverry") == (
        "deliverry: no such file or bundled guest; bundled are hello, registration, delivery, "
        "levels, selftest_hypercalls, selftest_sdei, client_driver, counter, counter_memory, "
        "spin, kernel"
    )


@pytest.mark.parametrize("name", GUESTS)
def test_bundled_guests_load(name: str) -> None:
    image = load(name, **RAM)
    assert image.entry == image.segments[0].address == 0x4008_0000
    assert image.symbols.address_of("_start") == 0x4008_0000
    # The data and BSS segment, with the stack, holds zeros beyond what the file has.
    assert image.segments[1].memory_size > len(image.segments[1].data)
    assert not GUESTS[name].summary.endswith(".")
