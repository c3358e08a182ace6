"""Exceptions to EL1, by real guest code: what is in which register, where the guest goes on.

Expected values are typed from the Arm ARM (ESR_ELx D17.2.37, vectors D1.10.2), not taken from the
package.
"""

from dataclasses import dataclass

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import Vcpu
from sdeiviz.trace import ExceptionTaken, ExternalAbort
from tests.machine.guest import (
    DATA,
    KERNEL,
    TABLES,
    USER_CODE,
    USER_DATA,
    Guest,
    guest,
    step_through,
)

NOWHERE = 0x400E_0000
"""A page that stage 1 does not map."""
READ_ONLY = 0x400D_0000
"""A page that nobody may write."""
STACK_EL0, STACK_EL1 = 0x4009_1230, 0x4009_2340
OLD_FAR = 0xFA0_FA0_FA0
NZCV, DAIF = 0xF000_0000, 0x3C0

# How a level is entered: SPSR, and what the vector's offset for it is.
LEVELS = {
    "EL0": (0x6000_0000, 0x400),
    "EL1t": (0x9000_0284, 0x000),
    "EL1h": (0x2000_0145, 0x200),
}
EL1 = {"EL0": 0, "EL1t": 1, "EL1h": 1}


@dataclass(frozen=True)
class Cause:
    """An instruction and the exception it makes."""

    code: str
    syndrome: tuple[int, int]
    """ESR_EL1 from EL0 and from EL1."""
    far: int | None = None
    """FAR_EL1; None where it stays."""
    after: bool = False
    """ELR_EL1 is the next instruction."""
    target: int | None = None
    """ELR_EL1 where that is neither."""


CAUSES = {
    "svc": Cause("svc #0x1234", (0x5600_1234, 0x5600_1234), after=True),
    "brk": Cause("brk #7", (0xF200_0007, 0xF200_0007)),
    "udf": Cause("udf #0", (0x0200_0000, 0x0200_0000)),
    "an instruction of later cores": Cause(".inst 0xb8200041", (0x0200_0000, 0x0200_0000)),
    "read of nothing": Cause("ldr x2, [x3]", (0x9200_0007, 0x9600_0007), NOWHERE),
    "write to nothing": Cause("strb w2, [x3, #5]", (0x9200_0047, 0x9600_0047), NOWHERE + 5),
    "pair over the end": Cause("ldp x5, x6, [x3, #-8]", (0x9200_0007, 0x9600_0007), NOWHERE),
    "write where none may": Cause("str x2, [x4]", (0x9200_004F, 0x9600_004F), READ_ONLY),
    "jump to nothing": Cause("br x3", (0x8200_0007, 0x8600_0007), NOWHERE, target=NOWHERE),
    "jump to data": Cause("br x7", (0x8200_000F, 0x8600_000F), DATA, target=DATA),
    "jump between two instructions": Cause(
        "br x8", (0x8A00_0000, 0x8A00_0000), READ_ONLY + 2, target=READ_ONLY + 2
    ),
}
# From here the word is legal in one place and not in the other.
PRIVILEGED = {
    "read of VBAR_EL1": "mrs x2, vbar_el1",
    "write of SCTLR_EL1": "msr sctlr_el1, x2",
    "ERET": "eret",
    "HVC": "hvc #0",
    "SMC": "smc #0",
    "TLBI": "tlbi vmalle1",
}


def program(level: str, code: str) -> Guest:
    spsr, _ = LEVELS[level]
    return guest(f"""
        ldr x1, =vectors
        msr vbar_el1, x1
        ldr x1, ={STACK_EL1:#x}
        mov sp, x1
        ldr x1, ={STACK_EL0:#x}
        msr sp_el0, x1
        ldr x1, ={OLD_FAR:#x}
        msr far_el1, x1
        mov x1, #0x5e5e
        msr esr_el1, x1
        ldr x2, =0x22222222
        ldr x3, ={NOWHERE:#x}
        ldr x4, ={READ_ONLY:#x}
        ldr x7, ={DATA:#x}
        ldr x8, ={READ_ONLY + 2:#x}
        mmu_on
        enter {spsr:#x}, spot
        all_vectors handler
    handler:
        msr elr_el1, x19
        msr spsr_el1, x20
        eret
        .ltorg
        .align 12
    spot:
        {code}
    next:
        b next
    """)


