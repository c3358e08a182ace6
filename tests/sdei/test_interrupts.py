"""Interrupts behind events: binding, slots, who owns the interrupt when, levels and edges."""

import pytest

from sdeiviz.abi.sdei import Result
from tests.sdei.board import (
    INTID,
    NORMAL,
    OUT_OF_RESOURCE,
    PPI_NORMAL,
    SPI_CRITICAL,
    SPI_NORMAL,
    Board,
)
from tests.sdei.vcpu import (
    COMPLETE,
    DENIED,
    DISABLE,
    ENABLE,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    PE_UNMASK,
    PRIVATE_RESET,
    REGISTER,
    SHARED_RESET,
    STATUS,
    SUCCESS,
    UNREGISTER,
    Guest,
)

PRIVATE_SLOTS, SHARED_SLOTS = (0x4000_0000, 0x4000_0001), (0x4000_1000, 0x4000_1001)


class TestBind:
    @pytest.mark.parametrize("intid", [0, 15, 64, 1019, 1020, 1023, 1024, 4096, 0xFFFF_FFFF])
    def test_what_is_no_interrupt_here(self, intid: int) -> None:
        assert Board()[0].call(INTERRUPT_BIND, intid) == INVALID

    @pytest.mark.parametrize(("intid", "event"), [(16, 0x4000_0000), (31, 0x4000_0000)])
    def test_a_ppi_makes_a_private_event(self, intid: int, event: int) -> None:
        board = Board()
        assert board[1].call(INTERRUPT_BIND, intid) == event
        for pe in board.pes:
            assert pe.call(GET_INFO, event, 0) == 0
            assert pe.call(STATUS, event) == 0

    @pytest.mark.parametrize(("intid", "event"), [(32, 0x4000_1000), (63, 0x4000_1000)])
    def test_an_spi_makes_a_shared_event(self, intid: int, event: int) -> None:
        board = Board()
        assert board[1].call(INTERRUPT_BIND, intid) == event
        for pe in board.pes:
            assert pe.call(GET_INFO, event, 0) == 1

    @pytest.mark.parametrize("intid", [20, 40, 63])
    def test_a_bound_event_is_normal_and_cannot_be_signalled(self, intid: int) -> None:
        guest = Board(platform_events=())[0]
        event = guest.call(INTERRUPT_BIND, intid)
        assert guest.call(GET_INFO, event, 1) == 1
        assert guest.call(GET_INFO, event, 2) == 0

    @pytest.mark.parametrize("intid", [22, 23, 40, 41])
    def test_the_platforms_own(self, intid: int) -> None:
        assert Board()[0].call(INTERRUPT_BIND, intid) == INVALID

    @pytest.mark.parametrize("intid", [30, 60])
    def test_not_the_clients(self, intid: int) -> None:
        assert Board()[0].call(INTERRUPT_BIND, intid) == INVALID
        assert Board(bind_secure_intr_error=Result.DENIED)[0].call(INTERRUPT_BIND, intid) == -3

    def test_slots_of_each_type_are_counted(self) -> None:
        guest = Board()[0]
        assert [guest.call(INTERRUPT_BIND, n) for n in (16, 17)] == list(PRIVATE_SLOTS)
        assert guest.call(INTERRUPT_BIND, 18) == OUT_OF_RESOURCE
        assert [guest.call(INTERRUPT_BIND, n) for n in (50, 51)] == list(SHARED_SLOTS)
        assert guest.call(INTERRUPT_BIND, 52) == OUT_OF_RESOURCE

    def test_errors_come_before_resources(self) -> None:
        board = Board(private_bind_slots=0)
        assert board[0].call(INTERRUPT_BIND, 5) == INVALID
        assert board[0].call(INTERRUPT_BIND, 30) == INVALID
        board.gic.line(20, 1).active = True
        assert board[0].call(INTERRUPT_BIND, 20) == DENIED
        assert board[0].call(INTERRUPT_BIND, 21) == OUT_OF_RESOURCE

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    @pytest.mark.parametrize("intid", [25, 50])
    def test_again_gives_the_same_event(self, intid: int, state: str) -> None:
        """On every PE, also from its own handler, where the interrupt is active."""
        board = Board()
        event = board[0].call(INTERRUPT_BIND, intid)
        board.bring(state, event)
        for pe in board.pes:
            assert pe.call(INTERRUPT_BIND, intid) == event

    @pytest.mark.parametrize("pe", [0, 1])
    def test_an_active_one_is_refused(self, pe: int) -> None:
        board = Board()
        board.gic.line(25, pe).active = True
        board.gic.line(50, None).active = True
        assert board[0].call(INTERRUPT_BIND, 25) == DENIED
        assert board[0].call(INTERRUPT_BIND, 50) == DENIED

    def test_a_pending_one_is_not(self) -> None:
        board = Board()
        board.gic.pulse(50)
        assert board[0].call(INTERRUPT_BIND, 50) == 0x4000_1000

    def test_binding_changes_nothing_at_the_interrupt_controller(self) -> None:
        board = Board()
        board[0].call(INTERRUPT_BIND, 50)
        assert not board.gic.line(50, None).owned

    def test_without_an_interrupt_controller(self) -> None:
        guest = Guest("den0054c")
        assert guest.call(INTERRUPT_BIND, 25) == INVALID
        assert guest.call(FEATURES, 0) == 0x0002_0002
        guest.bring("E", PPI_NORMAL)
        guest.call(UNREGISTER, PPI_NORMAL)

    def test_the_trace(self) -> None:
        guest = Board()[0]
        event = guest.call(INTERRUPT_BIND, 50)
        guest.call(INTERRUPT_BIND, 50)
        guest.call(INTERRUPT_RELEASE, event)
        assert guest.moments() == [
            "InterruptBound(50, 1073745920)",
            "InterruptReleased(50, 1073745920)",
        ]


