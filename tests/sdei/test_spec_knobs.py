"""The knobs that came with the specification, each in both positions and alone."""

import pytest

from sdeiviz.abi.sdei import Result
from sdeiviz.errors import Error
from sdeiviz.sdei import PROFILES, EventDefinition, ProfileError, profile
from sdeiviz.sdei.profiles import KNOBS, OtherBits, word
from tests.sdei.board import CRITICAL, NORMAL, SPI_NORMAL, Board
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DENIED,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    NOT_SUPPORTED,
    PE_MASK,
    PE_UNMASK,
    PENDING,
    PRIVATE_RESET,
    REGISTER,
    RESUME,
    ROUTING_SET,
    SHARED_RESET,
    SIGNAL,
    STATUS,
    SUCCESS,
    VERSION,
    Guest,
)

# What every profile says, knob by knob: kvm-v7, kvm-v7-literal, den0054c, tf-a.
INV, DEN, OK = Result.INVALID_PARAMETERS, Result.DENIED, Result.SUCCESS
TABLE = {
    "version": (0x10001, 0x10001, 0x10001, 0x10000),
    "vendor": (0x564B_CAA9, 0x564B_CAA9, 0, 0),
    "shared_events": (False, False, True, True),
    "private_bind_slots": (0, 0, 2, 3),
    "shared_bind_slots": (0, 0, 2, 3),
    "private_slot_base": (0x4000_0000, 0x4000_0000, 0x4000_0000, 1000),
    "shared_slot_base": (0x4000_1000, 0x4000_1000, 0x4000_1000, 2000),
    "relative_mode": (False, False, True, False),
    "smc_conduit": (False, False, True, True),
    "full_width_arguments": (False, False, False, False),
    "unsigned_event_number": (True, False, True, True),
    "preserve_x1_to_x3": (False, False, True, True),
    "allow_zero_entry": (True, True, True, False),
    "aligned_entry": (False, False, True, False),
    "reserved_flags_error": (INV, INV, INV, INV),
    "ignore_private_routing": (True, True, True, False),
    "strict_affinity_bits": (False, False, False, False),
    "register_clears_pending": (False, False, True, True),
    "unregister_clears_pending": (True, False, True, True),
    "context_index_first": (False, False, True, True),
    "complete_answers_denied": (False, False, True, True),
    "bad_resume_addr_error": (OK, OK, INV, DEN),
    "signaled_per_event": (False, False, True, True),
    "mask_tells_change": (False, False, True, True),
    "signal_resolves_target": (False, False, True, True),
    "signal_unregistered": (False, False, True, True),
    "signal_strict": (False, False, False, True),
    "masked_signal_waits": (True, True, True, False),
    "reset_denied_while_running": (False, False, True, True),
    "bind_secure_intr_error": (INV, INV, INV, DEN),
    "bind_refuses_active": (True, True, True, False),
    "status_of_released_event": (INV, INV, INV, OK),
    "skip_disabled_events": (True, False, True, True),
    "kick_on_raise": (True, False, True, True),
    "keep_x4_to_x17": (False, False, True, True),
    "exception_pstate": (False, False, True, True),
    "mask_waits_for_completion": (False, False, True, False),
    "cr_other_pstate": (*[OtherBits.INTERRUPTED] * 3, OtherBits.ZERO),
    "request_after_complete": (True, False, True, True),
    "reset_clears_state": (True, False, True, True),
    "power_off_completes": (False, False, True, True),
    "cpu_on_keeps_handlers": (False, False, True, False),
    "migration_registers": (True, True, False, False),
    "strict_register_values": (False, False, False, False),
    "whole_context_register": (True, False, True, True),
}


def test_profiles() -> None:
    names = ("kvm-v7", "kvm-v7-literal", "den0054c", "tf-a")
    assert tuple(PROFILES) == names
    assert {*KNOBS} == {*TABLE, "platform_events"}
    for name, values in TABLE.items():
        assert tuple(getattr(PROFILES[n], name) for n in names) == values, name


