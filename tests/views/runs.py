"""Traces of a guest with a memory thread (1) and a compute thread (2), made by hand.

Index and time are the same number: one instruction takes a nanosecond.
"""

from typing import Any

from sdeiviz.trace import (
    EventCompleted,
    EventDelivered,
    EventRaised,
    FetchDone,
    FetchStarted,
    Hypercall,
    HypercallResult,
    InterruptTaken,
    PageArrived,
    PageFault,
    PageReady,
    ProbeHit,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
)

IDLE, M, C = 3, 1, 2
EVENT = 1
GFN = 0x4_8000
ASYNC_PF = 0x8600_0002


def probe(time: int, name: str, *arguments: int, vcpu: int = 0) -> ProbeHit:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return ProbeHit(time, time, vcpu, name, padded)


def threads(vcpu: int = 0) -> list[TraceEvent]:
    """The guest makes its threads, and M begins at 10."""
    return [
        probe(1, "thread", IDLE, vcpu, 0, vcpu=vcpu),
        probe(2, "thread", M, vcpu, 1, vcpu=vcpu),
        probe(3, "thread", C, vcpu, 2, vcpu=vcpu),
        probe(10, "start", vcpu=vcpu),
        probe(10, "switch", IDLE, M, vcpu=vcpu),
    ]


def waited(time: int, gfn: int, latency: int, vcpu: int = 0, **values: Any) -> list[TraceEvent]:
    """A fault that the vCPU waits for."""
    reason = values.get("reason", "mode")
    decision = values.get("decision", "wait")
    return [
        PageFault(time, time, vcpu, gfn, None, decision, reason),
        FetchStarted(time, time, vcpu, gfn, "vcpu"),
        VcpuBlocked(time, time, vcpu, gfn, decision == "halt"),
        FetchDone(time, time + latency, vcpu, gfn),
        VcpuUnblocked(time, time + latency, vcpu),
    ]


def notified(time: int, gfn: int, token: int, to: int = C, vcpu: int = 0) -> list[TraceEvent]:
    """A fault that the guest is told of: 1 to the handler, 4 to sleep, 5 out, 8 to another."""
    return [
        EventRaised(time, time, vcpu, EVENT, "inject", False),
        PageFault(time, time, vcpu, gfn, token, "notified", ""),
        FetchStarted(time, time, vcpu, gfn, "worker"),
        EventDelivered(time + 1, time + 1, vcpu, EVENT, 0x4008_0000, 0, 0x40_0000, 0, (0,) * 18),
        probe(time + 4, "sleep", M, token, vcpu=vcpu),
        Hypercall(time + 5, time + 5, vcpu, "HVC", 0x4008_0010, 0xC400_0025, (0,) * 5),
        EventCompleted(time + 5, time + 5, vcpu, EVENT, 0x40_0000, None),
        probe(time + 8, "switch", M, to, vcpu=vcpu),
    ]


def ready(time: int, gfn: int, token: int, vcpu: int = 0) -> list[TraceEvent]:
    """Its page: 2 to the interrupt, 4 to the wake-up, 6 to the acknowledgement, 9 to M."""
    return [
        FetchDone(time, time, vcpu, gfn),
        PageArrived(time, time, vcpu, gfn),
        PageReady(time, time, vcpu, token),
        InterruptTaken(time + 2, time + 2, vcpu, 0x4008_0280, 0x40_0100, 0),
        probe(time + 4, "wake", M, token, vcpu=vcpu),
        Hypercall(time + 6, time + 6, vcpu, "HVC", 0x4008_0020, ASYNC_PF, (5, 0, 0, 0, 0)),
        HypercallResult(time + 6, time + 6, vcpu, ASYNC_PF, 0),
        probe(time + 9, "switch", C, M, vcpu=vcpu),
    ]


def turns(begin: int, end: int, of: int) -> list[TraceEvent]:
    """M and C take turns of so many nanoseconds; M has the first and must have the last."""
    made: list[TraceEvent] = []
    now = M
    for time in range(begin + of, end, of):
        made.append(probe(time, "switch", now, M + C - now))
        now = M + C - now
    if now == C:
        made.append(probe(end, "switch", C, M))
    return made


def synchronous(faults: int = 20, latency: int = 60_000, turn: int = 20_000) -> list[TraceEvent]:
    """M and C share the PE, and stand still together for every page."""
    made, time = threads(), 10
    for n in range(faults):
        made += turns(time, time + 2 * turn, turn)
        time += 2 * turn
        made += waited(time, GFN + n, latency)
        time += latency
    return [*made, probe(time, "end")]


def asynchronous(faults: int = 20, latency: int = 60_000, turn: int = 20_000) -> list[TraceEvent]:
    """C runs while M sleeps."""
    made, time = threads(), 10
    for n in range(faults):
        made += turns(time, time + 2 * turn, turn)
        time += 2 * turn
        token = n + 1 << 12
        made += notified(time, GFN + n, token)
        made += ready(time + latency, GFN + n, token)
        time += latency + 9
    return [*made, probe(time, "end")]
