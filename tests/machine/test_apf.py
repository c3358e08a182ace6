"""The protocol of async page fault (v4, patches 7 to 12), by a guest on the real machine."""

from dataclasses import replace
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.abi.apf import Command
from sdeiviz.apf import mode
from sdeiviz.errors import Error
from sdeiviz.machine import Costs, Paging
from sdeiviz.machine.latency import Constant, Recorded
from sdeiviz.trace import (
    ApfControl,
    EventCancelled,
    EventDelivered,
    FetchDone,
    FetchStarted,
    Hypercall,
    InterruptTaken,
    PageFault,
    PageReady,
    VcpuBlocked,
)
from tests.machine.guest import BASE, everything, guest, trace_bytes
from tests.machine.tasks import (
    AGAIN,
    ALL,
    BLOCK,
    EVENT,
    GO_ON,
    LOG,
    PAGE0,
    PPI,
    US,
    log,
    machine,
    source,
    touches,
)

ENABLED = (0, 0)
"""ENABLE was SUCCESS."""
WAKE_ALL = (2, ALL)
FIRST = 0x1000
"""The first token on vCPU 0 is not 0."""


def faults(vm: VirtualMachine) -> list[tuple[str, str, int | None]]:
    events = [event for event in vm.trace if isinstance(event, PageFault)]
    return [(event.decision, event.reason, event.token) for event in events]


def of(vm: VirtualMachine, kind: type) -> list[Any]:
    return [event for event in vm.trace if isinstance(event, kind)]


def ended(vm: VirtualMachine, instructions: int = 3_000_000) -> VirtualMachine:
    stop = vm.run(instructions)
    assert stop.reason == "power-off", stop
    return vm


# -- one fault


def test_a_task_sleeps_over_its_page_and_the_other_runs() -> None:
    vm = ended(machine(touches(1)))
    assert log(vm) == [ENABLED, WAKE_ALL, (1, FIRST), (2, FIRST)]
    assert vm.vcpus[0].x[9] == int.from_bytes(b"page 0", "little")
    assert faults(vm) == [("notified", "", FIRST)]
    # B counted, two instructions a round, for as long as the page took.
    assert 50 * US * 0.95 < 2 * vm.vcpus[0].x[16] <= 50 * US
    account = vm.vcpus[0].account.at(vm.time)
    assert account["blocked"] == account["halted"] == 0
    assert account["run"] == vm.index == vm.time


def test_without_it_the_vcpu_waits() -> None:
    vm = machine(touches(1), paging=Paging("sync", Constant(50 * US)))
    ended(vm)
    # NOT_SUPPORTED: nothing is offered.
    assert log(vm) == [(0xFFFF_FFFF, 0xFFFF_FFFF)]
    assert vm.vcpus[0].x[16] == 0
    assert vm.vcpus[0].account.at(vm.time)["blocked"] == 50 * US


def test_the_order_of_things() -> None:
    vm = ended(machine(touches(1)))
    kinds = (PageFault, FetchStarted, EventDelivered, FetchDone, PageReady, InterruptTaken)
    story = [type(event) for event in vm.trace if isinstance(event, kinds)]
    assert story[-6:] == [
        PageFault,
        FetchStarted,
        EventDelivered,
        FetchDone,
        PageReady,
        InterruptTaken,
    ]
    (delivered,) = of(vm, EventDelivered)
    assert delivered.event == EVENT
    assert delivered.pstate & 0xF == 0, "at EL0"
    (fetch,) = of(vm, FetchStarted)
    assert (fetch.by, fetch.gfn) == ("worker", PAGE0 >> 12)
    (done,) = of(vm, FetchDone)
    assert done.time - fetch.time == 50 * US


@pytest.mark.parametrize("clock", ["native", "python"])
def test_one_trace(clock: str) -> None:
    free = ended(machine(touches(3), absent=3))
    made = machine(touches(3), absent=3)
    stepped = guest(source(touches(3))).vm(paging=made.paging, clock=clock, quantum=200_000)
    for n in range(3):
        address = PAGE0 + 4096 * n
        stepped.write_memory(address, f"page {n}".encode().ljust(8, b"\0"))
        stepped.evict_page(address >> 12)
    dice = 1
    while not stepped.stopped:
        dice = dice * 75 % 65537
        stepped.run(dice % 300 + 1)
    assert trace_bytes(stepped) == trace_bytes(free)
    assert everything(stepped) == everything(free)


