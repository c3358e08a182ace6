"""Interrupts: from a device through the GIC to the vector, at exactly the right instruction."""

import pytest

from sdeiviz.cpu import core
from sdeiviz.machine import StopReason
from sdeiviz.trace import EventDelivered, ExceptionTaken, InterruptTaken, WaitForInterrupt
from tests.machine.guest import DATA, everything, guest
from tests.machine.machines import SMP, WAYS, run

TIMER = """
    mov x0, #{ticks}
    msr cntv_tval_el0, x0
    mov x0, #1
    msr cntv_ctl_el0, x0
"""
HANDLER = """
    b finish
handler:
    acknowledge
    msr cntv_ctl_el0, xzr
    ldr x12, =DATA
    mrs x13, elr_el1
    stp x10, x13, [x12]
    add x14, x14, #1
    eret
    all_vectors handler
finish:
    off
"""


def words(vm: object, count: int = 2) -> list[int]:
    data = vm.memory[DATA : DATA + 8 * count]  # type: ignore[attr-defined]
    return [int.from_bytes(data[n : n + 8], "little") for n in range(0, len(data), 8)]


MASKED = (
    SMP
    + "use_vectors\n gic_on\n enable 27"
    + TIMER.format(ticks=1)
    + """
    mov x2, #40
masked: subs x2, x2, #1
    b.ne masked
    nop
unmask:
    msr daifclr, #2
after:
    nop
    nop
"""
    + HANDLER
)


def test_a_pending_interrupt_is_taken_right_after_it_is_unmasked() -> None:
    made = guest(MASKED)
    vm = made.vm()
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    assert words(vm) == [27, made["after"]]
    (taken,) = [event for event in vm.trace if isinstance(event, InterruptTaken)]
    assert (taken.pc, taken.vector) == (made["after"], made["vectors"] + 0x280)
    assert taken.pstate & 0x3CF == 0x345  # D, A and F; EL1h


RUNNING = (
    SMP
    + "use_vectors\n gic_on\n enable 27\n msr daifclr, #2"
    + TIMER.format(ticks=20)
    + """
    mov x2, #500
spin: subs x2, x2, #1
    b.ne spin
"""
    + HANDLER
)


@pytest.mark.parametrize("clock", ["native", "python"])
def test_an_interrupt_comes_before_a_fetch_that_faults(clock: str) -> None:
    made = guest(
        SMP
        + "mmu_on\n use_vectors\n gic_on\n enable 27"
        + TIMER.format(ticks=1)
        + """
        .rept 50
        nop
        .endr
        b unmask
        .ltorg
        .balign 4096
        .skip 4096 - 4
    unmask: msr daifclr, #2
    unmapped:
        .skip 4096
    stay: b stay
        all_vectors stay
        """
    )
    vm = made.vm(pages={made["unmapped"]: 0}, clock=clock)
    vm.run(1000)
    (taken,) = [e for e in vm.trace if isinstance(e, InterruptTaken | ExceptionTaken)]
    assert isinstance(taken, InterruptTaken)
    assert taken.pc == made["unmapped"] == 0x4008_2000


def test_a_timer_interrupts_a_loop_at_its_time() -> None:
    made = guest(RUNNING)
    vm = made.vm()
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    (taken,) = [event for event in vm.trace if isinstance(event, InterruptTaken)]
    assert taken.time % 16 == 0  # a tick of the counter, whatever instruction that hits
    assert words(vm)[1] in (made["spin"], made["spin"] + 4)
    vm = made.vm()
    vm.run_to(taken.index)  # a run that ends there ends in the vector
    assert vm.vcpus[0].pc == made["vectors"] + 0x280


ASLEEP = (
    SMP
    + "use_vectors\n gic_on\n enable 27\n msr daifclr, #2"
    + TIMER.format(ticks=1000)
    + """
sleep: wfi
awake: nop
"""
    + HANDLER
)


