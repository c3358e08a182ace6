"""What async page fault remembers of a vCPU, and how it answers a fault."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sdeiviz.abi.apf import BLOCK_ADDRESS, WAKE_ALL, Control
from sdeiviz.apf.gfns import GfnSlots


class Decision(StrEnum):
    """What becomes of a vCPU whose page is missing."""

    WAIT = "wait"
    """It waits for the page: a synchronous fault."""
    NOTIFIED = "notified"
    """The guest is told, and goes on with something else."""
    HALT = "halt"
    """It halts until any of its pages, or an interrupt, arrives; then it tries again."""
    RETRY = "retry"
    """It tries again at once."""


class Reason(StrEnum):
    """Why the guest was not told of a missing page, in the order in which it is found out."""

    NONE = ""
    """It was told."""
    MODE = "mode"
    """The mode has every fault wait."""
    INTERRUPTS_MASKED = "interrupts-masked"
    DISABLED = "disabled"
    """The guest has not enabled it."""
    KERNEL_MODE = "kernel-mode"
    """The fault is at EL1, where no task can be put to sleep."""
    HANDLER_RUNNING = "handler-running"
    """An SDEI handler runs."""
    UNACKNOWLEDGED = "unacknowledged"
    """The interrupt that tells of a page still tells of the last one."""
    MAILBOX_BUSY = "mailbox-busy"
    """The guest has not consumed the last notification."""
    IN_FLIGHT = "in-flight"
    """The page is being fetched for this vCPU already."""
    SLOTS_FULL = "slots-full"
    """64 faults are in flight."""
    NOT_REGISTERED = "not-registered"
    """The SDEI event has no handler."""
    NOT_INJECTABLE = "not-injectable"
    """The SDEI event is its interrupt's alone."""
    SDEI_MASKED = "sdei-masked"
    SDEI_BUSY = "sdei-busy"
    """The event is disabled, or another is pending."""


# Looking up a member of an enumeration takes longer than it looks.
WAIT: Final = Decision.WAIT
HALT: Final = Decision.HALT
RETRY: Final = Decision.RETRY
NOTIFIED: Final = Decision.NOTIFIED
IN_FLIGHT: Final = Reason.IN_FLIGHT
_ENABLED: Final = int(Control.ENABLED)


class Answer(NamedTuple):
    """How a fault is answered."""

    decision: Decision
    reason: Reason = Reason.NONE
    token: int | None = None
    """What the guest knows it by, if it was told."""


class Work(NamedTuple):
    """A page being fetched for a vCPU (`kvm_async_pf`), or a wake-all."""

    gfn: int
    token: int
    syndrome: int
    """ESR_EL2 of the access."""
    notified: bool
    """The guest was told that the page is not present."""

    @property
    def wakes_all(self) -> bool:
        """Tell whether this is no page, but the wake-up of all tasks."""
        return self.token == WAKE_ALL


@dataclass(slots=True)
class Counters:
    """How often what became of a fault, on one vCPU."""

    faults: int = 0
    asynchronous: Counter[str] = field(default_factory=Counter)
    """By decision: "notified", "halt" and "retry"."""
    synchronous: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def count(self, answer: Answer) -> None:
        """Count one fault."""
        self.faults += 1
        if answer.decision is WAIT:
            self.synchronous[answer.reason._value_] += 1
        else:
            self.asynchronous[answer.decision._value_] += 1


@dataclass(slots=True)
class VcpuApf:
    """Everything async page fault keeps for one vCPU (`kvm_arch_async_pf_control`, v4 patch 7)."""

    number: int
    sdei: int = 0
    """Event of page-not-present, 0: the VMM has chosen none."""
    irq: int = 0
    """PPI of page-ready, 0: the VMM has chosen none."""
    control: int = 0
    """The control word."""
    next_id: int = 0
    """The token counter, 16 bits."""
    gfns: GfnSlots = field(default_factory=GfnSlots)
    pending: list[Work] = field(default_factory=list)
    """Pages that are being fetched."""
    done: list[Work] = field(default_factory=list)
    """Pages that have arrived, and wake-alls, of which the guest was not told yet."""
    not_present: int | None = None
    """Token of a page-not-present that is on its way: not delivered, or not acknowledged where it
    comes as an interrupt."""
    page_ready: bool = False
    """The interrupt of page-ready is high: not acknowledged."""
    requested: bool = False
    """KVM_REQ_ASYNC_PF: look for something to deliver before the guest goes on."""
    halted: bool = False
    counters: Counters = field(default_factory=Counters)

    @property
    def enabled(self) -> bool:
        """Tell whether the guest has enabled it."""
        return bool(self.control & _ENABLED)

    @property
    def block(self) -> int:
        """The address of the shared block."""
        return self.control & BLOCK_ADDRESS

    @property
    def queued(self) -> int:
        """How many faults, and wake-alls, are in flight."""
        return len(self.pending) + len(self.done)

    def save(self) -> dict[str, Any]:
        """Return all of it, as plain values."""
        return {
            "sdei": self.sdei,
            "irq": self.irq,
            "control": self.control,
            "next_id": self.next_id,
            "gfns": self.gfns.save(),
            "pending": [tuple(work) for work in self.pending],
            "done": [tuple(work) for work in self.done],
            "not_present": self.not_present,
            "page_ready": self.page_ready,
            "requested": self.requested,
            "halted": self.halted,
            "faults": self.counters.faults,
            "asynchronous": dict(self.counters.asynchronous),
            "synchronous": dict(self.counters.synchronous),
        }

    @classmethod
    def load(cls, number: int, state: dict[str, Any]) -> "VcpuApf":
        """Return a vCPU's state as `save` returned it."""
        return cls(
            number,
            state["sdei"],
            state["irq"],
            state["control"],
            state["next_id"],
            GfnSlots(state["gfns"]),
            [Work(*work) for work in state["pending"]],
            [Work(*work) for work in state["done"]],
            state["not_present"],
            state["page_ready"],
            state["requested"],
            state["halted"],
            Counters(
                state["faults"], Counter(state["asynchronous"]), Counter(state["synchronous"])
            ),
        )
