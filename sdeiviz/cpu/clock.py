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
hook is machine code, and free; without it, the same few lines in Python.
"""

import ctypes
import re
from array import array
from collections.abc import Callable
from functools import lru_cache
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
"""Address of the nanoseconds skipped, u64; 0 where EL1's reading of the time is a call too."""
TICK: Final = 17
"""Nanoseconds."""
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


_NATIVE_BLOCK: Final = """
define void @block(ptr %uc, i64 %start, i32 %size, ptr %state) {
  %bytes = zext i32 %size to i64
  %count = lshr i64 %bytes, 2
  %index = load i64, ptr %state
  %next = add i64 %index, %count
  %limit_at = getelementptr i64, ptr %state, i64 LIMIT
  %limit = load volatile i64, ptr %limit_at
  %past = icmp ugt i64 %next, %limit
  %place = or i64 %start, %bytes
  %odd = and i64 %place, 3
  %between_words = icmp ne i64 %odd, 0
  %odd_one = or i1 %past, %between_words
  br i1 %odd_one, label %look, label %counted
look:
  %wanted = call i1 @stop_wanted(i64 %next, i64 %odd, ptr %state)
  br i1 %wanted, label %refused, label %counted
counted:
  store i64 %next, ptr %state
  %last_start = getelementptr i64, ptr %state, i64 LAST_START
  store i64 %start, ptr %last_start
  %last_size = getelementptr i64, ptr %state, i64 LAST_SIZE
  store i64 %bytes, ptr %last_size
  ret void
refused:
  %blocked_start = getelementptr i64, ptr %state, i64 BLOCKED_START
  store i64 %start, ptr %blocked_start
  %blocked_size = getelementptr i64, ptr %state, i64 BLOCKED_SIZE
  store i64 %bytes, ptr %blocked_size
  %stop = inttoptr i64 EMU_STOP to ptr
  %ignored = call i32 %stop(ptr %uc)
  ret void
}

define internal i1 @stop_wanted(i64 %next, i64 %odd, ptr %state) noinline {
  %target_at = getelementptr i64, ptr %state, i64 TARGET
  %target = load i64, ptr %target_at
  %past = icmp ugt i64 %next, %target
  %interrupt_at = getelementptr i64, ptr %state, i64 INTERRUPT
  %interrupt = load volatile i64, ptr %interrupt_at
  %reason = or i64 %interrupt, %odd
  %other = icmp ne i64 %reason, 0
  %plainly = or i1 %past, %other
  br i1 %plainly, label %yes, label %irq
irq:
  %irq_at = getelementptr i64, ptr %state, i64 IRQ
  %pending = load i64, ptr %irq_at
  %none = icmp eq i64 %pending, 0
  br i1 %none, label %no, label %masks
masks:
  %daif_at = getelementptr i64, ptr %state, i64 DAIF_AT
  %daif_place = load ptr, ptr %daif_at
  %unknown = icmp eq ptr %daif_place, null
  br i1 %unknown, label %yes, label %compare
compare:
  %daif = load i32, ptr %daif_place
  %masked = and i32 %daif, 128
  %unmasked = icmp eq i32 %masked, 0
  ret i1 %unmasked
yes:
  ret i1 true
no:
  ret i1 false
}
"""

