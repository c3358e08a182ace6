"""Critical and normal events: who interrupts whom, what is saved, when a mask takes effect."""

import pytest

from tests.sdei.board import (
    CRITICAL,
    NORMAL,
    PPI_CRITICAL,
    PPI_NORMAL,
    SPI_CRITICAL,
    SPI_NORMAL,
    Board,
)
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DENIED,
    DISABLE,
    ELR,
    ENABLE,
    PC,
    PE_MASK,
    PE_UNMASK,
    PENDING,
    PRIVATE_RESET,
    PSTATE,
    RESUME,
    SHARED_RESET,
    SIGNAL,
    SPSR,
    STATUS,
    SUCCESS,
    UNREGISTER,
)

NORMALS = (0, NORMAL, PPI_NORMAL, SPI_NORMAL)
CRITICALS = (CRITICAL, PPI_CRITICAL, SPI_CRITICAL)


class TestWhoInterruptsWhom:
    @pytest.mark.parametrize("normal", NORMALS, ids=hex)
    @pytest.mark.parametrize("critical", CRITICALS, ids=hex)
    def test_critical_interrupts_normal(self, normal: int, critical: int) -> None:
        board = Board().start(normal).start(critical)
        assert board.stack() == [normal, critical]
        assert [board[0].call(STATUS, event) for event in (normal, critical)] == [7, 7]

    @pytest.mark.parametrize("running", NORMALS + CRITICALS, ids=hex)
    @pytest.mark.parametrize("other", NORMALS, ids=hex)
    def test_normal_interrupts_no_handler(self, running: int, other: int) -> None:
        board = Board(pes=1).start(running)
        if other != running:
            board.bring("E", other)
        board.raise_event(other)
        assert board.enter() == []
        assert board.stack() == [running]
        board.complete()
        assert board.enter() == [0]
        assert board.stack() == [other]

    @pytest.mark.parametrize("running", CRITICALS, ids=hex)
    @pytest.mark.parametrize("other", CRITICALS, ids=hex)
    def test_critical_does_not_interrupt_critical(self, running: int, other: int) -> None:
        board = Board(pes=1).start(running)
        if other != running:
            board.bring("E", other)
        board.raise_event(other)
        assert board.enter() == []
        board.complete()
        assert board.enter() == [0]
        assert board.stack() == [other]

    def test_never_more_than_two(self) -> None:
        board = Board(pes=1).start(NORMAL).start(CRITICAL)
        for event in (0, PPI_NORMAL, PPI_CRITICAL, SPI_NORMAL, SPI_CRITICAL):
            board.bring("E", event).raise_event(event)
        assert board.enter() == []
        assert board.stack() == [NORMAL, CRITICAL]

    def test_the_order_of_what_waits(self) -> None:
        """Critical ones first, in each class by number; between two normal ones as well."""
        board = Board(pes=1)
        events = [SPI_CRITICAL, NORMAL, 0, CRITICAL, PPI_NORMAL, SPI_NORMAL, PPI_CRITICAL]
        for event in events:
            board.bring("E", event).raise_event(event)
        board.unmask()
        seen = []
        while board.enter():
            seen.append(board.stack()[-1])
            board.complete()
        assert seen == [
            0x4040_0001,
            0x4040_0017,
            0x4040_0029,
            0,
            0x4040_0000,
            0x4040_0016,
            SPI_NORMAL,
        ]

    def test_a_critical_one_comes_between_two_normal_ones(self) -> None:
        board = Board(pes=1).start(0).bring("E", NORMAL).start(CRITICAL)
        board.raise_event(NORMAL)
        board.complete()
        assert board.enter() == []  # event 0 still runs
        assert board.stack() == [0]
        board.complete()
        assert board.enter() == [0]
        assert board.stack() == [NORMAL]