def test_time_is_skipped_while_everybody_sleeps() -> None:
    made = guest(ASLEEP)
    vm = made.vm()
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    (taken,) = [event for event in vm.trace if isinstance(event, InterruptTaken)]
    (wait,) = [event for event in vm.trace if isinstance(event, WaitForInterrupt)]
    assert taken.index == wait.index
    # 1000 ticks after the one in which the timer was set, four instructions earlier.
    assert taken.time == (wait.time - 4) // 16 * 16 + 16_000
    assert words(vm) == [27, made["awake"]]


AWAKE_AGAIN = (
    SMP
    + "use_vectors\n gic_on\n enable 27\n msr daifclr, #2"
    + TIMER.format(ticks=1000)
    + "wfi"
    + TIMER.format(ticks=20)
    + """
    mov x2, #500
1:  subs x2, x2, #1
    b.ne 1b
"""
    + HANDLER
)


@pytest.mark.parametrize("cut", [10_000, 10])
def test_a_timer_after_a_sleep_is_as_exact(cut: int) -> None:
    """The index is far behind the time then, however a run is cut."""
    vm = guest(AWAKE_AGAIN).vm()
    while not vm.stopped:
        vm.run(cut)
    first, second = (event for event in vm.trace if isinstance(event, InterruptTaken))
    assert first.time % 16 == second.time % 16 == 0
    assert 20 * 16 <= second.time - first.time < 22 * 16


SGI = (
    SMP
    + """
    cpu_on 1, second
    gic_on
    ldr x20, =DATA
ready: ldr x4, [x20, #64]
    cbz x4, ready
    ldr x1, =GICD + 0xf00
    ldr w0, =(1 << 17 | 5)      // SGI 5 to CPU 1
    str w0, [x1]
done: ldr x4, [x20]
    cbz x4, done
    off
second:
    use_vectors
    gic_on
    ldr x20, =DATA
    mov x4, #1
    str x4, [x20, #64]
    msr daifclr, #2
"""
)


@pytest.mark.parametrize("wait", ["wfi", "nop"], ids=["in WFI", "in a tight loop"])
def test_an_sgi_reaches_another_vcpu(wait: str) -> None:
    made = guest(SGI + f"asleep: {wait}\n b asleep" + HANDLER)
    vm = made.vm(vcpus=2)
    assert vm.run(1_000_000).reason is StopReason.POWER_OFF
    assert words(vm)[0] == 5  # SGI 5; bits 12:10 say that CPU 0 sent it
    (taken,) = [event for event in vm.trace if isinstance(event, InterruptTaken)]
    assert taken.vcpu == 1


ONE_SHOT = (
    SMP
    + """
    use_vectors
    gic_on
    ldr x1, =GICD + 0x100 + 4 * 2
    mov w0, #1 << 7
    str w0, [x1]                // enable SPI 71
    ldr x1, =GICD + 0x800 + 71
    mov w0, #1
    strb w0, [x1]               // to CPU 0
    ldr x21, =ONE_SHOT
    mov w0, #71
    str w0, [x21, #4]
    mov w0, #300
    str w0, [x21]
    msr daifclr, #2
    wfi
    nop
    mov x22, x14
    off
handler:
    acknowledge
    add x14, x14, #1
    cmp x14, #3
    b.ne keep                   // twice without quiescing: it comes back at once
    str wzr, [x21, #12]
keep: ldr x12, =DATA
    str x10, [x12]
    eret
    all_vectors handler
"""
)


def test_a_level_comes_back_until_it_is_quiesced() -> None:
    vm = guest(ONE_SHOT).vm()
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    assert vm.vcpus[0].x[22] == 3
    assert words(vm)[0] == 71


