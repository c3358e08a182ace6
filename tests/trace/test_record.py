"""Records become events when they are read, in the order in which they happened."""

import struct

import pytest

from sdeiviz.trace import (
    Hypercall,
    HypercallResult,
    MaskChanged,
    QuietCall,
    Record,
    Trace,
    WaitForInterrupt,
    events_of,
    hypercall,
)

MAX = (1 << 64) - 1
REGISTERS = struct.pack("<6Q", 0xABCD_0000_C400_0021, 0, 0x4008_1000, MAX, 1, 2)
CALL = Hypercall(7, 70, 1, "HVC", 0x4008_0044, 0xC400_0021, (0, 0x4008_1000, MAX, 1, 2))

MASK: Record = (MaskChanged, 8, 80, 0, True)
QUIET: Record = (QuietCall, 7, 70, 1, "HVC", 0x4008_0044, REGISTERS, 0)


def shown(events: object) -> list[str]:
    """Return events by their type and fields: two tuples of another type can be equal."""
    return [repr(event) for event in events]  # type: ignore[attr-defined]


def test_the_function_is_w0_and_the_arguments_are_x1_to_x5() -> None:
    assert repr(hypercall(7, 70, 1, "HVC", 0x4008_0044, REGISTERS)) == repr(CALL)


@pytest.mark.parametrize("result", [0, 7, MAX])
def test_a_quiet_call_is_two_events(result: int) -> None:
    record = (*QUIET[:-1], result)
    assert shown(events_of(record)) == shown((CALL, HypercallResult(7, 70, 1, 0xC400_0021, result)))


def test_a_quiet_call_without_an_answer_is_one() -> None:
    assert shown(events_of((*QUIET[:-1], None))) == shown((CALL,))


def test_another_record_is_its_event() -> None:
    assert shown(events_of(MASK)) == shown((MaskChanged(8, 80, 0, True),))


def test_reading_between_writing_changes_nothing() -> None:
    records = [MASK, QUIET, (WaitForInterrupt, 9, 90, 0, 4), QUIET, MASK]
    late = Trace()
    often = Trace()
    for n, record in enumerate(records):
        late.append(record)
        often.append(record)
        assert len(often) == [1, 3, 4, 6, 7][n]
    assert shown(late) == shown(often)
    assert late == often
    assert shown(late) == shown(event for record in records for event in events_of(record))


def test_it_is_a_sequence() -> None:
    trace = Trace([MaskChanged(1, 1, 0, False)])
    trace.append(QUIET)
    assert shown([trace[0], trace[-1]]) == shown(
        [MaskChanged(1, 1, 0, False), HypercallResult(7, 70, 1, 0xC400_0021, 0)]
    )
    assert shown(trace[1:]) == shown([CALL, HypercallResult(7, 70, 1, 0xC400_0021, 0)])
    assert CALL in trace
    assert next(reversed(trace)) == trace[2]
    with pytest.raises(IndexError):
        trace[3]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 9])
def test_truncate(length: int) -> None:
    trace = Trace()
    for record in (MASK, QUIET, MASK):
        trace.append(record)
    whole = [MaskChanged(8, 80, 0, True), *events_of(QUIET), MaskChanged(8, 80, 0, True)]
    trace.truncate(length)
    assert shown(trace) == shown(whole[:length])
    trace.append(MASK)
    assert shown(trace) == shown([*whole[:length], MaskChanged(8, 80, 0, True)])


def test_an_iteration_sees_what_is_appended_meanwhile() -> None:
    trace = Trace()
    trace.append(MASK)
    events = iter(trace)
    next(events)
    trace.append(QUIET)
    assert len(trace) == 3
    assert shown(events) == shown([CALL, HypercallResult(7, 70, 1, 0xC400_0021, 0)])


def test_equality() -> None:
    trace = Trace([CALL])
    assert trace == [CALL]
    assert trace != []
    assert trace != [MaskChanged(1, 1, 0, True)]
    assert trace != 7