_NATIVE_TIME: Final = """
define internal i1 @tell_time(ptr %uc, i32 %number, ptr %register, ptr %state) {
  ; CNTPCT_EL0 or CNTVCT_EL0, read at EL1: no more than the index and what was skipped
  %crm_at = getelementptr i32, ptr %register, i64 1
  %crm = load i32, ptr %crm_at
  %op2_at = getelementptr i32, ptr %register, i64 4
  %op2 = load i32, ptr %op2_at
  %crm_0 = icmp eq i32 %crm, 0
  %op2_less_1 = sub i32 %op2, 1
  %op2_1_or_2 = icmp ult i32 %op2_less_1, 2
  %skipped_at_at = getelementptr i64, ptr %state, i64 SKIPPED_AT
  %skipped_at = load ptr, ptr %skipped_at_at
  %known = icmp ne ptr %skipped_at, null
  %counter = and i1 %crm_0, %op2_1_or_2
  %ours = and i1 %counter, %known
  br i1 %ours, label %level, label %no
level:
  %mode_at_at = getelementptr i64, ptr %state, i64 MODE_AT
  %mode_at = load ptr, ptr %mode_at_at
  %mode = load i32, ptr %mode_at
  %el = and i32 %mode, 12
  %at_el0 = icmp eq i32 %el, 0
  br i1 %at_el0, label %no, label %tell
tell:
  %index = load i64, ptr %state
  %last_start_at = getelementptr i64, ptr %state, i64 LAST_START
  %last_start = load i64, ptr %last_start_at
  %last_size_at = getelementptr i64, ptr %state, i64 LAST_SIZE
  %last_size = load i64, ptr %last_size_at
  %end = add i64 %last_start, %last_size
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %bytes = sub i64 %end, %pc
  %ahead = ashr i64 %bytes, 2
  %here = sub i64 %index, %ahead
  %skipped = load i64, ptr %skipped_at
  %time = add i64 %here, %skipped
  %tick_at = getelementptr i64, ptr %state, i64 TICK
  %tick = load i64, ptr %tick_at
  %ticks = udiv i64 %time, %tick
  %value_at = alloca i64
  store i64 %ticks, ptr %value_at
  %write = inttoptr i64 REG_WRITE to ptr
  %ignored = call i32 %write(ptr %uc, i32 %number, ptr %value_at)
  ret i1 true
no:
  ret i1 false
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
  %told = TELL
  br i1 %told, label %done, label %ask
ask:
  %function_at = getelementptr i64, ptr %state, i64 NAME_COUNTER
  %function = load ptr, ptr %function_at
  %skip = call i32 %function(ptr %uc, i32 %number, ptr %register, ptr %state)
  ret i32 %skip
done:
  ret i32 1
no:
  ret i32 0
}
"""


