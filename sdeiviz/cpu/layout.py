"""Where this build of Unicorn keeps registers, found by experiment.

Unicorn's interface gives neither the syndrome of an exception nor cheap access to registers. Both
stand in the CPU state that `context_save` copies, at offsets that belong to the build. They are
found once a process: a scratch core gets a value nobody else has, and the bytes that then changed
tell the place. A place that is not unique is refused; nothing is guessed.
"""

import ctypes
import itertools
import os
import struct
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from unicorn import UC_ARCH_ARM64, UC_HOOK_INTR, UC_MODE_ARM, Uc
from unicorn.arm64_const import (
    UC_ARM64_REG_CP_REG,
    UC_ARM64_REG_PC,
    UC_ARM64_REG_PSTATE,
    UC_ARM64_REG_Q0,
    UC_ARM64_REG_SP,
    UC_ARM64_REG_X0,
    UC_ARM64_REG_X29,
    UC_CPU_ARM64_A72,
)

from sdeiviz.abi import esr, pstate
from sdeiviz.cpu import registers as regs
from sdeiviz.errors import Error

_RAM: Final = 0x4000_0000
_TABLE: Final = _RAM + 0x1000
_NOWHERE: Final = 0x7E_DCBA_9008
_SMALL_BUFFER: Final = 16 << 20


class LayoutError(Error):
    """A build of Unicorn that keeps its registers where they cannot be found."""


@dataclass(frozen=True)
class Layout:
    """Byte offsets into a saved context."""

    x0: int
    """x0 to x30 and SP follow each other, eight bytes each."""
    pc: int
    """Followed by mode, and further on by flags and daif, in this order."""
    mode: int
    """PSTATE without flags and masks, u32; the word after it tells AArch64 (1) from AArch32 (0)."""
    daif: int
    flags: int
    """C, V, N and Z, u32 each: C is 0 or 1, V and N are bits 31, Z is set where its word is 0."""
    q0: int
    q_stride: int
    exclusive: tuple[int, int, int]
    """Address and two words that the exclusive monitor remembers."""
    syndrome: int
    fault_address: int
    target_el: int
    hpfar_el2: int
    system: dict[str, tuple[int, int]]
    """Offset and width in bytes of each of `registers.EL1_REGISTERS`."""


def x_register(number: int) -> int:
    """Return Unicorn's identifier of x0 to x30."""
    identifier: int = UC_ARM64_REG_X0 + number if number < 29 else UC_ARM64_REG_X29 + number - 29
    return identifier


class Context:
    """A saved context and a view of its bytes."""

    def __init__(self, uc: Uc) -> None:
        self.uc = uc
        self.context = uc.context_save()
        self.address = ctypes.cast(self.context.context, ctypes.c_void_p).value or 0
        self.size = self.context.size
        self.bytes = memoryview((ctypes.c_ubyte * self.size).from_address(self.address)).cast("B")

    def update(self) -> bytes:
        """Copy the core's state here and return its bytes."""
        self.uc.context_update(self.context)
        return bytes(self.bytes)


def new_uc(buffer: int) -> Uc:
    """Make a bare Cortex-A72 with a translation buffer of that many bytes."""
    uc = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
    uc.ctl_set_cpu_model(UC_CPU_ARM64_A72)
    uc.ctl_set_tcg_buffer_size(buffer)
    return uc


def write_cp(uc: Uc, register: regs.CP, value: int) -> None:
    """Write a system register."""
    uc.reg_write(UC_ARM64_REG_CP_REG, (*register, value))


def read_cp(uc: Uc, register: regs.CP) -> int:
    """Read a system register."""
    value: int = uc.reg_read(UC_ARM64_REG_CP_REG, register)
    return value


def _place(
    what: str, before: bytes, after: bytes, value: int, width: int, but: tuple[int, ...] = ()
) -> int:
    """Return the one aligned offset that changed to `value`."""
    wanted = value.to_bytes(width, "little")
    places = [
        at
        for at in range(0, len(after) - width + 1, 4)
        if after[at : at + width] == wanted and before[at : at + width] != wanted and at not in but
    ]
    if len(places) != 1:
        raise LayoutError(
            f"this build of Unicorn is not understood: {what} found at {len(places)} places; "
            "install unicorn 2.1.4, the version sdeiviz is tested with"
        )
    return places[0]


