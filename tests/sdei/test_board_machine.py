"""Any sequence of calls, triggers and deliveries on several PEs keeps the invariants.

Besides: a masked PE enters no handler, what unregisters while it runs passes through unregistered,
and saving and loading changes nothing.
"""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.sdei.board import AFFINITIES, INTID, Board
from tests.sdei.invariants import check
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DISABLE,
    ENABLE,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    PE_MASK,
    PE_UNMASK,
    PRIVATE_RESET,
    REGISTER,
    RESUME,
    ROUTING_SET,
    SHARED_RESET,
    SIGNAL,
    STATUS,
    UNREGISTER,
)

PES = 3
EVENTS = {
    "den0054c": (0, *INTID, 0x4040_0000, 0x4040_0001, 0x4000_0001, 0x4000_1001),
    "tf-a": (0, 804, 805, 1000, 1001, 2000, 2001, 5000, 5003),
}
pes = st.integers(0, PES - 1)
picks = st.integers(0, 14)
affinities = st.sampled_from([*AFFINITIES[:PES], AFFINITIES[0], 2, 1 << 31])
intids = st.sampled_from([16, 20, 22, 23, 25, 30, 40, 41, 50, 51, 60, 1020])

# Error codes each call may answer; whatever is not negative is a value.
ERRORS = {
    REGISTER: {-2, -3},
    ENABLE: {-2, -3},
    DISABLE: {-2, -3},
    UNREGISTER: {-2, -3, -5},
    STATUS: {-2},
    GET_INFO: {-2, -3},
    ROUTING_SET: {-2, -3},
    PE_MASK: set(),
    PE_UNMASK: set(),
    INTERRUPT_BIND: {-2, -3, -10},
    INTERRUPT_RELEASE: {-2, -3},
    SIGNAL: {-2},
    PRIVATE_RESET: {-3},
    SHARED_RESET: {-3},
}


