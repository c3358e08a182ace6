"""A machine saved anywhere and loaded on another goes on as the first one does."""

import pickle
import random

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import VmState
from tests.cpu.zoo import ZOO
from tests.machine.guest import BASE, DATA, MEMORY, Guest, guest

STATEFUL = {
    "between LDXR and STXR": """
        ldr x1, =DATA
        mov x9, #4
    again:
        ldxr x2, [x1]
        add x2, x2, #3
        stxr w3, x2, [x1]
        add x4, x4, x3          // counts the failures
        ldxp x5, x6, [x1]
        add x5, x5, #1
        stxp w7, x5, x6, [x1]
        add x4, x4, x7
        ldaxrb w8, [x1, xzr]
        subs x9, x9, #1
        b.ne again
        off
    """.replace("[x1, xzr]", "[x1]"),
    "STXR after CLREX fails": """
        ldr x1, =DATA
        ldxr x2, [x1]
        nop
        clrex
        nop
        stxr w3, x2, [x1]
        off
    """,
    "floating point": """
        fpu_on
        mov x1, #0x00c00000     // FPCR: round towards zero
        msr fpcr, x1
        fmov d0, #1.0
        fmov d1, #10.0
        fdiv d2, d0, d1
        mov x2, #0
        msr fpcr, x2
        fdiv d3, d0, d1
        fsub d4, d3, d2
        fmov x4, d4
        mrs x3, fpsr            // inexact
        msr fpsr, xzr
        mov v5.d[1], x4
        dup v6.4s, w1
        fcmp d2, d3
        cset x5, mi
        mrs x6, fpsr
        ldr x7, =DATA
        stp q5, q6, [x7]
        off
    """,
    "timers and the PMU": """
        mov x1, #2
        msr cntv_cval_el0, x1
        mov x1, #1
        msr cntv_ctl_el0, x1
        msr pmcr_el0, x1
        mov x1, #1 << 31
        msr pmcntenset_el0, x1
        nop
        nop
        mrs x2, pmccntr_el0
        mrs x3, cntv_ctl_el0
        .rept 20
        nop
        .endr
        mrs x4, pmccntr_el0
        mrs x5, cntv_ctl_el0
        mrs x6, cntv_tval_el0
        off
    """,
    "system registers": """
        ldr x1, =0x40085000
        msr vbar_el1, x1
        msr tpidr_el0, x1
        msr tpidr_el1, x1
        msr tpidrro_el0, x1
        msr contextidr_el1, x1
        msr par_el1, x1
        msr mair_el1, x1
        msr csselr_el1, xzr
        msr cntkctl_el1, x1
        msr afsr0_el1, x1
        msr spsel, #0
        mov sp, x1
        msr spsel, #1
        msr daifclr, #5
        mrs x2, tpidr_el0
        mrs x3, contextidr_el1
        mrs x4, par_el1
        mrs x5, daif
        mrs x6, sp_el0
        mrs x7, afsr0_el1
        mrs x8, mair_el1
        mrs x9, cntkctl_el1
        off
    """,
    "a half-written line, and input": """
        ldr x1, =UART
        mov w2, #'a'
        strb w2, [x1]
        mov w3, #0x41
        str w3, [x1, #0x24]
        ldrb w4, [x1]
        strb w4, [x1]
        ldrb w5, [x1]
        mov w6, #10
        strb w6, [x1]
        ldr w7, [x1, #0x18]
        strb w5, [x1]
        ldr w8, [x1, #0x24]
        off
    """,
    "a handler that is interrupted in its middle": """
        ldr x2, =handler
        mov x1, #0
        mov x3, #7
        mov x4, #0
        call 0xc4000021
        mov x1, #0
        call 0xc4000022
        call 0xc400002c
        mov x1, #0
        mov x16, #16
        call 0xc400002f
        add x16, x16, #1
        off
    handler:
        mov x16, #99
        mov x1, #16
        call 0xc4000024
        mov x20, x0
        mov x1, #0
        call 0xc4000027         // unregister: PENDING
        mov x1, #0
        call 0xc4000028
        mov x21, x0
        ldr x1, =vector
        call 0xc4000026
    vector:
        mov x22, #1
        eret
    """,
    "at EL0 behind tables": """
        ldr x1, =vectors
        msr vbar_el1, x1
        ldr x3, =DATA
        mmu_on
        enter 0x80000000, BASE_OF_USER
        all_vectors handler
    handler:
        off
        .align 12
    user:
        ldr x2, [x3]
        add x2, x2, #1
        str x2, [x3]
        add x4, x4, x2
        cmp x2, #5
        b.ne user
        svc #3
    """.replace("BASE_OF_USER", "user"),
}


def made(name: str) -> tuple[Guest, dict[int, int] | None]:
    it = guest(STATEFUL[name])
    pages = {it["user"]: 3 << 6 | 1 << 53, DATA: 1 << 6 | 3 << 53} if "EL0" in name else None
    return it, pages


def fresh(name: str, **options: object) -> VirtualMachine:
    it, pages = made(name)
    vm = it.vm(pages, **options)
    vm.send_console("xyz")
    return vm