def test_platform_events() -> None:
    rows = {
        name: [(e.number, e.shared, e.critical, e.interrupt) for e in p.platform_events]
        for name, p in PROFILES.items()
    }
    assert rows["kvm-v7"] == rows["kvm-v7-literal"] == [(1, False, False, None)]
    assert rows["den0054c"] == [
        (0x4040_0000, False, False, None),
        (0x4040_0001, False, True, None),
        (0x4040_0016, False, False, 22),
        (0x4040_0017, False, True, 23),
        (0x4040_0028, True, False, 40),
        (0x4040_0029, True, True, 41),
    ]
    assert rows["tf-a"] == [
        (804, False, True, 22),
        (805, True, True, 40),
        (5000, False, False, None),
        (5001, False, False, None),
        (5002, False, False, None),
        (5003, False, True, None),
        (5004, False, True, None),
    ]


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("DENIED", DEN),
            ("denied", DEN),
            ("INVALID", INV),
            ("INVALID_PARAMETERS", INV),
            ("success", OK),
        ],
    )
    def test_errors_by_name(self, text: str, value: Result) -> None:
        changed = profile("den0054c").set(f"bad_resume_addr_error={text}")
        assert changed.bad_resume_addr_error is value

    def test_choices_by_name(self) -> None:
        assert profile("den0054c").set("cr_other_pstate=zero").cr_other_pstate is OtherBits.ZERO
        assert profile("tf-a").set("cr_other_pstate=interrupted").cr_other_pstate == "interrupted"

    def test_numbers(self) -> None:
        assert profile("den0054c").set("private_bind_slots=0x10").private_bind_slots == 16

    @pytest.mark.parametrize(
        ("assignment", "wants"),
        [
            ("bad_resume_addr_error=PENDING", "INVALID, DENIED or SUCCESS"),
            ("bad_resume_addr_error=-3", "INVALID, DENIED or SUCCESS"),
            ("bad_resume_addr_error=", "INVALID, DENIED or SUCCESS"),
            ("bind_secure_intr_error=SUCCESS", "INVALID or DENIED"),
            ("status_of_released_event=DENIED", "INVALID or SUCCESS"),
            ("cr_other_pstate=keep", "interrupted or zero"),
            ("private_bind_slots=two", "a number"),
            ("private_bind_slots=257", "at most 256"),
            ("private_bind_slots=-1", "unsigned"),
            ("platform_events=()", "in Python"),
            ("relative_mode=maybe", "on or off"),
            ("shared_slot_base=0x40000001", "event numbers"),
            ("private_slot_base=0", "event numbers"),
            ("private_slot_base=0x7fffffff", "event numbers"),
            ("shared_slot_base=0x40400027", "event numbers"),
        ],
    )
    def test_nonsense_is_one_line(self, assignment: str, wants: str) -> None:
        with pytest.raises(ProfileError) as error:
            profile("den0054c").set(assignment)
        text = str(error.value)
        assert wants in text
        assert "\n" not in text
        assert isinstance(error.value, Error)

    @pytest.mark.parametrize(
        "knobs",
        [
            {"bad_resume_addr_error": -3},
            {"bad_resume_addr_error": Result.PENDING},
            {"cr_other_pstate": "zero"},
            {"platform_events": []},
            {"platform_events": (5,)},
            {"platform_events": (EventDefinition(0),)},
            {"platform_events": (EventDefinition(5), EventDefinition(5, critical=True))},
            {"platform_events": (EventDefinition(5, interrupt=40),)},
            {"platform_events": (EventDefinition(5, shared=True, interrupt=22),)},
            {"platform_events": (EventDefinition(5, interrupt=8),)},
            {"private_bind_slots": True},
        ],
    )
    def test_replace_refuses(self, knobs: dict[str, object]) -> None:
        with pytest.raises(ProfileError):
            profile("den0054c").replace(**knobs)

    @pytest.mark.parametrize("name", PROFILES)
    def test_a_shown_word_can_be_set(self, name: str) -> None:
        rules = profile(name)
        for knob in KNOBS:
            if knob != "platform_events":
                assert rules.set(f"{knob}={word(getattr(rules, knob))}") == rules


def answers(calls: list[tuple[int, ...]], **knobs: object) -> list[int]:
    guest = Board(**knobs)[0]
    return [guest.call(*call) for call in calls]


