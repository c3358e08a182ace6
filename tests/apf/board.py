"""A host and a guest that are nothing but what the protocol sees of them.

The numbers are typed from the text of the series, not taken from the package: what the tests
expect must not move with it.
"""

import errno
from dataclasses import dataclass, field, replace

from sdeiviz.apf import Answer, AsyncPageFault, Mode, VcpuApf, mode
from sdeiviz.trace import AT, Reader, Record, TraceEvent

RAM = range(0x4000_0000, 0x4100_0000)
BLOCK = 0x4000_1000
EVENT = 1
PPI = 20

ASYNC_PF, IRQ_ONLY = 0x8600_0002, 0x8600_0042
SUCCESS, NOT_SUPPORTED, NOT_REQUIRED, INVALID = 0, -1, -2, -3
ALL = 0xFFFF_FFFF
NOT_PRESENT, READY = 1, 2

EL0, EL1 = 0x0, 0x5
EL1_MASKED = 0x3C5


@dataclass
class Sdei:
    """A vCPU's SDEI as v7 has it, as far as one event goes."""

    registered: bool = True
    enabled: bool = True
    masked: bool = False
    pending: bool = False
    running: bool = False
    other_running: bool = False


@dataclass
class Task:
    """A guest's task, by number."""

    number: int
    asleep: int | None = None
    """Token it sleeps over."""
    woken: int = 0
    slept: int = 0


@dataclass
class FakeHost:
    """What async page fault needs of a machine. Words of memory by address."""

    vcpus: int = 1
    has_interrupt_controller: bool = True
    events: tuple[int, ...] = (0, EVENT)
    words: dict[int, int] = field(default_factory=dict)
    writes: list[tuple[int, int]] = field(default_factory=list)
    lines: dict[tuple[int, int], bool] = field(default_factory=dict)
    kicks: list[int] = field(default_factory=list)
    mapped: list[tuple[int, int, int]] = field(default_factory=list)
    sdei: list[Sdei] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sdei = [Sdei() for _ in range(self.vcpus)]

    def holds(self, address: int, size: int) -> bool:
        return address in RAM and address + size - 1 in RAM

    def read_word(self, address: int) -> int:
        assert address % 4 == 0
        assert address in RAM
        return self.words.get(address, 0)

    def write_word(self, address: int, value: int) -> None:
        assert address in RAM
        self.writes.append((address, value))
        self.words[address] = value

    def map_page(self, vcpu: int, gfn: int, syndrome: int) -> None:
        self.mapped.append((vcpu, gfn, syndrome))

    def has_event(self, event: int) -> bool:
        return event in self.events

    def inject_event(self, vcpu: int, event: int) -> int:
        sdei = self.sdei[vcpu]
        if event != EVENT or not sdei.registered:
            return -errno.ENOENT
        if sdei.masked or not sdei.enabled or sdei.pending or self.handler_running(vcpu):
            return -errno.EBUSY
        sdei.pending = True
        return 0

    def cancel_event(self, vcpu: int, event: int) -> int:
        sdei = self.sdei[vcpu]
        if event != EVENT or not sdei.registered:
            return -errno.ENOENT
        if sdei.running:
            return -errno.EBUSY
        sdei.pending = False
        return 0

    def handler_running(self, vcpu: int) -> bool:
        return self.sdei[vcpu].running or self.sdei[vcpu].other_running

    def events_masked(self, vcpu: int) -> bool:
        return self.sdei[vcpu].masked

    def set_interrupt(self, vcpu: int, intid: int, level: bool) -> None:
        self.lines[vcpu, intid] = level

    def kick(self, vcpu: int) -> None:
        self.kicks.append(vcpu)


