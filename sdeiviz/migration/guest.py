"""A machine that leaves, and one that arrives: what both sides of a migration do to a machine.

Of async page fault only three numbers move for each vCPU: event, interrupt and control word (v4
patch 10). Pages in flight and the tokens of tasks that sleep do not: setting the control word wakes
all of them, and who finds its page missing still faults again, here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sdeiviz.errors import Error
from sdeiviz.machine import VirtualMachine
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.memory import PAGE_SHIFT
from sdeiviz.machine.paging import Pager
from sdeiviz.migration.encoding import decode_state, encode_state, restore


def pages_of(vm: VirtualMachine) -> int:
    """Return how many pages of RAM a machine has."""
    return vm.memory.size >> PAGE_SHIFT


class Leaving:
    """The machine on the source's side.

    Parameters
    ----------
    vm
        It may be running: it is asked between two instructions. Its writes are logged from now on.
    """

    def __init__(self, vm: VirtualMachine) -> None:
        self.vm = vm
        self.on_dirty: Callable[[list[int]], None] = lambda pages: None
        """Told of the pages written whenever somebody asks for them."""
        self._log()

    def _log(self) -> None:
        self.vm.stage2.protect()
        self.vm.flush_tlbs()

    def read(self, first: int, count: int = 1) -> bytes:
        """Return the content of pages, wherever the host keeps it."""
        memory, pager = self.vm.memory, self.vm.pager
        if pager and memory.some_absent(first, count):
            return b"".join(map(pager.content, range(first, first + count)))
        return bytes(memory.view[first << PAGE_SHIFT : (first + count) << PAGE_SHIFT])

    def dirty_log(self) -> list[int]:
        """Return the pages written since it was asked last, and log anew."""
        dirty = sorted(self.vm.stage2.dirty or ())
        self._log()
        self.on_dirty(dirty)
        return dirty

    def state(self) -> bytes:
        """Return the machine's state without RAM."""
        vm = self.vm
        state = vm_state.save(vm, ())
        vcpus = tuple(vcpu | {"stall": None, "must_enter": True} for vcpu in state.vcpus)
        apf = [vm.apf.migration_state(vcpu.number) for vcpu in vm.vcpus] if vm.apf else []
        return encode_state(replace(state, vcpus=vcpus, apf=apf, paging=None))


class Arriving:
    """The machine on the destination's side: a `sdeiviz.migration.destination.Host`.

    Parameters
    ----------
    vm
        It has not run; with a pager, whose store is the source.

    Raises
    ------
    Error
        It has no pager.
    """

    def __init__(self, vm: VirtualMachine) -> None:
        if vm.pager is None:
            raise Error("a machine that pages come to wants a pager: make it with paging=Paging()")
        self.vm = vm
        self.running = False
        self._pager: Pager = vm.pager
        vm.pager.pageable = range(pages_of(vm))

    def discard(self, first: int, count: int) -> None:
        """Make pages absent, whatever they hold."""
        self._pager.discard(first, count)

    def place(self, page: int, data: bytes | None) -> bool:
        """Put a page in place; False where it is there already."""
        return self._pager.place(page, data)

    def place_pages(self, first: int, count: int, data: bytes | memoryview | None) -> int:
        """Put neighbours in place; returns how many were not there already."""
        return self._pager.place_pages(first, count, data)

    def load(self, state: bytes) -> None:
        """Take over a machine's state without RAM."""
        vm = self.vm
        decoded = decode_state(state, vm_state.shape(vm))
        migrated: list[dict[str, Any]] = decoded.apf
        restore(vm, replace(decoded, apf=[]))
        if vm.apf:
            for vcpu, numbers in zip(vm.vcpus, migrated, strict=False):
                vm.apf.restore_migrated(vcpu.number, numbers)
        vm.timers_changed()

    def run(self) -> None:
        """Let the guest run."""
        self.running = True