class TestCalls:
    def test_version(self) -> None:
        assert Board(version=0x0001_0000)[0].call(VERSION) == 0x0001_0000_0000_0000
        assert Board(vendor=0x1234)[0].call(VERSION) == 0x0001_0001_0000_1234

    def test_full_width_arguments(self) -> None:
        calls = [(STATUS, 1 << 32), (SIGNAL, 1 << 32, 0), (GET_INFO, 0, 1 << 32)]
        assert answers(calls) == [0, 0, 0]
        assert answers(calls, full_width_arguments=True) == [INVALID] * 3

    def test_shared_events(self) -> None:
        calls = [
            (ROUTING_SET, SPI_NORMAL, 2, 0),
            (INTERRUPT_BIND, 1),
            (INTERRUPT_RELEASE, 1),
            (SHARED_RESET,),
        ]
        assert answers(calls) == [INVALID, INVALID, INVALID, SUCCESS]
        assert answers(calls, shared_events=False) == [NOT_SUPPORTED] * 3 + [SUCCESS]

    def test_slots_and_their_numbers(self) -> None:
        calls = [(INTERRUPT_BIND, n) for n in (24, 25, 50, 51)]
        assert answers([*calls, (FEATURES, 0)], private_bind_slots=1, shared_bind_slots=0) == [
            0x4000_0000,
            -10,
            -10,
            -10,
            0x0000_0001,
        ]
        assert answers(calls, private_slot_base=700, shared_slot_base=800) == [700, 701, 800, 801]

    @pytest.mark.parametrize("event", [NORMAL, SPI_NORMAL])
    def test_entries(self, event: int) -> None:
        calls = [(REGISTER, event, 0, 0, 0, 0)]
        assert answers(calls) == [SUCCESS]
        assert answers(calls, allow_zero_entry=False) == [INVALID]
        for entry in (1, 2, 3, 0x4008_1002):
            calls = [(REGISTER, event, entry, 0, 0, 0)]
            assert answers(calls) == [INVALID]
            assert answers(calls, aligned_entry=False) == [SUCCESS]

    @pytest.mark.parametrize("flags", [4, 8, 1 << 32, 1 << 63])
    @pytest.mark.parametrize("event", [NORMAL, SPI_NORMAL])
    def test_reserved_flags_error(self, event: int, flags: int) -> None:
        calls = [(REGISTER, event, 4, 0, flags, 0)]
        assert answers(calls) == [INVALID]
        assert answers(calls, reserved_flags_error=DEN) == [DENIED]
        assert answers(calls, reserved_flags_error=OK) == [SUCCESS]

    def test_ignore_private_routing(self) -> None:
        calls = [(REGISTER, NORMAL, 4, 0, 1, 99)]
        assert answers(calls) == [SUCCESS]
        assert answers(calls, ignore_private_routing=False) == [INVALID]

    def test_strict_affinity_bits(self) -> None:
        calls = [
            (SIGNAL, 0, 0x8000_0001),
            (REGISTER, SPI_NORMAL, 4, 0, 1, 1 << 63 | 1),
            (REGISTER, SPI_NORMAL, 4, 0, 0, 0),
            (ROUTING_SET, SPI_NORMAL, 1, 0xFF00_0001),
        ]
        assert answers(calls) == [SUCCESS, SUCCESS, DENIED, SUCCESS]
        assert answers(calls, strict_affinity_bits=True) == [INVALID, INVALID, SUCCESS, INVALID]

    def test_preserve_x1_to_x3(self) -> None:
        for preserve, left in ((True, [7, 8, 9]), (False, [0, 0, 0])):
            guest = Board(preserve_x1_to_x3=preserve)[0]
            guest.call(STATUS, 7, 8, 9)
            assert list(guest.vcpu.x[1:4]) == left

    def test_context_index_first(self) -> None:
        calls = [(CONTEXT, 17), (CONTEXT, 18)]
        assert answers(calls) == [DENIED, INVALID]
        assert answers(calls, context_index_first=False) == [DENIED, DENIED]

    def test_complete_answers_denied(self) -> None:
        assert answers([(COMPLETE, 0), (RESUME, 0)]) == [DENIED, DENIED]
        guest = Board(complete_answers_denied=False)[0]
        for function in (COMPLETE, RESUME):
            assert guest.call(function, 3) == function  # x0 is not written

    @pytest.mark.parametrize(("error", "answer"), [(INV, -2), (DEN, -3)])
    def test_bad_resume_addr_error(self, error: Result, answer: int) -> None:
        board = Board(bad_resume_addr_error=error).start(NORMAL)
        assert board[0].call(RESUME, 2) == answer
        assert board.stack() == [NORMAL]

    def test_bad_resume_address_taken(self) -> None:
        board = Board(bad_resume_addr_error=OK).start(NORMAL)
        board[0].call(RESUME, 2)
        assert board[0].vcpu.pc == 2

    def test_mask_tells_change(self) -> None:
        calls = [(PE_MASK,), (PE_UNMASK,), (PE_MASK,), (PE_MASK,), (PE_UNMASK,)]
        assert answers(calls) == [0, 0, 1, 0, 0]
        assert answers(calls, mask_tells_change=False) == [0] * 5

    def test_signal_unregistered(self) -> None:
        assert answers([(SIGNAL, 0, 0)]) == [SUCCESS]
        assert answers([(SIGNAL, 0, 0)], signal_unregistered=False) == [INVALID]
        board = Board(signal_unregistered=False).bring("R", 0, 1)
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS

    def test_signal_strict(self) -> None:
        for strict, told in ((False, [0, 0, 0]), (True, [-2, -2, 0])):
            board = Board(signal_strict=strict).bring("R", 0)
            got = []
            for step in ((0xC400_0022, 0), (PE_UNMASK,)):
                got.append(board[0].call(SIGNAL, 0, 0))
                board[0].call(*step)
            assert [*got, board[0].call(SIGNAL, 0, 0)] == told

    @pytest.mark.parametrize(
        ("event", "call"), [(NORMAL, PRIVATE_RESET), (SPI_NORMAL, SHARED_RESET)]
    )
    def test_reset_denied_while_running(self, event: int, call: int) -> None:
        for knob, answer in ((True, DENIED), (False, SUCCESS)):
            board = Board(reset_denied_while_running=knob).start(event)
            assert board[0].call(call) == answer
            assert board[0].call(STATUS, event) == 4

    def test_bind_refuses_active(self) -> None:
        board = Board()
        board.gic.line(25, 0).active = True
        assert board[0].call(INTERRUPT_BIND, 25) == DENIED
        board = Board(bind_refuses_active=False)
        board.gic.line(25, 0).active = True
        event = board[0].call(INTERRUPT_BIND, 25)
        assert event == 0x4000_0000
        assert board.register(event) == DENIED
        assert board.register(event, 1) == SUCCESS
        assert board[0].call(INTERRUPT_RELEASE, event) == DENIED

    def test_status_of_released_event(self) -> None:
        calls = [(INTERRUPT_BIND, 25), (INTERRUPT_RELEASE, 0x4000_0000), (STATUS, 0x4000_0000)]
        assert answers(calls) == [0x4000_0000, 0, INVALID]
        assert answers(calls, status_of_released_event=OK) == [0x4000_0000, 0, 0]
        assert answers([(STATUS, 0x4000_1001)], status_of_released_event=OK) == [0]


