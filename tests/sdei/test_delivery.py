"""Raising, delivering, completing: what moves, to which value, and what must not be touched."""

import pytest

from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    DISABLE,
    ELR,
    ENABLE,
    ENTRY,
    PC,
    PE_MASK,
    PE_UNMASK,
    PSTATE,
    REGISTER,
    RESUME,
    SIGNAL,
    SPSR,
    STATUS,
    UNREGISTER,
    Guest,
)

ENOENT, EBUSY = -2, -16

PSTATES = [
    # as interrupted -> in the handler
    (0x6000_03C5, 0x6000_03C5),
    (0x6040_00C5, 0x6040_03C5),
    (0x0000_0000, 0x0000_03C5),  # EL0t
    (0x8000_0004, 0x8000_03C5),  # EL1t
    (0x0000_0010, 0x0000_03C5),  # EL0, AArch32
    (0x0000_001F, 0x0000_03C5),
    (0xF000_0000, 0xF000_03C5),
    (0x0030_1C05, 0x0030_1FC5),  # SS, IL, SSBS and BTYPE come along
    (0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFE5),
]


def ready(guest: Guest, event: int = 0) -> Guest:
    """An event enabled on an unmasked PE."""
    guest.bring("E", event)
    guest.call(PE_UNMASK)
    return guest


# -- the host's half -------------------------------------------------------------------------------


class TestInject:
    @pytest.mark.parametrize("event", [2, 64, -1, 0x8000_0000, 1 << 32])
    @pytest.mark.parametrize("immediate", [False, True])
    def test_no_such_event(self, guest: Guest, event: int, immediate: bool) -> None:
        ready(guest)
        assert guest.inject(event, immediate=immediate) == ENOENT
        assert guest.pending() == set()

    @pytest.mark.parametrize("state", ["U", "UP"])
    def test_not_registered_before_busy(self, guest: Guest, state: str) -> None:
        """A PE that is masked, and one whose handler runs, would be busy; the event comes first."""
        guest.bring(state, 1)
        assert guest.inject(1, immediate=True) == ENOENT
        assert guest.inject(1) == ENOENT
        assert guest.pending() == set()

    @pytest.mark.parametrize("state", ["R", "E", "ER", "RR"])
    @pytest.mark.parametrize("mask", [PE_MASK, PE_UNMASK])
    def test_otherwise_it_becomes_pending(self, guest: Guest, state: str, mask: int) -> None:
        guest.bring(state, 1)
        guest.call(mask)
        assert guest.inject(1) == 0
        assert guest.inject(1) == 0
        assert guest.pending() == {1}

    def test_immediate(self, guest: Guest) -> None:
        ready(guest, 1)
        assert guest.inject(1, immediate=True) == 0
        assert guest.enter()

    def test_immediate_masked(self, guest: Guest) -> None:
        guest.bring("E")
        assert guest.inject(0, immediate=True) == EBUSY
        assert guest.pending() == set()

    def test_immediate_disabled(self, guest: Guest) -> None:
        ready(guest).call(DISABLE, 0)
        assert guest.inject(0, immediate=True) == EBUSY
        assert guest.pending() == set()

    @pytest.mark.parametrize("other", [0, 1])
    def test_immediate_any_event_pending(self, guest: Guest, other: int) -> None:
        ready(guest, 0).bring("R", 1)
        guest.inject(other)
        assert guest.inject(0, immediate=True) == EBUSY

    @pytest.mark.parametrize("state", ["ER", "RR", "UP"])
    def test_immediate_any_handler_running(self, guest: Guest, state: str) -> None:
        guest.bring(state, 1).bring("E", 0)
        assert guest.inject(0, immediate=True) == EBUSY
        assert guest.pending() == set()


class TestCancel:
    @pytest.mark.parametrize("event", [2, 64, -1, 0x8000_0000, 1 << 32])
    def test_no_such_event(self, guest: Guest, event: int) -> None:
        assert guest.cancel(event) == ENOENT

    @pytest.mark.parametrize("state", ["U", "UP"])
    def test_not_registered_before_running(self, guest: Guest, state: str) -> None:
        guest.bring(state)
        assert guest.cancel(0) == ENOENT

    @pytest.mark.parametrize("state", ["ER", "RR"])
    def test_running_even_if_a_second_one_is_pending(self, guest: Guest, state: str) -> None:
        guest.bring(state)
        assert guest.cancel(0) == EBUSY
        guest.inject(0)
        assert guest.cancel(0) == EBUSY
        assert guest.pending() == {0}

    @pytest.mark.parametrize("state", ["R", "E"])
    def test_pending_or_not(self, guest: Guest, state: str) -> None:
        guest.bring(state, 0).bring("R", 1)
        guest.inject(0)
        guest.inject(1)
        assert guest.cancel(0) == 0
        assert guest.pending() == {1}
        assert guest.cancel(0) == 0
        assert guest.call(STATUS, 0) == {"R": 1, "E": 3}[state]

    def test_while_another_handler_runs(self, guest: Guest) -> None:
        guest.bring("ER", 1).bring("E", 0)
        guest.inject(0)
        assert guest.cancel(0) == 0
        assert guest.pending() == set()


