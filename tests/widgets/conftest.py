"""A comm that records instead of sending."""

import json
from collections.abc import Callable
from typing import Any

import comm
import pytest

from sdeiviz.debugger import Session
from sdeiviz.widgets import Debugger, debug


class Recorder(comm.base_comm.BaseComm):
    """One widget's connection to a browser that is not there."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        super().__init__(**options)

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
        **keys: Any,
    ) -> None:
        self.sent.append(({"type": msg_type} | (data or {}), list(buffers or [])))


class Wire:
    """What went over all comms since it was last looked at."""

    def __init__(self) -> None:
        self.comms: list[Recorder] = []

    def create(self, **options: Any) -> Recorder:
        made = Recorder(**options)
        self.comms.append(made)
        return made

    def take(self) -> list[int]:
        """Return the bytes of each message, and forget them."""
        return [
            len(json.dumps(data, ensure_ascii=False).encode()) + sum(map(len, buffers))
            for data, buffers in self.messages()
        ]

    def messages(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Return each message with its buffers, and forget them."""
        sent = [message for made in self.comms for message in made.sent]
        for made in self.comms:
            made.sent.clear()
        return sent


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(comm, "create_comm", made.create)
    return made


Open = Callable[..., Debugger]


@pytest.fixture
def opened(wire: Wire) -> Open:
    """Open a debugger whose messages the wire records."""

    def open_(image: str | Session = "registration", **options: Any) -> Debugger:
        made = debug(image, **options)
        wire.messages()
        return made

    return open_


_number = iter(range(1, 1 << 30))


def send(debugger: Debugger, do: object, **more: Any) -> int:
    """Say to a debugger what its surface would; returns the message's number."""
    assert debugger.widget is not None
    number = next(_number)
    debugger.widget._handle_custom_msg({"do": do, "id": number, **more}, [])
    return number
