"""Where Unicorn keeps registers: found by experiment, and refused where that is not clear."""

import ctypes
import dataclasses
import os

import pytest
from unicorn import Uc
from unicorn.arm64_const import UC_ARM64_REG_PC, UC_ARM64_REG_SP, UC_ARM64_REG_X0

from sdeiviz import Error
from sdeiviz.cpu import layout as at
from sdeiviz.cpu import registers as regs


@pytest.fixture
def uc() -> Uc:
    return at.new_uc(16 << 20)


def test_the_layout_is_found_and_has_no_two_registers_in_one_place() -> None:
    found = at.layout()
    places = {name: value for name, value in dataclasses.asdict(found).items() if name != "system"}
    offsets = [v for name, v in places.items() if name not in ("q_stride", "exclusive")]
    offsets += [*found.exclusive, *(offset for offset, _ in found.system.values())]
    assert len(set(offsets)) == len(offsets)
    assert set(found.system) == set(regs.EL1_REGISTERS)
    assert found.target_el == found.fault_address + 8 == found.syndrome + 16


def test_registers_are_where_it_says(uc: Uc) -> None:
    """Written through Unicorn's interface, read from a context's bytes."""
    found = at.layout()
    context = at.Context(uc)
    for register, offset in ((UC_ARM64_REG_PC, found.pc), (UC_ARM64_REG_SP, found.x0 + 248)):
        uc.reg_write(register, 0x1234_5678_9AB0)
        assert context.update()[offset : offset + 8] == (0x1234_5678_9AB0).to_bytes(8, "little")
    for name, (offset, width) in found.system.items():
        value = 2 if name == "csselr_el1" else 0x4000_0000
        at.write_cp(uc, regs.EL1_REGISTERS[name], value)
        bits = at.read_cp(uc, regs.EL1_REGISTERS[name])
        assert context.update()[offset : offset + width] == bits.to_bytes(width, "little"), name


def test_registers_in_place(uc: Uc) -> None:
    """Twice: the second core is found by where the first one was."""
    for core in (uc, at.new_uc(16 << 20)):
        live = at.find_live_state(core, at.layout())
        if live is None:
            pytest.skip("no /proc/self/mem here: registers go through contexts")
        assert [core.reg_read(at.x_register(n)) for n in range(29)] == [0] * 29
        core.reg_write(UC_ARM64_REG_X0, 0x5EED)
        window = at.ctypes.c_uint64.from_address(live + at.layout().x0)
        assert window.value == 0x5EED
        window.value = 0xFEED
        assert core.reg_read(UC_ARM64_REG_X0) == 0xFEED


def test_a_place_remembered_that_is_wrong_is_not_believed(
    uc: Uc, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = at.find_live_state(uc, at.layout())
    for wrong in ([0, 0], [511, 8], [3, 1 << 16]):
        monkeypatch.setattr(at, "_reached", wrong)
        assert at.find_live_state(uc, at.layout()) == right


followed = pytest.mark.skipif(
    not os.path.exists("/proc/self/mem"), reason="registers go through contexts here"
)


class WithCopy:
    """A core beside whose registers there is a copy of what they were, every other time."""

    def __init__(self) -> None:
        self.live, self.copy = (ctypes.c_uint64 * 31)(), (ctypes.c_uint64 * 31)()
        pointers = (ctypes.addressof(self.copy), ctypes.addressof(self.live))
        self._handle = (ctypes.c_uint64 * 512)(*pointers)
        self._uch = ctypes.addressof(self._handle)
        self._written = 0

    def reg_write(self, register: int, value: int) -> None:
        n = register - UC_ARM64_REG_X0
        self.live[n] = value
        if self._written // 29 % 2 == 0:
            self.copy[n] = value
        self._written += 1


@followed
@pytest.mark.parametrize("reached", [[], [0, 0], [1, 0]], ids=["unknown", "copy", "registers"])
def test_a_copy_of_the_registers_is_not_taken_for_them(
    monkeypatch: pytest.MonkeyPatch, reached: list[int]
) -> None:
    monkeypatch.setattr(at, "_reached", reached)
    core = WithCopy()
    found = at.find_live_state(core, at.layout())  # type: ignore[arg-type]
    assert found == ctypes.addressof(core.live) - at.layout().x0
    assert [*core.live] == [0] * 31


@followed
def test_a_second_copy_in_front_of_the_registers_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One pointer leads to both, and the copy comes first."""
    monkeypatch.setattr(at, "_reached", [0, 64 * 8])
    core = WithCopy()
    both = (ctypes.c_uint64 * 95)()
    core.copy = (ctypes.c_uint64 * 31).from_buffer(both)
    core.live = (ctypes.c_uint64 * 31).from_buffer(both, 64 * 8)
    core._handle[0] = ctypes.addressof(both)
    core._handle[1] = 0
    found = at.find_live_state(core, at.layout())  # type: ignore[arg-type]
    assert found == ctypes.addressof(core.live) - at.layout().x0
    assert at._reached == [0, 64 * 8]


def test_without_proc_registers_are_copied(uc: Uc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at.os.path, "exists", lambda path: False)
    assert at.find_live_state(uc, at.layout()) is None


def test_a_handle_that_is_no_address_is_not_followed() -> None:
    class Strange:
        _uch = object()

    assert at.find_live_state(Strange(), at.layout()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (bytes(64), bytes(64), 0),
        (bytes(64), bytes(16) + b"12345678" + bytes(16) + b"12345678" + bytes(16), 2),
        (b"12345678" + bytes(56), b"12345678" + bytes(56), 0),
    ],
)
def test_what_is_not_found_exactly_once_is_refused(before: bytes, after: bytes, count: int) -> None:
    value = int.from_bytes(b"12345678", "little")
    with pytest.raises(Error, match=f"PAR_EL1 found at {count} places; install unicorn") as caught:
        at._place("PAR_EL1", before, after, value, 8)
    assert "\n" not in str(caught.value)


def test_one_place_is_found() -> None:
    after = bytes(20) + b"12345678" + bytes(36)
    assert at._place("x", bytes(64), after, int.from_bytes(b"12345678", "little"), 8) == 20
    twice = b"12345678" + after[8:]
    assert at._place("x", bytes(64), twice, int.from_bytes(b"12345678", "little"), 8, (0,)) == 20
