"""The series' pseudo firmware registers: identifiers, sizes, layouts, orders, errors."""

import errno
import itertools
import struct

import pytest

from sdeiviz.errors import Error
from sdeiviz.sdei.registers import RegisterError, get_one_reg, reg_list, set_one_reg
from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    ENABLE,
    ENTRY,
    PC,
    PE_MASK,
    PE_UNMASK,
    PSTATE,
    REGISTER,
    RESUME,
    STATUS,
    Guest,
)

HANDLER_0, HANDLER_1 = 0x6040_0000_0014_0004, 0x6040_0000_0014_0005
HANDLER_2, HANDLER_3 = 0x6040_0000_0014_0006, 0x6040_0000_0014_0007
REGISTERED = 0x6030_0000_0014_0008
ENABLED = 0x6030_0000_0014_0009
RUNNING = 0x6030_0000_0014_000A
PENDING = 0x6030_0000_0014_000B
CONTEXT = 0x6080_0000_0014_000C
PE_STATE = 0x6030_0000_0014_000D

IDS = (
    HANDLER_0,
    HANDLER_1,
    HANDLER_2,
    HANDLER_3,
    REGISTERED,
    ENABLED,
    RUNNING,
    PENDING,
    CONTEXT,
    PE_STATE,
)
X = tuple(0xF000_0000_0000_0000 + n for n in range(18))


def get(guest: Guest, register: int) -> bytes:
    return get_one_reg(guest.dispatcher, guest.vcpu, register)


def put(guest: Guest, register: int, value: int | bytes) -> None:
    data = value.to_bytes(8, "little") if isinstance(value, int) else value
    set_one_reg(guest.dispatcher, guest.vcpu, register, data)


def word(guest: Guest, register: int) -> int:
    data = get(guest, register)
    assert len(data) == 8
    return int.from_bytes(data, "little")


def test_the_list() -> None:
    assert reg_list() == IDS


def test_the_capability() -> None:
    from sdeiviz.abi import kvm

    assert kvm.CAP_ARM_SDEI == 217
    assert [kvm.register_size(n) for n in IDS] == [16, 16, 16, 16, 8, 8, 8, 8, 256, 8]


class TestGet:
    def test_fresh(self, guest: Guest) -> None:
        zero = {n: bytes(get_size(guest, n)) for n in IDS}
        assert {n: get(guest, n) for n in IDS} == zero | {PE_STATE: b"\1" + bytes(7)}

    @pytest.mark.parametrize("event", [0, 1])
    @pytest.mark.parametrize(
        ("state", "bits"),
        [
            ("U", (0, 0, 0)),
            ("R", (1, 0, 0)),
            ("E", (1, 1, 0)),
            ("ER", (1, 1, 1)),
            ("RR", (1, 0, 1)),
            ("UP", (0, 0, 1)),
        ],
    )
    def test_states(self, guest: Guest, event: int, state: str, bits: tuple[int, int, int]) -> None:
        guest.bring(state, event)
        read = tuple(word(guest, n) >> event for n in (REGISTERED, ENABLED, RUNNING))
        assert read == bits

    def test_handlers(self, guest: Guest) -> None:
        guest.call(REGISTER, 0, 0x1122_3344_5566_7788, 0x99AA, 0)
        guest.call(REGISTER, 1, 5, 6, 0)
        assert get(guest, HANDLER_0) == bytes.fromhex("8877665544332211 aa99000000000000")
        assert get(guest, HANDLER_1) == bytes.fromhex("0500000000000000 0600000000000000")
        assert get(guest, HANDLER_2) == get(guest, HANDLER_3) == bytes(16)

    def test_pending_and_mask(self, guest: Guest) -> None:
        guest.bring("R", 0).bring("E", 1)
        guest.inject(1)
        assert (word(guest, PENDING), word(guest, PE_STATE)) == (2, 1)
        guest.inject(0)
        guest.call(PE_UNMASK)
        assert (word(guest, PENDING), word(guest, PE_STATE)) == (3, 0)

    def test_context(self, v7: Guest) -> None:
        v7.bring("ER")
        data = get(v7, CONTEXT)
        assert data[:160] == struct.pack("<20Q", PC, PSTATE, 0, 0, 0, 0, 0, *X[5:])
        assert data[160:] == bytes(96)

    def test_context_to_the_letter_moves_160_bytes(self, literal: Guest) -> None:
        """The 96 others in the caller's buffer stay what they were (D6)."""
        literal.bring("ER")
        assert get(literal, CONTEXT) == struct.pack("<20Q", PC, PSTATE, 0, 0, 0, 0, 0, *X[5:])

    @pytest.mark.parametrize("register", [0, HANDLER_0 - 1, PE_STATE + 1, 0x6030_0000_0014_0004])
    def test_no_such_register(self, guest: Guest, register: int) -> None:
        for action in (lambda: get(guest, register), lambda: put(guest, register, 0)):
            with pytest.raises(RegisterError) as error:
                action()
            assert error.value.errno == errno.ENOENT
            assert isinstance(error.value, Error)
            assert hex(register) in str(error.value)

    @pytest.mark.parametrize("rules", ["den0054c", "tf-a"])
    @pytest.mark.parametrize("register", IDS)
    def test_other_profiles_have_none(self, rules: str, register: int) -> None:
        guest = Guest(rules)
        for action in (lambda: get(guest, register), lambda: put(guest, register, 0)):
            with pytest.raises(RegisterError, match="ENOENT"):
                action()

    def test_by_knob(self) -> None:
        assert word(Guest("den0054c", migration_registers=True), PE_STATE) == 1
        with pytest.raises(RegisterError):
            get(Guest("kvm-v7", migration_registers=False), PE_STATE)


