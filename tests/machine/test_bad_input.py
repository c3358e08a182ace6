"""What a user or a guest can get wrong: one clear line, or what the architecture says."""

import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sdeiviz import Error, Session, VirtualMachine
from sdeiviz.machine import StopReason
from sdeiviz.trace import ExceptionTaken, Stopped
from tests.machine.guest import BASE, DATA, MEMORY, RAM, everything, guest

ROOT = Path(__file__).resolve().parents[2]
LOOP = "again: add x1, x1, #1\n b again"


def session() -> Session:
    return Session(guest(LOOP).path, load_address=BASE, memory=MEMORY)


def make(**options: object) -> Callable[[], object]:
    return lambda: guest(LOOP).vm(**options)


def on_vm(move: Callable[[VirtualMachine], object]) -> Callable[[], object]:
    return lambda: move(guest(LOOP).vm())


def on_session(move: Callable[[Session], object]) -> Callable[[], object]:
    return lambda: move(session())


MISTAKES = {
    "RAM of no bytes": (make(memory=0), "guest memory of 0x0 bytes"),
    "RAM below zero": (make(memory=-4096), "guest memory of -0x1000 bytes"),
    "RAM of half a page": (make(memory=MEMORY + 2048), "multiple of 4 KiB"),
    "RAM larger than can be": (make(memory=1 << 62), "up to 32 GiB"),
    "RAM without room for the image": (make(memory=4096), "outside RAM"),
    "more vCPUs than a GICv2 serves": (make(vcpus=9), "1 to 8 vCPUs, not 9"),
    "more vCPUs than there are": (make(vcpus=33, gic=3), "1 to 32 vCPUs, not 33"),
    "no vCPU": (make(vcpus=0), "1 to 8 vCPUs, not 0"),
    "no such GIC": (make(gic=4), "no GICv4"),
    "too short turns": (make(quantum=99), "a turn of 99 instructions: want 100"),
    "a device tree outside RAM": (make(dtb=0x1000), "no device tree at 0x1000"),
    "a device tree at an odd place": (make(dtb=0x4000_0004), "multiple of 8"),
    "a device tree in the image": (make(dtb=0x4008_0000), "the image has 0x40080000 there"),
    "no such clock": (make(clock="sundial"), "no clock 'sundial'"),
    "no such profile": (make(profile="kvm-v8"), "no profile 'kvm-v8'"),
    "no such register": (on_vm(lambda vm: vm.write_register("x31", 1)), "no register 'x31'"),
    "a register of EL2": (on_vm(lambda vm: vm.write_register("vttbr_el2", 1)), "no register"),
    "an attribute": (on_vm(lambda vm: vm.write_register("vm", 1)), "no register 'vm'"),
    "no name": (on_vm(lambda vm: vm.write_register("", 1)), "no register ''"),
    "PSTATE of EL2": (on_vm(lambda vm: vm.write_register("pstate", 0x3C9)), "no PSTATE 0x3c9"),
    "PSTATE of EL3": (on_vm(lambda vm: vm.write_register("pstate", 0x3CD)), "no PSTATE 0x3cd"),
    "PSTATE of AArch32": (on_vm(lambda vm: vm.write_register("pstate", 0x10)), "no PSTATE 0x10"),
    "PSTATE of no mode": (on_vm(lambda vm: vm.write_register("pstate", 0x3)), "no PSTATE 0x3"),
    "PSTATE with bits that are none": (
        on_vm(lambda vm: vm.write_register("pstate", 1 << 20 | 5)),
        "no PSTATE 0x100005",
    ),
    "memory below RAM": (on_vm(lambda vm: vm.write_memory(RAM - 1, b"ab")), "no RAM at"),
    "memory over the end": (
        on_vm(lambda vm: vm.write_memory(RAM + MEMORY - 1, b"ab")),
        "no RAM at",
    ),
    "memory far away": (on_vm(lambda vm: vm.write_memory(1 << 70, b"ab")), "no RAM at"),
    "memory backwards": (on_vm(lambda vm: vm.memory[RAM + 8 : RAM]), "no RAM at"),
    "memory without bounds": (on_vm(lambda vm: vm.memory[:]), "no RAM at None"),
    "an index before the start": (on_session(lambda s: s.goto(-1)), "no index -1"),
    "an index after the end": (on_session(lambda s: s.goto(1)), "it has 0 to 0"),
    "no such symbol": (on_session(lambda s: s.toggle_breakpoint("main")), "no symbol 'main'"),
    "a breakpoint between words": (on_session(lambda s: s.toggle_breakpoint(BASE + 2)), "multiple"),
    "a breakpoint below zero": (on_session(lambda s: s.toggle_breakpoint(-4)), "no instruction"),
    "memory to look at": (on_session(lambda s: s.read_memory(0, 16)), "no RAM at 0x0-0x10"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_clear_line(name: str) -> None:
    move, text = MISTAKES[name]
    with pytest.raises(Error) as caught:
        move()
    message = str(caught.value)
    assert text in message
    assert "\n" not in message
    assert len(message) < 200


def test_memory_is_indexed_by_slices() -> None:
    vm = guest(LOOP).vm()
    for key in (RAM, slice(RAM, RAM + 8, 2)):
        with pytest.raises(TypeError, match="slices"):
            vm.memory[key]
    with pytest.raises(Error, match="2 bytes do not fill 3"):
        vm.memory[RAM : RAM + 3] = b"ab"


MISUSES: list[Callable[[Session], object]] = [
    lambda s: s.write_register("x77", 1),
    lambda s: s.write_register("pstate", 0x3C9),
    lambda s: s.write_memory(0, b"x"),
    lambda s: s.goto(10_000),
    lambda s: s.toggle_breakpoint("nothing"),
]


@pytest.mark.parametrize("at", [0, 10, 20])
def test_nothing_is_lost_by_a_mistake(at: int) -> None:
    """A refused action in the past does not cut off the future."""
    it = session()
    it.run(20)
    it.inject_event(0)
    it.goto(at)
    before = it._vm.save()
    for misuse in MISUSES:
        with pytest.raises(Error):
            misuse(it)
    assert (it.index, it.total, len(it.trace)) == (at, 20, 2)
    assert not it.snapshot().forked
    assert it._vm.save() == before
    it.goto(20)
    it.step(5)
    assert it.index == 25


# -- values that registers cannot hold, from the host

WIDE = (1 << 64) - 1


def test_registers_take_the_bits_they_have() -> None:
    vm = guest(LOOP).vm()
    vm.write_register("x3", -1)
    vm.write_register("x4", 1 << 64 | 7)
    vm.write_register("spsr_el1", WIDE)
    vm.write_register("vbar_el1", WIDE)
    vm.write_register("csselr_el1", WIDE)
    core = vm.vcpus[0].core
    assert (vm.vcpus[0].x[3], vm.vcpus[0].x[4]) == (WIDE, 7)
    assert core["spsr_el1"] == 0xFFFF_FFFF
    assert core["vbar_el1"] & 0x1F == 0
    assert core["csselr_el1"] <= 0xF


def test_a_cache_that_is_none_can_be_asked_for() -> None:
    """CSSELR_EL1 picks an entry of a table of the core's: from outside no other than by MSR."""
    vm = guest("mrs x1, ccsidr_el1\n off").vm()
    vm.write_register("csselr_el1", WIDE)
    assert vm.run(10).reason == "power-off"


def test_system_registers_from_outside_take_effect() -> None:
    """As after the guest's own MSR: here the MMU goes on under its feet."""
    vm = guest("nop\n nop\n nop").vm()
    vm.run(1)
    vm.write_register("sctlr_el1", vm.vcpus[0].core["sctlr_el1"] | 1)
    stop = vm.run(10)
    assert (stop.reason, stop.index) == ("vector", 3)
    assert vm.trace[-1].reason == "vector"


def test_stack_pointers_from_outside() -> None:
    vm = guest(LOOP).vm()
    for name, value in (("sp", 0x10), ("sp_el0", 0x20), ("sp_el1", 0x30)):
        vm.write_register(name, value)
    assert (vm.vcpus[0].sp, vm.vcpus[0].core["sp_el0"]) == (0x30, 0x20)
    vm.write_register("pstate", 0x3C4)  # EL1t
    assert vm.vcpus[0].sp == 0x20
    vm.write_register("sp_el0", 0x40)
    assert vm.vcpus[0].sp == 0x40
    vm.write_register("pstate", 0x3C5)
    assert (vm.vcpus[0].sp, vm.vcpus[0].core["sp_el0"]) == (0x30, 0x40)


def test_a_level_from_outside_takes_effect_at_once() -> None:
    for pstate, undefined in ((0x000, True), (0x3C4, False), (0x3C5, False)):
        vm = guest("nop\n mrs x1, vbar_el1\n off").vm()
        vm.run(1)
        vm.write_register("pstate", pstate)
        vm.run(10)
        taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
        assert bool(taken) is undefined


def test_a_pc_between_two_instructions_from_outside() -> None:
    vm = guest("ldr x1, =0x40082000\n msr vbar_el1, x1\n nop\n off").vm()
    vm.run(2)
    vm.write_register("pc", BASE + 9)
    vm.run(1)
    taken = vm.trace[-1]
    assert (taken.syndrome, taken.address, taken.pc) == (0x8A00_0000, BASE + 9, BASE + 9)
    assert vm.vcpus[0].pc == 0x4008_2200


# -- guests that do what no guest should

VECTORS = "ldr x1, =vectors\n msr vbar_el1, x1\n"
END = "\n all_vectors handler\n handler: off\n"
SETTINGS = {
    "SCTLR all ones": "movn x0, #0\n msr sctlr_el1, x0\n isb\n nop\n off",
    "SCTLR zero": "msr sctlr_el1, xzr\n isb\n nop\n off",
    "big-endian data": "mov x0, #1 << 25\n msr sctlr_el1, x0\n isb\n nop\n off",
    "MMU on without tables": "mrs x0, sctlr_el1\n orr x0, x0, #1\n msr sctlr_el1, x0\n isb\n off",
    "TCR all ones": "movn x0, #0\n msr tcr_el1, x0\n mmu_on\n off",
    "VBAR nowhere": "movn x0, #0\n msr vbar_el1, x0\n svc #0",
    "ERET to EL2": "enter 0x3c9, 1f\n .ltorg\n 1: off",
    "ERET to EL3": "enter 0x3cd, 1f\n .ltorg\n 1: off",
    "ERET to nowhere": "movn x0, #0\n msr elr_el1, x0\n mov x0, #5\n msr spsr_el1, x0\n eret",
    "DAIF, SPSel, CurrentEL": "msr daif, x0\n mrs x1, currentel\n msr spsel, #1\n off",
    "an SP that is not aligned": "mov x0, #3\n mov sp, x0\n ldr x0, [sp]\n off",
    "LDXR at the end of RAM": "ldr x0, =0x400ffffc\n ldxr x2, [x0]\n stxr w3, x2, [x0]\n off",
    "a store over its own code": "adr x0, 1f\n 1: str xzr, [x0], #-4\n b 1b",
    "a pair over the end of RAM": "ldr x0, =0x400ffff8\n stp x1, x2, [x0]\n off",
    "over the end of the address space": "movn x0, #3\n br x0",
    "cache maintenance nowhere": "mov x0, #0x10000000\n dc civac, x0\n ic ivau, x0\n off",
    "zeroing nowhere": "mov x0, #0x10000000\n dc zva, x0\n off",
    "address translation": "mov x0, #0\n at s1e1r, x0\n mrs x1, par_el1\n at s1e0w, x0\n off",
    "translation of what a table in a device says": (
        "mrs x0, sctlr_el1\n mov x2, x0\n ldr x1, =UART\n msr ttbr0_el1, x1\n at s1e1r, x1\n off"
    ),
    "debug": "msr mdscr_el1, x0\n msr dbgbcr0_el1, x0\n mrs x0, oslsr_el1\n dcps1\n off",
    "a debug exception wanted": "movn x0, #0\n msr mdscr_el1, x0\n msr oslar_el1, xzr\n nop\n off",
}


@pytest.mark.parametrize("vectors", ["vectors", "no vectors"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_guest_that_breaks_its_machine(name: str, vectors: str) -> None:
    code = VECTORS + SETTINGS[name] + END if vectors == "vectors" else SETTINGS[name]
    vm = guest(code).vm()
    vm.run(2000)
    other = guest(code).vm(clock="python")
    if name != "a store over its own code":  # without barriers the next block may be the old one
        while other.index < vm.index and not other.stopped:
            other.run(1)
        assert everything(other) == everything(vm)


def test_random_words() -> None:
    """Code that is no code."""
    dice = random.Random(7)
    made = guest("nop")
    for _ in range(60):
        vm = made.vm()
        words = [dice.getrandbits(32) for _ in range(200)]
        # Half of them in the space of branches and system instructions.
        words[::2] = [w & 0x03FF_FFFF | 0xD400_0000 for w in words[::2]]
        vm.memory[BASE : BASE + 800] = b"".join(w.to_bytes(4, "little") for w in words)
        vm.vcpus[0].write_register("vbar_el1", BASE)
        for n in range(31):
            vm.vcpus[0].x[n] = dice.choice([DATA, 0, dice.getrandbits(64), n])
        vm.run(5000)


AARCH32 = {
    "an endless loop": ".inst 0xeafffffe",
    "an undefined instruction": ".inst 0xe7f000f0",
    "SVC": ".inst 0xef000000",
    "a load from nowhere": ".inst 0xe5910000",
}
THUMB = {
    "an endless loop in Thumb": ".inst 0xe7fee7fe",
    "SVC in Thumb": ".inst 0xdf00df00",
    "words in Thumb": ".inst 0x8000f3af\n.inst 0xfffcf7ff",
}


@pytest.mark.parametrize("steps", ["free", "stepped"])
@pytest.mark.parametrize("clock", ["native", "python"])
@pytest.mark.parametrize("name", [*AARCH32, *THUMB])
def test_aarch32_is_refused(name: str, clock: str, steps: str) -> None:
    spsr = 0x30 if name in THUMB else 0x10
    made = guest(f"enter {spsr}, there\n .ltorg\n there: {(AARCH32 | THUMB)[name]}\n")
    vm = made.vm(clock=clock)
    before = vm.save()
    for _ in range(3):  # and again, for whoever tries again
        stop = vm.run(30) if steps == "free" else [vm.run(1) for _ in range(30)][-1]
        assert stop.reason is StopReason.UNSUPPORTED
        assert "AArch32" in stop.detail
        assert "\n" not in stop.detail
    assert [type(event) for event in vm.trace] == [Stopped]
    # Back where the guest still is what it should be, all is well.
    vm.load(before)
    vm.run(4)
    assert (vm.vcpus[0].pc, vm.vcpus[0].pstate) == (BASE + 16, 0x3C5)


def test_a_session_survives_aarch32() -> None:
    made = guest("nop\n nop\n enter 0x10, there\n .ltorg\n there: .inst 0xeafffffe\n")
    it = Session(made.path, load_address=BASE, memory=MEMORY)
    assert it.run().reason is StopReason.UNSUPPORTED
    it.goto(3)
    assert (it.index, it.snapshot().registers.pc) == (3, BASE + 12)
    it.step_back()
    it.write_register("x0", 5)  # another history
    it.goto(0)
    it.step(4)
    assert it.snapshot().registers.pc == BASE + 16


# -- too little memory

LIMITED = """
import resource, sys
from sdeiviz import Error, VirtualMachine
import llvmlite.binding
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) << 20 >> 20,) * 2)
try:
    print(VirtualMachine("hello", memory=1 << 20).run(10_000).reason)
except Error as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("room", "answer"),
    [
        (0, "GuestMemoryError"),
        (1, "GuestMemoryError"),
        (20, "CoreError"),
        (80, "CoreError"),
        (155, "CoreError"),
        (168, "power-off"),
        (300, "power-off"),
    ],
)
def test_too_little_memory_is_an_error_before_the_core_is_made(room: int, answer: str) -> None:
    """Unicorn itself would end the process, without a word from Python."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(room << 20)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(answer)
    assert done.stdout.count("\n") == 1
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != room
