"""What power management does to events (DEN0054C 6.5), and what a reset leaves."""

import pytest

from tests.sdei.board import CRITICAL, NORMAL, PPI_NORMAL, SPI_CRITICAL, SPI_NORMAL, Board
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DENIED,
    INTERRUPT_BIND,
    INVALID,
    PC,
    PE_MASK,
    PE_UNMASK,
    SIGNAL,
    STATUS,
    SUCCESS,
    UNREGISTER,
    Guest,
)


class TestImplicitCompletion:
    """Called before a PE obeys SYSTEM_OFF, SYSTEM_RESET, CPU_OFF or CPU_FREEZE."""

    @pytest.mark.parametrize(("state", "status"), [("ER", 3), ("RR", 1), ("UP", 0)])
    @pytest.mark.parametrize("event", [0, NORMAL, SPI_CRITICAL], ids=hex)
    def test_as_complete_would(self, event: int, state: str, status: int) -> None:
        board = Board().bring(state, event)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        assert board.stack() == []
        assert board[1 if event == SPI_CRITICAL else 0].call(STATUS, event) == status
        assert board[0].sdei.masked

    def test_innermost_first_and_no_register_moves(self) -> None:
        board = Board().start(NORMAL).start(SPI_CRITICAL)
        board[0].moments()
        vcpu = board[0].vcpu
        before = list(vcpu.x), vcpu.where(), vcpu.elr_el1, vcpu.spsr_el1
        entry_of_normal = 0x4008_1000
        board.dispatcher.complete_all(vcpu, "CPU_OFF")
        assert (list(vcpu.x), vcpu.where(), vcpu.elr_el1, vcpu.spsr_el1) == before
        assert board[0].moments() == [
            "MaskChanged(True,)",
            f"HandlerStateChanged({SPI_CRITICAL}, 'CPU_OFF', 7, 3)",
            f"EventCompleted({SPI_CRITICAL}, {entry_of_normal}, None)",
            f"HandlerStateChanged({NORMAL}, 'CPU_OFF', 7, 3)",
            f"EventCompleted({NORMAL}, {PC}, None)",
        ]

    def test_outside_a_handler_it_only_masks(self) -> None:
        board = Board().unmask().bring("E", NORMAL)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        assert board[0].call(STATUS, NORMAL) == 3
        assert board[0].sdei.masked

    def test_a_mask_that_was_to_come_is_there_then(self) -> None:
        board = Board().start(NORMAL)
        board[0].call(PE_MASK)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        assert (board[0].sdei.masked, board[0].sdei.mask_after) == (True, 0)

    def test_interrupts_end(self) -> None:
        board = Board().start(PPI_NORMAL).start(SPI_CRITICAL)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        assert not board.gic.line(22, 0).active
        assert not board.gic.line(41, None).active

    def test_a_shared_event_raised_again_goes_to_another_pe(self) -> None:
        board = Board().unmask().start(SPI_NORMAL)
        board.raise_event(SPI_NORMAL)
        board.dispatcher.complete_all(board[0].vcpu, "CPU_OFF")
        assert board.requests() == [False, True, False]
        assert board.enter() == [1]

    @pytest.mark.parametrize("rules", ["kvm-v7", "kvm-v7-literal"])
    def test_the_series_does_nothing_of_it(self, rules: str) -> None:
        guest = Guest(rules).bring("ER")
        before = guest.sdei.save()
        guest.dispatcher.complete_all(guest.vcpu, "CPU_OFF")
        assert guest.sdei.save() == before