class TestRelease:
    @pytest.mark.parametrize("event", [0, NORMAL, PPI_NORMAL, SPI_NORMAL, 0x4000_0000, 99])
    def test_what_is_not_bound(self, event: int) -> None:
        assert Board()[0].call(INTERRUPT_RELEASE, event) == INVALID

    @pytest.mark.parametrize("intid", [25, 50])
    def test_once(self, intid: int) -> None:
        board = Board()
        event = board[0].call(INTERRUPT_BIND, intid)
        assert board[1].call(INTERRUPT_RELEASE, event) == SUCCESS
        assert board[0].call(INTERRUPT_RELEASE, event) == INVALID
        for call in [(STATUS,), (ENABLE,), (UNREGISTER,), (GET_INFO, 0), (REGISTER, 4, 0, 0, 0)]:
            function, *arguments = call
            assert board[0].call(function, event, *arguments) == INVALID

    def test_a_private_one_registered_on_another_pe(self) -> None:
        board = Board()
        event = board[0].call(INTERRUPT_BIND, 25)
        board.bring("R", event, 2)
        assert board[0].call(INTERRUPT_RELEASE, event) == DENIED
        assert board[2].call(UNREGISTER, event) == SUCCESS
        assert board[0].call(INTERRUPT_RELEASE, event) == SUCCESS

    def test_the_slot_is_free_again(self) -> None:
        guest = Board()[0]
        for intid in (16, 17):
            guest.call(INTERRUPT_BIND, intid)
        assert guest.call(INTERRUPT_RELEASE, 0x4000_0000) == SUCCESS
        assert guest.call(INTERRUPT_BIND, 18) == 0x4000_0000
        assert guest.call(INTERRUPT_BIND, 17) == 0x4000_0001
        assert guest.call(INTERRUPT_BIND, 16) == OUT_OF_RESOURCE

    def test_bound_again_it_is_new(self) -> None:
        board = Board().unmask()
        event = board[0].call(INTERRUPT_BIND, 50)
        board.bring("E", event)
        board[0].call(UNREGISTER, event)
        board[0].call(INTERRUPT_RELEASE, event)
        assert board[0].call(INTERRUPT_BIND, 51) == event
        handler = board[0].sdei.handlers[event]
        assert (handler.state, handler.interrupt, handler.entry) == (0, 51, 0)
        assert board[1].sdei.handlers[event] is handler