class TestTwoContexts:
    def nested(self) -> Board:
        """A normal handler at 0x4008_2000 interrupted, with registers that say where."""
        board = Board(pes=1).bring("E", NORMAL).bring("E", CRITICAL).unmask()
        vcpu = board[0].vcpu
        vcpu.pc, vcpu.pstate = 0x4008_0040, 0x8000_0000
        for n in range(31):
            vcpu.x[n] = 0x1000 + n
        board.raise_event(NORMAL)
        assert board.enter() == [0]
        vcpu.pc, vcpu.pstate = 0x4008_2000, 0x2000_03C5
        for n in range(31):
            vcpu.x[n] = 0x2000 + n
        board.raise_event(CRITICAL)
        assert board.enter() == [0]
        return board

    def test_entry_of_the_inner_one(self) -> None:
        vcpu = self.nested()[0].vcpu
        assert list(vcpu.x[2:4]) == [0x4008_2000, 0x2000_03C5]
        assert list(vcpu.x[4:]) == [0x2000 + n for n in range(4, 31)]
        assert (vcpu.elr_el1, vcpu.spsr_el1) == (ELR, SPSR)

    def test_context_is_the_innermost(self) -> None:
        board = self.nested()
        assert [board[0].call(CONTEXT, n) for n in range(18)] == [0x2000 + n for n in range(18)]
        board.complete()
        assert [board[0].call(CONTEXT, n) for n in range(18)] == [0x1000 + n for n in range(18)]
        board.complete()
        assert board[0].call(CONTEXT, 0) == DENIED

    def test_complete_goes_back_into_the_outer_one(self) -> None:
        board = self.nested()
        vcpu = board[0].vcpu
        board.complete()
        assert (vcpu.pc, vcpu.pstate) == (0x4008_2000, 0x2000_03C5)
        assert list(vcpu.x[:18]) == [0x2000 + n for n in range(18)]
        assert [board[0].call(STATUS, event) for event in (NORMAL, CRITICAL)] == [7, 3]
        board.complete()
        assert (vcpu.pc, vcpu.pstate) == (0x4008_0040, 0x8000_0000)
        assert list(vcpu.x[:18]) == [0x1000 + n for n in range(18)]

    def test_resume_leaves_the_outer_one_running(self) -> None:
        board = self.nested()
        vcpu = board[0].vcpu
        board[0].call(RESUME, 0x4008_0280)
        assert (vcpu.pc, vcpu.pstate) == (0x4008_0280, 0x2000_03C5)
        assert (vcpu.elr_el1, vcpu.spsr_el1) == (0x4008_2000, 0x2000_03C5)
        assert list(vcpu.x[:18]) == [0x2000 + n for n in range(18)]
        assert [board[0].call(STATUS, event) for event in (NORMAL, CRITICAL)] == [7, 3]
        assert board[0].call(CONTEXT, 1) == 0x1001

    def test_another_event_may_hit_the_resumed_code_at_once(self) -> None:
        board = Board(pes=1).start(CRITICAL)
        board.bring("E", 0).raise_event(0)
        board[0].call(RESUME, 0x4008_0280)
        assert board.enter() == [0]
        assert board[0].vcpu.x[2] == 0x4008_0280


class TestResetsInNestedHandlers:
    def test_private_reset(self) -> None:
        board = Board(pes=1).bring("E", 0).start(NORMAL).start(CRITICAL)
        assert board[0].call(PRIVATE_RESET) == DENIED
        statuses = [board[0].call(STATUS, event) for event in (0, NORMAL, CRITICAL)]
        assert statuses == [0, 4, 4]
        assert board[0].call(PRIVATE_RESET) == DENIED
        assert board.register(NORMAL) == DENIED
        board.complete()
        assert [board[0].call(STATUS, event) for event in (NORMAL, CRITICAL)] == [4, 0]
        assert board[0].call(PRIVATE_RESET) == DENIED
        board.complete()
        assert board[0].vcpu.pc == PC
        assert board[0].call(STATUS, NORMAL) == 0
        assert board[0].call(PRIVATE_RESET) == SUCCESS

    def test_private_reset_while_only_a_shared_handler_runs(self) -> None:
        board = Board(pes=1).bring("E", NORMAL).start(SPI_NORMAL)
        assert board[0].call(PRIVATE_RESET) == SUCCESS
        assert [board[0].call(STATUS, event) for event in (NORMAL, SPI_NORMAL)] == [0, 7]

    def test_shared_reset(self) -> None:
        board = Board(pes=1).start(SPI_NORMAL).start(SPI_CRITICAL)
        assert board[0].call(SHARED_RESET) == DENIED
        assert [board[0].call(STATUS, event) for event in (SPI_NORMAL, SPI_CRITICAL)] == [4, 4]
        board.complete()
        assert [board[0].call(STATUS, event) for event in (SPI_NORMAL, SPI_CRITICAL)] == [4, 0]
        assert board[0].call(SHARED_RESET) == DENIED
        board.complete()
        assert board[0].call(SHARED_RESET) == SUCCESS

    def test_shared_reset_while_only_a_private_handler_runs(self) -> None:
        board = Board(pes=1).bring("E", SPI_NORMAL).start(NORMAL)
        assert board[0].call(SHARED_RESET) == SUCCESS
        assert [board[0].call(STATUS, event) for event in (NORMAL, SPI_NORMAL)] == [7, 0]


