"""Plain values and machines as bytes: the same value back, and nothing else accepted."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz import VirtualMachine
from sdeiviz.machine import StopReason, VmState
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.paging import Paging
from sdeiviz.migration import EncodingError, StateError, decode_state, encode_state, restore
from sdeiviz.migration.encoding import (
    MAX_DEPTH,
    MAX_VALUES,
    STATE_MAGIC,
    STATE_VERSION,
    decode,
    encode,
)
from sdeiviz.trace import EventDelivered, Trace


def str_only(value: Any) -> str:
    """A short name for a test."""
    return value[:20] if isinstance(value, str) and value.isascii() else type(value).__name__


LITERAL: list[tuple[Any, str]] = [
    (None, "4e"),
    (False, "46"),
    (True, "54"),
    (0, "69 00000001 00"),
    (127, "69 00000001 7f"),
    (128, "69 00000002 0080"),
    (-1, "69 00000001 ff"),
    (-128, "69 00000002 ff80"),
    (1 << 64, "69 00000009 010000000000000000"),
    (b"\0\xff", "62 00000002 00ff"),
    ("é", "73 00000002 c3a9"),
    ([], "6c 00000000"),
    ((None, [True]), "74 00000002 4e 6c 00000001 54"),
    ({(1, 2): b""}, "64 00000001 74 00000002 6900000001 01 6900000001 02 62 00000000"),
]


@pytest.mark.parametrize(("value", "text"), LITERAL)
def test_as_it_lies_on_the_wire(value: Any, text: str) -> None:
    assert encode(value) == bytes.fromhex(text)
    assert same(decode(bytes.fromhex(text)), value)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: True is not 1, and a tuple no list."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, one.items(), other.items()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


keys = st.recursive(
    st.none() | st.integers() | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
values = st.recursive(
    keys | st.booleans() | st.integers(-(1 << 300), 1 << 300),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
)


@given(values)
def test_there_and_back(value: Any) -> None:
    assert same(decode(encode(value)), value)


@given(values, st.data())
def test_cut_off_or_longer(value: Any, data: st.DataObject) -> None:
    encoded = encode(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(EncodingError):
        decode(encoded[:cut])
    with pytest.raises(EncodingError, match="1 bytes too many"):
        decode(encoded + b"N")


@given(st.binary(max_size=60) | values.map(encode).flatmap(lambda good: st.permutations([*good])))
def test_any_bytes(data: bytes | list[int]) -> None:
    """Whatever is read is written as the same bytes: there is one way to write a value."""
    data = bytes(data)
    try:
        value = decode(data)
    except EncodingError:
        return
    assert encode(value) == data


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cut off at byte 0: 1 more wanted"),
        ("7a", "byte 0: no value begins with b'z'"),
        ("69 00000002 007f", "not as short as it can be"),
        ("69 00000000", "not as short as it can be"),
        ("62 ffffffff 00", "cut off at byte 6: 4294967294 more wanted"),
        ("6c ffffffff 4e", "cut off"),
        ("73 00000001 ff", "not UTF-8"),
        ("73 00000003 eda080", "not UTF-8"),
        ("64 00000001 6c 00000000 4e", r"\[\] is no key"),
        ("64 00000002 4e 4e 4e 4e", "None is there twice"),
        ("64 00000001 54", "cut off"),
        ("6c 00000001" * (MAX_DEPTH + 1) + "4e", "nested more than 32 deep"),
        (f"6c {MAX_VALUES:08x}" + "4e" * MAX_VALUES, "more than 1048576 values"),
        ("6c 00000001" * 100_000, "nested more than 32 deep"),
    ],
    ids=str_only,
)
def test_not_read(text: str, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        decode(bytes.fromhex(text))


def test_a_huge_number_in_an_error_s_message() -> None:
    huge = encode(1 << 100_000)
    with pytest.raises(EncodingError, match="a huge number is there twice"):
        decode(b"d\0\0\0\2" + huge + b"N" + huge + b"N")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.5, "1.5 cannot be written: float is no plain value"),
        (StopReason.WFI, "StopReason is no plain value"),
        (bytearray(3), "bytearray is no plain value"),
        ({1, 2}, "set is no plain value"),
        ({"a": [object]}, "type is no plain value"),
        ("\ud800", "not Unicode text"),
        (nested(MAX_DEPTH + 1), "nested more than 32 deep"),
        ([None] * MAX_VALUES, "more than 1048576 values"),
        ([bytes(1 << 24)] * 5, "more than 67108864 bytes"),
    ],
    ids=str_only,
)
def test_not_written(value: Any, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        encode(value)
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


def test_a_loop() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(EncodingError, match="nested"):
        encode(value)


# -- machines

GUESTS: list[tuple[str, dict[str, Any]]] = [
    ("hello", {}),
    ("registration", {}),
    ("delivery", {}),
    ("delivery", {"profile": "den0054c", "gic": 3}),
    ("levels", {}),
    ("client_driver", {}),
    ("selftest_sdei", {"vcpus": 2}),
    ("selftest_sdei", {"vcpus": 2, "gic": 3}),
    ("delivery", {"paging": Paging(resident=16)}),
]

SILENT = ("hello", "registration")
"""Nothing is delivered to these."""


def machine(name: str, options: dict[str, Any]) -> VirtualMachine:
    return VirtualMachine(name, **({"memory": 1 << 20, "trace": Trace()} | options))


def in_a_handler(vm: VirtualMachine) -> bool:
    return any(vcpu.sdei.contexts for vcpu in vm.vcpus)


def moments(name: str, options: dict[str, Any]) -> list[int]:
    """Indices at which to stop a guest: shortly after events were delivered, and anywhere."""
    vm = machine(name, options)
    vm.run()
    dice = random.Random(5)
    delivered = [event.index for event in vm.trace if isinstance(event, EventDelivered)]
    handling = [
        index + n for index in dice.sample(delivered, min(len(delivered), 3)) for n in (0, 2)
    ]
    return sorted({0, *handling, *(dice.randrange(vm.index) for _ in range(5)), vm.index})


@pytest.mark.parametrize(("name", "options"), GUESTS)
def test_on_another_machine_it_goes_on_as_on_the_first(name: str, options: dict[str, Any]) -> None:
    first = machine(name, options)
    states = []
    handling = False
    for index in moments(name, options):
        first.run_to(index)
        states.append((first.save(), encode_state(first.save())))
        handling |= in_a_handler(first)
    assert first.stopped
    end, trace = first.save(), [*first.trace]
    assert handling == (name not in SILENT)
    for state, data in states:
        decoded = decode_state(data, vm_state.shape(first))
        assert decoded == state
        other = machine(name, options)
        other.load(decoded)
        assert other.save() == state
        other.run()
        assert other.save() == end
        assert [*other.trace] == [event for event in trace if event.index > state.index]


def test_everything_survives_with_its_type() -> None:
    vm = machine("selftest_sdei", {"vcpus": 2})
    vm.run(100_000)
    state = vm.save()
    again = decode_state(encode_state(state))
    for name in VmState.__dataclass_fields__:
        assert same(getattr(again, name), getattr(state, name)), name
    vm.run()
    assert decode_state(encode_state(vm.save())).stopped == vm.stopped


def parts(value: Any, path: str = "") -> Iterator[str]:
    """The names of all parts of a state, as far as they have fixed names."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            yield f"{path}.{key}"
            yield from parts(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parts(item, f"{path}[]")


def test_another_layout_has_another_version() -> None:
    """If this fails, a state consists of other parts: count `STATE_VERSION` up, then type both."""
    names: set[str] = set()
    for options in ({"gic": 2, "paging": Paging()}, {"gic": 3}):
        state = machine("hello", options | {"vcpus": 2}).save()
        for field in VmState.__dataclass_fields__:
            names.update(parts(getattr(state, field), field), {field})
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
    assert (STATE_VERSION, digest) == (1, "9983a64e2c2fc09b")


def hello() -> VmState:
    vm = machine("hello", {})
    vm.run(20)
    return vm.save()


def changed(**values: Any) -> bytes:
    """A state with other values, past what `VmState` allows."""
    return encode_state(replace(hello(), **values))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not the state of a machine"),
        (b"\x80\x04\x95", "not the state of a machine"),
        (STATE_MAGIC, "not the state of a machine"),
        (STATE_MAGIC + b"\0\2", "a state of version 2; this sdeiviz reads version 1"),
        (STATE_MAGIC + b"\0\1", "cut off at byte 0"),
        (STATE_MAGIC + b"\0\1" + encode({"index": 1}), "with other parts"),
        (STATE_MAGIC + b"\0\1" + encode([1]), "with other parts"),
        (changed(index="7"), "whose index is '7'"),
        (changed(index=True), "whose index is True"),
        (changed(skipped=1 << 20_000, index=None), "whose index is None"),
        (changed(deadline=b""), "whose deadline is b''"),
        (changed(vcpus=[]), r"whose vcpus is \[\]"),
        (changed(shape=3), "whose shape is 3"),
        (changed(stopped=("no reason", "", 3)), "stopped for no known reason"),
        (changed(stopped=("wfi", "")), "stopped for no known reason"),
        (changed(stopped=3), "stopped for no known reason"),
        (changed(stopped=([], "", 1)), "stopped for no known reason"),
        (changed(pages={0: bytes(4095)}), "page 0 is no page"),
        (changed(pages={"0": bytes(4096)}), "page '0' is no page"),
        (changed(pages={-1: bytes(4096)}), "page -1 is no page"),
        (changed(pages={1 << 20_000: 1}), "page a huge number is no page"),
    ],
)
def test_states_not_read(data: bytes, reason: str) -> None:
    with pytest.raises((StateError, EncodingError), match=reason):
        decode_state(data)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"profile": "den0054c"}, "profile: 'kvm-v7', here 'den0054c'"),
        ({"memory": 2 << 20}, "RAM: '0x100000 bytes', here '0x200000 bytes'"),
        ({"vcpus": 3, "gic": 3}, "vCPUs: 1, here 3, GIC: 'Gic2', here 'Gic3'"),
    ],
)
def test_a_state_of_another_machine(options: dict[str, Any], reason: str) -> None:
    other = machine("hello", options)
    data = encode_state(hello())
    with pytest.raises(StateError, match=reason):
        decode_state(data, vm_state.shape(other))
    before = other.save()
    with pytest.raises(StateError, match=reason):
        restore(other, decode_state(data))
    assert other.save() == before


