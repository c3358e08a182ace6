"""The guest `kernel` under a host that takes its heap away: async page fault from end to end."""

import dataclasses
from collections import Counter
from typing import Any

import pytest

from sdeiviz.apf import Mode, mode
from sdeiviz.machine.latency import Constant
from sdeiviz.machine.paging import Paging
from sdeiviz.sdei.events import State
from sdeiviz.trace import PageFault
from tests.guests.kernel import COMPUTE, MEMORY, PAGE, SERVER, Kernel

US = 1000
WORKLOAD = "pages=64 passes=3"
TWO_MAILBOXES = dataclasses.replace(
    mode("x86-rules"), name="two-mailboxes", separate_mailboxes=True
)
TOLD: list[str | Mode] = ["arm64-v4", "arm64-v4-literal", "irq-only", "x86-rules", TWO_MAILBOXES]


def name_of(how: object) -> str:
    """Return the name of a mode, for the names of tests."""
    return how.name if isinstance(how, Mode) else str(how)


EVENTS = {"kvm-v7": 1, "den0054c": 0x4040_0001, "tf-a": 5003}


def paged(
    bootargs: str = WORKLOAD,
    how: str | Mode = "arm64-v4",
    resident: int | None = 24,
    latency: int = 200 * US,
    **options: Any,
) -> Kernel:
    """A kernel whose heap does not fit into the host's memory."""
    paging = Paging(how, Constant(latency), resident=resident)
    return Kernel(bootargs, paging=paging, **options)


def decisions(kernel: Kernel) -> Counter[tuple[str, str]]:
    """What became of the faults."""
    faults = [event for event in kernel.vm.trace if isinstance(event, PageFault)]
    return Counter((fault.decision, fault.reason) for fault in faults)


def tell(kernel: Kernel, reason: int, token: int, other: int = 0) -> None:
    """Write what a host writes into the first CPU's shared block."""
    block = kernel.at("blocks")
    for offset, word in ((8, other), (4, token), (0, reason)):
        kernel.vm.memory[block + offset : block + offset + 4] = word.to_bytes(4, "little")


def mailbox(kernel: Kernel) -> tuple[int, int, int]:
    """Return what stands in it: reason, token, the other token."""
    block = kernel.at("blocks")
    return (
        kernel.number(block, 4),
        kernel.number(block + 4, 4),
        kernel.number(block + 8, 4),
    )


def run_to_el0(kernel: Kernel, kind: int) -> int:
    """Run until a thread of this kind is at EL0 within the window; returns its id."""
    while not kernel.probes("start"):
        kernel.vm.run(5000)
    ids = {work.id for work in kernel.of(kind)}
    while True:
        assert kernel.vm.run(97).reason == "budget"
        running = kernel.probes("switch")[-1][2]
        if running in ids and not kernel.vm.vcpus[0].pstate & 0xF:
            return running


def raise_interrupt(kernel: Kernel) -> None:
    """Let the PPI be high; the acknowledgement lowers it only if the host knows of it."""
    assert kernel.vm.apf
    kernel.vm.apf.vcpus[0].page_ready = True
    kernel.vm.gic.set_line(17, True, 0)


# -- a whole run


@pytest.mark.parametrize("how", TOLD, ids=name_of)
@pytest.mark.parametrize("profile", EVENTS)
def test_every_fault_puts_its_thread_to_sleep(how: str | Mode, profile: str) -> None:
    kernel = paged(how=how, profile=profile).run()
    event = EVENTS[profile] if how != "irq-only" else 0
    console = kernel.vm.console
    assert f"async page fault: 64 slots, event 0x{event:x}, interrupt 17\n" in console
    told = decisions(kernel)
    assert set(told) == {("notified", "")}
    faults = told["notified", ""]
    assert faults > 64
    (memory,) = kernel.of(MEMORY)
    assert (memory.done, memory.errors, memory.sleeps) == (192, 0, faults)
    counters = kernel.counters()
    assert counters["not_present"] == counters["sleeps"] == faults
    assert counters["wake_alls"] == 1, "at ENABLE"
    for name in ("ready_before_sleep", "table_full", "unknown", "unexpected"):
        assert counters[name] == 0
    # Each sleep ends by the token that it began with.
    assert [hit[:3] for hit in kernel.probes("sleep")] == [hit[:3] for hit in kernel.probes("wake")]


