"""Several vCPUs: power, turns, shared memory, and one trace whichever way they are run."""

from typing import Any

import pytest

from sdeiviz.errors import Error
from sdeiviz.machine import StopReason
from sdeiviz.trace import EventDelivered, PowerChanged, WaitForInterrupt
from tests.machine.guest import DATA, guest
from tests.machine.machines import SMP, WAYS, run

COUNTERS = (
    SMP
    + """
    // Every vCPU adds 1 to a shared word 100 times, then counts itself as done.
    .rept 7
    next = next + 1
    cpu_on next, work
    .endr
    mov x0, #0
work:
    ldr x1, =DATA
    mov x2, #100
again:
    ldxr x3, [x1]
    add x3, x3, #1
    stxr w4, x3, [x1]
    cbnz w4, again
    subs x2, x2, #1
    b.ne again
    add x5, x1, #8
one_more:
    ldaxr x3, [x5]
    add x3, x3, #1
    stlxr w4, x3, [x5]
    cbnz w4, one_more
    cbz x0, first
    call 0x84000002
first:
    ldr x3, [x5]
    cmp x3, #8
    b.ne first
    off
""".replace("    .rept 7", "    next = 0\n    .rept 7")
)


def word(vm: object, at: int) -> int:
    return int.from_bytes(vm.memory[at : at + 8], "little")  # type: ignore[attr-defined]


@pytest.mark.parametrize("quantum", [100, 333, 20_000])
def test_eight_vcpus_count_together(quantum: int) -> None:
    vm = guest(COUNTERS).vm(vcpus=8, quantum=quantum)
    assert vm.run(10_000_000).reason is StopReason.POWER_OFF
    assert (word(vm, DATA), word(vm, DATA + 8)) == (800, 8)
    power = [(event.vcpu, event.on) for event in vm.trace if isinstance(event, PowerChanged)]
    assert sorted(power) == sorted((n, on) for n in range(1, 8) for on in (True, False))


@pytest.mark.parametrize("way", WAYS[1:])
def test_one_trace(way: str) -> None:
    options = {"vcpus": 8, "quantum": 137}
    assert run(guest(COUNTERS), way, **options) == run(guest(COUNTERS), "native", **options)


def test_turns_go_round_and_end_exactly() -> None:
    made = guest(SMP + "cpu_on 1, spin\n cpu_on 2, spin\nspin: b spin")
    vm = made.vm(vcpus=3, quantum=100)
    turns = []
    for _ in range(650):
        before = vm.current.number
        vm.run(1)
        if vm.current.number != before:
            turns.append((vm.index, vm.current.number))
    assert turns == [(100, 1), (200, 2), (300, 0), (400, 1), (500, 2), (600, 0)]


def test_a_vcpu_starts_where_cpu_on_says() -> None:
    made = guest(SMP + "cpu_on 1, second\n here: b here\n second: b second")
    vm = made.vm(vcpus=2, quantum=100)
    vm.run(110)
    vcpu = vm.vcpus[1]
    assert (vcpu.pc, vcpu.x[0], list(vcpu.x[1:31])) == (made["second"], 1, [0] * 30)
    assert (vcpu.pstate, vcpu.core["vbar_el1"], vcpu.sdei.masked) == (0x3C5, 0, True)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ((0, 0x4008_0000, 0), -4),  # it is on
        ((1, 0x4008_0000, 0), 0),
        ((0x8000_0001, 0x4008_0000, 0), 0),  # as its own MPIDR_EL1 reads
        ((2, 0x4008_0000, 0), -2),  # there is none
        ((1 << 8, 0x4008_0000, 0), -2),
        ((1, 0x4008_0002, 0), -9),  # between two instructions
        ((1, 0x1000, 0), -9),  # no RAM
    ],
)
def test_answers_of_cpu_on(arguments: tuple[int, int, int], answer: int) -> None:
    vm = guest("ldr x0, =0xc4000003\n hvc #0\n here: b here").vm(vcpus=2)
    vm.vcpus[0].x[1:4] = memoryview(b"".join(n.to_bytes(8, "little") for n in arguments)).cast("Q")
    vm.run(3)
    assert vm.vcpus[0].x[0] == answer & (1 << 64) - 1


