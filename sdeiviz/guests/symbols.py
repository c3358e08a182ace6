"""The names that a guest's addresses have: its ELF symbol table."""

import struct
from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

from sdeiviz.guests.elf import Elf, string

_SHT_SYMTAB = 2
_SYMBOL = struct.Struct("<IBBHQQ")
_GLOBAL = 1
_OBJECT_OR_CODE = (0, 1, 2)  # STT_NOTYPE (labels in assembly), STT_OBJECT, STT_FUNC
_UNDEFINED, _FIRST_RESERVED = 0, 0xFF00  # section indexes: neither is a place in memory


class _Symbol(NamedTuple):
    address: int
    end: int
    name: str


class Symbols:
    """Looks names up, both ways. Reads the symbol table when first asked.

    Parameters
    ----------
    elf
        The file, or None for an image without symbols. A broken table is as good as none.
    """

    def __init__(self, elf: Elf | None = None) -> None:
        self._elf = elf
        self._mapping: list[tuple[int, bool]] = []
        """Where code ($x) and data ($d) begin within a section: (address, data)."""

    def is_data(self, address: int) -> bool:
        """Tell whether an address within code holds data, such as a literal pool."""
        marks = self._marks
        index = bisect_right(marks, (address, True)) - 1
        return index >= 0 and marks[index][1]

    @cached_property
    def _marks(self) -> list[tuple[int, bool]]:
        return sorted(self._mapping) if self._read else []

    def name_at(self, address: int) -> str | None:
        """Return what an address (as linked) is called, such as ``"handler+0x10"``.

        None when it belongs to no symbol. A label without a size, as in assembly, reaches to the
        next one or to the end of its section.
        """
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._table[index].end:
            return None
        symbol = self._table[index]
        offset = address - symbol.address
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def address_of(self, name: str) -> int | None:
        """Return the address (as linked) of a symbol, or None when there is no such name."""
        return self._addresses.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, ordered by address."""
        return tuple(sorted(self._addresses, key=lambda name: self._addresses[name]))

    @cached_property
    def _table(self) -> list[_Symbol]:
        """One symbol for each address: a global one rather than a local one."""
        best: dict[int, _Symbol] = {}
        for symbol in self._read:
            best.setdefault(symbol.address, symbol)
        return [best[address] for address in sorted(best)]

    @cached_property
    def _starts(self) -> list[int]:
        return [symbol.address for symbol in self._table]

    @cached_property
    def _addresses(self) -> dict[str, int]:
        addresses: dict[str, int] = {}
        for symbol in self._read:
            addresses.setdefault(symbol.name, symbol.address)
        return addresses

    @cached_property
    def _read(self) -> list[_Symbol]:
        """Every symbol that names a place, global ones first."""
        if self._elf is None:
            return []
        sections = self._elf.sections
        table = next((s for s in sections if s.type == _SHT_SYMTAB), None)
        if table is None or table.link >= len(sections):
            return []
        names = self._elf.contents(sections[table.link])
        data = self._elf.contents(table)
        global_symbols: list[_Symbol] = []
        local_symbols: list[_Symbol] = []
        whole = len(data) - len(data) % _SYMBOL.size
        for offset, info, _, index, address, size in _SYMBOL.iter_unpack(data[:whole]):
            name = string(names, offset)
            if (
                info & 0xF not in _OBJECT_OR_CODE
                or index == _UNDEFINED
                or index >= min(len(sections), _FIRST_RESERVED)
                or not name
            ):
                continue
            if name.startswith("$"):
                self._mapping.append((address, name.startswith("$d")))
                continue
            section = sections[index]
            end = address + size if size else max(section.address + section.size, address + 1)
            group = global_symbols if info >> 4 == _GLOBAL else local_symbols
            group.append(_Symbol(address, end, name))
        return global_symbols + local_symbols
