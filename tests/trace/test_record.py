"""Records become events when they are read, in the order in which they happened."""

import struct

import pytest

from sdeiviz.trace import (
    AT,
    EventDelivered,
    HandlerStateChanged,
    Hypercall,
    HypercallResult,
    MaskChanged,
    Reader,
    Record,
    Trace,
    WaitForInterrupt,
)
from sdeiviz.trace.events import TYPES

MAX = (1 << 64) - 1
WORDS = struct.pack("=9Q", 7, 70, 0x4008_0048, 0xABCD_0000_C400_0021, 0, 0x4008_1000, MAX, 1, 2)
CALL = Hypercall(7, 70, 1, "HVC", 0x4008_0044, 0xC400_0021, (0, 0x4008_1000, MAX, 1, 2))
RESULT = HypercallResult(7, 70, 1, 0xC400_0021, 0)

MASK: Record = (AT, 8, 80, "MaskChanged", 0, True)
QUIET: Record = ("HVC", 1, WORDS, "answer", 0)


def shown(events: object) -> list[str]:
    """Return events by their type and fields: two tuples of another type can be equal."""
    return [repr(event) for event in events]  # type: ignore[attr-defined]


def events_of(record: Record) -> list[str]:
    return shown(Reader().read(record))


def test_a_call_is_at_its_own_address_and_has_w0_and_x1_to_x5() -> None:
    assert events_of(QUIET) == shown((CALL, RESULT))


@pytest.mark.parametrize(("answer", "result"), [(7, 7), (MAX, MAX), (True, 1)])
def test_an_answer_is_to_the_call_before_it(answer: int, result: int) -> None:
    reader = Reader()
    mask = ("MaskChanged", 0, True)
    assert shown(reader.read((*QUIET[:-2], *mask))) == shown((CALL, MaskChanged(7, 70, 0, True)))
    expected = HypercallResult(7, 70, 1, 0xC400_0021, result)
    assert shown(reader.read(("answer", answer))) == shown((expected,))


def test_a_stamp_holds_until_the_next_one() -> None:
    again = ("MaskChanged", 1, False)
    assert events_of((*MASK, *again, AT, 9, 90, *again)) == shown(
        (
            MaskChanged(8, 80, 0, True),
            MaskChanged(8, 80, 1, False),
            MaskChanged(9, 90, 1, False),
        )
    )


def test_a_reader_remembers_the_stamp() -> None:
    reader = Reader()
    assert reader.read((AT, 8, 80)) == []
    assert shown(reader.read(MASK[3:])) == events_of(MASK)


class Name(str):
    def __repr__(self) -> str:
        return "a name"


def test_a_delivery_and_a_change_of_state() -> None:
    registers = range(MAX - 17, MAX + 1)
    delivered = ("EventDelivered", 1, 0, 0x4008_1000, 5, 0x4008_0048, 0x3C5)
    changed = ("HandlerStateChanged", 1, 0, Name("delivery"), True, 7)
    record = (AT, 7, 70, *changed, *delivered, struct.pack("<18Q", *registers))
    assert events_of(record) == shown(
        (
            HandlerStateChanged(7, 70, 1, 0, "delivery", 1, 7),
            EventDelivered(7, 70, *delivered[1:], tuple(registers)),
        )
    )


SPECIAL = {"EventDelivered", "HandlerStateChanged"}


@pytest.mark.parametrize("name", sorted(TYPES.keys() - SPECIAL))
def test_all_others_are_written_as_they_are_read(name: str) -> None:
    kind = TYPES[name]
    fields = range(len(kind._fields) - 2)
    assert events_of((AT, 7, 70, name, *fields, *MASK)) == shown(
        (kind(7, 70, *fields), MaskChanged(8, 80, 0, True))
    )


def test_reading_between_writing_changes_nothing() -> None:
    records = [MASK, QUIET, (AT, 9, 90, "WaitForInterrupt", 0, 4), QUIET, MASK]
    late = Trace()
    often = Trace()
    for n, record in enumerate(records):
        late.extend(record)
        often.extend(record)
        assert len(often) == [1, 3, 4, 6, 7][n]
    assert shown(late) == shown(often)
    assert late == often
    assert shown(late) == [event for record in records for event in events_of(record)]
    assert isinstance(late[2], HypercallResult)
    assert isinstance(late[3], WaitForInterrupt)


def test_it_is_a_sequence() -> None:
    trace = Trace([MaskChanged(1, 1, 0, False)])
    trace.extend(QUIET)
    assert shown([trace[0], trace[-1]]) == shown([MaskChanged(1, 1, 0, False), RESULT])
    assert shown(trace[1:]) == shown([CALL, RESULT])
    assert CALL in trace
    assert next(reversed(trace)) == trace[2]
    with pytest.raises(IndexError):
        trace[3]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 9])
def test_truncate(length: int) -> None:
    trace = Trace()
    for record in (MASK, QUIET, MASK):
        trace.extend(record)
    mask = MaskChanged(8, 80, 0, True)
    whole = [mask, CALL, RESULT, mask]
    trace.truncate(length)
    assert shown(trace) == shown(whole[:length])
    trace.extend(MASK)
    assert shown(trace) == shown([*whole[:length], mask])


def test_an_iteration_sees_what_is_appended_meanwhile() -> None:
    trace = Trace()
    trace.extend(MASK)
    events = iter(trace)
    next(events)
    trace.extend(QUIET)
    assert len(trace) == 3
    assert shown(events) == shown([CALL, RESULT])


def test_equality() -> None:
    trace = Trace([CALL])
    assert trace == [CALL]
    assert trace != []
    assert trace != [MaskChanged(1, 1, 0, True)]
    assert trace != 7
