"""One core: running it, stopping it exactly, its exits to EL2, exception entry to EL1."""

import ctypes
import mmap
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import Any, Final, Literal, Protocol

from unicorn import UC_HOOK_CODE
from unicorn.arm64_const import (
    UC_ARM64_REG_CP_REG,
    UC_ARM64_REG_FPCR,
    UC_ARM64_REG_FPSR,
)
from unicorn.unicorn_const import (
    UC_CTL_IO_WRITE,
    UC_CTL_TB_REMOVE_CACHE,
    UC_CTL_TLB_FLUSH,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
)
from unicorn.unicorn_py3.unicorn import uclib

from sdeiviz.abi import esr, pstate
from sdeiviz.cpu import clock as clk
from sdeiviz.cpu import registers as regs
from sdeiviz.cpu.layout import (
    Context,
    find_live_state,
    layout,
    new_uc,
    read_cp,
    write_cp,
    x_register,
)
from sdeiviz.errors import Error

TRANSLATION_BUFFER: Final = 64 << 20
_MEMORY_NEEDED: Final = TRANSLATION_BUFFER + (96 << 20)
"""Address space that a core takes: the buffer, and what Unicorn keeps beside it."""

# What the interrupt hook is told.
_UNDEFINED: Final = 1
_SVC: Final = 2
_INSTRUCTION_ABORT: Final = 3
_DATA_ABORT: Final = 4
_HVC: Final = 11

_REMOVE_CACHE: Final = UC_CTL_IO_WRITE << 30 | 2 << 26 | UC_CTL_TB_REMOVE_CACHE
"""As `Uc.ctl_remove_cache` encodes it; a step calls it twice, and this way takes half the time."""
_FLUSH_TLB: Final = UC_CTL_IO_WRITE << 30 | UC_CTL_TLB_FLUSH
_WFI: Final = 0xD503_207F
_NEVER: Final = 0xFFFF_FFFF_FFFF_FFFF
_PC_ALIGNMENT: Final = esr.Class.PC_ALIGNMENT << 26 | esr.IL
_AARCH32: Final = (
    "the guest went to AArch32 at EL0, which is not supported; build all of it for AArch64"
)
_SMALLEST_PAGE: Final = 1024
"""Where Unicorn may cut a block for a page's end: it keeps to the smallest pages of Arm."""


class CoreError(Error):
    """The core cannot be made, or met what it cannot do."""


class End(Enum):
    """Why `Core.run` came back."""

    TARGET = "target"
    """The index is the one asked for."""
    SLICE = "slice"
    """`Core.interrupt` was called; call again to go on."""
    BREAKPOINT = "breakpoint"
    HANDLER = "handler"
    """A handler called `Core.stop`."""


class ExitHandler(Protocol):
    """The hypervisor's side of an exit. Registers are the guest's then, and may be changed.

    PC stands after an HVC, and on every other instruction that exits. An HVC and an exception are
    counted; another exit that completes its instruction calls `Core.retire`, and one that does not
    lets the guest repeat it.
    """

    def hypercall_exit(self, core: "Core") -> Callable[[], None]:
        """Return the function to call for an HVC; index and PC are those after it.

        What the trace wants to know of it is in `Core.call_words`. It takes the shortest way there
        is, and hands every error to `Core.fail`.
        """

    def device_exit(self, core: "Core") -> Callable[[int], bool]:
        """Return the function to call first for a data abort, or `never`.

        It is given the word of the instruction. It answers the access of a device in the shortest
        way there is and returns True, or does nothing and returns False, also where the abort is
        EL1's; then that goes its way. Errors it hands to `Core.fail`.
        """

    def trap(self, syndrome: int) -> None:
        """WFI, SMC or a system register that belongs to the hypervisor."""

    def stage2_abort(self, syndrome: int, address: int, ipa: int) -> None:
        """An access that stage 2 refuses: virtual and intermediate physical address."""

    def guest_exception(self, syndrome: int, address: int | None, pc: int) -> None:
        """An exception that EL1 is to take; `address` where it has a fault address."""

    def interrupt(self) -> None:
        """An interrupt is pending and not masked: between two instructions."""

    def probe(self, name: str) -> None:
        """Tell that the guest comes to an instruction that is watched; it may not be changed."""

    def counter(self, register: regs.CP, write: int | None) -> int | None:
        """Read or write a timer or PMU register (op1 3, CRn 14); None leaves it to the core."""


