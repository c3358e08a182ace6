"""What firmware does where it differs from the specification, one by one, and what it does not."""

import pytest

from tests.sdei.board import Board
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DENIED,
    DISABLE,
    ENABLE,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    PC,
    PE_MASK,
    PE_UNMASK,
    REGISTER,
    RESUME,
    ROUTING_SET,
    SHARED_RESET,
    SIGNAL,
    STATUS,
    SUCCESS,
    UNREGISTER,
    VERSION,
    Guest,
)

NORMAL, CRITICAL = 5000, 5003
SLOT, SHARED_SLOT = 1000, 2000


@pytest.fixture
def board() -> Board:
    return Board("tf-a")


def test_version_and_features(board: Board) -> None:
    guest = board[0]
    assert guest.call(VERSION) == 0x0001_0000_0000_0000
    assert guest.call(FEATURES, 0) == 0x0003_0003
    assert guest.call(FEATURES, 1) == INVALID
    assert guest.call(FEATURES, 16) == INVALID


def test_events(board: Board) -> None:
    guest = board[0]
    info = {
        event: tuple(guest.call(GET_INFO, event, n) for n in (0, 1, 2))
        for event in guest.sdei.handlers
    }
    assert info == {
        0: (0, 0, 0),
        804: (0, 1, 1),
        805: (1, 1, 1),
        1000: (0, 1, 0),
        1001: (0, 1, 0),
        1002: (0, 1, 0),
        2000: (1, 1, 0),
        2001: (1, 1, 0),
        2002: (1, 1, 0),
        5000: (0, 1, 0),
        5001: (0, 1, 0),
        5002: (0, 1, 0),
        5003: (0, 1, 1),
        5004: (0, 1, 1),
    }
    order = [804, 805, 5003, 5004, 0, 1000, 1001, 1002, 2000, 2001, 2002, 5000, 5001, 5002]
    assert list(guest.sdei.handlers) == order


class TestRegister:
    def test_entry_zero(self, board: Board) -> None:
        assert board[0].call(REGISTER, NORMAL, 0, 0, 0, 0) == INVALID
        assert board[0].call(REGISTER, NORMAL, 3, 0, 0, 0) == SUCCESS

    @pytest.mark.parametrize("flags", [2, 3, 4, 1 << 32, 1 << 63])
    def test_flags(self, board: Board, flags: int) -> None:
        assert board[0].call(REGISTER, NORMAL, 4, 0, flags, 0) == INVALID

    def test_routing_of_a_private_event_is_validated(self, board: Board) -> None:
        assert board[0].call(REGISTER, NORMAL, 4, 0, 1, 2) == INVALID
        assert board[0].call(REGISTER, NORMAL, 4, 0, 1, 0) == SUCCESS
        assert board[1].call(REGISTER, NORMAL, 4, 0, 0, 2) == SUCCESS
        assert board[0].call(GET_INFO, NORMAL, 3) == INVALID

    @pytest.mark.parametrize("affinity", [1, 0x8000_0001, 0xFFFF_FF00_FF00_0001])
    def test_affinity_bits_are_masked(self, board: Board, affinity: int) -> None:
        """A client may pass MPIDR_EL1 as it reads it."""
        assert board[0].call(REGISTER, 805, 4, 0, 1, affinity) == SUCCESS
        assert board[0].call(GET_INFO, 805, 4) == 1
        assert board[0].call(ROUTING_SET, 805, 1, affinity ^ 1) == SUCCESS
        assert board[0].call(GET_INFO, 805, 4) == 0

    def test_a_slot_without_interrupt(self, board: Board) -> None:
        for event in (1000, 1001, 1002, 2000, 2001, 2002):
            assert board.register(event) == DENIED
            assert board[0].call(STATUS, event) == 0
        assert board[0].call(INTERRUPT_BIND, 25) == 1000
        assert board.register(1000) == SUCCESS
        assert board.register(1001) == DENIED

    @pytest.mark.parametrize(("intid", "event", "pe"), [(25, 1000, 0), (50, 2000, None)])
    def test_an_active_interrupt(
        self, board: Board, intid: int, event: int, pe: int | None
    ) -> None:
        board.gic.line(intid, pe).active = True
        assert board[0].call(INTERRUPT_BIND, intid) == event
        assert board.register(event) == DENIED
        board.gic.line(intid, pe).active = False
        assert board.register(event) == SUCCESS

    def test_forgets_a_trigger_from_before(self, board: Board) -> None:
        board.unmask()
        board.gic.pulse(40)
        board.bring("E", 805)
        assert board.enter() == []


