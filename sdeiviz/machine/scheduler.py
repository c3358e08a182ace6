"""Whose turn it is, and what time it is.

One vCPU runs at a time, each for a quantum of instructions, in the order of their numbers; who is
off, or waits for an interrupt that has not come, is passed over. The index counts instructions of
all vCPUs together, so it orders everything that happens in the machine, and the same guest meets
the same order in each run. Virtual time is the index in nanoseconds, plus what was skipped while
nobody had anything to do.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.machine.vm import VirtualMachine

DEFAULT_QUANTUM: Final = 20_000
"""Instructions: short against a tick of a timer, long against the cost of a switch."""
SHORTEST_QUANTUM: Final = 100
"""A turn ends a load-exclusive's watch, and nobody would ever get through a loop around one."""
FOREVER: Final = (1 << 63) - 1


class Scheduler:
    """The turns of one machine's vCPUs.

    Parameters
    ----------
    vm
        The machine.
    quantum
        Instructions of a turn.
    """

    def __init__(self, vm: "VirtualMachine", quantum: int) -> None:
        self._vm = vm
        self.quantum = quantum
        self.current: Vcpu = vm.vcpus[0]
        """The vCPU that runs, or runs next."""
        self._turn_end = self._end_of_turn(0)

    def _end_of_turn(self, index: int) -> int:
        return index + self.quantum if len(self._vm.vcpus) > 1 else FOREVER

    def limit(self, target: int) -> int:
        """Return the index up to which the current vCPU can run before something else is due."""
        vm = self._vm
        if vm.deadline is not None:
            target = min(target, vm.deadline - vm.skipped)
        return min(target, self._turn_end)

    def settle(self) -> None:
        """Go on to the next moment at which a guest executes an instruction.

        Expires what is due, changes turns, skips time while everybody waits, and delivers what the
        vCPU whose turn it is must see first. Stops the machine where nothing but the host can make
        it go on. Does nothing where all this is done.
        """
        vm = self._vm
        while not vm.leaving:
            if vm.deadline is not None and vm.time >= vm.deadline:
                vm.expire()
            vcpu = self._next()
            if vcpu is not None:
                # A timer's interrupt may be an event: the host's timer made the guest exit.
                enters = vcpu.waiting or vcpu.stalled or vcpu.must_enter
                enters |= vcpu.sdei.requested and vm.profile.kick_on_raise
                if vcpu is not self.current or vm.index >= self._turn_end:
                    self._begin_turn(vcpu)
                    enters = True
                if enters:
                    vcpu.wake()
                    vcpu.enter()
                elif vcpu.core.irq_is_due:
                    vcpu.interrupt()
                return
            if vm.is_pausing:
                return
            if vm.deadline is None:
                vm.halt()
                return
            vm.skipped += vm.deadline - vm.time

    def _next(self) -> "Vcpu | None":
        """Return who runs next: the current vCPU until its turn ends, then the one after it."""
        vm, current = self._vm, self.current
        if vm.index < self._turn_end and current.runnable:
            return current
        first = current.number + 1
        order = (*vm.vcpus[first:], *vm.vcpus[:first])
        return next((vcpu for vcpu in order if vcpu.runnable), None)

    def end_turn(self) -> None:
        """Let the others go first, from the next exit on."""
        self._turn_end = self._vm.index
        self.current.core.stop()

    def _begin_turn(self, vcpu: "Vcpu") -> None:
        index, before = self._vm.index, self.current
        self.select(vcpu)
        self._vm.index = index
        before.change_activity()
        vcpu.change_activity()
        self._turn_end = self._end_of_turn(index)
        vcpu.core.switch_in()

    def select(self, vcpu: "Vcpu") -> None:
        """Let a vCPU's core hold the index from now on."""
        self.current = vcpu
        self._vm.index_word = vcpu.core.index_word

    def reset(self) -> None:
        """Give vCPU 0 a new turn."""
        self._begin_turn(self._vm.vcpus[0])

    def save(self) -> dict[str, Any]:
        """Return the turns as plain values."""
        return {"current": self.current.number, "turn_end": self._turn_end}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.select(self._vm.vcpus[state["current"]])
        self._turn_end = state["turn_end"]
