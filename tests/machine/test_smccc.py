"""Who answers a hypercall, by real HVC and SMC; ids and answers typed from the reference."""

import errno
import random

import pytest

from sdeiviz.trace import (
    Console,
    EventDelivered,
    HandlerStateChanged,
    Hypercall,
    HypercallResult,
    MaskChanged,
    SystemReset,
)
from tests.machine.guest import DATA, UART, everything, guest, step_through

MINUS_ONE = (1 << 64) - 1
ONE_CALL = "hvc #0\n stay: b stay"


def call(function: int, *arguments: int, code: str = ONE_CALL, bitmap: int = 3) -> list[int]:
    """Make one call with x1... given and all other registers marked; return x0 to x30."""
    vm = guest(code).vm()
    assert vm.hypercalls.filter.set_std_bitmap(bitmap) == 0
    x = vm.vcpus[0].x
    for n in range(31):
        x[n] = 0xAA00 + n
    x[0] = function
    for n, argument in enumerate(arguments, 1):
        x[n] = argument
    vm.run(1)
    assert vm.vcpus[0].pc == 0x4008_0004
    call, *result = vm.trace
    assert isinstance(call, Hypercall)
    assert (call.function, call.pc) == (function & 0xFFFF_FFFF, 0x4008_0000)
    assert call.arguments == (*arguments, *(0xAA00 + n for n in range(len(arguments) + 1, 6)))
    results = [e for e in result if isinstance(e, HypercallResult)]
    assert [e.result for e in results] == ([] if x[0] == function else [x[0]])
    return [*x]


def answered(x: list[int], value: int) -> bool:
    """Whether x0 is the value, x1 to x3 are zero and nothing else has changed."""
    return x == [value, 0, 0, 0, *(0xAA00 + n for n in range(4, 31))]


