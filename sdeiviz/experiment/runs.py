"""One case in one mode: run the guest for a window of virtual time, and count what came of it.

Everything is counted over the same window: what the threads did, where each vCPU's time went, what
became of the faults. So a gain for C that M pays for, or one of a longer run, cannot pass for one.
"""

import re
import struct
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Final, NamedTuple, Protocol

from sdeiviz.errors import Error
from sdeiviz.experiment.parameters import Case, Migration, Parameters
from sdeiviz.machine import Paging, Stop, VirtualMachine
from sdeiviz.machine.memory import PAGE
from sdeiviz.trace import AT, TraceSink, time_of_call

NEVER: Final = 600_000_000_000
"""Ten minutes of virtual time."""
TURN: Final = 3
"""Instructions, and nanoseconds, of a turn of the guest's empty loop: its option ``work``."""

Faults = Counter[tuple[str, str]]
"""How many, by what became of them ("wait", "notified", "halt", "retry") and why."""


class ExperimentError(Error):
    """A run that says nothing: the guest never began, or stopped."""


class Work(NamedTuple):
    """What the threads of each kind have done since the guest began."""

    computed: int
    """Units by C."""
    touched: int
    """Pages by M."""
    served: int
    """Requests."""
    errors: int
    """Words that were not what had been written there."""

    def __sub__(self, earlier: "Work") -> "Work":
        return Work(*(now - then for now, then in zip(self, earlier, strict=True)))


class Bench(Protocol):
    """A machine with the guest on it, as far as an experiment looks at it."""

    @property
    def time(self) -> int:
        """Virtual time in nanoseconds."""

    @property
    def instructions(self) -> int:
        """Instructions executed, by all vCPUs together."""

    def run_until(self, time: int) -> None:
        """Run to a moment of virtual time."""

    def work(self) -> Work:
        """Return what the guest's threads have done."""

    def accounts(self) -> Sequence[Mapping[str, int]]:
        """Return where each vCPU's time went, by `sdeiviz.machine.accounts.Activity`."""

    def faults(self) -> Faults:
        """Return what became of every fault."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run. Everything but `errors` is over the same window."""

    case: str
    mode: str
    seed: int
    window: int
    """Nanoseconds of virtual time: as long as asked for, and what the host did in one go at its
    end."""
    computed: int
    """Units of work by C."""
    touched: int
    """Pages written by M."""
    served: int
    """Requests answered."""
    errors: int
    """Words that were not what had been written there, since the start; 0, or the machine is
    broken."""
    accounts: tuple[Mapping[str, int], ...]
    """Of each vCPU: nanoseconds by activity, which add up to the window."""
    faults: Faults
    latencies: tuple[int, ...]
    """Mean, median and 99th percentile, in nanoseconds, from a fault to the page in the host's
    memory; all 0 if there was none."""
    instructions: int
    host_seconds: float
    """Processor time that the window took; not virtual, and not the same again."""

    @property
    def rate(self) -> float:
        """Units of work by C in a millisecond of virtual time."""
        return self.computed / self.window * 1e6

    @property
    def pages_per_ms(self) -> float:
        """Pages written by M in a millisecond of virtual time."""
        return self.touched / self.window * 1e6

    @property
    def asynchronous(self) -> float:
        """Share of faults of which the guest was told; a retry is the same fault once more."""
        told, retries = (
            sum(n for (what, _), n in self.faults.items() if what == kind)
            for kind in ("notified", "retry")
        )
        return told / (self.faults.total() - retries or 1)

    def spent(self, activity: str) -> int:
        """Return the nanoseconds that all vCPUs together spent on something."""
        return sum(account[activity] for account in self.accounts)

    def more(self) -> dict[str, object]:
        """Return what only runs of one kind have, by its name in a table."""
        return {}


def gain(new: Result, old: Result) -> float:
    """Return how much more C computed in a time: 0.5 is half as much again.

    Raises
    ------
    ExperimentError
        C computed nothing in the old run.
    """
    if not old.computed:
        raise ExperimentError(f"case {old.case}, mode {old.mode}: C computed nothing to compare")
    return new.rate / old.rate - 1


