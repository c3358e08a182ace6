"""The events themselves: three fields in front, and which of them are moments of SDEI."""

import pytest

from sdeiviz import trace
from sdeiviz.trace import events


def test_all_are_exported_and_known() -> None:
    assert {cls.__name__ for cls in events.TYPES.values()} == set(events.TYPES)
    assert set(events.TYPES) <= set(trace.__all__)
    assert len(events.TYPES) == 31


@pytest.mark.parametrize("name", events.TYPES)
def test_each_says_when_and_where(name: str) -> None:
    assert events.TYPES[name]._fields[:3] == ("index", "time", "vcpu")


def call(function: int) -> events.Hypercall:
    return events.Hypercall(1, 2, 0, "HVC", 0x4008_0000, function, (0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (call(0xC400_0020), True),
        (call(0xC400_003F), True),
        (call(0xC400_001F), False),
        (call(0xC400_0040), False),
        (call(0x8400_0020), False),
        (call(0x8400_0008), False),
        (events.MaskChanged(1, 2, 0, True), True),
        (events.EventRaised(1, 2, 0, 0, "signal", False), True),
        (events.EventCancelled(1, 2, 0, 0, True), True),
        (events.EventDelivered(1, 2, 0, 0, 1, 2, 3, 4, (0,) * 18), True),
        (events.EventCompleted(1, 2, 0, 0, 1, None), True),
        (events.Defect(1, 2, 0, "D1", "hangs"), True),
        (events.HypercallResult(1, 2, 0, 0xC400_0020, 0), False),
        (events.HandlerStateChanged(1, 2, 0, 0, "EVENT_ENABLE", 1, 3), False),
        (events.Console(1, 2, 0, "hello"), False),
        (events.ExceptionTaken(1, 2, 0, 0x200, 0, 0, 0, 0), False),
        (events.PageFault(1, 2, 0, 0x40, None, "wait", "disabled"), False),
        (events.Stopped(1, 2, 0, "power-off", ""), False),
    ],
)
def test_moments_of_sdei(event: events.TraceEvent, answer: bool) -> None:
    assert trace.is_sdei(event) is answer
