"""Every call: its checks in their order, its answer, what it changes and what it leaves alone."""

import pytest

from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    CONTEXT,
    DENIED,
    DISABLE,
    ELR,
    ENABLE,
    ENTRY,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    NOT_SUPPORTED,
    PC,
    PE_MASK,
    PE_UNMASK,
    PENDING,
    PRIVATE_RESET,
    PSTATE,
    REGISTER,
    RESUME,
    ROUTING_SET,
    SHARED_RESET,
    SIGNAL,
    SPSR,
    STATUS,
    SUCCESS,
    UNREGISTER,
    VERSION,
    Guest,
)

HIGH = 0xABCD_EF01_0000_0000
"""Bits that C drops when it reads a number into 32 bits."""

BAD_NUMBERS = (2, 3, 63, 64, 0x7FFF_FFFF, HIGH | 2)
NEGATIVE_NUMBERS = (0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)

# -- the frame of every call ----------------------------------------------------------------------

WITH_RESULT = [
    (VERSION,),
    (REGISTER, 0, ENTRY, ARGUMENT, 0, 0x55),
    (ENABLE, 0),
    (DISABLE, 0),
    (CONTEXT, 0),
    (UNREGISTER, 0),
    (STATUS, 0),
    (GET_INFO, 0, 0),
    (ROUTING_SET, 0, 1, 2),
    (PE_MASK,),
    (PE_UNMASK,),
    (INTERRUPT_BIND, 40),
    (INTERRUPT_RELEASE, 1),
    (SIGNAL, 0, 0),
    (FEATURES, 0),
    (PRIVATE_RESET,),
    (SHARED_RESET,),
    (0xC400_0033, 1, 2, 3, 4, 5),
    (0xC400_003F, 1, 2, 3, 4, 5),
]


@pytest.mark.parametrize("state", ["U", "E", "ER"])
@pytest.mark.parametrize("call", WITH_RESULT, ids=lambda call: f"{call[0] & 0xFF:#x}")
def test_answer_goes_to_x0_and_clears_x1_to_x3_only(
    guest: Guest, state: str, call: tuple[int, ...]
) -> None:
    guest.bring(state)
    vcpu = guest.vcpu
    for n in range(1, 31):
        vcpu.x[n] = 0xA5A5_0000_0000_0000 + n
    vcpu.pc, vcpu.pstate = PC, PSTATE
    guest.call(*call)
    given = len(call) - 1
    rest = [call[n] if n <= given else 0xA5A5_0000_0000_0000 + n for n in range(4, 31)]
    assert list(vcpu.x[1:4]) == [0, 0, 0]
    assert list(vcpu.x[4:]) == rest
    assert (vcpu.pc, vcpu.pstate) == (PC, PSTATE)
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (ELR, SPSR)


@pytest.mark.parametrize(
    ("call", "x0"),
    [
        ((0xC400_002A, 0), 0xFFFF_FFFF_FFFF_FFFF),
        ((0xC400_0028, 2), 0xFFFF_FFFF_FFFF_FFFE),
        ((0xC400_0022, 0), 0xFFFF_FFFF_FFFF_FFFD),
    ],
)
def test_errors_are_sign_extended_to_64_bits(guest: Guest, call: tuple[int, int], x0: int) -> None:
    guest.call(*call)
    assert guest.vcpu.x[0] == x0


def test_pending_is_sign_extended_to_64_bits(guest: Guest) -> None:
    guest.bring("ER")
    guest.call(UNREGISTER, 0)
    assert guest.vcpu.x[0] == 0xFFFF_FFFF_FFFF_FFFB


def test_call_returns_x0_as_written_and_none_where_nothing_is_written(guest: Guest) -> None:
    vcpu = guest.vcpu
    vcpu.x[1] = 2
    assert guest.dispatcher.call(vcpu, STATUS) == 0xFFFF_FFFF_FFFF_FFFE
    assert guest.dispatcher.call(vcpu, COMPLETE) is None
    assert guest.dispatcher.call(vcpu, RESUME) is None
    guest.bring("ER")
    assert guest.dispatcher.call(vcpu, COMPLETE) is None


@pytest.mark.parametrize(
    "function",
    [0xC400_0033, 0xC400_003F, 0xC400_001F, 0xC400_0040, 0x8400_0020, 0x8400_0021, 0x0400_0020, 0],
)
def test_unknown_functions(guest: Guest, function: int) -> None:
    assert guest.call(function, 0, ENTRY, ARGUMENT, 0) == NOT_SUPPORTED
    assert guest.call(STATUS, 0) == 0