@pytest.mark.parametrize(
    ("target", "level", "answer"),
    [
        (0, 0, 0),  # it is on
        (1, 0, 1),
        (2, 0, -2),  # there is none
        (1, 1, 0),  # some core of the cluster is on
        (0x1FF, 1, -2),
        (0xFFFF, 2, 0),
        (0xFF_FFFF, 3, 0),
        (1 << 32, 3, -2),
        (0, 4, -2),
    ],
)
def test_answers_of_affinity_info(target: int, level: int, answer: int) -> None:
    vm = guest("ldr x0, =0xc4000004\n hvc #0\n here: b here").vm(vcpus=2)
    vm.vcpus[0].x[1], vm.vcpus[0].x[2] = target, level
    vm.run(3)
    assert vm.vcpus[0].x[0] == answer & (1 << 64) - 1


def test_affinity_info_follows_cpu_on_and_cpu_off() -> None:
    ask = "mov x1, #1\n mov x2, #0\n call 0xc4000004\n"
    made = guest(
        SMP
        + f"""
        {ask} mov x20, x0
        cpu_on 1, second
        {ask} mov x21, x0
        ldr x3, =DATA
    wait: ldr x4, [x3]
        cbz x4, wait
        {ask} mov x22, x0
        mov x1, #0
        mov x2, #3          // the whole machine
        call 0x84000004
        mov x23, x0
        mov x1, #9
        mov x2, #0
        call 0x84000004
        off
    second:
        mov x1, #1
        ldr x3, =DATA
        str x1, [x3]
        call 0x84000002
    """
    )
    vm = made.vm(vcpus=2, quantum=100)
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    x = vm.vcpus[0].x
    assert list(x[20:24]) == [1, 0, 1, 0]  # off, on, off; some core is on


def test_when_the_last_vcpu_is_off_the_machine_stops() -> None:
    vm = guest("call 0x84000002").vm(vcpus=2)
    stop = vm.run(1000)
    assert (stop.reason, stop.detail) == (StopReason.WFI, "every vCPU is switched off")
    assert vm.inject_event(0) == -2  # nobody registered; and nothing wakes it
    assert vm.run(1000) == stop


def test_a_wait_passes_the_turn_on_at_once() -> None:
    made = guest(SMP + "cpu_on 1, second\n wfi\n b .\n second: nop\n nop\n off")
    vm = made.vm(vcpus=2)
    assert vm.run(1000).reason is StopReason.POWER_OFF
    (wait,) = [event for event in vm.trace if isinstance(event, WaitForInterrupt)]
    assert vm.index == wait.index + 4  # nop, nop, ldr, hvc


def test_code_that_another_vcpu_writes_is_seen_after_its_ic() -> None:
    made = guest(
        SMP
        + """
        ldr x20, =DATA
        cpu_on 1, second
    first_wait: ldr x4, [x20]       // until the second has run `code` once
        cbz x4, first_wait
        adr x5, code
        ldr w6, =0x52800540         // mov w0, #42
        str w6, [x5]
        dc cvau, x5
        dsb ish
        ic ivau, x5
        dsb ish
        isb
        mov x7, #2
        str x7, [x20]
        here: b here
    second:
        ldr x20, =DATA
        bl code
        mov x21, x0
        mov x4, #1
        str x4, [x20]
    second_wait: ldr x4, [x20]
        cmp x4, #2
        b.ne second_wait
        isb
        bl code
        mov x22, x0
        off
    code: mov w0, #7
        ret
    """
    )
    for quantum in (100, 250, 20_000):
        vm = made.vm(vcpus=2, quantum=quantum)
        assert vm.run(200_000).reason is StopReason.POWER_OFF
        assert list(vm.vcpus[1].x[21:23]) == [7, 42]


@pytest.mark.parametrize("powerdown", [False, True])
def test_cpu_suspend_ends_with_an_interrupt(powerdown: bool) -> None:
    made = guest(
        SMP
        + f"""
        gic_on
        enable 27
        mov x0, #100
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        mov x1, #{int(powerdown) << 16}
        ldr x2, =resumed
        mov x3, #77
        call 0xc4000001
        mov x20, #1
        off
    resumed:
        mov x20, x0
        off
    """
    )
    vm = made.vm()
    assert vm.run(1000).reason is StopReason.POWER_OFF
    assert vm.vcpus[0].x[20] == (77 if powerdown else 1)
    assert vm.time > 1600 > vm.index  # 100 ticks of 16 ns were skipped


