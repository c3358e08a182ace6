"""One moment of a guest, as plain values: all that views are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sdeiviz.abi import pstate
from sdeiviz.machine.gic import Interrupt
from sdeiviz.sdei.table import State
from sdeiviz.trace import TraceEvent

SYSTEM_REGISTERS: Final = "sp_el0 sp_el1 elr_el1 spsr_el1 esr_el1 far_el1 vbar_el1".split()
"""The last fields of `Registers`."""


@dataclass(frozen=True, slots=True)
class Registers:
    """General and EL1 exception registers, each an unsigned 64-bit number."""

    x: tuple[int, ...]
    """x0 to x30."""
    sp: int
    """The stack pointer in use."""
    pc: int
    """The instruction about to run."""
    pstate: int
    sp_el0: int
    sp_el1: int
    elr_el1: int
    spsr_el1: int
    esr_el1: int
    far_el1: int
    vbar_el1: int

    def items(self) -> list[tuple[str, int]]:
        """Return (name, value) in the order a reader expects."""
        rest = [(name, getattr(self, name)) for name in self.__slots__ if name != "x"]
        return [(f"x{n}", value) for n, value in enumerate(self.x)] + rest


@dataclass(frozen=True, slots=True)
class HandlerView:
    """One event's handler: a PE's own, or the one that all share."""

    event: int
    state: State
    pending: bool
    entry: int
    """An offset from VBAR_EL1 where `relative` is set."""
    argument: int
    relative: bool
    shared: bool
    critical: bool
    interrupt: int | None
    """INTID of what raises the event, None where software does."""
    routed_to: int | None
    """Affinity of the only PE that takes a shared event, None: any may."""
    running_on: int | None
    """Number of the vCPU that runs a shared event's handler."""


@dataclass(frozen=True, slots=True)
class ContextView:
    """A saved, interrupted context; x holds x0 to x17."""

    event: int
    pc: int
    pstate: int
    x: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SlotView:
    """An event number that INTERRUPT_BIND can give out."""

    event: int
    shared: bool
    interrupt: int | None
    """INTID bound to it, None where it is free."""


@dataclass(frozen=True, slots=True)
class PeView:
    """One PE at a moment."""

    number: int
    affinity: int
    on: bool
    waiting: bool
    current: bool
    """Whether it is its turn."""
    masked: bool
    """Whether it takes no events."""
    handlers: tuple[HandlerView, ...]
    """Its own and the shared ones, in the order of delivery."""
    contexts: tuple[ContextView, ...]
    """Interrupted contexts, the innermost last."""
    pc: int
    pstate: int
    symbol: str
    """Where PC is, as "name+0x10"; "" where no symbol covers it."""

    @property
    def state(self) -> str:
        """What it does: "off", "waiting", "running", or "ready" when it is another's turn."""
        if not self.on:
            return "off"
        if self.waiting:
            return "waiting"
        return "running" if self.current else "ready"

    @property
    def level(self) -> str:
        """Exception level and stack pointer."""
        return pstate.mode_name(self.pstate)


@dataclass(frozen=True, slots=True)
class ApfView:
    """Async page fault on one vCPU."""

    vcpu: int
    enabled: bool
    control: int
    """The control word."""
    block: int
    """Guest-physical address of the shared block."""
    reason: int | None
    """First word of the shared block, None while it is not enabled or its page is absent."""
    token: int | None
    """Second word."""
    not_present: int | None
    """Token of a page-not-present on its way to the guest."""
    page_ready: bool
    """The guest has not acknowledged the last page-ready."""
    halted: bool
    pending: tuple[tuple[int, int], ...]
    """(gfn, token) of the pages being fetched, in the order of their faults."""
    done: tuple[tuple[int, int], ...]
    """(gfn, token) of those that have arrived and of which the guest was not told yet."""
    faults: int
    asynchronous: dict[str, int]
    """Faults by decision: "notified", "halt", "retry"."""
    synchronous: dict[str, int]
    """Faults that waited, by reason (see `sdeiviz.apf.Reason`)."""


@dataclass(frozen=True, slots=True)
class PagesView:
    """The pages that the host may take away."""

    first: int
    """Guest page number of the first."""
    states: bytes
    """One `sdeiviz.machine.memory.PageState` for each."""
    resident: int
    """How many the host has in memory."""
    limit: int | None
    """How many it may have, None: all."""


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction of the listing."""

    address: int
    word: int
    text: str
    """Disassembly, "" where it is not an instruction."""
    label: str
    """Symbol that starts here, else ""."""
    file: str
    """Name of the source file, else ""."""
    number: int
    """Source line, from 1; 0 where there is none."""
    source: str
    """Text of that source line, comment included, else ""."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The machine at one index of a recording."""

    image: str
    profile: str
    index: int
    """Instructions executed so far: the position in the recording."""
    total: int
    """The furthest index recorded."""
    time: int
    """Virtual time in nanoseconds."""
    vcpu: int
    """Number of the PE that registers, listing and handlers are shown of."""
    pinned: bool
    """It was selected; else it is the one whose turn it is."""
    pes: tuple[PeView, ...]
    slots: tuple[SlotView, ...]
    interrupts: tuple[Interrupt, ...]
    """Interrupts that are enabled, pending, active or taken from the guest."""
    registers: Registers
    previous: Registers | None
    """The same PE's registers at the moment shown before, for marking what changed."""
    trace: Sequence[TraceEvent]
    """The whole recording's events; those up to now are the first `now`."""
    now: int
    """How many events of `trace` have happened at this index."""
    listing: tuple[Line, ...]
    """Instructions around the program counter."""
    console: str
    """Everything the guest has written so far."""
    stopped: str
    """Why the machine cannot go on from here, "" where it can."""
    breakpoints: tuple[int, ...]
    accounts: tuple[dict[str, int], ...]
    """Where each PE's time went: nanoseconds by `sdeiviz.machine.accounts.Activity`."""
    apf: tuple[ApfView, ...]
    """One for each PE; empty on a machine without a pager."""
    apf_mode: str
    """Name of the async page fault mode, "" without a pager."""
    pages: PagesView | None
    forked: bool
    """A change in the past made this recording leave the one it came from."""

    @property
    def pe(self) -> PeView:
        """The PE shown."""
        return self.pes[self.vcpu]

    @property
    def masked(self) -> bool:
        """Whether the PE shown takes no events."""
        return self.pe.masked

    @property
    def handlers(self) -> tuple[HandlerView, ...]:
        """Handlers of the PE shown."""
        return self.pe.handlers

    @property
    def contexts(self) -> tuple[ContextView, ...]:
        """Interrupted contexts of the PE shown, the innermost last."""
        return self.pe.contexts

    @property
    def symbol(self) -> str:
        """Where PC of the PE shown is."""
        return self.pe.symbol

    @property
    def shared(self) -> tuple[HandlerView, ...]:
        """Handlers of the shared events."""
        return tuple(handler for handler in self.pe.handlers if handler.shared)

    @property
    def simple(self) -> bool:
        """Whether there is one PE, and every event is its own."""
        return len(self.pes) == 1 and not self.slots and not self.shared
