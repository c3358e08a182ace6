"""Async page fault in any order of things: a task's accesses, masks and disables, pages that are
taken away, arrive early and late. Nothing may be lost, and every byte must be right.
"""

import struct
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdeiviz import VirtualMachine
from sdeiviz.machine import Costs, Paging
from sdeiviz.machine.latency import Recorded
from sdeiviz.trace import EventCancelled, EventDelivered, PageFault, PageReady, ProbeHit
from tests.machine.guest import guest
from tests.machine.tasks import ALL, EVENT, INTERPRETER, PAGE0, log, source

OPERATIONS = PAGE0 + 0x60000
PAGES = 24
READ, ADD, MASK, UNMASK, DISABLE, ENABLE = range(1, 7)

operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([READ, ADD]), st.integers(0, PAGES - 1)),
        st.tuples(st.sampled_from([MASK, UNMASK, DISABLE, ENABLE]), st.just(0)),
    ),
    max_size=60,
)


def expected(todo: list[tuple[int, int]]) -> tuple[int, list[int]]:
    """Return the sum of what is read and the pages' values at the end."""
    values = [1000 * (n + 1) for n in range(PAGES)]
    total = 0
    for kind, page in todo:
        if kind == READ:
            total += values[page]
        elif kind == ADD:
            values[page] += 1
    return total, values


def prepare(todo: list[tuple[int, int]], paging: Paging) -> VirtualMachine:
    vm = guest(source(INTERPRETER)).vm(paging=paging)
    words = [kind << 16 | page for kind, page in todo] + [0]
    vm.write_memory(OPERATIONS, struct.pack(f"<{len(words)}I", *words))
    for n in range(PAGES):
        vm.write_memory(PAGE0 + 4096 * n, struct.pack("<Q", 1000 * (n + 1)))
        vm.evict_page((PAGE0 >> 12) + n)
    return vm


def check(vm: VirtualMachine, todo: list[tuple[int, int]]) -> None:
    assert vm.stopped
    assert vm.stopped.reason == "power-off", "somebody was never woken"
    assert vm.pager
    total, values = expected(todo)
    assert vm.vcpus[0].x[6] == total
    first = vm.pager.page(PAGE0 >> 12)
    found = [struct.unpack_from("<Q", vm.pager.content(first + n))[0] for n in range(PAGES)]
    assert found == values
    account = vm.vcpus[0].account.at(vm.time)
    assert sum(account.values()) == vm.time
    assert account["run"] == vm.index
    told = [token for reason, token in log(vm)[1:] if reason == 1]
    woken = Counter(token for reason, token in log(vm)[1:] if reason == 2 and token != ALL)
    assert 0 not in told
    assert len(set(told)) == len(told), "a token is one fault's alone"
    assert not woken or max(woken.values()) == 1, "nobody is woken twice"
    assert set(woken) <= set(told), "nobody is woken who was not told"
    faults = [event for event in vm.trace if isinstance(event, PageFault) and event.token]
    delivered = sum(isinstance(e, EventDelivered) and e.event == EVENT for e in vm.trace)
    cancelled = sum(isinstance(e, EventCancelled) and e.was_pending for e in vm.trace)
    notified = sum(event.decision == "notified" for event in faults)
    assert notified == delivered + cancelled


@pytest.mark.parametrize("mode", ["arm64-v4", "x86-rules", "halt", "sync"])
@given(
    todo=operations,
    latencies=st.lists(st.integers(0, 60_000), min_size=1, max_size=8),
    costs=st.builds(
        Costs,
        exit=st.integers(1, 3000),
        inject=st.integers(0, 5000),
        queue=st.integers(0, 3000),
        map=st.integers(0, 500),
        worker=st.integers(0, 5000),
    ),
    depth=st.integers(1, 64),
    resident=st.sampled_from([None, 16, 20]),
    takes=st.lists(st.tuples(st.integers(1, 5000), st.integers(0, PAGES - 1)), max_size=6),
)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_nothing_is_lost(
    mode: str,
    todo: list[tuple[int, int]],
    latencies: list[int],
    costs: Costs,
    depth: int,
    resident: int | None,
    takes: list[tuple[int, int]],
) -> None:
    vm = prepare(todo, Paging(mode, Recorded(latencies), depth, resident, costs))
    for instructions, page in takes:
        if not vm.stopped:
            vm.run(instructions)
        assert vm.pager
        if not vm.pager.is_absent(vm.pager.page(PAGE0 >> 12) + page):
            vm.evict_page((PAGE0 >> 12) + page)
    vm.run(20_000_000)
    check(vm, todo)


KERNEL = "m=2 c=1 pages=192 passes=3 touch=4 work=50 order=random"


@pytest.mark.parametrize(
    ("mode", "profile", "vcpus", "gic"),
    [
        ("arm64-v4", "kvm-v7", 4, 2),
        ("arm64-v4", "kvm-v7", 4, 3),
        ("arm64-v4", "den0054c", 2, 3),
        ("arm64-v4", "tf-a", 2, 2),
        ("arm64-v4-literal", "kvm-v7", 1, 2),
        ("irq-only", "kvm-v7", 4, 2),
        ("x86-rules", "kvm-v7", 2, 2),
        ("halt", "kvm-v7", 2, 2),
        ("sync", "kvm-v7", 4, 2),
    ],
)
def test_a_kernel_with_threads(mode: str, profile: str, vcpus: int, gic: int) -> None:
    """Thousands of faults of four vCPUs: every thread ends, and every page has what was written."""
    costs = Costs(exit=1000, lookup=500, map=300, queue=1000, inject=1000, block=2000, worker=3000)
    latency = Recorded([7_000, 90_000, 1_000, 30_000, 300, 55_000, 12_000])
    options = {"bootargs": KERNEL, "profile": profile, "vcpus": vcpus, "gic": gic}
    plain = VirtualMachine("kernel", **options)
    assert plain.run().reason == "power-off"
    vm = VirtualMachine("kernel", paging=Paging(mode, latency, 16, 48, costs), **options)
    assert vm.run().reason == "power-off"
    assert vm.pager
    assert "errors 0\n" in vm.console.replace("errors 0,", "errors 0\n")
    assert not [
        line for line in vm.console.splitlines() if "errors" in line and "errors 0" not in line
    ]
    heap = range(vm.pager.pageable.start, vm.pager.pageable.start + 192)
    assert [vm.pager.content(n) for n in heap] == [plain.memory.page(n) for n in heap]
    accounts = [vcpu.account.at(vm.time) for vcpu in vm.vcpus]
    assert {sum(account.values()) for account in accounts} == {vm.time}
    assert sum(account["run"] for account in accounts) == vm.index
    faults = [event for event in vm.trace if isinstance(event, PageFault)]
    assert len(faults) > 400 * vcpus / 4
    if mode in ("arm64-v4", "irq-only", "x86-rules"):
        assert sum(event.decision == "notified" for event in faults) > len(faults) / 2
    ready = Counter(e.token for e in vm.trace if isinstance(e, PageReady) and e.token != ALL)
    assert not ready or max(ready.values()) == 1
    slept = Counter(
        e.arguments[0] for e in vm.trace if isinstance(e, ProbeHit) and e.name == "sleep"
    )
    woken = Counter(
        e.arguments[0] for e in vm.trace if isinstance(e, ProbeHit) and e.name == "wake"
    )
    assert all(woken[thread] >= slept[thread] - 1 for thread in slept)
