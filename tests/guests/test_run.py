"""What the bundled guests do: what they print, and which calls and events that takes."""

from pathlib import Path

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.guests import GUESTS
from sdeiviz.guests.toolchain import Toolchain, available
from sdeiviz.trace import EventCompleted, EventDelivered, Hypercall, HypercallResult
from tests.guests.test_bundled import COMPILER, build

OFF = "power-off"

REGISTRATION = """\
SDEI_VERSION = 0x10001564bcaa9
SDEI_FEATURES = 0x0
SDEI_EVENT_STATUS = 0x0
SDEI_EVENT_REGISTER = 0x0
SDEI_EVENT_STATUS = 0x1
SDEI_EVENT_ENABLE = 0x0
SDEI_EVENT_STATUS = 0x3
SDEI_PE_UNMASK = 0x0
SDEI_EVENT_DISABLE = 0x0
SDEI_EVENT_UNREGISTER = 0x0
SDEI_EVENT_STATUS = 0x0
SDEI_EVENT_ENABLE = DENIED
"""

DELIVERY = """\
round one: EVENT_COMPLETE
SDEI_EVENT_REGISTER = 0x0
SDEI_EVENT_ENABLE = 0x0
SDEI_PE_UNMASK = 0x0
  handler: event = 0x0
  handler: argument = 0x51
  handler: interrupted right after the HVC: PASS
  handler: interrupted PSTATE = 0x800003c5
  handler: x4 at entry = 0x0
  handler: x4 by EVENT_CONTEXT = 0x1234
  handler: SDEI_EVENT_STATUS = 0x7
back: SDEI_EVENT_SIGNAL = 0x0
back: x4 = 0x1234
round two: EVENT_COMPLETE_AND_RESUME
SDEI_EVENT_UNREGISTER = 0x0
SDEI_EVENT_REGISTER = 0x0
SDEI_EVENT_ENABLE = 0x0
  handler: to the IRQ vector
  IRQ vector: ELR_EL1 is right after the HVC: PASS
back: SDEI_EVENT_SIGNAL = 0x0
back: x4 = 0x1234
"""

CHECKS = """\
  the event came at this level: PASS
  handler at EL1: PASS
  handler on SP_EL1: PASS
  handler on the same stack as before: PASS
  handler reads a privileged register: PASS
  left the handler as told: PASS
  x0-x17 intact: PASS
  NZCV intact: PASS
  SP_EL0 intact: PASS
"""
EL1T = "  back at EL1t: PASS\n" + CHECKS
EL0 = "  a privileged read at EL0 traps: PASS\n" + CHECKS
NOTHING = """\
  a privileged read at EL0 traps: PASS
  no event came: the host may inject event 0 in el0_loop
"""


def levels(complete: str, resume: str, failed: int = 0) -> str:
    """The console of `levels`, from what its two rounds at EL0 print."""
    return (
        "SDEI_EVENT_REGISTER = 0x0\nSDEI_EVENT_ENABLE = 0x0\nSDEI_PE_UNMASK = 0x0\n"
        f"EL1t, EVENT_COMPLETE\n{EL1T}EL1t, EVENT_COMPLETE_AND_RESUME\n{EL1T}"
        f"EL0, EVENT_COMPLETE\n{complete}EL0, EVENT_COMPLETE_AND_RESUME\n{resume}"
        f"checks that failed = {failed:#x}\n"
    )


def mix(rounds: int) -> tuple[int, int]:
    """The computations of `counter` and of `counter_memory`, in Python."""
    mask = (1 << 64) - 1

    def ror(value: int, count: int) -> int:
        return (value >> count | value << (64 - count)) & mask

    x1, x2, x3, x4, x5 = 1, 0, 0, 0, 0
    sum_memory, buffer = 0, [0] * 0x8000
    for _ in range(rounds):
        x1 ^= x1 << 13 & mask
        x1 ^= x1 >> 7
        x1 ^= x1 << 17 & mask
        x2 = (x2 + x1) & mask
        x3 = ror(x3 ^ x2, 11)
        x4 = (x4 + x3) & mask
        x5 = ror(x5 ^ x4, 29)
        x2 = (x2 + x5) & mask
        word = x1 % 0x40000 // 8
        buffer[word] = ror((buffer[word] + x1) & mask, 11)
        sum_memory = ((sum_memory ^ buffer[word]) + word * 8) & mask
    return x2, sum_memory


@pytest.mark.parametrize(
    ("name", "console"),
    [
        ("hello", "hello from EL1\n"),
        ("registration", REGISTRATION),
        ("delivery", DELIVERY),
        ("levels", levels(NOTHING, NOTHING)),
    ],
)
def test_console(name: str, console: str) -> None:
    vm = VirtualMachine(name)
    assert vm.run(1_000_000).reason == OFF
    assert vm.console == console


def test_spin_never_ends() -> None:
    vm = VirtualMachine("spin")
    assert vm.run(10_000).reason == "budget"
    assert vm.console == "spinning\n"
    assert vm.image.symbols.name_at(vm.vcpus[0].pc) == "forever"


