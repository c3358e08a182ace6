"""Load a guest: an ELF file, a flat image, or a bundled guest by its name.

An image says what to put where in RAM and where to begin. It knows nothing of the machine that
will run it but where RAM is.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sdeiviz.errors import ImageError
from sdeiviz.guests import catalogue
from sdeiviz.guests.elf import MAGIC, Elf
from sdeiviz.guests.lines import Lines
from sdeiviz.guests.symbols import Symbols

_MAX_FILE = 1 << 30


@dataclass(frozen=True)
class Segment:
    """A stretch of RAM: its bytes, then zeros up to its size in memory (the BSS)."""

    address: int
    """Where it begins in RAM, a physical address (a guest's IPA)."""
    data: bytes = field(repr=False)
    memory_size: int
    """Bytes that it takes in RAM, at least as many as ``data`` has."""


@dataclass(frozen=True)
class Image:
    """What to put into RAM before a guest starts."""

    name: str
    path: Path | None
    """The file it came from."""
    entry: int
    """Where the guest begins, a physical address; a multiple of 4."""
    segments: tuple[Segment, ...]
    """By rising address; they do not overlap."""
    symbols: Symbols = field(repr=False, compare=False)
    lines: Lines = field(repr=False, compare=False)
    sha256: str
    """Of the whole file, in hexadecimal."""
    code: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """(address as linked, bytes) of each section that holds instructions; none in a flat image."""


def load(
    image: str | Path,
    *,
    load: int | None = None,
    entry: int | None = None,
    ram_base: int,
    ram_size: int,
) -> Image:
    """Read a guest and check that it can run in a given RAM.

    An ELF file loads at its physical addresses (``p_paddr``); what its segments say about
    permissions is not enforced.

    Parameters
    ----------
    image
        A path; or, as a string without separator and suffix, the name of a bundled guest.
    load
        Where a flat image goes, a physical address. An ELF file brings its own addresses.
    entry
        Where to begin instead of at the ELF entry or the start of the flat image: an address as
        linked (virtual), which is turned into a physical one by the segment that holds it.
    ram_base, ram_size
        RAM of the machine: first address, and size in bytes.

    Raises
    ------
    ImageError
        The image cannot be read, is not an arm64 program, or does not fit into RAM.
    """
    path = _find(image)
    where = printable(image)
    data = _read(path, where)
    if not data.startswith(MAGIC):
        if load is None:
            raise ImageError(
                f"{where}: not an ELF file; for a flat image say where it goes, "
                f"such as --load {ram_base + 0x80000:#x}"
            )
        _check_place(f"{where}: the image", load, len(data), ram_base, ram_size)
        segments = (Segment(load, data, len(data)),)
        begin = _physical_entry(where, load if entry is None else entry, [(load, segments[0])])
        return Image(path.stem, path, begin, segments, Symbols(), Lines(), _digest(data))

    if load is not None:
        raise ImageError(f"{where}: an ELF file says itself where it loads; leave out --load")
    elf = Elf(data, where)
    headers = sorted(elf.segments, key=lambda header: header.physical)
    for header in headers:
        _check_place(f"{where}: a segment", header.physical, header.memory_size, ram_base, ram_size)
    for one, other in pairwise(headers):
        if one.physical + one.memory_size > other.physical:
            raise ImageError(
                f"{where}: two segments overlap at {other.physical:#x}; mend the link script"
            )
    linked = [(h.virtual, Segment(h.physical, elf.bytes_of(h), h.memory_size)) for h in headers]
    return Image(
        name=path.stem,
        path=path,
        entry=_physical_entry(where, elf.entry if entry is None else entry, linked),
        segments=tuple(segment for _, segment in linked),
        symbols=Symbols(elf),
        lines=Lines(elf, path),
        sha256=_digest(data),
        code=elf.code(),
    )


def _find(image: str | Path) -> Path:
    path = Path(image)
    if isinstance(image, Path) or path.suffix or os.path.basename(image) != image:
        return path
    if image in catalogue.GUESTS:
        return catalogue.GUESTS[image].elf
    if not os.path.lexists(path):
        names = ", ".join(catalogue.GUESTS)
        raise ImageError(f"{printable(image)}: no such file or bundled guest; bundled are {names}")
    return path


def printable(text: str | Path) -> str:
    """Return a name fit for a one-line message, whatever characters a file name may have."""
    return "".join(c if c.isprintable() else "?" for c in str(text)) or "(no name)"


def _read(path: Path, where: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{where}: a directory; give the file of a guest")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{where}: not a regular file; give the file of a guest")
        if status.st_size > _MAX_FILE:
            raise ImageError(f"{where}: larger than 1 GiB; strip its debug sections")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"{where}: cannot be read: {reason}; check the path") from None
    if not data:
        raise ImageError(f"{where}: an empty file; build or copy it again")
    return data


def _check_place(what: str, address: int, size: int, ram_base: int, ram_size: int) -> None:
    end, ram_end = address + size, ram_base + ram_size
    if ram_base <= address and end <= ram_end:
        return
    cure = (
        "there are only devices below RAM, load it higher"
        if address < ram_base
        else "load it lower or give the machine more memory"
    )
    raise ImageError(
        f"{what} at {address:#x}-{end:#x} is outside RAM ({ram_base:#x}-{ram_end:#x}); {cure}"
    )


def _physical_entry(where: str, entry: int, linked: list[tuple[int, Segment]]) -> int:
    """Translate an entry address; some files give it as a physical one, so that is the fallback."""
    bases = [(virtual, segment) for virtual, segment in linked]
    bases += [(segment.address, segment) for _, segment in linked]
    for base, segment in bases:
        if base <= entry <= base + len(segment.data) - 4:
            physical = segment.address + entry - base
            if physical % 4:
                raise ImageError(
                    f"{where}: entry {entry:#x} is not a multiple of 4; give another --entry"
                )
            return physical
    raise ImageError(f"{where}: no code at entry {entry:#x}; give --entry inside a segment")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
