"""The clock: how many instructions a core has executed, exactly.

The index is architectural. Every instruction that completes adds one, and so does one that ends in
an exception to EL1; an access that the hypervisor resolves and lets the guest repeat adds nothing.
It does not depend on where Unicorn cuts its translated blocks, so the same guest always meets the
same index at the same place.

A hook at the start of each block adds the block's length. A block that would go past the target is
not counted: the hook stops the core in front of it, and `Core.run` then runs just the instructions
that are left. It also refuses a block that begins or ends between two words: the core would run
both code that is not aligned, and Thumb. With llvmlite the hook is machine code, and free; without
it, the same few lines in Python.
"""

import ctypes
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from unicorn import UC_HOOK_BLOCK, UC_HOOK_INSN, UC_HOOK_INTR
from unicorn.arm64_const import UC_ARM64_INS_MRS, UC_ARM64_INS_MSR
from unicorn.unicorn_py3.unicorn import uclib

from sdeiviz.errors import Error

# Words of a clock's state, which the hook and the core share.
INDEX: Final = 0
LIMIT: Final = 1
"""No block may go past this index: the target, or 0 to stop in front of the next block."""
INTERRUPT: Final = 2
"""Not zero: to stop was asked for, whatever the limit."""
BLOCKED_START: Final = 3
BLOCKED_SIZE: Final = 4
"""The block the hook refused to enter; size 0 where it refused none."""
LAST_START: Final = 5
LAST_SIZE: Final = 6
"""The block counted last, in bytes; size 0 once it is known how far it ran."""
READ_COUNTER: Final = 7
WRITE_COUNTER: Final = 8
"""Addresses of the functions to call for an MRS or MSR of a timer or PMU register."""
PLAIN: Final = 9
"""Not zero: an HVC needs nothing but HYPERCALL, all other exits call EXCEPTION."""
HYPERCALL: Final = 10
EXCEPTION: Final = 11
_WORDS: Final = 12

BlockHook = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
CounterHook = ctypes.CFUNCTYPE(
    ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p
)


ExceptionHook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)
"""Called with user data too, which can stay where the caller put it."""
HypercallHook = ctypes.CFUNCTYPE(None)

CounterFunction = Callable[[Any, int, int, Any], int]


class CpRegister(ctypes.Structure):
    """`uc_arm64_cp_reg`: what an MRS or MSR hook is told."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("crn", "crm", "op0", "op1", "op2")] + [
        ("val", ctypes.c_uint64)
    ]


_NATIVE_BLOCK: Final = """
define void @block(ptr %uc, i64 %start, i32 %size, ptr %state) {
  %bytes = zext i32 %size to i64
  %count = lshr i64 %bytes, 2
  %index = load i64, ptr %state
  %next = add i64 %index, %count
  %limit_at = getelementptr i64, ptr %state, i64 1
  %limit = load volatile i64, ptr %limit_at
  %past = icmp ugt i64 %next, %limit
  %place = or i64 %start, %bytes
  %odd = and i64 %place, 3
  %between_words = icmp ne i64 %odd, 0
  %refuse = or i1 %past, %between_words
  br i1 %refuse, label %refused, label %counted
counted:
  store i64 %next, ptr %state
  %last_start = getelementptr i64, ptr %state, i64 5
  store i64 %start, ptr %last_start
  %last_size = getelementptr i64, ptr %state, i64 6
  store i64 %bytes, ptr %last_size
  ret void
refused:
  %blocked_start = getelementptr i64, ptr %state, i64 3
  store i64 %start, ptr %blocked_start
  %blocked_size = getelementptr i64, ptr %state, i64 4
  store i64 %bytes, ptr %blocked_size
  %stop = inttoptr i64 EMU_STOP to ptr
  %ignored = call i32 %stop(ptr %uc)
  ret void
}
"""

_NATIVE_COUNTER: Final = """
define i32 @NAME(ptr %uc, i32 %number, ptr %register, ptr %state) {
  ; Python sees only the timers and the PMU's counters, CRn 14 with op1 3; all else is none of ours
  %crn = load i32, ptr %register
  %op1_at = getelementptr i32, ptr %register, i64 3
  %op1 = load i32, ptr %op1_at
  %crn_14 = icmp eq i32 %crn, 14
  %op1_3 = icmp eq i32 %op1, 3
  %ours = and i1 %crn_14, %op1_3
  br i1 %ours, label %call, label %no
call:
  %function_at = getelementptr i64, ptr %state, i64 WORD
  %function = load ptr, ptr %function_at
  %skip = call i32 %function(ptr %uc, i32 %number, ptr %register, ptr %state)
  ret i32 %skip
no:
  ret i32 0
}
"""


_NATIVE_EXCEPTION: Final = """
define void @exception(ptr %uc, i32 %number, ptr %state) {
  ; The shortest way to the hypervisor is a hypercall's
  %hvc = icmp eq i32 %number, 11
  %plain_at = getelementptr i64, ptr %state, i64 9
  %plain = load i64, ptr %plain_at
  %is_plain = icmp ne i64 %plain, 0
  %short = and i1 %hvc, %is_plain
  br i1 %short, label %call, label %other
call:
  %hypercall_at = getelementptr i64, ptr %state, i64 10
  %hypercall = load ptr, ptr %hypercall_at
  tail call void %hypercall()
  ret void
other:
  %exception_at = getelementptr i64, ptr %state, i64 11
  %exception = load ptr, ptr %exception_at
  tail call void %exception(ptr %uc, i32 %number)
  ret void
}
"""


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
    source = _NATIVE_BLOCK.replace("EMU_STOP", str(function_address(uclib.uc_emu_stop)))
    for name, word in (("read", READ_COUNTER), ("write", WRITE_COUNTER)):
        source += _NATIVE_COUNTER.replace("NAME", name).replace("WORD", str(word))
    module = llvm.parse_assembly(source + _NATIVE_EXCEPTION)
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2, jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    names = ("block", "read", "write", "exception")
    return engine, {name: engine.get_function_address(name) for name in names}


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
        exception
            Called with (core, number of the exception).
        read, write
            Called for an MRS and an MSR of a timer or PMU register (op1 3, CRn 14) with (core,
            register number, address of a `CpRegister`, user data); 1 means that it is done.
        """
        state_at = self._words.buffer_info()[0]
        hooks = {
            "hypercall": HypercallHook(hypercall),
            "exception": ExceptionHook(exception),
            "read": CounterHook(read),
            "write": CounterHook(write),
            "block": BlockHook(self._python_block(handle)),
        }
        self._keep.append(hooks)
        at = {name: function_address(hook) for name, hook in hooks.items()}
        if self._native:
            self.state[HYPERCALL], self.state[EXCEPTION] = at["hypercall"], at["exception"]
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

        def block(uc: Any, start: int, size: int, user_data: Any) -> None:
            after = state[INDEX] + (size >> 2)
            if after > state[LIMIT] or (start | size) & 3:
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