class TestCpuOn:
    @pytest.mark.parametrize(("state", "status"), [("U", 0), ("R", 1), ("E", 3), ("ER", 3)])
    def test_masked_with_its_registrations(self, state: str, status: int) -> None:
        board = Board().unmask().bring(state, NORMAL, 1)
        board[0].call(SIGNAL, 0, 1)
        board.dispatcher.reset_vcpu(board[1].vcpu)
        assert board[1].sdei.masked
        assert not board[1].sdei.requested
        assert board[1].call(STATUS, NORMAL) == status
        assert board[1].call(CONTEXT, 0) == DENIED
        assert 0 in board[1].pending()

    def test_what_came_before_asks_no_more(self) -> None:
        board = Board().unmask().bring("E", NORMAL, 1)
        board.raise_event(NORMAL, 1)
        assert board.requests() == [False, True, False]
        board.dispatcher.reset_vcpu(board[1].vcpu)
        assert board.requests() == [False, False, False]
        assert board[1].pending() == {NORMAL}

    def test_without_by_knob(self) -> None:
        board = Board(cpu_on_keeps_handlers=False).unmask()
        board.start(PPI_NORMAL, 1).bring("E", CRITICAL, 1).bring("E", CRITICAL, 0)
        board.raise_event(CRITICAL, 1)
        board.dispatcher.reset_vcpu(board[1].vcpu)
        assert [board[1].call(STATUS, event) for event in (PPI_NORMAL, CRITICAL)] == [0, 0]
        assert board[1].pending() == set()
        assert board.stack(1) == []
        assert not board.gic.line(22, 1).owned
        assert not board.gic.line(22, 1).active
        assert board[0].call(STATUS, CRITICAL) == 3

    def test_a_shared_handler_there_is_over_either_way(self) -> None:
        for keeps in (True, False):
            board = Board(cpu_on_keeps_handlers=keeps).unmask().start(SPI_NORMAL)
            board.raise_event(SPI_NORMAL)
            board.dispatcher.reset_vcpu(board[0].vcpu)
            assert board[1].call(STATUS, SPI_NORMAL) == 3
            assert board.enter() == [1]


class TestSystemReset:
    def busy(self, **knobs: bool) -> Board:
        board = Board(**knobs)
        event = board[0].call(INTERRUPT_BIND, 50)
        board.bring("E", 0, 1).start(event, 1).start(CRITICAL, 1)
        board.bring("UP", SPI_CRITICAL, 2).start(PPI_NORMAL, 0)
        board.raise_event(event)
        return board

    def test_everything_is_as_new(self) -> None:
        board = self.busy()
        board.dispatcher.reset_system()
        fresh = Board()
        assert board.dispatcher.save() == fresh.dispatcher.save()
        for old, new in zip(board.pes, fresh.pes, strict=True):
            assert old.sdei.save() == new.sdei.save()
        assert board[0].call(STATUS, 0x4000_1000) == INVALID
        assert not any(line.owned or line.active for line in board.gic.lines.values())

    def test_and_works_again(self) -> None:
        board = self.busy()
        board.dispatcher.reset_system()
        board.unmask().bring("E", SPI_CRITICAL)
        board.raise_event(SPI_CRITICAL)
        assert board.enter() == [0]
        assert board[0].call(INTERRUPT_BIND, 50) == 0x4000_1000

    def test_nothing_is_touched_by_knob(self) -> None:
        board = self.busy(reset_clears_state=False)
        before = board.dispatcher.save(), [pe.sdei.save() for pe in board.pes]
        board.dispatcher.reset_system()
        board.dispatcher.reset_vcpu(board[1].vcpu)
        assert (board.dispatcher.save(), [pe.sdei.save() for pe in board.pes]) == before


def test_wake_from_power_down() -> None:
    """Enabled events stay, the PE is masked, what came meanwhile waits for PE_UNMASK."""
    board = Board().unmask().bring("E", NORMAL, 1)
    board.dispatcher.reset_vcpu(board[1].vcpu)
    assert board[1].inject(NORMAL) == 0
    assert board.enter() == []
    assert board[1].call(PE_UNMASK) == SUCCESS
    assert board.enter() == [1]
    board[1].call(COMPLETE, 0)
    assert board[1].call(UNREGISTER, NORMAL) == SUCCESS
