"""The clock: how many instructions a core has executed, exactly.

The index is architectural. Every instruction that completes adds one, and so does one that ends in
an exception to EL1; an access that the hypervisor resolves and lets the guest repeat adds nothing.
It does not depend on where Unicorn cuts its translated blocks, so the same guest always meets the
same index at the same place.

A hook at the start of each block adds the block's length. A block that would go past the target is
not counted: the hook stops the core in front of it, and `Core.run` then runs just the instructions
that are left. While an interrupt is pending, it stops in front of the first block that begins with
IRQs unmasked: whatever unmasks them ends its block. It also refuses a block that begins or ends
between two words: the core would run both code that is not aligned, and Thumb. With llvmlite the
hook is machine code (``hooks.ll``), and free; without it, the same few lines in Python.
"""

import ctypes
import re
from array import array
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from unicorn import UC_HOOK_BLOCK, UC_HOOK_INSN, UC_HOOK_INTR
from unicorn.arm64_const import UC_ARM64_INS_MRS, UC_ARM64_INS_MSR
from unicorn.unicorn_py3.unicorn import uclib

from sdeiviz.abi import pstate
from sdeiviz.errors import Error

# Words of a clock's state, which the hooks and the core share.
INDEX: Final = 0
LIMIT: Final = 1
"""A block that would go past this index is looked at: the target, or 0 to look at every block."""
TARGET: Final = 2
INTERRUPT: Final = 3
"""Not zero: to stop was asked for, from any thread."""
IRQ: Final = 4
"""Not zero: an interrupt waits for the guest to unmask IRQs."""
DAIF_AT: Final = 5
"""Address of the core's PSTATE.DAIF, u32; 0 where it is not reached in place."""
BLOCKED_START: Final = 6
BLOCKED_SIZE: Final = 7
"""The block the hook refused to enter; size 0 where it refused none."""
LAST_START: Final = 8
LAST_SIZE: Final = 9
"""The block counted last, in bytes; size 0 once it is known how far it ran."""
READ_COUNTER: Final = 10
WRITE_COUNTER: Final = 11
"""Addresses of the functions to call for an MRS or MSR of a timer or PMU register."""
PLAIN: Final = 12
"""Not zero: an HVC needs nothing but HYPERCALL, and a data abort outside RAM, whose instruction can
be read, DEVICE if that answers true; all other exits call EXCEPTION."""
HYPERCALL: Final = 13
DEVICE: Final = 14
EXCEPTION: Final = 15
SKIPPED_AT: Final = 16
"""Address of the nanoseconds skipped, u64."""
TICK: Final = 17
"""Nanoseconds; 0 where EL1's reading of the time is a call too."""
PC_AT: Final = 18
MODE_AT: Final = 19
HPFAR_AT: Final = 20
"""Addresses of the core's PC, u64, mode, u32, and HPFAR_EL2, u64."""
RAM_BASE: Final = 21
RAM_SIZE: Final = 22
RAM_AT: Final = 23
"""Physical address of RAM, bytes, and where the host has it."""
X_AT: Final = 24
"""Address of the core's x0, u64, and those that follow it."""
CALL: Final = 25
CALL_WORDS: Final = 9
"""The last HVC: index, time, PC behind it, and x0 to x5."""
_WORDS: Final = CALL + CALL_WORDS

BlockHook = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
CounterHook = ctypes.CFUNCTYPE(
    ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p
)
ExceptionHook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)
"""Called with user data too, which can stay where the caller put it."""
HypercallHook = ctypes.CFUNCTYPE(None)
DeviceHook = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_uint32)

CounterFunction = Callable[[Any, int, int, Any], int]


