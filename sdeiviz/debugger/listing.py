"""Disassembly beside source: what stands at and around an address."""

from functools import lru_cache
from typing import Final

from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs

from sdeiviz.debugger.snapshot import Line
from sdeiviz.machine import VirtualMachine
from sdeiviz.machine.vcpu import Vcpu

PROGRAM_LIMIT: Final = 800
"""Instructions up to which a whole program is listed."""
_BEFORE: Final = 8
_AFTER: Final = 16

_disassembler = Cs(CS_ARCH_ARM64, CS_MODE_ARM)


@lru_cache(maxsize=4096)
def disassemble(address: int, word: int) -> str:
    """Return an instruction as text, "" where the word is none.

    >>> disassemble(0x4008_0000, 0xD400_0002)
    'hvc #0'
    """
    for _, _, mnemonic, operands in _disassembler.disasm_lite(word.to_bytes(4, "little"), address):
        return f"{mnemonic} {operands}".strip()
    return ""


class Listing:
    """Lists the code of one machine."""

    def __init__(self, vm: VirtualMachine) -> None:
        self._vm = vm
        self._program: tuple[Line, ...] | None = None

    def around(self, vcpu: Vcpu) -> tuple[Line, ...]:
        """Return the instructions around a vCPU's PC, as it sees them in memory now.

        Where the host has not mapped their page, they are as they were loaded.
        """
        pc = vcpu.pc
        start = pc - 4 * _BEFORE
        if start < 0:
            start = pc
        addresses = range(start, pc + 4 * _AFTER, 4)
        words = [(address, self._word(vcpu, address)) for address in addresses]
        return tuple(self._line(address, word) for address, word in words if word is not None)

    def _word(self, vcpu: Vcpu, address: int) -> int | None:
        word = vcpu.read_word(address)
        if word is None and self._vm.pager:
            for start, data in self._vm.image.code:
                if 0 <= (at := address - start) <= len(data) - 4:
                    return int.from_bytes(data[at : at + 4], "little")
        return word

    def program(self) -> tuple[Line, ...] | None:
        """Return the whole program as loaded, None where it is too long or has no sections."""
        code = self._vm.image.code
        if self._program is None and 0 < sum(len(data) for _, data in code) <= 16 * PROGRAM_LIMIT:
            words = (
                (start + at, int.from_bytes(data[at : at + 4], "little"))
                for start, data in code
                for at in range(0, len(data) - 3, 4)
            )
            lines = (self._line(address, word) for address, word in words if word)
            # A nop that its source line does not show is padding, such as fills a vector table.
            self._program = tuple(
                line for line in lines if line.text != "nop" or "nop" in line.source
            )
        return self._program if self._program and len(self._program) <= PROGRAM_LIMIT else None

    def _line(self, address: int, word: int) -> Line:
        image = self._vm.image
        place = image.lines.at(address)
        text = (image.lines.text(place.file) or ()) if place else ()
        source = text[place.line - 1] if place and 0 < place.line <= len(text) else ""
        name = image.symbols.name_at(address) or ""
        data = image.symbols.is_data(address)
        return Line(
            address=address,
            word=word,
            text=f".word {word:#010x}" if data else disassemble(address, word),
            label="" if "+" in name else name,
            file=place.file if place else "",
            number=place.line if place else 0,
            source=source,
        )
