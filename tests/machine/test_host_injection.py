"""The procedure of the series' letter: migrate a guest, then inject an event where it is now.

There the host has a file for each vCPU: what is written to it injects event 0, what is read from it
is the mask, four bitmaps, the handlers and the saved context. Here these are `inject_event` and the
pseudo firmware registers.
"""

import errno

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.abi.kvm import SdeiRegister
from sdeiviz.machine import StopReason
from sdeiviz.sdei.registers import get_one_reg
from sdeiviz.trace import EventDelivered
from tests.machine.guest import Guest, guest
from tests.machine.machines import SMP

CLIENT = (
    SMP
    + """
    .macro type character
        ldr x16, =UART
        mov w17, #\\character
        strb w17, [x16]
    .endm
    cpu_on 1, client
    mov x0, #0
client:
    add x19, x0, #'0'       // this vCPU, as it prints itself
    mov x1, #0
    adr x2, handler
    ldr x3, =0xdabfdabf
    add x3, x3, x0
    mov x4, #0
    mov x5, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
    type 'r'
waiting:
    b waiting
handler:
    ldr x16, =UART
    strb w19, [x16]
    type ':'
    add w17, w0, #'0'
    ldr x16, =UART
    strb w17, [x16]
in_handler:
    type '\\n'
    mov x1, #0
    call 0xc4000025
"""
)
ARGUMENT = 0xDABF_DABF
READY = 100_000
"""By then both vCPUs wait."""


def client() -> tuple[Guest, VirtualMachine]:
    made = guest(CLIENT)
    return made, made.vm(vcpus=2)


def bitmaps(vm: VirtualMachine, vcpu: int) -> dict[str, int]:
    """Read a vCPU's mask and four bitmaps, as its file shows them."""
    return {
        register.name: int.from_bytes(
            get_one_reg(vm.dispatcher, vm.vcpus[vcpu], register), "little"
        )
        for register in (
            SdeiRegister.PE_STATE,
            SdeiRegister.EVENT_REGISTERED,
            SdeiRegister.EVENT_ENABLED,
            SdeiRegister.EVENT_RUNNING,
            SdeiRegister.EVENT_PENDING,
        )
    }


WAITS = {
    "PE_STATE": 0,
    "EVENT_REGISTERED": 1,
    "EVENT_ENABLED": 1,
    "EVENT_RUNNING": 0,
    "EVENT_PENDING": 0,
}


@pytest.mark.parametrize("target", [0, 1])
def test_an_event_injected_at_the_destination_is_printed_by_the_guest(target: int) -> None:
    made, source = client()
    assert source.run(READY).reason is StopReason.BUDGET
    assert source.console == "rr"

    _, destination = client()
    destination.load(source.save())
    assert [bitmaps(destination, n) for n in (0, 1)] == [WAITS, WAITS]
    handler = get_one_reg(
        destination.dispatcher, destination.vcpus[target], SdeiRegister.EVENT_HANDLER_0
    )
    entry, argument = (int.from_bytes(handler[n : n + 8], "little") for n in (0, 8))
    assert (entry, argument) == (made["handler"], ARGUMENT + target)

    assert destination.inject_event(0, vcpu=target) == 0
    while destination.vcpus[target].pc != made["in_handler"]:
        assert destination.run(1).reason is StopReason.BUDGET
    assert bitmaps(destination, target) == WAITS | {"EVENT_RUNNING": 1}
    assert bitmaps(destination, 1 - target) == WAITS
    context = get_one_reg(
        destination.dispatcher, destination.vcpus[target], SdeiRegister.EVENT_CONTEXT
    )
    assert int.from_bytes(context[:8], "little") == made["waiting"]
    # Again while the handler runs: it waits, and is printed next.
    assert destination.inject_event(0, vcpu=target) == 0
    assert bitmaps(destination, target) == WAITS | {"EVENT_RUNNING": 1, "EVENT_PENDING": 1}

    destination.run(READY)
    assert destination.console == f"rr{target}:0\n{target}:0\n"
    assert bitmaps(destination, target) == WAITS
    delivered = [e for e in destination.trace if isinstance(e, EventDelivered)]
    assert [(e.vcpu, e.event, e.pc) for e in delivered] == [(target, 0, made["waiting"])] * 2
    # The source is left as it was, and would go on the same way.
    assert source.console == "rr"
    assert source.inject_event(0, vcpu=target) == 0
    source.run(READY)
    assert source.console == f"rr{target}:0\n"


def test_before_the_guest_is_ready_the_write_says_why_not() -> None:
    made, vm = client()
    assert vm.inject_event(0) == -errno.ENOENT
    assert bitmaps(vm, 0) == dict.fromkeys(WAITS, 0) | {"PE_STATE": 1}
    vm.run(READY)
    assert vm.inject_event(1) == -errno.ENOENT  # nobody registered the other event
    assert vm.inject_event(2) == -errno.ENOENT
    assert bitmaps(vm, 0) == WAITS
    assert vm.vcpus[0].pc == made["waiting"]


def test_what_was_pending_at_the_source_is_printed_at_the_destination() -> None:
    made, source = client()
    source.run(READY)
    source.dispatcher.set_mask(source.vcpus[1], True)
    assert source.inject_event(0, vcpu=1) == 0
    source.run(1000)
    assert source.console == "rr"

    _, destination = client()
    destination.load(source.save())
    assert bitmaps(destination, 1) == WAITS | {"PE_STATE": 1, "EVENT_PENDING": 1}
    destination.dispatcher.set_mask(destination.vcpus[1], False)
    assert destination.inject_event(0, vcpu=1) == 0  # the two are one
    destination.run(READY)
    assert destination.console == "rr1:0\n"
    assert bitmaps(destination, 1) == WAITS
    assert made["handler"] == destination.vcpus[1].sdei.handlers[0].entry
