"""What is measured: each row with ours, its baseline and its floor."""

import dataclasses
import json
import random
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from unicorn.arm64_const import UC_ARM64_REG_PC

from sdeiviz import Session, VirtualMachine
from sdeiviz.abi.sdei import FIRST_FUNCTION, Call
from sdeiviz.experiment import load as load_parameters
from sdeiviz.experiment import run
from sdeiviz.guests import Image, load
from sdeiviz.machine import Paging
from sdeiviz.machine.memory import DEFAULT_SIZE, RAM_BASE
from sdeiviz.migration.live import migrate
from sdeiviz.sdei import Dispatcher, profile
from tests.benchmarks import guests, transfers
from tests.benchmarks.baseline import bare
from tests.benchmarks.run import ROOT, Row, seconds

CLOCKS = ("native", "python")


def rows(directory: Path) -> Iterator[Row]:
    """Yield every row; images of guests go into the directory."""
    yield from free_run("counter")
    yield from free_run("counter_memory")
    yield dispatcher("kvm-v7", "ours >= 300")
    yield dispatcher("den0054c", "ours >= 150")
    yield from hypercalls(directory)
    yield from faults(directory)
    yield from stepping()
    yield from goto()
    yield from migrations()
    yield imports()


def only_return(*_: Any) -> None:
    """The smallest hook."""


def start(image: Image) -> Any:
    """Return a bare core with a guest in its RAM."""
    return bare(image.segments, only_return)


def free_run(name: str) -> Iterator[Row]:
    """A loop of one block of 11 or 12 instructions, to a breakpoint after it (Python: a part).

    Every run is a new core's first, on both sides: newly translated code may run at half its speed
    for tenths of a second.
    """
    image = load(name, ram_base=RAM_BASE, ram_size=DEFAULT_SIZE)
    end = image.symbols.address_of("power_off")
    assert end

    def ours(clock: str) -> float:
        vm = VirtualMachine(image, clock=clock)
        vm.vcpus[0].core.breakpoints = (end,)
        took = seconds(lambda: vm.run(None if clock == "native" else 2_000_000))
        return vm.index / took / 1e6

    def baseline() -> float:
        uc = start(image)
        took = seconds(lambda: uc.emu_start(image.entry, end))
        return uc.index.value / took / 1e6

    for clock, floor, turns in zip(CLOCKS, ("ratio >= 0.7", ""), (5, 1), strict=True):
        yield Row(
            f"free run, {name}",
            clock,
            "M instr/s",
            lambda clock=clock: ours(clock),
            baseline,
            floor,
            turns,
        )


def dispatcher(name: str, floor: str) -> Row:
    """The calls of a handler's life, on vCPUs that are nothing but registers.

    Twelve of a private event's life; under the specification also six of a shared event's.
    """
    trace: list[Any] = []
    vcpus: list[Any] = []
    rules = Dispatcher(profile(name), trace.extend, vcpus)
    x = memoryview(array("Q", bytes(31 * 8)))
    for n in range(4):
        vcpus.append(SimpleNamespace(x=x, number=n, mpidr=n, sdei=rules.new_vcpu()))
    vcpu, shared = vcpus[0], 0x4040_0028
    life = [
        (FIRST_FUNCTION + call, array("Q", arguments))
        for call, *arguments in (
            (Call.VERSION, 0, 0, 0, 0),
            (Call.FEATURES, 1, 0, 0, 0),
            (Call.EVENT_GET_INFO, 0, 1, 0, 0),
            (Call.EVENT_REGISTER, 0, 0x4008_0000, 7, 0),
            (Call.EVENT_STATUS, 0, 0, 0, 0),
            (Call.EVENT_ENABLE, 0, 0, 0, 0),
            (Call.PE_UNMASK, 0, 0, 0, 0),
            (Call.EVENT_SIGNAL, 0, 0, 0, 0),
            (Call.EVENT_CONTEXT, 0, 0, 0, 0),
            (Call.EVENT_DISABLE, 0, 0, 0, 0),
            (Call.PE_MASK, 0, 0, 0, 0),
            (Call.EVENT_UNREGISTER, 0, 0, 0, 0),
            (Call.EVENT_REGISTER, shared, 0x4008_0000, 7, 1),
            (Call.EVENT_ROUTING_SET, shared, 1, 3, 0),
            (Call.EVENT_GET_INFO, shared, 4, 0, 0),
            (Call.EVENT_ENABLE, shared, 0, 0, 0),
            (Call.EVENT_DISABLE, shared, 0, 0, 0),
            (Call.EVENT_UNREGISTER, shared, 0, 0, 0),
        )
    ]
    if name == "kvm-v7":
        del life[12:]
    lives = 2_000

    def rate(call: Any) -> float:
        def live() -> None:
            for _ in range(lives):
                for function, arguments in life:
                    x[1:5] = arguments
                    call(vcpu, function)

        trace.clear()
        return lives * len(life) / seconds(live) / 1e3

    return Row(
        f"dispatcher, {name}; only a call",
        "none",
        "k calls/s",
        lambda: rate(rules.call),
        lambda: rate(only_return),
        floor,
    )


