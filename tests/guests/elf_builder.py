"""Make small ELF files by hand, right ones and wrong ones."""

import struct
from typing import NamedTuple

NOP = bytes.fromhex("1f2003d5")
EXEC, DYN, REL, CORE = 2, 3, 1, 4
LOAD, INTERP = 1, 3


class Part(NamedTuple):
    """A program header and its bytes; what is None follows from the others."""

    physical: int = 0x4008_0000
    data: bytes = NOP * 4
    memory_size: int | None = None
    virtual: int | None = None
    file_size: int | None = None
    offset: int | None = None
    kind: int = LOAD


def elf(
    *parts: Part,
    entry: int = 0x4008_0000,
    machine: int = 183,
    bits: int = 2,
    order: int = 1,
    kind: int = EXEC,
    entry_size: int = 56,
    count: int | None = None,
    table: int = 64,
) -> bytes:
    """An ELF file: file header, program headers, then the bytes of each part."""
    ident = b"\x7fELF" + bytes([bits, order, 1]) + bytes(9)
    number = len(parts) if count is None else count
    fields = (kind, machine, 1, entry, table, 0, 0, 64, entry_size, number, 64, 0, 0)
    header = ident + struct.pack("<HHIQQQIHHHHHH", *fields)
    programs, body = b"", b""
    start = 64 + 56 * len(parts)
    for part in parts:
        offset = start + len(body) if part.offset is None else part.offset
        file_size = len(part.data) if part.file_size is None else part.file_size
        virtual = part.physical if part.virtual is None else part.virtual
        memory = file_size if part.memory_size is None else part.memory_size
        numbers = (part.kind, 7, offset, virtual, part.physical, file_size, memory, 4)
        programs += struct.pack("<IIQQQQQQ", *numbers)
        body += part.data
    return header + programs + body
