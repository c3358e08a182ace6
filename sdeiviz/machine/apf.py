"""Async page fault on this machine: what `sdeiviz.apf.Host` asks for, and its hypercalls."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sdeiviz.abi.apf import CRITICAL_EVENT, Command
from sdeiviz.abi.smccc import MASK32
from sdeiviz.apf import AsyncPageFault, Mode, mode
from sdeiviz.machine.smccc import Handler

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.machine.vm import VirtualMachine

EVENTS: Final = (CRITICAL_EVENT, 5003, 1)
"""Events that page-not-present may come as, the first that there is: private and critical under
den0054c and under tf-a; under kvm-v7 the only one left for it."""
_BUSY: Final = MASK32


class ApfHost:
    """The machine as async page fault sees it."""

    has_interrupt_controller = True

    def __init__(self, vm: "VirtualMachine") -> None:
        self._vm = vm

    # -- guest memory

    def holds(self, address: int, size: int) -> bool:
        """Tell whether these guest-physical addresses are RAM."""
        contains = self._vm.memory.contains
        return contains(address) and contains(address + size - 1)

    def read_word(self, address: int) -> int:
        """Return a word; a mailbox whose page is absent is as good as a busy one."""
        assert self._vm.pager
        word = self._vm.pager.read_word(address)
        return _BUSY if word is None else word

    def write_word(self, address: int, value: int) -> None:
        """Write a word, to an absent page as soon as it is there."""
        assert self._vm.pager
        self._vm.pager.write_word(address, value)

    def map_page(self, vcpu: int, gfn: int, syndrome: int) -> None:
        """Map a page that has arrived."""
        pager = self._vm.pager
        assert pager
        pager.map_arrived(self._vm.vcpus[vcpu], pager.page(gfn))

    # -- SDEI

    def has_event(self, event: int) -> bool:
        """Tell whether there is such a private event."""
        handler = self._vm.vcpus[0].sdei.handlers.get(event)
        return handler is not None and not handler.shared

    def inject_event(self, vcpu: int, event: int) -> int:
        """Make an event pending if it can be delivered at once; 0 or a negative errno."""
        self._vm.stamp()
        return self._vm.dispatcher.inject_event(self._vm.vcpus[vcpu], event, immediate=True)

    def cancel_event(self, vcpu: int, event: int) -> int:
        """Withdraw a pending event; 0 or a negative errno."""
        self._vm.stamp()
        return self._vm.dispatcher.cancel_event(self._vm.vcpus[vcpu], event)

    def handler_running(self, vcpu: int) -> bool:
        """Tell whether any SDEI handler runs on a vCPU."""
        return bool(self._vm.vcpus[vcpu].sdei.contexts)

    def events_masked(self, vcpu: int) -> bool:
        """Tell whether a vCPU has SDEI masked."""
        return self._vm.vcpus[vcpu].sdei.masked

    # -- interrupts and scheduling

    def set_interrupt(self, vcpu: int, intid: int, level: bool) -> None:
        """Set the level of a vCPU's PPI."""
        self._vm.gic.set_line(intid, level, vcpu)

    def kick(self, vcpu: int) -> None:
        """Let a vCPU come out of the guest, or out of its halt, and then through `enter`."""
        self._vm.vcpus[vcpu].must_enter = True


def connect(vm: "VirtualMachine", which: str | Mode, event: int | None, irq: int) -> AsyncPageFault:
    """Return async page fault for a machine, with the numbers that its VMM chooses."""
    host = ApfHost(vm)
    chosen = mode(which) if isinstance(which, str) else which
    apf = AsyncPageFault(chosen, host, lambda record: vm.note(*record), len(vm.vcpus))
    if event is None:
        event = next((number for number in EVENTS if host.has_event(number)), 0)
    for vcpu in vm.vcpus:
        apf.ioctl(vcpu.number, Command.SET_SDEI, event)
        apf.ioctl(vcpu.number, Command.SET_IRQ, irq)
    return apf


def hypercalls(apf: AsyncPageFault) -> dict[int, Handler]:
    """Return the handlers of its hypercalls: they alone answer in x0 to x3."""

    def answer(vcpu: "Vcpu", function: int) -> None:
        x = vcpu.x
        vcpu.vm.stamp()
        words = apf.call(vcpu.number, function, (x[1], x[2], x[3]))
        x[0], x[1], x[2], x[3] = words
        vcpu.emit(("answer", words[0]))

    def handler(function: int) -> Handler:
        return lambda vcpu: answer(vcpu, function)

    functions: Iterable[int] = apf.functions
    return {function: handler(function) for function in functions}