def hypercalls(directory: Path) -> Iterator[Row]:
    """SDEI_VERSION against an HVC whose hook only returns; a signalled event against two."""
    version = guests.image(guests.VERSION, directory)
    signal = guests.image(guests.SIGNAL, directory)

    def ours(image: Image, clock: str, count: int) -> float:
        vm = VirtualMachine(image, clock=clock)
        return count / seconds(vm.run) / 1e3

    def hvc() -> float:
        uc = start(version)  # its first run, as ours is
        return (
            guests.VERSION_CALLS
            / seconds(lambda: uc.emu_start(guests.BASE, guests.VERSION_END))
            / 1e3
        )

    for clock, floor in zip(CLOCKS, ("ratio >= 0.5", ""), strict=True):
        yield Row(
            "SDEI_VERSION; bare HVC",
            clock,
            "k/s",
            lambda clock=clock: ours(version, clock, guests.VERSION_CALLS),
            hvc,
            floor,
        )
    for clock, floor in zip(CLOCKS, ("ratio >= 0.25", ""), strict=True):
        yield Row(
            "SIGNAL, deliver, COMPLETE; two HVCs",
            clock,
            "k/s",
            lambda clock=clock: ours(signal, clock, guests.SIGNAL_ROUNDS),
            lambda: hvc() / 2,
            floor,
        )


def faults(directory: Path) -> Iterator[Row]:
    """Faults of which the guest was told, from the fault to the thread that goes on; bare HVCs.

    Threads touch page after page, each 36.2 us away, the least that was ever measured; another one
    computes meanwhile. The window's instructions, which also take time, are in it: with one thread
    that touches pages some 39,000 for each fault, with four of them 7,100.
    """
    parameters = load_parameters().set("latency.rfcv2", 36_200).set("window.short", 100_000_000)
    case = dataclasses.replace(parameters.case("ablation"), order="sequential")
    version = guests.image(guests.VERSION, directory)

    def ours(threads: int) -> float:
        result = run(dataclasses.replace(case, m=threads), "arm64-v4", parameters)
        return result.faults["notified", ""] / result.host_seconds / 1e3

    def hvc() -> float:
        uc = start(version)
        return (
            guests.VERSION_CALLS
            / seconds(lambda: uc.emu_start(guests.BASE, guests.VERSION_END))
            / 1e3
        )

    for threads, name, floor in ((4, "four threads", "ours >= 5"), (1, "one thread", "")):
        yield Row(
            f"async page fault, {name}; bare HVC",
            "native",
            "k/s",
            lambda threads=threads: ours(threads),
            hvc,
            floor,
        )


def stepping() -> Iterator[Row]:
    """Forward in a recording, one instruction at a time; bare, `emu_start` of one instruction."""
    image = load("counter_memory", ram_base=RAM_BASE, ram_size=DEFAULT_SIZE)
    uc = start(image)
    uc.reg_write(UC_ARM64_REG_PC, image.entry)
    count = 2_000

    def step() -> None:
        uc.emu_start(uc.reg_read(UC_ARM64_REG_PC), 0, count=1)

    def rate(step: Any) -> float:
        return count / seconds(lambda: [step() for _ in range(count)]) / 1e3

    for clock, floor in zip(CLOCKS, ("ours >= 30", ""), strict=True):
        session = Session(image, clock=clock)
        yield Row(
            "recorded stepping",
            clock,
            "k instr/s",
            lambda session=session: rate(session.step),
            lambda: rate(step),
            floor,
        )


def goto() -> Iterator[Row]:
    """Anywhere in a recording of 1,000,000 instructions: the median of 40 jumps."""
    where = random.Random(1)

    def jump(session: Session) -> float:
        return statistics.median(
            seconds(lambda: session.goto(where.randrange(session.total + 1))) * 1e3
            for _ in range(40)
        )

    for clock, floor in zip(CLOCKS, ("ours <= 50", ""), strict=True):
        session = Session("counter_memory", clock=clock)
        session.run(1_000_000)
        yield Row(
            "goto in 1,000,000 instructions",
            clock,
            "ms (median)",
            lambda session=session: jump(session),
            None,
            floor,
            turns=1,
        )


def migrations() -> Iterator[Row]:
    """A guest over loopback into another process; bare, sockets carry as many bytes of RAM.

    Wall time, as all that waits is in it. RAM holds random bytes but for a sixteenth, and is new
    where it goes to on both sides. The guest of the first two rows stands still, that of the third
    runs, and is complete when all has come and is compared.
    """
    size = 256 << 20

    def move(guest: str, passes: int) -> tuple[float, dict[str, Any]]:
        options = {"memory": size, "paging": Paging("sync")}
        vm = VirtualMachine(guest, **options)
        vm.run(2_000_000)
        noise = random.Random(1).randbytes(1 << 20)
        for start in range(RAM_BASE + size // 16, RAM_BASE + size, len(noise)):
            vm.write_memory(start, noise)
        with transfers.peer(transfers.DESTINATION, guest, str(size)) as (port, peer):
            began = time.perf_counter()
            migrate(vm, ("127.0.0.1", port), passes=passes)
            took = time.perf_counter() - began
            assert peer.stdout
            return took, json.loads(peer.stdout.readline())

    def bare() -> float:
        with transfers.peer(transfers.SINK, str(size)) as (port, _):
            return size / transfers.send(port, size) / 1e6

    def placed() -> float:
        _, report = move("hello", 0)
        return report["destination"]["placed"] / (report["times"]["postcopy"] / 1e9) / 1e3

    yield Row(
        "migration of 256 MB; socket to socket",
        "native",
        "MB/s",
        lambda: size / move("hello", 1)[0] / 1e6,
        bare,
        "ratio >= 0.5",
    )
    yield Row("migration: pages placed after the switch", "native", "k/s", placed, None, turns=1)
    yield Row(
        "migration of 256 MB, running", "native", "s", lambda: move("kernel", 1)[0], None, turns=1
    )


def imports() -> Row:
    """`import sdeiviz`, with all that the debugger needs; the baseline imports Unicorn alone."""

    def importing(module: str) -> float:
        program = (
            f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        )
        return float(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))

    return Row(
        "import; Unicorn's",
        "none",
        "s",
        lambda: importing("sdeiviz, sdeiviz.debugger"),
        lambda: importing("unicorn"),
        "ours <= 0.5",
        turns=1,
    )
