"""What the tests of the guest `kernel` find in its memory, by the layouts that its headers tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdeiviz import VirtualMachine
from sdeiviz.machine import StopReason
from sdeiviz.trace import ProbeHit

IDLE, MEMORY, COMPUTE, SERVER = range(4)
PAGE = 4096
COUNTERS = (
    "not_present",
    "sleeps",
    "ready_before_sleep",
    "table_full",
    "unknown",
    "wake_alls",
    "unexpected",
    "switches",
)


@dataclass(frozen=True)
class Work:
    """A thread's record (user.h)."""

    done: int
    errors: int
    runtime: int
    sleeps: int
    id: int
    cpu: int
    kind: int
    number: int
    first: int
    pages: int
    passes: int
    latency: tuple[int, ...]


class Kernel:
    """The guest on a machine."""

    def __init__(
        self, bootargs: str | None = None, image: str | Path = "kernel", **options: Any
    ) -> None:
        self.vm = VirtualMachine(image, bootargs=bootargs, **options)

    def run(self, instructions: int = 400_000_000) -> "Kernel":
        """Run to the end."""
        stop = self.vm.run(instructions)
        assert stop.reason is StopReason.POWER_OFF, self.vm.console
        return self

    def at(self, name: str) -> int:
        """Return a symbol's address."""
        address = self.vm.image.symbols.address_of(name)
        assert address is not None
        return address

    def number(self, address: int, size: int = 8) -> int:
        """Return a number in memory."""
        return int.from_bytes(self.vm.memory[address : address + size], "little")

    @property
    def work(self) -> list[Work]:
        """The record of each thread."""
        records = []
        for n in range(self.number(self.at("thread_count"))):
            at = self.at("work") + 0x100 * n
            wide = [self.number(at + 8 * i) for i in range(4)]
            narrow = [self.number(at + 0x20 + 4 * i, 4) for i in range(6)]
            latency = tuple(self.number(at + 0x40 + 4 * i, 4) for i in range(32))
            records.append(Work(*wide, *narrow, self.number(at + 0x38), latency))
        return records

    def of(self, kind: int) -> list[Work]:
        """The records of one kind of threads."""
        return [work for work in self.work if work.kind == kind]

    @property
    def window(self) -> int:
        """Nanoseconds of the measured window."""
        results = self.at("results")
        assert self.number(results) == 2
        return self.number(results + 0x10) - self.number(results + 0x08)

    def counters(self, cpu: int = 0) -> dict[str, int]:
        """Return what a CPU has counted."""
        at = self.at("results") + 0x40 + 0x40 * cpu
        return {name: self.number(at + 8 * n) for n, name in enumerate(COUNTERS)}

    def probes(self, name: str) -> list[tuple[int, ...]]:
        """Return (vcpu, arguments...) of each time that the guest passed a probe."""
        hits = [event for event in self.vm.trace if isinstance(event, ProbeHit)]
        return [(hit.vcpu, *hit.arguments) for hit in hits if hit.name == name]