class TestWhatAHandlerMayDo:
    @pytest.mark.parametrize("event", [0, CRITICAL, SPI_NORMAL], ids=hex)
    def test_other_events_follow_their_own_states(self, event: int) -> None:
        board = Board(pes=1).start(event)
        guest = board[0]
        assert guest.call(ENABLE, NORMAL) == DENIED
        assert board.register(NORMAL) == SUCCESS
        assert guest.call(ENABLE, NORMAL) == SUCCESS
        assert guest.call(DISABLE, NORMAL) == SUCCESS
        assert guest.call(UNREGISTER, NORMAL) == SUCCESS
        assert guest.call(STATUS, event) == 7

    def test_an_unregistered_one_comes_no_more(self) -> None:
        board = Board(pes=1).start(NORMAL)
        board.raise_event(NORMAL)
        assert board[0].call(UNREGISTER, NORMAL) == PENDING
        board.complete()
        assert board.enter() == []
        assert board[0].call(STATUS, NORMAL) == 0
        assert board[0].inject(NORMAL) == -2

    def test_one_disabled_in_its_handler_waits_for_enable(self) -> None:
        board = Board(pes=1).start(NORMAL)
        board.raise_event(NORMAL)
        board[0].call(DISABLE, NORMAL)
        board.complete()
        assert board.enter() == []
        assert board[0].call(ENABLE, NORMAL) == SUCCESS
        assert board.enter() == [0]

    def test_signalled_in_its_own_handler(self) -> None:
        board = Board(pes=1).start(0)
        for _ in range(3):
            assert board[0].call(SIGNAL, 0, 0) == SUCCESS
        assert board.enter() == []
        board.complete()
        assert board.enter() == [0]
        board.complete()
        assert board.enter() == []


class TestMaskInAHandler:
    """It takes full effect when the handler completes; with the knob off, at once."""

    def masked_in_normal(self, **knobs: bool) -> Board:
        board = Board(pes=1, **knobs).bring("E", CRITICAL).bring("E", 0).start(NORMAL)
        assert board[0].call(PE_MASK) == 1
        assert board[0].call(PE_MASK) == 0
        return board

    def test_a_critical_event_still_comes(self) -> None:
        board = self.masked_in_normal()
        board.raise_event(CRITICAL)
        assert board.enter() == [0]
        board.complete()
        board.raise_event(CRITICAL)
        assert board.enter() == [0]

    def test_after_completion_nothing_comes(self) -> None:
        board = self.masked_in_normal()
        board.complete()
        assert board[0].sdei.masked
        board.raise_event(CRITICAL)
        board.raise_event(0)
        assert board.enter() == []
        assert board[0].call(PE_MASK) == 0
        assert board[0].call(PE_UNMASK) == SUCCESS
        assert board.enter() == [0]
        assert board.stack() == [CRITICAL]

    def test_what_waited_stays_behind(self) -> None:
        board = self.masked_in_normal()
        board.raise_event(0)
        board.complete()
        assert board.enter() == []
        assert board[0].pending() == {0}

    def test_unmask_takes_it_back(self) -> None:
        board = self.masked_in_normal()
        assert board[0].call(PE_UNMASK) == SUCCESS
        board.complete()
        assert not board[0].sdei.masked
        board.raise_event(0)
        assert board.enter() == [0]

    def test_in_the_inner_handler(self) -> None:
        board = Board(pes=1).bring("E", PPI_CRITICAL).start(NORMAL).start(CRITICAL)
        assert board[0].call(PE_MASK) == 1
        board.raise_event(PPI_CRITICAL)
        board.complete()
        assert board[0].sdei.masked
        assert board.enter() == []
        assert board.stack() == [NORMAL]
        board.complete()
        assert board[0].sdei.masked

    def test_at_once(self) -> None:
        board = self.masked_in_normal(mask_waits_for_completion=False)
        assert board[0].sdei.masked
        board.raise_event(CRITICAL)
        assert board.enter() == []
        board[0].call(PE_UNMASK)
        assert board.enter() == [0]

    def test_the_handler_goes_on(self) -> None:
        for knob in (True, False):
            board = self.masked_in_normal(mask_waits_for_completion=knob)
            assert board.stack() == [NORMAL]
            board.complete()
            assert (board[0].vcpu.pc, board[0].vcpu.pstate) == (PC, PSTATE)

    def test_the_trace_says_when_it_took_effect(self) -> None:
        board = self.masked_in_normal()
        board[0].moments()
        board[0].call(COMPLETE, 0)
        assert board[0].moments()[-1] == "MaskChanged(True,)"