# -- when ------------------------------------------------------------------------------------------


def test_masking_after_the_raise_holds_it_back(guest: Guest) -> None:
    ready(guest).inject(0)
    guest.call(PE_MASK)
    assert not guest.enter()
    guest.call(PE_UNMASK)
    assert guest.enter()


def test_no_nesting(guest: Guest) -> None:
    guest.bring("ER", 1).bring("E", 0)
    guest.inject(0)
    guest.call(SIGNAL, 0, 0)
    assert not guest.enter()
    assert guest.call(STATUS, 0) == 3
    assert guest.pending() == {0}
    guest.call(COMPLETE, 0)
    guest.call(PE_UNMASK)
    assert guest.enter()
    assert guest.vcpu.x[0] == 0


def test_raised_again_while_running_is_one_more_delivery(v7: Guest) -> None:
    v7.bring("ER")
    for _ in range(3):
        assert v7.inject(0) == 0
    v7.call(COMPLETE, 0)
    assert v7.enter()
    assert v7.call(STATUS, 0) == 7
    v7.call(COMPLETE, 0)
    assert not v7.enter()
    assert v7.call(STATUS, 0) == 3


def test_unregistered_while_running_is_plainly_unregistered_afterwards(guest: Guest) -> None:
    guest.bring("UP")
    guest.call(COMPLETE, 0)
    assert guest.call(STATUS, 0) == 0
    assert guest.call(REGISTER, 0, ENTRY, ARGUMENT, 0) == 0
    assert guest.call(STATUS, 0) == 1


def test_deliver_answers_whether_it_entered_a_handler(guest: Guest) -> None:
    ready(guest)
    assert guest.dispatcher.deliver_event(guest.vcpu) is False
    guest.inject(0)
    assert guest.dispatcher.deliver_event(guest.vcpu) is True


# -- entering --------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [0, 1])
@pytest.mark.parametrize(("interrupted", "entered"), PSTATES)
def test_enter(guest: Guest, event: int, interrupted: int, entered: int) -> None:
    ready(guest, event).inject(event)
    vcpu = guest.vcpu
    for n in range(31):
        vcpu.x[n] = 0xC0DE_0000_0000_0000 + n
    vcpu.pc, vcpu.pstate = 0xFFFF_8000_1234_5678, interrupted
    assert guest.enter()
    assert list(vcpu.x[:4]) == [event, ARGUMENT + event, 0xFFFF_8000_1234_5678, interrupted]
    assert list(vcpu.x[4:18]) == [0] * 14
    assert list(vcpu.x[18:]) == [0xC0DE_0000_0000_0000 + n for n in range(18, 31)]
    assert vcpu.pstate == entered
    assert vcpu.pc == ENTRY + 0x100 * event
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (ELR, SPSR)
    assert guest.pending() == set()
    assert guest.sdei.handlers[event].state == 7
    assert guest.sdei.handlers[1 - event].state == 0


def test_context_is_a_copy(guest: Guest) -> None:
    guest.bring("ER")
    (context,) = guest.sdei.contexts
    guest.vcpu.x[5] = 0x5555
    assert (context.event, context.pc, context.pstate) == (0, PC, PSTATE)
    assert len(context.x) == 18
    assert context.x[5] == 0xF000_0000_0000_0005


# -- leaving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status"),
    [(None, 0), (None, 1), (None, 1 << 63), (DISABLE, 0), (UNREGISTER, 0), (PE_MASK, 0)],
)
@pytest.mark.parametrize("interrupted", [0x6000_03C5, 0x0000_0000, 0xFFFF_FFFF_FFFF_FFFF])
def test_complete(guest: Guest, change: int | None, status: int, interrupted: int) -> None:
    ready(guest).inject(0)
    vcpu = guest.vcpu
    vcpu.pc, vcpu.pstate = 0x4008_0555_0000_0004, interrupted
    for n in range(31):
        vcpu.x[n] = 0xC0DE_0000_0000_0000 + n
    assert guest.enter()
    if change:
        guest.call(change, 0)
    for n in range(31):
        vcpu.x[n] = 0xBAD0_0000_0000_0000 + n
    vcpu.pc, vcpu.pstate = 0x4008_9000, 0x8000_03C4
    guest.call(COMPLETE, status)
    assert list(vcpu.x[:18]) == [0xC0DE_0000_0000_0000 + n for n in range(18)]
    assert list(vcpu.x[18:]) == [0xBAD0_0000_0000_0000 + n for n in range(18, 31)]
    assert vcpu.pc == 0x4008_0555_0000_0004
    assert vcpu.pstate == interrupted
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (ELR, SPSR)
    assert guest.sdei.contexts == []