@pytest.mark.parametrize("name", ["counter", "counter_memory"])
def test_counters_compute_what_python_computes(name: str) -> None:
    vm = VirtualMachine(name)
    rounds = vm.image.symbols.address_of("iterations")
    assert rounds is not None
    assert int.from_bytes(vm.memory[rounds : rounds + 8], "little") == 10_000_000
    vm.memory[rounds : rounds + 8] = (5000).to_bytes(8, "little")
    assert vm.run(1_000_000).reason == OFF
    assert vm.console == f"{name} = {mix(5000)[name == 'counter_memory']:#x}\n"


def moments(vm: VirtualMachine) -> list[tuple[str, int, int]]:
    """Calls, results, deliveries and completions, without the addresses."""
    found = []
    for event in vm.trace:
        if isinstance(event, Hypercall):
            found.append(("call", event.function & 0x1F, event.arguments[0] & 0xFF))
        elif isinstance(event, HypercallResult):
            found.append(("result", event.function & 0x1F, event.result))
        elif isinstance(event, EventDelivered):
            found.append(("delivered", event.event, event.registers[4]))
        elif isinstance(event, EventCompleted):
            found.append(("completed", event.event, event.resume is not None))
    return found


def test_the_calls_of_registration() -> None:
    vm = VirtualMachine("registration")
    vm.run(1_000_000)
    calls = [(what, function, value) for what, function, value in moments(vm) if what == "result"]
    denied = (1 << 64) - 3
    assert [(function, value) for _, function, value in calls] == [
        (0x00, 0x0001_0001_564B_CAA9),
        (0x10, 0),
        (0x08, 0),
        (0x01, 0),
        (0x08, 1),
        (0x02, 0),
        (0x08, 3),
        (0x0C, 0),
        (0x03, 0),
        (0x07, 0),
        (0x08, 0),
        (0x02, denied),
    ]


def test_the_moments_of_delivery() -> None:
    vm = VirtualMachine("delivery")
    vm.run(1_000_000)
    found = [m for m in moments(vm) if m[0] != "call"]
    assert found == [
        ("result", 0x01, 0),
        ("result", 0x02, 0),
        ("result", 0x0C, 0),
        ("result", 0x0F, 0),
        ("delivered", 0, 0x1234),
        ("result", 0x04, 0x1234),
        ("result", 0x08, 7),
        ("completed", 0, False),
        ("result", 0x07, 0),
        ("result", 0x01, 0),
        ("result", 0x02, 0),
        ("result", 0x0F, 0),
        ("delivered", 0, 0x1234),
        ("completed", 0, True),
    ]


COMPLETE, RESUME = "EL0, EVENT_COMPLETE\n", "EL0, EVENT_COMPLETE_AND_RESUME\n"


def run_to_el0_loop(vm: VirtualMachine, heading: str, more: int = 0) -> None:
    """Run until EL0 waits for the event of that round, and some instructions of the loop more."""
    loop = vm.image.symbols.address_of("el0_loop")
    assert loop is not None
    while heading not in vm.console or not loop <= vm.vcpus[0].pc < loop + 16:
        assert vm.run(50).reason == "budget"
    vm.run(more)
    assert loop <= vm.vcpus[0].pc < loop + 16
    assert vm.vcpus[0].pstate & 0xF == 0


@pytest.mark.parametrize("more", [0, 1, 2, 3, 79])
def test_an_event_that_the_host_injects_at_el0_leaves_nothing_changed(more: int) -> None:
    vm = VirtualMachine("levels")
    for heading in (COMPLETE, RESUME):
        run_to_el0_loop(vm, heading, more)
        assert vm.inject_event(0) == 0
    assert vm.run(1_000_000).reason == OFF
    assert vm.console == levels(EL0, EL0)
    delivered = [event for event in vm.trace if isinstance(event, EventDelivered)]
    assert [event.pstate & 0xF for event in delivered] == [4, 4, 0, 0]


@pytest.mark.parametrize(
    ("register", "value", "check"),
    [
        *((f"x{n}", 0xBAD, "x0-x17 intact") for n in range(18)),
        ("pstate", 0x1000_0000, "NZCV intact"),
        ("sp", 0x4008_2000, "SP_EL0 intact"),
    ],
)
def test_levels_notices_a_register_that_changed(register: str, value: int, check: str) -> None:
    vm = VirtualMachine("levels")
    run_to_el0_loop(vm, COMPLETE)
    vm.write_register(register, value)
    vm.inject_event(0)
    run_to_el0_loop(vm, RESUME)
    vm.inject_event(0)
    vm.run(1_000_000)
    wrong = EL0.replace(f"{check}: PASS", f"{check}: FAIL")
    assert vm.console == levels(wrong, EL0, failed=1)


def test_another_compiler_gives_the_same_console_and_the_same_moments(tmp_path: Path) -> None:
    others: list[Toolchain] = [found for found in available() if found.version != COMPILER]
    if not others:
        pytest.skip("no second compiler here (pip install ziglang)")
    for compiler in others:
        directory = tmp_path / compiler.name.replace(" ", "_")
        directory.mkdir()
        for name in set(GUESTS) - {"kernel"}:  # what it prints are times
            ours, theirs = VirtualMachine(name), VirtualMachine(build(name, directory, compiler))
            for vm in (ours, theirs):
                if name.startswith("counter"):
                    rounds = vm.image.symbols.address_of("iterations")
                    assert rounds is not None
                    vm.memory[rounds : rounds + 8] = (1000).to_bytes(8, "little")
                vm.run(1_000_000)
            assert theirs.console == ours.console != ""
            assert moments(theirs) == moments(ours)