class CpRegister(ctypes.Structure):
    """`uc_arm64_cp_reg`: what an MRS or MSR hook is told."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("crn", "crm", "op0", "op1", "op2")] + [
        ("val", ctypes.c_uint64)
    ]


@lru_cache(maxsize=1)
def _native_hooks() -> tuple[Any, dict[str, int]] | None:
    """Compile the hooks; return what keeps them alive, and their addresses by name.

    None without llvmlite.
    """
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    text = Path(__file__).with_name("hooks.ll").read_text(encoding="utf-8")
    source = re.sub(r"\bi64 ([A-Z_]+)\b", lambda word: f"i64 {_named(word[1])}", text)
    module = llvm.parse_assembly(source)
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2, jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    names = "block", "exception", "read", "write"
    return engine, {name: engine.get_function_address(name) for name in names}


def _named(name: str) -> int:
    """Return what a capital word in the hooks stands for: a word of the state, or a function."""
    functions = {
        "EMU_STOP": uclib.uc_emu_stop,
        "REG_WRITE": uclib.uc_reg_write,
        "TRANSLATE": uclib.uc_vmem_translate,
    }
    return function_address(functions[name]) if name in functions else int(globals()[name])


def function_address(function: Any) -> int:
    """Return the address of a C function or callback."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Clock:
    """Counts the instructions of one core.

    Parameters
    ----------
    kind
        "native" (needs llvmlite), "python", or None for the best there is.

    Raises
    ------
    sdeiviz.Error
        There is no such clock here.
    """

    def __init__(self, kind: str | None = None) -> None:
        native = _native_hooks() if kind != "python" else None
        if kind not in (None, "native", "python"):
            raise Error(f"no clock {kind!r}: choose 'native' or 'python'")
        if kind == "native" and native is None:
            raise Error(
                "the native clock needs llvmlite: pip install llvmlite, or take clock='python'"
            )
        self.kind = "native" if native else "python"
        self._words = array("Q", bytes(8 * _WORDS))
        self.state = memoryview(self._words)
        self._native = native
        self._keep: list[Any] = []

    def attach(
        self,
        handle: Any,
        hypercall: Callable[[], None],
        device: Callable[[int], bool],
        exception: Callable[[Any, int], None],
        read: CounterFunction,
        write: CounterFunction,
    ) -> None:
        """Install the hooks on a core, before it runs for the first time.

        Parameters
        ----------
        handle
            Unicorn's handle of the core.
        hypercall
            May be called instead of `exception` for an HVC while PLAIN is set.
        device
            May be called before `exception` for a data abort while PLAIN is set, with the word of
            the instruction and the clock settled; True: it is done.
        exception
            Called with (core, number of the exception).
        read, write
            Called for an MRS and an MSR of a timer or PMU register (op1 3, CRn 14) with (core,
            register number, address of a `CpRegister`, user data); 1 means that it is done.
        """
        state_at = self._words.buffer_info()[0]
        hooks = {
            "hypercall": HypercallHook(hypercall),
            "device": DeviceHook(device),
            "exception": ExceptionHook(exception),
            "read": CounterHook(read),
            "write": CounterHook(write),
            "block": BlockHook(self._python_block(handle)),
        }
        self._keep.append(hooks)
        at = {name: function_address(hook) for name, hook in hooks.items()}
        if self._native:
            self.state[HYPERCALL], self.state[EXCEPTION] = at["hypercall"], at["exception"]
            self.state[DEVICE] = at["device"]
            self.state[READ_COUNTER], self.state[WRITE_COUNTER] = at["read"], at["write"]
            at = self._native[1]
        add_hook(handle, UC_HOOK_BLOCK, at["block"], state_at)
        add_hook(handle, UC_HOOK_INTR, at["exception"], state_at)
        add_hook(handle, UC_HOOK_INSN, at["read"], state_at, argument=UC_ARM64_INS_MRS)
        add_hook(handle, UC_HOOK_INSN, at["write"], state_at, argument=UC_ARM64_INS_MSR)

    def _python_block(self, handle: Any) -> Callable[[Any, int, int, Any], None]:
        """The same as the native hook."""
        state = self.state
        stop = uclib.uc_emu_stop

        def stop_wanted(after: int, odd: int) -> bool:
            if after > state[TARGET] or state[INTERRUPT] or odd:
                return True
            if not state[IRQ]:
                return False
            daif_at = state[DAIF_AT]
            return not daif_at or not ctypes.c_uint32.from_address(daif_at).value & pstate.I

        def block(uc: Any, start: int, size: int, user_data: Any) -> None:
            after = state[INDEX] + (size >> 2)
            odd = (start | size) & 3
            if (after > state[LIMIT] or odd) and stop_wanted(after, odd):
                state[BLOCKED_START] = start
                state[BLOCKED_SIZE] = size
                stop(handle)
            else:
                state[INDEX] = after
                state[LAST_START] = start
                state[LAST_SIZE] = size

        return block


def add_hook(
    handle: Any,
    kind: int,
    function: int,
    user_data: int = 0,
    begin: int = 1,
    end: int = 0,
    argument: int = 0,
) -> int:
    """Install a hook by a C function's address: the binding's own way adds two Python calls."""
    hook = ctypes.c_size_t()
    extra = (ctypes.c_int(argument),) if argument else ()
    status = uclib.uc_hook_add(
        handle,
        ctypes.byref(hook),
        kind,
        ctypes.c_void_p(function),
        ctypes.c_void_p(user_data),
        ctypes.c_uint64(begin),
        ctypes.c_uint64(end),
        *extra,
    )
    if status:
        raise RuntimeError(f"Unicorn refused a hook (error {status})")
    return hook.value
