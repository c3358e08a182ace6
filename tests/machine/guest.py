"""Guests for tests: a few lines of arm64 assembly, made into a flat image and run."""

import hashlib
import io
import os
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.guests import load
from sdeiviz.guests.toolchain import Toolchain, available
from sdeiviz.machine import VmState
from sdeiviz.trace import dump

RAM = 0x4000_0000
BASE = 0x4008_0000
"""Where every guest of these tests loads and starts."""
MEMORY = 1 << 20
"""RAM of their machines, from 0x4000_0000: a small machine is made in half the time."""
DATA = 0x400C_0000
"""Where they keep data: pages that hold nothing else."""
UART = 0x0900_0000
TABLES = 0x400F_0000
"""Where stage-1 tables stand, three pages."""

_SCRIPT = f"SECTIONS {{ . = {BASE:#x}; .text : {{ *(.text) }} /DISCARD/ : {{ *(.note*) }} }}\n"

PRELUDE = f"""
    .arch armv8-a+fp+simd+crc
    .equ UART, {UART:#x}
    .equ DATA, {DATA:#x}
    .equ TABLES, {TABLES:#x}
    .macro call function
        ldr x0, =\\function
        hvc #0
    .endm
    .macro off
        call 0x84000008
    .endm
    .macro fpu_on
        mov x0, #3 << 20
        msr cpacr_el1, x0
        isb
    .endm
    // Stage 1 on: 39 bits of address by TTBR0_EL1, 4 KiB pages, all of it normal memory.
    .macro mmu_on
        ldr x0, =TABLES
        msr ttbr0_el1, x0
        ldr x0, =(25 | 1 << 23 | 2 << 32 | 3 << 12)
        msr tcr_el1, x0
        mov x0, #0xff
        msr mair_el1, x0
        isb
        mrs x0, sctlr_el1
        orr x0, x0, #1
        msr sctlr_el1, x0
        isb
    .endm
    // Go on at an address, in a mode.
    .macro enter mode, address
        ldr x0, =\\mode
        msr spsr_el1, x0
        ldr x0, =\\address
        msr elr_el1, x0
        eret
    .endm
    // A table of sixteen vectors that all do the same.
    .macro all_vectors handler
        .ltorg
        .align 11
        .global vectors
        vectors:
        .rept 16
        .align 7
        b \\handler
        .endr
    .endm
    .text
    .global _start
_start:
"""

# Stage-1 page attributes (Arm ARM D8.3).
EL1_WRITES, ALL_WRITE, EL1_READS, ALL_READ = 0 << 6, 1 << 6, 2 << 6, 3 << 6
PXN, UXN = 1 << 53, 1 << 54
KERNEL = EL1_WRITES | UXN
"""Read, written and executed at EL1 only."""
USER_CODE = ALL_READ | PXN
USER_DATA = ALL_WRITE | PXN | UXN
_PAGE = 1 << 10 | 3 << 8 | 0b11
_DEVICES = ALL_WRITE | PXN | UXN | 1 << 10 | 0b01


@dataclass(frozen=True)
class Guest:
    """A flat image and the addresses of its labels."""

    path: Path
    symbols: dict[str, int]

    def __getitem__(self, label: str) -> int:
        return self.symbols[label]

    def vm(self, pages: Mapping[int, int] | None = None, **options: Any) -> VirtualMachine:
        """Make a machine that has not run yet; with `pages`, stage-1 tables for ``mmu_on``.

        All of RAM is then the kernel's, at its own address, but for the given pages (address to
        attributes; 0 maps nothing there). Devices are everybody's.
        """
        vm = VirtualMachine(self.path, load_address=BASE, **{"memory": MEMORY} | options)
        if pages is not None:
            page_tables(vm, pages)
        return vm


def page_tables(vm: VirtualMachine, pages: Mapping[int, int]) -> None:
    """Write stage-1 tables into a guest's RAM; see `Guest.vm`."""
    level2, level3 = TABLES + 0x1000, TABLES + 0x2000
    entries = []
    for address in range(RAM, RAM + MEMORY, 4096):
        attributes = pages.get(address, KERNEL)
        entries.append(address | attributes | _PAGE if attributes else 0)
    for at, words in (
        (TABLES, [_DEVICES, level2 | 0b11]),
        (level2, [level3 | 0b11]),
        (level3, entries),
    ):
        vm.memory[at : at + 8 * len(words)] = struct.pack(f"<{len(words)}Q", *words)


@lru_cache(maxsize=1)
def _toolchain() -> Toolchain:
    found = available()
    if not found:
        pytest.skip("no compiler for arm64 (Debian: apt install gcc-aarch64-linux-gnu)")
    return found[0]


@lru_cache(maxsize=1024)
def guest(source: str) -> Guest:
    """Assemble a guest; what was assembled before comes from the temporary directory."""
    toolchain = _toolchain()
    text = PRELUDE + source
    key = hashlib.sha256((toolchain.version + _SCRIPT + text).encode()).hexdigest()[:24]
    cache = Path(tempfile.gettempdir()) / f"sdeiviz-guests-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    built = cache / key
    if not built.exists():
        work = Path(tempfile.mkdtemp(dir=cache))
        (work / "guest.S").write_text(text)
        (work / "guest.ld").write_text(_SCRIPT)
        toolchain.compile([work / "guest.S", work / "guest.ld"], work / "guest.elf")
        (segment,) = load(work / "guest.elf", ram_base=RAM, ram_size=MEMORY).segments
        assert segment.address == BASE
        (work / "guest.bin").write_bytes(segment.data)
        # Whole or not at all: another process may be building the same.
        try:
            work.rename(built)
        except OSError:
            shutil.rmtree(work)
    symbols = load(built / "guest.elf", ram_base=RAM, ram_size=MEMORY).symbols
    return Guest(built / "guest.bin", {n: symbols.address_of(n) or 0 for n in symbols.names})


def trace_bytes(vm: VirtualMachine) -> bytes:
    """Return a machine's trace as the file it would be."""
    file = io.StringIO()
    dump(file, vm.trace)
    return file.getvalue().encode()


def everything(vm: VirtualMachine) -> tuple[VmState, bytes]:
    """Return all that a machine is and all that happened to it."""
    return vm.save(), trace_bytes(vm)


def step_through(vm: VirtualMachine, end: int) -> None:
    """Run to an index one instruction at a time, or to where the machine stops."""
    while vm.index < end and not vm.stopped:
        vm.run_to(vm.index + 1)