@pytest.mark.parametrize("how", ["sync", "halt"])
def test_a_guest_that_is_not_told_waits(how: str) -> None:
    kernel = paged(how=how).run()
    assert "async page fault: not offered\n" in kernel.vm.console
    (memory,) = kernel.of(MEMORY)
    assert (memory.done, memory.errors, memory.sleeps) == (192, 0, 0)
    assert kernel.counters()["not_present"] == 0


@pytest.mark.parametrize("gic", [2, 3])
@pytest.mark.parametrize("how", ["arm64-v4", "irq-only", TWO_MAILBOXES], ids=name_of)
def test_on_four_cpus(how: str | Mode, gic: int) -> None:
    kernel = paged("pages=128 passes=3 m=2", how, resident=48, vcpus=4, gic=gic).run()
    assert [(w.done, w.errors) for w in kernel.of(MEMORY)] == [(48, 0)] * 8
    told = decisions(kernel)
    assert set(told) == {("notified", "")}
    assert sum(kernel.counters(n)["sleeps"] for n in range(4)) == told["notified", ""]
    assert [kernel.counters(n)["wake_alls"] for n in range(4)] == [1] * 4
    slept = {hit[:3] for hit in kernel.probes("sleep")}
    assert {cpu for cpu, _, _ in slept} == set(range(4))
    assert all(kernel.work[thread].cpu == cpu for cpu, thread, _ in slept)
    assert slept == {hit[:3] for hit in kernel.probes("wake")}


def test_a_stall_is_billed_to_who_touched_the_page() -> None:
    waits = paged("time=60", "sync").run()
    (memory,), (compute,) = waits.of(MEMORY), waits.of(COMPUTE)
    assert abs(memory.runtime - compute.runtime) < 4000 * US
    sleeps = paged("time=60").run()
    assert sleeps.of(MEMORY)[0].runtime < 10_000 * US
    assert sleeps.of(COMPUTE)[0].runtime > 50_000 * US


@pytest.mark.parametrize("how", TOLD, ids=name_of)
def test_compute_gains_and_memory_does_not_lose(how: str | Mode) -> None:
    waits, sleeps = paged("time=60", "sync").run(), paged("time=60", how).run()
    gain = sleeps.of(COMPUTE)[0].done / waits.of(COMPUTE)[0].done
    assert 1.6 < gain < 2.0, "one of two threads faults: twofold at most"
    assert sleeps.of(MEMORY)[0].done > waits.of(MEMORY)[0].done


@pytest.mark.parametrize("how", ["sync", *TOLD], ids=name_of)
def test_the_heap_holds_what_was_written_wherever_it_is(how: str | Mode) -> None:
    kernel = paged("pages=64 passes=3 touch=3 work=0 c=0", how).run()
    pager = kernel.vm.pager
    assert pager
    first = (kernel.at("heap") - 0x4000_0000) // PAGE
    assert pager.pageable.start == first
    assert any(pager.is_absent(first + page) for page in range(64))
    for page in range(64):
        words = [(page + 1) << 32 | n << 20 | 3 for n in range(3)]
        content = b"".join(word.to_bytes(8, "little") for word in words)
        assert pager.content(first + page)[:32] == content + bytes(8)


def test_more_threads_than_a_host_has_slots() -> None:
    kernel = paged("pages=400 m=100 passes=2 work=0 touch=1", resident=100, latency=5000 * US).run()
    assert [(w.done, w.errors) for w in kernel.of(MEMORY)] == [(8, 0)] * 100
    assert decisions(kernel)["wait", "slots-full"] > 0
    assert kernel.counters()["unknown"] == kernel.counters()["table_full"] == 0


def test_faults_of_the_kernel_wait() -> None:
    kernel = paged("pages=64 passes=3 kernel=50").run()
    told = decisions(kernel)
    assert set(told) == {("notified", ""), ("wait", "kernel-mode")}
    assert kernel.counters()["sleeps"] == told["notified", ""]
    assert kernel.of(MEMORY)[0].errors == 0
    all_ = paged("pages=64 passes=3 kernel=100").run()
    # Nothing of the measured window is asynchronous then; the heap was populated before.
    assert set(decisions(all_)) == {("wait", "kernel-mode")}