ANSWERS = {
    "SMCCC_VERSION": (0x8000_0000, (), 0x1_0001),
    "ARCH_FEATURES of VERSION": (0x8000_0001, (0x8000_0000,), 0),
    "ARCH_FEATURES of itself": (0x8000_0001, (0x8000_0001,), 0),
    "ARCH_FEATURES, only 32 bits": (0x8000_0001, (0xFF_8000_0001,), 0),
    "ARCH_FEATURES of SDEI_VERSION": (0x8000_0001, (0xC400_0020,), MINUS_ONE),
    "ARCH_FEATURES of a workaround": (0x8000_0001, (0x8000_8000,), MINUS_ONE),
    "PSCI_VERSION": (0x8400_0000, (), 0x1_0001),
    "PSCI_FEATURES of VERSION": (0x8400_000A, (0x8400_0000,), 0),
    "PSCI_FEATURES of SYSTEM_OFF": (0x8400_000A, (0x8400_0008,), 0),
    "PSCI_FEATURES of SYSTEM_RESET": (0x8400_000A, (0x8400_0009,), 0),
    "PSCI_FEATURES of itself": (0x8400_000A, (0x8400_000A,), 0),
    "PSCI_FEATURES of SMCCC_VERSION": (0x8400_000A, (0x8000_0000,), 0),
    "PSCI_FEATURES, only 32 bits": (0x8400_000A, (0xFF_8400_0000,), 0),
    "PSCI_FEATURES of CPU_ON": (0x8400_000A, (0xC400_0003,), 0),
    "PSCI_FEATURES of CPU_FREEZE": (0x8400_000A, (0x8400_000B,), MINUS_ONE),
    "PSCI_FEATURES of SDEI": (0x8400_000A, (0xC400_0020,), MINUS_ONE),
    "SDEI_VERSION": (0xC400_0020, (), 0x0001_0001_564B_CAA9),
    "SDEI_FEATURES": (0xC400_0030, (0,), 0),
    "SDEI_EVENT_STATUS": (0xC400_0028, (0,), 0),
}
NOBODY = {
    "0": 0,
    "SDEI by its 32-bit form": 0x8400_0020,
    "SDEI EVENT_STATUS by its 32-bit form": 0x8400_0028,
    "SDEI as a yielding call": 0x4400_0020,
    "the first unallocated SDEI call": 0xC400_0033,
    "the last SDEI call": 0xC400_003F,
    "after SDEI": 0xC400_0040,
    "EVENT_ROUTING_SET": 0xC400_002A,
    "INTERRUPT_BIND": 0xC400_002D,
    "INTERRUPT_RELEASE": 0xC400_002E,
    "PSCI_VERSION by a 64-bit form": 0xC400_0000,
    "PSCI MIGRATE": 0x8400_0005,
    "PSCI CPU_FREEZE": 0x8400_000B,
    "the last PSCI call": 0x8400_001F,
    "PSCI 0.1 CPU_SUSPEND": 0x95C1_BA5E,
    "PSCI 0.1 MIGRATE": 0x95C1_BA61,
    "after PSCI 0.1": 0x95C1_BA62,
    "TRNG_VERSION": 0x8400_0050,
    "ARCH_WORKAROUND_1": 0x8000_8000,
    "ARCH_SOC_ID": 0x8000_0002,
    "a CPU service": 0x8100_0000,
    "a SiP service": 0x8200_0000,
    "an OEM service": 0x8300_0000,
    "paravirtual time": 0xC500_0020,
    "the vendor's UID": 0x8600_FF01,
    "a trusted application": 0xB000_0000,
    "a trusted OS": 0xB200_0000,
    "all ones": 0xFFFF_FFFF,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_who_answers(name: str) -> None:
    function, arguments, value = ANSWERS[name]
    assert answered(call(function, *arguments), value)


@pytest.mark.parametrize("function", NOBODY.values(), ids=NOBODY)
def test_nobody_answers(function: int) -> None:
    assert answered(call(function), MINUS_ONE)


def test_only_the_lower_half_of_x0_counts() -> None:
    for function in (0xC400_0020, 0x8400_0000, 0x8000_0000):
        plain = call(function)
        assert call(0xDEAD_BEEF_0000_0000 | function)[0] == plain[0] != MINUS_ONE


def test_the_immediate_of_an_hvc_does_not_count() -> None:
    for number in (1, 5, 0xFFFF):
        assert answered(call(0x8400_0000, code=f"hvc #{number}\n stay: b stay"), 0x1_0001)


def test_random_identifiers_that_are_not_listed() -> None:
    """No id outside these few has any effect but x0 = -1 and x1 to x3 = 0."""
    listed = {function for function, _, _ in ANSWERS.values()} | {0x8400_0008, 0x8400_0009}
    listed |= {0x8400_0001, 0x8400_0002, 0x8400_0003, 0x8400_0004, 0x8400_0006}
    listed |= {0xC400_0001, 0xC400_0003, 0xC400_0004}
    dice = random.Random(1)
    vm = guest("again: hvc #0\n b again").vm()
    x = vm.vcpus[0].x
    for _ in range(2000):
        owner = dice.choice([0, 4, 4, 4, 5, 6, dice.randrange(64)])
        function = dice.randrange(4) << 30 | owner << 24 | dice.choice([0, 0xFF00]) << 8
        function |= dice.randrange(0x100)
        if function in listed or 0xC400_0020 <= function < 0xC400_0040:
            continue
        x[0], x[1], x[2], x[3] = function, 1, 2, 3
        vm.run(2)
        assert (x[0], x[1], x[2], x[3]) == (MINUS_ONE, 0, 0, 0), hex(function)
        assert not vm.stopped


# -- the firmware bitmap


def test_the_bitmap_is_chosen_before_the_guest_runs() -> None:
    vm = guest(ONE_CALL).vm()
    bits = vm.hypercalls.filter
    assert bits.std_bitmap == 3
    assert bits.set_std_bitmap(4) == bits.set_std_bitmap(1 << 63) == -errno.EINVAL
    assert bits.set_std_bitmap(7) == -errno.EINVAL
    assert bits.std_bitmap == 3
    for value in (0, 1, 2, 3, 1):
        assert bits.set_std_bitmap(value) == 0
        assert bits.std_bitmap == value
    vm.run(1)
    assert bits.set_std_bitmap(1) == 0
    assert bits.set_std_bitmap(0) == bits.set_std_bitmap(3) == -errno.EBUSY
    assert bits.set_std_bitmap(4) == -errno.EINVAL
    assert bits.std_bitmap == 1


@pytest.mark.parametrize("bitmap", [0, 1])
def test_without_its_bit_no_sdei_call_is_answered(bitmap: int) -> None:
    for number in range(0x20):
        assert answered(call(0xC400_0020 + number, bitmap=bitmap), MINUS_ONE)
    assert answered(call(0x8400_0000, bitmap=bitmap), 0x1_0001)


def test_each_service_has_its_own_bit() -> None:
    """TRNG (bit 0) has no handler here, so only the filter tells."""
    allowed = {}
    bits = guest(ONE_CALL).vm().hypercalls.filter
    for bitmap in range(4):
        bits.set_std_bitmap(bitmap)
        allowed[bitmap] = (bits.allows(0x8400_0050), bits.allows(0xC400_0020))
        assert bits.allows(0x8400_0000)
    assert allowed == {0: (False, False), 1: (True, False), 2: (False, True), 3: (True, True)}


def test_complete_without_a_handler_writes_nothing_but_is_refused_by_the_filter() -> None:
    for function in (0xC400_0025, 0xC400_0026):
        assert call(function) == [function, *(0xAA00 + n for n in range(1, 31))]
        assert answered(call(function, bitmap=1), MINUS_ONE)


def test_the_bitmap_is_part_of_the_state() -> None:
    vm = guest("again: hvc #0\n b again").vm()
    vm.hypercalls.filter.set_std_bitmap(1)
    vm.run(1)
    other = guest("again: hvc #0\n b again").vm()
    other.load(vm.save())
    assert other.hypercalls.filter.set_std_bitmap(3) == -errno.EBUSY
    other.vcpus[0].x[0] = 0xC400_0020
    other.run(2)
    assert other.vcpus[0].x[0] == MINUS_ONE


# -- SMC


@pytest.mark.parametrize("profile", ["kvm-v7", "kvm-v7-literal"])
def test_smc_has_nobody_below(profile: str) -> None:
    vm = guest("smc #0\n smc #3\n stay: b stay").vm(profile=profile)
    x = vm.vcpus[0].x
    x[0], x[1], x[2], x[3] = 0x5_8400_0008, 11, 22, 33
    vm.run(1)
    assert (vm.vcpus[0].pc, vm.index) == (0x4008_0004, 1)
    assert [*x[:4]] == [MINUS_ONE, 11, 22, 33]
    assert list(vm.trace) == [
        Hypercall(1, 1, 0, "SMC", 0x4008_0000, 0x8400_0008, (11, 22, 33, 0, 0)),
        HypercallResult(1, 1, 0, 0x8400_0008, MINUS_ONE),
    ]
    x[0] = 0xC400_0020
    vm.run(1)
    assert (x[0], vm.vcpus[0].pc) == (MINUS_ONE, 0x4008_0008)


# -- PSCI


def test_system_off() -> None:
    vm = guest("ldr x1, =UART\n mov w2, #'x'\n strb w2, [x1]\n off\n nop\n nop").vm()
    stop = vm.run()
    assert (stop.reason, stop.index) == ("power-off", 5)
    assert vm.vcpus[0].x[0] == 0x8400_0008  # nobody is left to be answered
    assert (vm.console, [e.text for e in vm.trace if isinstance(e, Console)]) == ("x", ["x"])
    before = everything(vm)
    assert vm.run(100) == stop
    assert vm.run_to(1 << 40) == stop
    assert everything(vm) == before


# Boots until it has seen the time go by, dirties all that a reset must clean, and resets.
REBOOT = """
    mrs x9, cntvct_el0
    ldr x10, =DATA
    ldr x11, [x10]
    ldr x13, =UART
    add w14, w11, #'0'
    strb w14, [x13]
    mrs x15, tpidr_el0
    mrs x16, cntv_ctl_el0
    cmp x9, #20
    b.hi enough
    mov x12, #1
    str x12, [x10]
    msr tpidr_el0, x12
    msr cntv_ctl_el0, x12
    msr pmuserenr_el0, x12
    msr vbar_el1, x10
    mov sp, x10
    msr daifclr, #15
    adr x20, count
    ldr w21, [x20]
    add w21, w21, #1
    str w21, [x20]
    mov x22, #300
1:  subs x22, x22, #1
    b.ne 1b
    call 0x84000009
    b .
enough:
    ldr w21, count
    off
count:
    .word 7
"""


def test_system_reset_loads_the_image_and_starts_again() -> None:
    vm = guest(REBOOT).vm()
    vm.run(23)
    assert vm.memory[DATA : DATA + 1] == b"\x01"
    vm.run()
    assert vm.stopped
    assert vm.stopped.reason == "power-off"
    vcpu = vm.vcpus[0]
    # RAM was zero again each time, the console and the time went on.
    assert vm.console == "00"
    assert vm.memory[DATA : DATA + 8] == bytes(8)
    assert (vcpu.x[11], vcpu.x[15], vcpu.x[16], vcpu.x[21]) == (0, 0, 0, 7)
    assert vcpu.x[12] == vcpu.x[22] == vcpu.x[20] == 0
    assert (vcpu.sp, vcpu.core["vbar_el1"], vcpu.pstate & 0x3C0) == (0, 0, 0x3C0)
    resets = [e for e in vm.trace if isinstance(e, SystemReset)]
    boot = 23 + 600 + 2
    assert [e.index for e in resets] == [boot]
    assert vm.index == boot + 10 + 3
    assert [e.text for e in vm.trace if isinstance(e, Console)] == ["0", "0"]
    assert vcpu.pmu.user_enable == 0


def test_a_reset_is_exact_however_a_run_is_cut() -> None:
    reference = guest(REBOOT).vm()
    reference.run()
    boot = 23 + 600 + 2
    for cut in (boot - 1, boot, boot + 1):
        vm = guest(REBOOT).vm()
        assert vm.run(cut).index == cut
        assert vm.vcpus[0].pc == {0: 0x4008_0000, 1: 0x4008_0004}.get(cut - boot, vm.vcpus[0].pc)
        vm.run()
        assert everything(vm) == everything(reference)
    vm = guest(REBOOT).vm(clock="python")
    step_through(vm, 10_000)
    assert everything(vm) == everything(reference)


# Registers and enables event 0, unmasks, and resets; the second time it asks what is left.
KEEP = """
    mov x1, #0
    call 0xc4000028
    mov x20, x0
    mrs x9, cntvct_el0
    cbnz x9, second
    ldr x2, =handler
    mov x1, #0
    mov x3, #0
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
    call 0x84000009
second:
    mov x1, #0
    call 0xc400002f
    mov x21, x0
    off
handler:
    mov x22, #1
    call 0xc4000025
"""


@pytest.mark.parametrize(
    ("profile", "status", "signal", "delivered"),
    [("kvm-v7", 0, MINUS_ONE - 1, 0), ("kvm-v7-literal", 3, 0, 1)],
)
def test_what_a_reset_leaves_of_sdei(
    profile: str, status: int, signal: int, delivered: int
) -> None:
    """D11: the series resets nothing."""
    vm = guest(KEEP).vm(profile=profile)
    assert vm.run(1000).reason == "power-off"
    x = vm.vcpus[0].x
    assert (x[20], x[21]) == (status, signal)
    assert len([e for e in vm.trace if isinstance(e, EventDelivered)]) == delivered
    reset = next(e.index for e in vm.trace if isinstance(e, SystemReset))
    changed = [e for e in vm.trace if isinstance(e, HandlerStateChanged) and e.index == reset]
    assert [(e.action, e.before, e.after) for e in changed] == (
        [] if profile == "kvm-v7-literal" else [("reset", 3, 0)]
    )
    masked = [e.masked for e in vm.trace if isinstance(e, MaskChanged)]
    assert masked == ([False] if profile == "kvm-v7-literal" else [False, True])


def test_a_reset_from_inside_a_handler() -> None:
    """kvm-v7 forgets the context too; to the letter the handler runs for ever after."""
    code = KEEP.replace("call 0x84000009", "mov x1, #0\n call 0xc400002f").replace(
        "handler:\n    mov x22, #1\n    call 0xc4000025", "handler:\n    call 0x84000009"
    )
    for profile, status in (("kvm-v7", 0), ("kvm-v7-literal", 7)):
        vm = guest(code).vm(profile=profile)
        assert vm.run(1000).reason == "power-off"
        assert vm.vcpus[0].x[20] == status
        assert bool(vm.vcpus[0].sdei.contexts) is (profile == "kvm-v7-literal")


def test_what_was_injected_before_a_reset_comes_after_it_to_the_letter() -> None:
    """KVM looks for requests at the next entry, after the reset; never between HVC and reset."""
    made = guest(KEEP)
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].sdei.handlers[0].state != 3 or vm.vcpus[0].sdei.masked:
        vm.run(1)
    assert vm.inject_event(0) == 0
    assert vm.vcpus[0].sdei.requested
    vm.run(2)
    delivered = [e for e in vm.trace if isinstance(e, EventDelivered)]
    reset = [e for e in vm.trace if isinstance(e, SystemReset)]
    assert [(e.index, e.pc) for e in delivered] == [(reset[0].index, 0x4008_0000)]
    assert vm.vcpus[0].pc == made["handler"]