def get_size(guest: Guest, register: int) -> int:
    if register == CONTEXT:
        return 256 if guest.profile.name == "kvm-v7" else 160
    return 8 if register >> 52 & 0xF == 3 else 16


class TestMigration:
    """What is read from one vCPU and set in another is the same vCPU."""

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    @pytest.mark.parametrize("event", [0, 1])
    @pytest.mark.parametrize("mask", [PE_MASK, PE_UNMASK])
    @pytest.mark.parametrize("pending", [False, True])
    def test_in_the_order_of_the_list(
        self, guest: Guest, state: str, event: int, mask: int, pending: bool
    ) -> None:
        guest.bring(state, event).bring("E", 1 - event)
        if pending:
            guest.inject(0)
            guest.inject(1)
        guest.call(mask)
        source = {n: get(guest, n) for n in reg_list()}
        target = Guest(guest.profile)
        for register in reg_list():
            put(target, register, source[register])
        assert {n: get(target, n) for n in reg_list()} == source
        there, here = target.sdei.save(), guest.sdei.save()
        asks = mask == PE_UNMASK and target.pending() != set()
        assert there == here | {"requested": asks}

    @pytest.mark.parametrize("state", ["E", "ER", "RR", "UP"])
    def test_in_any_order(self, rules: str, state: str) -> None:
        guest = Guest(rules).bring(state, 0).bring("R", 1)
        guest.inject(1)
        source = {n: get(guest, n) for n in IDS}
        expected = guest.sdei.save()
        for order in itertools.permutations((REGISTERED, ENABLED, RUNNING, PENDING, CONTEXT)):
            target = Guest(rules)
            put(target, PE_STATE, source[PE_STATE])
            for register in (*order, HANDLER_1, HANDLER_0):
                put(target, register, source[register])
            assert {n: get(target, n) for n in IDS} == source
            assert target.sdei.save() == expected | {"requested": state != "E"}  # unmasked

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    @pytest.mark.parametrize("first", [RUNNING, CONTEXT])
    def test_the_handler_goes_on_there(self, guest: Guest, function: int, first: int) -> None:
        context = struct.pack("<20Q", 0x4008_1234, 0x8000_0000, *range(100, 118))
        put(guest, REGISTERED, 1)
        put(guest, ENABLED, 1)
        for register in (RUNNING, CONTEXT) if first == RUNNING else (CONTEXT, RUNNING):
            put(guest, register, 1 if register == RUNNING else context)
        assert guest.call(STATUS, 0) == 7
        guest.call(function, 0x4008_0280)
        vcpu = guest.vcpu
        assert list(vcpu.x[:18]) == list(range(100, 118))
        if function == COMPLETE:
            assert (vcpu.pc, vcpu.pstate) == (0x4008_1234, 0x8000_0000)
        else:
            assert (vcpu.pc, vcpu.elr_el1) == (0x4008_0280, 0x4008_1234)
        assert guest.call(STATUS, 0) == 3

    def test_a_delivery_uses_what_was_set(self, guest: Guest) -> None:
        put(guest, HANDLER_1, struct.pack("<2Q", ENTRY, ARGUMENT))
        put(guest, REGISTERED, 2)
        put(guest, ENABLED, 2)
        put(guest, PENDING, 2)
        put(guest, PE_STATE, 0)
        assert guest.enter()
        assert guest.vcpu.pc == ENTRY
        assert list(guest.vcpu.x[:2]) == [1, ARGUMENT]

    def test_it_survives_save_and_load_halfway(self, guest: Guest) -> None:
        put(guest, ENABLED, 1)
        put(guest, CONTEXT, bytes([7]) * 160)
        saved = guest.sdei.save()
        other = Guest(guest.profile)
        other.sdei.load(saved)
        put(other, REGISTERED, 1)
        put(other, RUNNING, 1)
        assert other.call(STATUS, 0) == 7
        assert get(other, CONTEXT)[:160] == bytes([7]) * 160