@pytest.mark.parametrize("entry", [0x4008_0002, 0x1000])
def test_a_powerdown_needs_an_entry_in_ram(entry: int) -> None:
    vm = guest("ldr x0, =0xc4000001\n hvc #0\n here: b here").vm()
    vm.vcpus[0].x[1], vm.vcpus[0].x[2] = 1 << 16, entry
    assert vm.run(3).reason is StopReason.BUDGET
    assert vm.vcpus[0].x[0] == (1 << 64) - 9


def test_after_a_powerdown_the_pe_is_masked() -> None:
    """What is registered stays so (DEN0054C 6.5)."""
    made = guest(
        SMP
        + """
        mov x1, #0
        adr x2, resumed
        mov x3, #0
        mov x4, #0
        mov x5, #0
        call 0xc4000021             // register event 0
        mov x1, #0
        call 0xc4000022             // enable it
        call 0xc400002c             // unmask
        gic_on
        enable 27
        mov x0, #100
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        mov x1, #1 << 16
        ldr x2, =resumed
        mov x3, #77
        call 0xc4000001             // CPU_SUSPEND, powerdown
    resumed:
        mov x20, x0
        mov x1, #0
        call 0xc4000028             // EVENT_STATUS
        mov x21, x0
        call 0xc400002b             // PE_MASK: was masked already
        mov x22, x0
        off
    """
    )
    vm = made.vm(profile="den0054c")
    assert vm.run(1000).reason is StopReason.POWER_OFF
    assert list(vm.vcpus[0].x[20:23]) == [77, 3, 0]


def test_saved_while_powered_down_it_wakes_at_the_entry() -> None:
    made = guest(
        SMP
        + """
        cpu_on 1, spin
        gic_on
        enable 27
        mov x0, #1000
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        mov x1, #1 << 16
        ldr x2, =resumed
        mov x3, #77
        call 0xc4000001
        off
    resumed: mov x20, x0
        off
    spin: b spin
    """
    )
    first, second = made.vm(vcpus=2), made.vm(vcpus=2)
    while not first.vcpus[0].waiting:
        first.run(1)
    second.load(first.save())
    assert second.run(100_000).reason is StopReason.POWER_OFF
    assert second.vcpus[0].x[20] == 77


def test_cpu_on_again_finds_nothing_registered() -> None:
    """In the series; den0054c keeps registrations, and masks at CPU_OFF already."""
    made = guest(
        SMP
        + """
        cpu_on 1, second
        wait: mov x1, #1
        mov x2, #0
        call 0xc4000004
        cbz x0, wait
        cpu_on 1, again
        here: b here
    second:
        mov x1, #0
        ldr x2, =here
        mov x4, #0
        call 0xc4000021
        call 0xc400002c
        call 0x84000002
    again:
        mov x1, #0
        call 0xc4000028
        mov x20, x0
        off
    """
    )
    vm = made.vm(vcpus=2, quantum=100)
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    assert (vm.vcpus[1].x[20], vm.vcpus[1].sdei.masked) == (0, True)


def test_a_turn_ends_a_watch_for_a_store_exclusive() -> None:
    """Nobody stores there: the value alone would not tell."""
    made = guest(
        SMP
        + """
        cpu_on 1, spin
        ldr x1, =DATA
        .rept 90
        nop
        .endr
        ldxr x3, [x1]
        .rept 10
        nop
        .endr
        stxr w4, x3, [x1]
    here: b here
    spin: b spin
    """
    )
    for quantum, failed in ((100, 1), (1000, 0)):
        vm = made.vm(vcpus=2, quantum=quantum)
        while vm.vcpus[0].pc != made["here"]:
            vm.run(1)
        assert vm.vcpus[0].x[4] == failed


