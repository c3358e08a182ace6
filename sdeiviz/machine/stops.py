"""Why a machine stopped."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class StopReason(StrEnum):
    """Why a machine stopped."""

    POWER_OFF = "power-off"
    BUDGET = "budget"
    """The number of instructions asked for has been executed."""
    MATCH = "match"
    """The console shows what was waited for."""
    BREAKPOINT = "breakpoint"
    MOMENT = "moment"
    """Something happened that was waited for."""
    INTERRUPTED = "interrupted"
    """`VirtualMachine.request_stop` was called."""
    WFI = "wfi"
    """The guest waits for an interrupt and nothing can end that but the host."""
    VECTOR = "vector"
    """An exception vector cannot be fetched."""
    EXCEPTION_LOOP = "exception-loop"
    """The same exception at the same PC, without end."""
    UNSUPPORTED = "unsupported"
    """The guest does what this core cannot: AArch32 code at EL0."""
    PAGE = "page"
    """Every vCPU waits for a page that only the host can place."""
    THRASHING = "thrashing"
    """Pages drive each other out before an instruction has all that it needs."""
    DEFECT = "defect"
    """The posted code would hang the host here (profile kvm-v7-literal)."""

    @property
    def final(self) -> bool:
        """Whether the machine cannot go on."""
        return self not in _PASSING


_PASSING: Final = (
    StopReason.BUDGET,
    StopReason.MATCH,
    StopReason.BREAKPOINT,
    StopReason.MOMENT,
    StopReason.INTERRUPTED,
)


@dataclass(frozen=True, slots=True)
class Stop:
    """What `VirtualMachine.run` returns: why, in words, and at which index."""

    reason: StopReason
    detail: str
    index: int
