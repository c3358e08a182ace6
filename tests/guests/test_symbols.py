"""Names of addresses, and addresses of names."""

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from sdeiviz.guests import GUESTS, Symbols, load
from tests.guests.elf_builder import NOP, Part, elf

RAM = {"ram_base": 0x4000_0000, "ram_size": 0x0800_0000}

TEXT, DATA, ABSOLUTE, UNDEFINED = 1, 2, 0xFFF1, 0
LOCAL, GLOBAL = 0, 0x10
NOTYPE, OBJECT, FUNC, SECTION, FILE = range(5)


def with_symbols(*symbols: tuple[str, int, int, int, int]) -> bytes:
    """An ELF file with these symbols: name, type and binding, section, address, size."""
    names, table = b"\0", bytes(24)
    for name, info, section, address, size in symbols:
        table += struct.pack("<IBBHQQ", len(names), info, 0, section, address, size)
        names += name.encode() + b"\0"
    program = elf(Part(data=NOP * 16, memory_size=0x100))
    strings = b"\0" + b"".join(n + b"\0" for n in (b".text", b".data", b".symtab", b".strtab"))
    offsets = [len(program), len(program) + len(table), len(program) + len(table) + len(names)]
    headers = [
        (0,) * 10,
        (1, 1, 6, 0x4008_0000, 120, 0x40, 0, 0, 4, 0),
        (7, 1, 3, 0x4008_0080, 120, 0x40, 0, 0, 4, 0),
        (13, 2, 0, 0, offsets[0], len(table), 4, 0, 8, 24),
        (21, 3, 0, 0, offsets[1], len(names), 0, 0, 1, 0),
        (0, 3, 0, 0, offsets[2], len(strings), 0, 0, 1, 0),
    ]
    body = program + table + names + strings
    header = bytearray(body[:64])
    struct.pack_into("<Q", header, 40, len(body))
    struct.pack_into("<HHH", header, 58, 64, len(headers), 5)
    return bytes(header) + body[64:] + b"".join(struct.pack("<IIQQQQIIQQ", *h) for h in headers)


def symbols_of(tmp_path: Path, *symbols: tuple[str, int, int, int, int]) -> Symbols:
    path = tmp_path / "guest.elf"
    path.write_bytes(with_symbols(*symbols))
    return load(path, **RAM).symbols


def test_an_address_is_named_by_the_symbol_before_it(tmp_path: Path) -> None:
    symbols = symbols_of(
        tmp_path,
        ("sized", GLOBAL | FUNC, TEXT, 0x4008_0000, 8),
        ("label", LOCAL | NOTYPE, TEXT, 0x4008_0010, 0),
        ("value", GLOBAL | OBJECT, DATA, 0x4008_0080, 8),
        ("end", GLOBAL | NOTYPE, DATA, 0x4008_00C0, 0),
    )
    assert symbols.name_at(0x4007_FFFC) is None
    assert symbols.name_at(0x4008_0000) == "sized"
    assert symbols.name_at(0x4008_0004) == "sized+0x4"
    assert symbols.name_at(0x4008_0008) is None  # after its end
    assert symbols.name_at(0x4008_0010) == "label"
    assert symbols.name_at(0x4008_003C) == "label+0x2c"
    assert symbols.name_at(0x4008_0040) is None  # after the end of its section
    assert symbols.name_at(0x4008_0087) == "value+0x7"
    assert symbols.name_at(0x4008_00C0) == "end"  # names the first address after its section
    assert symbols.name_at(0x4008_00C1) is None
    assert symbols.name_at(1 << 64) is None
    assert symbols.address_of("label") == 0x4008_0010
    assert symbols.address_of("nobody") is None
    assert symbols.names == ("sized", "label", "value", "end")


def test_names_of_no_place_are_left_out(tmp_path: Path) -> None:
    symbols = symbols_of(
        tmp_path,
        ("guest.S", LOCAL | FILE, ABSOLUTE, 0, 0),
        (".text", LOCAL | SECTION, TEXT, 0x4008_0000, 0),
        ("$x", LOCAL | NOTYPE, TEXT, 0x4008_0000, 0),
        ("constant", LOCAL | NOTYPE, ABSOLUTE, 0x4008_0004, 0),
        ("elsewhere", GLOBAL | NOTYPE, UNDEFINED, 0x4008_0008, 0),
        ("odd", GLOBAL | NOTYPE, 77, 0x4008_0008, 0),
        ("", LOCAL | NOTYPE, TEXT, 0x4008_0008, 0),
    )
    assert symbols.names == ()
    assert symbols.name_at(0x4008_0008) is None


def test_a_global_name_goes_before_a_local_one(tmp_path: Path) -> None:
    symbols = symbols_of(
        tmp_path,
        ("local", LOCAL | FUNC, TEXT, 0x4008_0000, 0),
        ("known", GLOBAL | FUNC, TEXT, 0x4008_0000, 0),
        ("twice", LOCAL | FUNC, TEXT, 0x4008_0008, 0),
        ("twice", GLOBAL | FUNC, TEXT, 0x4008_000C, 0),
    )
    assert symbols.name_at(0x4008_0000) == "known"
    assert symbols.address_of("local") == 0x4008_0000
    assert symbols.address_of("twice") == 0x4008_000C


def test_an_image_without_a_symbol_table_has_no_names(tmp_path: Path) -> None:
    path = tmp_path / "guest.elf"
    path.write_bytes(elf(Part()))
    symbols = load(path, **RAM).symbols
    assert symbols.name_at(0x4008_0000) is None
    assert symbols.names == ()


@pytest.mark.parametrize("name", GUESTS)
def test_bundled_guests_agree_with_pyelftools(name: str) -> None:
    image = load(name, **RAM)
    with GUESTS[name].elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        expected = {
            symbol.name: symbol["st_value"]
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] in ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC")
            and isinstance(symbol["st_shndx"], int)
            and not symbol.name.startswith("$")
        }
    assert {name: image.symbols.address_of(name) for name in image.symbols.names} == expected
