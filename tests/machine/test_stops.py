"""Why a machine stops: each reason, what the trace says, and whether it can go on."""

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.machine import StopReason
from sdeiviz.trace import (
    Defect,
    EventDelivered,
    ExceptionTaken,
    Stopped,
    WaitForInterrupt,
)
from tests.machine.guest import everything, guest, step_through

# Registers and enables event 0, unmasks, and waits; each event counts in x20.
WAITING = """
    ldr x2, =handler
    mov x1, #0
    mov x3, #0
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
wait:
    wfi
    add x21, x21, #1
    cmp x21, #3
    b.ne wait
    off
handler:
    add x20, x20, #1        // lost: completion restores x0 to x17 only
    call 0xc4000025
"""


def stops(vm: VirtualMachine) -> list[tuple[int, str]]:
    return [(event.index, event.reason) for event in vm.trace if isinstance(event, Stopped)]


def check_final(vm: VirtualMachine) -> None:
    """A machine that cannot go on stays as it is, whatever it is told."""
    assert vm.stopped
    assert stops(vm)[-1] == (vm.index, vm.stopped.reason)
    before = everything(vm)
    for count in (None, 0, 1, 1000):
        assert vm.run(count) == vm.stopped
    assert everything(vm) == before


def test_which_reasons_are_final() -> None:
    passing = {r for r in StopReason if not r.final}
    assert passing == {"budget", "match", "breakpoint", "moment", "interrupted"}


def test_power_off_is_final() -> None:
    vm = guest("off\n nop").vm()
    assert vm.run().reason == "power-off"
    check_final(vm)
    assert vm.stopped
    assert vm.stopped.detail == "the guest switched the machine off"


def test_budget_is_not_and_leaves_no_trace() -> None:
    vm = guest("forever: b forever").vm()
    assert [vm.run(10).reason for _ in range(3)] == ["budget"] * 3
    assert (vm.index, vm.stopped, list(vm.trace)) == (30, None, [])


@pytest.mark.parametrize("masked", [True, False])
def test_wfi_stops_and_an_injection_wakes_it(masked: bool) -> None:
    """Whether interrupts are masked does not matter: there are none."""
    made = guest(("" if masked else "msr daifclr, #15\n") + WAITING)
    vm = made.vm()
    for rounds in range(1, 4):
        stop = vm.run()
        assert (stop.reason, stop.index, vm.vcpus[0].pc) == ("wfi", vm.index, made["wait"] + 4)
        check_final(vm)
        waits = [e for e in vm.trace if isinstance(e, WaitForInterrupt)]
        assert [(e.index, e.pc) for e in waits][-1] == (vm.index, made["wait"])
        assert len(waits) == rounds
        assert vm.inject_event(0) == 0
        assert (vm.stopped, vm.vcpus[0].pc) == (None, made["handler"])
    assert vm.run().reason == "power-off"
    assert (vm.vcpus[0].x[20], vm.vcpus[0].x[21]) == (3, 3)


def test_an_event_that_cannot_be_delivered_does_not_wake_it() -> None:
    vm = guest(WAITING.replace("call 0xc400002c", "nop")).vm()  # still masked
    stop = vm.run()
    before = vm.vcpus[0].pc
    assert vm.inject_event(0) == 0
    assert (vm.run(), vm.vcpus[0].pc) == (stop, before)
    assert vm.inject_event(1) == -2  # -ENOENT: not registered
    assert vm.run() == stop


def test_to_the_letter_an_injection_wakes_nobody() -> None:
    """D8: no kick. The event is pending, its request made, and the vCPU sleeps on."""
    vm = guest(WAITING).vm(profile="kvm-v7-literal")
    stop = vm.run()
    assert vm.inject_event(0) == 0
    assert vm.vcpus[0].sdei.requested
    assert vm.run() == stop
    assert not [e for e in vm.trace if isinstance(e, EventDelivered)]


def test_to_the_letter_an_event_is_noticed_at_the_next_exit() -> None:
    """D8: injected while the guest runs; delivered after its next exit, were it an UART access."""
    made = guest(
        WAITING.replace(
            "wait:\n    wfi", "ldr x5, =UART\n nop\n nop\n wait: ldr w6, [x5, #0x18]\n nop"
        )
    )
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].pc != made["wait"] - 8:
        vm.run(1)
    assert vm.inject_event(0) == 0
    vm.run(2)
    assert vm.vcpus[0].pc == made["wait"]  # no exit so far
    vm.run(1)
    delivered = [e for e in vm.trace if isinstance(e, EventDelivered)]
    assert [(e.index, e.pc) for e in delivered] == [(vm.index, made["wait"] + 4)]
    assert vm.vcpus[0].pc == made["handler"]