@pytest.mark.parametrize(("interrupted", "resumed"), PSTATES)
@pytest.mark.parametrize("address", [0x4008_0A80, 0, 3, 0xFFFF_FFFF_FFFF_FFFF])
def test_resume(guest: Guest, interrupted: int, resumed: int, address: int) -> None:
    ready(guest).inject(0)
    vcpu = guest.vcpu
    vcpu.pc, vcpu.pstate = 0xFFFF_8000_0000_0100, interrupted
    for n in range(31):
        vcpu.x[n] = 0xC0DE_0000_0000_0000 + n
    assert guest.enter()
    for n in range(31):
        vcpu.x[n] = 0xBAD0_0000_0000_0000 + n
    vcpu.pstate = 0x1000_03C4
    guest.call(RESUME, address)
    assert list(vcpu.x[:18]) == [0xC0DE_0000_0000_0000 + n for n in range(18)]
    assert list(vcpu.x[18:]) == [0xBAD0_0000_0000_0000 + n for n in range(18, 31)]
    assert vcpu.pc == address
    assert vcpu.pstate == resumed
    assert vcpu.elr_el1 == 0xFFFF_8000_0000_0100
    assert vcpu.spsr_el1 == interrupted
    assert guest.sdei.contexts == []
    assert guest.call(STATUS, 0) == 3


# -- what is recorded ------------------------------------------------------------------------------


def test_the_story_of_one_event(guest: Guest) -> None:
    guest.call(REGISTER, 0, 0x1000, 0x77, 0)
    guest.call(ENABLE, 0)
    guest.call(ENABLE, 0)
    guest.call(PE_UNMASK)
    guest.call(PE_UNMASK)
    assert guest.moments() == [
        "HandlerStateChanged(0, 'EVENT_REGISTER', 0, 1)",
        "HandlerStateChanged(0, 'EVENT_ENABLE', 1, 3)",
        "MaskChanged(False,)",
    ]
    guest.call(SIGNAL, 0, 0)
    guest.call(SIGNAL, 0, 0)
    guest.enter()
    x = (0, 0, 0, 0, 0, *(0xF000_0000_0000_0000 + n for n in range(5, 18)))
    assert guest.moments() == [
        "EventRaised(0, 'signal', False)",
        "EventRaised(0, 'signal', True)",
        "HandlerStateChanged(0, 'delivery', 3, 7)",
        f"EventDelivered(0, {0x1000}, {0x77}, {PC}, {PSTATE}, {x})",
    ]
    guest.call(DISABLE, 0)
    guest.call(COMPLETE, 0)
    guest.inject(0)
    guest.cancel(0)
    guest.cancel(0)
    guest.call(UNREGISTER, 0)
    guest.call(PE_MASK)
    assert guest.moments() == [
        "HandlerStateChanged(0, 'EVENT_DISABLE', 7, 5)",
        "HandlerStateChanged(0, 'EVENT_COMPLETE', 5, 1)",
        f"EventCompleted(0, {PC}, None)",
        "EventRaised(0, 'inject', False)",
        "EventCancelled(0, True)",
        "EventCancelled(0, False)",
        "HandlerStateChanged(0, 'EVENT_UNREGISTER', 1, 0)",
        "MaskChanged(True,)",
    ]


def test_the_story_of_a_resume(guest: Guest) -> None:
    guest.bring("ER", 1).moments()
    guest.call(RESUME, 0x4008_0280)
    assert guest.moments() == [
        "HandlerStateChanged(1, 'EVENT_COMPLETE', 7, 3)",
        f"EventCompleted(1, {PC}, {0x4008_0280})",
    ]


@pytest.mark.parametrize("state", ["U", "UP"])
def test_refused_calls_record_nothing(guest: Guest, state: str) -> None:
    guest.bring(state).moments()
    for function in (ENABLE, DISABLE, SIGNAL):
        guest.call(function, 0)
    guest.inject(0)
    guest.cancel(0)
    assert guest.moments() == []
