"""One moment of a guest, as plain values: all that views are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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
    """One event's handler on the vCPU."""

    event: int
    state: State
    pending: bool
    entry: int
    argument: int


@dataclass(frozen=True, slots=True)
class ContextView:
    """A saved, interrupted context; x holds x0 to x17."""

    event: int
    pc: int
    pstate: int
    x: tuple[int, ...]


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
    registers: Registers
    previous: Registers | None
    """Registers at the moment shown before this one, for marking what changed."""
    masked: bool
    """Whether this PE takes no events."""
    handlers: tuple[HandlerView, ...]
    contexts: tuple[ContextView, ...]
    """Interrupted contexts, the innermost last."""
    trace: Sequence[TraceEvent]
    """The whole recording's events; those up to now are the first `now`."""
    now: int
    """How many events of `trace` have happened at this index."""
    listing: tuple[Line, ...]
    """Instructions around the program counter."""
    symbol: str
    """Where PC is, as "name+0x10"; "" where no symbol covers it."""
    console: str
    """Everything the guest has written so far."""
    stopped: str
    """Why the machine cannot go on from here, "" where it can."""
    breakpoints: tuple[int, ...]
    forked: bool
    """A change in the past made this recording leave the one it came from."""