@pytest.mark.parametrize(
    ("instruction", "own_code", "other_code", "other_tlb"),
    [
        ("tlbi vmalle1", False, False, False),
        ("tlbi vmalle1is", False, False, True),
        ("ic iallu", True, True, False),
        ("ic ialluis", True, True, False),
        ("ic ivau, x0", True, True, False),
        ("dc cvau, x0", False, False, False),
    ],
)
def test_what_maintenance_leaves_for_the_next_turns(
    instruction: str, own_code: bool, other_code: bool, other_tlb: bool
) -> None:
    vm = guest(f"{instruction}\n here: b here").vm(vcpus=2)
    vm.run(1)
    own, other = (vcpu.core for vcpu in vm.vcpus)
    assert (own.stale_code, own.stale_tlb) == (own_code, False)
    assert (other.stale_code, other.stale_tlb) == (other_code, other_tlb)


def test_sixteen_vcpus_to_a_cluster() -> None:
    vm = guest(SMP + "cpu_on 0x100, second\n here: b here\n second: mrs x20, mpidr_el1").vm(
        gic=3, vcpus=17, quantum=100
    )
    assert [vcpu.mpidr for vcpu in vm.vcpus] == [*range(16), 0x100]
    vm.run(102)
    assert vm.vcpus[16].x[20] == 0x8000_0100


def test_an_injection_waits_for_its_vcpus_turn() -> None:
    made = guest(
        SMP
        + """
        cpu_on 1, second
    spin: b spin
    second:
        mov x1, #0
        ldr x2, =handler
        mov x4, #0
        call 0xc4000021
        mov x1, #0
        call 0xc4000022
        call 0xc400002c
    handler: b handler
    """
    )
    vm = made.vm(vcpus=2, quantum=100)
    vm.run(250)
    assert (vm.current.number, vm.inject_event(0, vcpu=1)) == (0, 0)
    vm.run(10)
    assert not [event for event in vm.trace if isinstance(event, EventDelivered)]
    vm.run(100)
    (delivered,) = [event for event in vm.trace if isinstance(event, EventDelivered)]
    assert (delivered.vcpu, delivered.index) == (1, 300)


def test_a_call_in_the_32_bit_form_sees_half_of_its_arguments() -> None:
    made = guest("""
        ldr x1, =0x5500000001
        ldr x2, =0x5500000000
        call 0x84000004             // AFFINITY_INFO
        mov x20, x0
        ldr x1, =0x5500000001
        ldr x2, =0xffffffff40080000
        mov x3, #0
        call 0x84000003             // CPU_ON
        mov x21, x0
        here: b here
    """)
    vm = made.vm(vcpus=2)
    vm.run(30)
    assert list(vm.vcpus[0].x[20:22]) == [1, 0]


def test_a_reset_lowers_the_timers_line() -> None:
    made = guest(
        SMP
        + """
        ldr x9, =DATA
        mov x0, #5
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        mov x2, #100
    wait: subs x2, x2, #1
        b.ne wait
        ldr x1, =GICD + 0x200
        ldr w20, [x1]               // pending
        mov x1, #1 << 16
        ldr x2, =resumed
        gic_on
        enable 27
        mov x1, #1 << 16
        call 0xc4000001             // CPU_SUSPEND, powerdown: it wakes at once
    resumed:
        ldr x1, =GICD + 0x200
        ldr w21, [x1]
        off
    """
    )
    vm = made.vm()
    assert vm.run(1000).reason is StopReason.POWER_OFF
    assert vm.vcpus[0].x[21] == 0  # the timer is off, and so is its line
    assert not vm.gic.is_pending(27, 0)


@pytest.mark.parametrize(
    "other", [{"vcpus": 4}, {"gic": 3}, {"profile": "tf-a"}, {"memory": 2 << 20}], ids=str
)
def test_a_state_of_another_shape_changes_nothing(other: dict[str, Any]) -> None:
    vm = guest(COUNTERS).vm(vcpus=2)
    vm.run(100)
    before = vm.save()
    with pytest.raises(Error, match="a state of another machine"):
        vm.load(guest(COUNTERS).vm(**({"vcpus": 2} | other)).save())
    assert vm.save() == before


def test_there_is_no_such_vcpu() -> None:
    vm = guest("off").vm(vcpus=2)
    for number in (-1, 2):
        with pytest.raises(Error, match="numbered 0 to 1"):
            vm.write_register("x0", 7, vcpu=number)
