"""The events of a trace.

Each starts with the same three fields:

========  =================================================================================
index     instructions executed by the machine when it happened (see `sdeiviz.cpu.clock`)
time      virtual time in nanoseconds
vcpu      number of the vCPU it happened on
========  =================================================================================

Addresses and register values are unsigned 64-bit numbers; results are what the guest finds in x0.
Named tuples, not dataclasses: a hypercall emits several of them and must stay cheap.
"""

from typing import Final, NamedTuple, get_args


class Hypercall(NamedTuple):
    """The guest executed HVC or SMC."""

    index: int
    time: int
    vcpu: int
    conduit: str
    pc: int
    """Address of the HVC or SMC instruction."""
    function: int
    """w0."""
    arguments: tuple[int, ...]
    """x1 to x5."""


class HypercallResult(NamedTuple):
    """The answer was written: x0 = result. COMPLETE and COMPLETE_AND_RESUME have none."""

    index: int
    time: int
    vcpu: int
    function: int
    result: int


class HandlerStateChanged(NamedTuple):
    """An event handler moved in the state diagram; states are the bits EVENT_STATUS returns."""

    index: int
    time: int
    vcpu: int
    event: int
    action: str
    before: int
    after: int


class MaskChanged(NamedTuple):
    """PE_MASK, PE_UNMASK or a reset changed whether this PE takes events."""

    index: int
    time: int
    vcpu: int
    masked: bool


class InterruptBound(NamedTuple):
    """INTERRUPT_BIND made an event of an interrupt."""

    index: int
    time: int
    vcpu: int
    intid: int
    event: int


class InterruptReleased(NamedTuple):
    """INTERRUPT_RELEASE, SHARED_RESET or a reset gave a bound interrupt back to the guest."""

    index: int
    time: int
    vcpu: int
    intid: int
    event: int


class EventRaised(NamedTuple):
    """An event became pending."""

    index: int
    time: int
    vcpu: int
    event: int
    source: str
    """"signal" (EVENT_SIGNAL), "inject" (the host), "interrupt" or "platform" (a device)."""
    already_pending: bool


class EventCancelled(NamedTuple):
    """A pending event was withdrawn: by the host, or with its handler."""

    index: int
    time: int
    vcpu: int
    event: int
    was_pending: bool


class EventDelivered(NamedTuple):
    """The guest was interrupted and its handler entered."""

    index: int
    time: int
    vcpu: int
    event: int
    entry: int
    argument: int
    pc: int
    """Interrupted PC."""
    pstate: int
    """Interrupted PSTATE."""
    registers: tuple[int, ...]
    """Interrupted x0 to x17."""


class EventCompleted(NamedTuple):
    """The handler finished and the interrupted context came back, unless the PE was powered off."""

    index: int
    time: int
    vcpu: int
    event: int
    pc: int
    """PC restored, or put into ELR_EL1 where `resume` is given."""
    resume: int | None
    """Address that COMPLETE_AND_RESUME went to."""


class ExceptionTaken(NamedTuple):
    """The guest took an exception to EL1."""

    index: int
    time: int
    vcpu: int
    vector: int
    """Address of the vector."""
    syndrome: int
    """ESR_EL1."""
    address: int
    """FAR_EL1 where the exception sets it, else 0."""
    pc: int
    """ELR_EL1."""
    pstate: int
    """SPSR_EL1."""


class InterruptTaken(NamedTuple):
    """The guest took an IRQ to EL1."""

    index: int
    time: int
    vcpu: int
    vector: int
    """Address of the vector."""
    pc: int
    """ELR_EL1."""
    pstate: int
    """SPSR_EL1."""


class PowerChanged(NamedTuple):
    """PSCI switched a vCPU on or off."""

    index: int
    time: int
    vcpu: int
    on: bool
    entry: int
    """Where it starts; 0 where it is switched off."""


class ExternalAbort(NamedTuple):
    """An access to a physical address where nothing is, or of a kind the device refuses."""

    index: int
    time: int
    vcpu: int
    pc: int
    ipa: int
    write: bool
    reason: str


class WaitForInterrupt(NamedTuple):
    """The guest executed WFI."""

    index: int
    time: int
    vcpu: int
    pc: int


class PageFault(NamedTuple):
    """The guest touched a page that the host would have to wait for."""

    index: int
    time: int
    vcpu: int
    gfn: int
    """Guest page number."""
    token: int | None
    """What the guest knows the fault by, None where it was not told."""
    decision: str
    """"wait", "notified", "halt" or "retry" (see `sdeiviz.apf.vcpu`)."""
    reason: str
    """Why the guest was not told; "" where it was."""


