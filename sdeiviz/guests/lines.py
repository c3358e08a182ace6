"""From an address to the line of source it was built from, and back.

Decodes DWARF line tables, versions 2 to 5 (DWARF 5, section 6.2), of assembly and of C. The
tables are read when first asked for. They may come from anywhere, so each unit is decoded within
its own bounds, and one that makes no sense is as good as none.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from posixpath import basename, join, normpath
from typing import NamedTuple

from sdeiviz.guests.elf import Elf, string

_MAX_TABLE = 16 << 20
_MAX_SOURCE = 1 << 20

# Opcodes (DWARF 5, 7.22), what a file entry consists of (6.2.4.1), and in which form (7.5.6).
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE = 1, 2, 3, 4
_CONST_ADD_PC, _FIXED_ADVANCE_PC = 8, 9
_END_SEQUENCE, _SET_ADDRESS = 1, 2
_PATH, _DIRECTORY = 1, 2
_STRING, _BLOCK, _STRP, _UDATA, _LINE_STRP = 0x08, 0x09, 0x0E, 0x0F, 0x1F
_DATA_SIZES = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}

_ADDRESSES = (1 << 64) - 1


class SourceLine(NamedTuple):
    """One line of one source file; lines count from 1."""

    file: str
    line: int


class Lines:
    """The source lines of one image.

    Parameters
    ----------
    elf
        The file, or None for an image without line tables.
    path
        Where the file is: its sources are looked for from there.
    """

    def __init__(self, elf: Elf | None = None, path: Path | None = None) -> None:
        self._elf = elf
        self._path = path
        self._texts: dict[str, tuple[str, ...] | None] = {}

    def at(self, address: int) -> SourceLine | None:
        """Return the line that the instruction at an address (as linked) was built from."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._sequences[index].end:
            return None
        sequence = self._sequences[index]
        return sequence.place(bisect_right(sequence.addresses, address) - 1)

    def addresses(self, file: str, line: int) -> tuple[int, ...]:
        """Return where the code of a line begins, lowest first; several when it was copied.

        ``file`` is a name out of `files`, or the last part of one. Empty when the line has no code.
        """
        found = (
            self._places.get(SourceLine(name, line), ())
            for name in self.files
            if file in (name, basename(name))
        )
        return tuple(sorted(address for addresses in found for address in addresses))

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the source files that have code, sorted."""
        return tuple(sorted({place.file for place in self._places}))

    def text(self, file: str) -> tuple[str, ...] | None:
        """Return the lines of a source file, or None when it cannot be found or read.

        Looked for where the line table says, and then, for a build that was moved, from the
        directory of the image upwards.
        """
        if file not in self._texts:
            texts = (_read(path) for path in self._candidates(file))
            self._texts[file] = next((text for text in texts if text is not None), None)
        return self._texts[file]

    def _candidates(self, file: str) -> list[Path]:
        if self._path is None:
            return []
        here = self._path.resolve().parent
        if file.startswith("/"):
            return [Path(file), here / basename(file)]
        return [directory / file for directory in (here, *here.parents)]

    @cached_property
    def _sequences(self) -> list["_Sequence"]:
        if self._elf is None:
            return []
        table, line_strings, strings = (
            self._elf.section(name) for name in (".debug_line", ".debug_line_str", ".debug_str")
        )
        if len(table) > _MAX_TABLE:
            return []
        return sorted(_decode(table, line_strings, strings), key=lambda sequence: sequence.start)

    @cached_property
    def _starts(self) -> list[int]:
        return [sequence.start for sequence in self._sequences]

    @cached_property
    def _places(self) -> dict[SourceLine, list[int]]:
        """Where the code of each line begins: one address for each stretch of it."""
        places: dict[SourceLine, list[int]] = {}
        for sequence in self._sequences:
            before = None
            for row, address in enumerate(sequence.addresses):
                place = sequence.place(row)
                if place is not None and place != before:
                    places.setdefault(place, []).append(address)
                before = place
        return places


def _read(path: Path) -> tuple[str, ...] | None:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_SOURCE:
            return None
        return tuple(path.read_text("utf-8", "replace").splitlines())
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return None


class _Sequence:
    """Rows of a line table with rising addresses; kept flat, for a large program has millions."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.addresses = array("Q")
        self.files = array("Q")
        self.lines = array("Q")
        self.end = 0

    @property
    def start(self) -> int:
        return self.addresses[0]

    def add(self, address: int, file: int, line: int) -> None:
        """Append a row. Of several rows at one address the last one counts."""
        if self.addresses and address <= self.addresses[-1]:
            if address < self.addresses[-1]:
                raise _BrokenTableError
            del self.addresses[-1], self.files[-1], self.lines[-1]
        self.addresses.append(address)
        self.files.append(file)
        self.lines.append(line)

    def place(self, row: int) -> SourceLine | None:
        """Return the place of a row; line 0 stands for code that no line gave rise to."""
        file, line = self.files[row], self.lines[row]
        if not 0 < line < 1 << 31 or file >= len(self.names) or not self.names[file]:
            return None
        return SourceLine(self.names[file], line)