def at_spot(level: str, code: str, **options: object) -> tuple[Guest, VirtualMachine, Vcpu]:
    made = program(level, code)
    pages = {
        made["spot"]: USER_CODE if level == "EL0" else KERNEL,
        NOWHERE - 0x1000: USER_DATA,
        NOWHERE: 0,
        # Readable at both levels, executable nowhere (bits 53, 54).
        READ_ONLY: 3 << 6 | 3 << 53,
        DATA: 1 << 6 | 3 << 53,
    }
    vm = made.vm(pages, **options)
    while vm.vcpus[0].pc != made["spot"]:
        vm.run_to(vm.index + 1)
    return made, vm, vm.vcpus[0]


@pytest.mark.parametrize("steps", ["stepped", "free"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CAUSES)
def test_entry_and_return(name: str, level: str, steps: str) -> None:
    cause = CAUSES[name]
    made, vm, vcpu = at_spot(level, cause.code)
    spsr, offset = LEVELS[level]
    general = [*vcpu.x]
    stacks = {"EL0": STACK_EL0, "EL1t": STACK_EL0, "EL1h": STACK_EL1}
    assert (vcpu.pstate, vcpu.sp) == (spsr, stacks[level])
    taken = vm.index + 1 + (cause.target is not None)

    if steps == "stepped":
        step_through(vm, taken)
    else:
        vm.run_to(taken)

    vector = made["vectors"] + offset
    elr = cause.target or (made["next"] if cause.after else made["spot"])
    syndrome = cause.syndrome[EL1[level]]
    assert vm.index == taken
    assert vcpu.pc == vector
    assert vcpu.elr_el1 == elr
    assert vcpu.spsr_el1 == spsr
    assert vcpu.pstate == spsr & NZCV | DAIF | 0b0101
    assert vcpu.core["esr_el1"] == syndrome
    assert vcpu.core["far_el1"] == (OLD_FAR if cause.far is None else cause.far)
    assert (vcpu.sp, vcpu.core["sp_el1"], vcpu.core["sp_el0"]) == (STACK_EL1, STACK_EL1, STACK_EL0)
    assert [*vcpu.x] == general
    assert list(vm.trace) == [
        ExceptionTaken(taken, taken, 0, vector, syndrome, cause.far or 0, elr, spsr)
    ]

    # ... and back, to the next instruction and with what was interrupted.
    vcpu.x[19], vcpu.x[20] = made["next"], spsr
    vm.run_to(vm.index + 4)
    assert (vcpu.pc, vcpu.pstate, vcpu.sp) == (made["next"], spsr, stacks[level])
    assert (vcpu.core["sp_el1"], vcpu.core["sp_el0"]) == (STACK_EL1, STACK_EL0)
    vm.run_to(vm.index + 3)
    assert vcpu.pc == made["next"]
    assert len(list(vm.trace)) == 1


@pytest.mark.parametrize("name", PRIVILEGED)
def test_what_el0_may_not_do_is_undefined(name: str) -> None:
    made, vm, vcpu = at_spot("EL0", PRIVILEGED[name])
    vm.run_to(vm.index + 1)
    assert vcpu.core["esr_el1"] == 0x0200_0000
    assert (vcpu.elr_el1, vcpu.pc) == (made["spot"], made["vectors"] + 0x400)
    assert vcpu.x2 == 0x2222_2222
    assert vcpu.core["far_el1"] == OLD_FAR


@pytest.mark.parametrize("level", ["EL1t", "EL1h"])
def test_what_el1_may_do(level: str) -> None:
    made, vm, vcpu = at_spot(level, PRIVILEGED["read of VBAR_EL1"])
    vm.run_to(vm.index + 1)
    assert (vcpu.x2, vcpu.pc) == (made["vectors"], made["next"])
    assert not list(vm.trace)


def test_el1_registers_of_el2_and_el3_are_undefined() -> None:
    for code in ("mrs x2, vttbr_el2", "msr hcr_el2, x2", "mrs x2, scr_el3", "mrs x2, sp_el1"):
        _, vm, vcpu = at_spot("EL1h", code)
        vm.run_to(vm.index + 1)
        assert vcpu.core["esr_el1"] == 0x0200_0000


def test_a_table_that_is_nowhere_is_named_by_its_page() -> None:
    """The address has an offset, the walk's fault has none (HPFAR_EL2, Arm ARM D17.2.63)."""
    made, vm, vcpu = at_spot("EL1h", "ldrb w2, [x3]")
    level1_entry = TABLES + 8 * 2
    vm.memory[level1_entry : level1_entry + 8] = (0x1000_0000 | 0b11).to_bytes(8, "little")
    vcpu.x[3] = 0x8000_0123
    vm.run_to(vm.index + 1)
    abort = next(e for e in vm.trace if isinstance(e, ExternalAbort))
    assert (abort.ipa, abort.pc) == (0x1000_0000, made["spot"])
    assert (vcpu.core["far_el1"], vcpu.core["esr_el1"]) == (0x8000_0123, 0x9600_0016)


def test_a_level_written_to_the_stack_pointer_of_the_other_bank() -> None:
    """SPSel and SP_EL0 by the guest itself, then an exception: each bank keeps its own."""
    made = guest("""
        ldr x1, =vectors
        msr vbar_el1, x1
        mov x1, #0x1000
        mov sp, x1
        msr spsel, #0
        mov x1, #0x2000
        mov sp, x1
        add sp, sp, #0x10
        svc #0
        all_vectors handler
    handler:
        add sp, sp, #0x20
        mrs x5, sp_el0
        off
    """)
    vm = made.vm()
    vm.run_to(9)
    vcpu = vm.vcpus[0]
    assert vcpu.pc == made["vectors"]  # from EL1t: offset 0
    assert (vcpu.sp, vcpu.core["sp_el0"]) == (0x1000, 0x2010)
    vm.run()
    assert (vcpu.sp, vcpu.x5) == (0x1020, 0x2010)


def test_an_exception_inside_a_handler_overwrites_what_the_first_one_saved() -> None:
    made = guest("""
        ldr x1, =vectors
        msr vbar_el1, x1
        svc #1
        .ltorg
        .align 11
    vectors:
        .rept 4
        .align 7
        brk #2
        .endr
        .align 7
        svc #3
    """)
    vm = made.vm()
    vm.run_to(3)
    vcpu = vm.vcpus[0]
    inside = made["vectors"] + 0x200
    assert (vcpu.elr_el1, vcpu.pc) == (made["_start"] + 12, inside)
    vm.run_to(4)
    # The fifth vector, for the same level with SP_EL1, is the one that both go to.
    assert (vcpu.elr_el1, vcpu.core["esr_el1"], vcpu.pc) == (inside + 4, 0x5600_0003, inside)


def test_flags_that_exist_survive_entry_and_only_those() -> None:
    for flags in range(16):
        spsr = flags << 28 | 0x5
        made = guest("""
            ldr x1, =vectors
            msr vbar_el1, x1
            msr spsr_el1, x19
            ldr x0, =spot
            msr elr_el1, x0
            eret
        spot:
            svc #0
            all_vectors handler
        handler:
            b handler
        """)
        vm = made.vm()
        vcpu = vm.vcpus[0]
        vcpu.x[19] = spsr
        vm.run_to(7)
        assert (vcpu.spsr_el1, vcpu.pstate) == (spsr, flags << 28 | 0x3C5)


def test_the_guest_starts_as_promised() -> None:
    vm = guest("nop").vm()
    vcpu = vm.vcpus[0]
    assert [*vcpu.x] == [0x4000_0000, *[0] * 30]  # the device tree
    assert vm.memory[0x4000_0000:0x4000_0004] == bytes.fromhex("d00dfeed")
    assert (vcpu.pc, vcpu.sp, vcpu.pstate) == (0x4008_0000, 0, 0x3C5)
    assert vcpu.core["vbar_el1"] == 0
    # MMU (M), data cache (C), instruction cache (I) off.
    assert vcpu.core["sctlr_el1"] & (1 << 0 | 1 << 2 | 1 << 12) == 0