def test_nothing_is_delivered_to_a_machine_that_goes_off() -> None:
    made = guest(KEEP.replace("call 0x84000009", "off"))
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].sdei.handlers[0].state != 3 or vm.vcpus[0].sdei.masked:
        vm.run(1)
    vm.inject_event(0)
    assert vm.run().reason == "power-off"
    assert not [e for e in vm.trace if isinstance(e, EventDelivered)]
    assert type(vm.trace[-1]).__name__ == "Stopped"


def test_registers_at_reset_are_those_at_power_on() -> None:
    made = guest(
        """
        fpu_on
        fmov d3, #1.5
        mov x1, #0xf
        msr contextidr_el1, x1
        msr far_el1, x1
        msr cntv_cval_el0, x1
        movn w2, #0
        msr fpcr, x2
        msr fpsr, x2
        ldr x3, =UART
        ldxr x4, [sp]
        call 0x84000009
        """
    )
    vm = made.vm()
    vm.vcpus[0].sp = DATA
    first = vm.save().vcpus[0]
    first["core"]["sp_el1"] = 0
    while not [e for e in vm.trace if isinstance(e, SystemReset)]:
        vm.run(1)
    again = vm.save().vcpus[0]
    del first["account"], again["account"]  # time goes on
    assert again == first
    assert UART == 0x0900_0000


