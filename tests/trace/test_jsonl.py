"""Traces as JSON Lines: what is written comes back, and what is not a trace is one clear line."""

import io
import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz.errors import Error
from sdeiviz.trace import (
    ApfControl,
    Console,
    EventCompleted,
    EventDelivered,
    HostInputResult,
    Hypercall,
    HypercallResult,
    MaskChanged,
    PageArrived,
    PageFault,
    PageReady,
    TraceError,
    TraceEvent,
    WaitForInterrupt,
    dump,
    load,
)
from sdeiviz.trace.events import TYPES
from sdeiviz.trace.jsonl import decode, encode

registers = st.integers(0, (1 << 64) - 1)
SIZES = {"arguments": 5, "registers": 18}


def values(field: str, kind: Any) -> st.SearchStrategy[Any]:
    if field in SIZES:
        return st.tuples(*[registers] * SIZES[field])
    if field in ("index", "time", "vcpu", "event"):
        return st.integers(0, 1 << 70)
    if field in ("before", "after"):
        return st.sampled_from((0, 1, 3, 4, 5, 7))
    if field == "target":
        return st.integers(0, (1 << 32) - 1).map(str)
    return {
        int: registers,
        int | None: st.none() | registers,
        bool: st.booleans(),
        str: st.text(),
    }[kind]


def events_of(cls: type[TraceEvent]) -> st.SearchStrategy[TraceEvent]:
    kinds = get_type_hints(cls)
    return st.builds(cls, **{name: values(name, kind) for name, kind in kinds.items()})


any_event = st.one_of(*map(events_of, TYPES.values()))


def lines(*events: TraceEvent, **header: Any) -> list[str]:
    file = io.StringIO()
    dump(file, events, **header)
    return file.getvalue().splitlines(keepends=True)


def read(text: str | list[str]) -> tuple[dict[str, Any], list[TraceEvent]]:
    header, events = load(io.StringIO("".join(text)))
    return header, list(events)


def one_line(error: pytest.ExceptionInfo[TraceError]) -> str:
    text = str(error.value)
    assert isinstance(error.value, Error)
    assert text
    assert text.isprintable()
    assert len(text) < 250
    return text


# -- what is written comes back --------------------------------------------------------------------


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_type_comes_back(name: str, data: st.DataObject) -> None:
    event = data.draw(events_of(TYPES[name]))
    line = encode(event)
    assert line.isascii()
    assert "\n" not in line
    back = decode(line)
    assert type(back) is type(event)
    assert back == event
    assert [type(value) for value in back] == [type(value) for value in event]


@settings(max_examples=50, deadline=None)
@given(events=st.lists(any_event, max_size=8), image=st.text())
def test_whole_traces_come_back(events: list[TraceEvent], image: str) -> None:
    header, back = read(lines(*events, image=image))
    assert header == {"format": "sdeiviz-trace", "version": 1, "image": image}
    assert list(map(repr, back)) == list(map(repr, events))  # types too


def test_the_form_on_disk() -> None:
    """Literal, so that a change of form is noticed and the version raised."""
    assert lines(
        Hypercall(7, 70, 0, "HVC", 0x4008_0044, 0xC400_0021, (0, 1, 2, 3, (1 << 64) - 1)),
        MaskChanged(8, 80, 1, False),
        EventCompleted(9, 90, 0, 1, 0x4008_0048, None),
        EventCompleted(9, 90, 0, 1, 0x4008_0048, 0),
        HostInputResult(9, 90, 0, "cancel", -2),
        Console(10, 100, 0, 'caf\u00e9 "\n'),
        PageFault(11, 110, 0, 0x40321, 0x1000, "notified", ""),
        PageFault(11, 110, 0, 0x40321, None, "wait", "mailbox-busy"),
        PageArrived(12, 120, 0, 0x40321),
        PageReady(12, 120, 0, 0xFFFF_FFFF),
        ApfControl(13, 130, 1, "enable", 0x4100_0001),
        profile="kvm-v7",
    ) == [
        '{"format": "sdeiviz-trace", "version": 1, "profile": "kvm-v7"}\n',
        '{"type":"Hypercall","index":7,"time":70,"vcpu":0,"conduit":"HVC","pc":"0x40080044",'
        '"function":"0xc4000021","arguments":["0x0","0x1","0x2","0x3","0xffffffffffffffff"]}\n',
        '{"type":"MaskChanged","index":8,"time":80,"vcpu":1,"masked":false}\n',
        '{"type":"EventCompleted","index":9,"time":90,"vcpu":0,"event":1,"pc":"0x40080048",'
        '"resume":null}\n',
        '{"type":"EventCompleted","index":9,"time":90,"vcpu":0,"event":1,"pc":"0x40080048",'
        '"resume":"0x0"}\n',
        '{"type":"HostInputResult","index":9,"time":90,"vcpu":0,"action":"cancel",'
        '"result":"-0x2"}\n',
        '{"type":"Console","index":10,"time":100,"vcpu":0,"text":"caf\\u00e9 \\"\\n"}\n',
        '{"type":"PageFault","index":11,"time":110,"vcpu":0,"gfn":"0x40321","token":"0x1000",'
        '"decision":"notified","reason":""}\n',
        '{"type":"PageFault","index":11,"time":110,"vcpu":0,"gfn":"0x40321","token":null,'
        '"decision":"wait","reason":"mailbox-busy"}\n',
        '{"type":"PageArrived","index":12,"time":120,"vcpu":0,"gfn":"0x40321"}\n',
        '{"type":"PageReady","index":12,"time":120,"vcpu":0,"token":"0xffffffff"}\n',
        '{"type":"ApfControl","index":13,"time":130,"vcpu":1,"action":"enable",'
        '"control":"0x41000001"}\n',
    ]