def test_the_holder_of_a_lock_lets_the_others_wait() -> None:
    free, locked = paged("time=40").run(), paged("time=40 lock=1").run()
    assert locked.of(COMPUTE)[0].done < free.of(COMPUTE)[0].done / 3
    assert all(w.errors == 0 for w in locked.work)


@pytest.mark.parametrize("how", TOLD, ids=name_of)
def test_servers_that_want_the_same_page(how: str | Mode) -> None:
    kernel = paged("m=0 serve=3 requests=60 pages=64", how).run()
    assert [(w.done, sum(w.latency), w.errors) for w in kernel.of(SERVER)] == [(60, 60, 0)] * 3
    again = decisions(kernel)
    assert sum(n for (_, why), n in again.items() if why == "in-flight") > 0


def test_the_same_run_twice() -> None:
    one, other = (paged("pages=64 passes=2 m=2 serve=1", vcpus=2).run().vm for _ in range(2))
    assert list(one.trace) == list(other.trace)


# -- what the command line can forbid, and guests that lie


def test_switched_off() -> None:
    kernel = paged(f"{WORKLOAD} apf=0").run()
    assert "async page fault: switched off\n" in kernel.vm.console
    assert set(decisions(kernel)) == {("wait", "disabled")}


def test_without_the_event() -> None:
    kernel = paged(f"{WORKLOAD} lie=event").run()
    assert set(decisions(kernel)) == {("wait", "not-registered")}
    assert kernel.of(MEMORY)[0].errors == 0


@pytest.mark.parametrize("how", ["arm64-v4", "irq-only"])
def test_another_block_than_the_one_it_reads(how: str) -> None:
    kernel = paged(f"{WORKLOAD} lie=block", how).run()
    # The wake-all of ENABLE stands there for ever.
    assert {why for what, why in decisions(kernel)} <= {"mailbox-busy", "unacknowledged"}
    assert kernel.counters()["unexpected"] == 1
    assert kernel.of(MEMORY)[0].errors == 0


def test_who_wakes_others_sleeps_itself() -> None:
    kernel = paged("pages=64 time=20 m=3 lie=token").run()
    counters = kernel.counters()
    assert counters["unknown"] > 0
    assert kernel.probes("sleep")
    assert len(kernel.probes("wake")) < len(kernel.probes("sleep"))


def test_without_acknowledgement_no_page_is_ready_any_more() -> None:
    kernel = paged("pages=64 time=20 m=3 noack=1").run()
    assert kernel.counters()["wake_alls"] == 1
    assert kernel.probes("wake") == []
    assert kernel.counters()["sleeps"] == 3, "each thread once, for ever"


def test_an_event_that_cannot_be_registered() -> None:
    paging = Paging("arm64-v4", event=77)
    kernel = Kernel(WORKLOAD, paging=paging).run()
    assert "CPU 0: event 0x4d cannot be registered\n" in kernel.vm.console
    assert "CPU 0: async page fault cannot be enabled\n" in kernel.vm.console
    assert kernel.of(MEMORY)[0].done == 192


# -- its handlers, told by hand


def test_a_notification_that_the_mailbox_does_not_bear_out() -> None:
    kernel = paged("m=0 c=2 time=10", resident=None)
    run_to_el0(kernel, COMPUTE)
    kernel.vm.inject_event(1)
    kernel.run()
    assert kernel.counters()["unexpected"] == 1
    assert kernel.counters()["sleeps"] == 0


def test_the_thread_that_ran_sleeps_until_its_own_token_comes() -> None:
    kernel = paged("m=0 c=2 time=10", resident=None)
    thread = run_to_el0(kernel, COMPUTE)
    tell(kernel, 1, 0x7000)
    kernel.vm.inject_event(1)
    kernel.vm.run(3000)
    assert mailbox(kernel) == (0, 0, 0)
    assert [hit[1:3] for hit in kernel.probes("sleep")] == [(thread, 0x7000)]
    for token in (0x6000, 0x7000):
        assert kernel.probes("wake") == []
        tell(kernel, 2, token)
        raise_interrupt(kernel)
        kernel.vm.run(3000)
        assert mailbox(kernel) == (0, 0, 0)
    assert [hit[1:3] for hit in kernel.probes("wake")] == [(thread, 0x7000)]
    kernel.run()
    counters = kernel.counters()
    assert (counters["sleeps"], counters["unknown"], counters["unexpected"]) == (1, 1, 0)