class Board:
    """A machine: the host, the engine, and a guest that does what Linux does with it."""

    def __init__(self, rules: str | Mode = "arm64-v4", vcpus: int = 1, **knobs: bool) -> None:
        self.mode = replace(mode(rules) if isinstance(rules, str) else rules, **knobs)
        self.host = FakeHost(vcpus)
        self.trace: list[TraceEvent] = []
        self.apf = AsyncPageFault(self.mode, self.host, self._emit, vcpus)
        self.by_event = self.mode.not_present_by_event
        self.function = ASYNC_PF if self.by_event else IRQ_ONLY
        self.irq = PPI if self.by_event else 17
        self.tasks: list[dict[int, Task]] = [{} for _ in range(vcpus)]
        """Of each vCPU, by the token they sleep over."""
        self.dummies: list[set[int]] = [set() for _ in range(vcpus)]
        """Tokens of pages that were ready before they were not present (as on x86)."""
        self.table = 128

    def _emit(self, record: Record) -> None:
        self.trace.extend(Reader().read((AT, len(self.trace), 0, *record)))

    def moments(self) -> list[str]:
        text = [f"{type(e).__name__}{tuple(e[3:])}" for e in self.trace]
        self.trace.clear()
        return text

    # -- calls

    def state(self, vcpu: int = 0) -> VcpuApf:
        return self.apf.vcpus[vcpu]

    def call(self, number: int, word: int = 0, vcpu: int = 0) -> tuple[int, int]:
        """Make the hypercall; returns status, signed, and value."""
        arguments = number, word & 0xFFFF_FFFF, word >> 32
        x0, x1, x2, x3 = self.apf.call(vcpu, self.function, arguments)
        assert (x2, x3) == (0, 0)
        return x0 - (1 << 64) if x0 >> 63 else x0, x1

    def enable(self, word: int | None = None, vcpu: int = 0) -> int:
        word = self.block(vcpu) | 1 if word is None else word
        return self.call(4 if self.by_event else 3, word, vcpu)[0]

    def disable(self, vcpu: int = 0) -> int:
        return self.enable(0, vcpu)

    def acknowledge(self, vcpu: int = 0) -> int:
        return self.call(5 if self.by_event else 4, vcpu=vcpu)[0]

    def configure(self) -> "Board":
        for vcpu in range(self.host.vcpus):
            if self.by_event:
                assert self.apf.ioctl(vcpu, 4, EVENT) == (0, 0)
                assert self.apf.ioctl(vcpu, 5, PPI) == (0, 0)
        return self

    def ready(self) -> "Board":
        """Configure, enable everywhere and take the wake-all."""
        self.configure()
        for vcpu in range(self.host.vcpus):
            assert self.enable(vcpu=vcpu) == SUCCESS
            self.run(vcpu)
            assert self.mailbox(vcpu) == (0, 0)
            assert not self.line(vcpu)
        self.host.kicks.clear()
        self.host.writes.clear()
        self.trace.clear()
        return self

    # -- what is seen

    def block(self, vcpu: int = 0) -> int:
        return BLOCK + 0x80 * vcpu

    def word(self, offset: int, vcpu: int = 0) -> int:
        return self.host.words.get(self.block(vcpu) + offset, 0)

    def mailbox(self, vcpu: int = 0) -> tuple[int, int]:
        """Return reason and token."""
        return self.word(0, vcpu), self.word(4, vcpu)

    def line(self, vcpu: int = 0) -> bool:
        return self.host.lines.get((vcpu, self.irq), False)

    # -- the guest

    def fault(self, gfn: int, vcpu: int = 0, pstate: int = EL0) -> Answer:
        return self.apf.fault(vcpu, gfn, pstate, 0x9200_0007)

    def clear(self, vcpu: int = 0, offsets: tuple[int, ...] = (4, 0)) -> None:
        for offset in offsets:
            self.host.words[self.block(vcpu) + offset] = 0

    def deliver(self, vcpu: int = 0) -> bool:
        """Enter the handler of the event, if that is possible."""
        sdei = self.host.sdei[vcpu]
        if not sdei.pending or sdei.masked or not sdei.enabled or self.host.handler_running(vcpu):
            return False
        sdei.pending, sdei.running = False, True
        self.apf.event_delivered(vcpu, EVENT)
        return True

    def complete(self, vcpu: int = 0) -> None:
        self.host.sdei[vcpu].running = False

    def go_to_sleep(self, vcpu: int = 0, task: Task | None = None) -> Task | None:
        """Take a page-not-present as the handler does; returns the task that sleeps."""
        separate = self.mode.separate_mailboxes
        token = self.word(8 if separate else 4, vcpu)
        assert self.word(0, vcpu) == NOT_PRESENT
        tasks = self.tasks[vcpu]
        sleeper = task or Task(token)
        if token in self.dummies[vcpu]:
            self.dummies[vcpu].remove(token)
            sleeper = None
        elif len(tasks) >= self.table:
            sleeper = None
        else:
            assert token not in tasks
            sleeper.asleep = token
            sleeper.slept += 1
            tasks[token] = sleeper
        self.clear(vcpu, (8, 0) if separate else (4, 0))
        return sleeper

    def wake_up(self, vcpu: int = 0) -> list[Task]:
        """Take a page-ready as the PPI's handler does, without IRQ_ACK; returns who woke."""
        token = self.word(4, vcpu)
        if not self.mode.separate_mailboxes:
            assert self.word(0, vcpu) == READY
        assert token
        tasks = self.tasks[vcpu]
        names = list(tasks) if token == ALL else [token]
        woken = [tasks.pop(name) for name in names if name in tasks]
        if not woken and token != ALL and self.mode.separate_mailboxes:
            self.dummies[vcpu].add(token)
        for task in woken:
            assert task.asleep is not None
            task.asleep = None
            task.woken += 1
        self.clear(vcpu, (4,) if self.mode.separate_mailboxes else (4, 0))
        return woken

    def interrupt(self, vcpu: int = 0) -> bool:
        """Take the PPI, if it is high, to the end."""
        if not self.line(vcpu):
            return False
        if self.word(4, vcpu) and not self.by_event and self.word(0, vcpu) == NOT_PRESENT:
            self.go_to_sleep(vcpu)
        elif self.word(4, vcpu):
            self.wake_up(vcpu)
        assert self.acknowledge(vcpu) == SUCCESS
        return True

    def run(self, vcpu: int = 0) -> None:
        """Enter the guest and let it take all that comes."""
        for _ in range(200):
            self.apf.enter(vcpu)
            if self.deliver(vcpu):
                self.go_to_sleep(vcpu)
                self.complete(vcpu)
            elif not self.interrupt(vcpu):
                return
        raise AssertionError("it never comes to rest")
