"""The conformance vectors of the series, typed call by call."""

import errno

from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DISABLE,
    ENABLE,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    NOT_SUPPORTED,
    PE_MASK,
    PE_UNMASK,
    PRIVATE_RESET,
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

HANDLER, USER = 0x4008_2000, 0xDABF_DABF


def test_1_fresh(guest: Guest) -> None:
    assert guest.call(STATUS, 0) == 0
    assert guest.call(STATUS, 2) == -2
    assert guest.call(ENABLE, 0) == -3
    assert guest.call(UNREGISTER, 0) == -3
    assert guest.call(CONTEXT, 0) == -3
    assert guest.call(SIGNAL, 0) == -2


def test_2_registration(guest: Guest) -> None:
    assert guest.call(REGISTER, 0, HANDLER, USER, 2) == -2
    assert guest.call(REGISTER, 0, HANDLER, USER, 1) == 0
    assert guest.call(REGISTER, 0, HANDLER, USER, 1) == -3
    assert guest.call(STATUS, 0) == 1
    assert guest.call(ENABLE, 0) == 0
    assert guest.call(ENABLE, 0) == 0
    assert guest.call(STATUS, 0) == 3
    assert guest.call(DISABLE, 0) == 0
    assert guest.call(DISABLE, 0) == 0
    assert guest.call(STATUS, 0) == 1


def test_3_delivery(guest: Guest) -> None:
    guest.call(REGISTER, 0, HANDLER, USER, 0)
    guest.call(ENABLE, 0)
    assert guest.call(SIGNAL, 0, 0) == 0
    assert not guest.enter()
    assert guest.call(STATUS, 0) == 3
    guest.vcpu.pc, guest.vcpu.pstate = 0x4008_0044, 0x6040_00C5
    assert guest.call(PE_UNMASK) == 0
    assert guest.enter()
    x = list(guest.vcpu.x)
    assert x[:4] == [0, 0xDABF_DABF, 0x4008_0044, 0x6040_00C5]
    assert x[4:18] == [0] * 14
    assert x[18:] == [0xF000_0000_0000_0000 + n for n in range(18, 31)]
    assert guest.vcpu.pstate == 0x6040_03C5
    assert guest.vcpu.pc == 0x4008_2000


def test_4_in_handler() -> None:
    guest = Guest("kvm-v7")
    guest.call(REGISTER, 0, HANDLER, USER, 0)
    guest.call(ENABLE, 0)
    guest.call(SIGNAL, 0, 0)
    guest.vcpu.x[17] = 0x1717
    guest.call(PE_UNMASK)
    assert guest.enter()
    assert guest.call(STATUS, 0) == 7
    assert guest.call(CONTEXT, 0) == 0
    assert guest.call(CONTEXT, 17) == 0x1717
    assert guest.call(CONTEXT, 18) == -2
    assert guest.call(SIGNAL, 0, 0) == 0
    assert not guest.enter()
    assert guest.call(UNREGISTER, 0) == -5
    assert guest.call(STATUS, 0) == 4
    assert guest.call(UNREGISTER, 0) == -5
    assert guest.call(REGISTER, 0, HANDLER, USER, 0) == -3
    assert guest.call(ENABLE, 0) == -3
    guest.call(COMPLETE, 0)
    assert not guest.enter()
    assert guest.call(STATUS, 0) == 0
    assert guest.call(REGISTER, 0, HANDLER, USER, 0) == 0
    assert guest.call(ENABLE, 0) == 0
    assert not guest.enter()


def test_4_in_handler_to_the_letter(literal: Guest) -> None:
    """The same, but the signal that came before UNREGISTER is there after registering again."""
    literal.call(REGISTER, 0, HANDLER, USER, 0)
    literal.call(ENABLE, 0)
    literal.call(PE_UNMASK)
    literal.call(SIGNAL, 0, 0)
    assert literal.enter()
    assert literal.call(SIGNAL, 0, 0) == 0
    assert literal.call(UNREGISTER, 0) == -5
    literal.call(COMPLETE, 0)
    assert literal.call(STATUS, 0) == 0
    assert literal.call(REGISTER, 0, HANDLER, USER, 0) == 0
    assert literal.call(ENABLE, 0) == 0
    assert literal.enter()


def test_5_complete_outside_a_handler(guest: Guest) -> None:
    guest.bring("E")
    guest.call(PE_UNMASK)
    for function in (COMPLETE, RESUME):
        before = list(guest.vcpu.x)
        before[0], before[1] = function, 0x4008_3000
        guest.call(function, 0x4008_3000)
        assert list(guest.vcpu.x) == before
        assert guest.vcpu.pc == 0x4008_0104
        assert guest.vcpu.pstate == 0x6000_03C5
        assert guest.vcpu.elr_el1 == 0x0E14_0E14_0E14_0E14
        assert guest.vcpu.spsr_el1 == 0x8000_0005


