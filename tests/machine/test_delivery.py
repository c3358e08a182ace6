"""SDEI on a real core: what a handler finds, and what the interrupted code finds afterwards."""

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import Vcpu
from sdeiviz.sdei import profile
from sdeiviz.trace import EventCompleted, EventDelivered
from tests.machine.guest import Guest, everything, guest

SETUP = """
    ldr x2, =handler
    mov x1, #0
    ldr x3, =0xdabfdabf01234567
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
"""
ARGUMENT = 0xDABF_DABF_0123_4567


def test_a_guest_signals_itself_by_the_affinity_it_reads() -> None:
    """MPIDR_EL1 has bit 31 set (Arm ARM D13.2.98), which is none of the affinity."""
    made = guest(
        SETUP
        + """
        mov x1, #0
        mrs x2, mpidr_el1
        mov x19, x2
        call 0xc400002f
        mov x20, x0
        mov x1, #0
        mov x2, #1              // no vCPU has this one
        call 0xc400002f
        mov x22, x0
        off
    handler:
        add x21, x21, #1
        call 0xc4000025
        """
    )
    vm = made.vm(profile=profile("kvm-v7").replace(signal_resolves_target=True))
    assert vm.run(100).reason == "power-off"
    assert [*vm.vcpus[0].x[19:23]] == [0x8000_0000, 0, 1, (1 << 64) - 2]


def test_an_access_to_a_device_is_an_exit_like_any_other() -> None:
    """Where raising an event kicks nobody, it is looked for at the next exit (patch 12)."""
    made = guest(
        SETUP
        + """
        ldr x2, =0x09000018
    again:
        ldr w3, [x2]
        nop
        b again
    handler:
        call 0xc4000025
        """
    )
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].pc != made["again"] + 4:
        vm.run(1)
    index = vm.index
    assert vm.inject_event(0) == 0
    vm.run(10)
    (delivered,) = (event for event in vm.trace if isinstance(event, EventDelivered))
    assert (delivered.index, delivered.pc) == (index + 3, made["again"] + 4)


def interrupted(
    mode: int, end: str, spot: str = "nop\n nop\n nop"
) -> tuple[Guest, VirtualMachine, Vcpu]:
    """Go to a spot in a mode, with every register marked; the host injects there."""
    made = guest(
        SETUP
        + f"""
        ldr x0, =0x40092000
        mov sp, x0
        ldr x0, =0x40091000
        msr sp_el0, x0
        mov x0, #0x77
        msr esr_el1, x0
        msr far_el1, x0
        enter {mode:#x}, spot
        .ltorg
    spot:
        {spot}
        b spot
    handler:
        mov x20, x0
        mov x21, x1
        mov x22, x2
        mov x23, x3
        mov x24, sp
        mrs x25, spsr_el1
        mrs x26, vbar_el1
        mov x17, #17
        cmp xzr, xzr
        {end}
    vector:
        mov x28, #1
        eret
        """
    )
    vm = made.vm()
    vcpu = vm.vcpus[0]
    while vcpu.pc != made["spot"]:
        vm.run(1)
    for n in range(31):
        vcpu.x[n] = 0xBEEF_0000 + n
    return made, vm, vcpu


MODES = {"EL0": 0x9000_0000, "EL1t": 0x6000_0004, "EL1h": 0x2000_0145, "EL1h, open": 0x5}


@pytest.mark.parametrize("name", MODES)
def test_what_the_handler_finds(name: str) -> None:
    mode = MODES[name]
    made, vm, vcpu = interrupted(mode, "call 0xc4000025")
    assert vcpu.pstate == mode
    elr, spsr = vcpu.elr_el1, vcpu.spsr_el1
    index = vm.index
    assert vm.inject_event(0) == 0
    # Patch 12: x0 to x3, the others of x4 to x17 cleared; all else the guest's.
    expected = [0, ARGUMENT, made["spot"], mode] + [0] * 14
    assert [*vcpu.x[:18]] == expected
    assert [*vcpu.x[18:]] == [0xBEEF_0000 + n for n in range(18, 31)]
    assert (vcpu.pc, vcpu.pstate) == (made["handler"], mode & ~0x1F | 0x3C5)
    assert (vcpu.sp, vcpu.core["sp_el0"]) == (0x4009_2000, 0x4009_1000)
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (elr, spsr)
    assert (vcpu.core["esr_el1"], vcpu.core["far_el1"]) == (0x77, 0x77)
    delivered = next(e for e in vm.trace if isinstance(e, EventDelivered))
    assert delivered == EventDelivered(
        index,
        index,
        0,
        0,
        made["handler"],
        ARGUMENT,
        made["spot"],
        mode,
        tuple(0xBEEF_0000 + n for n in range(18)),
    )
    vm.run(11)
    assert [*vcpu.x[20:26]] == [0, ARGUMENT, made["spot"], mode, 0x4009_2000, spsr]


