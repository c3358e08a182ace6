"""The guest `kernel`: it boots, schedules fairly, does its work and notices what is wrong."""

from itertools import pairwise
from pathlib import Path

import pytest

from sdeiviz.guests.toolchain import available
from sdeiviz.trace import ProbeHit
from tests.guests.kernel import COMPUTE, IDLE, MEMORY, PAGE, SERVER, Kernel
from tests.guests.test_bundled import COMPILER, build

MS = 1_000_000
SLICE = 3 * MS
QUICK = "pages=16 passes=2 work=100"


@pytest.mark.parametrize("gic", [2, 3])
@pytest.mark.parametrize("vcpus", [1, 2, 4])
def test_every_cpu_does_its_work(vcpus: int, gic: int) -> None:
    kernel = Kernel(f"{QUICK} pages=32", vcpus=vcpus, gic=gic).run()
    assert kernel.vm.console.startswith(f"kernel: {vcpus} CPUs, GICv{gic}, 32 pages of heap\n")
    assert [(w.id, w.cpu, w.kind) for w in kernel.work] == [
        *((n, n, IDLE) for n in range(vcpus)),
        *((vcpus + 2 * n + i, n, (MEMORY, COMPUTE)[i]) for n in range(vcpus) for i in (0, 1)),
    ]
    # Together they have each page of the heap, once; each pass is over all of them.
    threads = kernel.of(MEMORY)
    assert [w.pages for w in threads] == [32 // vcpus] * vcpus
    assert [w.first for w in threads] == [32 // vcpus * n for n in range(vcpus)]
    assert [(w.done, w.passes) for w in threads] == [(64 // vcpus, 2)] * vcpus
    assert all(w.errors == 0 for w in kernel.work)
    assert f"window: {kernel.window} ns, errors 0\n" in kernel.vm.console


def test_as_many_cpus_as_there_can_be() -> None:
    kernel = Kernel(f"{QUICK} pages=64", vcpus=32, gic=3).run()
    assert [w.done for w in kernel.of(MEMORY)] == [4] * 32


def test_without_a_command_line_it_shows_something_and_ends() -> None:
    kernel = Kernel().run(20_000_000)
    (memory,), (compute,) = kernel.of(MEMORY), kernel.of(COMPUTE)
    assert memory.done == 4 * 128
    assert compute.done > 1000
    assert "async page fault: not offered\n" in kernel.vm.console
    assert f"M0: cpu 0, done 512, runtime {memory.runtime} ns, sleeps 0, errors 0\n" in (
        kernel.vm.console
    )


# -- the scheduler


def test_two_compute_threads_get_equal_shares() -> None:
    kernel = Kernel("m=0 c=2 time=60").run()
    one, other = kernel.of(COMPUTE)
    assert abs(one.runtime - other.runtime) <= SLICE
    assert abs(one.done - other.done) * 60 * MS < SLICE * (one.done + other.done)
    # Nobody else had the CPU, and every nanosecond of the window is somebody's.
    booked = sum(w.runtime for w in kernel.work)
    assert abs(booked - kernel.window) < 2000
    assert one.runtime + other.runtime > kernel.window - 2000


def test_a_thread_of_memory_and_one_that_computes_get_equal_shares() -> None:
    kernel = Kernel("time=60").run()
    (memory,), (compute,) = kernel.of(MEMORY), kernel.of(COMPUTE)
    assert abs(memory.runtime - compute.runtime) <= SLICE


@pytest.mark.parametrize("slice_", [2 * MS, 5 * MS])
def test_a_slice_is_as_long_as_asked_for(slice_: int) -> None:
    kernel = Kernel(f"m=0 c=3 time=40 slice={slice_}").run()
    begin = next(e.time for e in kernel.vm.trace if isinstance(e, ProbeHit) and e.name == "start")
    switches = [
        event.time
        for event in kernel.vm.trace
        if isinstance(event, ProbeHit) and event.name == "switch" and event.time > begin
    ]
    turns = [b - a for a, b in pairwise(switches)]
    assert len(turns) >= 5
    assert all(abs(turn - slice_) < 20_000 for turn in turns[:-1])


def test_a_tick_is_as_long_as_asked_for() -> None:
    # Slices end at ticks: of 4 ms each, a slice of 3 ms takes 4.
    kernel = Kernel("m=0 c=2 time=40 tick=4000000").run()
    assert kernel.counters()["switches"] <= 13


def test_time_ends_the_window() -> None:
    kernel = Kernel("time=7 passes=1000000").run()
    assert 7 * MS <= kernel.window < 7 * MS + 20_000


def test_work_that_is_done_ends_the_window_before_the_time() -> None:
    kernel = Kernel(f"{QUICK} time=1000").run()
    assert kernel.window < MS
    assert kernel.of(MEMORY)[0].passes == 2


# -- the work


def test_options_of_the_work() -> None:
    def time_of_a_page(options: str) -> float:
        kernel = Kernel(f"c=0 pages=16 passes=4 {options}").run()
        return kernel.of(MEMORY)[0].runtime / 64

    none = time_of_a_page("work=0 touch=1")
    assert 4.9 < (time_of_a_page("work=5000 touch=1") - none) / 2500 < 6.1, "2 instructions a turn"
    assert time_of_a_page("work=0 touch=512") > 100 * 512 / 100 + none


def pages_in_order(options: str, count: int = 8) -> list[list[int]]:
    """Return in which order the pages of each pass are written: M spins on each, and we look."""
    kernel = Kernel(f"c=0 pages={count} passes=3 work=3000 touch=1 {options}")
    order: list[list[int]] = [[], [], [], []]
    seen = [-1] * count
    heap = kernel.at("heap")
    while kernel.vm.run(1000).reason == "budget":
        for page in range(count):
            word = kernel.number(heap + PAGE * page)
            if word and (turn := word & 0xFFFFF) != seen[page]:
                seen[page] = turn
                order[turn].append(page)
    return order


def test_order_of_the_pages() -> None:
    assert pages_in_order("order=sequential")[1:] == [list(range(8))] * 3
    passes = pages_in_order("order=random")[1:]
    assert [sorted(order) for order in passes] == [list(range(8))] * 3
    assert list(range(8)) not in passes
    assert passes[0] != passes[1]


def test_a_number_of_pages_that_is_no_power_of_two() -> None:
    (order,) = {tuple(sorted(order)) for order in pages_in_order("order=random", 11)[1:]}
    assert order == tuple(range(11))


def test_what_is_on_the_pages_after_the_last_pass() -> None:
    kernel = Kernel("m=2 pages=10 passes=3 touch=5").run()
    heap = kernel.at("heap")
    for page in range(10):
        words = [kernel.number(heap + PAGE * page + 8 * n) for n in range(6)]
        assert words == [(page + 1) << 32 | n << 20 | 3 for n in range(5)] + [0]
    assert not any(kernel.vm.memory[heap + 10 * PAGE : heap + 12 * PAGE])


@pytest.mark.parametrize("options", ["", "kernel=100"])
def test_a_word_that_the_host_spoils_is_found(options: str) -> None:
    kernel = Kernel(f"m=2 c=0 pages=16 passes=3 touch=8 order=sequential work=2000 {options}")
    heap = kernel.at("heap")
    last = heap + 15 * PAGE
    while kernel.number(last) & 0xFFFFF != 1:
        kernel.vm.run(5000)
    kernel.vm.write_memory(last + 8 * 7, bytes(8))
    kernel.vm.write_memory(last + 8 * 9, bytes(8))  # that is not one it writes
    kernel.run()
    assert [w.errors for w in kernel.of(MEMORY)] == [0, 1]
    assert kernel.number(kernel.at("results") + 0x30) == 1
    assert kernel.vm.console.endswith(", errors 1\n")


def test_pages_touched_by_the_kernel() -> None:
    def calls(percent: int) -> int:
        kernel = Kernel(f"c=0 pages=16 passes=10 work=0 touch=4 kernel={percent}").run()
        assert [w.errors for w in kernel.of(MEMORY)] == [0]
        # The vector of a system call is at 0x400; besides, each thread makes two.
        return sum(
            getattr(event, "vector", None) == kernel.at("vectors") + 0x400
            for event in kernel.vm.trace
        )

    none, some, all_ = calls(0), calls(30), calls(100)
    assert all_ - none == 160
    assert 20 < some - none < 80


def test_a_mutex_lets_one_in_at_a_time() -> None:
    kernel = Kernel("m=2 c=2 pages=16 passes=40 work=20000 touch=4 lock=1").run()
    assert [w.errors for w in kernel.work] == [0] * 5
    assert [w.done for w in kernel.of(MEMORY)] == [8 * 40] * 2
    assert all(w.done > 100 for w in kernel.of(COMPUTE))
    # They had to wait for each other: more switches than slices.
    assert kernel.counters()["switches"] > 2 * kernel.window // SLICE


def test_probes_tell_who_waits_for_the_mutex_and_for_how_long() -> None:
    kernel = Kernel("m=2 c=0 pages=16 passes=40 work=20000 touch=4 lock=1").run()
    events = [event for event in kernel.vm.trace if isinstance(event, ProbeHit)]
    begin = next(n for n, event in enumerate(events) if event.name == "start")
    waits = [(event.name, event.arguments[0]) for event in events if event.name in ("wait", "go")]
    # First both at the barrier, which lets them go in the order in which they came.
    assert waits[:4] == [("wait", 1), ("wait", 2), ("go", 1), ("go", 2)]
    assert [event.name for event in events[begin - 2 : begin]] == ["go", "go"]
    later = waits[4:]
    assert len(later) > 10
    # Then one at a time: who waits is let go before anybody waits again.
    assert [name for name, _ in later] == [("wait", "go")[n % 2] for n in range(len(later))]
    assert all(one[1] == other[1] for one, other in zip(later[::2], later[1::2], strict=False))


def test_without_the_mutex_they_would_have_met() -> None:
    kernel = Kernel("m=0 c=2 lock=1 time=10 slice=0 tick=20000")
    locked = kernel.at("mutex_lock")
    kernel.vm.write_memory(locked, (0xD65F03C0).to_bytes(4, "little"))  # RET
    kernel.run()
    assert sum(w.errors for w in kernel.of(COMPUTE)) > 0


def test_servers_count_their_latencies() -> None:
    kernel = Kernel("m=0 c=0 serve=2 requests=50 pages=40 work=1000", vcpus=2).run()
    servers = kernel.of(SERVER)
    assert [(w.done, sum(w.latency), w.errors) for w in servers] == [(50, 50, 0)] * 4
    assert [w.pages for w in servers] == [10] * 4
    # A request is 4 pages of 1000 turns, 2 instructions each; two CPUs share the time.
    assert not any(any(w.latency[:12]) for w in servers)
    total = [sum(w.latency[bit] for w in servers) for bit in range(32)]
    for bit, count in enumerate(total):
        assert (f"requests from {1 << bit} ns: {count}\n" in kernel.vm.console) == (count > 0)


# -- the command line


@pytest.mark.parametrize(
    "word",
    [
        "bogus",
        "bogus=1",
        "pages",
        "pages=",
        "pages=0",
        "pages=16385",
        "pages=0x10",
        "pages=-1",
        "pages=99999999999999999999999999",
        "order=1",
        "order=rando",
        "kernel=101",
        "=",
        "=5",
        "tick=1",
        "m=1,c=1",
        "lie=9",
    ],
)
def test_a_word_that_makes_no_sense_is_named_and_ignored(word: str) -> None:
    kernel = Kernel(f"  {QUICK}  {word} c=0 ").run()
    assert kernel.vm.console.startswith(f"option ignored: {word}\nkernel: 1 CPUs, ")
    assert [w.done for w in kernel.of(MEMORY)] == [32]
    assert not kernel.of(COMPUTE)


def test_more_pages_than_ram_has() -> None:
    kernel = Kernel("pages=16384 passes=1 work=0 touch=1 c=0", memory=8 << 20).run()
    room = (0x4080_0000 - kernel.at("heap")) // PAGE
    assert kernel.vm.console.startswith(f"only {room} pages of heap fit into RAM\n")
    assert kernel.of(MEMORY)[0].done == room


def test_the_largest_heap() -> None:
    kernel = Kernel("pages=16384 passes=1 work=0 touch=1 c=0").run()
    assert (kernel.of(MEMORY)[0].done, kernel.of(MEMORY)[0].errors) == (16384, 0)


def test_more_threads_than_it_knows() -> None:
    kernel = Kernel(f"{QUICK} m=130 c=130").run()
    assert kernel.vm.console.startswith("only 255 threads a CPU: m=1 c=1 serve=0\n")
    assert len(kernel.work) == 3


def test_nobody_to_work() -> None:
    kernel = Kernel("m=0 c=0").run()
    assert "panic: no threads" in kernel.vm.console


def test_no_device_tree() -> None:
    kernel = Kernel(dtb=0x4700_0000)
    kernel.vm.write_register("x0", 0)
    kernel.run()
    assert kernel.vm.console == "\npanic: there is no device tree at x0\n"


# -- what goes wrong


@pytest.mark.parametrize("pc", [0x0, 0x4020_0000, 0x9000_0000, 0x4008_0002])
def test_a_thread_that_goes_astray_is_killed_and_the_others_go_on(pc: int) -> None:
    kernel = Kernel("m=2 c=1 pages=16 passes=20")
    while kernel.number(kernel.at("work") + 0x100) < 5 or kernel.vm.vcpus[0].pstate & 0xF:
        kernel.vm.run(500)
    kernel.vm.write_register("pc", pc)
    kernel.run()
    assert kernel.vm.console.count(" killed: ESR 0x8") == 1
    assert f" PC 0x{pc:x} address 0x{pc:x}\n" in kernel.vm.console
    first, second = kernel.of(MEMORY)
    assert (first.done < 160, second.done) == (True, 160)


def test_el0_may_not_touch_the_kernel() -> None:
    kernel = Kernel("c=0")
    while kernel.number(kernel.at("work") + 0x100) < 5 or kernel.vm.vcpus[0].pstate & 0xF:
        kernel.vm.run(100)
    code = kernel.vm.vcpus[0].pc
    kernel.vm.write_memory(code, (0xF9000020).to_bytes(4, "little"))  # STR X0, [X1]
    kernel.vm.write_register("x1", kernel.at("cpus"))
    kernel.run()
    assert f"thread 1 killed: ESR 0x9200004f PC 0x{code:x} address 0x{kernel.at('cpus'):x}\n" in (
        kernel.vm.console
    )


def test_an_exception_in_the_kernel_is_told_and_ends_it() -> None:
    kernel = Kernel(QUICK)
    code = kernel.at("schedule")
    kernel.vm.write_memory(code, bytes(4))  # UDF
    kernel.run()
    assert kernel.vm.console.endswith(
        f"\npanic: CPU 0 took an exception in the kernel: ESR 0x2000000 PC 0x{code:x} address 0x0\n"
    )


# -- the probes, and repetition


def test_probes_tell_of_threads_switches_and_the_window() -> None:
    kernel = Kernel(f"{QUICK} serve=1", vcpus=2).run()
    threads = [hit[1:4] for hit in kernel.probes("thread")]
    assert threads == [(w.id, w.cpu, w.kind) for w in kernel.work]
    running = {0: 0, 1: 1}
    for cpu, before, after, *_ in kernel.probes("switch"):
        assert running[cpu] == before != after
        assert kernel.work[after].cpu == cpu
        running[cpu] = after
    switches = [hit[0] for hit in kernel.probes("switch")]
    assert [switches.count(n) for n in (0, 1)] == [kernel.counters(n)["switches"] for n in (0, 1)]
    assert [hit[0] for hit in kernel.probes("start")] == [0]
    assert [hit[0] for hit in kernel.probes("end")] == [0]
    assert kernel.probes("sleep") == kernel.probes("wake") == []


def test_the_same_run_twice() -> None:
    one, other = (Kernel("pages=32 passes=2 m=2 lock=1", vcpus=2).run().vm for _ in range(2))
    assert list(one.trace) == list(other.trace)
    assert one.console == other.console


def test_another_compiler_makes_a_kernel_that_works(tmp_path: Path) -> None:
    others = [found for found in available() if found.version != COMPILER]
    if not others:
        pytest.skip("no second compiler here (pip install ziglang)")
    for compiler in others:
        directory = tmp_path / compiler.name.replace(" ", "_")
        directory.mkdir()
        kernel = Kernel(f"{QUICK} lock=1", image=build("kernel", directory, compiler), vcpus=2)
        kernel.run()
        assert [w.done for w in kernel.of(MEMORY)] == [16, 16]
        assert all(w.errors == 0 for w in kernel.work)