# -- VERSION, FEATURES, what is not there ----------------------------------------------------------


def test_version(guest: Guest) -> None:
    assert guest.call(VERSION) == 0x0001_0001_564B_CAA9


@pytest.mark.parametrize(
    ("feature", "answer"),
    [
        (0, 0),
        (1, 0),
        (2, -2),
        (16, -2),
        (0xFFFF_FFFF, -2),
        (HIGH, 0),
        (HIGH | 1, 0),
        (HIGH | 2, -2),
    ],
)
def test_features(guest: Guest, feature: int, answer: int) -> None:
    assert guest.call(FEATURES, feature) == answer


@pytest.mark.parametrize("function", [ROUTING_SET, INTERRUPT_BIND, INTERRUPT_RELEASE])
@pytest.mark.parametrize("number", [0, 1, 2, 0xFFFF_FFFF_FFFF_FFFF])
def test_what_the_series_leaves_out(guest: Guest, function: int, number: int) -> None:
    guest.bring("R")
    assert guest.call(function, number, 0, 0) == NOT_SUPPORTED
    assert guest.call(STATUS, 0) == 1


# -- EVENT_REGISTER --------------------------------------------------------------------------------


def handler_of(guest: Guest, event: int) -> tuple[int, int]:
    handler = guest.sdei.handlers[event]
    return handler.entry, handler.argument


@pytest.mark.parametrize("event", [0, 1])
def test_register(guest: Guest, event: int) -> None:
    """Entry, argument and affinity are taken as they come, all 64 bits of them, and zero too."""
    full = 0xFFFF_FFFF_FFFF_FFFF
    assert guest.call(REGISTER, event, full, full - 1, 0, full) == SUCCESS
    assert guest.call(STATUS, event) == 1
    assert guest.call(STATUS, 1 - event) == 0
    assert handler_of(guest, event) == (full, full - 1)
    assert handler_of(guest, 1 - event) == (0, 0)


def test_register_entry_zero(guest: Guest) -> None:
    assert guest.call(REGISTER, 0, 0, 0, 0, 0) == SUCCESS


@pytest.mark.parametrize("number", BAD_NUMBERS + NEGATIVE_NUMBERS)
@pytest.mark.parametrize("flags", [0, 1, 2])
def test_register_bad_number(guest: Guest, number: int, flags: int) -> None:
    assert guest.call(REGISTER, number, ENTRY, ARGUMENT, flags) == INVALID
    assert [guest.call(STATUS, n) for n in (0, 1)] == [0, 0]


@pytest.mark.parametrize("number", [HIGH, HIGH | 1, 1 << 32, 1 << 63 | 1])
def test_register_number_is_32_bits(guest: Guest, number: int) -> None:
    assert guest.call(REGISTER, number, ENTRY, ARGUMENT, 0) == SUCCESS
    assert guest.call(STATUS, number & 1) == 1