def test_restore_leaves_other_pages_alone() -> None:
    state = hello()
    vm = machine("hello", {})
    vm.memory[0x400F_0000:0x400F_1000] = b"\x55" * 4096
    restore(vm, replace(state, pages={}))
    assert vm.memory.page(0xF0) == b"\x55" * 4096
    assert (vm.index, vm.vcpus[0].core.pc) == (20, state.vcpus[0]["core"]["pc"])
    restore(vm, replace(state, pages={0xF0: b"\xaa" * 4096}))
    assert vm.memory.page(0xF0) == b"\xaa" * 4096


def spoilt() -> Iterator[tuple[str, VmState]]:
    state = hello()
    vcpu = state.vcpus[0]
    yield "no vCPU", replace(state, vcpus=())
    yield "no core", replace(state, vcpus=({},))
    yield "registers of text", replace(state, vcpus=(vcpu | {"core": {"x0": "zero"}},))
    wide = vcpu["core"] | {"x3": 1 << 64}
    yield "a register of 65 bits", replace(state, vcpus=(vcpu | {"core": wide},))
    yield "a third vCPU's turn", replace(state, scheduler={"current": 2, "turn_end": 5})
    yield "a GIC that is a UART", replace(state, gic=state.uart)
    yield "input of numbers", replace(state, uart=state.uart | {"output": [300]})
    yield "events without numbers", replace(state, sdei={"bindings": [1], "shared": []})
    yield "a page beyond RAM", replace(state, pages={256: bytes(4096)})


@pytest.mark.parametrize(("name", "state"), [*spoilt()], ids=str_only)
def test_a_state_that_cannot_be_leaves_the_machine_as_it_was(name: str, state: VmState) -> None:
    vm = machine("delivery", {})
    vm.run(1500)
    before = vm.save()
    with pytest.raises(StateError):
        restore(vm, decode_state(encode_state(state)))
    assert vm.save() == before
    vm.run()
    assert vm.stopped
    assert vm.index == 3465
