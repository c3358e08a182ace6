"""The host's memory manager, seen by a guest that knows nothing of it: pages go and come back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sdeiviz import Session, VirtualMachine
from sdeiviz.apf import MODES, mode
from sdeiviz.errors import Error
from sdeiviz.machine import Costs, PageAbsent, PageState, Paging
from sdeiviz.machine.latency import Constant, LogNormal, Recorded
from sdeiviz.machine.paging import Pager
from sdeiviz.machine.store import Swap
from sdeiviz.trace import (
    FetchDone,
    FetchStarted,
    InterruptTaken,
    PageEvicted,
    PageFault,
    VcpuBlocked,
    VcpuUnblocked,
)
from tests.machine.guest import MEMORY, guest
from tests.machine.machines import SMP

FIRST, PAGES = 0x4009_0000, 64
"""The pages that the guest writes."""

WRITER = f"""
    .equ FIRST, {FIRST:#x}
    mov x20, #0                     // pass
pass:
    ldr x1, =FIRST
    mov x2, #0
page:
    ldr x3, [x1]
    cmp x3, x20                     // what the pass before wrote: its number
    cinc x21, x21, ne               // x21: mistakes
    add x4, x20, #1
    str x4, [x1]
    str x2, [x1, #8]
    add x1, x1, #4096
    add x2, x2, #1
    cmp x2, #{PAGES}
    b.ne page
    add x20, x20, #1
    cmp x20, #3
    b.ne pass
    off
"""


def writer(paging: Paging | None, **options: Any) -> VirtualMachine:
    return guest(WRITER).vm(paging=paging, **options)


def small(**options: Any) -> Paging:
    return Paging(mode="sync", latency=Constant(1000), resident=16, **options)


def content(vm: VirtualMachine) -> bytes:
    pages = range(MEMORY >> 12)
    return b"".join(vm.pager.content(n) if vm.pager else vm.memory.page(n) for n in pages)


def test_every_byte_is_right_and_every_nanosecond_accounted_for() -> None:
    plain, vm = writer(None), writer(small())
    assert plain.run().reason == vm.run().reason == "power-off"
    assert vm.vcpus[0].x[21] == plain.vcpus[0].x[21] == 0
    assert vm.index == plain.index
    assert content(vm) == content(plain)
    # A cyclic walk through 64 pages with 16 in memory: each of the two later passes misses each.
    faults = [event for event in vm.trace if isinstance(event, PageFault)]
    assert len(faults) == 2 * PAGES
    assert {(f.decision, f.reason, f.token) for f in faults} == {("wait", "mode", None)}
    account = vm.vcpus[0].account.at(vm.time)
    assert account["run"] == vm.index
    assert account["blocked"] == 2 * PAGES * 1000
    assert account["overhead"] == 0
    assert sum(account.values()) == vm.time == vm.index + 2 * PAGES * 1000


def test_declared_costs_are_overhead_to_the_nanosecond() -> None:
    costs = Costs(exit=100, lookup=20, map=3, zero=7, block=500, place=11, worker=10_000)
    vm = writer(small(costs=costs))
    vm.run()
    assert {event.by for event in vm.trace if isinstance(event, FetchStarted)} == {"vcpu"}
    account = vm.vcpus[0].account.at(vm.time)
    first_touches = PAGES * (100 + 20 + 7 + 3)
    faults = 2 * PAGES * (100 + 20 + 500 + 3)
    off = 100  # the hypercall that switches off
    assert account["overhead"] == first_touches + faults + off
    # The page is on its way before the vCPU has gone to sleep.
    assert account["blocked"] == 2 * PAGES * (1000 + 11 - 500)
    assert sum(account.values()) == vm.time


def test_the_life_of_one_page() -> None:
    vm = writer(small())
    vm.run()
    gfn = FIRST >> 12
    kinds = (FetchStarted, FetchDone, PageEvicted, PageFault, VcpuBlocked)
    life = [type(e).__name__ for e in vm.trace if isinstance(e, kinds) and e.gfn == gfn]
    once = ["FetchStarted", "PageFault", "VcpuBlocked", "FetchDone"]
    assert [name for name in life if name != "PageEvicted"] == [
        "PageFault", "FetchStarted", "VcpuBlocked", "FetchDone",
        "PageFault", "FetchStarted", "VcpuBlocked", "FetchDone",
    ]  # fmt: skip
    assert sorted(once) == sorted(set(life) - {"PageEvicted"})
    assert life.count("PageEvicted") == 3


@pytest.mark.parametrize("rules", MODES)
def test_a_guest_that_never_asks_is_never_told(rules: str) -> None:
    vm = writer(Paging(mode=rules, latency=Constant(1000), resident=16))
    assert vm.run().reason == "power-off"
    assert vm.vcpus[0].x[21] == 0
    assert vm.apf
    counters = vm.apf.vcpus[0].counters
    assert counters.asynchronous.keys() <= {"halt"}
    assert content(vm) == content_of_plain()


def content_of_plain() -> bytes:
    vm = writer(None)
    vm.run()
    return content(vm)


def test_two_vcpus_wait_for_one_page() -> None:
    code = f"""
        cpu_on 1, other
        ldr x1, ={FIRST:#x}
        ldr x9, [x1]
    wait:
        mov x1, #1
        mov x2, #0
        call 0xc4000004             // AFFINITY_INFO of PE 1, until it is off
        cmp x0, #1
        b.ne wait
        off
    other:
        ldr x1, ={FIRST:#x}
        ldr x9, [x1]
        call 0x84000002             // CPU_OFF
    """
    vm = guest(SMP + code).vm(paging=small(costs=Costs(map=3)), vcpus=2)
    vm.write_memory(FIRST, b"here\0\0\0\0")
    vm.evict_page(FIRST >> 12)
    assert vm.run().reason == "power-off"
    assert [vcpu.x[9].to_bytes(8, "little") for vcpu in vm.vcpus] == [b"here\0\0\0\0"] * 2
    kinds = (FetchStarted, VcpuBlocked, VcpuUnblocked)
    assert [(type(e), e.vcpu) for e in vm.trace if isinstance(e, kinds)] == [
        (FetchStarted, 0), (VcpuBlocked, 0), (VcpuBlocked, 1), (VcpuUnblocked, 0),
        (VcpuUnblocked, 1),
    ]  # fmt: skip
    overhead = [vcpu.account.at(vm.time)["overhead"] for vcpu in vm.vcpus]
    assert overhead == [3, 0], "it is mapped once"


def test_of_two_vcpus_one_runs() -> None:
    code = f"cpu_on 1, other\n ldr x1, ={FIRST:#x}\n ldr x9, [x1]\n 1: b 1b\n other: b other"
    vm = guest(SMP + code).vm(paging=small(costs=Costs(map=30)), vcpus=2, quantum=200)
    absent(vm)
    vm.run(10_001)
    accounts = [vcpu.account.at(vm.time) for vcpu in vm.vcpus]
    assert [sum(account.values()) for account in accounts] == [vm.time] * 2
    assert sum(account["run"] for account in accounts) == vm.index
    assert accounts[0]["blocked"] >= 1000
    # While the host maps the page for the other, vCPU 1 does not run.
    assert [account["overhead"] for account in accounts] == [30, 0]
    assert all(account["run"] > 4000 for account in accounts)


@pytest.mark.parametrize(
    ("gic", "code", "exits"),
    [
        (2, "ldr x1, =0x08000000\n ldr w0, [x1]", 1),
        (2, "ldr x1, =0x08010000\n ldr w0, [x1]", 0),
        (3, "msr s3_0_c12_c11_5, xzr", 1),  # ICC_SGI1R_EL1
        (3, "msr s3_0_c4_c6_0, xzr", 0),  # ICC_PMR_EL1
    ],
)
def test_the_interrupt_controllers_cpu_interface_is_no_exit(
    gic: int, code: str, exits: int
) -> None:
    vm = guest(code + "\n off").vm(gic=gic, paging=small(costs=Costs(exit=100)))
    vm.run()
    assert vm.vcpus[0].account.at(vm.time)["overhead"] == 100 * (exits + 1)


def test_a_masked_interrupt_does_not_end_a_halt() -> None:
    rules = replace(mode("halt"), name="halt-masked", needs_interrupts=False)
    code = f"""
        gic_on
        enable 27
        mov x0, #1
        msr cntv_tval_el0, x0
        msr cntv_ctl_el0, x0
        ldr x1, ={FIRST:#x}
        ldr x9, [x1]
        off
    """
    vm = guest(SMP + code).vm(paging=Paging(rules, Constant(1000)))
    absent(vm)
    assert vm.run().reason == "power-off"
    assert vm.vcpus[0].core.irq
    (fault,) = [event for event in vm.trace if isinstance(event, PageFault)]
    assert fault.decision == "halt"
    assert vm.vcpus[0].account.at(vm.time)["halted"] == 1000


def test_an_interrupt_ends_a_halt_and_the_page_another() -> None:
    code = f"""
        use_vectors
        gic_on
        enable 27
        mov x0, #20
        msr cntv_tval_el0, x0
        mov x0, #1
        msr cntv_ctl_el0, x0
        msr daifclr, #2
        ldr x1, ={FIRST:#x}
        ldr x9, [x1]
        off
    irq:
        acknowledge
        msr cntv_ctl_el0, xzr
        eret
        all_vectors irq
    """
    vm = guest(SMP + code).vm(paging=Paging("halt", Constant(5000)))
    absent(vm)
    assert vm.run().reason == "power-off"
    kinds = (FetchDone, VcpuBlocked, VcpuUnblocked, InterruptTaken)
    assert [type(e).__name__ for e in vm.trace if isinstance(e, kinds)] == [
        "VcpuBlocked", "VcpuUnblocked", "InterruptTaken",
        "VcpuBlocked", "FetchDone", "VcpuUnblocked",
    ]  # fmt: skip
    account = vm.vcpus[0].account.at(vm.time)
    assert account["run"] == vm.index
    assert account["halted"] == vm.time - vm.index


def test_an_alarm_and_no_other_deadline() -> None:
    vm = guest("ldr x1, =2000\n1: subs x1, x1, #1\n b.ne 1b\n off").vm()
    assert vm.run_until(777).reason == "budget"
    assert vm.time == 777
    # One that did not ring is forgotten.
    assert vm.run_until(1_000_000).reason == "power-off"
    assert (vm.alarm, vm.deadline) == (None, None)


class Elsewhere(Swap):
    """A store whose pages somebody else sends."""

    deadline = None

    def request(self, page: int, time: int) -> None:
        """Wait for them."""


def test_a_page_that_only_the_host_can_place() -> None:
    vm = guest(f"ldr x1, ={FIRST:#x}\n ldr x9, [x1]\n off").vm(paging=small())
    pager = absent(vm)
    pager.store = Elsewhere(Constant(0), depth=1)
    assert vm.run().reason == "page"
    assert vm.place_page(pager.page(FIRST >> 12), b"from far".ljust(4096, b"\0"))
    assert vm.run().reason == "power-off"
    assert vm.vcpus[0].x[9].to_bytes(8, "little") == b"from far"


def test_a_kick_is_saved() -> None:
    first, second = writer(small()), writer(small())
    assert first.apf
    first.apf.host.kick(0)
    second.load(first.save())
    assert second.vcpus[0].must_enter


def test_absent_pages_are_not_read_by_the_host() -> None:
    vm = writer(small())
    vm.run()
    assert vm.pager
    page = vm.pager.page(FIRST >> 12)
    assert vm.pager.states[page] == PageState.ABSENT
    with pytest.raises(PageAbsent, match=r"^the page at 0x40090000 is absent: its content is not"):
        vm.memory[FIRST + 8 : FIRST + 16]
    with pytest.raises(PageAbsent):
        vm.memory[FIRST - 8 : FIRST + 8] = bytes(16)
    last = FIRST + (PAGES - 1) * 4096
    assert vm.memory[last : last + 8] == (3).to_bytes(8, "little")


def test_the_host_may_write_where_nothing_was_yet() -> None:
    vm = writer(small())
    vm.write_memory(FIRST + 4096 * 70, b"here")
    assert vm.memory[FIRST + 4096 * 70 : FIRST + 4096 * 70 + 5] == b"here\0"
    assert vm.pager
    assert vm.pager.resident == 1


def absent(vm: VirtualMachine, content: bytes = b"content.") -> Pager:
    """Take away FIRST's page, which holds this at its start."""
    vm.write_memory(FIRST, content)
    vm.evict_page(FIRST >> 12)
    assert vm.pager
    return vm.pager


def fetched(vm: VirtualMachine) -> None:
    """Let FIRST's page be read by the hypervisor, and arrive."""
    assert vm.pager
    assert vm.pager.read_word(FIRST) is None
    vm.pager.expire(vm.time + 1000)


def test_words_of_the_hypervisor_wait_for_their_page() -> None:
    vm = writer(small())
    pager = absent(vm)
    pager.write_word(FIRST + 4, 0x2174_7561)
    fetched(vm)
    assert vm.memory[FIRST : FIRST + 8] == b"contaut!"
    # They are written once, whatever becomes of the page.
    vm.write_memory(FIRST, b"anything")
    vm.evict_page(FIRST >> 12)
    fetched(vm)
    assert vm.memory[FIRST : FIRST + 8] == b"anything"


def test_a_page_that_goes_before_it_was_mapped_is_absent() -> None:
    vm = writer(small())
    pager = absent(vm)
    page = pager.page(FIRST >> 12)
    assert pager.resident == 0
    assert not any(vm.memory.view[page * 4096 : (page + 1) * 4096]), "its memory is free"
    fetched(vm)
    assert pager.resident == 1
    vm.evict_page(FIRST >> 12)
    assert pager.resident == 0
    pager.map_arrived(vm.vcpus[0], page)  # for whoever asked first
    vm.run()
    assert vm.vcpus[0].x[21] == 1, "the guest finds what it did not write"


def test_a_page_of_zeros_is_none_where_words_wait_for_it() -> None:
    vm = writer(small())
    pager = absent(vm)
    page = pager.page(FIRST >> 12)
    pager.write_word(FIRST + 4, 7)
    assert vm.place_page(page, None)
    assert not vm.place_page(page, None), "it is there"
    assert vm.memory[FIRST : FIRST + 8] == (7 << 32).to_bytes(8, "little")
    assert pager.states[page] == PageState.PRESENT


def test_a_word_of_the_hypervisor_gives_a_zero_page_memory() -> None:
    vm = writer(small())
    assert vm.pager
    vm.pager.write_word(FIRST, 7)
    assert vm.pager.states[vm.pager.page(FIRST >> 12)] == PageState.PRESENT
    assert vm.pager.resident == 1


def test_what_the_host_does_to_pages_is_logged() -> None:
    vm = writer(small())
    pager = absent(vm)
    page = pager.page(FIRST >> 12)
    vm.stage2.protect()
    fetched(vm)
    assert vm.stage2.dirty == {page}
    vm.stage2.protect()
    pager.write_word(FIRST, 7)
    assert vm.stage2.dirty == {page}


def test_a_log_of_pages_that_come_and_go() -> None:
    vm = writer(small())
    page = absent(vm).page(FIRST >> 12)
    vm.stage2.protect()
    vm.flush_tlbs()
    assert vm.run().reason == "power-off"
    assert vm.vcpus[0].x[21] == 1, "the guest finds what it did not write"
    assert vm.stage2.dirty
    assert vm.stage2.dirty >= set(range(page, page + PAGES))


def test_the_device_tree_stays() -> None:
    vm = writer(small(), dtb=0x400A_0000)
    assert vm.pager
    assert vm.pager.pageable.start > 0xA0


def test_a_page_on_its_way_is_not_read() -> None:
    vm = writer(small())
    pager = absent(vm)
    assert vm.memory[FIRST - 4096 : FIRST] == bytes(4096), "up to the absent page"
    assert pager.read_word(FIRST) is None
    assert pager.states[pager.page(FIRST >> 12)] == PageState.FETCHING
    with pytest.raises(PageAbsent):
        vm.memory[FIRST : FIRST + 1]
    with pytest.raises(PageAbsent):
        vm.memory[FIRST - 4096 : FIRST + 1]


@pytest.mark.parametrize("clock", ["native", "python"])
def test_one_trace_however_it_is_run(clock: str) -> None:
    paging = small(costs=Costs(exit=100, lookup=20, map=3, zero=7, block=500))
    vm = writer(paging)
    vm.run()
    stepped = writer(paging, clock=clock)
    while not stepped.stopped:
        stepped.run(7)
    assert list(stepped.trace) == list(vm.trace)
    assert stepped.time == vm.time
    recorded = Session(
        guest(WRITER).path, load_address=0x4008_0000, memory=MEMORY, paging=paging, clock=clock
    )
    recorded.run()
    assert list(recorded.trace) == list(vm.trace)


def test_a_recording_goes_back_and_forth_through_faults() -> None:
    paging = small(costs=Costs(exit=100, block=500))
    session = Session(guest(WRITER).path, load_address=0x4008_0000, memory=MEMORY, paging=paging)
    session.run()
    end = session.snapshot()
    places = [37, 400, 1201, 900, 1, session.total]
    seen = {}
    for place in places + places[::-1]:
        session.goto(place)
        snapshot = session.snapshot()
        assert seen.setdefault(place, (snapshot.pages, snapshot.time, snapshot.accounts)) == (
            snapshot.pages,
            snapshot.time,
            snapshot.accounts,
        )
    session.goto(session.total)
    assert session.snapshot().pages == end.pages
    assert end.pages
    assert end.pages.resident in (15, 16)
    assert end.pages.limit == 16


def test_a_saved_machine_goes_on_elsewhere() -> None:
    vm = writer(small())
    vm.run()
    first = writer(small())
    first.run(700)
    second = writer(small())
    second.load(first.save())
    assert second.run().reason == "power-off"
    assert content(second) == content(vm)
    assert second.time == vm.time


def arrived(vm: VirtualMachine) -> None:
    absent(vm)
    fetched(vm)


def waited_for(vm: VirtualMachine) -> None:
    absent(vm).write_word(FIRST + 16, 7)
    vm.run_until(500)
    assert vm.vcpus[0].stalled


STATES: dict[str, Callable[[VirtualMachine], object]] = {
    "zero": lambda vm: None,
    "written": lambda vm: vm.write_memory(FIRST, b"content."),
    "absent": absent,
    "arrived": arrived,
    "waited for": waited_for,
    "used": lambda vm: vm.run(100),
}
"""What may be the matter with FIRST's page."""


@pytest.mark.parametrize("then", STATES)
@pytest.mark.parametrize("before", STATES)
def test_a_load_leads_from_any_state_to_any_other(before: str, then: str) -> None:
    costs = Costs(lookup=20, map=3, zero=7)
    first, second = (writer(small(costs=costs)) for _ in range(2))
    STATES[then](first)
    STATES[before](second)
    second.load(first.save())
    assert first.run().reason == second.run().reason == "power-off"
    assert second.save() == first.save()


def test_a_reset_forgets_what_was_where() -> None:
    code = WRITER.replace("    off\n", "    ldr x5, =0x40081000\n    call 0x84000009\n")
    vm = guest(code).vm(paging=small())
    vm.run(5 * 1200)
    assert vm.vcpus[0].x[21] == 0, "a page is zero again after the reset"


def test_pages_that_drive_each_other_out_stop_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdeiviz.machine.paging.FEWEST_RESIDENT", 1)
    code = f"ldr x1, ={FIRST + 4096 - 8:#x}\n1: stp x1, x1, [x1]\n add x1, x1, #4096\n b 1b"
    vm = guest(code).vm(paging=Paging(mode="sync", latency=Constant(10), resident=1))
    stop = vm.run()
    assert stop.reason == "thrashing"
    assert "never has all its pages" in stop.detail


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "x86"}, "no async page fault mode 'x86': choose from arm64-v4"),
        ({"resident": 15}, "15 resident pages: want 16 or more"),
        ({"depth": 0}, "a store that brings 0 pages at a time"),
        ({"irq": 32}, "no PPI 32: they are 16 to 31"),
    ],
)
def test_bad_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        Paging(**options)


def test_a_store_serves_so_many_requests_at_a_time() -> None:
    swap = Swap(Constant(100), depth=2, place=5)
    for page in range(6):
        swap.put(page, bytes([page]))
        swap.request(page, time=0 if page < 5 else 1000)
    assert swap.deadline == 105
    assert swap.arrivals(104) == []
    assert swap.arrivals(105) == [(0, b"\0"), (1, b"\1")]
    other = Swap(Constant(100), depth=2, place=5)
    other.load(swap.save())
    for store in (swap, other):
        assert [page for page, _ in store.arrivals(305)] == [2, 3, 4]
        assert store.deadline == 1105


def test_a_store_that_was_loaded_draws_the_next_latency() -> None:
    swap, other = (Swap(Recorded((5, 7)), depth=1) for _ in range(2))
    for page in range(2):
        swap.put(page, bytes([page]))
    swap.request(0, time=0)
    other.load(swap.save())
    assert other.arrivals(5) == [(0, b"\0")]
    other.request(1, time=100)
    assert other.deadline == 107


def test_latency_models() -> None:
    assert [Recorded((5, 7)).draw(n) for n in range(3)] == [5, 7, 5]
    model = LogNormal(mean=1000, sigma=1, shortest=50, longest=100_000)
    drawn = [model.draw(n) for n in range(20_000)]
    assert drawn[:3] == [model.draw(n) for n in range(3)], "the same number, the same duration"
    assert 950 < sum(drawn) / len(drawn) < 1050
    # The median of a log-normal is its mean times exp(-sigma^2/2) = 606.5.
    assert 580 < sorted(drawn)[10_000] < 633
    assert {duration for duration in drawn if duration <= 50} == {50}
    assert max(LogNormal(1000, 1, longest=2000).draw(n) for n in range(100)) == 2000
    assert LogNormal(1000, 1, seed=2).draw(0) != LogNormal(1000, 1).draw(0)
    for bad in (lambda: Constant(-1), lambda: Recorded(()), lambda: LogNormal(1, 6)):
        with pytest.raises(Error):
            bad()
