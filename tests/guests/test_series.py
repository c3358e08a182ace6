"""The series' own tests as guests: the firmware bitmap, and what a handler gets to see."""

import errno

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.sdei import profile
from sdeiviz.trace import EventCompleted, EventDelivered, Hypercall, HypercallResult

EIGHT = {
    "SDEI_SHARED_RESET": 0xC400_0032,
    "SDEI_PRIVATE_RESET": 0xC400_0031,
    "SDEI_PE_UNMASK": 0xC400_002C,
    "SDEI_EVENT_REGISTER": 0xC400_0021,
    "SDEI_EVENT_ENABLE": 0xC400_0022,
    "SDEI_EVENT_DISABLE": 0xC400_0023,
    "SDEI_EVENT_UNREGISTER": 0xC400_0027,
    "SDEI_PE_MASK": 0xC400_002B,
}
"""The calls of the selftest aarch64/hypercalls, in its order."""
MINUS_ONE = (1 << 64) - 1
PROFILES = ["kvm-v7", "kvm-v7-literal"]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(("bitmap", "shown"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_bitmap_decides_whether_the_eight_calls_are_supported(
    bitmap: int, shown: bool, name: str
) -> None:
    vm = VirtualMachine("selftest_hypercalls", profile=name)
    bits = vm.hypercalls.filter
    assert bits.set_std_bitmap(bitmap) == 0
    assert vm.run(10_000).reason == "power-off"

    answer = "0x0" if shown else "NOT_SUPPORTED"
    assert vm.console == "".join(f"{call} = {answer}\n" for call in EIGHT)
    calls = [e for e in vm.trace if isinstance(e, Hypercall)]
    assert [e.function for e in calls] == [*EIGHT.values(), 0x8400_0008]
    assert {e.arguments for e in calls[:-1]} == {(0, 0, 0, 0, 0)}
    results = [e.result for e in vm.trace if isinstance(e, HypercallResult)]
    assert results == [0 if shown else MINUS_ONE] * 8

    # A vCPU has run: the register can be written with what it has, and with nothing else.
    assert bits.set_std_bitmap(bitmap) == 0
    assert bits.set_std_bitmap(bitmap ^ 2) == -errno.EBUSY
    assert bits.std_bitmap == bitmap


def test_the_bitmap_is_all_ones_to_begin_with() -> None:
    vm = VirtualMachine("selftest_hypercalls")
    assert vm.hypercalls.filter.std_bitmap == 3
    vm.run(10_000)
    assert "NOT_SUPPORTED" not in vm.console


# -- the client driver

READY = """\
SDEI_VERSION = 0x10001564bcaa9
SDEI_EVENT_REGISTER = 0x0
SDEI_EVENT_ENABLE = 0x0
SDEI_PE_UNMASK = 0x0
  handler: event = 0x0
  handler: argument = 0xdabfdabf
  handler: interrupted PC = {pc:#x}
  handler: interrupted PSTATE = 0x800003c5
"""
SAME = "  handler: context: same\n"
CLEARED = "".join(f"  handler: context differs: at entry x{n} = 0x0\n" for n in range(4, 18))
BACK = "x0-x30 came back: PASS\nSDEI_EVENT_UNREGISTER = 0x0\n"
MARK = 0x5DE1_C0DE_0000_0000


def driver(name: str = "kvm-v7", keep: bool = False) -> VirtualMachine:
    """Load the guest, under a profile that keeps x4-x17 at entry or does not."""
    return VirtualMachine("client_driver", profile=profile(name).replace(keep_x4_to_x17=keep))


def address(vm: VirtualMachine, symbol: str) -> int:
    found = vm.image.symbols.address_of(symbol)
    assert found is not None
    return found


def run_to(vm: VirtualMachine, symbol: str) -> None:
    """Run until the guest stands at a symbol."""
    while vm.vcpus[0].pc != address(vm, symbol):
        assert vm.run(1).reason == "budget"


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(("keep", "context"), [(False, CLEARED), (True, SAME)])
def test_context_and_registers(name: str, keep: bool, context: str) -> None:
    """D9: the series clears x4-x17 for the handler; to the interrupted code nothing is lost."""
    vm = driver(name, keep)
    assert vm.run(20_000).reason == "power-off"
    ready = READY.format(pc=address(vm, "interrupted"))
    assert vm.console == ready + context + BACK
    (delivered,) = [e for e in vm.trace if isinstance(e, EventDelivered)]
    marked = [MARK + n for n in range(4, 18)]
    assert list(delivered.registers) == [0, 0, 0, 0, *marked]
    asked = [e.arguments[0] for e in vm.trace if isinstance(e, Hypercall) and e.function & 31 == 4]
    assert asked == [*range(4), *range(18)]


def test_the_profile_is_d9_unless_told_otherwise() -> None:
    vm = VirtualMachine("client_driver")
    vm.run(20_000)
    assert CLEARED in vm.console


def test_every_register_is_marked_at_the_call() -> None:
    vm = driver()
    run_to(vm, "handler")
    vcpu = vm.vcpus[0]
    assert [*vcpu.x[18:31]] == [MARK + n for n in range(18, 31)]
    assert [*vcpu.sdei.contexts[-1].x[:18]] == [0, 0, 0, 0, *(MARK + n for n in range(4, 18))]
    assert [*vcpu.x[:3]] == [0, 0xDABF_DABF, address(vm, "interrupted")]


@pytest.mark.parametrize("register", range(4, 18))
def test_the_handler_names_the_one_register_that_differs(register: int) -> None:
    vm = driver(keep=True)
    run_to(vm, "handler")
    vm.write_register(f"x{register}", 0xBAD)
    vm.run(20_000)
    differs = f"  handler: context differs: at entry x{register} = 0xbad\n"
    assert vm.console.endswith(f"0x800003c5\n{differs}{BACK}")


@pytest.mark.parametrize("register", range(31))
def test_the_interrupted_code_notices_a_register_that_did_not_come_back(register: int) -> None:
    vm = driver(keep=True)
    run_to(vm, "interrupted")
    vm.write_register(f"x{register}", 0xBAD)
    vm.run(20_000)
    assert vm.console.endswith(SAME + BACK.replace("PASS", "FAIL"))


def test_without_sdei_the_driver_gives_up() -> None:
    vm = driver()
    vm.hypercalls.filter.set_std_bitmap(1)
    assert vm.run(20_000).reason == "power-off"
    assert vm.console == "SDEI_VERSION = NOT_SUPPORTED\n"


@pytest.mark.parametrize(
    ("call", "after"),
    [(0x21, ""), (0x22, "SDEI_EVENT_UNREGISTER = 0x0\n")],
    ids=["registering", "enabling"],
)
def test_when_a_call_fails_what_was_done_is_undone(call: int, after: str) -> None:
    """The host turns the event's number into that of no event, just before the call."""
    vm = driver()
    hvc = 0xD400_0002
    vcpu = vm.vcpus[0]
    while (vcpu.x0, vcpu.core.read_word(vcpu.pc)) != (0xC400_0000 | call, hvc):
        assert vm.run(1).reason == "budget"
    vm.write_register("x1", 2)
    assert vm.run(20_000).reason == "power-off"
    assert vm.console.endswith(f" = INVALID_PARAMETERS\n{after}")
    assert vm.console.count("INVALID_PARAMETERS") == 1
    assert not [e for e in vm.trace if isinstance(e, EventDelivered)]


# -- the kernel's test of SDEI itself

COMMANDS = {
    "IDLE": [],
    "SDEI_VERSION": [0x20],
    "SDEI_FEATURES": [0x30, 0x30],
    "SDEI_SHARED_RESET": [0x32],
    "SDEI_PRIVATE_RESET": [0x31],
    "SDEI_PE_UNMASK": [0x2C],
    "SDEI_EVENT_GET_INFO": [0x29, 0x29, 0x29],
    "SDEI_EVENT_REGISTER": [0x21],
    "SDEI_EVENT_ENABLE": [0x22],
    "SDEI_EVENT_SIGNAL": [0x2F, 0x28, 0x24, 0x24, 0x24, 0x24, 0x26],
    "SDEI_PE_MASK": [0x2B],
    "SDEI_EVENT_DISABLE": [0x23],
    "SDEI_EVENT_UNREGISTER": [0x27],
}
"""What the test asks for, in its order, and which calls the guest makes of it."""
ALL_PASS = "".join(f"{command}: PASS\n" for command in COMMANDS) + "EXIT\nPASS\n"


@pytest.mark.parametrize("quantum", [100, 1777, 20_000])
@pytest.mark.parametrize("name", PROFILES)
def test_both_vcpus_obey_every_command_and_find_the_same(name: str, quantum: int) -> None:
    vm = VirtualMachine("selftest_sdei", profile=name, vcpus=2, quantum=quantum)
    assert vm.run(20_000_000).reason == "power-off"
    assert vm.console == ALL_PASS
    for vcpu in (0, 1):
        calls = [e.function for e in vm.trace if isinstance(e, Hypercall) and e.vcpu == vcpu]
        sdei = [call & 0xFF for call in calls if call >> 24 == 0xC4 and call & 0x20]
        assert sdei == [call for command in COMMANDS.values() for call in command]
        (delivered,) = [e for e in vm.trace if isinstance(e, EventDelivered) and e.vcpu == vcpu]
        assert delivered.pc == address(vm, "signalled")
        assert delivered.registers[:4] == (0, 0, 0, 0)
        (completed,) = [e for e in vm.trace if isinstance(e, EventCompleted) and e.vcpu == vcpu]
        assert completed.resume == address(vm, "vectors") + 0x280


@pytest.mark.parametrize(
    ("knobs", "failing"),
    [
        ({"version": 0x10000}, ["SDEI_VERSION", "SDEI_FEATURES"]),
        ({"signaled_per_event": True}, ["SDEI_EVENT_GET_INFO"]),
        ({"mask_tells_change": True}, ["SDEI_PE_MASK"]),
        ({"preserve_x1_to_x3": True}, ["SDEI_EVENT_SIGNAL"]),
        ({"signal_resolves_target": True}, ["SDEI_EVENT_SIGNAL"]),
    ],
    ids=["version", "signalled", "mask", "x1-x3", "target"],
)
def test_it_names_the_command_that_is_not_as_in_the_series(
    knobs: dict[str, object], failing: list[str]
) -> None:
    vm = VirtualMachine("selftest_sdei", profile=profile("kvm-v7").replace(**knobs), vcpus=2)
    assert vm.run(20_000_000).reason == "power-off"
    lines = [f"{c}: {'FAIL' if c in failing else 'PASS'}" for c in COMMANDS]
    assert vm.console.splitlines() == [*lines, "EXIT", "FAIL"]


def test_it_notices_that_the_records_differ() -> None:
    vm = VirtualMachine("selftest_sdei", vcpus=2)
    while vm.console != "IDLE: PASS\n":
        vm.run(1)
    second = address(vm, "records") + 112
    while not any(vm.memory[second : second + 8]):  # until it has its version
        vm.run(1)
    vm.write_memory(second + 16, b"\1")
    assert vm.run(20_000_000).reason == "power-off"
    assert "\nSDEI_VERSION: FAIL\nSDEI_FEATURES: PASS\n" in vm.console


def test_it_wants_two_vcpus() -> None:
    vm = VirtualMachine("selftest_sdei")
    assert vm.run(20_000).reason == "power-off"
    assert vm.console == "there is no second vCPU: this test needs two\n"
