"""Migration: the pseudo firmware registers on a real machine, and every state of SDEI moved."""

import errno
import struct
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.sdei.registers import RegisterError
from sdeiviz.trace import EventDelivered, Trace
from tests.machine.guest import Guest, guest

REGISTERS = [
    *(0x6040000000140004 + n for n in range(4)),
    *(0x6030000000140008 + n for n in range(4)),
    0x608000000014000C,
    0x603000000014000D,
]
STD_BMAP = 0x6030000000160000

PROLOGUE = """
    mov x1, #0
    adr x2, handler
    mov x3, #0x55
    mov x4, #0
    mov x5, #0
    call 0xc4000021         // register
    mov x1, #0
    call 0xc4000022         // enable
"""
SIGNAL = "mov x1, #0\n mov x2, #0\n call 0xc400002f\n"
UNMASK = "call 0xc400002c\n"
HANDLER = """
    .ltorg
handler:
    ldr x9, =DATA
    ldr x10, [x9]
    add x10, x10, #1
    str x10, [x9]
inside:
    {inside}
    mov x1, #0
    call 0xc4000025         // complete
"""

# Guest, and the label at which it is moved.
STATES: dict[str, tuple[str, str, str]] = {
    "idle": (PROLOGUE + UNMASK + "here: nop\n" + SIGNAL + "off", "", "here"),
    "masked": (PROLOGUE + "here: nop\n" + UNMASK + SIGNAL + "off", "", "here"),
    "pending": (PROLOGUE + SIGNAL + "here: nop\n" + UNMASK + "nop\n off", "", "here"),
    "inside a handler": (PROLOGUE + UNMASK + SIGNAL + "nop\n off", "nop", "inside"),
    "pending inside its handler": (
        PROLOGUE + UNMASK + SIGNAL + "nop\n off",
        "cmp x10, #2\n b.hs again\n" + SIGNAL + "here: nop\n again:",
        "here",
    ),
    "unregister pending": (
        PROLOGUE + UNMASK + SIGNAL + "nop\n" + PROLOGUE + SIGNAL + "nop\n off",
        "cmp x10, #2\n b.hs again\n mov x1, #0\n call 0xc4000027\nhere: nop\n again:",
        "here",
    ),
}


def moved(name: str) -> tuple[Guest, int]:
    body, inside, label = STATES[name]
    made = guest(body + HANDLER.format(inside=inside))
    return made, made[label]


def run_to(vm: VirtualMachine, address: int) -> None:
    vm.vcpus[0].core.breakpoints = (address,)
    vm.run(10_000)
    vm.vcpus[0].core.breakpoints = ()
    assert vm.vcpus[0].pc == address


@pytest.mark.parametrize("profile", ["kvm-v7", "den0054c", "tf-a"])
@pytest.mark.parametrize("name", STATES)
def test_a_saved_machine_goes_on_elsewhere(name: str, profile: str) -> None:
    made, here = moved(name)
    first, second = made.vm(profile=profile), made.vm(profile=profile)
    run_to(first, here)
    second.load(first.save())
    before = len(first.trace)
    assert first.run(10_000) == second.run(10_000)
    assert first.trace[before:] == second.trace[:] != []
    assert first.save() == second.save()
    delivered = any(isinstance(event, EventDelivered) for event in first.trace)
    # TF-A does not let a masked PE be signalled.
    assert delivered is ((name, profile) != ("pending", "tf-a"))


@pytest.mark.parametrize("order", [1, -1], ids=["in KVM's order", "backwards"])
@pytest.mark.parametrize("name", STATES)
def test_ten_registers_carry_all_of_sdei(name: str, order: int) -> None:
    made, here = moved(name)
    first, second = made.vm(), made.vm()
    run_to(first, here)
    second.load(first.save())
    source, target = first.vcpus[0], second.vcpus[0]
    target.sdei.load(made.vm().vcpus[0].sdei.save())  # as a new vCPU has it
    for register in REGISTERS[::order]:
        target.set_one_reg(register, source.get_one_reg(register))
    assert [target.get_one_reg(r) for r in REGISTERS] == [source.get_one_reg(r) for r in REGISTERS]
    second.trace = Trace()
    before = len(first.trace)
    assert first.run(10_000) == second.run(10_000)
    assert first.trace[before:] == second.trace[:] != []


