"""The guests that come with the package, by name."""

from dataclasses import dataclass
from pathlib import Path

from sdeiviz.resources import resource


@dataclass(frozen=True)
class Guest:
    """A bundled guest: its sources, and the ELF file built from them, lie side by side.

    A guest of many files has a directory of its own.
    """

    name: str
    summary: str
    """What it does, in one line."""
    profile: str
    """The profile whose rules it shows."""

    story: str = ""
    """The file to read first, where there are many."""

    @property
    def elf(self) -> Path:
        """The program."""
        directory = (self.name,) if self.story else ()
        return resource("assets", "guests", *directory, f"{self.name}.elf")

    @property
    def source(self) -> Path:
        """The file that its story is told in, or begins in."""
        return self.elf.with_name(self.story or f"{self.name}.S")


GUESTS: dict[str, Guest] = {
    guest.name: guest
    for guest in (
        Guest("hello", "prints one line and switches the machine off", "kvm-v7"),
        Guest("registration", "gets ready for an SDEI event, and takes it all back", "kvm-v7"),
        Guest("delivery", "sends itself an event and comes back from it in two ways", "kvm-v7"),
        Guest("levels", "is interrupted at EL1t and EL0, and finds nothing changed", "kvm-v7"),
        Guest("selftest_hypercalls", "makes eight calls to see whether it may use SDEI", "kvm-v7"),
        Guest("selftest_sdei", "obeys the kernel's own test of SDEI on two vCPUs", "kvm-v7"),
        Guest("client_driver", "compares what a handler finds with what it is told", "kvm-v7"),
        Guest("counter", "computes in registers for 120 million instructions", "kvm-v7"),
        Guest("counter_memory", "computes in memory for 120 million instructions", "kvm-v7"),
        Guest("spin", "prints one line and loops for ever", "kvm-v7"),
        Guest("kernel", "schedules threads that work while pages are missing", "kvm-v7", "main.c"),
    )
}
"""Every bundled guest, in the order in which to meet them."""
