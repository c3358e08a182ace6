"""Memory as a hexdump."""

from typing import Final

from sdeiviz.views import markup

_ROW: Final = 16


def rows(address: int, data: bytes) -> list[tuple[int, str, str]]:
    r"""Return (address, hexadecimal bytes, printable characters) for each 16 bytes.

    >>> rows(0x40000000, b"Hi\n")
    [(1073741824, '48 69 0a', 'Hi.')]
    """
    table = []
    for offset in range(0, len(data), _ROW):
        chunk = data[offset : offset + _ROW]
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk)
        table.append((address + offset, chunk.hex(" "), characters))
    return table


def text(address: int, data: bytes) -> str:
    """Return a hexdump.

    >>> print(text(0x40000000, b"SDEI"))
    40000000  53 44 45 49                                       SDEI
    """
    return "\n".join(
        f"{at:08x}  {digits:<{_ROW * 3 - 1}}   {chars}" for at, digits, chars in rows(address, data)
    )


def html(address: int, data: bytes) -> str:
    """Return a hexdump as a table."""
    dump = [(f"{at:08x}", digits, chars) for at, digits, chars in rows(address, data)]
    return markup.table("Memory", ("address", "bytes", "characters"), dump, (0, 1, 2))