def test_nested_handlers_move_too() -> None:
    """A critical event in a normal one's handler: two saved contexts."""
    source = (
        """
    .macro register number, label
        mov w1, #\\number & 0xffff
        movk w1, #\\number >> 16, lsl #16
        adr x2, \\label
        mov x3, #0
        mov x4, #0
        mov x5, #0
        mov w19, w1
        call 0xc4000021
        mov w1, w19
        call 0xc4000022
    .endm
        register 0, normal
        register 0x40400001, critical
    """
        + UNMASK
        + SIGNAL
        + """
        ldr x9, =DATA
        ldp x20, x21, [x9]
        off
    normal:
        ldr x9, =DATA
        mov x10, #1
        str x10, [x9]
    wait: ldr x10, [x9, #8]
        cbz x10, wait
        call 0xc4000025
    critical:
        ldr x9, =DATA
        mov x10, #1
        str x10, [x9, #8]
    inside: nop
        call 0xc4000025
    """
    )
    made = guest(source)
    first, second = made.vm(profile="den0054c"), made.vm(profile="den0054c")
    run_to(first, made["wait"])
    assert first.inject_event(0x4040_0001) == 0
    run_to(first, made["inside"])
    assert [context.event for context in first.vcpus[0].sdei.contexts] == [0, 0x4040_0001]
    second.load(first.save())
    before = len(first.trace)
    assert first.run(10_000) == second.run(10_000)
    assert first.trace[before:] == second.trace[:] != []
    assert list(second.vcpus[0].x[20:22]) == [1, 1]


def test_what_the_registers_say_inside_a_handler() -> None:
    made, here = moved("inside a handler")
    vm = made.vm()
    run_to(vm, here)
    vcpu = vm.vcpus[0]
    assert list(vcpu.reg_list()) == [*REGISTERS, STD_BMAP]
    values = {register & 0xF: vcpu.get_one_reg(register) for register in REGISTERS}
    assert values[4] == struct.pack("<2Q", made["handler"], 0x55)
    assert [values[n] for n in (5, 6, 7)] == [bytes(16)] * 3
    assert [int.from_bytes(values[n], "little") for n in (8, 9, 10, 11, 13)] == [1, 1, 1, 0, 0]
    assert len(values[12]) == 256
    pc, pstate, x0, *_ = struct.unpack("<20Q", values[12][:160])
    delivered = next(event for event in vm.trace if isinstance(event, EventDelivered))
    assert (pc, pstate, x0) == (delivered.pc, delivered.pstate, 0)


def answer(action: Any) -> str:
    with pytest.raises(RegisterError) as caught:
        action()
    return errno.errorcode[caught.value.errno]


def test_errors_are_kvms() -> None:
    vm = guest("nop\n off").vm()
    vcpu = vm.vcpus[0]
    assert vm.check_extension(217) == 1
    assert vm.check_extension(216) == 0
    assert answer(lambda: vcpu.get_one_reg(0x603000000014000E)) == "ENOENT"
    assert answer(lambda: vcpu.set_one_reg(0x6030000000140008, bytes(4))) == "EFAULT"
    assert answer(lambda: vcpu.set_one_reg(STD_BMAP, struct.pack("<Q", 4))) == "EINVAL"
    assert vcpu.get_one_reg(STD_BMAP) == struct.pack("<Q", 3)
    vcpu.set_one_reg(STD_BMAP, struct.pack("<Q", 1))
    assert vcpu.get_one_reg(STD_BMAP) == struct.pack("<Q", 1)
    vm.run(1)
    assert answer(lambda: vcpu.set_one_reg(STD_BMAP, struct.pack("<Q", 3))) == "EBUSY"
    vcpu.set_one_reg(STD_BMAP, struct.pack("<Q", 1))


def test_profiles_whose_state_does_not_fit_have_none() -> None:
    vcpu = guest("off").vm(profile="den0054c").vcpus[0]
    assert vcpu.reg_list() == (STD_BMAP,)
    assert answer(lambda: vcpu.get_one_reg(REGISTERS[0])) == "ENOENT"


def test_a_pending_event_that_arrives_as_a_register_ends_a_wait() -> None:
    vm = guest(PROLOGUE + UNMASK + "sleep: wfi\n b sleep\n" + HANDLER.format(inside="off")).vm()
    assert vm.run(1000).reason == "wfi"
    vm.vcpus[0].set_one_reg(0x603000000014000B, struct.pack("<Q", 1))
    assert vm.run(1000).reason == "power-off"
