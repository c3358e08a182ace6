"""What a migration did to its guest, in numbers: blocked time, latency, requests, times, bytes.

Blocked time is counted as QEMU does. A vCPU counts the faults it waits for, and is blocked from the
first until none is left. The whole machine is blocked while all vCPUs are. Faults of workers, which
fetch pages so that a vCPU need not wait, block nobody and count for latency only. So blocked time
is next to nothing with async page fault, although work is delayed: latency says that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.trace import AT, Record, TraceSink

BUCKETS: Final = 24
"""Bucket n counts latencies from 2**n to below 2**(n + 1) microseconds.

The first has those below too, the last those above.
"""


def bucket(nanoseconds: int) -> int:
    """Return the bucket of a latency.

    >>> [bucket(us * 1000) for us in (0, 1, 2, 255, 256, 1 << 23, 1 << 40)]
    [0, 0, 1, 7, 8, 23, 23]
    """
    return min(max((nanoseconds // 1000).bit_length() - 1, 0), BUCKETS - 1)


class Stalls:
    """When something was blocked: counts up and down, and keeps the intervals between."""

    def __init__(self, needed: int = 1) -> None:
        self._needed = needed
        """Blocked while the count is at least this."""
        self._count = 0
        self._since = 0
        self.intervals: list[tuple[int, int]] = []
        """Begin and end of each, in nanoseconds; none is empty."""

    def change(self, by: int, time: int) -> bool:
        """Count; True if it is blocked now and was not, or was and is not."""
        before, self._count = self._count >= self._needed, self._count + by
        after = self._count >= self._needed
        if after and not before:
            self._since = time
        elif before and not after and time > self._since:
            self.intervals.append((self._since, time))
        return before != after

    def total(self, time: int) -> int:
        """Return how long it has been blocked until now, in nanoseconds."""
        running = time - self._since if self._count >= self._needed else 0
        return sum(end - start for start, end in self.intervals) + running


@dataclass(slots=True)
class Latencies:
    """How long pages took, in nanoseconds."""

    values: list[int] = field(default_factory=list)

    def percentile(self, percent: int) -> int | None:
        """Return the value that so many percent do not exceed: the nearest rank."""
        ordered = sorted(self.values)
        rank = -(-len(ordered) * percent // 100)
        return ordered[max(rank, 1) - 1] if ordered else None

    def report(self) -> dict[str, Any]:
        """Return count, mean, percentiles and histogram as plain values."""
        histogram = [0] * BUCKETS
        for value in self.values:
            histogram[bucket(value)] += 1
        return {
            "count": len(self.values),
            "mean": sum(self.values) // len(self.values) if self.values else None,
            "p50": self.percentile(50),
            "p99": self.percentile(99),
            "longest": max(self.values, default=None),
            "histogram": histogram,
        }


class Faults:
    """The faults of a post-copy, from touching a page until it is there.

    Parameters
    ----------
    vcpus
        How many the machine has.

    Examples
    --------
    >>> faults = Faults(2)
    >>> faults.begin(0, 7, 1000)
    >>> faults.begin(1, 9, 3000)
    >>> faults.end(7, 6000)
    >>> faults.end(9, 10_000)
    >>> faults.vcpus[0].total(10_000), faults.vcpus[1].total(10_000), faults.all.total(10_000)
    (5000, 7000, 3000)
    """

    def __init__(self, vcpus: int) -> None:
        self.vcpus = [Stalls() for _ in range(vcpus)]
        """When each vCPU was blocked."""
        self.all = Stalls(vcpus)
        """When all of them were."""
        self.latencies = [Latencies() for _ in range(vcpus)]
        """By the vCPU that waited."""
        self.worker_latencies = Latencies()
        """Of faults that no vCPU waited for."""
        self._open: dict[int, list[tuple[int | None, int]]] = {}

    def begin(self, vcpu: int | None, page: int, time: int) -> None:
        """A vCPU, or None for a worker, waits for a page from now on."""
        self._open.setdefault(page, []).append((vcpu, time))
        if vcpu is not None and self.vcpus[vcpu].change(1, time):
            self.all.change(1, time)

    def end(self, page: int, time: int) -> None:
        """A page is there: whoever waited for it waits no longer."""
        for vcpu, since in self._open.pop(page, ()):
            if vcpu is None:
                self.worker_latencies.values.append(time - since)
            else:
                self.latencies[vcpu].values.append(time - since)
                if self.vcpus[vcpu].change(-1, time):
                    self.all.change(-1, time)

    @property
    def open(self) -> int:
        """How many faults wait still."""
        return sum(map(len, self._open.values()))

    def report(self, time: int) -> dict[str, Any]:
        """Return all of it as it stands now, as plain values; times in nanoseconds."""
        vcpus = [value for latencies in self.latencies for value in latencies.values]
        everyone = Latencies(vcpus + self.worker_latencies.values)
        return {
            "blocktime": self.all.total(time),
            "vcpu_blocktime": [stalls.total(time) for stalls in self.vcpus],
            "blocked": [list(interval) for interval in self.all.intervals],
            "vcpu_blocked": [[list(i) for i in stalls.intervals] for stalls in self.vcpus],
            "latency": everyone.report(),
            "vcpu_latency": [latencies.report() for latencies in self.latencies],
            "worker_latency": self.worker_latencies.report(),
            "open": self.open,
        }


class FaultLog:
    """A trace that passes everything on and counts who waits for which page since when.

    Parameters
    ----------
    faults
        Where it is counted.
    first_gfn
        Guest page number of page 0 of RAM.
    sink
        Where the trace goes on.
    clock
        Returns the time in nanoseconds; by default it is the trace's own, which is virtual.
    """

    def __init__(
        self,
        faults: Faults,
        first_gfn: int,
        sink: TraceSink,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._faults = faults
        self._first_gfn = first_gfn
        self._sink = sink
        self._clock = clock
        self._now = 0

    def extend(self, record: Record, /) -> None:
        """Take one more record (see `sdeiviz.trace.record`)."""
        self._sink.extend(record)
        at = 0
        while at < len(record) and record[at] == AT:
            self._now = record[at + 2]
            at += 3
        match record[at:]:
            case ("VcpuBlocked", vcpu, gfn, _):
                self._faults.begin(vcpu, gfn - self._first_gfn, self._time())
            case ("FetchStarted", _, gfn, "worker"):
                self._faults.begin(None, gfn - self._first_gfn, self._time())
            case ("FetchDone", _, gfn):
                self._faults.end(gfn - self._first_gfn, self._time())

    def _time(self) -> int:
        return self._clock() if self._clock else self._now


PHASES: Final = ("start", "stop", "run", "end")
"""Moments of a migration: it begins, the guest stands, runs over there, has all its pages."""


@dataclass(slots=True)
class Timeline:
    """When the moments of a migration were, in nanoseconds; None while one has not come."""

    start: int | None = None
    stop: int | None = None
    run: int | None = None
    end: int | None = None

    def mark(self, moment: str, time: int) -> None:
        """Note a moment of `PHASES`; each comes once, in their order."""
        if moment not in PHASES:
            raise Error(f"no moment {moment!r:.40} of a migration: {', '.join(PHASES)}")
        before = [getattr(self, name) for name in PHASES[: PHASES.index(moment)]]
        known = None not in before and getattr(self, moment) is None
        if not known or any(earlier > time for earlier in before):
            raise Error(f"the {moment} of a migration at {time} ns does not follow {self}")
        setattr(self, moment, time)

    def report(self) -> dict[str, int | None]:
        """Return downtime, the time of each phase and the total, in nanoseconds."""
        return {
            "precopy": _between(self.start, self.stop),
            "downtime": _between(self.stop, self.run),
            "postcopy": _between(self.run, self.end),
            "total": _between(self.start, self.end),
        }


def _between(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else end - begin


def report(
    time: int,
    faults: Faults,
    timeline: Timeline,
    source: Mapping[str, int],
    destination: Mapping[str, int],
    sent: Sequence[int],
) -> dict[str, Any]:
    """Return everything about one migration as plain values.

    Parameters
    ----------
    time
        Until when, in nanoseconds.
    faults, timeline
        What was noted.
    source, destination
        What either side has counted (`Source.counts`, `Destination.counts`).
    sent
        Bytes that went to the destination, by channel.
    """
    return {
        "faults": faults.report(time),
        "times": timeline.report(),
        "source": dict(source),
        "destination": dict(destination),
        "bytes": list(sent),
    }
