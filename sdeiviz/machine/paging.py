"""The host's memory manager: which pages of the guest are in memory, and who waits for the others.

The guest meets a missing page only as a stage-2 abort. What becomes of it is async page fault's
decision (`sdeiviz.apf`): the vCPU waits, or a worker does and the guest is told. All of it takes
virtual time: what the host's own work costs is declared (`sdeiviz.machine.costs`), how long the
store takes is a model (`sdeiviz.machine.latency`).

A page is *present* (and mapped, or not yet), *absent* (its content is in the store), being
*fetched*, or *zero*: never written, and mapped to a page of zeros that all of them share, until the
first write gives it memory of its own.

Who sleeps in the host until a page is there (fs/userfaultfd.c; v4 patch 7): the vCPU's own thread
after a synchronous fault, else a worker on its behalf.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from sdeiviz.abi import esr
from sdeiviz.abi.apf import IRQ_ONLY_DEFAULT_IRQ
from sdeiviz.apf import AsyncPageFault, Mode, mode
from sdeiviz.apf.vcpu import HALT, IN_FLIGHT, RETRY, WAIT
from sdeiviz.errors import Error
from sdeiviz.machine.accounts import Activity
from sdeiviz.machine.costs import Costs
from sdeiviz.machine.latency import Constant, Latency
from sdeiviz.machine.memory import NOT_HERE, PAGE, PAGE_SHIFT, ZERO_PAGE, GuestMemory, PageState
from sdeiviz.machine.store import Store, Swap

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.machine.vm import VirtualMachine

# Looking up a member of an enumeration takes longer than it looks.
_PRESENT: Final = PageState.PRESENT
_ABSENT: Final = PageState.ABSENT
_FETCHING: Final = PageState.FETCHING
_ZERO: Final = PageState.ZERO

FEWEST_RESIDENT: Final = 16
"""Pages: an instruction may need its own, four tables' for it and for what it touches, and that."""
RECLAIM: Final = 32
"""Pages that are taken away at a time, as Linux does (SWAP_CLUSTER_MAX); an eighth of few."""
_STUCK: Final = 10_000
"""Faults without an instruction completed in between: the guest cannot go on."""
SHORTEST_RETRY: Final = 1_000
"""Nanoseconds: where the host's work costs nothing, a fault tried again still takes time, or it
would be tried for ever at one moment."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How the host treats the guest's memory.

    Raises
    ------
    Error
        A parameter is out of range.
    """

    mode: str | Mode = "arm64-v4"
    """How a missing page is treated: one of `sdeiviz.apf.MODES`."""
    latency: Latency = field(default_factory=lambda: Constant(50_000))
    """How long the store takes to bring a page."""
    depth: int = 64
    """How many pages the store brings at the same time; others queue."""
    resident: int | None = None
    """How many pages of the pageable ones may be in memory, None: all. Beyond it those that came
    first go, some at a time."""
    costs: Costs = field(default_factory=Costs)
    event: int | None = None
    """SDEI event of page-not-present, None: the one that the profile has for it."""
    irq: int = IRQ_ONLY_DEFAULT_IRQ
    """PPI of page-ready, 16 to 31."""

    def __post_init__(self) -> None:
        if isinstance(self.mode, str):
            mode(self.mode)
        if self.depth < 1:
            raise Error(f"a store that brings {self.depth} pages at a time: want 1 or more")
        if self.resident is not None and self.resident < FEWEST_RESIDENT:
            raise Error(
                f"{self.resident} resident pages: want {FEWEST_RESIDENT} or more, or an"
                " instruction's own pages may never be there together"
            )
        if self.irq not in range(16, 32):
            raise Error(f"no PPI {self.irq}: they are 16 to 31")


class Guard(Protocol):
    """Keeps absent pages back in the host's own memory: who touches one there sleeps.

    Else nothing does, and an absent page is a page of zeros that nobody looks at.
    """

    def discard(self, first: int, count: int) -> None:
        """Let pages be missing from now on, and forget what they held."""

    def copy(self, page: int, data: bytes) -> None:
        """Put the content of a missing page in place."""

    def zero(self, page: int) -> None:
        """Put zeros in place of a missing page."""

    def close(self) -> None:
        """Keep nothing back any more; what is missing has become zero."""


