"""A one-shot timer at 0x090D_0000 that raises a shared interrupt: a device for guests to try.

It is nobody's real hardware. Registers have 32 bits; other offsets read as zero and ignore writes.

======  =========  ======  ========================================================================
Offset  Name       Access  What it does
======  =========  ======  ========================================================================
0x00    DELAY      RW      Write: expire in so many nanoseconds of virtual time, 0: never mind.
                           Read: what is left, 0 while not armed.
0x04    INTERRUPT  RW      INTID of the SPI to raise, 32 to 287; others are ignored, as is a write
                           while the line is asserted. 144 at reset.
0x08    STATUS     RO      Bit 0: armed. Bit 1: the line is asserted.
0x0C    QUIESCE    WO      Any write lowers the line.
0x10    ID         RO      0x5344_4549
======  =========  ======  ========================================================================

The line is a level: it stays asserted until the guest quiesces the device, also while it is armed
again and expires again.
"""

from collections.abc import Callable
from typing import Any, Final

from sdeiviz.machine.gic import SHARED

BASE: Final = 0x090D_0000
SIZE: Final = 0x1000

DELAY, INTERRUPT, STATUS, QUIESCE, ID = 0x00, 0x04, 0x08, 0x0C, 0x10
IDENTITY: Final = 0x5344_4549
RESET_INTERRUPT: Final = 144
_ARMED: Final = 1 << 0
_ASSERTED: Final = 1 << 1


class OneShotTimer:
    """The device. Time is virtual, in nanoseconds.

    Examples
    --------
    >>> timer = OneShotTimer()
    >>> timer.on_line = lambda intid, level: print(intid, level)
    >>> timer.write(DELAY, 500, time=1000)
    >>> timer.deadline
    1500
    >>> timer.expire(1500)
    144 True
    """

    on_line: Callable[[int, bool], object] | None = None
    """Told of (INTID, level) when the line changes."""

    def __init__(self) -> None:
        self.deadline: int | None = None
        """When it expires, if it is armed."""
        self.interrupt = RESET_INTERRUPT
        self.asserted = False

    def read(self, offset: int, time: int) -> int:
        """Return a register's value, 0 for one that is not there."""
        if offset == DELAY:
            return 0 if self.deadline is None else max(self.deadline - time, 0)
        if offset == INTERRUPT:
            return self.interrupt
        if offset == STATUS:
            armed = self.deadline is not None
            return (_ARMED if armed else 0) | (_ASSERTED if self.asserted else 0)
        return IDENTITY if offset == ID else 0

    def write(self, offset: int, value: int, time: int) -> None:
        """Write a register."""
        value &= 0xFFFF_FFFF
        if offset == DELAY:
            self.deadline = time + value if value else None
        elif offset == INTERRUPT and value in SHARED and not self.asserted:
            self.interrupt = value
        elif offset == QUIESCE:
            self._drive(False)

    def expire(self, time: int) -> None:
        """Raise the line if the deadline has come."""
        if self.deadline is not None and time >= self.deadline:
            self.deadline = None
            self._drive(True)

    def _drive(self, level: bool) -> None:
        if level != self.asserted:
            self.asserted = level
            if self.on_line:
                self.on_line(self.interrupt, level)

    def reset(self) -> None:
        """Disarm it, lower the line, and choose the first interrupt again."""
        self.deadline = None
        self._drive(False)
        self.interrupt = RESET_INTERRUPT

    def save(self) -> dict[str, Any]:
        """Return the device's state as plain values."""
        return {
            "deadline": self.deadline,
            "interrupt": self.interrupt,
            "asserted": self.asserted,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state; the line is not told, what it leads to has a state too."""
        self.deadline = state["deadline"]
        self.interrupt = state["interrupt"]
        self.asserted = state["asserted"]
