"""Read the headers of an ELF file, and believe nothing in them.

The file may come from anywhere, so every offset and size is checked against the file before it
is used. What a guest needs to run (file header, program headers) must be right; what only helps
to look at it (sections) may be missing or broken.

Layouts: System V ABI chapters 4 and 5; numbers of the machine: ELF for the Arm 64-bit
Architecture.
"""

import struct
import zlib
from functools import cached_property
from typing import NamedTuple

from sdeiviz.errors import ImageError

MAGIC = b"\x7fELF"

_CLASS_64 = 2
_LITTLE_ENDIAN = 1
_MACHINE_AARCH64 = 183
_TYPE_REL, _TYPE_EXEC, _TYPE_DYN = 1, 2, 3
_PT_LOAD, _PT_INTERP = 1, 3
_SHT_NOBITS = 8
_SHF_EXECINSTR = 1 << 2
_SHF_COMPRESSED = 1 << 11
_COMPRESSED_ZLIB = 1

_FILE_HEADER = struct.Struct("<HHIQQQIHHHHHH")  # from byte 16 on, after e_ident
_FILE_HEADER_SIZE = 64
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_COMPRESSION_HEADER = struct.Struct("<IIQQ")

# Larger than any symbol or line table worth reading: a compressed section may claim terabytes.
_MAX_SECTION = 64 << 20
# A longer name is cut: otherwise a million symbols could share one name of a megabyte.
_MAX_STRING = 1024


class ProgramHeader(NamedTuple):
    """A segment to load: addresses, and sizes in bytes."""

    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int


class Section(NamedTuple):
    """A section header: addresses, and sizes in bytes."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


class Elf:
    """An arm64 program as its headers describe it.

    Parameters
    ----------
    data
        The whole file.
    where
        What messages call the file.

    Raises
    ------
    ImageError
        The file is not an arm64 program that can run, or its headers do not fit the file.
    """

    entry: int
    """Where to begin, a virtual address."""

    segments: tuple[ProgramHeader, ...]
    """The segments to load that are not empty, in file order."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        if len(data) < _FILE_HEADER_SIZE:
            raise ImageError(f"{where}: the ELF header is cut off; build or copy the file again")
        if data[4] != _CLASS_64 or data[5] != _LITTLE_ENDIAN:
            raise ImageError(f"{where}: not a 64-bit little-endian ELF file; build it for aarch64")
        fields = _FILE_HEADER.unpack_from(data, 16)
        file_type, machine, _, self.entry, table, self._section_table = fields[:6]
        _, _, entry_size, count, _, self._section_count, self._section_names = fields[6:]
        if machine != _MACHINE_AARCH64:
            raise ImageError(f"{where}: built for ELF machine {machine}; build it for aarch64")
        if file_type == _TYPE_REL:
            raise ImageError(f"{where}: an object file; link it at an address in RAM first")
        if file_type not in (_TYPE_EXEC, _TYPE_DYN):
            raise ImageError(f"{where}: ELF type {file_type} is not a program; give a linked one")
        if count and entry_size != _PROGRAM_HEADER.size:
            raise ImageError(
                f"{where}: program headers of {entry_size} bytes instead of "
                f"{_PROGRAM_HEADER.size}; build the file again"
            )
        if table + count * _PROGRAM_HEADER.size > len(data):
            raise ImageError(
                f"{where}: the program headers reach beyond the end of the file; "
                "build or copy it again"
            )
        self.segments = tuple(self._read_segments(table, count, where))

    def _read_segments(self, table: int, count: int, where: str) -> list[ProgramHeader]:
        found = []
        for number in range(count):
            kind, _, *fields, _ = _PROGRAM_HEADER.unpack_from(
                self._data, table + number * _PROGRAM_HEADER.size
            )
            segment = ProgramHeader(*fields)
            if kind == _PT_INTERP:
                raise ImageError(
                    f"{where}: needs a dynamic loader, and there is none; link with -static -no-pie"
                )
            if kind != _PT_LOAD or segment.memory_size == 0:
                continue
            if segment.file_size > segment.memory_size:
                raise ImageError(
                    f"{where}: segment {number} has {segment.file_size:#x} bytes in the file and "
                    f"room for {segment.memory_size:#x} in memory; build the file again"
                )
            if segment.offset + segment.file_size > len(self._data):
                raise ImageError(
                    f"{where}: segment {number} reaches beyond the end of the file; "
                    "build or copy it again"
                )
            found.append(segment)
        if not found:
            raise ImageError(f"{where}: nothing in it to load; link it as a program")
        return found

    def bytes_of(self, segment: ProgramHeader) -> bytes:
        """Return what the file holds of a segment; the rest of its memory is zero."""
        return self._data[segment.offset : segment.offset + segment.file_size]

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Every section header in file order, as far as they can be read: none when broken."""
        headers: list[tuple[int, ...]] = []
        end = self._section_table + self._section_count * _SECTION_HEADER.size
        if not self._section_table or end > len(self._data):
            return ()
        for at in range(self._section_table, end, _SECTION_HEADER.size):
            headers.append(_SECTION_HEADER.unpack_from(self._data, at))
        names = b""
        if self._section_names < len(headers):
            offset, size = headers[self._section_names][4:6]
            names = self._data[offset : offset + size]
        return tuple(Section(string(names, header[0]), *header[1:7]) for header in headers)

    def code(self) -> tuple[tuple[int, bytes], ...]:
        """Return (address as linked, bytes) of each section that holds instructions."""
        return tuple(
            (s.address, self.contents(s)) for s in self.sections if s.flags & _SHF_EXECINSTR
        )

    def section(self, name: str) -> bytes:
        """Return the contents of a section, decompressed; empty when missing or broken."""
        return next((self.contents(s) for s in self.sections if s.name == name), b"")

    def contents(self, section: Section) -> bytes:
        """Return the contents of a section, decompressed; empty when broken or oversized."""
        data = self._data[section.offset : section.offset + section.size]
        if section.type == _SHT_NOBITS or len(data) != section.size:
            return b""
        if section.flags & _SHF_COMPRESSED:
            if len(data) < _COMPRESSION_HEADER.size:
                return b""
            kind, _, size, _ = _COMPRESSION_HEADER.unpack_from(data)
            if kind != _COMPRESSED_ZLIB or size > _MAX_SECTION:
                return b""
            try:
                data = zlib.decompressobj().decompress(data[_COMPRESSION_HEADER.size :], size)
            except zlib.error:
                return b""
        return data if len(data) <= _MAX_SECTION else b""


def string(table: bytes, offset: int) -> str:
    """Return the zero-terminated string at an offset of a string table; empty when outside."""
    return table[offset : offset + _MAX_STRING].partition(b"\0")[0].decode("utf-8", "replace")