def test_a_machine_that_was_saved_in_flight_goes_on_elsewhere() -> None:
    first, second = (machine(touches(2), absent=2) for _ in range(2))
    while not faults(first):
        first.run(10)
    first.run(10)
    second.load(first.save())
    ended(first)
    ended(second)
    assert second.save() == first.save()
    other = machine(touches(2), absent=2, paging=Paging("sync"))
    with pytest.raises(Error, match="async page fault: arm64-v4, here sync"):
        other.load(first.save())


# -- list 5.6: 1, enabling


def calls(*lines: str) -> list[int]:
    """Run calls, and return x0 after each."""
    code = "".join(line + "\n    str x0, [x19], #8\n" for line in lines)
    vm = guest(source("", enable=f"ldr x19, =LOG\n{code} off\n")).vm(paging=Paging())
    return results(vm)


def results(vm: VirtualMachine) -> list[int]:
    ended(vm)
    end, start = vm.vcpus[0].x[19], LOG
    data = vm.memory[start:end]
    return [
        int.from_bytes(data[at : at + 8], "little", signed=True) for at in range(0, len(data), 8)
    ]


def test_enabling_and_its_errors() -> None:
    assert calls(
        "apf 4, 0",  # it is disabled: NOT_REQUIRED
        "apf 4, 0x80000001",  # no RAM there: NOT_SUPPORTED
        "apf 4, BLOCK + 1",
        "apf 4, BLOCK + 1",  # twice
        "apf 5",  # nothing to acknowledge
        "apf 4, 0",
        "apf 6",  # no such sub-function
    ) == [-2, -1, 0, -2, 0, 0, -1]


@pytest.mark.parametrize(("command", "value"), [(Command.SET_SDEI, 0), (Command.SET_IRQ, 0)])
def test_without_an_event_or_an_interrupt_it_cannot_be_enabled(
    command: Command, value: int
) -> None:
    vm = machine(touches(1), absent=0)
    assert vm.apf
    vm.apf.ioctl(0, command, value)
    ended(vm)
    assert log(vm)[0] == (0xFFFF_FFFD, 0xFFFF_FFFD)


def test_discovery() -> None:
    code = """
        call 0x8600ff01
        stp x0, x1, [x19], #16
        stp x2, x3, [x19], #16
        call 0x86000000
        str x0, [x19], #8
        .irp sub, 0, 1, 2, 3
        apf \\sub
        stp x0, x1, [x19], #16
        .endr
        off
    """
    vm = guest(source("", enable=f"ldr x19, =LOG\n{code}")).vm(paging=Paging())
    assert results(vm) == [
        0xB66FB428, 0xE911C52E, 0x564BCAA9, 0x743A004D,
        0b101,
        0, 0x010000, 0, 64, 0, EVENT, 0, PPI,
    ]  # fmt: skip


def test_a_machine_without_a_pager_does_not_offer_it() -> None:
    code = "call 0x8600ff01\n str x0, [x19], #8\n apf 0\n str x0, [x19], #8\n off"
    assert results(guest(source("", enable=f"ldr x19, =LOG\n{code}")).vm()) == [-1, -1]


@pytest.mark.parametrize(("profile", "event"), [("den0054c", 0x4040_0001), ("tf-a", 5003)])
def test_the_event_of_a_profile(profile: str, event: int) -> None:
    code = "apf 2\n str x1, [x19], #8\n off"
    made = guest(source("", enable=f"ldr x19, =LOG\n{code}"))
    assert results(made.vm(paging=Paging(), profile=profile)) == [event]


@pytest.mark.parametrize(("event", "status"), [(0x4040_0001, 0), (0x4040_0028, -1)])
def test_a_shared_event_cannot_tell_of_a_vcpus_page(event: int, status: int) -> None:
    code = "apf 4, BLOCK + 1\n str x0, [x19], #8\n off"
    made = guest(source("", enable=f"ldr x19, =LOG\n{code}"))
    assert results(made.vm(profile="den0054c", paging=Paging(event=event))) == [status]