def test_to_the_letter_a_wfi_with_an_event_requested_sleeps() -> None:
    """KVM blocks the vCPU before it looks at requests, and SDEI's is none that unblocks."""
    made = guest(WAITING)
    vm = made.vm(profile="kvm-v7-literal")
    while vm.vcpus[0].pc != made["wait"]:
        vm.run(1)
    vm.inject_event(0)
    stop = vm.run()
    assert (stop.reason, vm.vcpus[0].pc) == ("wfi", made["wait"] + 4)
    assert "D8" in stop.detail
    assert not [e for e in vm.trace if isinstance(e, EventDelivered)]
    check_final(vm)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("udf #0", 1),
        ("svc #0", 1),
        ("ldr x1, =0x10000000\n ldr x1, [x1]", 2),
        ("mov x1, #0\n br x1", 3),
    ],
)
def test_a_vector_that_cannot_be_fetched(code: str, first: int) -> None:
    """VBAR_EL1 is 0 and nothing is there: the abort of the fetch leads to itself."""
    vm = guest(code).vm()
    stop = vm.run(1000)
    assert stop.reason == "vector"
    assert "0x200" in stop.detail
    assert "VBAR_EL1" in stop.detail
    taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
    assert [(e.index, e.vector) for e in taken] == [(first, 0x200), (first + 1, 0x200)]
    assert taken[-1].pc == 0x200
    check_final(vm)


def test_a_vector_that_cannot_be_fetched_from_el0_and_el1t() -> None:
    for mode, offset in ((0, 0x400), (4, 0x000)):
        vm = guest(f"enter {mode}, spot\n spot: svc #0").vm()
        stop = vm.run(1000)
        # The fetch of the first vector aborts at EL1h, and there the next one does.
        assert (stop.reason, stop.index) == ("vector", 8)
        taken = [e.vector for e in vm.trace if isinstance(e, ExceptionTaken)]
        assert taken == [offset, 0x200, 0x200]


def test_an_exception_loop() -> None:
    vm = guest(
        """
        ldr x1, =vectors
        msr vbar_el1, x1
        svc #0
        .ltorg
        .align 11
    vectors:
        .space 0x200
        udf #7
        """
    ).vm()
    stop = vm.run(1000)
    assert (stop.reason, stop.index) == ("exception-loop", 4)
    assert stop.detail.startswith("undefined instruction at 0x40080a00")
    check_final(vm)


def test_an_exception_loop_of_svc() -> None:
    """ELR is after the SVC each time, and the guest never gets there."""
    vm = guest(
        """
        ldr x1, =vectors
        msr vbar_el1, x1
        svc #0
        .ltorg
        .align 11
    vectors:
        .space 0x200
        svc #1
        add x5, x5, #1
        eret
        """
    ).vm()
    assert vm.run(50).reason == "exception-loop"
    assert (vm.index, vm.vcpus[0].x[5]) == (4, 0)


def test_the_same_exception_again_is_no_loop_where_a_handler_ran_between() -> None:
    vm = guest(
        """
        ldr x1, =vectors
        msr vbar_el1, x1
        1: svc #0
        b 1b
        .ltorg
        .align 11
    vectors:
        .space 0x200
        eret
        """
    ).vm()
    assert vm.run(1000).reason == "budget"


def test_a_vector_whose_second_instruction_faults_once_is_no_loop() -> None:
    vm = guest(
        """
        ldr x1, =vectors
        msr vbar_el1, x1
        mov x7, #0x20000000
        mov x8, #0x10000000
        svc #0
        .ltorg
        .align 11
    vectors:
        .space 0x200
        add x7, x7, x8          // where nothing is, then RAM
        ldr x9, [x7]
        off
        """
    ).vm()
    assert (vm.run(100).reason, vm.index) == ("power-off", 5 + 2 + 2 + 2)


def test_a_stop_comes_at_its_index_however_the_run_is_cut() -> None:
    for code in ("udf #0", "off", "nop\n wfi", WAITING):
        reference = guest(code).vm()
        reference.run(1000)
        for stride in (1, 2, 3):
            vm = guest(code).vm()
            while not vm.stopped:
                vm.run(stride)
            assert everything(vm) == everything(reference)
        vm = guest(code).vm(clock="python")
        step_through(vm, 1000)
        assert everything(vm) == everything(reference)


