"""Riding on the SDEI dispatcher: what `sdeiviz.apf.host` says of it, with the real one."""

import errno
from dataclasses import dataclass, field

import pytest

from sdeiviz.apf import Answer, AsyncPageFault, Decision, Reason, mode
from sdeiviz.trace import EventDelivered
from tests.apf.board import BLOCK, EL0, EL1, NOT_PRESENT, FakeHost
from tests.sdei.board import FakeGic
from tests.sdei.vcpu import (
    COMPLETE,
    DISABLE,
    ENABLE,
    ENTRY,
    PE_MASK,
    PE_UNMASK,
    REGISTER,
    UNREGISTER,
    Guest,
)

GFN = 7


@dataclass
class SdeiHost(FakeHost):
    """The host, with the SDEI of a real dispatcher."""

    guest: Guest = field(default_factory=Guest)

    def has_event(self, event: int) -> bool:
        handler = self.guest.sdei.handlers.get(event)
        return handler is not None and not handler.shared

    def inject_event(self, vcpu: int, event: int) -> int:
        return self.guest.inject(event, immediate=True)

    def cancel_event(self, vcpu: int, event: int) -> int:
        return self.guest.cancel(event)

    def handler_running(self, vcpu: int) -> bool:
        return bool(self.guest.sdei.contexts)

    def events_masked(self, vcpu: int) -> bool:
        return self.guest.sdei.masked


class Machine:
    """One vCPU whose event of async page fault is ready to be injected."""

    def __init__(self, profile: str, event: int, rules: str = "arm64-v4") -> None:
        self.guest = Guest(profile, FakeGic())
        self.host = SdeiHost(guest=self.guest)
        self.apf = AsyncPageFault(mode(rules), self.host, self.guest._emit)
        self.event = event
        assert self.guest.call(REGISTER, event, ENTRY, 0, 0, 0) == 0
        assert self.guest.call(ENABLE, event) == 0
        self.guest.call(PE_UNMASK)
        for command, value in ((4, event), (5, 20), (6, BLOCK | 1)):
            assert self.apf.ioctl(0, command, value) == (0, 0)
        self.apf.enter(0)
        self.host.words.clear()
        self.apf.acknowledge(0)
        self.guest.trace.clear()

    def fault(self, pstate: int = EL0) -> Answer:
        return self.apf.fault(0, GFN, pstate)

    def enter(self) -> bool:
        self.apf.enter(0)
        entered = self.guest.enter()
        for event in self.guest.trace:
            if isinstance(event, EventDelivered):
                self.apf.event_delivered(0, event.event)
        self.guest.trace.clear()
        return entered


MACHINES = [
    ("kvm-v7", 1),
    ("kvm-v7-literal", 1),
    ("den0054c", 0x4040_0001),
    ("tf-a", 5003),
]


@pytest.fixture(params=MACHINES, ids=[profile for profile, _ in MACHINES])
def machine(request: pytest.FixtureRequest) -> Machine:
    return Machine(*request.param)


def test_a_fault_from_end_to_end(machine: Machine) -> None:
    assert machine.fault().decision is Decision.NOTIFIED
    assert machine.apf.vcpus[0].not_present is not None
    assert machine.enter()
    assert machine.apf.vcpus[0].not_present is None
    assert machine.host.words[BLOCK] == NOT_PRESENT
    # A fault in the handler is at EL1; were it not, it would wait all the same.
    assert machine.fault(EL1) == Answer(Decision.WAIT, Reason.KERNEL_MODE)
    assert machine.fault() == Answer(Decision.WAIT, Reason.HANDLER_RUNNING)
    machine.host.words.clear()
    machine.guest.call(COMPLETE)
    machine.apf.page_arrived(GFN)
    machine.enter()
    assert machine.host.lines[0, 20]


def test_the_page_wins_the_race(machine: Machine) -> None:
    assert machine.fault().decision is Decision.NOTIFIED
    machine.apf.page_arrived(GFN)
    assert not machine.enter()
    assert machine.guest.pending() == set()
    assert machine.host.words[BLOCK] == machine.host.words[BLOCK + 4] == 0
    assert not machine.host.lines[0, 20]


def test_masked(machine: Machine) -> None:
    machine.guest.call(PE_MASK)
    assert machine.fault() == Answer(Decision.WAIT, Reason.SDEI_MASKED)
    assert machine.guest.pending() == set()


def test_disabled(machine: Machine) -> None:
    machine.guest.call(DISABLE, machine.event)
    assert machine.fault() == Answer(Decision.WAIT, Reason.SDEI_BUSY)


def test_unregistered(machine: Machine) -> None:
    assert machine.guest.call(UNREGISTER, machine.event) == 0
    assert machine.fault() == Answer(Decision.WAIT, Reason.NOT_REGISTERED)


def test_another_event_is_pending_and_disabled(machine: Machine) -> None:
    machine.guest.call(REGISTER, 0, ENTRY, 0, 0, 0)
    assert machine.guest.inject(0) == 0
    assert machine.fault() == Answer(Decision.WAIT, Reason.SDEI_BUSY)


def test_the_handler_of_event_0_runs(machine: Machine) -> None:
    machine.guest.call(REGISTER, 0, ENTRY, 0, 0, 0)
    machine.guest.call(ENABLE, 0)
    assert machine.guest.inject(0) == 0
    assert machine.enter()
    assert machine.fault() == Answer(Decision.WAIT, Reason.HANDLER_RUNNING)


def test_an_event_that_only_its_interrupt_raises() -> None:
    machine = Machine("den0054c", 0x4040_0017)
    assert machine.fault() == Answer(Decision.WAIT, Reason.NOT_INJECTABLE)


def test_cancelling_what_is_not_pending_succeeds(machine: Machine) -> None:
    assert machine.host.cancel_event(0, machine.event) == 0


def test_there_is_no_other_event_for_it_in_the_series() -> None:
    guest = Guest("kvm-v7")
    apf = AsyncPageFault(mode("arm64-v4"), SdeiHost(guest=guest), guest._emit)
    apf.ioctl(0, 4, 0x4040_0001)
    apf.ioctl(0, 5, 20)
    assert apf.ioctl(0, 6, BLOCK | 1) == (-errno.EIO, 0)