class TestDelivery:
    def test_keep_x4_to_x17(self) -> None:
        for knob in (True, False):
            board = Board(keep_x4_to_x17=knob).start(NORMAL)
            kept = [0xF000_0000_0000_0006, 0xF000_0000_0000_0011]
            assert [board[0].vcpu.x[6], board[0].vcpu.x[17]] == (kept if knob else [0, 0])

    def test_request_after_complete(self) -> None:
        for knob in (True, False):
            board = Board(request_after_complete=knob, pes=1).start(NORMAL)
            board.raise_event(NORMAL)
            board.enter()
            board.complete()
            assert board.enter() == ([0] if knob else [])

    def test_unregister_clears_pending(self) -> None:
        for knob in (True, False):
            board = Board(unregister_clears_pending=knob).bring("E", CRITICAL)
            board.raise_event(CRITICAL)
            board[0].call(0xC400_0027, CRITICAL)
            assert board[0].pending() == (set() if knob else {CRITICAL})

    def test_unregister_pending_still_answers_pending(self) -> None:
        board = Board().start(CRITICAL)
        assert board[0].call(0xC400_0027, CRITICAL) == PENDING


def test_what_the_machine_asks_of_a_profile() -> None:
    assert [p.smc_conduit for p in PROFILES.values()] == [False, False, True, True]


def test_a_platform_of_ones_own() -> None:
    events = (EventDefinition(9, critical=True), EventDefinition(8))
    guest = Guest("kvm-v7", platform_events=events)
    assert list(guest.sdei.handlers) == [9, 0, 8]
    guest.bring("ER", 8)
    guest.bring("ER", 9)
    assert [context.event for context in guest.sdei.contexts] == [8, 9]