class TestRequests:
    @pytest.mark.parametrize("value", [1, 2, 3])
    def test_pending_on_an_unmasked_pe(self, guest: Guest, value: int) -> None:
        guest.call(PE_UNMASK)
        put(guest, PENDING, value)
        assert guest.sdei.requested

    def test_not_on_a_masked_one_nor_for_none(self, guest: Guest) -> None:
        put(guest, PENDING, 3)
        assert not guest.sdei.requested
        put(guest, PENDING, 0)
        guest.call(PE_UNMASK)
        put(guest, PENDING, 0)
        assert not guest.sdei.requested

    def test_unmasking(self, guest: Guest) -> None:
        put(guest, PE_STATE, 0)
        assert not guest.sdei.requested
        put(guest, PENDING, 1)
        guest.sdei.requested = False
        put(guest, PE_STATE, 1)
        assert not guest.sdei.requested
        put(guest, PE_STATE, 0)
        assert guest.sdei.requested

    def test_no_other_register_asks(self, guest: Guest) -> None:
        put(guest, PENDING, 3)
        put(guest, PE_STATE, 0)
        guest.sdei.requested = False
        for register in (REGISTERED, ENABLED):
            put(guest, register, 3)
        put(guest, HANDLER_0, bytes(16))
        assert not guest.sdei.requested


class TestLenient:
    """As posted (D5): a value is masked without a word, whatever it means."""

    @pytest.mark.parametrize("register", [REGISTERED, ENABLED, PENDING])
    def test_unknown_bits(self, guest: Guest, register: int) -> None:
        put(guest, REGISTERED, 3)
        put(guest, register, 0xFFFF_FFFF_FFFF_FFFF)
        assert word(guest, register) == 3

    @pytest.mark.parametrize("value", [1, 2, 1 << 63])
    def test_any_pe_state_but_zero_masks(self, guest: Guest, value: int) -> None:
        guest.call(PE_UNMASK)
        put(guest, PE_STATE, value)
        assert word(guest, PE_STATE) == 1

    def test_two_running(self, guest: Guest) -> None:
        """The lower one completes first, each with the one context there is."""
        put(guest, REGISTERED, 3)
        put(guest, CONTEXT, struct.pack("<20Q", 0x4444, 0, *range(18)))
        put(guest, RUNNING, 0xFF)
        assert word(guest, RUNNING) == 3
        guest.call(COMPLETE, 0)
        assert (word(guest, RUNNING), guest.vcpu.pc) == (2, 0x4444)
        guest.vcpu.pc = 0
        guest.call(COMPLETE, 0)
        assert (word(guest, RUNNING), guest.vcpu.pc) == (0, 0x4444)

    @pytest.mark.parametrize("register", [HANDLER_2, HANDLER_3])
    @pytest.mark.parametrize("data", [b"", b"\1" * 16])
    def test_reserved_handlers_are_not_even_looked_at(
        self, guest: Guest, register: int, data: bytes
    ) -> None:
        put(guest, register, data)
        assert get(guest, register) == bytes(16)

    def test_enabled_without_registered_reads_back(self, guest: Guest) -> None:
        put(guest, ENABLED, 3)
        assert word(guest, ENABLED) == 3
        assert guest.call(STATUS, 0) == 0
        put(guest, REGISTERED, 1)
        assert [guest.call(STATUS, n) for n in (0, 1)] == [3, 0]
        put(guest, ENABLED, 0)
        assert [guest.call(STATUS, n) for n in (0, 1)] == [1, 0]
        assert word(guest, ENABLED) == 0

    def test_unregistered_under_an_enabled_event(self, guest: Guest) -> None:
        guest.bring("E")
        put(guest, REGISTERED, 0)
        assert (word(guest, ENABLED), guest.call(STATUS, 0)) == (1, 0)
        put(guest, REGISTERED, 1)
        assert guest.call(STATUS, 0) == 3