def test_events_are_read_as_they_are_asked_for() -> None:
    text = [*lines(MaskChanged(1, 1, 0, True)), "broken\n"]
    _, events = load(io.StringIO("".join(text)))
    assert next(events) == MaskChanged(1, 1, 0, True)
    with pytest.raises(TraceError):
        next(events)


def test_an_empty_trace_and_a_last_line_without_its_newline() -> None:
    assert read(lines()) == ({"format": "sdeiviz-trace", "version": 1}, [])
    event = MaskChanged(1, 1, 0, True)
    assert read("".join(lines(event)).rstrip("\n"))[1] == [event]


# -- what is not a trace ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "hello\n",
        "[]\n",
        "1\n",
        "null\n",
        "{}\n",
        '{"version": 1}\n',
        '{"format": "other", "version": 1}\n',
        '{"format": ["sdeiviz-trace"], "version": 1}\n',
        '{"format": "sdeiviz-trace", "version": 1',
        "[" * 100_000 + "\n",
        '{"format": "' + "x" * 200_000 + '"}\n',
        "\x7fELF\x02\x01\x01\x00\n",
        '{"type":"MaskChanged","index":8,"time":80,"vcpu":1,"masked":false}\n',
    ],
)
def test_not_a_header(text: str) -> None:
    with pytest.raises(TraceError, match="not a trace") as error:
        load(io.StringIO(text))
    one_line(error)


@pytest.mark.parametrize(
    "version", ["2", "0", "-1", '"1"', "1.0", "true", "null", "[1]", "1e999", '"2\\n"']
)
def test_another_version(version: str) -> None:
    with pytest.raises(TraceError, match="trace version") as error:
        load(io.StringIO(f'{{"format": "sdeiviz-trace", "version": {version}}}\n'))
    assert "reads version 1" in one_line(error)


def test_no_version() -> None:
    with pytest.raises(TraceError, match="trace version null"):
        load(io.StringIO('{"format": "sdeiviz-trace"}\n'))


def test_a_version_as_long_as_you_like() -> None:
    header = json.dumps({"format": "sdeiviz-trace", "version": "9" * 5000})
    with pytest.raises(TraceError) as error:
        load(io.StringIO(header + "\n"))
    one_line(error)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "garbage",
        "{",
        "[]",
        "7",
        "null",
        '"MaskChanged"',
        "{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"type":null}',
        '{"type":7}',
        '{"type":["MaskChanged"]}',
        '{"type":"Nothing"}',
        '{"type":"mask\\nchanged"}',
        '{"type":"TraceEvent","index":1,"time":1,"vcpu":0}',
        "\x00\x01\x02",
        "x" * 100_000,
        '{"type":"MaskChanged","index":' + "9" * 5000 + ',"time":1,"vcpu":0,"masked":true}',
    ],
)
@pytest.mark.parametrize("good", [0, 2])
def test_a_broken_line_is_named_by_its_number(line: str, good: int) -> None:
    events = [WaitForInterrupt(n, n, 0, 4 * n) for n in range(good)]
    with pytest.raises(TraceError, match=f"^line {good + 2}: ") as error:
        read([*lines(*events), line + "\n", *lines(*events)[1:]])
    one_line(error)