def test_devices_at_reset_are_those_at_power_on() -> None:
    made = guest(
        """
        ldr x1, =0x08000000
        mov w0, #1
        str w0, [x1]                // GICD_CTLR
        mov w0, #1 << 27
        str w0, [x1, #0x100]
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        ldr x1, =0x090d0000         // the one-shot timer
        str w0, [x1, #4]
        str w0, [x1]
        call 0x84000009
        """
    )
    vm = made.vm()
    gic, one_shot = vm.gic.save(), vm.one_shot.save()
    vm.run(11)
    assert vm.gic.save() != gic
    assert vm.one_shot.save() != one_shot
    while not [e for e in vm.trace if isinstance(e, SystemReset)]:
        vm.run(1)
    assert (vm.gic.save(), vm.one_shot.save()) == (gic, one_shot)
    assert (vm.deadline, vm.vcpus[0].timer.deadline()) == (None, None)


@pytest.mark.parametrize(
    ("function", "name"),
    [("0x84000008", "SYSTEM_OFF"), ("0x84000009", "SYSTEM_RESET"), ("0x84000002", "CPU_OFF")],
)
def test_power_off_in_a_handler_completes_it(function: str, name: str) -> None:
    code = KEEP.replace("call 0x84000009", "mov x1, #0\n mov x2, #0\n call 0xc400002f").replace(
        "handler:\n    mov x22, #1\n    call 0xc4000025", f"handler:\n    call {function}"
    )
    vm = guest(code).vm(profile="den0054c")
    vm.run(1000)
    changes = [e for e in vm.trace if isinstance(e, HandlerStateChanged)]
    assert (name, 7, 3) in [(e.action, e.before, e.after) for e in changes]