# -- defects that would hang the host (profile kvm-v7-literal)

SIGNAL_DISABLED = """
    ldr x2, =handler
    mov x1, #0
    mov x3, #0
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc400002f     // pending, not enabled
    call 0xc400002c     // unmask: the search begins
    off
handler:
    b handler
"""


def test_d1_hangs_the_host_to_the_letter() -> None:
    vm = guest(SIGNAL_DISABLED).vm(profile="kvm-v7-literal")
    stop = vm.run(1000)
    assert (stop.reason, stop.index) == ("defect", 11)
    defect = next(e for e in vm.trace if isinstance(e, Defect))
    assert (defect.name, defect.index) == ("D1", 11)
    assert stop.detail == f"D1: {defect.explanation}"
    assert "hangs" in defect.explanation
    check_final(vm)
    # The answer was written before: PE_UNMASK is a success.
    assert vm.vcpus[0].x[0] == 0
    assert [type(e).__name__ for e in vm.trace][-3:] == ["HypercallResult", "Defect", "Stopped"]


def test_d1_by_an_injection() -> None:
    made = guest(WAITING.replace("call 0xc4000022", "call 0xc4000028"))  # STATUS for ENABLE
    vm = made.vm(profile="kvm-v7-literal")
    vm.run()
    assert vm.inject_event(0) == 0  # not enabled: no request, nothing happens
    assert vm.stopped
    assert vm.stopped.reason == "wfi"


def test_d1_is_mended_in_kvm_v7() -> None:
    vm = guest(SIGNAL_DISABLED).vm()
    assert vm.run(1000).reason == "power-off"
    assert not [e for e in vm.trace if isinstance(e, Defect)]


D3 = """
    movz x1, #0x8000, lsl 16
    call {:#x}
    off
"""


@pytest.mark.parametrize("function", [0xC400_0022, 0xC400_0023])
def test_d3_leaves_the_hosts_arrays_to_the_letter(function: int) -> None:
    vm = guest(D3.format(function)).vm(profile="kvm-v7-literal")
    stop = vm.run(1000)
    assert (stop.reason, stop.index) == ("defect", 3)
    assert stop.detail.startswith("D3: ")
    check_final(vm)
    assert [type(e).__name__ for e in vm.trace] == ["Hypercall", "Defect", "Stopped"]
    mended = guest(D3.format(function)).vm()
    assert mended.run(1000).reason == "power-off"
    assert mended.trace[1].result == (1 << 64) - 2


def test_d2_loses_an_event_to_the_letter() -> None:
    """Signalled in its own handler: delivered once more, or not."""
    code = WAITING.replace("wfi", "mov x1, #0\n call 0xc400002f").replace(
        "add x20, x20, #1",
        "add x20, x20, #1\n mov x1, #0\n cmp x20, #1\n b.ne 1f\n call 0xc400002f\n 1:",
    )
    counts = {}
    for profile in ("kvm-v7", "kvm-v7-literal"):
        vm = guest(code).vm(profile=profile)
        vm.run(10_000)
        counts[profile] = len([e for e in vm.trace if isinstance(e, EventDelivered)])
    # To the letter the bit stays set, and SIGNAL does not raise what is pending already.
    assert counts == {"kvm-v7": 4, "kvm-v7-literal": 1}


# -- the host's hand


def test_a_stop_can_be_asked_for_before_the_machine_runs() -> None:
    vm = guest("forever: b forever").vm()
    vm.request_stop()
    assert vm.run_slice(100) is not None
    assert (vm.index, vm.run_slice(100)) == (0, None)
    assert vm.index == 100


def test_injection_comes_at_this_very_instruction() -> None:
    made = guest(WAITING.replace("wfi", "nop"))
    for at in range(12, 18):
        vm = made.vm()
        vm.run(at)
        pc = vm.vcpus[0].pc
        vm.inject_event(0)
        delivered = [e for e in vm.trace if isinstance(e, EventDelivered)]
        assert [(e.index, e.pc) for e in delivered] == [(at, pc)]
        assert vm.vcpus[0].pc == made["handler"]
        assert vm.vcpus[0].x[2] == pc


def test_cancelling_what_is_pending() -> None:
    vm = guest(WAITING.replace("call 0xc400002c", "nop")).vm()
    vm.run()
    vm.inject_event(0)
    assert vm.vcpus[0].sdei.pending()
    assert vm.cancel_event(0) == 0
    assert not vm.vcpus[0].sdei.pending()
    assert vm.cancel_event(1) == -2
