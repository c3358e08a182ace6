"""Several PEs and an interrupt controller around one dispatcher; numbers typed, not taken."""

from dataclasses import dataclass

from sdeiviz.sdei import Dispatcher, Profile
from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    DISABLE,
    ENABLE,
    ENTRY,
    PE_UNMASK,
    PENDING,
    REGISTER,
    UNREGISTER,
    Guest,
)

OUT_OF_RESOURCE = -10

# den0054c
NORMAL, CRITICAL = 0x4040_0000, 0x4040_0001
"""Private events that only the host raises."""
PPI_NORMAL, PPI_CRITICAL = 0x4040_0016, 0x4040_0017
"""Private events behind PPIs 22 and 23."""
SPI_NORMAL, SPI_CRITICAL = 0x4040_0028, 0x4040_0029
"""Shared events behind SPIs 40 and 41."""
INTID = {
    PPI_NORMAL: 22,
    PPI_CRITICAL: 23,
    SPI_NORMAL: 40,
    SPI_CRITICAL: 41,
    0x4000_0000: 25,
    0x4000_1000: 50,
    # tf-a
    804: 22,
    805: 40,
}

RM_ANY, RM_PE = 0, 1
AFFINITIES = (0, 1, 0x100, 0x12_0003_0201)
"""Of the PEs, as a call names them; MPIDR_EL1 has bit 31 set besides."""


@dataclass
class Line:
    """One interrupt, of one PE where it is a PPI."""

    pending: bool = False
    active: bool = False
    high: bool = False
    """The level of a level-sensitive one."""
    owned: bool = False
    """The dispatcher's, no longer the client's."""


class FakeGic:
    """As much of an interrupt controller as the dispatcher can see; PPIs 16-31, SPIs 32-63."""

    SECURE = (30, 60)
    """What does not belong to the client."""

    def __init__(self) -> None:
        self.lines: dict[tuple[int, int | None], Line] = {}
        self.dispatcher: Dispatcher
        self.disabled_on_return: list[tuple[int, int | None]] = []

    def line(self, intid: int, pe: int | None) -> Line:
        assert (pe is None) == (intid >= 32)
        return self.lines.setdefault((intid, pe), Line())

    # -- what devices do

    def pulse(self, intid: int, pe: int | None = None) -> None:
        """An edge."""
        self._trigger(intid, pe)

    def set_level(self, intid: int, pe: int | None, high: bool) -> None:
        line = self.line(intid, pe)
        line.high = high
        if high and not line.active:
            self._trigger(intid, pe)
        elif not high:
            line.pending = False

    def _trigger(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        line.pending = True
        if line.owned:
            self.dispatcher.interrupt_pending(intid, pe)

    # -- what the dispatcher asks for

    def exists(self, intid: int) -> bool:
        return 16 <= intid < 64

    def belongs_to_client(self, intid: int) -> bool:
        return intid not in self.SECURE

    def is_active(self, intid: int, pe: int | None) -> bool:
        return self.line(intid, pe).active

    def is_pending(self, intid: int, pe: int | None) -> bool:
        return self.line(intid, pe).pending

    def take(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        assert not line.owned
        line.owned = True

    def give_back(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        assert line.owned
        assert not line.active
        line.owned = False

    def clear_pending(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        line.pending = line.high

    def acknowledge(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        assert line.owned
        assert line.pending
        assert not line.active
        line.pending, line.active = False, True

    def end(self, intid: int, pe: int | None) -> None:
        line = self.line(intid, pe)
        assert line.active
        line.active = False
        if line.high:
            self._trigger(intid, pe)


class Board:
    """A machine of some PEs, each a `Guest`: ``board[1].call(...)``."""

    def __init__(self, rules: str | Profile = "den0054c", pes: int = 3, **knobs: object) -> None:
        self.gic = FakeGic()
        first = Guest(rules, interrupts=self.gic, **knobs)
        self.dispatcher = self.gic.dispatcher = first.dispatcher
        self.trace = first.trace
        others = [first.another(0x8000_0000 | affinity) for affinity in AFFINITIES[1:pes]]
        self.pes = [first, *others]

    def __getitem__(self, number: int) -> Guest:
        return self.pes[number]

    def unmask(self) -> "Board":
        for pe in self.pes:
            assert pe.call(PE_UNMASK) == 0
        return self

    def requests(self) -> list[bool]:
        """Return who is asked to look for an event."""
        return [pe.sdei.requested for pe in self.pes]

    def enter(self) -> list[int]:
        """Deliver on every PE that is asked to, as often as it is; return who entered a handler."""
        entered = []
        while any(self.requests()):
            entered += [n for n, pe in enumerate(self.pes) if pe.enter()]
        return entered

    def raise_event(self, event: int, pe: int = 0) -> None:
        """Let an event's own source raise it."""
        intid = INTID.get(event)
        if intid is None:
            assert self[pe].inject(event) == 0
        else:
            self.gic.pulse(intid, pe if intid < 32 else None)

    def register(self, event: int, pe: int = 0, flags: int = 0, affinity: int = 0) -> int:
        entry = ENTRY + 0x100 * (event & 0xFF)
        return self[pe].call(REGISTER, event, entry, ARGUMENT + event, flags, affinity)

    def bring(self, state: str, event: int = NORMAL, pe: int = 0) -> "Board":
        """Bring an event into a state: U, R, E, ER, RR or UP (then on an unmasked PE)."""
        guest = self[pe]
        if state != "U":
            assert self.register(event, pe) == 0
        if state not in ("U", "R"):
            assert guest.call(ENABLE, event) == 0
        if state in ("ER", "RR", "UP"):
            assert guest.call(PE_UNMASK) == 0
            self.raise_event(event, pe)
            assert guest.enter()
        if state == "RR":
            assert guest.call(DISABLE, event) == 0
        if state == "UP":
            assert guest.call(UNREGISTER, event) == PENDING
        return self

    def start(self, event: int, pe: int = 0) -> "Board":
        """Let an event's handler run on a PE, whatever runs there already."""
        return self.bring("ER", event, pe)

    def stack(self, pe: int = 0) -> list[int]:
        """Return the events whose handlers run on a PE, the innermost last."""
        return [context.event for context in self[pe].sdei.contexts]

    def complete(self, pe: int = 0) -> None:
        self[pe].call(COMPLETE, 0)