class Pager:
    """The memory manager of one machine.

    Parameters
    ----------
    vm
        The machine.
    paging
        How to treat its memory.
    pageable
        Numbers of the pages in RAM that the host may take away.
    apf
        What decides on a fault.
    """

    def __init__(
        self, vm: "VirtualMachine", paging: Paging, pageable: range, apf: AsyncPageFault
    ) -> None:
        self._vm = vm
        self._apf = apf
        self.paging = paging
        self.pageable = pageable
        self._costs = paging.costs
        self._first_gfn = vm.memory.base >> PAGE_SHIFT
        self._stage2 = vm.stage2
        self.guard: Guard | None = None
        self.reset()

    def reset(self) -> None:
        """Begin as at power-on: nothing pageable has ever been written."""
        memory = self._vm.memory
        self.release()
        self.states = bytearray(memory.size >> PAGE_SHIFT)
        """A `PageState` for each page of RAM."""
        memory.states = self.states
        self.store: Store = Swap(self.paging.latency, self.paging.depth, self._costs.place)
        self._unmapped: set[int] = set()
        """Present pages that stage 2 does not map yet."""
        self._resident: deque[int] = deque()
        """Pageable pages with memory of their own, the oldest first."""
        self._askers: dict[int, int] = {}
        """Pages being fetched, and the number of the vCPU that asked first."""
        self._waiters: dict[int, list[int]] = {}
        """vCPUs that wait for a page."""
        self._late: dict[int, list[tuple[int, bytes]]] = {}
        """What the host writes to a page once it is there: (offset, data)."""
        self._stuck = (-1, 0)
        for page in self.pageable:
            self.states[page] = _ZERO
            self._stage2.map_page(page, writable=False)

    def release(self) -> None:
        """Do without a guard from now on."""
        if self.guard:
            self.guard.close()
        self.guard = None

    # -- looking

    @property
    def deadline(self) -> int | None:
        """When the next page arrives."""
        return self.store.deadline

    @property
    def resident(self) -> int:
        """How many pageable pages have memory of their own."""
        return len(self._resident)

    def is_absent(self, page: int) -> bool:
        """Tell whether a page's content is elsewhere."""
        return self.states[page] in NOT_HERE

    def content(self, page: int) -> bytes:
        """Return what the guest would find in a page, wherever it is now."""
        return self.store.content(page) if self.is_absent(page) else self._vm.memory.page(page)

    # -- a fault

    def fault(self, vcpu: "Vcpu", ipa: int, syndrome: int) -> bool:
        """Handle a stage-2 abort in RAM; False: the page is there, the abort has another reason."""
        page = (ipa >> PAGE_SHIFT) - self._first_gfn
        state = self.states[page]
        if state == _PRESENT:
            if page not in self._unmapped:
                return False
            self._vm.spend(vcpu, self._costs.exit + self._costs.lookup)
            self.map_arrived(vcpu, page)
        elif state == _ZERO:
            if not _is_write(syndrome):
                return False
            costs = self._costs
            self._vm.spend(vcpu, costs.exit + costs.lookup + costs.zero + costs.map)
            self.populate(page)
        else:
            self._missing(vcpu, page, syndrome)
        if not vcpu.stalled and not self._vm.is_late:
            vcpu.enter()
        return True

    def _missing(self, vcpu: "Vcpu", page: int, syndrome: int) -> None:
        """Ask what becomes of the vCPU, and fetch the page."""
        vm, costs, gfn = self._vm, self._costs, self.gfn(page)
        vm.spend(vcpu, costs.exit + costs.lookup)
        decision, reason, _ = self._apf.fault(vcpu.number, gfn, vcpu.pstate, syndrome)
        waits = decision is WAIT
        if self.states[page] == _ABSENT:
            self.fetch(page, vcpu.number, None if waits else costs.worker)
        queue = 0 if reason is IN_FLIGHT else costs.queue
        if waits:
            vm.spend(vcpu, costs.block)
            self._waiters.setdefault(page, []).append(vcpu.number)
            vcpu.stall(Activity.BLOCKED, gfn)
        elif decision is HALT:
            vm.spend(vcpu, queue)
            vcpu.stall(Activity.HALTED, gfn)
        elif decision is RETRY:
            vm.spend(vcpu, queue + max(SHORTEST_RETRY - costs.exit - costs.lookup, 0))
            vm.scheduler.end_turn()
        else:
            vm.spend(vcpu, queue + costs.inject)
            vcpu.must_enter = True
        if decision is not RETRY:
            self._watch_progress(vcpu)

    def _watch_progress(self, vcpu: "Vcpu") -> None:
        """Stop a machine whose pages drive each other out before an instruction has them all."""
        index, (before, repeats) = self._vm.index, self._stuck
        repeats = repeats + 1 if before == index else 0
        self._stuck = (index, repeats)
        if repeats > _STUCK:
            self._vm.stop_thrashing(vcpu)

    def gfn(self, page: int) -> int:
        """Return the guest page number of a page of RAM."""
        return self._first_gfn + page

    def page(self, gfn: int) -> int:
        """Return the number in RAM of a guest page number."""
        return gfn - self._first_gfn

    # -- fetching

    def fetch(self, page: int, vcpu: int, worker: int | None) -> None:
        """Begin to bring an absent page into memory.

        Parameters
        ----------
        page
            Its number in RAM.
        vcpu
            Number of the vCPU that needs it.
        worker
            Nanoseconds until a worker takes it up; None: the vCPU's own thread fetches it.
        """
        vm = self._vm
        self.states[page] = _FETCHING
        self._askers[page] = vcpu
        by = "vcpu" if worker is None else "worker"
        vm.note("FetchStarted", vcpu, self.gfn(page), by)
        self.store.request(page, vm.time + (worker or 0))
        vm.due_by(self.store.deadline)

    def expire(self, time: int) -> None:
        """Let the pages arrive that are due."""
        for page, data in self.store.arrivals(time):
            self.place(page, data)

    def place(self, page: int, data: bytes | None) -> bool:
        """Put the content of a page into memory, None for zeros, and wake who waits for it.

        Returns False where it is there already; then nothing is changed.
        """
        if not self.is_absent(page):
            return False
        vm, gfn = self._vm, self.gfn(page)
        vm.note("FetchDone", self._askers.pop(page, vm.current.number), gfn)
        if data is None and page not in self._late:
            self._place_zeros(page)
        else:
            self._write(page, data or ZERO_PAGE)
            self.states[page] = _PRESENT
            self._unmapped.add(page)
            self._admit(page)
        for number in self._waiters.pop(page, ()):
            vcpu = vm.vcpus[number]
            self.map_arrived(vcpu, page)
            vcpu.unstall()
        self._apf.page_arrived(gfn)
        return True

    def place_pages(self, first: int, count: int, data: bytes | memoryview | None) -> int:
        """Put the content of neighbours into memory, None for zeros; returns how many were absent.

        Pages that nobody has asked for are placed together, and nothing of them is traced.
        """
        pages = range(first, first + count)
        absent = bytes([_ABSENT]) * count
        together = self.states[first : first + count] == absent and self.paging.resident is None
        if not together or not self._late.keys().isdisjoint(pages):
            return sum(
                self.place(page, None if data is None else _page_of(data, n))
                for n, page in enumerate(pages)
            )
        if data is None:
            for page in pages:
                self._place_zeros(page)
            return count
        if self.guard:
            for n, page in enumerate(pages):
                self.guard.copy(page, _page_of(data, n))
        else:
            self._vm.memory.place(first, data)
        self.states[first : first + count] = bytes([_PRESENT]) * count
        self._unmapped.update(pages)
        start, stop = max(first, self.pageable.start), min(first + count, self.pageable.stop)
        self._resident.extend(range(start, stop))
        self._stage2.mark_dirty(pages)
        return count

    def _place_zeros(self, page: int) -> None:
        if self.guard:
            self.guard.zero(page)
        self.states[page] = _ZERO
        self._stage2.map_page(page, writable=False)

    def _write(self, page: int, data: bytes) -> None:
        """Put the content of an absent page into memory, and what the host wrote to it since."""
        memory = self._vm.memory
        if self.guard:
            self.guard.copy(page, data)
        else:
            memory.place(page, data)
        start = page << PAGE_SHIFT
        for offset, late in self._late.pop(page, ()):
            memory.view[start + offset : start + offset + len(late)] = late
        self._stage2.mark_dirty((page,))

    def _clear(self, first: int, count: int) -> None:
        """Take the content of pages out of memory."""
        (self.guard or self._vm.memory).discard(first, count)
        self.states[first : first + count] = bytes([_ABSENT]) * count
        self._unmapped.difference_update(range(first, first + count))
        self._stage2.unmap_pages(first, count)
        self._stage2.mark_dirty(range(first, first + count))

    def map_arrived(self, vcpu: "Vcpu", page: int) -> None:
        """Map a page that has arrived; nothing where it is mapped, or gone again."""
        if page in self._unmapped:
            self._vm.spend(vcpu, self._costs.map)
            self._unmapped.discard(page)
            self._stage2.map_page(page, writable=True)

    def populate(self, page: int) -> None:
        """Give a zero page memory of its own."""
        self.states[page] = _PRESENT
        self._stage2.map_page(page, writable=True)
        self._admit(page)

    # -- taking away

    def _admit(self, page: int) -> None:
        """Count a page as resident, and take others away where there are too many."""
        if page not in self.pageable:
            return
        self._resident.append(page)
        limit = self.paging.resident
        if limit is not None and len(self._resident) > limit:
            few = limit - min(limit // 8, RECLAIM)
            while len(self._resident) > few:
                self._evict(self._resident.popleft())
            self._vm.flush_tlbs()

    def discard(self, first: int, count: int) -> None:
        """Let pages be absent whatever they hold: their content will come from the store."""
        self._clear(first, count)
        self._resident = deque(page for page in self._resident if not self.is_absent(page))
        self._vm.flush_tlbs()

    def evict(self, page: int) -> None:
        """Take a page away, whatever its turn."""
        if page in self._resident:
            self._resident.remove(page)
        self._evict(page)
        self._vm.flush_tlbs()

    def _evict(self, page: int) -> None:
        self.store.put(page, self._vm.memory.page(page))
        self._clear(page, 1)
        self._vm.note("PageEvicted", self._vm.current.number, self.gfn(page))

    # -- the host's own accesses

    def written_by_host(self, pages: Iterable[int]) -> None:
        """Take note that the host has written to pages: none of them is a zero page any more."""
        for page in pages:
            if self.states[page] == _ZERO:
                self.populate(page)

    def read_word(self, ipa: int) -> int | None:
        """Return a word of guest memory for the hypervisor, None where its page is absent.

        Then the page is fetched, so that another time it may be there. The address is aligned.
        """
        memory = self._vm.memory
        offset = ipa - memory.base
        state = self.states[offset >> PAGE_SHIFT]
        if state in NOT_HERE:
            if state == _ABSENT:
                self.fetch(offset >> PAGE_SHIFT, self._vm.current.number, self._costs.worker)
            return None
        return memory.words[offset >> 2]

    def write_word(self, ipa: int, value: int) -> None:
        """Write a word of guest memory for the hypervisor: now, or as soon as its page is there.

        The address is aligned.
        """
        memory = self._vm.memory
        offset = ipa - memory.base
        page = offset >> PAGE_SHIFT
        if self.states[page] != _PRESENT:
            if self.is_absent(page):
                self._late.setdefault(page, []).append((ipa % PAGE, value.to_bytes(4, "little")))
                return
            self.written_by_host((page,))
        memory.words[offset >> 2] = value
        self._stage2.mark_dirty((page,))

    # -- state

    def save(self) -> dict[str, Any]:
        """Return the manager's whole state as plain values."""
        return {
            "states": bytes(self.states),
            "unmapped": tuple(sorted(self._unmapped)),
            "resident": tuple(self._resident),
            "askers": dict(self._askers),
            "waiters": {page: tuple(numbers) for page, numbers in self._waiters.items()},
            "late": {page: tuple(writes) for page, writes in self._late.items()},
            "stuck": self._stuck,
            "store": self.store.save(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state; the content of RAM is the machine's to load."""
        states, unmapped = state["states"], set(state["unmapped"])
        changed = {
            n for n, (now, then) in enumerate(zip(self.states, states, strict=True)) if now != then
        }
        self.states[:] = states
        for page in changed | (unmapped ^ self._unmapped):
            if self.is_absent(page) or page in unmapped:
                self._stage2.unmap_page(page)
            else:
                self._stage2.map_page(page, writable=states[page] != _ZERO)
        self._unmapped = unmapped
        self._resident = deque(state["resident"])
        self._askers = dict(state["askers"])
        self._waiters = {page: list(numbers) for page, numbers in state["waiters"].items()}
        self._late = {page: list(writes) for page, writes in state["late"].items()}
        self._stuck = state["stuck"]
        self.store.load(state["store"])


def _page_of(data: bytes | memoryview, n: int) -> bytes:
    return bytes(data[n << PAGE_SHIFT : (n + 1) << PAGE_SHIFT])


def pageable(memory: GuestMemory, used: Iterable[tuple[int, int]]) -> range:
    """Return the pages behind everything that is used at the start: (address, bytes) each."""
    end = max((address + size for address, size in used), default=memory.base)
    return range(-(-(end - memory.base) // PAGE), memory.size >> PAGE_SHIFT)


def _is_write(syndrome: int) -> bool:
    data = esr.exception_class(syndrome) == esr.Class.DATA_ABORT_LOWER
    return data and bool(syndrome & esr.WNR) and not syndrome & esr.S1PTW
