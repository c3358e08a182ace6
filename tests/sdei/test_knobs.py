"""Every documented difference of the series in both positions."""

import pytest

from sdeiviz.sdei import PROFILES
from sdeiviz.sdei.delivery import HostHang
from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    CONTEXT,
    DENIED,
    DISABLE,
    ENABLE,
    FEATURES,
    GET_INFO,
    INVALID,
    PC,
    PE_UNMASK,
    PENDING,
    PRIVATE_RESET,
    PSTATE,
    REGISTER,
    RESUME,
    SIGNAL,
    STATUS,
    SUCCESS,
    UNREGISTER,
    VERSION,
    FakeVcpu,
    Guest,
)


def test_which_differences_each_profile_has() -> None:
    mended = {
        "skip_disabled_events": True,  # D1
        "request_after_complete": True,  # D2
        "unsigned_event_number": True,  # D3
        "unregister_clears_pending": True,  # D4
        "signal_resolves_target": False,  # D7
        "kick_on_raise": True,  # D8
        "keep_x4_to_x17": False,  # D9
        "full_width_arguments": False,  # D10
        "signaled_per_event": False,  # D10
        "reset_clears_state": True,  # D11
    }
    for name, switches in (("kvm-v7", mended), ("kvm-v7-literal", dict.fromkeys(mended, False))):
        profile = PROFILES[name]
        assert profile.name == name
        assert (profile.version, profile.vendor) == (0x0001_0001, 0x564B_CAA9)
        assert {switch: getattr(profile, switch) for switch in switches} == switches


class TestD1:
    """Delivery never looks past a pending event that is disabled."""

    def pending_disabled(self, guest: Guest, state: str, event: int, other: str) -> Guest:
        """One event registered or unregistered but pending, the other in a state and pending."""
        guest.bring("R", event).bring(other, 1 - event)
        guest.inject(0)
        guest.inject(1)
        if state == "U":
            guest.call(UNREGISTER, event)
            guest.sdei.handlers[event].pending = True
        guest.call(PE_UNMASK)
        return guest

    def test_register_signal_unmask_hangs_the_host(self, literal: Guest) -> None:
        """The sequence that needs nothing but a forgotten ENABLE."""
        literal.call(REGISTER, 0, 0x1000, 0, 0)
        literal.call(SIGNAL, 0, 0)
        literal.call(PE_UNMASK)
        before = literal.sdei.save() | {"requested": False}
        literal.moments()
        with pytest.raises(HostHang, match="D1"):
            literal.enter()
        (moment,) = literal.moments()
        assert moment.startswith("Defect('D1', ")
        assert "event 0 is pending but not enabled" in moment
        assert literal.sdei.save() == before

    @pytest.mark.parametrize("state", ["U", "R"])
    def test_event_0_stands_in_the_way_of_event_1(self, literal: Guest, state: str) -> None:
        self.pending_disabled(literal, state, 0, "E")
        with pytest.raises(HostHang, match="event 0"):
            literal.enter()

    @pytest.mark.parametrize("state", ["U", "R"])
    def test_event_1_does_not_stand_in_the_way_of_event_0(self, literal: Guest, state: str) -> None:
        self.pending_disabled(literal, state, 1, "E")
        assert literal.enter()
        assert literal.vcpu.x[0] == 0
        literal.call(COMPLETE, 0)
        literal.call(PE_UNMASK)
        with pytest.raises(HostHang, match="event 1"):
            literal.enter()

    def test_mended(self, v7: Guest) -> None:
        self.pending_disabled(v7, "R", 0, "E")
        assert v7.enter()
        assert v7.vcpu.x[0] == 1
        assert v7.pending() == {0}

    def test_mended_with_nothing_to_deliver(self, v7: Guest) -> None:
        self.pending_disabled(v7, "R", 0, "R")
        assert not v7.enter()
        assert v7.pending() == {0, 1}

    @pytest.mark.parametrize("why", ["masked", "running"])
    def test_not_reached_while_masked_or_running(self, literal: Guest, why: str) -> None:
        if why == "running":
            literal.bring("ER", 1)
        literal.bring("R", 0).inject(0)
        literal.sdei.requested = True
        assert not literal.enter()


