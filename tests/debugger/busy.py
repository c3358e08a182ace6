"""A guest that does a little of everything, for recordings: and a plain machine as their oracle."""

from typing import NamedTuple

from sdeiviz import Session, VirtualMachine
from sdeiviz.machine import VmState
from sdeiviz.trace import TraceEvent
from tests.machine.guest import BASE, MEMORY, Guest, guest

BUSY = guest("""
    ldr x1, =vectors
    msr vbar_el1, x1
    ldr x24, =UART
    ldr x25, =DATA
    mov x26, #24
    ldr x2, =handler
    mov x1, #0
    mov x3, #0x51
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    call 0xc400002c
again:
    // A page each time, now and then the same; through a subroutine that is written over below.
    and x9, x26, #15
    add x9, x25, x9, lsl 12
    mrs x10, cntvct_el0
    str x10, [x9, x26, lsl 3]
    bl leaf
    // What is typed comes back a letter further.
    ldr w11, [x24, #0x18]
    tbnz w11, #4, 1f
    ldrb w12, [x24]
    add w12, w12, #1
    strb w12, [x24]
1:  ldxr x13, [x25]
    add x13, x13, #1
    stxr w14, x13, [x25]
    svc #2
    tst x26, #3
    b.ne 2f
    mov w12, #10
    strb w12, [x24]
    mov x1, #0
    call 0xc400002f             // signal
2:  tst x26, #7
    b.ne 3f
    wfi
3:  subs x26, x26, #1
    b.ne again
    off
handler:
    add x27, x27, x1
    mov x1, #3
    call 0xc4000024
    add x27, x27, x0
    tbz x27, #0, 4f
    ldr x1, =resumed
    call 0xc4000026
4:  call 0xc4000025
resumed:
    add x28, x28, #1
    eret
    .ltorg
    .align 8
leaf:
    add x15, x15, #1
    ret
    all_vectors caught
caught:
    add x16, x16, #1
    eret
""")


class Action(NamedTuple):
    """An input at an index."""

    index: int
    method: str
    arguments: tuple[object, ...]
    options: dict[str, int] = {}  # noqa: RUF012


def session(limit: int | None = None, made: Guest = BUSY, **options: object) -> Session:
    extra = {} if limit is None else {"memory_limit": limit}
    return Session(made.path, load_address=BASE, memory=MEMORY, **extra, **options)


class Oracle:
    """What a plain machine does with the same inputs."""

    def __init__(self, made: Guest = BUSY, **options: object) -> None:
        self._vm = made.vm(**options)
        self._start = self._vm.save()

    def run(self, inputs: list[Action], index: int) -> VirtualMachine:
        """Return the machine at an index, or where it stopped before; the same one each time."""
        vm = self._vm
        vm.load(self._start)
        vm.trace = type(vm.trace)()
        for action in inputs:
            if action.index <= index:
                vm.run_to(action.index)
                assert vm.index == action.index
                getattr(vm, action.method)(*action.arguments, **action.options)
        vm.run_to(index)
        return vm

    def state(self, inputs: list[Action], index: int) -> VmState:
        """Return all of a machine at an index, which it does get to."""
        vm = self.run(inputs, index)
        assert vm.index == index
        return vm.save()

    def trace(self, inputs: list[Action], index: int) -> list[TraceEvent]:
        """Return what has happened up to an index."""
        return [*self.run(inputs, index).trace]


def state(it: Session) -> VmState:
    """Everything a session's machine is now."""
    return it._vm.save()
