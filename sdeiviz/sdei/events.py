"""What the dispatcher remembers of a vCPU, and what it needs from one."""

import struct
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Protocol

from sdeiviz.abi.pstate import PeFeatures
from sdeiviz.abi.sdei import ASYNC_PF_EVENT, SW_SIGNALED_EVENT
from sdeiviz.sdei.table import State

_pending = attrgetter("pending")

EVENTS: Final = (SW_SIGNALED_EVENT, ASYNC_PF_EVENT)
"""The events of the series: fixed, private, normal priority (v7 patch 17)."""


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """An event that exists (DEN0054C 4.3): one of the platform's, or one that a client bound."""

    number: int
    shared: bool = False
    """One handler for all PEs, not one on each."""
    critical: bool = False
    """May interrupt a handler of normal priority."""
    interrupt: int | None = None
    """INTID of what raises it; None: the host does, and of event 0 software."""


@dataclass(slots=True)
class EventHandler:
    """An event's handler (`kvm_sdei_event_handler` and four bits, v7 patch 3).

    Every PE has its own for a private event; for a shared event all have the same one.
    """

    event: int
    state: State = State.UNREGISTERED
    pending: bool = False
    entry: int = 0
    argument: int = 0
    relative: bool = False
    """The entry is an offset from VBAR_EL1 of the PE that enters the handler."""
    routing_mode: int = 0
    affinity: int = 0
    running_on: int | None = None
    """Number of the vCPU a shared event's handler runs on."""
    shared: bool = False
    critical: bool = False
    interrupt: int | None = None
    slot: bool = False
    """The event is a client's, made by INTERRUPT_BIND."""

    def registration(self) -> tuple[int, int, bool, int, int, bool, int, int, int | None]:
        """Return what a client and the course of events made of it, as plain values."""
        return (
            self.event,
            int(self.state),
            self.pending,
            self.entry,
            self.argument,
            self.relative,
            self.routing_mode,
            self.affinity,
            self.running_on,
        )

    def set_registration(
        self,
        state: int = 0,
        pending: bool = False,
        entry: int = 0,
        argument: int = 0,
        relative: bool = False,
        routing_mode: int = 0,
        affinity: int = 0,
        running_on: int | None = None,
    ) -> None:
        """Take over what `registration` returned after the event; without arguments, start anew."""
        self.state = State(state)
        self.pending = pending
        self.entry = entry
        self.argument = argument
        self.relative = relative
        self.routing_mode = routing_mode
        self.affinity = affinity
        self.running_on = running_on


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
    """By event number, in the order of delivery: critical events first, then by number."""
    contexts: list[EventContext] = field(default_factory=list)
    """One per running handler, the innermost last: at most a normal and a critical one."""
    requested: bool = False
    """KVM_REQ_SDEI: look for something to deliver before the guest goes on (v7 patch 5)."""
    mask_after: int = 0
    """PE_MASK was called in this many handlers; it masks when the innermost of them completes."""

    early_enabled: int = 0
    """Events that migration enabled before it registered them, a bit each; see `registers`."""
    early_context: tuple[int, ...] = ()
    """PC, PSTATE and x0 to x17 that migration brought before the handler they belong to."""

    def pending(self) -> bool:
        """Tell whether any event is pending, deliverable or not."""
        return any(map(_pending, self.handlers.values()))

    def save(self) -> dict[str, Any]:
        """Return all that belongs to this vCPU alone, as plain values."""
        return {
            "masked": self.masked,
            "requested": self.requested,
            "mask_after": self.mask_after,
            "handlers": [
                (h.event, int(h.state), h.pending, h.entry, h.argument, h.relative)
                for h in self.handlers.values()
                if not h.shared
            ],
            "early": (self.early_enabled, self.early_context),
            "contexts": [(c.event, c.pc, c.pstate, c.x) for c in self.contexts],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save` returned, after `Dispatcher.load` has brought the same events."""
        self.masked = state["masked"]
        self.requested = state["requested"]
        self.mask_after = state["mask_after"]
        for event, *row in state["handlers"]:
            self.handlers[event].set_registration(*row)
        self.early_enabled, self.early_context = state["early"][0], tuple(state["early"][1])
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
    sctlr_el1: int
    vbar_el1: int
    features: PeFeatures
    """What decides the PSTATE of a handler."""
    number: int
    """Its index among the machine's vCPUs."""
    mpidr: int
    """Affinity value, as EVENT_SIGNAL and routing name a PE."""
    sdei: VcpuSdei

    def where(self) -> tuple[int, int]:
        """Return PC and PSTATE, where the guest goes on: during a call, after the HVC."""

    def go_to(self, pc: int, pstate: int) -> None:
        """Let the guest go on elsewhere. SP moves between its banks where the mode changes."""