@lru_cache(maxsize=1)
def layout() -> Layout:
    """Find the layout of this build of Unicorn.

    Raises
    ------
    LayoutError
        A register was found at no place, or at several.
    """
    uc = new_uc(_SMALL_BUFFER)
    uc.mem_map(_RAM, 0x10000)
    write_cp(uc, regs.SCR_EL3, regs.SCR_NS_HCE_RW)
    write_cp(uc, regs.HCR_EL2, regs.HCR_RW | regs.HCR_VM)
    write_cp(uc, regs.VTCR_EL2, regs.VTCR)
    write_cp(uc, regs.VTTBR_EL2, _TABLE)
    # One stage-2 block maps our gigabyte; every other address is a fault to EL2.
    uc.mem_write(_TABLE + 8, struct.pack("<Q", _RAM | 1 << 10 | 3 << 8 | 3 << 6 | 0xF << 2 | 1))
    context = Context(uc)

    def find(what: str, write: Any, value: int, width: int = 8) -> int:
        before = context.update()
        write()
        return _place(what, before, context.update(), value, width)

    def writing(register: int, value: int) -> Any:
        return lambda: uc.reg_write(register, value)

    general = [
        find(f"x{n}", writing(x_register(n), m), m)
        for n, m in enumerate(range(0xA1A2_A3A4_0000, 0xA1A2_A3A4_001F))
    ]
    general.append(find("sp", writing(UC_ARM64_REG_SP, 0xA1A2_A3A4_0020), 0xA1A2_A3A4_0020))
    if general != list(range(general[0], general[0] + 256, 8)):
        raise LayoutError(
            "this build of Unicorn is not understood: x0 to x30 and SP do not follow each other"
        )
    pc = find("pc", writing(UC_ARM64_REG_PC, 0xA1A2_A3A4_0040), 0xA1A2_A3A4_0040)

    base = pstate.DAIF | pstate.EL1H
    uc.reg_write(UC_ARM64_REG_PSTATE, base)
    mode = find("PSTATE.M", writing(UC_ARM64_REG_PSTATE, pstate.DAIF | pstate.EL1T), pstate.EL1T, 4)
    daif = find("PSTATE.DAIF", writing(UC_ARM64_REG_PSTATE, pstate.F | pstate.EL1T), pstate.F, 4)
    uc.reg_write(UC_ARM64_REG_PSTATE, base | pstate.Z)
    z = find("PSTATE.Z", writing(UC_ARM64_REG_PSTATE, base), pstate.Z, 4)
    n = find("PSTATE.N", writing(UC_ARM64_REG_PSTATE, base | pstate.N), base | pstate.N, 4)
    c = find("PSTATE.C", writing(UC_ARM64_REG_PSTATE, base | pstate.C | pstate.N), 1, 4)
    v = find(
        "PSTATE.V", writing(UC_ARM64_REG_PSTATE, base | pstate.V | pstate.C | pstate.N), 1 << 31, 4
    )
    if [c, v, n, z] != list(range(c, c + 16, 4)):
        raise LayoutError(
            "this build of Unicorn is not understood: C, V, N and Z do not follow each other"
        )
    if not pc + 8 == mode < c < daif:
        raise LayoutError("this build of Unicorn is not understood: PC and PSTATE do not follow")
    uc.reg_write(UC_ARM64_REG_PSTATE, base)
    if struct.unpack_from("<I", context.update(), mode + 4)[0] != 1:
        raise LayoutError("this build of Unicorn is not understood: no AArch64 flag beside PSTATE")

    q = [
        find(f"q{n}", writing(UC_ARM64_REG_Q0 + n, m), m, 16)
        for n, m in enumerate((0xB1B2 << 96 | 1, 0xB1B2 << 96 | 2))
    ]
    hpfar = find("HPFAR_EL2", lambda: write_cp(uc, regs.HPFAR_EL2, 0x00A1_B2C0), 0x00A1_B2C0)

    system = {}
    for n, (name, register) in enumerate(regs.EL1_REGISTERS.items()):
        before = context.update()
        old = read_cp(uc, register)
        write_cp(uc, register, old ^ _distinct_bits(name, n))
        value = read_cp(uc, register)
        width = 4 if name == "spsr_el1" else 8
        system[name] = (_place(name.upper(), before, context.update(), value, width), width)
        write_cp(uc, register, old)

    return Layout(
        x0=general[0], pc=pc, mode=mode, daif=daif, flags=c,
        q0=q[0], q_stride=q[1] - q[0],
        exclusive=_exclusive_monitor(uc, context, general), hpfar_el2=hpfar, system=system,
        **_exception_record(uc, context),
    )  # fmt: skip


def _distinct_bits(name: str, n: int) -> int:
    """Return bits of a system register that can be flipped and make its value rare."""
    special = {
        "sctlr_el1": 1 << 9 | 1 << 8,
        "cpacr_el1": 3 << 20,
        "spsr_el1": 0x6140_0000,
        "csselr_el1": 2,
        "cntkctl_el1": 0x3E3,
    }
    return special.get(name, 0x0000_5A5A_C3C0_1000 + n * 0x10000)