class PageArrived(NamedTuple):
    """A page that was being fetched for this vCPU is there."""

    index: int
    time: int
    vcpu: int
    gfn: int


class PageReady(NamedTuple):
    """The guest is told that a page is there; token 0xffffffff: all of them."""

    index: int
    time: int
    vcpu: int
    token: int


class ApfControl(NamedTuple):
    """Async page fault was switched on or off for this vCPU."""

    index: int
    time: int
    vcpu: int
    action: str
    """"enable", "disable", "restore" (by the VMM) or "reset"."""
    control: int
    """The control word."""


class FetchStarted(NamedTuple):
    """The host began to fetch a page from where it is kept."""

    index: int
    time: int
    vcpu: int
    """The vCPU that asked first."""
    gfn: int
    by: str
    """Who sleeps until it is there: "vcpu", or a "worker" on its behalf."""


class FetchDone(NamedTuple):
    """A page is in the host's memory now."""

    index: int
    time: int
    vcpu: int
    """The vCPU that had asked first."""
    gfn: int


class PageEvicted(NamedTuple):
    """The host took a page's memory away and keeps the content elsewhere."""

    index: int
    time: int
    vcpu: int
    gfn: int


class VcpuBlocked(NamedTuple):
    """The host lets a vCPU wait for a page."""

    index: int
    time: int
    vcpu: int
    gfn: int
    halted: bool
    """An interrupt may use it meanwhile; else nothing may."""


class VcpuUnblocked(NamedTuple):
    """A vCPU that waited for a page goes on: with the page, or for an interrupt."""

    index: int
    time: int
    vcpu: int


class ProbeHit(NamedTuple):
    """The guest came to an instruction that is watched: a symbol whose name begins with probe_."""

    index: int
    time: int
    vcpu: int
    name: str
    """The symbol, without its beginning."""
    arguments: tuple[int, ...]
    """x0 to x3."""


class Console(NamedTuple):
    """A line the guest wrote to its UART, without the newline; the time is the newline's."""

    index: int
    time: int
    vcpu: int
    text: str


class HostInput(NamedTuple):
    """The host acted on the machine from outside; replayed at exactly this index."""

    index: int
    time: int
    vcpu: int
    action: str
    """"inject", "cancel", "register", "memory", "evict" or "console"."""
    target: str
    """Event number, register name or address."""
    value: int


class HostInputResult(NamedTuple):
    """What the host was answered: 0 or a negative errno."""

    index: int
    time: int
    vcpu: int
    action: str
    result: int


class SystemReset(NamedTuple):
    """PSCI SYSTEM_RESET: the image was loaded again and the machine restarted."""

    index: int
    time: int
    vcpu: int


class Defect(NamedTuple):
    """A defect of the series stopped the host here: D1 or D3 (see `sdeiviz.sdei.profiles`)."""

    index: int
    time: int
    vcpu: int
    name: str
    explanation: str


class Stopped(NamedTuple):
    """The machine cannot or will not go on by itself."""

    index: int
    time: int
    vcpu: int
    reason: str
    detail: str


TraceEvent = (
    Hypercall
    | HypercallResult
    | HandlerStateChanged
    | MaskChanged
    | InterruptBound
    | InterruptReleased
    | EventRaised
    | EventCancelled
    | EventDelivered
    | EventCompleted
    | ExceptionTaken
    | InterruptTaken
    | PowerChanged
    | ExternalAbort
    | WaitForInterrupt
    | PageFault
    | PageArrived
    | PageReady
    | ApfControl
    | FetchStarted
    | FetchDone
    | PageEvicted
    | VcpuBlocked
    | VcpuUnblocked
    | ProbeHit
    | Console
    | HostInput
    | HostInputResult
    | SystemReset
    | Defect
    | Stopped
)

TYPES: Final[dict[str, type[TraceEvent]]] = {cls.__name__: cls for cls in get_args(TraceEvent)}

_SDEI_FUNCTIONS: Final = range(0xC400_0020, 0xC400_0040)


def is_sdei(event: TraceEvent) -> bool:
    """Tell whether an event is a moment of SDEI: a call, a raise, a delivery, a completion, a mask.

    These are the moments that "next SDEI moment" stops at.
    """
    if isinstance(event, Hypercall):
        return event.function in _SDEI_FUNCTIONS
    return isinstance(
        event, MaskChanged | EventRaised | EventCancelled | EventDelivered | EventCompleted | Defect
    )