class TestSlots:
    def test_three_of_each(self, board: Board) -> None:
        guest = board[0]
        assert [guest.call(INTERRUPT_BIND, n) for n in (24, 25, 26, 27)] == [1000, 1001, 1002, -10]
        assert [guest.call(INTERRUPT_BIND, n) for n in (50, 51, 52, 53)] == [2000, 2001, 2002, -10]

    def test_not_the_clients_interrupt(self, board: Board) -> None:
        assert board[0].call(INTERRUPT_BIND, 30) == DENIED
        assert board[0].call(INTERRUPT_BIND, 60) == DENIED
        assert board[0].call(INTERRUPT_BIND, 22) == INVALID  # behind event 804
        assert board[0].call(INTERRUPT_BIND, 40) == INVALID
        assert board[0].call(INTERRUPT_BIND, 15) == INVALID

    def test_a_released_event_stays_known(self, board: Board) -> None:
        guest = board[0]
        assert guest.call(INTERRUPT_BIND, 50) == SHARED_SLOT
        assert guest.call(INTERRUPT_RELEASE, SHARED_SLOT) == SUCCESS
        assert guest.call(INTERRUPT_RELEASE, SHARED_SLOT) == INVALID
        assert guest.call(STATUS, SHARED_SLOT) == 0
        assert guest.call(GET_INFO, SHARED_SLOT, 0) == 1
        assert guest.call(ENABLE, SHARED_SLOT) == DENIED
        assert guest.call(UNREGISTER, SHARED_SLOT) == DENIED
        assert board.register(SHARED_SLOT) == DENIED

    def test_release_of_an_active_interrupt(self, board: Board) -> None:
        board[0].call(INTERRUPT_BIND, 25)
        board.gic.line(25, 1).active = True
        assert board[0].call(INTERRUPT_RELEASE, SLOT) == DENIED
        board.gic.line(25, 1).active = False
        assert board[0].call(INTERRUPT_RELEASE, SLOT) == SUCCESS

    def test_status_after_shared_reset(self, board: Board) -> None:
        """The conformance suite asks for it: success, not registered."""
        event = board[0].call(INTERRUPT_BIND, 50)
        board.bring("E", event)
        assert board[0].call(SHARED_RESET) == SUCCESS
        assert board[0].call(STATUS, event) == 0
        assert board.register(event) == DENIED
        assert board[0].call(INTERRUPT_BIND, 50) == event
        assert board.register(event) == SUCCESS

    def test_the_trigger_of_a_bound_event(self, board: Board) -> None:
        board.unmask()
        event = board[0].call(INTERRUPT_BIND, 25)
        board.bring("E", event, 1)
        board.gic.pulse(25, 1)
        assert board.enter() == [1]
        assert board.stack(1) == [event]


class TestSignal:
    @pytest.mark.parametrize("state", ["U", "R", "RR", "UP"])
    def test_not_enabled_there(self, board: Board, state: str) -> None:
        board.bring(state, 0, 1)
        board[1].call(PE_UNMASK)
        assert board[0].call(SIGNAL, 0, 1) == INVALID
        assert board[1].pending() == set()

    def test_masked_there(self, board: Board) -> None:
        board.bring("E", 0, 1)
        assert board[0].call(SIGNAL, 0, 1) == INVALID
        board[1].call(PE_UNMASK)
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS
        assert board.enter() == [1]
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS  # running is fine

    def test_raw_mpidr(self, board: Board) -> None:
        board.bring("E", 0, 1).unmask()
        assert board[0].call(SIGNAL, 0, 0x8000_0001) == SUCCESS
        assert board[0].call(SIGNAL, 0, 0x8000_0002) == INVALID

    @pytest.mark.parametrize("mask", [True, False])
    def test_pending_when_a_handler_leaves_a_masked_pe(self, board: Board, mask: bool) -> None:
        """It is lost; with the PE unmasked, or under the specification, it comes."""
        for machine, comes in ((board, not mask), (Board(mask_waits_for_completion=False), True)):
            event = NORMAL if machine is board else 0x4040_0000
            machine.bring("E", 0).start(event)
            assert machine[0].call(SIGNAL, 0, 0) == SUCCESS
            if mask:
                machine[0].call(PE_MASK)
            machine.complete()
            machine[0].call(PE_UNMASK)
            assert machine.enter() == ([0] if comes else [])

    def test_not_while_an_outer_handler_still_runs(self, board: Board) -> None:
        board.bring("E", 0).start(NORMAL).start(CRITICAL)
        assert board[0].call(SIGNAL, 0, 0) == SUCCESS
        board[0].call(PE_MASK)
        board.complete()
        assert board[0].pending() == {0}
        board.complete()
        assert board[0].pending() == set()

    def test_other_events_wait(self, board: Board) -> None:
        board.bring("E", 5001).start(NORMAL)
        board.raise_event(5001)
        board[0].call(PE_MASK)
        board.complete()
        assert board.enter() == []
        board[0].call(PE_UNMASK)
        assert board.enter() == [0]


