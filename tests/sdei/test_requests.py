"""Who asks for a delivery: each place, with each of its conditions met and missed."""

import pytest

from tests.sdei.vcpu import (
    COMPLETE,
    DISABLE,
    ENABLE,
    PE_MASK,
    PE_UNMASK,
    PRIVATE_RESET,
    REGISTER,
    RESUME,
    SHARED_RESET,
    SIGNAL,
    STATUS,
    UNREGISTER,
    Guest,
)


def set_up(guest: Guest, state: str, *, masked: bool, pending: tuple[int, ...] = ()) -> Guest:
    """Event 0 in a state, event 1 registered, and no request outstanding."""
    guest.bring(state, 0).bring("R", 1)
    for event in pending:
        assert guest.inject(event) == 0
    guest.call(PE_MASK if masked else PE_UNMASK)
    guest.sdei.requested = False
    return guest


class TestEnable:
    def test_unmasked_and_this_event_pending(self, guest: Guest) -> None:
        set_up(guest, "R", masked=False, pending=(0,)).call(ENABLE, 0)
        assert guest.sdei.requested

    def test_already_enabled_too(self, guest: Guest) -> None:
        set_up(guest, "E", masked=False, pending=(0,)).call(ENABLE, 0)
        assert guest.sdei.requested

    def test_while_running_too(self, guest: Guest) -> None:
        set_up(guest, "RR", masked=False, pending=(0,)).call(ENABLE, 0)
        assert guest.sdei.requested

    def test_masked(self, guest: Guest) -> None:
        set_up(guest, "R", masked=True, pending=(0,)).call(ENABLE, 0)
        assert not guest.sdei.requested

    def test_not_pending(self, guest: Guest) -> None:
        set_up(guest, "R", masked=False).call(ENABLE, 0)
        assert not guest.sdei.requested

    def test_only_another_event_pending(self, guest: Guest) -> None:
        set_up(guest, "R", masked=False, pending=(1,)).call(ENABLE, 0)
        assert not guest.sdei.requested

    def test_refused(self, literal: Guest) -> None:
        set_up(literal, "R", masked=False, pending=(0,)).call(UNREGISTER, 0)
        assert literal.pending() == {0}
        literal.call(ENABLE, 0)
        assert not literal.sdei.requested


class TestUnmask:
    @pytest.mark.parametrize("state", ["R", "E"])
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("pending", [(0,), (1,), (0, 1)])
    def test_any_pending_enabled_or_not(
        self, guest: Guest, state: str, masked: bool, pending: tuple[int, ...]
    ) -> None:
        set_up(guest, state, masked=masked, pending=pending).call(PE_UNMASK)
        assert guest.sdei.requested

    def test_nothing_pending(self, guest: Guest) -> None:
        set_up(guest, "E", masked=True).call(PE_UNMASK)
        assert not guest.sdei.requested


class TestSignal:
    @pytest.mark.parametrize("state", ["E", "ER"])
    def test_newly_pending_unmasked_enabled(self, guest: Guest, state: str) -> None:
        set_up(guest, state, masked=False).call(SIGNAL, 0, 0)
        assert guest.sdei.requested

    def test_another_event_pending_does_not_matter(self, guest: Guest) -> None:
        set_up(guest, "E", masked=False, pending=(1,)).call(SIGNAL, 0, 0)
        assert guest.sdei.requested

    def test_already_pending(self, guest: Guest) -> None:
        set_up(guest, "E", masked=False, pending=(0,)).call(SIGNAL, 0, 0)
        assert not guest.sdei.requested

    def test_masked(self, guest: Guest) -> None:
        set_up(guest, "E", masked=True).call(SIGNAL, 0, 0)
        assert not guest.sdei.requested

    @pytest.mark.parametrize("state", ["R", "RR"])
    def test_disabled(self, guest: Guest, state: str) -> None:
        set_up(guest, state, masked=False).call(SIGNAL, 0, 0)
        assert not guest.sdei.requested
        assert guest.pending() == {0}


class TestInject:
    @pytest.mark.parametrize("state", ["E", "ER"])
    @pytest.mark.parametrize("pending", [(), (0,)])
    def test_unmasked_enabled_even_if_pending(
        self, guest: Guest, state: str, pending: tuple[int, ...]
    ) -> None:
        assert set_up(guest, state, masked=False, pending=pending).inject(0) == 0
        assert guest.sdei.requested

    def test_masked(self, guest: Guest) -> None:
        assert set_up(guest, "E", masked=True).inject(0) == 0
        assert not guest.sdei.requested

    @pytest.mark.parametrize("state", ["R", "RR"])
    def test_disabled(self, guest: Guest, state: str) -> None:
        assert set_up(guest, state, masked=False).inject(0) == 0
        assert not guest.sdei.requested
        assert guest.pending() == {0}

    def test_immediate(self, guest: Guest) -> None:
        assert set_up(guest, "E", masked=False).inject(0, immediate=True) == 0
        assert guest.sdei.requested


class TestComplete:
    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    def test_pending_meanwhile(self, v7: Guest, function: int) -> None:
        set_up(v7, "ER", masked=False, pending=(0,)).call(function, 0)
        assert v7.sdei.requested

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    def test_nothing_pending(self, v7: Guest, function: int) -> None:
        set_up(v7, "ER", masked=False).call(function, 0)
        assert not v7.sdei.requested

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    def test_never_to_the_letter(self, literal: Guest, function: int) -> None:
        set_up(literal, "ER", masked=False, pending=(0,)).call(function, 0)
        assert not literal.sdei.requested

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    def test_outside_a_handler(self, guest: Guest, function: int) -> None:
        set_up(guest, "E", masked=False, pending=(0,)).call(function, 0)
        assert not guest.sdei.requested


def test_calls_that_neither_ask_nor_withdraw(guest: Guest) -> None:
    calls = [(STATUS, 0), (DISABLE, 0), (PE_MASK,), (SHARED_RESET,), (UNREGISTER, 0)]
    calls += [(REGISTER, 0, 1, 2, 0), (PRIVATE_RESET,)]
    for asked in (False, True):
        for call in calls:
            fresh = set_up(Guest(guest.profile), "E", masked=False, pending=(0,))
            fresh.sdei.requested = asked
            fresh.call(*call)
            assert fresh.sdei.requested is asked, hex(call[0])


def test_cancel_does_not_withdraw_the_request(guest: Guest) -> None:
    set_up(guest, "E", masked=False)
    guest.inject(0)
    assert guest.cancel(0) == 0
    assert guest.sdei.requested
    assert not guest.enter()
    assert not guest.sdei.requested


class TestConsumed:
    """Delivery answers the request whether or not it delivers."""

    def test_delivered(self, guest: Guest) -> None:
        set_up(guest, "E", masked=False, pending=(0,))
        guest.sdei.requested = True
        assert guest.enter()
        assert not guest.sdei.requested

    def test_masked(self, guest: Guest) -> None:
        set_up(guest, "E", masked=True, pending=(0,))
        guest.sdei.requested = True
        assert not guest.enter()
        assert not guest.sdei.requested
        assert guest.pending() == {0}

    def test_running(self, guest: Guest) -> None:
        set_up(guest, "ER", masked=False, pending=(0, 1))
        guest.sdei.requested = True
        assert not guest.enter()
        assert not guest.sdei.requested
        assert guest.pending() == {0, 1}

    def test_none_enabled(self, v7: Guest) -> None:
        set_up(v7, "R", masked=False, pending=(0, 1))
        v7.sdei.requested = True
        assert not v7.enter()
        assert not v7.sdei.requested
        assert v7.pending() == {0, 1}
