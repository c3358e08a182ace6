"""Run in a process of its own: endless guests, each until SIGINT comes, and what is left then.

    python -m tests.machine.interrupted CLOCK

For each guest: a line "ready NAME" when it is about to run, "stopped TIME" when KeyboardInterrupt
has come out of the run (seconds of the monotonic clock), and "same" or what differs.
"""

import sys
import time
from collections.abc import Callable

from sdeiviz import Session, VirtualMachine
from tests.machine.guest import BASE, MEMORY, Guest, guest

RETURN = """
    all_vectors return
return:
    eret
"""
GUESTS = {
    "b .": "b .",
    "HVC": "again: hvc #0\n b again",
    "UART": "ldr x1, =UART\n again: str w2, [x1, #0x24]\n ldr w3, [x1, #0x18]\n b again",
    "TLBI": "again: tlbi vmalle1\n b again",
    "SVC": "ldr x1, =vectors\n msr vbar_el1, x1\n again: svc #0\n b again" + RETURN,
    "counter": "again: mrs x1, cntvct_el0\n b again",
    "SMC": "again: smc #0\n b again",
    "faults": "ldr x1, =vectors\n msr vbar_el1, x1\n again: udf #0\n b again" + RETURN,
}


def until_interrupted(name: str, move: Callable[[], object]) -> None:
    print(f"ready {name}", flush=True)
    try:
        move()
    except KeyboardInterrupt:
        print(f"stopped {time.monotonic()}", flush=True)
    else:
        print("stopped by itself", flush=True)


def machine(made: Guest, clock: str, name: str) -> None:
    """`VirtualMachine.run`, and on from there."""
    vm = made.vm(clock=clock)
    until_interrupted(name, vm.run)
    vm.run(1001)
    other = made.vm(clock="native")
    other.run_to(vm.index)
    compare(vm, other)


def session(made: Guest, clock: str, name: str) -> None:
    """A session's own moves."""
    it = Session(made.path, load_address=BASE, memory=MEMORY, clock=clock)
    if name == "goto":
        it.run(30_000_000 if clock == "native" else 3_000_000)
        # As if the keyframes had gone: the whole way has to be executed again.
        del it._recording.keyframes[1:]
        end = it.total
        it.goto(0)
        until_interrupted(name, lambda: [(it.goto(end), it.goto(0)) for _ in range(1000)])
    elif name == "step":
        until_interrupted(name, lambda: it.step(1 << 40))
    else:
        until_interrupted(name, it.run)
    index = it.index
    it.goto(it.total)
    it.step(1001)
    it.goto(index)
    other = made.vm(clock="native")
    other.run_to(index)
    compare(it._vm, other, traces=False)


def compare(one: VirtualMachine, other: VirtualMachine, traces: bool = True) -> None:
    same = one.save() == other.save() and (not traces or [*one.trace] == [*other.trace])
    print("same" if same else f"differs at index {one.index}", flush=True)


def main() -> None:
    clock = sys.argv[1]
    for name, code in GUESTS.items():
        machine(guest(code), clock, name)
    loop = guest("ldr x2, =DATA\n again: add x1, x1, #1\n str x1, [x2]\n b again")
    for name in ("run", "step", "goto"):
        session(loop, clock, name)


if __name__ == "__main__":
    main()