class TestD2:
    """An event raised while a handler runs, and nothing that asks for it afterwards."""

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    def test_lost_until_another_trigger(self, literal: Guest, function: int) -> None:
        literal.bring("ER")
        literal.call(SIGNAL, 0, 0)
        assert not literal.enter()
        literal.call(function, 0)
        assert not literal.enter()
        literal.call(SIGNAL, 0, 0)  # the bit is set already: no trigger
        assert not literal.enter()
        assert literal.pending() == {0}
        literal.call(ENABLE, 0)
        assert literal.enter()

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    @pytest.mark.parametrize("event", [0, 1])
    def test_mended(self, v7: Guest, function: int, event: int) -> None:
        v7.bring("ER", 0).bring("E" if event else "U", 1)
        v7.inject(event)
        assert not v7.enter()
        v7.call(function, 0x4008_0280)
        pc = v7.vcpu.pc
        assert v7.enter()
        assert v7.vcpu.x[0] == event
        assert v7.vcpu.x[2] == pc


class TestD3:
    """A number from 0x80000000 up is negative in ENABLE and DISABLE."""

    @pytest.mark.parametrize("function", [ENABLE, DISABLE])
    @pytest.mark.parametrize("number", [0x8000_0000, 0xFFFF_FFFF, 0xABCD_0000_8000_0001])
    @pytest.mark.parametrize("state", ["U", "E"])
    def test_out_of_bounds(self, literal: Guest, function: int, number: int, state: str) -> None:
        literal.bring(state)
        before = literal.sdei.save()
        literal.moments()
        with pytest.raises(HostHang, match="D3"):
            literal.call(function, number)
        (moment,) = literal.moments()
        assert moment.startswith(f"Defect('D3', 'event {number & 0xFFFF_FFFF:#x} is negative")
        assert literal.sdei.save() == before

    @pytest.mark.parametrize("function", [ENABLE, DISABLE])
    def test_only_the_low_32_bits_count(self, literal: Guest, function: int) -> None:
        literal.bring("E")
        assert literal.call(function, 0x8000_0000_0000_0000) == SUCCESS
        assert literal.call(function, 0x7FFF_FFFF) == INVALID

    @pytest.mark.parametrize("function", [STATUS, UNREGISTER, GET_INFO, SIGNAL])
    def test_the_other_calls_compare_unsigned(self, literal: Guest, function: int) -> None:
        assert literal.call(function, 0x8000_0000) == INVALID

    @pytest.mark.parametrize("function", [ENABLE, DISABLE])
    def test_mended(self, v7: Guest, function: int) -> None:
        v7.bring("E")
        assert v7.call(function, 0x8000_0000) == INVALID
        assert v7.call(STATUS, 0) == 3

    def test_the_bit_it_reaches_for(self, literal: Guest) -> None:
        with pytest.raises(HostHang, match=r"bit -2 of a bitmap"):
            literal.call(ENABLE, 0xFFFF_FFFE)


class TestD4:
    """Whether a pending event survives UNREGISTER and PRIVATE_RESET."""

    @pytest.mark.parametrize("call", [(UNREGISTER, 0), (PRIVATE_RESET,)])
    def test_a_stale_event_fires(self, literal: Guest, call: tuple[int, ...]) -> None:
        literal.bring("E")
        literal.inject(0)
        literal.call(*call)
        assert literal.pending() == {0}
        literal.bring("E")
        literal.call(PE_UNMASK)
        assert literal.enter()

    @pytest.mark.parametrize("call", [(UNREGISTER, 0), (PRIVATE_RESET,)])
    @pytest.mark.parametrize("state", ["R", "E", "ER", "RR"])
    def test_mended(self, v7: Guest, call: tuple[int, ...], state: str) -> None:
        v7.bring(state)
        v7.inject(0)
        v7.call(*call)
        assert v7.pending() == set()

    def test_unregister_drops_only_its_own_event(self, v7: Guest) -> None:
        v7.bring("E", 0).bring("E", 1)
        v7.inject(0)
        v7.inject(1)
        v7.call(UNREGISTER, 0)
        assert v7.pending() == {1}

    def test_private_reset_drops_all(self, v7: Guest) -> None:
        v7.bring("E", 0).bring("E", 1)
        v7.inject(0)
        v7.inject(1)
        v7.call(PRIVATE_RESET)
        assert v7.pending() == set()