V3 = (
    SMP
    + """
    use_vectors
    mrs x19, id_aa64pfr0_el1
    mov x0, #1
    msr S3_0_C12_C12_5, x0      // ICC_SRE_EL1
    mov x0, #0xff
    msr S3_0_C4_C6_0, x0        // ICC_PMR_EL1
    mov x0, #1
    msr S3_0_C12_C12_7, x0      // ICC_IGRPEN1_EL1
    ldr x1, =0x08000000
    mov w0, #0x12               // group 1, affinity routing
    str w0, [x1]
    ldr x1, =0x080a0000
    str wzr, [x1, #0x14]        // awake
    ldr x1, =0x080b0000
    mov w0, #1 << 27
    str w0, [x1, #0x80]         // group 1
    str w0, [x1, #0x100]        // enabled
    mrs x20, S3_0_C12_C12_5
"""
    + TIMER.format(ticks=5)
    + """
    msr daifclr, #2
    wfi
    off
handler:
    mrs x10, S3_0_C12_C12_0     // ICC_IAR1_EL1
    msr cntv_ctl_el0, xzr
    msr S3_0_C12_C12_1, x10     // ICC_EOIR1_EL1
    ldr x12, =DATA
    str x10, [x12]
    eret
    all_vectors handler
"""
)


def test_gicv3_by_its_system_registers() -> None:
    vm = guest(V3).vm(gic=3)
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    assert vm.vcpus[0].x[19] == 0x0100_2222
    assert vm.vcpus[0].x[20] & 1 == 1
    assert words(vm)[0] == 27


def test_without_gicv3_its_registers_are_undefined() -> None:
    made = guest("mrs x19, id_aa64pfr0_el1\n mrs x0, S3_0_C12_C12_5\n off")
    vm = made.vm()
    vm.run(2)
    assert vm.vcpus[0].x[19] == 0x2222
    assert vm.trace[-1].syndrome == 0x0200_0000  # type: ignore[union-attr]


GUESTS = {
    "unmasked": (MASKED, {}),
    "loop": (RUNNING, {}),
    "asleep": (ASLEEP, {}),
    "asleep and awake": (AWAKE_AGAIN, {}),
    "SGI in a loop": (SGI + "asleep: nop\n b asleep" + HANDLER, {"vcpus": 2, "quantum": 191}),
    "SGI in WFI": (SGI + "asleep: wfi\n b asleep" + HANDLER, {"vcpus": 2, "quantum": 191}),
    "level": (ONE_SHOT, {}),
    "GICv3": (V3, {"gic": 3}),
}


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("name", GUESTS)
def test_one_trace(name: str, way: str) -> None:
    source, options = GUESTS[name]
    assert run(guest(source), way, **options) == run(guest(source), "native", **options)


