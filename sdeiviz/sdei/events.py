"""What the dispatcher remembers of a vCPU, and what it needs from one."""

from array import array
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sdeiviz.abi.sdei import ASYNC_PF_EVENT, SW_SIGNALED_EVENT
from sdeiviz.sdei.table import State

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
    x: "array[int]"


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

    def running(self) -> EventHandler | None:
        """Return the handler that runs on this vCPU, the innermost, or None."""
        return self.handlers[self.contexts[-1].event] if self.contexts else None

    def pending(self) -> bool:
        """Tell whether any event is pending, deliverable or not."""
        return any(handler.pending for handler in self.handlers.values())

    def save(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "masked": self.masked,
            "requested": self.requested,
            "handlers": [
                (h.event, int(h.state), h.pending, h.entry, h.argument)
                for h in self.handlers.values()
            ],
            "contexts": [(c.event, c.pc, c.pstate, tuple(c.x)) for c in self.contexts],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save` returned."""
        self.masked = state["masked"]
        self.requested = state["requested"]
        self.handlers = {
            row[0]: EventHandler(row[0], State(row[1]), *row[2:]) for row in state["handlers"]
        }
        self.contexts = [
            EventContext(e, pc, pstate, array("Q", x)) for e, pc, pstate, x in state["contexts"]
        ]


class SdeiVcpu(Protocol):
    """What the dispatcher needs of a vCPU. Register values are unsigned 64-bit numbers."""

    x: MutableSequence[int]
    """x0 to x30."""
    pc: int
    """Where the guest goes on: during a call, the instruction after the HVC."""
    pstate: int
    """In SPSR layout. Setting it moves SP between its banks where the mode changes."""
    elr_el1: int
    spsr_el1: int
    number: int
    mpidr: int
    """Affinity value, as EVENT_SIGNAL names a target."""
    sdei: VcpuSdei