class ManyPes(RuleBasedStateMachine):
    """A board under random hands."""

    profile_name = "den0054c"

    @initialize(
        knobs=st.fixed_dictionaries(
            {},
            optional={
                "mask_waits_for_completion": st.booleans(),
                "register_clears_pending": st.booleans(),
                "unregister_clears_pending": st.booleans(),
                "signal_strict": st.booleans(),
                "cpu_on_keeps_handlers": st.booleans(),
                "bind_refuses_active": st.booleans(),
            },
        )
    )
    def begin(self, knobs: dict[str, bool]) -> None:
        self.board = Board(self.profile_name, PES, **knobs)

    def event(self, pick: int) -> int:
        events = EVENTS[self.profile_name]
        return events[pick % len(events)]

    def call(self, pe: int, function: int, *arguments: int) -> int:
        answer = self.board[pe].call(function, *arguments)
        assert answer >= 0 or answer in ERRORS[function], (hex(function), answer)
        return answer

    # -- the guest

    @rule(pe=pes, pick=picks)
    def start(self, pe: int, pick: int) -> None:
        """The usual way, which few random walks would find."""
        self.call(pe, REGISTER, self.event(pick), 0x1000, pick, 0, 0)
        self.call(pe, ENABLE, self.event(pick))
        self.call(pe, PE_UNMASK)

    @rule(pe=pes, pick=picks, flags=st.sampled_from([0, 1, 1, 2, 3, 4]), affinity=affinities)
    def register(self, pe: int, pick: int, flags: int, affinity: int) -> None:
        event = self.event(pick)
        before = self.board[pe].call(STATUS, event)
        answer = self.call(pe, REGISTER, event, 0x1000, 0, flags, affinity)
        assert answer != 0 or before == 0

    @rule(pe=pes, pick=picks, function=st.sampled_from([ENABLE, DISABLE, UNREGISTER, STATUS]))
    def about_an_event(self, pe: int, pick: int, function: int) -> None:
        self.call(pe, function, self.event(pick))

    @rule(pe=pes, pick=picks)
    def unregister(self, pe: int, pick: int) -> None:
        event = self.event(pick)
        before = self.board[pe].call(STATUS, event)
        answer = self.call(pe, UNREGISTER, event)
        expected = {-2: -2, 0: -3, 1: 0, 3: 0, 4: -5, 5: -5, 7: -5}
        assert answer == expected[before]
        if answer == -5:
            assert self.board[pe].call(STATUS, event) == 4

    @rule(pe=pes, pick=picks, info=st.integers(0, 5))
    def get_info(self, pe: int, pick: int, info: int) -> None:
        self.call(pe, GET_INFO, self.event(pick), info)

    @rule(pe=pes, pick=picks, mode=st.integers(0, 2), affinity=affinities)
    def routing_set(self, pe: int, pick: int, mode: int, affinity: int) -> None:
        self.call(pe, ROUTING_SET, self.event(pick), mode, affinity)

    @rule(pe=pes, function=st.sampled_from([PE_MASK, PE_UNMASK, PRIVATE_RESET, SHARED_RESET]))
    def without_arguments(self, pe: int, function: int) -> None:
        self.call(pe, function)

    @rule(pe=pes, intid=intids)
    def bind(self, pe: int, intid: int) -> None:
        event = self.call(pe, INTERRUPT_BIND, intid)
        if event > 0:
            assert self.board[(pe + 1) % PES].call(INTERRUPT_BIND, intid) == event
            assert self.board[pe].call(GET_INFO, event, 0) == int(intid >= 32)

    @rule(pe=pes, pick=picks)
    def release(self, pe: int, pick: int) -> None:
        event = self.event(pick)
        registered = any(other.call(STATUS, event) > 0 for other in self.board.pes)
        if self.call(pe, INTERRUPT_RELEASE, event) == 0:
            assert not registered
            assert self.call(pe, INTERRUPT_RELEASE, event) == -2

    @rule(pe=pes, affinity=affinities)
    def signal(self, pe: int, affinity: int) -> None:
        self.call(pe, SIGNAL, 0, affinity)

    @rule(pe=pes, resume=st.sampled_from([None, 0x2000, 3]))
    def complete(self, pe: int, resume: int | None) -> None:
        guest = self.board[pe]
        contexts = list(guest.sdei.contexts)
        if not contexts:
            assert guest.call(RESUME, 0) == guest.call(COMPLETE, 0) == -3
            return
        if resume == 3:
            assert guest.call(RESUME, 3) in (-2, -3)
            assert guest.sdei.contexts == contexts
            return
        innermost = contexts[-1]
        assert guest.call(CONTEXT, 0) % (1 << 64) == innermost.x[0]
        event = innermost.event
        before = guest.call(STATUS, event)
        if resume is None:
            guest.call(COMPLETE, 0)
            assert guest.vcpu.where() == (innermost.pc, innermost.pstate)
        else:
            guest.call(RESUME, resume)
            assert guest.vcpu.pc == resume
            assert guest.vcpu.elr_el1 == innermost.pc
        assert tuple(guest.vcpu.x[:18]) == innermost.x
        state = guest.sdei.handlers[event].state
        assert state == {7: 3, 5: 1, 4: 0}[before]

    @rule(pe=pes, pc=st.integers(0, 1 << 20), pstate=st.sampled_from([0, 4, 5, 0x6000_03C5, 0x10]))
    def run_on(self, pe: int, pc: int, pstate: int) -> None:
        self.board[pe].vcpu.go_to(pc, pstate)

    # -- devices and the host

    @rule(intid=intids, pe=pes)
    def pulse(self, intid: int, pe: int) -> None:
        self.board.gic.pulse(intid, pe if intid < 32 else None)

    @rule(intid=intids, pe=pes, high=st.booleans())
    def level(self, intid: int, pe: int, high: bool) -> None:
        self.board.gic.set_level(intid, pe if intid < 32 else None, high)

    @rule(pe=pes, pick=picks, immediate=st.booleans())
    def inject(self, pe: int, pick: int, immediate: bool) -> None:
        assert self.board[pe].inject(self.event(pick), immediate=immediate) in (0, -2, -16, -22)

    @rule(pe=pes, pick=picks)
    def cancel(self, pe: int, pick: int) -> None:
        assert self.board[pe].cancel(self.event(pick)) in (0, -2, -16)

    @rule(pe=pes)
    def power_off(self, pe: int) -> None:
        self.board.dispatcher.complete_all(self.board[pe].vcpu, "CPU_OFF")
        assert self.board.stack(pe) == []

    @rule(pe=pes)
    def power_on(self, pe: int) -> None:
        self.board.dispatcher.reset_vcpu(self.board[pe].vcpu)
        assert self.board[pe].sdei.masked

    @precondition(lambda self: len(self.board.trace) > 50)
    @rule()
    def reset(self) -> None:
        self.board.dispatcher.reset_system()
        self.board.trace.clear()

    @rule()
    def deliver(self) -> None:
        """On every PE that is asked to."""
        for pe, guest in enumerate(self.board.pes):
            self.deliver_on(pe, guest.sdei.requested)

    @rule(pe=pes)
    def deliver_unasked(self, pe: int) -> None:
        self.deliver_on(pe, True)

    def deliver_on(self, pe: int, asked: bool) -> None:
        guest = self.board[pe]
        masked, stack, pending = guest.sdei.masked, self.board.stack(pe), guest.pending()
        if asked and self.board.dispatcher.deliver_event(guest.vcpu):
            assert not masked
            *outer, event = self.board.stack(pe)
            assert outer == stack
            assert event in pending
            assert guest.vcpu.x[0] == event
            assert guest.vcpu.pstate & 0x3DF == 0x3C5
        else:
            assert self.board.stack(pe) == stack

    @rule()
    def save_and_load(self) -> None:
        """Also into the same objects: a machine holds on to them."""
        everything = self.saved()
        board = self.board
        plain = json.loads(json.dumps(everything))
        board.dispatcher.load(plain["vm"])
        for guest, state in zip(board.pes, plain["pes"], strict=True):
            sdei = guest.sdei
            sdei.load(state)
            assert guest.sdei is sdei
        assert self.saved() == everything

    def saved(self) -> dict[str, Any]:
        return {
            "vm": self.board.dispatcher.save(),
            "pes": [guest.sdei.save() for guest in self.board.pes],
        }

    # -- always

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "board"):
            vcpus = [guest.vcpu for guest in self.board.pes]
            check(self.board.dispatcher, vcpus, self.board.gic)

    @invariant()
    def nothing_deliverable_is_forgotten(self) -> None:
        """Whoever could enter a handler is asked to, or somebody else is for a shared event."""
        if not hasattr(self, "board"):
            return
        shared_asked = any(self.board.requests())
        for guest in self.board.pes:
            sdei = guest.sdei
            for handler in sdei.handlers.values():
                if not handler.pending or handler.state != 3 or sdei.masked:
                    continue
                inner = sdei.contexts[-1].event if sdei.contexts else None
                if inner is not None and (sdei.handlers[inner].critical or not handler.critical):
                    continue
                if handler.shared:
                    routed = handler.routing_mode == 0 or (
                        handler.affinity == guest.vcpu.mpidr & 0xFF_00FF_FFFF
                    )
                    assert shared_asked or not routed
                else:
                    assert sdei.requested


class TfA(ManyPes):
    profile_name = "tf-a"


@pytest.mark.parametrize("machine", [ManyPes, TfA])
def test_many_pes(machine: type[ManyPes]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=250, stateful_step_count=60, deadline=None),
    )
