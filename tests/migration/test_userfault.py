"""Missing pages: both kinds do the same, and the Linux one really is the system call."""

import mmap
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import pytest

from sdeiviz.migration.userfault import (
    EmulatedUserfault,
    Fault,
    LinuxUserfault,
    PageExists,
    Userfault,
    UserfaultError,
)

PAGE = 4096
PAGES = 16


def emulated(buffer: mmap.mmap) -> Userfault:
    return EmulatedUserfault(memoryview(buffer))


KINDS: dict[str, Callable[[mmap.mmap], Userfault]] = {
    "emulated": emulated,
    "linux": LinuxUserfault,
}


@contextmanager
def served(kind: str) -> Iterator[tuple[mmap.mmap, Userfault]]:
    buffer = mmap.mmap(-1, PAGES * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    fault = KINDS[kind](buffer)
    fault.discard(0, PAGES)
    try:
        yield buffer, fault
    finally:
        fault.close()


@pytest.fixture(params=KINDS)
def memory(request: pytest.FixtureRequest) -> Iterator[tuple[mmap.mmap, Userfault]]:
    with served(request.param) as both:
        yield both


def soon(ask: Callable[[], list], count: int) -> list:
    """Ask until so many have come; a sleeper of Linux needs its time."""
    got: list = []
    for _ in range(2000):
        got += ask()
        if len(got) >= count:
            break
        time.sleep(0.005)
    return got


def test_touch_message_copy_wake(memory: tuple[mmap.mmap, Userfault]) -> None:
    buffer, fault = memory
    fault.touch(3, "a")
    (message,) = soon(fault.read, 1)
    assert (message.page, message.write) == (3, False)
    assert fault.woken() == []
    assert fault.is_missing(3)
    fault.copy(3, b"\x5a" * PAGE)
    assert soon(fault.woken, 1) == ["a"]
    assert not fault.is_missing(3)
    assert buffer[3 * PAGE : 4 * PAGE] == b"\x5a" * PAGE


def test_each_sleeper_sends_a_message_and_one_copy_wakes_all(
    memory: tuple[mmap.mmap, Userfault],
) -> None:
    _, fault = memory
    for who in range(5):
        fault.touch(7, who)
    fault.touch(8, "other")
    assert sorted(m.page for m in soon(fault.read, 6)) == [7, 7, 7, 7, 7, 8]
    fault.copy(7, bytes(PAGE))
    assert set(soon(fault.woken, 5)) == set(range(5))
    fault.zero(8)
    assert soon(fault.woken, 1) == ["other"]


def test_what_is_there_cannot_be_copied_over(memory: tuple[mmap.mmap, Userfault]) -> None:
    buffer, fault = memory
    fault.copy(0, b"\1" * PAGE)
    with pytest.raises(PageExists, match=r"^page 0x0 is there already$"):
        fault.copy(0, b"\2" * PAGE)
    with pytest.raises(PageExists):
        fault.zero(0)
    assert buffer[0] == 1


def test_a_touch_of_what_is_there_sends_nothing(memory: tuple[mmap.mmap, Userfault]) -> None:
    _, fault = memory
    fault.zero(2)
    fault.touch(2, "a")
    assert soon(fault.woken, 1) == ["a"]
    assert fault.read() == []


def test_copy_without_waking_and_a_wake_of_its_own(memory: tuple[mmap.mmap, Userfault]) -> None:
    _, fault = memory
    fault.touch(1, "a")
    assert len(soon(fault.read, 1)) == 1
    fault.copy(1, b"\3" * PAGE, wake=False)
    time.sleep(0.02)
    assert fault.woken() == []
    fault.wake(1)
    assert soon(fault.woken, 1) == ["a"]


def test_a_wake_for_nothing_sends_the_sleeper_back(memory: tuple[mmap.mmap, Userfault]) -> None:
    _, fault = memory
    fault.touch(4, "a")
    time.sleep(0.05)
    fault.wake(4)  # before the message was read: it is taken back, and comes again
    assert [m.page for m in soon(fault.read, 1)] == [4]
    fault.wake(4)
    assert soon(fault.read, 1)[0].page == 4
    assert fault.woken() == []


def test_resolved_before_it_was_read(memory: tuple[mmap.mmap, Userfault]) -> None:
    _, fault = memory
    fault.touch(9, "a")
    time.sleep(0.05)
    fault.copy(9, bytes(PAGE))
    assert soon(fault.woken, 1) == ["a"]
    assert fault.read() == []


def test_discarded_again_it_is_missing_again(memory: tuple[mmap.mmap, Userfault]) -> None:
    buffer, fault = memory
    fault.copy(5, b"\7" * PAGE)
    fault.discard(5, 1)
    assert fault.is_missing(5)
    fault.touch(5, "a")
    assert soon(fault.read, 1)[0].page == 5
    fault.zero(5)
    assert soon(fault.woken, 1) == ["a"]
    assert buffer[5 * PAGE] == 0


def test_the_end_wakes_everybody(memory: tuple[mmap.mmap, Userfault]) -> None:
    _, fault = memory
    for page in (3, 3, 4):
        fault.touch(page, page)
    assert len(soon(fault.read, 3)) == 3
    fault.close()
    assert sorted(soon(fault.woken, 3)) == [3, 3, 4]
    fault.close()


@pytest.mark.parametrize("size", [0, 4095, 4097])
def test_only_whole_pages(memory: tuple[mmap.mmap, Userfault], size: int) -> None:
    _, fault = memory
    with pytest.raises(UserfaultError, match=f"{size} bytes are not a page"):
        fault.copy(0, bytes(size))
    assert fault.is_missing(0)


def test_a_server_thread_serves_while_this_one_sleeps() -> None:
    """A real access, of a thread in C, is resolved by a Python thread: nobody holds the lock."""
    with served("linux") as (buffer, fault):
        assert isinstance(fault, LinuxUserfault)
        done = threading.Event()
        names: list[Fault] = []

        def serve() -> None:
            while not done.is_set():
                if fault.wait(0.05):
                    for message in fault.read():
                        names.append(message)
                        fault.copy(message.page, bytes([message.page]) * PAGE)

        server = threading.Thread(target=serve)
        server.start()
        try:
            for page in range(PAGES):
                fault.touch(page, page)
            woken: list[Hashable] = soon(fault.woken, PAGES)
        finally:
            done.set()
            server.join()
        assert sorted(woken) == list(range(PAGES))  # type: ignore[type-var]
        assert [buffer[page * PAGE] for page in range(PAGES)] == list(range(PAGES))
        assert all(message.thread not in (0, os.getpid()) for message in names)


def test_without_the_system_call_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdeiviz.migration.userfault.platform.machine", lambda: "mips")
    with pytest.raises(UserfaultError, match="no userfaultfd: take the emulated one"):
        LinuxUserfault(mmap.mmap(-1, PAGE))