class TestCompletion:
    @pytest.mark.parametrize("address", [1, 2, 3])
    def test_a_bad_resume_address(self, board: Board, address: int) -> None:
        board.start(NORMAL)
        assert board[0].call(RESUME, address) == DENIED
        assert board[0].call(STATUS, NORMAL) == 7

    def test_resume_zeroes_the_other_bits(self, board: Board) -> None:
        board.unmask().bring("E", NORMAL)
        board[0].vcpu.pstate = 0xF140_0000
        board.raise_event(NORMAL)
        board.enter()
        assert board[0].vcpu.pstate == 0xF140_03C5
        board[0].call(RESUME, 0x4008_0280)
        assert board[0].vcpu.pstate == 0x3C5
        assert board[0].vcpu.spsr_el1 == 0xF140_0000

    def test_outside_a_handler(self, board: Board) -> None:
        guest = board[0]
        assert guest.call(COMPLETE, 0) == DENIED
        assert guest.call(RESUME, 0) == DENIED
        assert guest.call(RESUME, 3) == DENIED
        assert guest.call(CONTEXT, 17) == DENIED
        assert guest.call(CONTEXT, 18) == INVALID


def test_a_mask_in_a_handler_takes_effect_at_once(board: Board) -> None:
    board.bring("E", CRITICAL).start(NORMAL)
    assert board[0].call(PE_MASK) == 1
    board.raise_event(CRITICAL)
    assert board.enter() == []
    assert board[0].call(PE_UNMASK) == SUCCESS
    assert board.enter() == [0]


@pytest.mark.parametrize("state", ["U", "R", "E"])
def test_cpu_on_forgets_private_registrations(board: Board, state: str) -> None:
    board.bring(state, NORMAL, 1).bring(state, 805, 1).unmask()
    board.dispatcher.reset_vcpu(board[1].vcpu)
    assert board[1].sdei.masked
    assert board[1].call(STATUS, NORMAL) == 0
    assert board[1].call(STATUS, 805) == {"U": 0, "R": 1, "E": 3}[state]


def test_nested_like_the_specification(board: Board) -> None:
    board.start(NORMAL).start(CRITICAL)
    assert board.stack() == [NORMAL, CRITICAL]
    board.complete()
    board.complete()
    assert board[0].vcpu.pc == PC


def test_public_suites_first_steps() -> None:
    """The state walk that the firmware's own tests make, on one of its explicit events."""
    guest = Guest("tf-a")
    steps = [
        ((STATUS, NORMAL), 0),
        ((ENABLE, NORMAL), -3),
        ((DISABLE, NORMAL), -3),
        ((COMPLETE, 0), -3),
        ((RESUME, 0), -3),
        ((UNREGISTER, NORMAL), -3),
        ((CONTEXT, 0), -3),
        ((REGISTER, NORMAL, 0x4000, 0xDEAD, 1, 0x8000_0000), 0),
        ((REGISTER, NORMAL, 0x4000, 0xDEAD, 1, 0x8000_0000), -3),
        ((COMPLETE, 0), -3),
        ((CONTEXT, 0), -3),
        ((STATUS, NORMAL), 1),
        ((ENABLE, NORMAL), 0),
        ((REGISTER, NORMAL, 0x4000, 0xDEAD, 1, 0x8000_0000), -3),
        ((ENABLE, NORMAL), 0),
        ((STATUS, NORMAL), 3),
        ((PE_UNMASK,), 0),
    ]
    for call, answer in steps:
        assert guest.call(*call) == answer
    assert guest.inject(NORMAL) == 0
    assert guest.enter()
    inside = [
        ((STATUS, NORMAL), 7),
        ((REGISTER, NORMAL, 0x4000, 0xDEAD, 1, 0x8000_0000), -3),
        ((ENABLE, NORMAL), 0),
        ((DISABLE, NORMAL), 0),
        ((STATUS, NORMAL), 5),
        ((ENABLE, NORMAL), 0),
        ((UNREGISTER, NORMAL), -5),
        ((STATUS, NORMAL), 4),
        ((UNREGISTER, NORMAL), -5),
        ((ENABLE, NORMAL), -3),
        ((DISABLE, NORMAL), -3),
        ((REGISTER, NORMAL, 0x4000, 0xDEAD, 1, 0x8000_0000), -3),
    ]
    for call, answer in inside:
        assert guest.call(*call) == answer
    guest.call(COMPLETE, 0)
    assert guest.call(STATUS, NORMAL) == 0
    assert guest.call(UNREGISTER, NORMAL) == -3
