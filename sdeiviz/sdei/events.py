"""What the dispatcher remembers of a vCPU, and what it needs from one."""

import struct
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

from sdeiviz.abi.sdei import ASYNC_PF_EVENT, SW_SIGNALED_EVENT
from sdeiviz.sdei.table import State

_pending = attrgetter("pending")

EVENTS = (SW_SIGNALED_EVENT, ASYNC_PF_EVENT)
"""The events of the series: fixed, private, normal priority (v7 patch 17)."""


@dataclass(slots=True)
class EventHandler:
    """One event's handler on one vCPU (`kvm_sdei_event_handler` and four bits, v7 patch 3)."""

    event: int
    state: State = State.UNREGISTERED
    pending: bool = False
    entry: int = 0
    argument: int = 0


@dataclass(slots=True)
class EventContext:
    """The interrupted context, as saved at delivery (`kvm_sdei_event_context`, v7 patch 3).

    In migration register SDEI_EVENT_CONTEXT the fields stand at these byte offsets (v7 patch 19)::

          0  pc       u64
          8  pstate   u64
         16  x        18 x u64, x0 to x17
    """

    event: int
    pc: int
    pstate: int
    registers: bytes
    """x0 to x17 as they lie in memory."""

    @property
    def x(self) -> tuple[int, ...]:
        """x0 to x17."""
        return struct.unpack("<18Q", self.registers)


@dataclass(slots=True)
class VcpuSdei:
    """Everything SDEI keeps for one vCPU (`kvm_sdei_vcpu`, v7 patch 3). A new PE is masked."""

    masked: bool = True
    handlers: dict[int, EventHandler] = field(
        default_factory=lambda: {n: EventHandler(n) for n in EVENTS}
    )
    contexts: list[EventContext] = field(default_factory=list)
    """One per running handler, the innermost last."""
    requested: bool = False
    """KVM_REQ_SDEI: look for something to deliver before the guest goes on (v7 patch 5)."""

    def pending(self) -> bool:
        """Tell whether any event is pending, deliverable or not."""
        return any(map(_pending, self.handlers.values()))

    def save(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "masked": self.masked,
            "requested": self.requested,
            "handlers": [
                (h.event, int(h.state), h.pending, h.entry, h.argument)
                for h in self.handlers.values()
            ],
            "contexts": [(c.event, c.pc, c.pstate, c.x) for c in self.contexts],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save` returned."""
        self.masked = state["masked"]
        self.requested = state["requested"]
        self.handlers = {
            row[0]: EventHandler(row[0], State(row[1]), *row[2:]) for row in state["handlers"]
        }
        self.contexts = [
            EventContext(event, pc, pstate, struct.pack("<18Q", *x))
            for event, pc, pstate, x in state["contexts"]
        ]


class SdeiVcpu(Protocol):
    """What the dispatcher needs of a vCPU. Register values are unsigned 64-bit numbers."""

    x: "memoryview[int]"
    """x0 to x30."""
    x0_to_x17: "memoryview[int]"
    """The same x0 to x17 as bytes: what a delivery saves and a completion restores."""
    elr_el1: int
    spsr_el1: int
    number: int
    mpidr: int
    """Affinity value, as EVENT_SIGNAL names a target."""
    sdei: VcpuSdei

    def where(self) -> tuple[int, int]:
        """Return PC and PSTATE, where the guest goes on: during a call, after the HVC."""

    def go_to(self, pc: int, pstate: int) -> None:
        """Let the guest go on elsewhere. SP moves between its banks where the mode changes."""