def _run(uc: Uc, context: Context, code: bytes, x0: int) -> tuple[bytes, bytes]:
    """Run a few instructions; return the context before and at the exception they end in."""
    uc.mem_write(_RAM, code)
    uc.reg_write(UC_ARM64_REG_X0, x0)
    before = context.update()
    at_exit: list[bytes] = []

    def stop(uc: Uc, number: int, data: Any) -> None:
        at_exit.append(context.update())
        uc.emu_stop()

    hook = uc.hook_add(UC_HOOK_INTR, stop)
    uc.ctl_flush_tb()
    uc.emu_start(_RAM, 0)
    uc.hook_del(hook)
    return before, at_exit[0]


def _exception_record(uc: Uc, context: Context) -> dict[str, int]:
    """Find ``{u32 syndrome; u32 fsr; u64 vaddress; u32 target_el}`` by a load from nowhere."""
    load = struct.pack("<I", 0xF940_0001)  # ldr x1, [x0]
    before, after = _run(uc, context, load, _NOWHERE)
    address = _place("the faulting address", before, after, _NOWHERE, 8)
    syndrome, target = (
        struct.unpack_from("<I", after, address - 8)[0],
        struct.unpack_from("<I", after, address + 8)[0],
    )
    if esr.exception_class(syndrome) != esr.Class.DATA_ABORT_LOWER or target != 2:
        raise LayoutError(
            "this build of Unicorn is not understood: no syndrome beside the faulting address"
        )
    return {"syndrome": address - 8, "fault_address": address, "target_el": address + 8}


def _exclusive_monitor(uc: Uc, context: Context, general: list[int]) -> tuple[int, int, int]:
    """Find what a load-exclusive leaves: without it, a replay could fail a store-exclusive."""
    low, high, where = 0xC1C2_C3C4_0001, 0xC1C2_C3C4_0002, _RAM + 0x2000
    uc.mem_write(where, struct.pack("<QQ", low, high))
    code = struct.pack("<II", 0xC87F_0801, 0xD400_0002)  # ldxp x1, x2, [x0]; hvc #0
    before, after = _run(uc, context, code, where)
    return (
        _place("the exclusive address", before, after, where, 8),
        _place("the exclusive value", before, after, low, 8, but=(general[1],)),
        _place("the exclusive value, high half", before, after, high, 8, but=(general[2],)),
    )


def find_live_state(uc: Uc, layout: Layout) -> int | None:
    """Return the address such that address + offset is the core's own register, or None.

    With it registers are read and written in place, about three times faster than through a
    context. The handle of a core leads to its state within two pointers, so those are followed,
    through /proc/self/mem, which answers a bad address with an error. The place must hold values
    written through Unicorn's interface, and hold the next ones too. No values are used twice, and
    only two of them are ever looked for as bytes: copies of what was read lie about, also there.
    Where the first core of a process had its registers is where the others are looked at first.
    """
    handle = getattr(uc, "_uch", None)
    address = getattr(handle, "value", handle)
    if not isinstance(address, int) or not os.path.exists("/proc/self/mem"):
        return None

    def write_values() -> list[int]:
        seed = next(_seeds) % 0xFFFF + 1
        values = [seed << 48 | n * 0x0101_0101 for n in range(_VALUES)]
        for n, value in enumerate(values):
            uc.reg_write(x_register(n), value)
        return values

    with open("/proc/self/mem", "rb", buffering=0) as memory:

        def read(at: int, size: int) -> bytes:
            try:
                return os.pread(memory.fileno(), size, at)
            except (OSError, OverflowError):
                return b""

        def search(words: Container[int], size: int) -> dict[int, tuple[int, int]]:
            """Map each address that follows the registers to how it was reached."""
            first_two = struct.pack("<2Q", *write_values()[:2])
            # Now, as the first write to a core makes its state.
            handle_words = read(address, 8 * _HANDLE_WORDS)
            pointers = [p for (p,) in struct.iter_unpack("<Q", handle_words)]
            found = {}
            for word, pointer in enumerate(pointers):
                if word not in words:
                    continue
                block = read(pointer, size) if 1 << 16 < pointer < 1 << 47 else b""
                at = block.find(first_two)
                while at >= 0:
                    found[pointer + at] = word, at
                    at = block.find(first_two, at + 1)
            expected = struct.pack(f"<{_VALUES}Q", *write_values())
            return {p: way for p, way in found.items() if read(p, len(expected)) == expected}

        live = search([_reached[0]], _reached[1] + 8 * _VALUES) if _reached else {}
        if len(live) != 1:
            live = search(range(_HANDLE_WORDS), 1 << 17)
    for n in range(_VALUES):
        uc.reg_write(x_register(n), 0)
    if len(live) != 1:
        return None
    ((place, way),) = live.items()
    _reached[:] = way
    return place - layout.x0


_seeds: Final = itertools.count()
_VALUES: Final = 29
_HANDLE_WORDS: Final = 512
_reached: list[int] = []
"""Word of the handle and offset behind it that led to the registers."""
