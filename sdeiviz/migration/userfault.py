"""Missing pages, as userfaultfd has them (Linux, admin-guide/mm/userfaultfd).

Memory is registered, and then whoever touches a page of it that is not there sleeps. A message
tells the one who serves the memory; it copies the page in, or a page of zeros, which wakes the
sleepers. Each of them sends a message of its own, so several for one page are normal. A page is
there as a whole or not at all. What is there already cannot be copied over (EEXIST).

Two of a kind: `EmulatedUserfault` is portable and does the same each time; `LinuxUserfault` is the
system call. A vCPU's own try is neither a touch nor a message: KVM asks without waiting, and where
it would have to wait leaves that to a worker (fs/userfaultfd.c: FAULT_FLAG_RETRY_NOWAIT).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import select
import struct
import sys
import threading
from collections import deque
from collections.abc import Hashable
from typing import Final, NamedTuple, Protocol

from sdeiviz.errors import Error
from sdeiviz.machine.memory import PAGE, PAGE_SHIFT, ZERO_PAGE


class UserfaultError(Error):
    """Missing pages cannot be served like this here."""


class PageExists(UserfaultError):
    """A page was to be placed that is there already (EEXIST): nothing has been changed."""


class Fault(NamedTuple):
    """Somebody sleeps until a page is there (UFFD_EVENT_PAGEFAULT)."""

    page: int
    """Its number in the memory."""
    write: bool
    thread: int
    """Who sleeps: the number of a thread, 0 where that is not told."""


class Userfault(Protocol):
    """The missing pages of one memory."""

    def is_missing(self, page: int) -> bool:
        """Tell whether a page is not there; nobody sleeps for the answer."""

    def discard(self, first: int, count: int) -> None:
        """Let pages be missing from now on, and forget what they held."""

    def touch(self, page: int, who: Hashable) -> None:
        """Let `who` sleep until a page is there; `woken` tells when that is over."""

    def read(self) -> list[Fault]:
        """Return the messages that have come since the last call, the oldest first."""

    def woken(self) -> list[Hashable]:
        """Return who has been woken since the last call."""

    def copy(self, page: int, data: bytes, *, wake: bool = True) -> None:
        """Place a page (UFFDIO_COPY), and wake who sleeps over it.

        Raises
        ------
        PageExists
            It is there.
        UserfaultError
            It is not one page of data.
        """

    def zero(self, page: int, *, wake: bool = True) -> None:
        """Place a page of zeros (UFFDIO_ZEROPAGE)."""

    def wake(self, page: int) -> None:
        """Wake who sleeps over a page (UFFDIO_WAKE); who finds it missing sleeps again."""

    def close(self) -> None:
        """Serve no more: everybody wakes, and what is missing has become zero."""


class EmulatedUserfault:
    """Missing pages of any memory, without the system's help.

    Parameters
    ----------
    view
        The memory: a writable buffer of whole pages.

    Examples
    --------
    >>> fault = EmulatedUserfault(memoryview(bytearray(2 * PAGE)))
    >>> fault.discard(0, 2)
    >>> fault.touch(1, "worker")
    >>> fault.read()
    [Fault(page=1, write=False, thread=0)]
    >>> fault.copy(1, b"x" * PAGE)
    >>> fault.woken(), fault.is_missing(1), fault.is_missing(0)
    (['worker'], False, True)
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._missing = bytearray(_pages(view))
        self._sleepers: dict[int, list[Hashable]] = {}
        self._messages: deque[Fault] = deque()
        self._woken: list[Hashable] = []

    def is_missing(self, page: int) -> bool:
        """See `Userfault`."""
        return bool(self._missing[page])

    def discard(self, first: int, count: int) -> None:
        """See `Userfault`."""
        for page in range(first, first + count):
            self._missing[page] = True
            self._view[page << PAGE_SHIFT : (page + 1) << PAGE_SHIFT] = ZERO_PAGE

    def touch(self, page: int, who: Hashable) -> None:
        """See `Userfault`."""
        if self._missing[page]:
            self._sleepers.setdefault(page, []).append(who)
            self._messages.append(Fault(page, False, 0))
        else:
            self._woken.append(who)

    def read(self) -> list[Fault]:
        """See `Userfault`; a fault that was resolved meanwhile sends nothing (EAGAIN)."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def woken(self) -> list[Hashable]:
        """See `Userfault`."""
        woken, self._woken = self._woken, []
        return woken

    def copy(self, page: int, data: bytes, *, wake: bool = True) -> None:
        """See `Userfault`."""
        _check(page, data)
        if not self._missing[page]:
            raise PageExists(f"page {page:#x} is there already")
        self._view[page << PAGE_SHIFT : (page + 1) << PAGE_SHIFT] = data
        self._missing[page] = False
        if wake:
            self.wake(page)

    def zero(self, page: int, *, wake: bool = True) -> None:
        """See `Userfault`."""
        self.copy(page, ZERO_PAGE, wake=wake)

    def wake(self, page: int) -> None:
        """See `Userfault`."""
        # Who is awake has no message any more; one that goes to sleep again sends another.
        self._messages = deque(message for message in self._messages if message.page != page)
        for who in self._sleepers.pop(page, ()):
            self.touch(page, who)

    def close(self) -> None:
        """See `Userfault`."""
        self._missing[:] = bytes(len(self._missing))
        for page in list(self._sleepers):
            self.wake(page)


# -- Linux (include/uapi/linux/userfaultfd.h)

_SYSCALL: Final = {"x86_64": 323, "aarch64": 282}
_USER_MODE_ONLY: Final = 1
_API: Final = 0xAA
_API_IOCTL: Final = 0xC018_AA3F
_REGISTER: Final = 0xC020_AA00
_WAKE: Final = 0x8010_AA02
_COPY: Final = 0xC028_AA03
_ZEROPAGE: Final = 0xC020_AA04
_MODE_MISSING: Final = 1
_DONTWAKE: Final = 1
_FEATURE_THREAD_ID: Final = 1 << 8
_EVENT_PAGEFAULT: Final = 0x12
_FLAG_WRITE: Final = 1
_MESSAGE: Final = struct.Struct("=B7xQQI4x")
"""Event, then of a page fault: flags, address, thread."""


class LinuxUserfault:
    """The system call, over an anonymous mapping.

    Only faults of this process's own code are caught (UFFD_USER_MODE_ONLY), which an ordinary user
    may where ``vm.unprivileged_userfaultfd`` is 0 too. A sleeper is a thread in the C library: a
    Python thread that touched the memory itself would sleep with the interpreter's lock, and
    nobody could serve it.

    Parameters
    ----------
    buffer
        The memory, an anonymous mapping of whole pages.

    Raises
    ------
    UserfaultError
        This system has no userfaultfd, or does not let us.
    """

    def __init__(self, buffer: mmap.mmap) -> None:
        self._buffer = buffer
        self._anchor = ctypes.c_char.from_buffer(buffer)
        self._base = ctypes.addressof(self._anchor)
        self._size = len(buffer)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._woken: deque[Hashable] = deque()
        self._sleepers: set[threading.Thread] = set()
        self._missing = bytearray(_pages(memoryview(buffer)))
        self._fd = self._open()
        self._ioctl(_API_IOCTL, "=QQQ", _API, _FEATURE_THREAD_ID, 0)
        self._ioctl(_REGISTER, "=QQQQ", self._base, self._size, _MODE_MISSING, 0)

    def _open(self) -> int:
        number = _SYSCALL.get(platform.machine())
        if sys.platform != "linux" or number is None:
            raise UserfaultError("this system has no userfaultfd: take the emulated one")
        flags = os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY
        fd: int = self._libc.syscall(number, flags)
        if fd < 0:
            reason = os.strerror(ctypes.get_errno())
            raise UserfaultError(
                f"the system gives no userfaultfd ({reason}): take the emulated one"
            )
        return fd

    def _ioctl(self, request: int, layout: str, *fields: int) -> tuple[int, ...]:
        """Call, and return the structure as it came back; an OSError where the kernel refused."""
        structure = bytearray(struct.pack(layout, *fields))
        fcntl.ioctl(self._fd, request, structure)
        return struct.unpack(layout, structure)

    def is_missing(self, page: int) -> bool:
        """See `Userfault`."""
        return bool(self._missing[page])

    def discard(self, first: int, count: int) -> None:
        """See `Userfault`."""
        if count:
            self._buffer.madvise(mmap.MADV_DONTNEED, first << PAGE_SHIFT, count << PAGE_SHIFT)
            self._missing[first : first + count] = b"\1" * count

    def touch(self, page: int, who: Hashable) -> None:
        """See `Userfault`."""

        def sleep() -> None:
            byte = ctypes.create_string_buffer(1)
            self._libc.memcpy(byte, self._base + (page << PAGE_SHIFT), 1)
            self._woken.append(who)

        self._sleepers = {thread for thread in self._sleepers if thread.is_alive()}
        thread = threading.Thread(target=sleep, name=f"sleeper over page {page:#x}", daemon=True)
        self._sleepers.add(thread)
        thread.start()

    def fileno(self) -> int:
        """Return the file descriptor: it can be polled for messages."""
        return self._fd

    def wait(self, seconds: float) -> bool:
        """Wait for a message, so long at most; returns whether there is one."""
        return bool(select.select([self._fd], [], [], seconds)[0])

    def read(self) -> list[Fault]:
        """See `Userfault`."""
        faults: list[Fault] = []
        while True:
            try:
                data = os.read(self._fd, _MESSAGE.size)
            except BlockingIOError:
                return faults
            event, flags, address, thread = _MESSAGE.unpack(data)
            if event == _EVENT_PAGEFAULT:
                page = address - self._base >> PAGE_SHIFT
                faults.append(Fault(page, bool(flags & _FLAG_WRITE), thread))

    def woken(self) -> list[Hashable]:
        """See `Userfault`."""
        woken: list[Hashable] = []
        while self._woken:
            woken.append(self._woken.popleft())
        return woken

    def copy(self, page: int, data: bytes, *, wake: bool = True) -> None:
        """See `Userfault`."""
        _check(page, data)
        source = ctypes.create_string_buffer(data, PAGE)
        mode = 0 if wake else _DONTWAKE
        place = self._base + (page << PAGE_SHIFT)
        self._place(page, _COPY, "=QQQQq", place, ctypes.addressof(source), PAGE, mode, 0)

    def zero(self, page: int, *, wake: bool = True) -> None:
        """See `Userfault`."""
        mode = 0 if wake else _DONTWAKE
        self._place(page, _ZEROPAGE, "=QQQq", self._base + (page << PAGE_SHIFT), PAGE, mode, 0)

    def _place(self, page: int, request: int, layout: str, *fields: int) -> None:
        try:
            self._ioctl(request, layout, *fields)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise PageExists(f"page {page:#x} is there already") from None
            raise UserfaultError(f"page {page:#x} cannot be placed: {error.strerror}") from None
        self._missing[page] = False

    def wake(self, page: int) -> None:
        """See `Userfault`."""
        self._ioctl(_WAKE, "=QQ", self._base + (page << PAGE_SHIFT), PAGE)

    def close(self) -> None:
        """See `Userfault`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._missing[:] = bytes(len(self._missing))
            for thread in self._sleepers:
                thread.join()


def _pages(view: memoryview) -> int:
    if view.nbytes % PAGE:
        raise UserfaultError(f"memory of {view.nbytes} bytes: want whole pages")
    return view.nbytes >> PAGE_SHIFT


def _check(page: int, data: bytes) -> None:
    if len(data) != PAGE:
        raise UserfaultError(f"page {page:#x}: {len(data)} bytes are not a page")