class TestStrict:
    """As reviewers asked: EINVAL, and nothing changes."""

    def refused(self, register: int, value: int | bytes) -> None:
        guest = Guest("kvm-v7", strict_register_values=True).bring("E")
        before = guest.sdei.save()
        with pytest.raises(RegisterError) as error:
            put(guest, register, value)
        assert error.value.errno == errno.EINVAL
        assert "EINVAL" in str(error.value)
        assert guest.sdei.save() == before

    @pytest.mark.parametrize("register", [REGISTERED, ENABLED, RUNNING, PENDING])
    @pytest.mark.parametrize("value", [4, 5, 1 << 63, (1 << 64) - 1])
    def test_unknown_bits(self, register: int, value: int) -> None:
        self.refused(register, value)

    def test_two_running(self) -> None:
        self.refused(RUNNING, 3)

    @pytest.mark.parametrize("value", [2, 1 << 32])
    def test_pe_state(self, value: int) -> None:
        self.refused(PE_STATE, value)

    @pytest.mark.parametrize("register", [HANDLER_2, HANDLER_3])
    def test_reserved_handlers(self, register: int) -> None:
        self.refused(register, bytes(15) + b"\1")

    def test_what_means_something(self) -> None:
        guest = Guest("kvm-v7", strict_register_values=True)
        for register, value in [
            (REGISTERED, 3),
            (ENABLED, 3),
            (RUNNING, 2),
            (PENDING, 3),
            (PE_STATE, 0),
            (PE_STATE, 1),
        ]:
            put(guest, register, value)
            assert word(guest, register) == value
        put(guest, HANDLER_2, bytes(16))


class TestSizes:
    @pytest.mark.parametrize("register", [HANDLER_0, HANDLER_1, REGISTERED, PENDING, PE_STATE])
    def test_too_short(self, guest: Guest, register: int) -> None:
        for size in (0, 7):
            with pytest.raises(RegisterError, match="EFAULT") as error:
                put(guest, register, bytes(size))
            assert error.value.errno == errno.EFAULT

    @pytest.mark.parametrize("register", IDS)
    def test_too_long(self, guest: Guest, register: int) -> None:
        with pytest.raises(RegisterError, match="EINVAL"):
            put(guest, register, bytes(257))

    def test_context_needs_160(self, guest: Guest) -> None:
        with pytest.raises(RegisterError, match="EFAULT"):
            put(guest, CONTEXT, bytes(159))
        put(guest, CONTEXT, bytes(160))
        put(guest, CONTEXT, bytes(160) + b"\xff" * 96)
        assert get(guest, CONTEXT)[160:].strip(b"\0") == b""


def test_the_trace_has_the_moves(guest: Guest) -> None:
    put(guest, REGISTERED, 1)
    put(guest, ENABLED, 1)
    put(guest, ENABLED, 1)
    put(guest, RUNNING, 1)
    put(guest, PE_STATE, 0)
    assert guest.moments() == [
        "HandlerStateChanged(0, 'SET_ONE_REG', 0, 1)",
        "HandlerStateChanged(0, 'SET_ONE_REG', 1, 3)",
        "HandlerStateChanged(0, 'SET_ONE_REG', 3, 7)",
        "MaskChanged(False,)",
    ]
    guest.call(ENABLE, 0)


def test_a_reset_forgets_what_was_set_too_early(v7: Guest) -> None:
    put(v7, ENABLED, 3)
    put(v7, CONTEXT, b"\1" * 160)
    v7.dispatcher.reset_vcpu(v7.vcpu)
    assert v7.sdei.save() == Guest().sdei.save()
