"""The dispatcher a second time, as the series itself keeps it: four bitmaps and one context.

Written from the text of the series, for comparison only. It shares no code, no table and no
representation with the package: states are bits in words, registers a plain list.
"""

from dataclasses import dataclass, field

ALL = (1 << 64) - 1
NONE_WRITTEN = None
HANG = "hang"


@dataclass
class Oracle:
    """One vCPU. Each switch is true where a defect of the posted code is mended."""

    d1: bool = True
    d2: bool = True
    d3: bool = True
    d4: bool = True
    d9: bool = False
    wide: bool = False
    signaled: bool = False
    d11: bool = True

    registered: int = 0
    enabled: int = 0
    running: int = 0
    pending: int = 0
    masked: bool = True
    request: bool = False
    entry: list[int] = field(default_factory=lambda: [0, 0])
    argument: list[int] = field(default_factory=lambda: [0, 0])
    saved: list[int] = field(default_factory=list)
    """pc, pstate, x0 to x17, while a handler runs."""

    x: list[int] = field(default_factory=lambda: [0] * 31)
    pc: int = 0
    pstate: int = 0
    elr: int = 0
    spsr: int = 0

    # -- calls -------------------------------------------------------------------------------------

    def call(self, function: int) -> int | str | None:
        """Return x0, None where the call writes nothing, or HANG."""
        number = function - 0xC400_0020
        if number == 5:
            self.leave(None)
            return NONE_WRITTEN
        if number == 6:
            self.leave(self.x[1])
            return NONE_WRITTEN
        result = self.answer(number)
        if result is HANG:
            return HANG
        self.x[0] = result % (1 << 64)
        self.x[1:4] = [0, 0, 0]
        return self.x[0]

    def answer(self, number: int) -> int | str:
        x1, x2 = self.x[1], self.x[2]
        if not self.wide:
            x1, x2 = x1 % (1 << 32), x2 % (1 << 32)
        known = x1 < 2
        bit = 1 << x1 if known else 0
        match number:
            case 0:
                return 0x0001_0001_564B_CAA9
            case 1:
                if not known or self.x[4] not in (0, 1):
                    return -2
                if (self.registered | self.running) & bit:
                    return -3
                self.entry[x1], self.argument[x1] = self.x[2], self.x[3]
                self.registered |= bit
                return 0
            case 2 | 3:
                if not self.d3 and self.x[1] >> 31 & 1:
                    return HANG
                if not known:
                    return -2
                if not self.registered & bit:
                    return -3
                if number == 3:
                    self.enabled &= ~bit
                    return 0
                self.enabled |= bit
                if self.pending & bit and not self.masked:
                    self.request = True
                return 0
            case 4:
                if not self.running:
                    return -3
                return self.saved[2 + x1] if x1 < 18 else -2
            case 7:
                if not known:
                    return -2
                if not self.registered & bit:
                    return -5 if self.running & bit else -3
                self.enabled &= ~bit
                self.registered &= ~bit
                if self.d4:
                    self.pending &= ~bit
                return -5 if self.running & bit else 0
            case 8:
                if not known:
                    return -2
                bits = (self.registered, self.enabled, self.running)
                return sum((word >> x1 & 1) << place for place, word in enumerate(bits))
            case 9:
                if not known:
                    return -2
                signaled = x1 if self.signaled else 1
                return {0: 0, 1: signaled, 2: 0}.get(x2, -2)
            case 0x0B:
                self.masked = True
                return 0
            case 0x0C:
                self.masked = False
                if self.pending:
                    self.request = True
                return 0
            case 0x0F:
                if x1 != 0 or not self.registered & 1:
                    return -2
                if not self.pending & 1 and not self.masked and self.enabled & 1:
                    self.request = True
                self.pending |= 1
                return 0
            case 0x10:
                return 0 if x1 < 2 else -2
            case 0x11:
                self.registered = self.enabled = 0
                if self.d4:
                    self.pending = 0
                return 0
            case 0x12:
                return 0
        return -1

    # -- the host ----------------------------------------------------------------------------------

    def inject(self, event: int, immediate: bool) -> int:
        if event not in (0, 1) or not self.registered >> event & 1:
            return -2
        open_ = not self.masked and self.enabled >> event & 1
        if immediate and (not open_ or self.pending or self.running):
            return -16
        self.pending |= 1 << event
        if open_:
            self.request = True
        return 0

    def cancel(self, event: int) -> int:
        if event not in (0, 1) or not self.registered >> event & 1:
            return -2
        if self.running >> event & 1:
            return -16
        self.pending &= ~(1 << event)
        return 0

    def deliver(self) -> bool | str:
        """Return whether a handler was entered, or HANG."""
        self.request = False
        if self.masked or self.running or not self.pending:
            return False
        lowest_pending = self.pending & -self.pending
        if not self.d1 and not self.enabled & lowest_pending:
            return HANG
        ready = self.pending & self.enabled
        if not ready:
            return False
        bit = ready & -ready
        event = bit.bit_length() - 1
        self.saved = [self.pc, self.pstate, *self.x[:18]]
        if not self.d9:
            self.x[:18] = [0] * 18
        self.x[:4] = [event, self.argument[event], self.pc, self.pstate]
        self.pstate = self.pstate // 32 * 32 | 0x3C5
        self.pc = self.entry[event]
        self.pending &= ~bit
        self.running |= bit
        return True

    def leave(self, resume: int | None) -> None:
        if not self.running:
            return
        pc, pstate, *x = self.saved
        self.x[:18] = x
        if resume is None:
            self.pc, self.pstate = pc, pstate
        else:
            self.elr, self.spsr = pc, pstate
            self.pc, self.pstate = resume, pstate // 32 * 32 | 0x3C5
        self.running = 0
        self.saved = []
        if self.d2 and self.pending:
            self.request = True

    def reset(self) -> None:
        if self.d11:
            self.registered = self.enabled = self.running = self.pending = 0
            self.masked, self.request = True, False
            self.entry, self.argument, self.saved = [0, 0], [0, 0], []
