"""Saving and loading a whole machine: the one place that knows what a machine consists of.

RAM goes as pages, by their number in RAM: all that are not zero, or just those a caller names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdeiviz.machine.memory import PAGE, PAGE_SHIFT

if TYPE_CHECKING:
    from sdeiviz.machine.vm import VirtualMachine


@dataclass(frozen=True, slots=True)
class VmState:
    """A machine's state, without references into it: everything is a plain value."""

    shape: dict[str, Any]
    """What another machine must have in common with this one to go on from here."""
    index: int
    vcpus: tuple[dict[str, Any], ...]
    scheduler: dict[str, Any]
    gic: dict[str, Any]
    one_shot: dict[str, Any]
    skipped: int
    deadline: int | None
    uart: dict[str, Any]
    sdei: dict[str, Any]
    has_run: bool
    std_bitmap: int
    stopped: Any
    paging: dict[str, Any] | None
    apf: list[dict[str, Any]]
    pages: dict[int, bytes]


def shape(vm: "VirtualMachine") -> dict[str, Any]:
    """Return what a state of one machine must share with another machine, in words for a person."""
    return {
        "vCPUs": len(vm.vcpus),
        "GIC": type(vm.gic).__name__,
        "profile": vm.profile.name,
        "RAM": f"{vm.memory.size:#x} bytes",
        "async page fault": vm.apf.mode.name if vm.apf else "none",
    }


def save(vm: "VirtualMachine", pages: Iterable[int] | None = None) -> VmState:
    """Return the state of a machine that is not running.

    Parameters
    ----------
    vm
        The machine.
    pages
        Numbers of the pages of RAM to include; None for all that are not zero.
    """
    memory = vm.memory
    if pages is None:
        pages = memory.used_pages()
    return VmState(
        shape=shape(vm),
        index=vm.index,
        vcpus=tuple(vcpu.save() for vcpu in vm.vcpus),
        scheduler=vm.scheduler.save(),
        gic=vm.gic.save(),
        one_shot=vm.one_shot.save(),
        skipped=vm.skipped,
        deadline=vm.deadline,
        uart=vm.uart.save(),
        sdei=vm.dispatcher.save(),
        has_run=vm.hypercalls.filter.has_run,
        std_bitmap=vm.hypercalls.filter.std_bitmap,
        stopped=vm.stopped,
        paging=vm.pager.save() if vm.pager else None,
        apf=vm.apf.save() if vm.apf else [],
        pages={n: memory.page(n) for n in pages},
    )


def load(vm: "VirtualMachine", state: VmState) -> None:
    """Put a machine into a saved state. Pages that the state does not name stay as they are."""
    for number, data in state.pages.items():
        start = number << PAGE_SHIFT
        vm.memory.view[start : start + PAGE] = data
        vm.stage2.written_by_host(start, PAGE)
    vm.uart.load(state.uart)
    vm.hypercalls.filter.has_run = state.has_run
    vm.hypercalls.filter.std_bitmap = state.std_bitmap
    vm.stopped = state.stopped
    vm.dispatcher.load(state.sdei)
    for vcpu, saved in zip(vm.vcpus, state.vcpus, strict=True):
        vcpu.load(saved)
        vcpu.core.flush_code()
    vm.scheduler.load(state.scheduler)
    vm.index = state.index
    vm.gic.load(state.gic)
    vm.one_shot.load(state.one_shot)
    vm.skipped = state.skipped
    if vm.pager and vm.apf and state.paging:
        vm.pager.load(state.paging)
        vm.apf.load(state.apf)
    vm.deadline = state.deadline
    for vcpu in vm.vcpus:
        vcpu.core.irq = vm.gic.irq(vcpu.number)