class _BrokenTableError(Exception):
    """The table ends early or contradicts itself."""


class _Reader:
    """Takes numbers and strings off a piece of a section, and never reads beyond it."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        if end > len(data):
            raise _BrokenTableError
        self.data, self.at, self.end = data, at, end

    def take(self, size: int) -> bytes:
        at, self.at = self.at, self.at + size
        if self.at > self.end:
            raise _BrokenTableError
        return self.data[at : self.at]

    def number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def leb(self, signed: bool = False) -> int:
        """Take a number of 7 bits a byte (7.6), at most 64 bits of it."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                negative = signed and byte & 0x40
                return value - (1 << shift + 7) if negative else value & _ADDRESSES
        raise _BrokenTableError

    def string(self) -> str:
        zero = self.data.find(b"\0", self.at, self.end)
        if zero < 0:
            raise _BrokenTableError
        return self.take(zero + 1 - self.at)[:-1].decode("utf-8", "replace")


def _decode(table: bytes, line_strings: bytes, strings: bytes) -> Iterator[_Sequence]:
    """Decode a ``.debug_line`` section, leaving out the units that are broken."""
    at = 0
    while at < len(table):
        reader = _Reader(table, at, len(table))
        at = len(table)  # until the header says where the next unit is
        try:
            size, offset_size = reader.number(4), 4
            if size == 0xFFFFFFFF:
                size, offset_size = reader.number(8), 8
            at = reader.at + size
            unit = _Unit(_Reader(table, reader.at, at), offset_size, line_strings, strings)
            sequences = list(unit.sequences())
        except _BrokenTableError:
            continue
        yield from sequences