@pytest.mark.parametrize("how", ["arm64-v4", "irq-only", TWO_MAILBOXES], ids=name_of)
def test_wake_all_wakes_all(how: str | Mode) -> None:
    kernel = paged("m=0 c=5 time=10", how, resident=None)
    sleepers = []
    for n in range(1, 4):
        sleepers.append(run_to_el0(kernel, COMPUTE))
        if how == "irq-only":
            tell(kernel, 1, 0x1000 * n)
            raise_interrupt(kernel)
        else:
            two = how is TWO_MAILBOXES
            tell(kernel, 1, 0 if two else 0x1000 * n, 0x1000 * n if two else 0)
            kernel.vm.inject_event(1)
        kernel.vm.run(3000)
    assert [hit[1] for hit in kernel.probes("sleep")] == sleepers
    assert len(set(sleepers)) == 3
    tell(kernel, 0 if how is TWO_MAILBOXES else 2, 0xFFFF_FFFF)
    raise_interrupt(kernel)
    kernel.run()
    assert [hit[1] for hit in kernel.probes("wake")] == sleepers
    assert kernel.counters()["wake_alls"] == 2


def test_a_page_that_is_ready_before_its_absence_is_told() -> None:
    kernel = paged("m=0 c=2 time=10", "irq-only", resident=None)
    run_to_el0(kernel, COMPUTE)
    tell(kernel, 2, 0x5000)
    raise_interrupt(kernel)
    kernel.vm.run(3000)
    assert kernel.counters()["unknown"] == 1
    for _ in range(2):  # the first time it is known already, the second time it is not
        run_to_el0(kernel, COMPUTE)
        tell(kernel, 1, 0x5000)
        raise_interrupt(kernel)
        kernel.vm.run(3000)
    counters = kernel.counters()
    assert (counters["not_present"], counters["ready_before_sleep"]) == (2, 1)
    assert counters["sleeps"] == 1


def test_both_mailboxes_at_once() -> None:
    kernel = paged("m=0 c=2 time=10", TWO_MAILBOXES, resident=None)
    thread = run_to_el0(kernel, COMPUTE)
    tell(kernel, 1, 0x9000, 0x9000)
    raise_interrupt(kernel)
    kernel.vm.inject_event(1)
    kernel.vm.run(3000)
    assert mailbox(kernel) == (0, 0, 0)
    assert [hit[1:3] for hit in kernel.probes("wake")] == [(thread, 0x9000)]
    counters = kernel.counters()
    assert (counters["ready_before_sleep"], counters["sleeps"]) == (1, 0)
    assert kernel.run().of(COMPUTE)[0].errors == 0


def test_a_full_table_lets_the_thread_try_again() -> None:
    kernel = paged("m=0 c=2 time=10", "irq-only", resident=None)
    run_to_el0(kernel, COMPUTE)
    for n in range(130):  # unknown ones are remembered, as long as there is room
        tell(kernel, 2, 0x1000 * (n + 1))
        raise_interrupt(kernel)
        kernel.vm.run(5000)
        assert mailbox(kernel) == (0, 0, 0)
    run_to_el0(kernel, COMPUTE)
    tell(kernel, 1, 0xF0_0000)
    raise_interrupt(kernel)
    kernel.vm.run(3000)
    assert mailbox(kernel) == (0, 0, 0)
    counters = kernel.counters()
    assert (counters["unknown"], counters["table_full"], counters["sleeps"]) == (130, 1, 0)
    kernel.run()


def test_an_event_within_the_kernel_lets_nobody_sleep() -> None:
    kernel = paged("m=0 c=1 lock=1 time=5", resident=None)
    run_to_el0(kernel, COMPUTE)
    vcpu = kernel.vm.vcpus[0]
    while not vcpu.pstate & 0xF:
        kernel.vm.run(1)
    tell(kernel, 1, 0x3000)
    kernel.vm.inject_event(1)
    kernel.run()
    counters = kernel.counters()
    assert (counters["unexpected"], counters["sleeps"]) == (1, 0)


def test_at_the_end_it_takes_everything_back() -> None:
    kernel = paged(vcpus=2).run()
    assert kernel.vm.apf
    for vcpu in kernel.vm.vcpus:
        assert not kernel.vm.apf.vcpus[vcpu.number].enabled
        assert vcpu.sdei.handlers[1].state is State.UNREGISTERED