@pytest.mark.parametrize("name", MODES)
def test_complete_gives_all_back(name: str) -> None:
    mode = MODES[name]
    made, vm, vcpu = interrupted(mode, "call 0xc4000025")
    stack = vcpu.sp
    vm.inject_event(0)
    while not isinstance(vm.trace[-1], EventCompleted):
        vm.run(1)
    assert [*vcpu.x[:20]] == [0xBEEF_0000 + n for n in range(20)]
    assert (vcpu.pc, vcpu.pstate, vcpu.sp) == (made["spot"], mode, stack)
    assert vm.trace[-1].resume is None
    # And it is at that level again: a privileged read is allowed, or not.
    vm.run(4)
    assert vcpu.pc == made["spot"]


@pytest.mark.parametrize("name", MODES)
def test_complete_and_resume_goes_on_as_if_by_an_exception(name: str) -> None:
    mode = MODES[name]
    made, vm, vcpu = interrupted(mode, "ldr x1, =vector\n call 0xc4000026")
    stack = vcpu.sp
    vm.inject_event(0)
    while not isinstance(vm.trace[-1], EventCompleted):
        vm.run(1)
    assert [*vcpu.x[:20]] == [0xBEEF_0000 + n for n in range(20)]
    assert (vcpu.pc, vcpu.pstate) == (made["vector"], mode & ~0x1F | 0x3C5)
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (made["spot"], mode)
    assert vcpu.sp == 0x4009_2000
    assert vm.trace[-1].resume == made["vector"]
    vm.run(2)
    assert (vcpu.pc, vcpu.pstate, vcpu.sp) == (made["spot"], mode, stack)
    assert vcpu.x[28] == 1


def test_after_complete_el0_is_el0() -> None:
    """The core's own idea of the level goes back too: a privileged read is undefined."""
    _, vm, vcpu = interrupted(0, "call 0xc4000025", spot="mrs x5, vbar_el1")
    vm.inject_event(0)
    while vcpu.pstate & 0xF:
        vm.run(1)
    vm.run(1)
    assert vcpu.core["esr_el1"] == 0x0200_0000
    assert vcpu.x[5] == 0xBEEF_0005


@pytest.mark.parametrize("event", [False, True])
def test_a_store_exclusive_fails_over_an_event(event: bool) -> None:
    """The hypervisor's ERET into the guest clears the monitor (Arm ARM B2.9)."""
    made, vm, vcpu = interrupted(
        0x3C5,
        "mov x5, #5\n call 0xc4000025",
        spot="ldr x10, =DATA\n ldxr x11, [x10]\n here: add x11, x11, #1\n stxr w12, x11, [x10]",
    )
    while vcpu.pc != made["here"]:
        vm.run(1)
    if event:
        vm.inject_event(0)
    while vcpu.pc != made["here"] + 8:
        vm.run(1)
    assert vcpu.x[12] == event


def test_the_loop_of_an_atomic_add_survives_events_at_every_place() -> None:
    """Both sides add to one word; every addition counts, wherever the event comes."""
    source = (
        SETUP
        + """
        ldr x19, =DATA
        mov x20, #8
    again:
        ldxr x21, [x19]
        add x21, x21, #1
        stxr w22, x21, [x19]
        cbnz w22, again
        subs x20, x20, #1
        b.ne again
        off
    handler:
        ldr x1, =DATA
    1:  ldxr x2, [x1]
        add x2, x2, #0x100
        stxr w3, x2, [x1]
        cbnz w3, 1b
        sub x2, x2, #0x100      // and back: the word is as it was
        ldr x4, [x1, #8]
        add x4, x4, #1
        str x4, [x1, #8]
        call 0xc4000025
    """
    )
    made = guest(source)
    for at in range(15, 40):
        vm = made.vm()
        vm.run(at)
        for _ in range(4):
            vm.inject_event(0)
            vm.run(23)
        vm.run()
        total = int.from_bytes(vm.memory[0x400C_0000:0x400C_0008], "little")
        count = int.from_bytes(vm.memory[0x400C_0008:0x400C_0010], "little")
        assert (total & 0xFF, total >> 8) == (8, count)


def test_injected_at_every_index_and_run_in_every_way() -> None:
    made, _, _ = interrupted(0, "ldr x1, =vector\n call 0xc4000026")
    reference = []
    for clock, stride in (("native", 1000), ("native", 1), ("python", 3)):
        results = []
        for at in range(16, 50, 3):
            vm = made.vm(clock=clock)
            for index in (at, at + 9, at + 40):
                while vm.index < index:
                    vm.run(min(stride, index - vm.index))
                vm.inject_event(0)
            while vm.index < 120:
                vm.run(min(stride, 120 - vm.index))
            results.append(everything(vm))
        reference = reference or results
        assert results == reference


def test_an_entry_that_cannot_be_fetched() -> None:
    """KVM does not look at it: the guest takes an abort, at the handler's level."""
    made = guest(
        SETUP.replace("ldr x2, =handler", "mov x2, #0x1000\n ldr x5, =vectors\n msr vbar_el1, x5")
        + """
    spot:
        b spot
        all_vectors caught
    caught:
        mrs x20, esr_el1
        mrs x21, elr_el1
        off
        """
    )
    vm = made.vm()
    while vm.vcpus[0].pc != made["spot"]:
        vm.run(1)
    vm.inject_event(0)
    assert vm.run(100).reason == "power-off"
    assert (vm.vcpus[0].x[20], vm.vcpus[0].x[21]) == (0x8600_0010, 0x1000)
