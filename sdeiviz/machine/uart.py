"""The PL011 UART at 0x0900_0000, as much of it as a guest needs for a console (Arm DDI0183).

Output is never full and is there at once; input waits in a queue. Two of its interrupts exist:
there is input, and a character has been sent.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

BASE: Final = 0x0900_0000
SIZE: Final = 0x1000
INTID: Final = 33
_LONGEST_LINE: Final = 4096

_DR, _FR, _IBRD, _FBRD, _LCR_H, _CR, _IFLS, _IMSC, _RIS, _MIS, _ICR = (
    0x00, 0x18, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44,
)  # fmt: skip
_RX_EMPTY: Final = 1 << 4
_TX_EMPTY: Final = 1 << 7
_RX_INTERRUPT: Final = 1 << 4
_TX_INTERRUPT: Final = 1 << 5
_IDENTIFICATION: Final = bytes((0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1))
"""PeriphID0-3 and PCellID0-3, one byte every word from 0xFE0: a PL011 r1p4."""
_CONTROL: Final = {_IBRD: 0xFFFF, _FBRD: 0x3F, _LCR_H: 0xFF, _CR: 0xFFFF, _IFLS: 0x3F, _IMSC: 0x7FF}
"""Registers that keep what is written, with the bits that exist."""


class Pl011:
    """The device; `output` collects what the guest wrote."""

    on_line: Callable[[int, bool], object] | None = None
    """Told of (INTID, level) whenever the interrupt may have changed."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.input: deque[int] = deque()
        self._line_start = 0
        self.reset()

    def reset(self) -> None:
        """Set the registers to what power-on leaves; what came in and went out stays."""
        self._sent = False
        self._control = dict.fromkeys(_CONTROL, 0) | {_CR: 0x300, _IFLS: 0x12}
        self._drive()

    def read(self, offset: int) -> int:
        """Return a register's value, 0 for one that is not there."""
        if offset == _DR:
            byte = self.input.popleft() if self.input else 0
            self._drive()
            return byte
        if offset in (_RIS, _MIS):
            return self._raw & (self._control[_IMSC] if offset == _MIS else ~0)
        if offset == _FR:
            return _TX_EMPTY | (0 if self.input else _RX_EMPTY)
        if offset in self._control:
            return self._control[offset]
        if offset >= 0xFE0 and not offset & 3:
            return _IDENTIFICATION[(offset - 0xFE0) >> 2]
        return 0

    def write(self, offset: int, value: int) -> bool:
        """Write a register; return whether that was a byte of output."""
        if offset == _DR:
            self.output.append(value & 0xFF)
            self._sent = True
        elif offset == _ICR:
            self._sent = self._sent and not value & _TX_INTERRUPT
        elif offset in self._control:
            self._control[offset] = value & _CONTROL[offset]
        self._drive()
        return offset == _DR

    def receive(self, data: bytes) -> None:
        """Let characters arrive for the guest to read."""
        self.input.extend(data)
        self._drive()

    @property
    def _raw(self) -> int:
        """The interrupts' state before the mask (3.3.11)."""
        return (_RX_INTERRUPT if self.input else 0) | (_TX_INTERRUPT if self._sent else 0)

    def _drive(self) -> None:
        if self.on_line:
            self.on_line(INTID, bool(self._raw & self._control[_IMSC]))

    def last_line(self) -> str:
        """Return the line that the newest newline ended."""
        end = len(self.output) - 1
        return self._text(self.output[self.output.rfind(b"\n", 0, end) + 1 : end])

    def current_line(self) -> str:
        """Return what was written since the last newline, the newest 4096 bytes of it at most."""
        start = max(
            self.output.rfind(b"\n") + 1, self._line_start, len(self.output) - _LONGEST_LINE
        )
        return self._text(self.output[start:])

    def end_line(self) -> None:
        """Begin a new line without a newline in the output: the guest starts again."""
        self._line_start = len(self.output)

    @staticmethod
    def _text(data: bytearray) -> str:
        return data.decode("utf-8", "replace").rstrip("\r")

    def save(self) -> dict[str, Any]:
        """Return the device's state as plain values."""
        return {
            "output": bytes(self.output),
            "input": bytes(self.input),
            "control": dict(self._control),
            "line_start": self._line_start,
            "sent": self._sent,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.output[:] = state["output"]
        self.input = deque(state["input"])
        self._control = dict(state["control"])
        self._line_start = state["line_start"]
        self._sent = state["sent"]