@pytest.mark.parametrize("name", STATEFUL)
def test_saved_at_every_index(name: str) -> None:
    vm = fresh(name)
    states: list[VmState] = []
    while not vm.stopped:
        states.append(vm.save())
        vm.run(1)
    assert vm.stopped.reason == "power-off"
    end, trace = vm.save(), [*vm.trace]
    assert len(states) == vm.index

    # A machine with another past: RAM, translated code and registers are all in use.
    other = guest(ZOO["a loop"].source).vm(clock="python")
    other.run(20)
    other.memory[DATA - 0x2000 : DATA + 0x2000] = bytes(range(256)) * 64
    for state in states:
        for target in (other, fresh(name)):
            target.load(pickle.loads(pickle.dumps(state)))
            assert target.save() == state
            target.trace = type(vm.trace)()
            target.run()
            assert target.save() == end
            assert [*target.trace] == [e for e in trace if e.index > state.index]


def test_what_the_programs_above_compute() -> None:
    """Else the comparison could be of nothing."""
    results = {}
    for name in STATEFUL:
        vm = fresh(name)
        vm.run()
        results[name] = vm
    x = results["between LDXR and STXR"].vcpus[0].x
    assert (x[4], results["between LDXR and STXR"].memory[DATA : DATA + 1]) == (0, b"\x10")
    assert results["STXR after CLREX fails"].vcpus[0].x[3] == 1
    x = results["floating point"].vcpus[0].x
    # A tenth is less when rounded towards zero; both times that was inexact.
    assert (x[3] & 0x10, x[6], x[5]) == (0x10, 0, 1)
    x = results["timers and the PMU"].vcpus[0].x
    assert (x[2], x[3], x[4], x[5]) == (3, 1, 25, 5)
    assert results["a half-written line, and input"].console == "ax\ny"
    x = results["a handler that is interrupted in its middle"].vcpus[0].x
    assert (x[20], x[21], x[22], x[16]) == (16, 4, 1, 17)
    assert results["at EL0 behind tables"].vcpus[0].x[4] == 15


def test_a_state_is_a_copy() -> None:
    vm = guest(ZOO["code that writes code"].source).vm()
    vm.run(20)
    state = vm.save()
    kept = pickle.dumps(state)
    vm.run()
    assert pickle.dumps(state) == kept
    vm.load(state)
    assert vm.save() == state
    vm.run()
    assert pickle.dumps(state) == kept


def test_a_state_outlives_the_machines_that_took_it_over() -> None:
    made = guest("ldr x1, =UART\n mov w2, #0x41\n str w2, [x1, #0x24]\n strb w1, [x1]\n off")
    vm = made.vm()
    vm.send_console("abc")
    state = vm.save()
    kept = pickle.dumps(state)
    for _ in range(2):
        vm.load(state)
        assert vm.run().reason == "power-off"
        assert pickle.dumps(state) == kept


def test_a_stopped_machine_stays_stopped() -> None:
    for code, reason in (("off", "power-off"), ("wfi", "wfi"), ("udf #0", "vector")):
        vm = guest(code).vm()
        vm.run()
        other = guest("b .").vm()
        other.load(vm.save())
        assert other.run(10) == vm.stopped
        assert other.stopped
        assert other.stopped.reason == reason
    # ... and one that runs runs again.
    running = guest("b .").vm()
    running.run(5)
    other.load(running.save())
    assert (other.stopped, other.run(5).index) == (None, 10)


def test_only_pages_that_hold_something() -> None:
    vm = guest("ldr x1, =DATA\n str x1, [x1]\n off").vm()
    image, data = (BASE - 0x4000_0000) >> 12, (DATA - 0x4000_0000) >> 12
    assert set(vm.save().pages) == {0, image}  # 0: the device tree
    vm.run()
    assert set(vm.save().pages) == {0, image, data}


def test_code_that_was_loaded_is_what_runs() -> None:
    """The same addresses, other instructions: nothing translated before may be used."""
    vm = guest("again: add x1, x1, #1\n b again").vm()
    vm.run(1000)
    other = guest("again: sub x1, x1, #1\n b again").vm()
    other.run(10)
    vm.load(other.save())
    vm.run(1000)
    assert vm.vcpus[0].x[1] == (1 << 64) - 505


def test_translations_that_were_loaded_are_what_holds() -> None:
    """The same virtual address, another page: no translation of before may be used."""
    code = "mmu_on\n again: ldr x2, [x1]\n b again"
    vms = []
    for page in (DATA, DATA + 0x1000):
        vm = guest(code).vm({})
        entry = 0x400F_2000 + ((DATA - 0x4000_0000) >> 12) * 8
        old = int.from_bytes(vm.memory[entry : entry + 8], "little")
        vm.memory[entry : entry + 8] = (old - DATA + page).to_bytes(8, "little")
        vm.memory[page : page + 8] = page.to_bytes(8, "little")
        vm.vcpus[0].x[1] = DATA
        vm.run(40)
        assert vm.vcpus[0].x[2] == page
        vms.append(vm)
    vms[0].load(vms[1].save())
    vms[0].run(4)
    assert vms[0].vcpus[0].x[2] == DATA + 0x1000


def test_random_registers_round_trip() -> None:
    dice = random.Random(3)
    vm = guest("b .").vm()
    state = vm.save()
    core = state.vcpus[0]["core"]
    for name in core:
        if name.startswith("v") and name[1:].isdigit():
            core[name] = dice.getrandbits(128)
        elif name.startswith("x") or name in ("tpidr_el0", "far_el1", "elr_el1", "sp_el0"):
            core[name] = dice.getrandbits(64)
    vm.load(state)
    assert vm.save() == state
    other = guest("b .").vm(memory=MEMORY)
    other.load(vm.save())
    assert other.save() == state
