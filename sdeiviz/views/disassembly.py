"""Instructions and the source lines they were built from; an arrow at the one about to run."""

import re
from collections.abc import Sequence
from typing import Final

from sdeiviz.debugger.snapshot import Line, Snapshot
from sdeiviz.views import markup, words

ARROW: Final = "=>"
_ADDRESS: Final = re.compile(r"#0x([0-9a-f]{3,16})$")
BREAKPOINT: Final = "\N{BLACK CIRCLE}"


def window(listing: Sequence[Line], pc: int, before: int = 6, after: int = 12) -> Sequence[Line]:
    """Return the lines around an address; the first ones where it is not among them."""
    at = next((row for row, line in enumerate(listing) if line.address == pc), 0)
    first = max(0, at - before)
    while first < at and listing[first].word == 0:  # nothing but empty memory above
        first += 1
    return listing[first : at + after + 1]


def source_of(line: Line, above: Line | None) -> str:
    """Return a line's source, "" where the instruction above was built from the same line."""
    if above is not None and (above.file, above.number) == (line.file, line.number):
        return ""
    # Columns that suit an editor only push the comment out of sight here.
    text = re.sub(r"^(\S+)\s+", r"\1 ", line.source.expandtabs(4).strip())
    return words.printable(re.sub(r"\s{2,}(?=//|/\*|;)", "  ", text), 200)


def instruction(line: Line, names: words.Names) -> str:
    """Return the disassembly, a symbol in place of its address; the word where it is none."""
    if not line.text:
        return f".word {line.word:#010x}"
    return _ADDRESS.sub(lambda found: names.get(int(found[1], 16)) or found[0], line.text)


def names(listing: Sequence[Line]) -> dict[int, str]:
    """Return the symbols that begin in a listing, by address."""
    return {line.address: words.printable(line.label, 40) for line in listing if line.label}


def text(snapshot: Snapshot, before: int = 6, after: int = 12) -> str:
    """Return the instructions around the program counter with their source."""
    lines: list[str] = []
    known = names(snapshot.listing)
    above: Line | None = None
    for line in window(snapshot.listing, snapshot.registers.pc, before, after):
        if line.label:
            lines.append(f"   {words.printable(line.label)}:")
        mark = BREAKPOINT if line.address in snapshot.breakpoints else " "
        arrow = ARROW if line.address == snapshot.registers.pc else "  "
        number = f"{line.number:>5}" if line.number else ""
        source = source_of(line, above)
        body = f"{mark}{arrow} {line.address:>8x}  {instruction(line, known):<32}"
        lines.append(f"{body}{number if source else '':>5}  {source}".rstrip())
        above = line
    return "\n".join(lines) or "no instructions here"


def html(snapshot: Snapshot, before: int = 6, after: int = 12) -> str:
    """Return the same, preformatted."""
    return markup.preformatted("Code", text(snapshot, before, after))