def never(word: int) -> bool:
    """Answer nothing in a shorter way."""
    return False


class Core:
    """A Cortex-A72 at EL1, under a hypervisor that is `handler`.

    Parameters
    ----------
    memory
        Physical memory: (address, buffer) pairs, RAM first; page-aligned, shared and never copied.
    stage2
        Physical address of the level-1 stage-2 table.
    mpidr
        What MPIDR_EL1 reads.
    handler
        Where exits go.
    clock
        "native", "python" or None for the best there is.
    traps
        Bits of HCR_EL2 for what else is to exit.

    Raises
    ------
    CoreError
        Not enough memory for the core.
    """

    def __init__(
        self,
        memory: Iterable[tuple[int, mmap.mmap]],
        stage2: int,
        mpidr: int,
        handler: ExitHandler,
        clock: str | None = None,
        traps: int = 0,
    ) -> None:
        _require_memory()
        self._layout = at = layout()
        self._handler = handler
        self._uc = uc = new_uc(TRANSLATION_BUFFER)
        self._handle = uc._uch
        self._memory = list(memory)
        self._pointers: list[Any] = []
        for address, buffer in self._memory:
            pointer = (ctypes.c_char * len(buffer)).from_buffer(buffer)
            self._pointers.append(pointer)
            uc.mem_map_ptr(address, len(buffer), UC_PROT_ALL, ctypes.addressof(pointer))
        unpack = struct.Struct("<I").unpack_from
        self._readers = [(a, a + len(b) - 4, partial(unpack, b)) for a, b in self._memory]
        for register, value in (
            (regs.SCR_EL3, regs.SCR_NS_HCE_RW),
            (regs.HCR_EL2, regs.HCR_RW | regs.HCR_VM | regs.HCR_TWI | regs.HCR_TSC | traps),
            (regs.MDCR_EL2, regs.MDCR_TRAPS),
            (regs.CNTHCTL_EL2, 3),
            (regs.VMPIDR_EL2, 1 << 31 | mpidr),
            (regs.VTCR_EL2, regs.VTCR),
            (regs.VTTBR_EL2, stage2),
            (regs.EL1_REGISTERS["cpacr_el1"], 0),  # as at reset; but this core never traps it
        ):
            write_cp(uc, register, value)

        live = find_live_state(uc, at)
        self._context = Context(uc)
        self.copies_registers = live is None
        """Registers are not reached in place: every exit copies the state out and back."""
        window = self._context.bytes
        if live is not None:
            window = memoryview((ctypes.c_ubyte * self._context.size).from_address(live)).cast("B")
        self._window = window

        def words(offset: int, count: int = 1, kind: Literal["Q", "I"] = "Q") -> memoryview:
            return window[offset : offset + count * (4 if kind == "I" else 8)].cast(kind)

        self.x = words(at.x0, 31)
        """x0 to x30, in place."""
        self._sp = words(at.x0 + 31 * 8)
        self.pc_word = self._pc = words(at.pc)
        """Holds PC."""
        self._mode, self._aarch64 = words(at.mode, kind="I"), words(at.mode + 4, kind="I")
        self._daif = words(at.daif, kind="I")
        self._flags = window[at.flags : at.flags + 16]
        place = f"=QI{at.flags - at.pc - 12}x4I{at.daif - at.flags - 16}xI"
        self._where = partial(struct.Struct(place).unpack_from, window, at.pc)
        self.syndrome_word = self._syndrome = words(at.syndrome, kind="I")
        self.target_el_word = self._target_el = words(at.target_el, kind="I")
        self.address_word = self._fault_address = words(at.fault_address)
        self.hpfar_word = self._hpfar = words(at.hpfar_el2)
        self._system = {
            name: words(o, kind="I" if w == 4 else "Q") for name, (o, w) in at.system.items()
        }
        self._vectors = [words(at.q0 + n * at.q_stride, 2) for n in range(32)]
        self._exclusive = [words(offset) for offset in at.exclusive]
        self._pull()
        self._initial = self.save()

        self.clock = clk.Clock(clock)
        self._state = self.clock.state
        if live is not None:
            self._state[clk.DAIF_AT] = live + at.daif
            self._state[clk.PC_AT], self._state[clk.MODE_AT] = live + at.pc, live + at.mode
            self._state[clk.X_AT] = live + at.x0
            self._state[clk.HPFAR_AT] = live + at.hpfar_el2
        self._state[clk.RAM_BASE], buffer = self._memory[0]
        self._state[clk.RAM_SIZE] = len(buffer)
        self._state[clk.RAM_AT] = ctypes.addressof(self._pointers[0])
        self.index_word = self._state[clk.INDEX : clk.INDEX + 1]
        """Holds the index."""
        self.call_words = self._state[clk.CALL : clk.CALL + clk.CALL_WORDS]
        """Of the HVC being handled: index, time, PC behind it, and x0 to x5. The handler may
        correct the time."""
        self.irq_word = self._state[clk.IRQ : clk.IRQ + 1]
        """Holds `irq`."""
        self._end: End | None = None
        self._error: BaseException | None = None
        self._breakpoints: dict[int, int] = {}
        self.stale_code = self.stale_tlb = False
        """Another core changed code or translation tables: `switch_in` forgets what is cached."""
        self.standing_at = -1
        """No breakpoint stops at this index: that is where we come from."""
        self._until = _NEVER
        self._exact: tuple[int, int] | None = None
        self.tell_time(array("Q", (0,)), 0)
        self._hypercall = handler.hypercall_exit(self)
        self._device = handler.device_exit(self)
        self.clock.attach(
            self._handle,
            self._hypercall,
            self._device,
            self._on_exception,
            self._on_counter_read,
            self._on_counter_write,
        )
        self._vmpidr_at = ctypes.byref(clk.CpRegister(*regs.VMPIDR_EL2, 1 << 31 | mpidr))
        self._physical = ctypes.c_uint64()
        self._physical_at = ctypes.byref(self._physical)
        self._breakpoint_hook = clk.BlockHook(self._on_breakpoint)
        self._probes: dict[int, str] = {}
        self._probe_hooks: list[int] = []
        self._probe_hook = clk.BlockHook(self._on_probe)
        self._probed_at = -1

    # -- registers

    @property
    def pc(self) -> int:
        """The next instruction."""
        return self._pc[0]

    @pc.setter
    def pc(self, value: int) -> None:
        self._pc[0] = value

    @property
    def sp(self) -> int:
        """The stack pointer in use."""
        return self._sp[0]

    @sp.setter
    def sp(self, value: int) -> None:
        self._sp[0] = value

    @property
    def pstate(self) -> int:
        """PSTATE in SPSR layout. Setting it moves SP between its banks where the mode changes."""
        return self.where()[1]

    @pstate.setter
    def pstate(self, value: int) -> None:
        self._write_pstate(value)

    def _write_pstate(self, value: int) -> None:
        self._flags[:], self._daif[0], mode = _split(value)
        old = self._mode[0]
        if mode != old:
            self._mode[0] = mode
            changed = (mode ^ old) & pstate.MODE
            if changed:
                self._system[_bank(old)][0] = self._sp[0]
                self._sp[0] = self._system[_bank(mode)][0]
            if changed & ~1:
                self._rebuild_flags()

    def where(self) -> tuple[int, int]:
        """Return PC and PSTATE."""
        pc, mode, c, v, n, z, daif = self._where()
        value = daif | mode
        if n >> 31:
            value |= pstate.N
        if z == 0:
            value |= pstate.Z
        if c:
            value |= pstate.C
        if v >> 31:
            value |= pstate.V
        return pc, value

    def go_to(self, pc: int, value: int) -> None:
        """Set PC and PSTATE, as an ERET to the guest does: it ends a load-exclusive's watch too."""
        self._pc[0] = pc
        self._write_pstate(value)
        self._exclusive[0][0] = _NEVER

    def __getitem__(self, name: str) -> int:
        """Return an EL1 or EL0 system register by its lower-case name."""
        if name == _bank(self._mode[0]):
            return self._sp[0]
        return self._system[name][0]

    def system_registers(self, names: Iterable[str]) -> list[int]:
        """Return several EL1 or EL0 system registers."""
        in_use, system = _bank(self._mode[0]), self._system
        return [self._sp[0] if name == in_use else system[name][0] for name in names]

    def __setitem__(self, name: str, value: int) -> None:
        if name == _bank(self._mode[0]):
            self._sp[0] = value
        else:
            self._system[name][0] = value

    @property
    def at_el0(self) -> bool:
        """Whether the guest is at EL0."""
        return pstate.exception_level(self._mode[0]) == 0

    def allow_el0_pmu(self, value: int) -> None:
        """Set PMUSERENR_EL0, which decides whether EL0's use of the PMU traps to EL1 or to EL2."""
        self._push()
        write_cp(self._uc, regs.PMUSERENR_EL0, value)
        self._pull()

    def write_system(self, name: str, value: int) -> None:
        """Set a system register as an MSR does: only the bits that exist, and with its effects."""
        if name == _bank(self._mode[0]):
            self._sp[0] = value
            return
        self._push()
        write_cp(self._uc, regs.EL1_REGISTERS[name], value)
        self._pull()
        self.flush_tlb()

    def settle_registers(self) -> None:
        """Make changed system registers take effect: translation and the core's cached mode."""
        self._rebuild_flags()
        self.flush_tlb()

    def save(self) -> dict[str, int]:
        """Return the whole state of the core; `load` takes it back, on this core or another."""
        state = {f"x{n}": value for n, value in enumerate(self.x)}
        state |= {name: self[name] for name in self._system}
        state |= {"pc": self.pc, "pstate": self.pstate}
        state |= {f"v{n}": low | high << 64 for n, (low, high) in enumerate(self._vectors)}
        state |= {f"exclusive{n}": word[0] for n, word in enumerate(self._exclusive)}
        for name, register in _FLOATING_POINT.items():
            state[name] = self._uc.reg_read(register)
        return state

    def load(self, state: Mapping[str, int]) -> None:
        """Take over a saved state. Translations are forgotten, translated code is not."""
        for n in range(31):
            self.x[n] = state[f"x{n}"]
        for n, vector in enumerate(self._vectors):
            vector[0], vector[1] = state[f"v{n}"] & _NEVER, state[f"v{n}"] >> 64
        for n, word in enumerate(self._exclusive):
            word[0] = state[f"exclusive{n}"]
        for name, view in self._system.items():
            view[0] = state[name]
        self._aarch64[0] = 1
        self._probed_at = -1
        self.pc = state["pc"]
        self._flags[:], self._daif[0], self._mode[0] = _split(state["pstate"])
        self._sp[0] = state[_bank(state["pstate"])]
        self._push()
        for name, register in _FLOATING_POINT.items():
            self._uc.reg_write(register, state[name])
        self._pull()
        self.settle_registers()

    def reset(self) -> None:
        """Put the core into its state at power-on: EL1h, everything masked, MMU off."""
        self.load(self._initial)

    # -- time

    def tell_time(self, skipped: "array[int]", tick: int) -> None:
        """Say what time it is; EL1's reading of it is no exit where that can be had.

        Parameters
        ----------
        skipped
            One word: nanoseconds to add to the index.
        tick
            Nanoseconds of a tick of the system counter; 0: every reading is an exit.
        """
        self._skipped = skipped
        self._state[clk.SKIPPED_AT] = skipped.buffer_info()[0]
        self._state[clk.TICK] = 0 if self.copies_registers else tick

    @property
    def index(self) -> int:
        """Instructions executed."""
        return self._state[clk.INDEX]

    @index.setter
    def index(self, value: int) -> None:
        self._state[clk.INDEX] = value

    def settle(self) -> None:
        """Take back what the clock counted of the last block beyond PC."""
        state = self._state
        size = state[clk.LAST_SIZE]
        if size:
            state[clk.LAST_SIZE] = 0
            left = state[clk.LAST_START] + size - self._pc[0]
            if 0 < left <= size:
                state[clk.INDEX] -= left >> 2

    def count(self) -> None:
        """Count the instruction that exited: it ends here."""
        self._state[clk.INDEX] += 1

    def retire(self) -> None:
        """Complete the instruction that exited: count it and step over it."""
        self._state[clk.INDEX] += 1
        self._pc[0] = self._pc[0] + 4 & _NEVER

    # -- running

    def run(self, target: int) -> End:
        """Run until the index is `target`, exactly, or something else ends it."""
        self._state[clk.INTERRUPT] = 0
        self._end = None
        return self._run(target)

    def _run(self, target: int) -> End:
        state = self._state
        state[clk.TARGET] = target
        self._set_limit()  # before INTERRUPT is looked at, which another thread may set
        while state[clk.INDEX] < state[clk.TARGET]:
            if state[clk.INTERRUPT]:
                return End.SLICE
            if self.irq_is_due:
                self._handler.interrupt()
            pc = self._pc[0]
            left = state[clk.TARGET] - state[clk.INDEX]
            if pc & 3:
                self._misaligned(pc)
            elif left == 1 and (pc + 4) % _SMALLEST_PAGE:
                self._run_exactly(pc, 4)
            else:
                self._start(pc, _NEVER)
                left = state[clk.TARGET] - state[clk.INDEX]
                size = state[clk.BLOCKED_SIZE]
                if size and left > 0 and not state[clk.INTERRUPT] and not self.irq_is_due:
                    start = state[clk.BLOCKED_START]
                    if start & 3:
                        pass
                    elif size > 4 * left:
                        self._run_exactly(start, 4 * left)
                    else:
                        # An interrupt is pending; that it is masked the clock cannot see.
                        self._run_counted(start, _NEVER, size)
            if self._end:
                return self._end
        return End.TARGET

    def _set_limit(self) -> None:
        state = self._state
        state[clk.LIMIT] = 0 if state[clk.IRQ] or state[clk.INTERRUPT] else state[clk.TARGET]

    def stop_by(self, index: int) -> None:
        """Bring the target of a run forward; for handlers."""
        state = self._state
        if index < state[clk.TARGET]:
            state[clk.TARGET] = target = index if index > 0 else 0
            # As `_set_limit` does; what the host's work costs comes here at every exit.
            state[clk.LIMIT] = 0 if state[clk.IRQ] or state[clk.INTERRUPT] else target

    @property
    def irq(self) -> bool:
        """Whether an interrupt is pending: taken where PSTATE.I is clear, at exactly that index."""
        return bool(self._state[clk.IRQ])

    @irq.setter
    def irq(self, pending: bool) -> None:
        self._state[clk.IRQ] = pending
        self._set_limit()

    @property
    def irq_is_due(self) -> bool:
        """Whether an interrupt is pending and not masked."""
        return bool(self._state[clk.IRQ]) and not self._daif[0] & pstate.I

    def _run_exactly(self, start: int, size: int) -> None:
        """Run the first `size` bytes of a block and no more.

        An address to stop at is only looked at while a block is translated, so what is cached
        there has to go, before and after. The end never lies on a page's end: there Unicorn looks
        at both pages, and the guest may have left the one it comes from for good.
        """
        end = start + size
        self._forget(start, end)
        self._exact = start, end
        self._run_counted(start, end, size)
        self._forget_exact()

    def _run_counted(self, start: int, until: int, size: int) -> None:
        """Run, and let the clock look at no block before so many bytes are counted."""
        self._state[clk.LIMIT] = self._state[clk.INDEX] + (size >> 2)
        self._start(start, until)
        self._set_limit()

    def _forget_exact(self) -> None:
        """Remove the cached blocks of an exact run, while its addresses mean the same."""
        if self._exact:
            self._forget(*self._exact)
            self._exact = None

    def _forget(self, start: int, end: int) -> None:
        # An error means that nothing can be translated there: the fetch will fault.
        uclib.uc_ctl(self._handle, _REMOVE_CACHE, ctypes.c_uint64(start), ctypes.c_uint64(end))

    def _start(self, start: int, until: int) -> None:
        state = self._state
        state[clk.BLOCKED_SIZE] = 0
        self._until = until
        # Then the clock is right as it stands at an HVC, which ends its block.
        state[clk.PLAIN] = until == _NEVER and not self.copies_registers
        if self.copies_registers:
            self._push()
        status = uclib.uc_emu_start(self._handle, start, until, 0, 0)
        if self.copies_registers:
            self._pull()
        if state[clk.BLOCKED_SIZE]:
            state[clk.LAST_SIZE] = 0
        else:
            self.settle()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._aarch64[0]:
            raise CoreError(_AARCH32)
        if status:
            raise CoreError(f"the core stopped with Unicorn error {status} at PC {self.pc:#x}")

    def interrupt(self) -> None:
        """Make `run` come back soon; may be called from another thread."""
        self._state[clk.INTERRUPT] = 1
        self._state[clk.LIMIT] = 0

    def stop(self) -> None:
        """End `run` here; for handlers."""
        self._state[clk.LAST_SIZE] = 0
        self._end = End.HANDLER
        uclib.uc_emu_stop(self._handle)

    def fail(self, error: BaseException) -> None:
        """Stop and raise an error from `run`: a callback cannot raise through Unicorn."""
        self._error = error
        self.stop()

    # -- exits

    def _on_exception(self, uc: Any, number: int) -> None:
        try:
            if self.copies_registers:
                self._pull()
            elif number == _DATA_ABORT and self._device_answers():
                return
            if self._until != _NEVER:
                # One exit is enough for an exact run: from here the address to stop at could be
                # reached by a branch.
                uclib.uc_emu_stop(self._handle)
                if number != _INSTRUCTION_ABORT:
                    # Now, since at EL1 these addresses may lead nowhere, and the block stay.
                    self._forget_exact()
                if number == _UNDEFINED and self._reached_end():
                    return
            if number == _INSTRUCTION_ABORT:
                # No block begins here: the last one ran to its end, also where that led back
                # into it (an ERET to EL0).
                self._state[clk.LAST_SIZE] = 0
                if (
                    self._end
                    or self._state[clk.INDEX] >= self._state[clk.TARGET]
                    or self.irq_is_due
                ):
                    # Only a block would have been refused; the fetch comes with the next run.
                    uclib.uc_emu_stop(self._handle)
                    return
            self.settle()
            if number == _HVC:
                self._note_call()
                self._hypercall()
            else:
                self._dispatch(number)
        except BaseException as error:
            self.fail(error)
        finally:
            if self.copies_registers:
                self._push()

    def _device_answers(self) -> bool:
        """Take the short way to a device, where the native hook has not tried it before."""
        if self.clock.kind != "python" or not self._state[clk.PLAIN] or self._target_el[0] != 2:
            return False
        self.settle()
        word = self.read_word(self._pc[0])
        return word is not None and self._device(word)

    def _note_call(self) -> None:
        index = self.index
        call = index, index + self._skipped[0], self._pc[0], *self.x[:6]
        self.call_words[:] = array("Q", call)

    def _reached_end(self) -> bool:
        """Tell whether a trap is how Unicorn stops at an address: by a WFI, and ours trap.

        PC stands one instruction before the end, as for a WFI in that place: the word there tells
        them apart.
        """
        end = self._until
        if self._pc[0] + 4 != end or esr.exception_class(self._syndrome[0]) != esr.Class.WFX:
            return False
        if self.read_word(end - 4) == _WFI:
            return False
        self._pc[0] = end
        self._state[clk.LAST_SIZE] = 0
        return True

    def _dispatch(self, number: int) -> None:
        syndrome = self._syndrome[0]
        address = self._fault_address[0]
        if not self._aarch64[0]:
            raise CoreError(_AARCH32)
        pc = self._pc[0]
        if pc & 3:
            self._misaligned(pc)
        elif self._target_el[0] == 2:
            if number in (_INSTRUCTION_ABORT, _DATA_ABORT):
                ipa = self._hpfar[0] >> 4 << 12
                if not syndrome & esr.S1PTW:  # else this is the table's page, not the address's
                    ipa |= address & 0xFFF
                self._handler.stage2_abort(syndrome, address, ipa)
            else:
                self._handler.trap(syndrome)
        else:
            if number != _SVC:  # which ends its block, and was counted with it
                self.count()
            has_address = number in (_INSTRUCTION_ABORT, _DATA_ABORT)
            self._handler.guest_exception(syndrome, address if has_address else None, pc)

    def _misaligned(self, pc: int) -> None:
        """Refuse a PC between two instructions, before all else (Arm ARM D1.10.8).

        The core itself would fetch there.
        """
        self.count()
        self._handler.guest_exception(_PC_ALIGNMENT, pc, pc)

    def take_exception(self, syndrome: int, address: int | None, pc: int) -> tuple[int, int]:
        """Take a synchronous exception to EL1 (Arm ARM D1.10.2).

        Parameters
        ----------
        syndrome
            For ESR_EL1.
        address
            For FAR_EL1, None to leave it.
        pc
            For ELR_EL1.

        Returns
        -------
        tuple
            The vector's address, and the PSTATE that was interrupted.
        """
        system = self._system
        system["esr_el1"][0] = syndrome
        if address is not None:
            system["far_el1"][0] = address
        return self._enter_vector(0x000, pc)

    def take_irq(self) -> tuple[int, int]:
        """Take an IRQ to EL1; see `take_exception`. ESR_EL1 and FAR_EL1 stay."""
        return self._enter_vector(0x080, self._pc[0])

    def _enter_vector(self, kind: int, pc: int) -> tuple[int, int]:
        interrupted = self.pstate
        if pstate.exception_level(interrupted) == 0:
            offset = 0x400
        else:
            offset = 0x200 if interrupted & 1 else 0x000
        system = self._system
        system["elr_el1"][0] = pc
        system["spsr_el1"][0] = interrupted
        self._write_pstate(interrupted & pstate.NZCV | pstate.DAIF | pstate.EL1H)
        self._pc[0] = vector = (system["vbar_el1"][0] & ~0x7FF) + offset + kind & _NEVER
        return vector, interrupted

    def _on_counter_read(self, uc: Any, number: int, register: int, user_data: Any) -> int:
        return self._on_counter(number, register, False)

    def _on_counter_write(self, uc: Any, number: int, register: int, user_data: Any) -> int:
        return self._on_counter(number, register, True)

    def _on_counter(self, number: int, register: int, write: bool) -> int:
        try:
            cp = clk.CpRegister.from_address(register)
            if cp.op1 != 3 or cp.crn != 14:
                return 0
            if self.copies_registers:
                self._pull()
            # The block was counted as a whole; for the handler the time is that of this
            # instruction.
            state = self._state
            counted = state[clk.INDEX]
            state[clk.INDEX] = counted - (
                (state[clk.LAST_START] + state[clk.LAST_SIZE] - self._pc[0]) >> 2
            )
            encoding = regs.cp(cp.op0, cp.op1, cp.crn, cp.crm, cp.op2)
            value = self._handler.counter(encoding, cp.val if write else None)
            state[clk.INDEX] = counted
            if value is None:
                return 0
            if not write and number in _TRANSFER:  # else it is the zero register
                self.x[_TRANSFER[number]] = value
                self._push()
            return 1
        except BaseException as error:
            self.fail(error)
            return 0

    # -- breakpoints

    @property
    def breakpoints(self) -> tuple[int, ...]:
        """Virtual addresses at which `run` stops, before the instruction."""
        return tuple(sorted(self._breakpoints))

    @breakpoints.setter
    def breakpoints(self, addresses: Iterable[int]) -> None:
        wanted = set(addresses)
        for address in self._breakpoints.keys() - wanted:
            uclib.uc_hook_del(self._handle, self._breakpoints.pop(address))
        for address in wanted - self._breakpoints.keys():
            function = clk.function_address(self._breakpoint_hook)
            self._breakpoints[address] = clk.add_hook(
                self._handle, UC_HOOK_CODE, function, begin=address, end=address
            )
        self.flush_code()  # hooks are compiled into the code

    def _on_breakpoint(self, uc: Any, address: int, size: int, user_data: Any) -> None:
        state = self._state
        here = state[clk.INDEX] - ((state[clk.LAST_START] + state[clk.LAST_SIZE] - address) >> 2)
        if here != self.standing_at:
            self.standing_at = here
            self._end = End.BREAKPOINT
            uclib.uc_emu_stop(self._handle)

    # -- probes

    @property
    def probes(self) -> dict[int, str]:
        """Virtual addresses at which the handler is told of the guest, and their names."""
        return dict(self._probes)

    @probes.setter
    def probes(self, probes: Mapping[int, str]) -> None:
        for hook in self._probe_hooks:
            uclib.uc_hook_del(self._handle, hook)
        function = clk.function_address(self._probe_hook)
        self._probe_hooks = [
            clk.add_hook(self._handle, UC_HOOK_CODE, function, begin=address, end=address)
            for address in probes
        ]
        self._probes = dict(probes)
        if probes:
            self.flush_code()

    def _on_probe(self, uc: Any, address: int, size: int, user_data: Any) -> None:
        try:
            state = self._state
            counted = state[clk.INDEX]
            here = counted - ((state[clk.LAST_START] + state[clk.LAST_SIZE] - address) >> 2)
            # Where a breakpoint ends the run the guest comes again; its hook may be the later one.
            if self._end or (address in self._breakpoints and here != self.standing_at):
                return
            if self.copies_registers:
                self._pull()
            if here != self._probed_at:
                self._probed_at = here
                state[clk.INDEX] = here
                self._handler.probe(self._probes[address])
                state[clk.INDEX] = counted
        except BaseException as error:
            self.fail(error)

    # -- caches

    def flush_code(self) -> None:
        """Forget all translated code: after code was written by anyone but the guest."""
        self._uc.ctl_flush_tb()

    def flush_tlb(self) -> None:
        """Forget address translations: after a stage-2 entry lost rights."""
        uclib.uc_ctl(self._handle, _FLUSH_TLB)

    def switch_in(self) -> None:
        """Begin a turn: see what other cores did meanwhile."""
        if self.stale_code:
            self.flush_code()
        if self.stale_tlb:
            self.flush_tlb()
        self.stale_code = self.stale_tlb = False
        self._exclusive[0][0] = _NEVER  # they may have stored to the address watched

    def identification(self, register: regs.CP) -> int:
        """Return an identification register."""
        return read_cp(self._uc, register)

    def translate(self, address: int) -> int | None:
        """Return where the guest's translation leads a load now, None where nowhere."""
        return self._translate(address, UC_PROT_READ)

    def _translate(self, address: int, access: int) -> int | None:
        if not self._system["sctlr_el1"][0] & 1:
            return address
        status = uclib.uc_vmem_translate(
            self._handle, ctypes.c_uint64(address), access, self._physical_at
        )
        return None if status else self._physical.value

    def read_word(self, address: int) -> int | None:
        """Return the instruction at a virtual address, None where nothing can be executed."""
        physical = self._translate(address, UC_PROT_EXEC)
        if physical is None:
            return None
        for base, end, read in self._readers:
            if base <= physical <= end:
                word: int = read(physical - base)[0]
                return word
        return None

    # -- plumbing

    def _pull(self) -> None:
        if self.copies_registers:
            self._context.uc.context_update(self._context.context)

    def _push(self) -> None:
        if self.copies_registers:
            self._uc.context_restore(self._context.context)

    def _rebuild_flags(self) -> None:
        """Let the core notice a changed level or regime: any system-register write does."""
        self._push()
        # As `write_cp` does, in a tenth of the time: every change of level comes here. This
        # register never changes.
        uclib.uc_reg_write(self._handle, UC_ARM64_REG_CP_REG, self._vmpidr_at)
        self._pull()


