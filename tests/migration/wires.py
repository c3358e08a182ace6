"""Real connections for tests: a proxy that spoils them, and machines to be moved over them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sdeiviz import VirtualMachine
from sdeiviz.machine import Paging
from sdeiviz.migration.live import Serving, migrate, serve

MEMORY = 2 << 20
FORWARD, BACK = 0, 1
Spoil = Callable[[bytes], bytes | None]
"""Given what comes, returns what goes on; None: cut the connection after what went on already."""


def machine(image: str = "hello", **options: Any) -> VirtualMachine:
    options = {"memory": MEMORY, "paging": Paging("sync"), **options}
    return VirtualMachine(image, **options)


class Proxy:
    """A port that leads to another one, and may spoil what goes over its n-th connection.

    Parameters
    ----------
    target
        Where it leads.
    spoil
        By number of the connection and direction.
    """

    def __init__(
        self, target: tuple[str, int], spoil: dict[tuple[int, int], Spoil] | None = None
    ) -> None:
        self._target = target
        self._spoil = spoil or {}
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.carried: list[tuple[bytearray, bytearray]] = []
        """What came over each connection, in both directions."""
        self.address = ("127.0.0.1", self._server.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            number = len(self.carried)
            self.carried.append((bytearray(), bytearray()))
            self._sockets += near, far
            for direction, ends in ((FORWARD, (near, far)), (BACK, (far, near))):
                arguments = (number, direction, *ends)
                thread = threading.Thread(target=self._carry, args=arguments)
                self._threads.append(thread)
                thread.start()

    def _carry(self, number: int, way: int, near: socket.socket, far: socket.socket) -> None:
        spoil = self._spoil.get((number, way), lambda data: data)
        with contextlib.suppress(OSError):
            while data := near.recv(1 << 16):
                self.carried[number][way].extend(data)
                passed = spoil(data)
                if passed is None:
                    break
                far.sendall(passed)
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Lose all connections that there are now."""
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()


class Cut:
    """Lets so many bytes pass, and then cuts."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.happened = False

    def __call__(self, data: bytes) -> bytes | None:
        if not self._left:
            self.happened = True
            return None
        passed = data[: self._left]
        self._left -= len(passed)
        return passed


class Change:
    """Changes one byte."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, data: bytes) -> bytes:
        changed = bytearray(data)
        if 0 <= self._left < len(data):
            changed[self._left] ^= 0x40
        self._left -= len(data)
        return bytes(changed)


class Repeat:
    """Sends a part of what passes twice."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end
        self._all = b""

    def __call__(self, data: bytes) -> bytes:
        before, self._all = len(self._all), self._all + data
        if before < self._end <= len(self._all):
            end = self._end - before
            return data[:end] + self._all[self._begin : self._end] + data[end:]
        return data


def frames(data: bytes) -> list[tuple[int, int, int]]:
    """Return (type, begin, end) of each frame, by the lengths that their headers say."""
    found, at = [], 0
    while at < len(data):
        end = at + 16 + int.from_bytes(data[at + 8 : at + 12], "big")
        found.append((data[at + 3], at, end))
        at = end
    return found


@contextlib.contextmanager
def served(vm: VirtualMachine, **options: Any) -> Iterator[Serving]:
    options = {"timeout": 5, "patience": 5, **options}
    with serve(vm, **options) as serving:
        yield serving


def move(vm: VirtualMachine, address: tuple[str, int], **options: Any) -> dict[str, Any]:
    options = {"timeout": 5, "tries": 6, **options}
    return migrate(vm, address, **options)


def ram(vm: VirtualMachine) -> bytes:
    return bytes(vm.memory.view)