class TestOwner:
    """The dispatcher owns an interrupt while its event is registered."""

    @pytest.mark.parametrize("event", [PPI_NORMAL, SPI_NORMAL, 0x4000_0000, 0x4000_1000], ids=hex)
    @pytest.mark.parametrize("state", ["R", "E", "ER", "RR", "UP"])
    def test_from_register_to_unregistered(self, event: int, state: str) -> None:
        board = Board()
        intid = INTID[event]
        board[0].call(INTERRUPT_BIND, intid)
        line = board.gic.line(intid, None if intid >= 32 else 0)
        assert not line.owned
        board.bring(state, event)
        assert line.owned
        assert line.active == (state in ("ER", "RR", "UP"))
        board[0].call(UNREGISTER, event)
        if line.active:
            assert line.owned
            board.complete()
        assert not line.owned
        assert not line.active

    def test_private_for_each_pe(self) -> None:
        board = Board()
        board.register(PPI_NORMAL, 1)
        assert [board.gic.line(22, n).owned for n in range(3)] == [False, True, False]

    @pytest.mark.parametrize("call", [PRIVATE_RESET, UNREGISTER])
    def test_given_back_without_a_pending_trigger(self, call: int) -> None:
        board = Board().bring("R", PPI_NORMAL)
        board.gic.pulse(22, 0)
        assert board[0].pending() == {PPI_NORMAL}
        assert board[0].call(call, PPI_NORMAL) == SUCCESS
        line = board.gic.line(22, 0)
        assert not line.owned
        assert not line.pending
        assert board[0].pending() == set()

    def test_refused_registration_takes_nothing(self) -> None:
        board = Board()
        assert board[0].call(REGISTER, SPI_NORMAL, 1, 0, 0, 0) == INVALID
        assert not board.gic.line(40, None).owned


