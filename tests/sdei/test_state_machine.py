"""Any sequence of calls, raises and deliveries: dispatcher and oracle agree on everything."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sdeiviz.sdei import VcpuSdei
from sdeiviz.sdei.delivery import HostHang
from tests.sdei.oracle import HANG, Oracle
from tests.sdei.vcpu import Guest

words = st.integers(0, (1 << 64) - 1)
# What is near an edge of the interface, and what is not.
small = st.sampled_from([0, 1, 2, 3, 4, 5, 16, 17, 18, 19])
large = st.sampled_from([1 << 31, (1 << 32) - 1, 1 << 32, 1 << 32 | 17, 1 << 63, (1 << 64) - 1])
near = st.one_of(small, large)
events = st.sampled_from([0, 0, 0, 0, 1, 1, 1])
numbers = st.one_of(events, events, near, words)
flags = st.sampled_from([0, 0, 0, 1]) | near | words
functions = st.integers(0xC400_0020, 0xC400_003F) | st.integers(0, (1 << 32) - 1)
pstates = st.one_of(
    st.sampled_from([0x6000_03C5, 0x6040_00C5, 0, 4, 5, 0x10, 0x1F, 0xFFFF_FFFF]), words
)

KNOBS = {
    "d1": "skip_disabled_events",
    "d2": "request_after_complete",
    "d3": "unsigned_event_number",
    "d4": "unregister_clears_pending",
    "d9": "keep_x4_to_x17",
    "wide": "full_width_arguments",
    "signaled": "signaled_per_event",
    "d11": "reset_clears_state",
}


class Against(RuleBasedStateMachine):
    """One vCPU twice. Subclasses say by which rules."""

    guest: Guest
    oracle: Oracle

    def both(self, knobs: dict[str, bool]) -> tuple[Guest, Oracle]:
        raise NotImplementedError

    @initialize(
        knobs=st.fixed_dictionaries({name: st.booleans() for name in KNOBS}),
        event=events,
        steps=st.integers(0, 8),
    )
    def begin(self, knobs: dict[str, bool], event: int, steps: int) -> None:
        self.knobs = knobs
        self.boot()
        self.go_along(event, steps)

    def boot(self) -> None:
        self.guest, self.oracle = self.both(self.knobs)
        vcpu, oracle = self.guest.vcpu, self.oracle
        oracle.x, oracle.pc, oracle.pstate = list(vcpu.x), vcpu.pc, vcpu.pstate
        oracle.elr, oracle.spsr = vcpu.elr_el1, vcpu.spsr_el1

    @rule(event=events, steps=st.integers(1, 8))
    def go_along(self, event: int, steps: int) -> None:
        """The way a guest takes, as far as asked for: few random walks would arrive."""
        way = [
            lambda: self.call(0xC400_0021, event, 0x4008_0000 + event, event, 0, 0),
            lambda: self.call(0xC400_0022, event),
            lambda: self.call(0xC400_002C),
            lambda: self.inject(event, False),
            self.deliver,
            lambda: self.inject(event, False),
            lambda: self.call(0xC400_0023, event),
            lambda: self.call(0xC400_0027, event),
        ]
        for step in way[:steps]:
            step()

    def agree(self, answer: object, expected: object) -> None:
        assert answer == expected
        if answer is HANG:  # nothing goes on after that: boot again
            self.boot()

    # -- the guest ---------------------------------------------------------------------------------

    def call(self, function: int, *arguments: int) -> None:
        vcpu, oracle = self.guest.vcpu, self.oracle
        for n, value in enumerate((function, *arguments)):
            vcpu.x[n] = oracle.x[n] = value
        expected = oracle.call(function)
        try:
            answer = self.guest.dispatcher.call(vcpu, function)
        except HostHang:
            answer = HANG
        self.agree(answer, expected)

    @rule(x1=numbers, x2=words, x3=words, x4=flags, x5=words)
    def register(self, x1: int, x2: int, x3: int, x4: int, x5: int) -> None:
        self.call(0xC400_0021, x1, x2, x3, x4, x5)

    @rule(x1=numbers)
    def enable(self, x1: int) -> None:
        self.call(0xC400_0022, x1)

    @rule(x1=numbers)
    def disable(self, x1: int) -> None:
        self.call(0xC400_0023, x1)

    @rule(x1=near | words)
    def context(self, x1: int) -> None:
        self.call(0xC400_0024, x1)

    @rule(x1=words)
    def complete(self, x1: int) -> None:
        self.call(0xC400_0025, x1)

    @rule(x1=words)
    def complete_and_resume(self, x1: int) -> None:
        self.call(0xC400_0026, x1)

    @rule(x1=numbers)
    def unregister(self, x1: int) -> None:
        self.call(0xC400_0027, x1)

    @rule(x1=numbers, x2=small | words)
    def ask(self, x1: int, x2: int) -> None:
        self.call(0xC400_0028, x1)
        self.call(0xC400_0029, x1, x2)
        self.call(0xC400_0030, x2)

    @rule()
    def mask(self) -> None:
        self.call(0xC400_002B)

    @rule()
    def unmask(self) -> None:
        self.call(0xC400_002C)

    @rule(x1=numbers, x2=words)
    def signal(self, x1: int, x2: int) -> None:
        self.call(0xC400_002F, x1, x2)

    @rule()
    def private_reset(self) -> None:
        self.call(0xC400_0031)

    @rule(function=functions, x1=near | words, x2=near | words, x3=words, x4=near | words)
    def any_call(self, function: int, x1: int, x2: int, x3: int, x4: int) -> None:
        """What is left, and what is no call."""
        self.call(function, x1, x2, x3, x4, x1 ^ x2)

    @rule(n=st.integers(0, 30), value=words, pc=words, pstate=pstates)
    def run_on(self, n: int, value: int, pc: int, pstate: int) -> None:
        """The guest does something of its own."""
        vcpu, oracle = self.guest.vcpu, self.oracle
        vcpu.x[n] = oracle.x[n] = value
        vcpu.pc = oracle.pc = pc
        vcpu.pstate = oracle.pstate = pstate

    # -- the host ----------------------------------------------------------------------------------

    @rule()
    def deliver(self) -> None:
        """Asked for or not."""
        expected = self.oracle.deliver()
        try:
            answer: bool | str = self.guest.dispatcher.deliver_event(self.guest.vcpu)
        except HostHang:
            answer = HANG
        self.agree(answer, expected)

    @rule(event=numbers, immediate=st.booleans())
    def inject(self, event: int, immediate: bool) -> None:
        answer = self.guest.inject(event, immediate=immediate)
        assert answer == self.oracle.inject(event, immediate)

    @rule(event=numbers)
    def cancel(self, event: int) -> None:
        assert self.guest.cancel(event) == self.oracle.cancel(event)

    @rule()
    def save_and_load(self) -> None:
        sdei = VcpuSdei()
        sdei.load(self.guest.sdei.save())
        self.guest.vcpu.sdei = sdei

    @rule()
    def reset(self) -> None:
        self.guest.dispatcher.reset_vcpu(self.guest.vcpu)
        self.oracle.reset()

    # -- always ------------------------------------------------------------------------------------

    @invariant()
    def same_registers(self) -> None:
        vcpu, oracle = self.guest.vcpu, self.oracle
        assert list(vcpu.x) == oracle.x
        assert (vcpu.pc, vcpu.pstate) == (oracle.pc, oracle.pstate)
        assert (vcpu.elr_el1, vcpu.spsr_el1) == (oracle.elr, oracle.spsr)

    @invariant()
    def same_events(self) -> None:
        sdei, oracle = self.guest.sdei, self.oracle
        for n in (0, 1):
            handler = sdei.handlers[n]
            assert handler.state & 1 == oracle.registered >> n & 1
            assert handler.state >> 1 & 1 == oracle.enabled >> n & 1
            assert handler.state >> 2 == oracle.running >> n & 1
            assert handler.pending == bool(oracle.pending >> n & 1)
            assert (handler.entry, handler.argument) == (oracle.entry[n], oracle.argument[n])
        assert (sdei.masked, sdei.requested) == (oracle.masked, oracle.request)
        saved = [[c.pc, c.pstate, *c.x] for c in sdei.contexts]
        assert saved == ([oracle.saved] if oracle.running else [])

    @invariant()
    def legal(self) -> None:
        """The encodings the series' authors agreed on; a stale pending bit is the defect D4."""
        oracle = self.oracle
        assert oracle.enabled & ~oracle.registered == 0
        assert oracle.running in (0, 1, 2)
        assert (oracle.registered | oracle.enabled | oracle.running | oracle.pending) < 4
        if oracle.d4:
            assert oracle.pending & ~oracle.registered == 0


class Mended(Against):
    def both(self, knobs: dict[str, bool]) -> tuple[Guest, Oracle]:
        return Guest("kvm-v7"), Oracle()


class ToTheLetter(Against):
    def both(self, knobs: dict[str, bool]) -> tuple[Guest, Oracle]:
        oracle = Oracle(d1=False, d2=False, d3=False, d4=False, d11=False)
        return Guest("kvm-v7-literal"), oracle


class AnyKnobs(Against):
    """Any combination; a 64-bit number that is signed besides means nothing and is left out."""

    def both(self, knobs: dict[str, bool]) -> tuple[Guest, Oracle]:
        knobs = knobs | {"d3": knobs["d3"] or knobs["wide"]}
        positions = {KNOBS[name]: value for name, value in knobs.items()}
        return Guest("kvm-v7", **positions), Oracle(**knobs)


@pytest.mark.parametrize("machine", [Mended, ToTheLetter, AnyKnobs])
def test_against_the_oracle(machine: type[Against]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=200, stateful_step_count=60, deadline=None),
    )