class _Unit:
    """The line table of one compilation unit: a header, then a program that makes the rows."""

    def __init__(
        self, reader: _Reader, offset_size: int, line_strings: bytes, strings: bytes
    ) -> None:
        self._reader = reader
        self._offset_size = offset_size
        self._string_tables = {_LINE_STRP: line_strings, _STRP: strings}
        version = reader.number(2)
        if not 2 <= version <= 5:
            raise _BrokenTableError
        if version == 5:
            reader.take(2)  # sizes of an address and of a segment selector
        header_size = reader.number(offset_size)
        program = reader.at + header_size
        self._step = reader.number(1)
        if version >= 4:
            reader.take(1)  # operations per instruction: 1 on arm64
        reader.take(1)  # whether rows are statements by default: all rows serve us
        self._line_base = reader.number(1, signed=True)
        self._line_range = reader.number(1)
        self._opcode_base = reader.number(1)
        self._operands = [0, *reader.take(max(self._opcode_base - 1, 0))]
        if self._line_range == 0:
            raise _BrokenTableError
        self._read_names(version)
        if not reader.at <= program <= reader.end:
            raise _BrokenTableError
        reader.at = program

    def _read_names(self, version: int) -> None:
        """Read the directories and the files, as paths from the directory of the build."""
        reader = self._reader
        self._directories, self._names = [""], [""]  # before version 5 both count from 1
        if version == 5:
            self._directories = [path for path, _ in self._entries()]
            self._names = [self._path(path, directory) for path, directory in self._entries()]
            return
        while name := reader.string():
            self._directories.append(name)
        while name := reader.string():
            directory, _, _ = reader.leb(), reader.leb(), reader.leb()  # and time, and size
            self._names.append(self._path(name, directory))

    def _path(self, name: str, directory: int) -> str:
        if directory >= len(self._directories):
            raise _BrokenTableError
        build = self._directories[0]  # the directory that relative ones start from
        return normpath(join(build, self._directories[directory] if directory else "", name))

    def _entries(self) -> Iterator[tuple[str, int]]:
        """Take a version 5 table of paths, each with the number of its directory."""
        reader = self._reader
        formats = [(reader.leb(), reader.leb()) for _ in range(reader.number(1))]
        count = reader.leb()
        if count and not formats:  # endless: entries of no bytes
            raise _BrokenTableError
        for _ in range(count):
            path, directory = "", 0
            for content, form in formats:
                value = self._value(form)
                if content == _PATH and isinstance(value, str):
                    path = value
                elif content == _DIRECTORY and isinstance(value, int):
                    directory = value
            yield path, directory

    def _value(self, form: int) -> str | int:
        reader = self._reader
        if form == _STRING:
            return reader.string()
        if form in self._string_tables:
            return string(self._string_tables[form], reader.number(self._offset_size))
        if form == _UDATA:
            return reader.leb()
        if form == _BLOCK:
            return int.from_bytes(reader.take(reader.leb()), "little")
        if form in _DATA_SIZES:
            return reader.number(_DATA_SIZES[form])
        raise _BrokenTableError

    def sequences(self) -> Iterator[_Sequence]:
        """Run the program (6.2.5): each instruction moves a place on, some of them note it."""
        reader = self._reader
        sequence = _Sequence(self._names)
        address, file, line = 0, 1, 1
        while reader.at < reader.end:
            opcode = reader.number(1)
            if opcode >= self._opcode_base:
                lines, steps = self._special(opcode)
                line += lines
                address += steps
                sequence.add(address & _ADDRESSES, file, line & _ADDRESSES)
            elif opcode == 0:
                size = reader.leb()
                body = _Reader(reader.data, reader.at, min(reader.at + size, reader.end))
                reader.at = body.end
                if size == 0:
                    continue
                extended = body.number(1)
                if extended == _END_SEQUENCE:
                    sequence.end = address & _ADDRESSES
                    if sequence.addresses and sequence.start < sequence.end:
                        yield sequence
                    sequence = _Sequence(self._names)
                    address, file, line = 0, 1, 1
                elif extended == _SET_ADDRESS:
                    address = body.number(min(size - 1, 8))
            elif opcode == _COPY:
                sequence.add(address & _ADDRESSES, file, line & _ADDRESSES)
            elif opcode == _ADVANCE_PC:
                address += reader.leb() * self._step
            elif opcode == _ADVANCE_LINE:
                line += reader.leb(signed=True)
            elif opcode == _SET_FILE:
                file = reader.leb()
            elif opcode == _CONST_ADD_PC:
                address += self._special(255)[1]
            elif opcode == _FIXED_ADVANCE_PC:
                address += reader.number(2)
            else:  # columns, statements, blocks and what later versions add
                for _ in range(self._operands[opcode]):
                    reader.leb()

    def _special(self, opcode: int) -> tuple[int, int]:
        """Return what a special opcode adds to the line and to the address (6.2.5.1)."""
        steps, lines = divmod(opcode - self._opcode_base, self._line_range)
        return self._line_base + lines, steps * self._step