@pytest.mark.parametrize("flags", [2, 3, 4, 5, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_register_flags_are_64_bits_and_all_but_the_routing_bit_reserved(
    guest: Guest, flags: int
) -> None:
    assert guest.call(REGISTER, 0, ENTRY, ARGUMENT, flags) == INVALID
    assert guest.call(STATUS, 0) == 0
    assert handler_of(guest, 0) == (0, 0)


@pytest.mark.parametrize("flags", [0, 1])
def test_register_routing_bit_is_accepted(guest: Guest, flags: int) -> None:
    assert guest.call(REGISTER, 0, ENTRY, ARGUMENT, flags) == SUCCESS


@pytest.mark.parametrize("state", ["R", "E", "ER", "RR", "UP"])
def test_register_flags_before_state(guest: Guest, state: str) -> None:
    guest.bring(state)
    assert guest.call(REGISTER, 0, 1, 2, 2) == INVALID
    assert guest.call(REGISTER, 0, 1, 2, 0) == DENIED
    assert handler_of(guest, 0) == (ENTRY, ARGUMENT)


def test_register_touches_neither_enabled_nor_pending(literal: Guest) -> None:
    literal.bring("R").inject(0)
    literal.call(UNREGISTER, 0)
    assert literal.pending() == {0}
    assert literal.call(REGISTER, 0, ENTRY, ARGUMENT, 0) == SUCCESS
    assert literal.call(STATUS, 0) == 1
    assert literal.pending() == {0}


# -- EVENT_ENABLE, EVENT_DISABLE, EVENT_UNREGISTER -------------------------------------------------


@pytest.mark.parametrize("function", [ENABLE, DISABLE, UNREGISTER, STATUS])
@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_bad_number(guest: Guest, function: int, number: int) -> None:
    guest.bring("E", 0).bring("R", 1)
    assert guest.call(function, number) == INVALID
    assert [guest.call(STATUS, n) for n in (0, 1)] == [3, 1]


@pytest.mark.parametrize("function", [UNREGISTER, STATUS])
@pytest.mark.parametrize("number", NEGATIVE_NUMBERS)
def test_negative_number(guest: Guest, function: int, number: int) -> None:
    assert guest.call(function, number) == INVALID


@pytest.mark.parametrize("function", [ENABLE, DISABLE])
@pytest.mark.parametrize("number", NEGATIVE_NUMBERS)
def test_negative_number_in_enable_and_disable(v7: Guest, function: int, number: int) -> None:
    assert v7.call(function, number) == INVALID


def test_numbers_are_32_bits(guest: Guest) -> None:
    guest.bring("R", 1)
    assert guest.call(ENABLE, HIGH | 1) == SUCCESS
    assert guest.call(STATUS, HIGH | 1) == 3
    assert guest.call(DISABLE, HIGH | 1) == SUCCESS
    assert guest.call(STATUS, 1) == 1
    assert guest.call(GET_INFO, HIGH | 1, HIGH | 1) == 1
    assert guest.call(UNREGISTER, HIGH | 1) == SUCCESS
    assert guest.call(STATUS, 1) == 0


def test_events_do_not_move_each_other(guest: Guest) -> None:
    guest.bring("E", 0)
    assert guest.call(ENABLE, 1) == DENIED
    assert guest.call(REGISTER, 1, 1, 2, 0) == SUCCESS
    assert guest.call(STATUS, 0) == 3
    assert guest.call(UNREGISTER, 0) == SUCCESS
    assert guest.call(STATUS, 1) == 1


def test_disable_keeps_pending_and_enable_delivers_it(guest: Guest) -> None:
    guest.bring("E")
    guest.inject(0)
    assert guest.call(DISABLE, 0) == SUCCESS
    assert guest.pending() == {0}
    assert guest.call(ENABLE, 0) == SUCCESS
    guest.call(PE_UNMASK)
    assert guest.enter()


@pytest.mark.parametrize("function", [DISABLE, UNREGISTER, PRIVATE_RESET, PE_MASK])
def test_a_running_handler_goes_on(guest: Guest, function: int) -> None:
    guest.bring("ER")
    assert guest.call(function, 0) in (SUCCESS, PENDING)
    assert guest.vcpu.pc == ENTRY
    assert guest.call(CONTEXT, 5) == -0x0FFF_FFFF_FFFF_FFFB
    guest.call(COMPLETE, 0)
    assert guest.vcpu.pc == PC
    assert guest.call(CONTEXT, 5) == DENIED


# -- EVENT_CONTEXT ---------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 17, 18, 0xFFFF_FFFF, 1 << 63])
def test_context_running_before_index(guest: Guest, index: int) -> None:
    guest.bring("E")
    assert guest.call(CONTEXT, index) == DENIED


def test_context_returns_the_interrupted_registers(guest: Guest) -> None:
    guest.bring("E")
    guest.call(PE_UNMASK)
    guest.inject(0)
    for n in range(18):
        guest.vcpu.x[n] = 0x1000_0000_0000_0000 + 0x11 * n
    assert guest.enter()
    assert [guest.call(CONTEXT, n) for n in range(18)] == [
        0x1000_0000_0000_0000 + 0x11 * n for n in range(18)
    ]


@pytest.mark.parametrize("state", ["ER", "RR", "UP"])
@pytest.mark.parametrize("index", [18, 19, 31, 0x8000_0000, 0xFFFF_FFFF, HIGH | 18])
def test_context_index_out_of_range(guest: Guest, state: str, index: int) -> None:
    guest.bring(state)
    assert guest.call(CONTEXT, index) == INVALID


def test_context_index_is_32_bits(guest: Guest) -> None:
    guest.bring("ER")
    assert guest.call(CONTEXT, HIGH | 17) == guest.call(CONTEXT, 17)
    assert guest.vcpu.x[0] == 0xF000_0000_0000_0011


def test_context_is_raw_and_can_look_like_an_error(guest: Guest) -> None:
    guest.bring("E")
    guest.call(PE_UNMASK)
    guest.inject(0)
    guest.vcpu.x[9] = 0xFFFF_FFFF_FFFF_FFFE
    assert guest.enter()
    assert guest.call(CONTEXT, 9) == -2


# -- EVENT_GET_INFO --------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [0, 1])
@pytest.mark.parametrize("state", ["U", "R", "E", "ER", "UP"])
@pytest.mark.parametrize(
    ("info", "answer"),
    [(0, 0), (1, 1), (2, 0), (3, -2), (4, -2), (5, -2), (0xFFFF_FFFF, -2), (HIGH | 1, 1)],
)
def test_get_info(guest: Guest, event: int, state: str, info: int, answer: int) -> None:
    guest.bring(state, event)
    assert guest.call(GET_INFO, event, info) == answer


@pytest.mark.parametrize("number", BAD_NUMBERS + NEGATIVE_NUMBERS)
@pytest.mark.parametrize("info", [0, 1, 2, 3])
def test_get_info_bad_number(guest: Guest, number: int, info: int) -> None:
    assert guest.call(GET_INFO, number, info) == INVALID


# -- EVENT_SIGNAL ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, *BAD_NUMBERS, *NEGATIVE_NUMBERS])
def test_signal_only_event_0(guest: Guest, number: int) -> None:
    guest.bring("E", 0).bring("E", 1)
    assert guest.call(SIGNAL, number, 0) == INVALID
    assert guest.pending() == set()


@pytest.mark.parametrize("state", ["U", "UP"])
def test_signal_not_registered(guest: Guest, state: str) -> None:
    guest.bring(state)
    assert guest.call(SIGNAL, 0, 0) == INVALID
    assert guest.pending() == set()


@pytest.mark.parametrize("state", ["R", "E", "ER", "RR"])
@pytest.mark.parametrize("mask", [PE_MASK, PE_UNMASK])
def test_signal_succeeds_whenever_registered(guest: Guest, state: str, mask: int) -> None:
    guest.bring(state)
    guest.call(mask)
    assert guest.call(SIGNAL, 0, 0) == SUCCESS
    assert guest.call(SIGNAL, 0, 0) == SUCCESS
    assert guest.pending() == {0}


def test_signal_number_is_32_bits_and_the_target_ignored(guest: Guest) -> None:
    guest.bring("R")
    other = guest.another(7).bring("R")
    assert guest.call(SIGNAL, HIGH, 7) == SUCCESS
    assert guest.pending() == {0}
    assert other.pending() == set()


# -- PE_MASK, PE_UNMASK, the resets ----------------------------------------------------------------


def test_a_new_pe_is_masked_and_has_nothing(guest: Guest) -> None:
    assert guest.sdei.masked
    assert not guest.sdei.requested
    assert guest.pending() == set()
    assert guest.sdei.contexts == []
    assert sorted(guest.sdei.handlers) == [0, 1]


def test_mask_and_unmask_always_succeed(guest: Guest) -> None:
    for function, masked in ((PE_MASK, True), (PE_UNMASK, False)):
        for _ in range(2):
            assert guest.call(function) == SUCCESS
            assert guest.sdei.masked is masked


def test_entering_a_handler_does_not_mask(guest: Guest) -> None:
    guest.bring("ER")
    assert not guest.sdei.masked
    guest.call(COMPLETE)
    assert not guest.sdei.masked


@pytest.mark.parametrize(
    ("state", "status"), [("U", 0), ("R", 0), ("E", 0), ("ER", 4), ("RR", 4), ("UP", 4)]
)
def test_private_reset(guest: Guest, state: str, status: int) -> None:
    guest.bring("R", 0).bring(state, 1)
    masked = guest.sdei.masked
    assert guest.call(PRIVATE_RESET) == SUCCESS
    assert [guest.call(STATUS, n) for n in (0, 1)] == [0, status]
    assert guest.sdei.masked is masked


def test_shared_reset_does_nothing(guest: Guest) -> None:
    guest.bring("E", 0)
    guest.inject(0)
    guest.bring("R", 1)
    before = guest.sdei.save()
    assert guest.call(SHARED_RESET) == SUCCESS
    assert guest.sdei.save() == before
