"""Two guests that do nothing but call. Each word stands with what it is; a test compares them."""

from pathlib import Path

from sdeiviz.guests import Image, load
from sdeiviz.machine.memory import RAM_BASE

BASE = 0x4008_0000

# Asks for SDEI_VERSION 60,000 times, then switches off.
VERSION = """
    d2800413    mov x19, #0x20
    f2b88013    movk x19, #0xc400, lsl #16
    d29d4c14    mov x20, #0xea60
    aa1303e0    mov x0, x19
    d4000002    hvc #0
    f1000694    subs x20, x20, #1
    54ffffa1    b.ne #0x4008000c
    d2800100    mov x0, #8
    f2b08000    movk x0, #0x8400, lsl #16
    d4000002    hvc #0
"""
VERSION_CALLS = 60_000
VERSION_END = BASE + 7 * 4

# Registers and enables event 0, unmasks; signals it 20,000 times, each time the handler completes.
SIGNAL = """
    d2800420    mov x0, #0x21
    f2b88000    movk x0, #0xc400, lsl #16
    d2800001    mov x1, #0
    10000282    adr x2, #0x4008005c
    d4000002    hvc #0
    d2800440    mov x0, #0x22
    f2b88000    movk x0, #0xc400, lsl #16
    d4000002    hvc #0
    d2800580    mov x0, #0x2c
    f2b88000    movk x0, #0xc400, lsl #16
    d4000002    hvc #0
    d28005f3    mov x19, #0x2f
    f2b88013    movk x19, #0xc400, lsl #16
    d28004b5    mov x21, #0x25
    f2b88015    movk x21, #0xc400, lsl #16
    d289c414    mov x20, #0x4e20
    aa1303e0    mov x0, x19
    d4000002    hvc #0
    f1000694    subs x20, x20, #1
    54ffffa1    b.ne #0x40080040
    d2800100    mov x0, #8
    f2b08000    movk x0, #0x8400, lsl #16
    d4000002    hvc #0
    aa1503e0    mov x0, x21
    d4000002    hvc #0
"""
SIGNAL_ROUNDS = 20_000


def words(listing: str) -> bytes:
    """Return the machine code of a listing."""
    return b"".join(
        int(line.split()[0], 16).to_bytes(4, "little") for line in listing.strip().split("\n")
    )


def image(listing: str, directory: Path) -> Image:
    """Return a listing as a flat image at `BASE`; it passes through a file in a directory."""
    path = directory / "guest.bin"
    path.write_bytes(words(listing))
    return load(path, load=BASE, entry=None, ram_base=RAM_BASE, ram_size=1 << 20)