_NATIVE_EXCEPTION: Final = """
define void @exception(ptr %uc, i32 %number, ptr %state) {
  ; The shortest ways to the hypervisor: a hypercall's (11), and that of a device's access (4)
  %plain_at = getelementptr i64, ptr %state, i64 PLAIN
  %plain = load i64, ptr %plain_at
  %is_plain = icmp ne i64 %plain, 0
  br i1 %is_plain, label %which, label %other
which:
  switch i32 %number, label %other [ i32 11, label %hvc
                                     i32 4, label %abort ]
hvc:
  call void @note_call(ptr %state)
  %hypercall_at = getelementptr i64, ptr %state, i64 HYPERCALL
  %hypercall = load ptr, ptr %hypercall_at
  tail call void %hypercall()
  ret void
abort:
  %hpfar_at_at = getelementptr i64, ptr %state, i64 HPFAR_AT
  %hpfar_at = load ptr, ptr %hpfar_at_at
  %hpfar = load i64, ptr %hpfar_at
  %page = shl i64 %hpfar, 8
  %ram_base_at = getelementptr i64, ptr %state, i64 RAM_BASE
  %ram_base = load i64, ptr %ram_base_at
  %ram_size_at = getelementptr i64, ptr %state, i64 RAM_SIZE
  %ram_size = load i64, ptr %ram_size_at
  %page_offset = sub i64 %page, %ram_base
  %in_ram = icmp ult i64 %page_offset, %ram_size
  br i1 %in_ram, label %other, label %fetch
fetch:
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %physical_at = alloca i64
  %translate = inttoptr i64 TRANSLATE to ptr
  %error = call i32 %translate(ptr %uc, i64 %pc, i32 1, ptr %physical_at)
  %physical = load i64, ptr %physical_at
  %offset = sub i64 %physical, %ram_base
  %readable = icmp ult i64 %offset, %ram_size
  %translated = icmp eq i32 %error, 0
  %found = and i1 %translated, %readable
  br i1 %found, label %ask, label %other
ask:
  %ram_at_at = getelementptr i64, ptr %state, i64 RAM_AT
  %ram_at = load ptr, ptr %ram_at_at
  %in_word = and i64 %offset, -4  ; the last word of RAM too
  %word_at = getelementptr i8, ptr %ram_at, i64 %in_word
  %word = load i32, ptr %word_at
  call void @settle(i64 %pc, ptr %state)
  %device_at = getelementptr i64, ptr %state, i64 DEVICE
  %device = load ptr, ptr %device_at
  %answered = call zeroext i1 %device(i32 %word)
  br i1 %answered, label %done, label %other
done:
  ret void
other:
  %exception_at = getelementptr i64, ptr %state, i64 EXCEPTION
  %exception = load ptr, ptr %exception_at
  tail call void %exception(ptr %uc, i32 %number)
  ret void
}

@nothing = internal constant i64 0

define internal void @note_call(ptr %state) {
  ; As Core._note_call does
  %index = load i64, ptr %state
  %index_to = getelementptr i64, ptr %state, i64 CALL
  store i64 %index, ptr %index_to
  %skipped_at_at = getelementptr i64, ptr %state, i64 SKIPPED_AT
  %skipped_at = load ptr, ptr %skipped_at_at
  %unknown = icmp eq ptr %skipped_at, null
  %known_at = select i1 %unknown, ptr @nothing, ptr %skipped_at
  %skipped = load i64, ptr %known_at
  %time = add i64 %index, %skipped
  %time_to = getelementptr i64, ptr %index_to, i64 1
  store i64 %time, ptr %time_to
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %pc_to = getelementptr i64, ptr %index_to, i64 2
  store i64 %pc, ptr %pc_to
  %x_at_at = getelementptr i64, ptr %state, i64 X_AT
  %x_at = load ptr, ptr %x_at_at
  %x0_to_x5 = load <6 x i64>, ptr %x_at, align 8
  %x_to = getelementptr i64, ptr %index_to, i64 3
  store <6 x i64> %x0_to_x5, ptr %x_to, align 8
  ret void
}

define internal void @settle(i64 %pc, ptr %state) {
  ; As Core.settle does
  %last_size_at = getelementptr i64, ptr %state, i64 LAST_SIZE
  %last_size = load i64, ptr %last_size_at
  store i64 0, ptr %last_size_at
  %last_start_at = getelementptr i64, ptr %state, i64 LAST_START
  %last_start = load i64, ptr %last_start_at
  %end = add i64 %last_start, %last_size
  %left = sub i64 %end, %pc
  %left_less_1 = sub i64 %left, 1
  %within = icmp ult i64 %left_less_1, %last_size
  %left_words = lshr i64 %left, 2
  %beyond = select i1 %within, i64 %left_words, i64 0
  %index = load i64, ptr %state
  %here = sub i64 %index, %beyond
  store i64 %here, ptr %state
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
    source = _NATIVE_BLOCK + _NATIVE_EXCEPTION + _NATIVE_TIME
    tell = "call i1 @tell_time(ptr %uc, i32 %number, ptr %register, ptr %state)"
    for name, told in (("READ", tell), ("WRITE", "or i1 false, false")):
        source += _NATIVE_COUNTER.replace("NAME", name).replace("TELL", told)
    source = re.sub(r"\bi64 ([A-Z_]+)\b", lambda word: f"i64 {_named(word[1])}", source)
    module = llvm.parse_assembly(source)
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2, jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    names = {"block": "block", "read": "READ", "write": "WRITE", "exception": "exception"}
    return engine, {name: engine.get_function_address(to) for name, to in names.items()}


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