class TestD7:
    """Whether EVENT_SIGNAL looks at the target."""

    def pair(self, mpidr: int = 1, **knobs: bool) -> tuple[Guest, Guest]:
        """Two vCPUs of one machine."""
        first = Guest(**knobs)
        return first, first.another(mpidr)

    @pytest.mark.parametrize("target", [0, 1, 2, 0xFFFF_FFFF_FFFF_FFFF])
    def test_the_caller_whatever_the_target(self, target: int) -> None:
        first, second = self.pair()
        first.bring("E")
        second.bring("E")
        assert first.call(SIGNAL, 0, target) == SUCCESS
        assert first.pending() == {0}
        assert second.pending() == set()

    @pytest.mark.parametrize("target", [1, 0xFF_00FF_FF01])
    def test_resolved(self, target: int) -> None:
        first, second = self.pair(target, signal_resolves_target=True)
        second.bring("E")
        second.call(PE_UNMASK)
        assert first.call(SIGNAL, 0, target) == SUCCESS
        assert (first.pending(), second.pending()) == (set(), {0})
        assert (first.sdei.requested, second.sdei.requested) == (False, True)
        assert second.vcpu.x[3] == 0  # PE_UNMASK's; the signal answers the caller only
        assert first.vcpu.x[0] == 0
        assert second.enter()

    def test_resolved_to_the_caller(self) -> None:
        first, second = self.pair(signal_resolves_target=True)
        first.bring("E")
        second.bring("E")
        assert first.call(SIGNAL, 0, 0) == SUCCESS
        assert (first.pending(), second.pending()) == ({0}, set())

    def test_the_state_of_the_target_counts(self) -> None:
        first, second = self.pair(signal_resolves_target=True)
        first.bring("E")
        first.call(PE_UNMASK)
        assert first.call(SIGNAL, 0, 1) == INVALID
        second.bring("E")
        assert first.call(SIGNAL, 0, 1) == SUCCESS
        assert not second.sdei.requested  # masked there, though not here
        assert not first.sdei.requested

    def test_unknown_target(self) -> None:
        first, _ = self.pair(signal_resolves_target=True)
        first.bring("E")
        assert first.call(SIGNAL, 0, 2) == INVALID
        assert first.call(SIGNAL, 0, 1 << 32) == INVALID
        assert first.call(SIGNAL, 1, 0) == INVALID
        assert first.pending() == set()


def test_d8_changes_nothing_here() -> None:
    """The kick is the machine's: with either position the dispatcher only asks for delivery."""
    for kick in (True, False):
        guest = Guest(kick_on_raise=kick).bring("E")
        guest.call(PE_UNMASK)
        assert guest.inject(0) == 0
        assert guest.sdei.requested
        assert guest.profile.kick_on_raise is kick


class TestD9:
    """Whether the handler finds x4 to x17 as interrupted or zero."""

    def test_zero(self, guest: Guest) -> None:
        guest.bring("ER")
        assert list(guest.vcpu.x[4:18]) == [0] * 14

    def test_kept(self) -> None:
        guest = Guest("kvm-v7", keep_x4_to_x17=True).bring("ER")
        assert list(guest.vcpu.x[:4]) == [0, ARGUMENT, PC, PSTATE]
        assert guest.vcpu.x[4] == 0  # EVENT_REGISTER's flags
        assert list(guest.vcpu.x[5:]) == [0xF000_0000_0000_0000 + n for n in range(5, 31)]