def bound(faulting: int, computing: int) -> float:
    """Return the most that C can gain on a vCPU with f faulting and m computing threads: f / m.

    A fair guest bills a stall to the thread that faulted, so that without async page fault C has
    its share, m / (f + m), whatever a fault costs; it can never have more than all.

    Parameters
    ----------
    faulting
        f: a case's `m`, M being the thread that touches memory.
    computing
        m: a case's `c`.

    Raises
    ------
    ExperimentError
        Nobody computes, or f is negative.

    Examples
    --------
    >>> bound(1, 1), bound(4, 1)
    (1.0, 4.0)
    """
    if faulting < 0 or computing < 1:
        raise ExperimentError("a bound wants at least one computing thread")
    return faulting / computing


@dataclass(slots=True)
class FaultTimes:
    """A trace that keeps nothing but how long pages took to come: eight bytes for each."""

    nanoseconds: "array[int]" = field(default_factory=lambda: array("q"))
    _now: int = 0
    _since: dict[int, int] = field(default_factory=dict)

    def extend(self, record: tuple[Any, ...]) -> None:
        """Take one more record (see `sdeiviz.trace.record`)."""
        name, gfn = record[0], 2
        if name == AT:
            self._now = record[2]
            if len(record) == 3:
                return
            name, gfn = record[3], 5
        if name == "PageFault":
            self._since.setdefault(record[gfn], self._now)
        elif name == "FetchDone":
            since = self._since.pop(record[gfn], None)
            if since is not None:
                self.nanoseconds.append(self._now - since)
        elif name == "HVC":
            self._now = time_of_call(record[2])

    def summary(self, start: int = 0) -> tuple[int, ...]:
        """Return mean, median and 99th percentile of all but the first so many."""
        values = sorted(self.nanoseconds[start:])
        if not values:
            return 0, 0, 0
        last = len(values) - 1
        return round(fmean(values)), values[last // 2], values[last * 99 // 100]


def measure(
    bench: Bench, times: FaultTimes, case: Case, mode: str, parameters: Parameters, seed: int = 1
) -> Result:
    """Run a machine to the beginning of the window and through it.

    The window begins at the first look at which the threads are past the first pass over the pages.

    Raises
    ------
    ExperimentError
        They never get there, or the machine stops within the window.
    """
    step, window = parameters.whole("window.step"), parameters.whole(case.window)
    while not any(bench.work()[:3]):
        if bench.time > NEVER:
            raise ExperimentError(f"case {case.name}: the guest does not begin to work")
        bench.run_until(bench.time + step)
    start, work, accounts, faults = bench.time, bench.work(), bench.accounts(), bench.faults()
    instructions, known = bench.instructions, len(times.nanoseconds)
    began = time.process_time()
    bench.run_until(start + window)
    seconds = time.process_time() - began
    if bench.time < start + window:
        raise ExperimentError(f"case {case.name}: stopped at {bench.time} ns of virtual time")
    computed, touched, served, _ = bench.work() - work
    return Result(
        case.name,
        mode,
        seed,
        bench.time - start,
        computed,
        touched,
        served,
        bench.work().errors,
        tuple(
            {name: now[name] - then[name] for name in now}
            for now, then in zip(bench.accounts(), accounts, strict=True)
        ),
        bench.faults() - faults,
        times.summary(known),
        bench.instructions - instructions,
        seconds,
    )


_THREADS: Final = 256
_RECORD: Final = struct.Struct("<2Q24xI212x")
"""Of a thread, in the guest's `work`: what it has done, errors, and its kind."""
_COMPLAINT: Final = re.compile("^(option ignored|only )", re.MULTILINE)
"""How the guest begins to say that it does something else than what it was told."""
_MEMORY, _COMPUTE, _SERVER = 1, 2, 3


class Machine:
    """A `Bench` that is a virtual machine with the bundled guest ``kernel``.

    Parameters
    ----------
    case, mode, parameters, seed
        See `run`.
    trace
        Where its events go.
    """

    def __init__(
        self, case: Case, mode: str, parameters: Parameters, seed: int, trace: TraceSink
    ) -> None:
        pages = parameters.whole(case.pages)
        resident = parameters[case.resident]
        faulting = 1 if case.order == "sequential" else 1 - resident
        options = {
            "serve": case.serve,
            "work": round(parameters[case.work] * faulting / TURN),
            "kernel": case.kernel,
            "lock": int(case.lock),
        }
        self._vm = VirtualMachine(
            "kernel",
            vcpus=case.vcpus,
            bootargs=bootargs(case, parameters, **options),
            paging=Paging(
                mode,
                parameters.latency(case, seed),
                parameters.whole("store.depth"),
                round(pages * resident),
                parameters.costs,
            ),
            trace=trace,
        )
        for vcpu in self._vm.vcpus:
            vcpu.core.probes = {}  # they are for views

    @property
    def time(self) -> int:
        """Virtual time in nanoseconds."""
        return self._vm.time

    @property
    def instructions(self) -> int:
        """Instructions executed, by all vCPUs together."""
        return self._vm.index

    def run_until(self, time: int) -> None:
        """Run to a moment of virtual time.

        Raises
        ------
        ExperimentError
            The machine stopped by itself, or the guest cannot do what it was told.
        """
        check(self._vm, self._vm.run_until(time))

    def work(self) -> Work:
        """Return what the guest's threads have done."""
        return work_of(self._vm, self._vm.memory.page)

    def accounts(self) -> list[dict[str, int]]:
        """Return where each vCPU's time went."""
        return accounts_of(self._vm)

    def faults(self) -> Faults:
        """Return what became of every fault."""
        return faults_of(self._vm)


def bootargs(case: Case | Migration, parameters: Parameters, **options: int) -> str:
    """Return the guest's command line for a case: what all cases have, and what this one has."""
    common: dict[str, int | str] = {
        "m": case.m,
        "c": case.c,
        "pages": parameters.whole(case.pages),
        "time": NEVER // 1_000_000,
        "order": case.order,
        "touch": parameters.whole("workload.touch"),
        "apf": int(case.apf),
        "slice": parameters.whole("guest.slice"),
        "tick": parameters.whole("guest.tick"),
        "wakeup": parameters.whole("guest.wakeup"),
    }
    return " ".join(f"{name}={value}" for name, value in (common | options).items())


def check(vm: VirtualMachine, stop: Stop) -> None:
    """Raise an `ExperimentError` where a guest stopped by itself, or cannot do what it was told."""
    if stop.reason.final or _COMPLAINT.search(vm.console):
        raise ExperimentError(f"the guest stopped: {stop.detail}; {vm.console!r:.400}")


def work_of(vm: VirtualMachine, page: Callable[[int], bytes]) -> Work:
    """Return what a guest's threads have done.

    Parameters
    ----------
    vm
        Its machine.
    page
        Returns the content of a page of RAM by its number; the guest is not made to wait for it.
    """
    address = vm.image.symbols.address_of("work")
    assert address
    first, offset = divmod(address - vm.memory.base, PAGE)
    size = _THREADS * _RECORD.size
    pages = range(first, first - (-(offset + size) // PAGE))
    records = b"".join(map(page, pages))[offset : offset + size]
    done, errors = Counter[int](), 0
    for thread_done, wrong, kind in _RECORD.iter_unpack(records):
        done[kind] += thread_done
        errors += wrong
    return Work(done[_COMPUTE], done[_MEMORY], done[_SERVER], errors)


def accounts_of(vm: VirtualMachine) -> list[dict[str, int]]:
    """Return where each vCPU's time went."""
    return [vcpu.account.at(vm.time) for vcpu in vm.vcpus]


def faults_of(vm: VirtualMachine) -> Faults:
    """Return what became of every fault."""
    faults: Faults = Counter()
    assert vm.apf
    for vcpu in vm.apf.vcpus:
        for what, number in vcpu.counters.asynchronous.items():
            faults[what, ""] += number
        for why, number in vcpu.counters.synchronous.items():
            faults["wait", why] += number
    return faults


def run(case: Case, mode: str, parameters: Parameters, seed: int = 1) -> Result:
    """Run a case in one mode.

    Parameters
    ----------
    case
        What to run.
    mode
        How a missing page is treated: one of `sdeiviz.apf.MODES`.
    parameters
        What all numbers are.
    seed
        Of drawn latencies.

    Raises
    ------
    ExperimentError
        The guest never begins to work, or stops.
    """
    times = FaultTimes()
    machine = Machine(case, mode, parameters, seed, times)
    return measure(machine, times, case, mode, parameters, seed)