@pytest.mark.parametrize("name", GUESTS)
def test_saved_anywhere_it_goes_on_the_same(name: str) -> None:
    source, options = GUESTS[name]
    whole = guest(source).vm(**options)
    whole.run(100_000)
    assert whole.stopped
    for at in range(1, whole.index, max(1, whole.index // 23)):
        first, second = guest(source).vm(**options), guest(source).vm(**options)
        first.run_to(at)
        second.load(first.save())
        first.run(100_000)
        second.run(100_000)
        assert second.save() == first.save() == whole.save(), at


@pytest.mark.parametrize("vcpus", [1, 2])
def test_an_event_of_a_timer_interrupts_a_loop_at_its_time(vcpus: int) -> None:
    made = guest(
        SMP
        + """
        ldr x1, =0x40400028     // shared, SPI 40
        ldr x2, =handler
        mov x3, #0
        mov x4, #0
        mov x5, #0
        call 0xc4000021
        ldr x1, =0x40400028
        call 0xc4000022
        call 0xc400002c
        ldr x21, =ONE_SHOT
        mov w0, #40
        str w0, [x21, #4]
        mov w0, #300
        str w0, [x21]
    spin: b spin
    handler:
        mov x20, x2
        off
        """
    )
    vm = made.vm(profile="den0054c", vcpus=vcpus)
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    (delivered,) = [event for event in vm.trace if isinstance(event, EventDelivered)]
    assert vm.vcpus[0].x[20] == made["spin"]
    assert 300 <= delivered.time <= 350


EVENT_OF_OWN_TIMER = (
    SMP
    + """
    mov x1, #27
    call 0xc400002d             // bind
    mov x19, x0
    mov x1, x19
    ldr x2, =handler
    mov x3, #0
    mov x4, #0
    mov x5, #0
    call 0xc4000021
    mov x1, x19
    call 0xc4000022
    call 0xc400002c
    mov x1, #1
    msr cntv_cval_el0, xzr
    nop
    msr cntv_ctl_el0, x1        // due at once
after:
    nop
    nop
spin: b spin
handler:
    mov x20, x2
    off
"""
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vcpus", [1, 2])
def test_an_event_of_the_guests_own_timer_comes_right_after_it_is_set(vcpus: int, way: str) -> None:
    made = guest(EVENT_OF_OWN_TIMER)
    state = run(made, way, profile="den0054c", vcpus=vcpus)
    vm = made.vm(profile="den0054c", vcpus=vcpus)
    assert vm.run(10_000).reason is StopReason.POWER_OFF
    assert vm.vcpus[0].x[20] == made["after"]
    assert state == everything(vm)


def test_the_event_of_a_ppi_is_its_own_vcpus() -> None:
    made = guest(
        SMP
        + """
        cpu_on 1, second
    spin: b spin
    second:
        ldr x1, =0x40400016     // private, PPI 22
        ldr x2, =handler
        mov x3, #0
        mov x4, #0
        call 0xc4000021
        ldr x1, =0x40400016
        call 0xc4000022
        call 0xc400002c
    handler: b handler
        """
    )
    vm = made.vm(profile="den0054c", vcpus=2, quantum=100)
    vm.run(1000)
    vm.gic.set_line(22, True, 0)  # PE 0 has no handler for its own
    vm.run(1000)
    assert not [event for event in vm.trace if isinstance(event, EventDelivered)]
    vm.gic.set_line(22, False, 0)
    vm.gic.set_line(22, True, 1)
    vm.run(1000)
    (delivered,) = [event for event in vm.trace if isinstance(event, EventDelivered)]
    assert (delivered.vcpu, delivered.event) == (1, 0x4040_0016)
    assert [vm.gic.is_active(22, pe) for pe in (0, 1)] == [False, True]


def test_a_machine_that_has_stopped_takes_no_interrupt() -> None:
    """Both come of the same store: a defect of the literal profile, and an SGI."""
    made = guest(
        SMP
        + """
        use_vectors
        gic_on
        .irp event, 0, 1
        mov x1, #\\event
        ldr x2, =handler
        mov x4, #0
        call 0xc4000021
        .endr
        mov x1, #1
        call 0xc4000022
        call 0xc400002c
        msr daifclr, #2
        ldr x1, =GICD + 0xf00
        ldr w0, =2 << 24
    send: str w0, [x1]
    handler: b handler
        all_vectors handler
        """
    )
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].pc != made["send"]:
        vm.run(1)
    assert vm.inject_event(0) == vm.inject_event(1) == 0
    assert vm.run(100).reason is StopReason.DEFECT
    assert vm.gic.irq(0)
    assert vm.vcpus[0].pc == made["send"] + 4
    assert not [event for event in vm.trace if isinstance(event, InterruptTaken)]


@pytest.mark.parametrize("name", ["unmasked", "loop", "SGI in a loop"])
def test_one_trace_where_registers_are_copied(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, options = GUESTS[name]
    reference = run(guest(source), "native", **options)
    monkeypatch.setattr(core, "find_live_state", lambda uc, layout: None)
    assert run(guest(source), "native", **options)[1] == reference[1]


@pytest.mark.parametrize("instruction", ["mrs x0, S3_0_C12_C12_0", "msr S3_0_C4_C6_0, x0"])
def test_el0_has_no_registers_of_gicv3(instruction: str) -> None:
    made = guest(
        SMP + f"use_vectors\n enter 0, user\n user: {instruction}\n all_vectors stay\n stay: b stay"
    )
    vm = made.vm(gic=3)
    while vm.vcpus[0].pc != made["user"]:
        vm.run(1)
    vm.run(1)
    (taken,) = [event for event in vm.trace if isinstance(event, ExceptionTaken)]
    assert (taken.pc, taken.syndrome) == (made["user"], 0x0200_0000)
    assert taken.vector == made["vectors"] + 0x400