# -- 2, wake-all


def test_setting_the_control_word_from_the_vmm_wakes_all() -> None:
    vm = machine("1: cmp x16, #0\n b.eq 1b\n b 1b", absent=0)
    assert vm.apf
    vm.run(3000)
    assert log(vm) == [ENABLED, WAKE_ALL]
    migrated = vm.apf.migration_state(0)
    assert migrated == {"sdei": EVENT, "irq": PPI, "control": BLOCK + 1}
    vm.apf.reset(0)
    assert vm.apf.restore_migrated(0, migrated) == (0, 0, 0)
    vm.wake()
    vm.run(3000)
    assert log(vm) == [ENABLED, WAKE_ALL, WAKE_ALL]


# -- 3, refused


EL1_TOUCH = "    ldr x8, =PAGE0\n    ldr x9, [x8]\n"

REFUSED: dict[str, dict[str, Any]] = {
    "kernel-mode": {"enable": "    apf 4, BLOCK + 1\n" + EL1_TOUCH},
    "disabled": {"enable": ""},
    "sdei-masked": {"unmask": ""},
    "not-registered": {"register": False},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_fault_of_which_the_guest_cannot_be_told(reason: str) -> None:
    vm = ended(machine(touches(1), **REFUSED[reason]))
    assert faults(vm) == [("wait", reason, None)]
    assert vm.vcpus[0].x[9] == int.from_bytes(b"page 0", "little")
    assert vm.vcpus[0].account.at(vm.time)["blocked"] == 50 * US
    assert vm.memory[BLOCK : BLOCK + 8] == bytes(8)


def test_a_mailbox_that_is_not_empty() -> None:
    dirty = "    mov x7, #7\n    ldr x8, =BLOCK\n    str w7, [x8, #4]\n"
    vm = ended(machine(dirty + touches(1)))
    assert faults(vm) == [("wait", "mailbox-busy", None)]
    assert log(vm) == [ENABLED, WAKE_ALL]
    assert vm.memory[BLOCK : BLOCK + 8] == bytes([0, 0, 0, 0, 7, 0, 0, 0])


def test_a_fault_in_the_handler() -> None:
    always = "    apf 4, BLOCK + 3\n"  # SEND_ALWAYS: or it would be for the level
    in_handler = "    ldr x8, =PAGE0 + 4096\n    ldr x9, [x8]\n" + source.__kwdefaults__["handler"]
    vm = ended(machine(touches(1), absent=2, enable=always, handler=in_handler))
    assert faults(vm) == [("notified", "", FIRST), ("wait", "handler-running", None)]


def test_event_0_pending_makes_it_synchronous() -> None:
    """Patch 12's inject refuses while anything is pending: event 0, signalled but disabled."""
    signal = """
        mov x1, #0
        ldr x2, =not_present
        mov x3, #0
        mov x4, #0
        mov x5, #0
        call 0xc4000021
        mov x1, #0
        mov x2, #0
        call 0xc400002f             // SIGNAL
        apf 4, BLOCK + 1
    """
    vm = ended(machine(touches(1), enable=signal))
    assert faults(vm) == [("wait", "sdei-busy", None)]


def test_64_in_flight_and_no_more() -> None:
    paging = Paging(latency=Constant(5000 * US), depth=128)
    vm = machine(touches(65), absent=65, handler=GO_ON, paging=paging)
    ended(vm)
    assert [f[:2] for f in faults(vm)] == [("notified", "")] * 64 + [("wait", "slots-full")]
    assert [token for _, _, token in faults(vm)[:64]] == [0x1000 * n for n in range(1, 65)]
    assert vm.apf
    counters = vm.apf.vcpus[0].counters
    assert counters.faults == 65
    assert dict(counters.synchronous) == {"slots-full": 1}
    assert dict(counters.asynchronous) == {"notified": 64}


def test_what_telling_costs() -> None:
    """The vCPU pays for queueing and telling, once; the worker's own start is nobody's time."""
    costs = Costs(queue=300, inject=4000, worker=5000)
    vm = ended(machine(touches(1), paging=Paging(latency=Constant(50 * US), costs=costs)))
    (started,), (done,) = of(vm, FetchStarted), of(vm, FetchDone)
    assert started.by == "worker"
    assert done.time - started.time == 5000 + 50 * US
    assert vm.vcpus[0].account.at(vm.time)["overhead"] == 4300


def test_the_time_of_a_hypercall_is_behind_its_exit() -> None:
    calls = "    call 0x84000000\n    call 0x84000000\n    off\n"
    vm = ended(guest(calls).vm(paging=Paging(costs=Costs(exit=700))))
    assert [call.time - call.index for call in of(vm, Hypercall)] == [700, 1400, 2100]


# -- 4, the same page again


def test_the_same_page_again_is_tried_again_and_again() -> None:
    costs = Costs(exit=1 * US)
    vm = machine(touches(1), handler=AGAIN, paging=Paging(latency=Constant(50 * US), costs=costs))
    ended(vm)
    (first, *again) = faults(vm)
    assert first == ("notified", "", FIRST)
    assert set(again) == {("retry", "in-flight", None)}
    assert 40 <= len(again) <= 50, "an exit each, for 50 us"
    account = vm.vcpus[0].account.at(vm.time)
    assert account["blocked"] == account["halted"] == 0
    assert account["overhead"] % US == 0
    assert account["overhead"] >= len(again) * US


def test_the_same_page_again_takes_time_though_it_costs_none() -> None:
    costs = Costs(queue=300)
    vm = machine(touches(1), handler=AGAIN, paging=Paging(latency=Constant(50 * US), costs=costs))
    ended(vm)
    (_, *again) = faults(vm)
    assert set(again) == {("retry", "in-flight", None)}
    assert 40 <= len(again) <= 50, "a microsecond each, for 50 us"
    overhead = vm.vcpus[0].account.at(vm.time)["overhead"]
    assert overhead == 300 + len(again) * US, "it is queued once"


def test_whoever_tries_again_lets_the_others_go_first() -> None:
    code = source(
        touches(1) + "svc #0\n other: add x16, x16, #1\n b other",
        handler=AGAIN,
        enable="cpu_on 1, other\n apf 4, BLOCK + 1\n",
    )
    vm = guest(code).vm(paging=Paging(latency=Constant(50 * US)), vcpus=2, quantum=200_000)
    vm.write_memory(PAGE0, b"page 0\0\0")
    vm.evict_page(PAGE0 >> 12)
    ended(vm)
    assert [f[:2] for f in faults(vm)] == [("notified", ""), ("retry", "in-flight")]
    assert vm.vcpus[1].x[16] > 20_000, "most of the 50 us were the other's"


def test_or_halts_under_the_rules_of_x86() -> None:
    vm = machine(
        touches(1),
        handler=AGAIN,
        paging=Paging("x86-rules", Constant(50 * US)),
        enable="    apf 4, BLOCK + 1\n",
    )
    ended(vm)
    assert [f[:2] for f in faults(vm)] == [("notified", ""), ("halt", "in-flight")]
    assert 49 * US < vm.vcpus[0].account.at(vm.time)["halted"] <= 50 * US


# -- 5, the page comes before its absence was told


def test_a_page_that_comes_first_takes_its_absence_back() -> None:
    costs = Costs(inject=3 * US, map=7)
    vm = machine(touches(1), paging=Paging(latency=Constant(1 * US), costs=costs))
    ended(vm)
    assert faults(vm) == [("notified", "", FIRST)]
    assert log(vm) == [ENABLED, WAKE_ALL], "the guest has heard nothing"
    assert of(vm, EventDelivered) == []
    (cancelled,) = of(vm, EventCancelled)
    assert cancelled.was_pending
    assert cancelled.time == of(vm, FetchDone)[0].time + 7, "the page is mapped first"
    assert [event.token for event in of(vm, PageReady)] == [ALL]
    assert vm.apf
    state = vm.apf.vcpus[0]
    assert (state.queued, state.not_present, state.page_ready) == (0, None, False)
    assert PAGE0 >> 12 not in state.gfns


def test_an_alarm_while_the_host_tells_delays_nothing() -> None:
    """Nor where a raised event makes nobody exit (D8): the fault was an exit."""
    paging = Paging(latency=Constant(50 * US), costs=Costs(inject=3 * US))
    code = guest(source(touches(1)))
    (first, second) = (code.vm(paging=paging, profile="kvm-v7-literal") for _ in range(2))
    for vm in (first, second):
        vm.write_memory(PAGE0, b"page 0\0\0")
        vm.evict_page(PAGE0 >> 12)
    ended(first)
    (fault,) = of(first, PageFault)
    assert second.run_until(fault.time + 1 * US).reason == "budget"
    ended(second)
    assert list(second.trace) == list(first.trace)


def test_an_event_that_came_while_the_vcpu_waited_for_a_page() -> None:
    """It comes first where nothing but an exit brings it (D8), for that wait was one."""
    paging = Paging("sync", Constant(50 * US))
    vm = guest(source(touches(1), handler=AGAIN)).vm(paging=paging, profile="kvm-v7-literal")
    vm.write_memory(PAGE0, b"page 0\0\0")
    vm.evict_page(PAGE0 >> 12)
    vm.run_until(40 * US)
    assert vm.inject_event(EVENT) == 0
    ended(vm)
    (fault,), (delivered,) = of(vm, PageFault), of(vm, EventDelivered)
    assert delivered.index == fault.index
    assert delivered.time == fault.time + 50 * US


@pytest.mark.parametrize("how", ["cancelled by the host", "unregistered by the guest"])
def test_an_event_that_is_dropped_takes_its_page_back(how: str) -> None:
    code = f"""
        apf 4, BLOCK + 1
        consume
        apf 5
        .rept 50
        nop
        .endr
        mov x1, #{EVENT}
        call 0xc4000027             // EVENT_UNREGISTER
        off
    """
    vm = guest(source("", enable=code)).vm(paging=Paging())
    assert vm.apf
    state = vm.apf.vcpus[0]
    while not state.enabled or state.page_ready:
        vm.run(1)
    assert vm.apf.fault(0, PAGE0 >> 12, 0).decision == "notified"
    assert vm.memory[BLOCK : BLOCK + 8] == b"\1\0\0\0\0\x10\0\0"
    if how == "cancelled by the host":
        assert vm.cancel_event(EVENT) == 0
    else:
        ended(vm)
    assert state.not_present is None
    assert vm.memory[BLOCK : BLOCK + 8] == bytes(8)


# -- 6, completions


LONG_WAIT = "    ldr x7, =300000\n1:  subs x7, x7, #1\n    b.ne 1b\n"


def test_ready_comes_in_the_order_of_arrival_one_at_a_time() -> None:
    later = Recorded([400 * US, 100 * US, 200 * US])
    wait = "ldr x7, =300000\n1: subs x7, x7, #1\n b.ne 1b\n"
    vm = ended(machine(touches(3) + wait, absent=3, handler=GO_ON, paging=Paging(latency=later)))
    assert log(vm) == [
        ENABLED, WAKE_ALL,
        (1, 0x1000), (1, 0x2000), (1, 0x3000),
        (2, 0x2000), (2, 0x3000), (2, 0x1000),
    ]  # fmt: skip


def test_several_at_once_are_chained_by_acknowledging() -> None:
    wait = "ldr x7, =100000\n1: subs x7, x7, #1\n b.ne 1b\n"
    at_once = Paging(latency=Recorded([100_000, 99_000, 98_000, 97_000]))
    count = "    add x29, x29, #1\n"
    vm = machine(
        touches(4) + wait, absent=4, handler=GO_ON, paging=at_once, ready=count, quantum=10**9
    )
    ended(vm)
    assert [reason for reason, _ in log(vm)[2:]] == [1] * 4 + [2] * 4
    assert vm.vcpus[0].x[29] == 5, "four, and the wake-all: one interrupt each"


def test_what_waits_for_the_mailbox_is_told_of_at_the_next_exit() -> None:
    """An access to a device is one, as good as a hypercall."""
    busy = "    ldr x8, =BLOCK\n    mov w7, #7\n    str w7, [x8, #4]\n"
    free = "    ldr x8, =BLOCK\n    str wzr, [x8, #4]\n"
    uart = "    ldr x8, =0x09000018\n    ldr w7, [x8]\n"
    vm = machine(touches(1) + busy + LONG_WAIT + free + uart + LONG_WAIT, handler=GO_ON)
    ended(vm)
    assert log(vm) == [ENABLED, WAKE_ALL, (1, FIRST), (2, FIRST)]
    _, ready = of(vm, PageReady)
    (taken,) = (event for event in of(vm, InterruptTaken) if event.index > 300_000)
    assert taken.index == ready.index
    assert vm.index - ready.index > 600_000, "and not by the SVC at the end"


# -- 7, a guest that does not acknowledge


def test_a_late_acknowledgement_loses_nothing() -> None:
    """The first page-ready is not acknowledged when it comes: the line stays high."""
    late = "    cmp w12, #0x1000\n    b.eq 3f\n    apf 5\n3:\n"
    vm = ended(machine(touches(3) + LONG_WAIT, absent=3, handler=GO_ON, acknowledge=late))
    assert log(vm) == [
        ENABLED, WAKE_ALL,
        (1, 0x1000), (1, 0x2000), (1, 0x3000),
        (2, 0x1000), (0, 0), (2, 0x2000), (2, 0x3000),
    ]  # fmt: skip


def test_a_guest_that_never_acknowledges() -> None:
    """It switches the interrupt off instead: no other page-ready comes, and nothing is lost."""
    never = "    cmn w12, #1\n    b.ne 3f\n    apf 5\n    b 4f\n"
    never += f"3:  ldr x10, =GICD + 0x180\n    mov w11, #1 << {PPI}\n    str w11, [x10]\n4:\n"
    vm = machine(touches(3) + LONG_WAIT, absent=3, handler=GO_ON, acknowledge=never)
    ended(vm)
    assert log(vm)[-1] == (2, 0x1000)
    assert vm.apf
    state = vm.apf.vcpus[0]
    assert [work.token for work in state.done] == [0x2000, 0x3000]
    vm.apf.acknowledge(0)
    assert vm.memory[BLOCK : BLOCK + 8] == bytes.fromhex("02000000 00200000")


# -- 8, tokens


def test_the_counter_of_tokens_wraps_without_0() -> None:
    vm = machine(touches(3), absent=3)
    assert vm.apf
    vm.apf.vcpus[0].next_id = 0xFFFE
    ended(vm)
    assert [token for _, _, token in faults(vm)] == [0xFFFE000, 0xFFFF000, 0x1000]


def test_to_the_letter_the_first_token_is_0() -> None:
    vm = machine(touches(1), paging=Paging("arm64-v4-literal", Constant(50 * US)))
    ended(vm)
    assert log(vm) == [ENABLED, WAKE_ALL, (1, 0), (2, 0)]


# -- 9, a guest without room


def test_a_guest_that_cannot_put_the_task_to_sleep_meets_the_fault_again() -> None:
    vm = machine(
        touches(1),
        handler=AGAIN,
        paging=Paging("arm64-v4", Constant(50 * US), costs=Costs(exit=US)),
    )
    ended(vm)
    assert vm.vcpus[0].x[9] == int.from_bytes(b"page 0", "little")
    assert log(vm)[2:] == [(1, FIRST), (2, FIRST)]


# -- 10, disabled meanwhile


def test_disabled_with_faults_in_flight_and_enabled_again() -> None:
    disable = "    apf 4, 0\n    apf 4, BLOCK + 1\n"
    in_handler = disable + source.__kwdefaults__["handler"]
    vm = ended(machine(touches(1), handler=in_handler))
    # No page-ready for the token: the wake-all of enabling wakes the task, which faults again.
    assert log(vm) == [ENABLED, WAKE_ALL, (1, 0x1000), WAKE_ALL, (1, 0x2000), WAKE_ALL] or log(vm)[
        :4
    ] == [ENABLED, WAKE_ALL, (1, 0x1000), WAKE_ALL]
    assert (2, 0x1000) not in log(vm)


# -- 11, reset


def test_a_reset_of_the_machine_forgets_what_is_in_flight() -> None:
    reset = "    cbnz x28, 1f\n    call 0x84000009\n1:\n"
    vm = machine(touches(1), handler=reset + AGAIN)
    vm.run(200_000)
    assert vm.apf
    # It faults no more: after the reset the page is zero, and nobody's.
    assert [f[0] for f in faults(vm)] == ["notified"]
    assert vm.apf.vcpus[0].queued == 0
    assert vm.apf.vcpus[0].counters.faults == 1


def test_a_vcpu_that_switches_itself_off_has_it_disabled() -> None:
    code = source(
        "svc #0\n other: apf 4, BLOCK + 0x41\n call 0x84000002",
        enable="""
            cpu_on 1, other
        1:  mov x1, #1
            mov x2, #0
            call 0xc4000004         // AFFINITY_INFO of PE 1, until it is off
            cmp x0, #1
            b.ne 1b
            apf 4, BLOCK + 1
        """,
    )
    vm = guest(code).vm(paging=Paging(), vcpus=2)
    ended(vm)
    controls = [(event.action, event.control) for event in of(vm, ApfControl) if event.vcpu]
    assert controls == [("reset", 0), ("enable", BLOCK + 0x41), ("reset", 0)]


# -- 12, the rules of x86


def test_two_mailboxes_under_the_rules_of_x86() -> None:
    """Page-not-present has its token at 0x08; page-ready's word at 0x04 has no reason."""
    handler = """
        ldr w12, [x10, #8]
        str wzr, [x10, #8]
        str w12, [x19, #-4]
    """ + source.__kwdefaults__["handler"]
    two = replace(mode("x86-rules"), name="x86-two", separate_mailboxes=True)
    vm = ended(machine(touches(1), handler=handler, paging=Paging(two, Constant(50 * US))))
    assert log(vm) == [ENABLED, (0, ALL), (1, FIRST), (0, FIRST)]


# -- host and limits


def test_evicting_by_hand() -> None:
    vm = machine(touches(1))
    with pytest.raises(Error, match="page 0x40090 is absent already"):
        vm.evict_page(PAGE0 >> 12)
    with pytest.raises(Error, match="no page 0x1 in RAM"):
        vm.evict_page(1)
    plain = guest("off").vm()
    with pytest.raises(Error, match="keeps all pages in memory"):
        plain.evict_page(PAGE0 >> 12)


def test_the_block_itself_may_be_absent() -> None:
    """Then it is as good as a busy mailbox, and the host fetches it."""
    vm = machine("ldr x7, =300\n1: subs x7, x7, #1\n b.ne 1b\n" + touches(2), absent=2)
    vm.run(200)
    while not of(vm, PageReady):
        vm.run(10)
    vm.run(100)
    vm.evict_page(BLOCK >> 12)
    ended(vm)
    assert faults(vm)[0][:2] == ("wait", "mailbox-busy")
    assert vm.vcpus[0].x[9] == int.from_bytes(b"page 1", "little")


def test_a_code_page_that_is_taken_away() -> None:
    code = "ldr x1, =2000\n1: subs x1, x1, #1\n b.ne 1b\n off"
    vm = guest(code).vm(paging=Paging("sync", Constant(50 * US)))
    vm.run(500)
    vm.evict_page(BASE >> 12)
    ended(vm)
    (fault,) = of(vm, PageFault)
    assert fault.gfn == BASE >> 12
    assert vm.vcpus[0].account.at(vm.time)["blocked"] == 50 * US


@pytest.mark.parametrize("which", ["sync", "arm64-v4"])
def test_until_a_time(which: str) -> None:
    vm = machine(touches(1) + "1: b 1b", paging=Paging(which, Constant(50 * US)))
    stop = vm.run_until(20 * US)
    assert stop.reason == "budget"
    assert vm.time == 20 * US
    account = vm.vcpus[0].account.at(vm.time)
    assert sum(account.values()) == vm.time
    assert (account["blocked"] > 0) == (which == "sync")
    assert vm.run_until(60 * US).reason == "budget"
    assert vm.time == 60 * US
    assert len(faults(vm)) == 1, "who waited at the alarm goes on waiting"


def test_a_blocked_vcpu_is_in_the_trace() -> None:
    vm = ended(machine(touches(2), absent=2, paging=Paging("sync", Constant(50 * US))))
    assert [(b.gfn, b.halted) for b in of(vm, VcpuBlocked)] == [
        (PAGE0 >> 12, False),
        ((PAGE0 >> 12) + 1, False),
    ]