class TestD10Width:
    """Whether event numbers and selectors use all 64 bits."""

    HIGH = 1 << 32

    def calls(self) -> list[tuple[int, ...]]:
        return [
            (REGISTER, self.HIGH, 1, 2, 0),
            (ENABLE, self.HIGH),
            (SIGNAL, self.HIGH, 0),
            (GET_INFO, self.HIGH, 0),
            (GET_INFO, 0, self.HIGH),
            (STATUS, self.HIGH),
            (DISABLE, self.HIGH),
            (UNREGISTER, self.HIGH),
            (FEATURES, self.HIGH),
            (FEATURES, self.HIGH | 1),
        ]

    def test_truncated(self, guest: Guest) -> None:
        assert [guest.call(*call) for call in self.calls()] == [0, 0, 0, 0, 0, 3, 0, 0, 0, 0]

    def test_all_64_bits(self) -> None:
        guest = Guest(full_width_arguments=True).bring("E")
        assert [guest.call(*call) for call in self.calls()] == [INVALID] * 10
        assert guest.call(STATUS, 0) == 3

    def test_context_index(self) -> None:
        assert Guest().bring("ER").call(CONTEXT, self.HIGH | 4) != INVALID
        assert Guest(full_width_arguments=True).bring("ER").call(CONTEXT, self.HIGH | 4) == INVALID


class TestD10Signaled:
    """What GET_INFO answers to "can it be signalled": in the specification 0 means yes."""

    def test_one_for_both(self, guest: Guest) -> None:
        assert [guest.call(GET_INFO, event, 1) for event in (0, 1)] == [1, 1]

    def test_per_event(self) -> None:
        guest = Guest(signaled_per_event=True)
        assert [guest.call(GET_INFO, event, 1) for event in (0, 1)] == [0, 1]


class TestD11:
    """What a reset of the vCPU leaves of its SDEI state."""

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    def test_nothing_touched(self, literal: Guest, state: str) -> None:
        literal.bring(state)
        literal.inject(0)
        literal.moments()
        before = literal.sdei.save()
        literal.dispatcher.reset_vcpu(literal.vcpu)
        assert literal.sdei.save() == before
        assert literal.moments() == []

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    def test_mended(self, v7: Guest, state: str) -> None:
        v7.bring(state, 1).bring("R", 0)
        v7.inject(0)
        v7.call(PE_UNMASK)
        v7.moments()
        v7.dispatcher.reset_vcpu(v7.vcpu)
        assert v7.sdei.save() == Guest().sdei.save()
        status = {"U": 0, "R": 1, "E": 3, "ER": 7, "RR": 5, "UP": 4}[state]
        moments = ["MaskChanged(True,)", "HandlerStateChanged(0, 'reset', 1, 0)"]
        moments.append("EventCancelled(0, True)")
        if status:
            moments.append(f"HandlerStateChanged(1, 'reset', {status}, 0)")
        assert v7.moments() == moments

    def test_the_vcpu_works_again(self, v7: Guest) -> None:
        v7.bring("ER")
        v7.dispatcher.reset_vcpu(v7.vcpu)
        assert v7.call(CONTEXT, 0) == DENIED
        v7.bring("ER")
        assert v7.call(STATUS, 0) == 7

    def test_only_that_vcpu(self, v7: Guest) -> None:
        other = FakeVcpu()
        v7.bring("E")
        v7.dispatcher.reset_vcpu(other)
        assert v7.call(STATUS, 0) == 3


def test_version_and_vendor_words() -> None:
    guest = Guest(version=0x0001_0000, vendor=0)
    assert guest.call(VERSION) == 0x0001_0000_0000_0000
    assert Guest(vendor=0xFFFF_FFFF).call(VERSION) == 0x0001_0001_FFFF_FFFF


def test_unregister_still_answers_pending_with_either_rule() -> None:
    for clears in (True, False):
        guest = Guest(unregister_clears_pending=clears).bring("ER")
        assert guest.call(UNREGISTER, 0) == PENDING
