"""Shared events: one handler for all PEs, on one PE at a time, chosen by the routing."""

import pytest

from tests.sdei.board import AFFINITIES, NORMAL, RM_ANY, RM_PE, SPI_CRITICAL, SPI_NORMAL, Board
from tests.sdei.vcpu import (
    COMPLETE,
    DENIED,
    DISABLE,
    ENABLE,
    GET_INFO,
    INVALID,
    PE_MASK,
    PE_UNMASK,
    REGISTER,
    ROUTING_SET,
    SIGNAL,
    STATUS,
    SUCCESS,
    UNREGISTER,
)


def ready(*, pes: int = 3, event: int = SPI_NORMAL, flags: int = 0, affinity: int = 0) -> Board:
    """Some PEs, all unmasked, and a shared event enabled."""
    board = Board(pes=pes).unmask()
    assert board.register(event, flags=flags, affinity=affinity) == SUCCESS
    assert board[0].call(ENABLE, event) == SUCCESS
    return board


def test_a_routed_entry_is_an_address() -> None:
    board = ready(flags=RM_PE, affinity=1)
    board.raise_event(SPI_NORMAL)
    assert board.enter() == [1]
    assert board[1].vcpu.pc == 0x4008_1000 + 0x2800


class TestRmAny:
    def test_the_first_pe(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        assert board.requests() == [True, False, False]
        assert board.enter() == [0]
        assert board.dispatcher.vm.shared[SPI_NORMAL].running_on == 0

    def test_masked_ones_are_skipped(self) -> None:
        board = ready()
        board[0].call(PE_MASK)
        board.raise_event(SPI_NORMAL)
        assert board.requests() == [False, True, False]
        assert board.enter() == [1]

    def test_busy_ones_are_skipped(self) -> None:
        board = ready()
        board.start(NORMAL, 0).start(NORMAL, 1)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [2]

    def test_a_critical_one_skips_only_critical_handlers(self) -> None:
        board = ready(event=SPI_CRITICAL)
        board.start(0x4040_0001, 0).start(NORMAL, 1)
        board.raise_event(SPI_CRITICAL)
        assert board.enter() == [1]
        assert board.stack(1) == [NORMAL, SPI_CRITICAL]

    def test_the_calling_pe_comes_first(self) -> None:
        board = ready()
        board[1].call(DISABLE, SPI_NORMAL)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == []
        board[2].call(ENABLE, SPI_NORMAL)
        assert board.requests() == [False, False, True]

    def test_all_masked_then_whoever_unmasks(self) -> None:
        board = ready()
        for pe in board.pes:
            pe.call(PE_MASK)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == []
        board[2].call(PE_UNMASK)
        assert board.enter() == [2]

    def test_all_busy_then_whoever_completes(self) -> None:
        board = ready()
        for n in range(3):
            board.start(0, n)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == []
        board.complete(1)
        assert board.enter() == [1]

    def test_each_trigger_is_handled_once(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        for pe in board.pes:
            pe.sdei.requested = True
        assert board.enter() == [0]
        assert board[1].pending() == set()
        board.complete(0)
        assert board.enter() == []

    def test_never_on_two_pes(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [0]
        board.raise_event(SPI_NORMAL)
        assert board.enter() == []
        for pe in board.pes[1:]:
            pe.call(PE_UNMASK)
        assert board.enter() == []
        assert [board.stack(n) for n in range(3)] == [[SPI_NORMAL], [], []]

    def test_again_after_completion_on_any_pe(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [0]
        board.raise_event(SPI_NORMAL)
        board[0].call(PE_MASK)  # takes effect with the completion
        board.complete(0)
        assert board.enter() == [1]

    def test_again_after_completion_on_a_pe_masked_at_once(self) -> None:
        board = Board(mask_waits_for_completion=False).unmask().bring("E", SPI_NORMAL)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [0]
        board.raise_event(SPI_NORMAL)
        board[0].call(PE_MASK)
        assert board.enter() == []
        board.complete(0)
        assert board.enter() == [1]

    def test_whoever_takes_a_critical_event_passes_the_normal_one_on(self) -> None:
        board = ready()
        board.register(SPI_CRITICAL)
        board[0].call(ENABLE, SPI_CRITICAL)
        board.raise_event(SPI_NORMAL)
        board.raise_event(SPI_CRITICAL)
        assert board.requests() == [True, False, False]
        assert board.enter() == [0, 1]
        assert (board.stack(0), board.stack(1)) == ([SPI_CRITICAL], [SPI_NORMAL])

    def test_a_pe_that_goes_down_passes_it_on(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        board[0].sdei.requested = False
        assert board.enter() == [1]


class TestRmPe:
    @pytest.mark.parametrize("pe", [0, 1, 2, 3])
    def test_only_that_one(self, pe: int) -> None:
        board = ready(pes=4, flags=RM_PE, affinity=AFFINITIES[pe])
        board.raise_event(SPI_NORMAL)
        for other in board.pes:
            other.sdei.requested = True
        assert board.enter() == [pe]

    @pytest.mark.parametrize("why", ["masked", "busy"])
    def test_it_waits_for_that_one(self, why: str) -> None:
        board = ready(flags=RM_PE, affinity=1)
        if why == "masked":
            board[1].call(PE_MASK)
        else:
            board.start(NORMAL, 1)
        board.raise_event(SPI_NORMAL)
        board[0].call(PE_UNMASK)
        board[2].call(PE_UNMASK)
        assert board.enter() == []
        if why == "masked":
            board[1].call(PE_UNMASK)
        else:
            board.complete(1)
        assert board.enter() == [1]

    def test_enabled_by_another(self) -> None:
        board = Board().unmask()
        board.register(SPI_NORMAL, flags=RM_PE, affinity=1)
        board.raise_event(SPI_NORMAL)
        board[2].call(ENABLE, SPI_NORMAL)
        assert board.requests() == [False, True, False]
        assert board.enter() == [1]

    def test_a_target_that_is_off_does_not_wake(self) -> None:
        """It is masked; nothing asks it for anything."""
        board = ready(flags=RM_PE, affinity=1)
        board.dispatcher.complete_all(board[1].vcpu, "CPU_OFF")
        board.raise_event(SPI_NORMAL)
        assert board.requests() == [False, False, False]
        board.dispatcher.reset_vcpu(board[1].vcpu)
        assert board.enter() == []
        board[1].call(PE_UNMASK)
        assert board.enter() == [1]


class TestRegister:
    @pytest.mark.parametrize("affinity", [*AFFINITIES[:3], 0])
    def test_routing_is_remembered(self, affinity: int) -> None:
        board = Board()
        assert board.register(SPI_NORMAL, 1, RM_PE, affinity) == SUCCESS
        for pe in board.pes:
            assert pe.call(GET_INFO, SPI_NORMAL, 3) == RM_PE
            assert pe.call(GET_INFO, SPI_NORMAL, 4) == affinity

    @pytest.mark.parametrize("affinity", [2, 0x200, 1 << 32, 0x12_0003_0201])
    def test_rm_pe_needs_a_pe(self, affinity: int) -> None:
        board = Board()
        assert board.register(SPI_NORMAL, flags=RM_PE, affinity=affinity) == INVALID
        assert board[0].call(STATUS, SPI_NORMAL) == 0

    @pytest.mark.parametrize("affinity", [2, 1 << 31 | 2, (1 << 64) - 1])
    def test_rm_any_ignores_the_affinity(self, affinity: int) -> None:
        board = Board()
        assert board.register(SPI_NORMAL, flags=RM_ANY, affinity=affinity) == SUCCESS
        assert board[0].call(GET_INFO, SPI_NORMAL, 3) == RM_ANY
        assert board[0].call(GET_INFO, SPI_NORMAL, 4) == INVALID

    @pytest.mark.parametrize("flags", [4, 5, 1 << 31, 1 << 32, 1 << 63])
    def test_reserved_flags(self, flags: int) -> None:
        assert Board().register(SPI_NORMAL, flags=flags) == INVALID

    def test_one_registration_for_all(self) -> None:
        board = Board()
        assert board.register(SPI_NORMAL, 0) == SUCCESS
        assert board.register(SPI_NORMAL, 1) == DENIED
        assert board[2].call(UNREGISTER, SPI_NORMAL) == SUCCESS
        assert board.register(SPI_NORMAL, 1) == SUCCESS

    def test_a_refused_one_changes_nothing(self) -> None:
        board = Board()
        board[0].call(REGISTER, SPI_NORMAL, 0x1000, 7, RM_PE, 1)
        assert board[1].call(REGISTER, SPI_NORMAL, 0x2000, 8, RM_ANY, 0) == DENIED
        handler = board.dispatcher.vm.shared[SPI_NORMAL]
        assert (handler.entry, handler.argument) == (0x1000, 7)
        assert board[0].call(GET_INFO, SPI_NORMAL, 3) == RM_PE


class TestRoutingSet:
    def test_to_one_pe_and_back(self) -> None:
        board = Board().unmask()
        board.register(SPI_NORMAL)
        assert board[0].call(ROUTING_SET, SPI_NORMAL, RM_PE, 0x100) == SUCCESS
        assert board[1].call(GET_INFO, SPI_NORMAL, 3) == RM_PE
        assert board[1].call(GET_INFO, SPI_NORMAL, 4) == 0x100
        board[0].call(ENABLE, SPI_NORMAL)
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [2]
        board.complete(2)
        board[0].call(DISABLE, SPI_NORMAL)
        assert board[0].call(ROUTING_SET, SPI_NORMAL, RM_ANY, 99) == SUCCESS
        assert board[0].call(GET_INFO, SPI_NORMAL, 4) == INVALID

    @pytest.mark.parametrize(
        ("mode", "affinity"),
        [(2, 0), (3, 0), (1 << 32, 0), (1 << 63 | 1, 0), (RM_PE, 2), (RM_PE, 1 << 31 | 2)],
    )
    def test_arguments_come_before_the_state(self, mode: int, affinity: int) -> None:
        for state in ("U", "R", "E"):
            board = Board().bring(state, SPI_NORMAL)
            assert board[0].call(ROUTING_SET, SPI_NORMAL, mode, affinity) == INVALID

    @pytest.mark.parametrize("state", ["U", "E", "ER", "RR", "UP"])
    def test_refused_it_changes_nothing(self, state: str) -> None:
        board = Board().bring(state, SPI_NORMAL)
        assert board[0].call(ROUTING_SET, SPI_NORMAL, RM_PE, 1) == DENIED
        handler = board.dispatcher.vm.shared[SPI_NORMAL]
        assert (handler.routing_mode, handler.affinity) == (RM_ANY, 0)

    def test_pending_survives_and_follows_the_new_routing(self) -> None:
        board = Board().unmask()
        board.register(SPI_NORMAL)
        board.raise_event(SPI_NORMAL)
        assert board[0].call(ROUTING_SET, SPI_NORMAL, RM_PE, 1) == SUCCESS
        assert board.enter() == []
        board[0].call(ENABLE, SPI_NORMAL)
        assert board.enter() == [1]


class TestSharedWhileRunning:
    def test_unregistered_by_another_pe(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        board.enter()
        assert board[1].call(UNREGISTER, SPI_NORMAL) == -5
        assert board[1].call(STATUS, SPI_NORMAL) == 4
        assert board.register(SPI_NORMAL, 1) == DENIED
        assert board.gic.line(40, None).owned
        board.complete(0)
        assert board[1].call(STATUS, SPI_NORMAL) == 0
        assert not board.gic.line(40, None).owned

    def test_completed_only_where_it_runs(self) -> None:
        board = ready()
        board.raise_event(SPI_NORMAL)
        board.enter()
        assert board[1].call(COMPLETE, 0) == DENIED
        assert board.dispatcher.vm.shared[SPI_NORMAL].running_on == 0
        board[0].call(COMPLETE, 0)
        assert board.dispatcher.vm.shared[SPI_NORMAL].running_on is None


class TestSignal:
    @pytest.mark.parametrize("target", [0, 1, 2])
    def test_the_named_pe(self, target: int) -> None:
        board = Board().unmask()
        for n in range(3):
            board.bring("E", 0, n)
        assert board[1].call(SIGNAL, 0, AFFINITIES[target]) == SUCCESS
        assert board.enter() == [target]
        assert board[target].vcpu.x[0] == 0

    @pytest.mark.parametrize("target", [2, 0x101, 0x8000_0002, 1 << 40 | 2, (1 << 64) - 1])
    def test_no_such_pe(self, target: int) -> None:
        assert Board()[0].call(SIGNAL, 0, target) == INVALID

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    @pytest.mark.parametrize("mask", [PE_MASK, PE_UNMASK])
    def test_it_succeeds_and_pends_in_every_state(self, state: str, mask: int) -> None:
        board = Board().bring(state, 0, 1)
        board[1].call(mask)
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS
        assert board[1].pending() == {0}

    def test_before_registration_it_comes_after_enable(self) -> None:
        board = Board().unmask()
        assert board[0].call(SIGNAL, 0, 1) == SUCCESS
        assert board.enter() == []
        board.bring("E", 0, 1)
        assert board.enter() == [1]


def test_inject_a_shared_event() -> None:
    """Whether it can be taken at once is a question to every PE."""
    from sdeiviz.sdei import EventDefinition

    events = (EventDefinition(7, shared=True),)
    board = Board(platform_events=events).bring("E", 7)
    assert board[1].inject(7, immediate=True) == -16
    board[2].call(PE_UNMASK)
    assert board[1].inject(7, immediate=True) == 0
    assert board.enter() == [2]
    assert board[1].call(PE_UNMASK) == 0
    assert board[1].inject(7, immediate=True) == -16
    assert board[1].pending() == set()
    assert board[0].cancel(7) == -16
    assert board[0].inject(7) == 0
    assert board[0].inject(7, immediate=True) == -16
    board.complete(2)
    assert board[1].cancel(7) == 0
    assert board.enter() == []