def test_6_resume(guest: Guest) -> None:
    guest.call(REGISTER, 0, HANDLER, USER, 0)
    guest.call(ENABLE, 0)
    guest.call(PE_UNMASK)
    guest.call(SIGNAL, 0, 0)
    guest.vcpu.pc, guest.vcpu.pstate = 0x4008_0048, 0x8000_0000
    interrupted = list(guest.vcpu.x)
    assert guest.enter()
    for n in range(1, 31):
        guest.vcpu.x[n] = 0xBAD0 + n
    guest.call(RESUME, 0x4008_0A80)
    assert guest.vcpu.pc == 0x4008_0A80
    assert guest.vcpu.elr_el1 == 0x4008_0048
    assert guest.vcpu.spsr_el1 == 0x8000_0000
    assert guest.vcpu.pstate == 0x8000_03C5
    assert list(guest.vcpu.x[:18]) == interrupted[:18]
    assert list(guest.vcpu.x[18:]) == [0xBAD0 + n for n in range(18, 31)]


def test_7_host(guest: Guest) -> None:
    assert guest.inject(0) == -errno.ENOENT == -2
    assert guest.cancel(0) == -2
    guest.call(REGISTER, 0, HANDLER, USER, 0)
    guest.call(ENABLE, 0)
    assert guest.inject(0, immediate=True) == -errno.EBUSY == -16  # masked
    guest.call(PE_UNMASK)
    guest.call(DISABLE, 0)
    assert guest.inject(0, immediate=True) == -16  # disabled
    guest.call(ENABLE, 0)
    assert guest.inject(0) == 0
    assert guest.inject(0, immediate=True) == -16  # pending
    assert guest.enter()
    assert guest.inject(0, immediate=True) == -16  # running
    assert guest.cancel(0) == -16
    guest.call(COMPLETE, 0)
    assert guest.inject(0) == 0
    assert guest.cancel(0) == 0
    assert guest.pending() == set()


def test_8_refusals(guest: Guest) -> None:
    assert guest.call(VERSION) == 0x0001_0001_564B_CAA9
    assert guest.call(GET_INFO, 0, 3) == INVALID
    assert guest.call(FEATURES, 2) == INVALID
    assert guest.call(ROUTING_SET, 0, 0, 0) == NOT_SUPPORTED
    assert guest.call(INTERRUPT_BIND, 32) == NOT_SUPPORTED
    assert guest.call(INTERRUPT_RELEASE, 0) == NOT_SUPPORTED
    assert guest.call(PRIVATE_RESET) == SUCCESS
    assert guest.call(SHARED_RESET) == SUCCESS
    assert guest.call(0x8400_0020) == NOT_SUPPORTED


def test_9_lowest_number_first(guest: Guest) -> None:
    for event in (1, 0):
        guest.call(REGISTER, event, HANDLER + event * 0x800, USER, 0)
        guest.call(ENABLE, event)
        assert guest.inject(event) == 0
    guest.call(PE_UNMASK)
    assert guest.enter()
    assert guest.vcpu.x[0] == 0
    assert guest.vcpu.pc == HANDLER
    guest.call(COMPLETE, 0)
    guest.call(PE_UNMASK)
    assert guest.enter()
    assert guest.vcpu.x[0] == 1
    assert guest.vcpu.pc == HANDLER + 0x800


def test_hypercall_selftest_order(guest: Guest) -> None:
    """The eight calls of the series' hypercall selftest, in its order: each succeeds."""
    calls = [
        (SHARED_RESET,),
        (PRIVATE_RESET,),
        (PE_UNMASK,),
        (REGISTER, 0, HANDLER, USER, 0),
        (ENABLE, 0),
        (DISABLE, 0),
        (UNREGISTER, 0),
        (PE_MASK,),
    ]
    assert [guest.call(*call) for call in calls] == [0] * 8


def test_sdei_selftest(guest: Guest) -> None:
    """The series' SDEI selftest, step by step, with the values it only prints."""
    assert guest.call(VERSION) == 0x0001_0001_564B_CAA9
    assert guest.call(FEATURES, 0) == 0
    assert guest.call(FEATURES, 1) == 0
    assert guest.call(SHARED_RESET) == 0
    assert guest.call(PRIVATE_RESET) == 0
    assert guest.call(PE_UNMASK) == 0
    assert guest.call(GET_INFO, 0, 0) == 0
    assert guest.call(GET_INFO, 0, 2) == 0
    assert guest.call(GET_INFO, 0, 1) == 1
    assert guest.call(REGISTER, 0, HANDLER, USER, 0) == 0
    assert guest.call(ENABLE, 0) == 0
    assert guest.call(SIGNAL, 0, USER) == 0
    assert guest.enter()
    assert guest.call(STATUS, 0) == 7
    assert [guest.call(CONTEXT, n) for n in range(4)] == [0, 0, 0, 0]
    guest.call(RESUME, 0x4008_0280)
    assert (guest.vcpu.pc, guest.vcpu.elr_el1) == (0x4008_0280, 0x4008_0104)
    assert guest.call(STATUS, 0) == 3
    assert guest.call(PE_MASK) == 0
    assert guest.call(DISABLE, 0) == 0
    assert guest.call(UNREGISTER, 0) == 0