_TRANSFER: Final = {x_register(n): n for n in range(31)}
"""Which register an MRS or MSR moves, by Unicorn's identifier."""
_FLOATING_POINT: Final = {"fpcr": UC_ARM64_REG_FPCR, "fpsr": UC_ARM64_REG_FPSR}


@lru_cache(maxsize=1024)
def _split(value: int) -> tuple[bytes, int, int]:
    """Return what the core keeps PSTATE as: the words of C, V, N and Z, the masks, and the rest."""
    flags = value >> 29 & 1, value << 3 & 1 << 31, value & pstate.N, ~value & pstate.Z
    return struct.pack("=4I", *flags), value & pstate.DAIF, value & 0x0FFF_FFFF & ~pstate.DAIF


def _bank(value: int) -> str:
    """Return the stack pointer that a mode uses."""
    return "sp_el1" if value & pstate.MODE == pstate.EL1H else "sp_el0"


def _require_memory() -> None:
    """Refuse to make a core that would not fit: Unicorn ends the process where it finds no room."""
    try:
        mmap.mmap(-1, _MEMORY_NEEDED).close()
    except OSError:
        raise CoreError(
            f"not enough memory for a core: it takes {_MEMORY_NEEDED >> 20} MiB of address space; "
            "close other kernels or raise the limit (ulimit -v)"
        ) from None