class TestTrigger:
    def test_it_pends_while_registered_and_fires_at_enable(self) -> None:
        board = Board().unmask().bring("R", SPI_NORMAL)
        board.gic.pulse(40)
        board.gic.pulse(40)
        assert board.enter() == []
        board[0].call(ENABLE, SPI_NORMAL)
        assert board.enter() == [0]
        assert board.gic.line(40, None).active

    def test_private_on_the_pe_that_has_it(self) -> None:
        board = Board().unmask()
        for n in range(3):
            board.bring("E", PPI_NORMAL, n)
        board.gic.pulse(22, 2)
        assert board.enter() == [2]

    def test_before_registration_it_is_forgotten(self) -> None:
        board = Board().unmask()
        board.gic.pulse(40)
        board.bring("E", SPI_NORMAL)
        assert board.enter() == []

    def test_or_kept_by_knob(self) -> None:
        board = Board(register_clears_pending=False).unmask()
        board.gic.pulse(40)
        board.bring("E", SPI_NORMAL)
        assert board.enter() == [0]

    @pytest.mark.parametrize("knob", [True, False])
    def test_a_level_that_is_high_at_registration_counts(self, knob: bool) -> None:
        board = Board(register_clears_pending=knob).unmask()
        board.gic.set_level(40, None, True)
        board.bring("E", SPI_NORMAL)
        assert board.enter() == [0]

    @pytest.mark.parametrize("knob", [True, False])
    def test_a_signal_from_before_registration_stays_either_way(self, knob: bool) -> None:
        board = Board(register_clears_pending=knob).unmask()
        board[0].call(0xC400_002F, 0, 0)
        board.bring("E", 0)
        assert board.enter() == [0]

    def test_edges_coalesce(self) -> None:
        board = Board().unmask().bring("E", SPI_NORMAL)
        for _ in range(3):
            board.gic.pulse(40)
        assert board.enter() == [0]
        board.complete()
        assert board.enter() == []

    def test_an_edge_while_its_handler_runs(self) -> None:
        board = Board().start(SPI_NORMAL)
        board.gic.pulse(40)
        assert board.enter() == []
        board.complete()
        assert board.enter() == [0]

    def test_a_level_still_high_at_completion_fires_again(self) -> None:
        board = Board(pes=1).unmask().bring("E", SPI_NORMAL)
        board.gic.set_level(40, None, True)
        for _ in range(3):
            assert board.enter() == [0]
            board.complete()
        assert board.enter() == [0]
        board.gic.set_level(40, None, False)
        board.complete()
        assert board.enter() == []

    def test_a_level_lowered_before_delivery_is_dropped(self) -> None:
        board = Board(pes=1).bring("E", SPI_NORMAL).bring("E", NORMAL)
        board.gic.set_level(40, None, True)
        board.raise_event(NORMAL)
        board.gic.set_level(40, None, False)
        board[0].call(PE_UNMASK)
        assert board.enter() == [0]
        assert board.stack() == [NORMAL]
        board.complete()
        assert board.enter() == []
        assert board[0].pending() == set()

    def test_a_level_at_unregistration_in_the_handler(self) -> None:
        board = Board().unmask().bring("E", SPI_NORMAL)
        board.gic.set_level(40, None, True)
        board.enter()
        board[0].call(UNREGISTER, SPI_NORMAL)
        board.complete()
        assert board.enter() == []
        assert not board.gic.line(40, None).owned

    def test_what_the_dispatcher_does_not_own_is_none_of_its_business(self) -> None:
        board = Board().unmask().bring("UP", SPI_CRITICAL)
        for intid, pe in ((40, None), (41, None), (22, 1), (50, None), (20, 2)):
            board.dispatcher.interrupt_pending(intid, pe)
        assert board.enter() == []
        assert board[0].pending() == set()

    def test_the_host_raises_only_what_has_no_interrupt(self) -> None:
        board = Board().bring("E", SPI_NORMAL).bring("E", PPI_NORMAL)
        assert board[0].inject(SPI_NORMAL) == -22
        assert board[0].inject(PPI_NORMAL, immediate=True) == -22
        board.gic.pulse(40)
        assert board[0].cancel(SPI_NORMAL) == 0
        assert not board.gic.line(40, None).pending

    def test_a_disabled_event_keeps_its_trigger(self) -> None:
        board = Board().unmask().bring("E", PPI_NORMAL)
        board[0].call(DISABLE, PPI_NORMAL)
        board.gic.pulse(22, 0)
        assert board.enter() == []
        assert board[0].call(ENABLE, PPI_NORMAL) == SUCCESS
        assert board.enter() == [0]

    def test_who_raised_it(self) -> None:
        board = Board().bring("R", SPI_NORMAL).bring("R", NORMAL)
        board[0].moments()
        board.gic.pulse(40)
        board.gic.pulse(40)
        board.dispatcher.inject_event(board[0].vcpu, NORMAL, source="platform")
        assert board[0].moments() == [
            f"EventRaised({SPI_NORMAL}, 'interrupt', False)",
            f"EventRaised({NORMAL}, 'platform', False)",
        ]


class TestSharedReset:
    def test_releases_all_bindings(self) -> None:
        board = Board()
        private, shared = (board[0].call(INTERRUPT_BIND, n) for n in (25, 50))
        board.bring("E", shared)
        assert board[1].call(SHARED_RESET) == SUCCESS
        for event in (private, shared):
            assert board[0].call(STATUS, event) == INVALID
        assert board.dispatcher.vm.bindings == {}
        assert not board.gic.line(50, None).owned

    def test_nothing_is_released_while_a_shared_handler_runs(self) -> None:
        board = Board()
        private, shared = (board[0].call(INTERRUPT_BIND, n) for n in (25, 50))
        board.start(shared)
        assert board[0].call(SHARED_RESET) == DENIED
        assert [board[0].call(STATUS, event) for event in (private, shared)] == [0, 4]
        board[0].call(COMPLETE, 0)
        assert board[0].call(SHARED_RESET) == SUCCESS
        assert [board[0].call(STATUS, event) for event in (private, shared)] == [-2, -2]

    def test_a_private_bound_event_still_registered_somewhere(self) -> None:
        board = Board()
        private, shared = (board[0].call(INTERRUPT_BIND, n) for n in (25, 50))
        board.bring("R", private, 2).bring("E", shared)
        assert board[0].call(SHARED_RESET) == DENIED
        assert board[0].call(STATUS, private) == 0  # on this PE; still bound
        assert board[0].call(STATUS, shared) == INVALID  # the others are released
        board[2].call(PRIVATE_RESET)
        assert board[0].call(SHARED_RESET) == SUCCESS
        assert board[0].call(STATUS, private) == INVALID