def test_bytes_that_are_no_text(tmp_path: Any) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with path.open(encoding="utf-8") as file, pytest.raises(TraceError, match="not text") as error:
        load(file)
    one_line(error)


def test_bytes_that_are_no_text_further_on(tmp_path: Any) -> None:
    path = tmp_path / "trace.jsonl"
    events = [MaskChanged(n, n, 0, True) for n in range(1000)]  # text is decoded by the block
    path.write_bytes("".join(lines(*events)).encode() + b"\xff\xff\n")
    with path.open(encoding="utf-8") as file:
        _, read_back = load(file)
        with pytest.raises(TraceError, match=r"^after line \d+: not text$") as error:
            list(read_back)
    one_line(error)


@given(event=any_event, data=st.data())
@settings(max_examples=100, deadline=None)
def test_cut_off_anywhere(event: TraceEvent, data: st.DataObject) -> None:
    header, line = lines(event)
    end = data.draw(st.integers(1, len(line) - 2))
    with pytest.raises(TraceError, match=r"^line 2: not JSON, or cut off") as error:
        read(header + line[:end])
    one_line(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(row=st.dictionaries(st.text(), json_values), name=st.sampled_from(sorted(TYPES)))
@settings(max_examples=200, deadline=None)
def test_any_object_is_an_event_or_one_line(row: dict[str, Any], name: str) -> None:
    with pytest.raises(TraceError) as error:
        decode(json.dumps({**row, "type": name}))
    one_line(error)


GOOD = {
    "Hypercall": Hypercall(1, 2, 0, "HVC", 4, 5, (1, 2, 3, 4, 5)),
    "HypercallResult": HypercallResult(1, 2, 0, 4, 5),
    "EventDelivered": EventDelivered(1, 2, 0, 0, 4, 5, 6, 7, tuple(range(18))),
    "EventCompleted": EventCompleted(1, 2, 0, 0, 4, None),
    "MaskChanged": MaskChanged(1, 2, 0, True),
    "Console": Console(1, 2, 0, "text"),
}
NO_NUMBER = [None, True, 1, 1.5, "", "1", "0x", "0X1", "1_0", "0x1_0", " 0x1", "0x1\n", "-1", "0xg"]
NO_NUMBER += ["0x" + "f" * 17, ["0x1"], {"0x1": 1}, "\u0660x1"]
NO_COUNT = [None, True, 1.0, -1, "1", "0x1", [1], float("nan")]
WRONG = [
    *[(name, "index", value) for name in GOOD for value in NO_COUNT],
    *[("Console", field, value) for field in ("time", "vcpu") for value in NO_COUNT],
    *[("EventCompleted", "event", value) for value in NO_COUNT],
    *[("Hypercall", "pc", value) for value in NO_NUMBER],
    *[("HypercallResult", "result", value) for value in NO_NUMBER],
    *[("EventCompleted", "resume", value) for value in NO_NUMBER[1:]],
    *[("MaskChanged", "masked", value) for value in (None, 0, 1, "true", "", [True])],
    *[("Console", "text", value) for value in (None, 1, True, ["text"], {})],
    *[("Hypercall", "arguments", ["0x0"] * n) for n in (0, 4, 6)],
    *[("Hypercall", "arguments", value) for value in (None, "0x0", {}, 5)],
    *[("Hypercall", "arguments", ["0x0"] * 4 + [value]) for value in NO_NUMBER],
    *[("EventDelivered", "registers", ["0x0"] * n) for n in (0, 17, 19, 31)],
    *[("EventDelivered", "registers", [*["0x0"] * 17, value]) for value in (None, 0, [])],
]


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_a_field_of_another_type(name: str, field: str, value: object) -> None:
    event = GOOD[name]
    assert decode(encode(event)) == event
    row = json.loads(encode(event)) | {field: value}
    with pytest.raises(TraceError, match=f"^{name}: {field} wants ") as error:
        decode(json.dumps(row))
    one_line(error)


@pytest.mark.parametrize("name", GOOD)
def test_a_field_missing_or_left_over(name: str) -> None:
    row = json.loads(encode(GOOD[name]))
    for field in row.keys() - {"type"}:
        with pytest.raises(TraceError, match=f"^{name}: missing or unknown: '{field}'$"):
            decode(json.dumps({k: v for k, v in row.items() if k != field}))
    with pytest.raises(TraceError, match=f"^{name}: missing or unknown: ") as error:
        decode(json.dumps(row | {"more\n": 1}))
    one_line(error)
