"""The baseline: a guest on bare Unicorn, with an INTR hook and a native block counter."""

from ctypes import byref, c_void_p
from ctypes import c_uint64 as u64

import llvmlite.binding as llvm
from unicorn import UC_ARCH_ARM64, UC_HOOK_BLOCK, UC_HOOK_INTR, UC_MODE_ARM, Uc, arm64_const
from unicorn.unicorn_py3.unicorn import uclib

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
COUNT = """define void @block(ptr %uc, i64 %start, i32 %size, ptr %index) {
  %count = lshr i32 %size, 2    %more = zext i32 %count to i64    %before = load i64, ptr %index
  %after = add i64 %before, %more    store i64 %after, ptr %index    ret void }"""
HOST = llvm.Target.from_default_triple().create_target_machine(jit=True)
ENGINE = llvm.create_mcjit_compiler(llvm.parse_assembly(COUNT), HOST)


def bare(segments, on_exit):
    uc = Uc(UC_ARCH_ARM64, UC_MODE_ARM, arm64_const.UC_CPU_ARM64_A72)
    uc.mem_map(0x0900_0000, 0x4000_0000)  # RAM, and what guests print swallowed by memory too
    for system_register in (1, 1, 3, 6, 0, 0x501), (1, 1, 3, 4, 0, 1 << 31):  # SCR_EL3, HCR_EL2
        uc.reg_write(arm64_const.UC_ARM64_REG_CP_REG, system_register)
    for segment in segments:
        uc.mem_write(segment.address, segment.data)
    uc.hook_add(UC_HOOK_INTR, on_exit)
    uc.index, block = u64(), c_void_p(ENGINE.get_function_address("block"))  # index lives with uc
    uclib.uc_hook_add(uc._uch, byref(u64()), UC_HOOK_BLOCK, block, byref(uc.index), u64(1), u64(0))
    return uc
