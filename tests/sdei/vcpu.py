"""A vCPU that is nothing but registers, and the numbers of the interface typed from its text.

Nothing here comes from the package's own tables: what the tests expect must not move with them.
"""

from array import array
from copy import copy
from dataclasses import dataclass, field

from sdeiviz.abi.pstate import PeFeatures
from sdeiviz.sdei import Dispatcher, Interrupts, Profile, VcpuSdei, profile
from sdeiviz.trace import AT, Reader, Record, TraceEvent

VERSION = 0xC400_0020
REGISTER = 0xC400_0021
ENABLE = 0xC400_0022
DISABLE = 0xC400_0023
CONTEXT = 0xC400_0024
COMPLETE = 0xC400_0025
RESUME = 0xC400_0026
UNREGISTER = 0xC400_0027
STATUS = 0xC400_0028
GET_INFO = 0xC400_0029
ROUTING_SET = 0xC400_002A
PE_MASK = 0xC400_002B
PE_UNMASK = 0xC400_002C
INTERRUPT_BIND = 0xC400_002D
INTERRUPT_RELEASE = 0xC400_002E
SIGNAL = 0xC400_002F
FEATURES = 0xC400_0030
PRIVATE_RESET = 0xC400_0031
SHARED_RESET = 0xC400_0032

SUCCESS, NOT_SUPPORTED, INVALID, DENIED, PENDING = 0, -1, -2, -3, -5

ENTRY = 0x4008_1000
ARGUMENT = 0xDABF_DABF_0123_4567
PC = 0x4008_0104
"""The instruction after the HVC."""
PSTATE = 0x6000_03C5
ELR, SPSR = 0x0E14_0E14_0E14_0E14, 0x8000_0005


def registers() -> "memoryview[int]":
    """Return x0 to x30, each with a value that names it."""
    return memoryview(array("Q", [0xF000_0000_0000_0000 + n for n in range(31)]))


@dataclass
class FakeVcpu:
    """What the dispatcher needs of a vCPU."""

    x: "memoryview[int]" = field(default_factory=registers)
    pc: int = PC
    pstate: int = PSTATE
    elr_el1: int = ELR
    spsr_el1: int = SPSR
    number: int = 0
    mpidr: int = 0x8000_0000
    sctlr_el1: int = 1 << 23
    vbar_el1: int = 0xFFFF_8000_0800_0000
    features: PeFeatures = field(default_factory=PeFeatures)
    sdei: VcpuSdei = field(default_factory=VcpuSdei)

    @property
    def x0_to_x17(self) -> "memoryview[int]":
        return self.x.cast("B")[: 18 * 8]

    def where(self) -> tuple[int, int]:
        return self.pc, self.pstate

    def go_to(self, pc: int, pstate: int) -> None:
        self.pc, self.pstate = pc, pstate


class Guest:
    """A vCPU and its dispatcher, driven as a machine would; `trace` holds what was emitted."""

    def __init__(
        self,
        rules: str | Profile = "kvm-v7",
        interrupts: Interrupts | None = None,
        **knobs: object,
    ) -> None:
        self.vcpu = FakeVcpu()
        self.vcpus = [self.vcpu]
        self.trace: list[TraceEvent] = []
        self.profile = (profile(rules) if isinstance(rules, str) else rules).replace(**knobs)
        self.dispatcher = Dispatcher(self.profile, self._emit, self.vcpus, interrupts)
        self.vcpu.sdei = self.dispatcher.new_vcpu()

    def _emit(self, record: Record) -> None:
        self.trace.extend(Reader().read((AT, len(self.trace), 0, *record)))

    def another(self, mpidr: int) -> "Guest":
        """Return one more PE of the same machine."""
        guest = copy(self)
        guest.vcpu = FakeVcpu(number=len(self.vcpus), mpidr=mpidr)
        guest.vcpu.sdei = self.dispatcher.new_vcpu()
        self.vcpus.append(guest.vcpu)
        return guest

    @property
    def sdei(self) -> VcpuSdei:
        return self.vcpu.sdei

    def call(self, function: int, *arguments: int) -> int:
        """Execute an HVC and return x0 as the signed number that C sees."""
        self.vcpu.x[0] = function
        for n, value in enumerate(arguments, start=1):
            self.vcpu.x[n] = value & (1 << 64) - 1
        self.dispatcher.call(self.vcpu, function)
        value = self.vcpu.x[0]
        return value - (1 << 64) if value >> 63 else value

    def enter(self) -> bool:
        """Deliver as the run loop does, if it was asked to; tell whether a handler was entered."""
        return self.sdei.requested and self.dispatcher.deliver_event(self.vcpu)

    def inject(self, event: int, *, immediate: bool = False) -> int:
        return self.dispatcher.inject_event(self.vcpu, event, immediate=immediate)

    def cancel(self, event: int) -> int:
        return self.dispatcher.cancel_event(self.vcpu, event)

    def pending(self) -> set[int]:
        """Return the numbers of the pending events."""
        return {number for number, handler in self.sdei.handlers.items() if handler.pending}

    def bring(self, state: str, event: int = 0) -> "Guest":
        """Bring a fresh event into a state: U, R, E, ER, RR or UP (then on an unmasked PE)."""
        if state != "U":
            assert self.call(REGISTER, event, ENTRY + 0x100 * event, ARGUMENT + event, 0) == 0
        if state not in ("U", "R"):
            assert self.call(ENABLE, event) == 0
        if state in ("ER", "RR", "UP"):
            assert self.call(PE_UNMASK) == 0
            assert self.inject(event) == 0
            assert self.enter()
        if state == "RR":
            assert self.call(DISABLE, event) == 0
        if state == "UP":
            assert self.call(UNREGISTER, event) == PENDING
        return self

    def moments(self) -> list[str]:
        """Return the trace so far, each event as its type and own fields, and forget it."""
        text = [f"{type(e).__name__}{tuple(e[3:])}" for e in self.trace]
        self.trace.clear()
        return text
