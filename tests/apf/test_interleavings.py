"""Faults, arrivals, acknowledgements, masks and switches in any order: no wake-up is lost."""

import json

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

from sdeiviz.apf import AsyncPageFault, Decision, Mode, mode
from tests.apf.board import ALL, EL0, EL1, EL1_MASKED, NOT_PRESENT, SUCCESS, Board, Task

VCPUS = 2
vcpus = st.integers(0, VCPUS - 1)
# Few pages, so that they meet; and one whose low 32 bits are another's.
gfns = st.sampled_from([1, 2, 3, 1 << 32 | 3])
pstates = st.sampled_from([EL0, EL0, EL0, EL1, EL1_MASKED])


class Interleavings(RuleBasedStateMachine):
    """Two vCPUs. Their guest does what Linux does, interrupted anywhere."""

    chosen: Mode

    @initialize(enabled=st.booleans())
    def begin(self, enabled: bool) -> None:
        self.board = Board(self.chosen, VCPUS).configure()
        self.host = self.board.host
        self.present: set[int] = set()
        self.waits: dict[int, int] = {}
        """Page that a vCPU waits for, and runs nothing until it is there."""
        self.steps: dict[int, str] = {}
        """Where a vCPU is in a handler, if it is in one."""
        self.tasks: list[Task] = []
        self.pages: dict[int, int] = {}
        """Page by token."""
        if enabled:
            for vcpu in range(VCPUS):
                assert self.board.enable(vcpu=vcpu) == SUCCESS

    def runs(self, vcpu: int) -> bool:
        """Enter the guest; tell whether it executes anything."""
        if vcpu in self.waits or self.board.state(vcpu).halted:
            return False
        self.board.apf.enter(vcpu)
        if vcpu not in self.steps and self.board.deliver(vcpu):
            self.steps[vcpu] = "not-present"
        return True

    def is_free(self, vcpu: int) -> bool:
        return self.runs(vcpu) and vcpu not in self.steps

    # -- the guest

    @rule(vcpu=vcpus, gfn=gfns, pstate=pstates)
    def touch(self, vcpu: int, gfn: int, pstate: int) -> None:
        if not self.is_free(vcpu) or gfn in self.present:
            return
        answer = self.board.fault(gfn, vcpu, pstate)
        if answer.decision is Decision.WAIT:
            self.waits[vcpu] = gfn
        if answer.token is not None:
            assert answer.decision is Decision.NOTIFIED
            self.pages[answer.token] = gfn
        assert answer.token != 0

    @rule(vcpu=vcpus)
    def go_on(self, vcpu: int) -> None:
        """Execute the next step of a handler, or take the interrupt."""
        if not self.runs(vcpu):
            return
        match self.steps.pop(vcpu, ""):
            case "not-present":
                self.sleep(vcpu)
                self.steps[vcpu] = "complete"
            case "complete":
                self.board.complete(vcpu)
            case "acknowledge":
                assert self.board.acknowledge(vcpu) == SUCCESS
            case _ if self.board.line(vcpu):
                if not self.board.by_event and self.board.word(0, vcpu) == NOT_PRESENT:
                    self.sleep(vcpu)
                else:
                    self.wake(vcpu)
                self.steps[vcpu] = "acknowledge"

    def sleep(self, vcpu: int) -> None:
        task = self.board.go_to_sleep(vcpu)
        if task:
            self.tasks.append(task)

    def wake(self, vcpu: int) -> None:
        token = self.board.word(4, vcpu)
        self.board.wake_up(vcpu)
        if token != ALL:
            assert (vcpu, self.pages[token], 0x9200_0007) in self.host.mapped

    @rule(vcpu=vcpus)
    def switch(self, vcpu: int) -> None:
        if self.is_free(vcpu):
            enabled = self.board.state(vcpu).enabled
            answer = self.board.disable(vcpu) if enabled else self.board.enable(vcpu=vcpu)
            assert answer == SUCCESS

    @rule(vcpu=vcpus)
    def mask(self, vcpu: int) -> None:
        if self.is_free(vcpu):
            self.host.sdei[vcpu].masked ^= True

    @rule(vcpu=vcpus)
    def disable_event(self, vcpu: int) -> None:
        if self.is_free(vcpu):
            self.host.sdei[vcpu].enabled ^= True

    @rule(vcpu=vcpus)
    def unregister(self, vcpu: int) -> None:
        if not self.is_free(vcpu):
            return
        sdei = self.host.sdei[vcpu]
        sdei.registered ^= True
        if sdei.pending:
            sdei.pending = False
            self.board.apf.event_withdrawn(vcpu, 1)

    # -- the host

    @rule(gfn=gfns)
    def arrive(self, gfn: int) -> None:
        if gfn in self.present:
            return
        self.present.add(gfn)
        self.board.apf.page_arrived(gfn)
        self.waits = {vcpu: page for vcpu, page in self.waits.items() if page != gfn}

    @rule(gfn=gfns)
    def discard(self, gfn: int) -> None:
        self.present.discard(gfn)

    @rule(vcpu=vcpus)
    def interrupt_a_halt(self, vcpu: int) -> None:
        self.board.apf.enter(vcpu)

    @rule(vcpu=vcpus)
    def switch_from_outside(self, vcpu: int) -> None:
        """The VMM sets the control word at a moment the guest knows nothing of."""
        state = self.board.state(vcpu)
        word = 0 if state.enabled else self.board.block(vcpu) | 1
        if vcpu not in self.steps:
            assert self.board.apf.ioctl(vcpu, 6, word) == (0, 0)

    @rule()
    def save_and_load(self) -> None:
        old = self.board.apf
        saved = json.loads(json.dumps(old.save()))
        self.board.apf = AsyncPageFault(old.mode, old.host, old.emit, VCPUS)
        self.board.apf.load(saved)
        assert self.board.apf.save() == old.save()

    @precondition(lambda self: not self.board.mode.undeliverable_halts)
    @rule()
    def migrate(self) -> None:
        """Nothing of what is in flight goes along, so nothing may be on its way to the guest."""
        for vcpu in range(VCPUS):
            if self.steps or self.board.line(vcpu) or self.host.sdei[vcpu].pending:
                return
        old = self.board.apf
        self.board.apf = AsyncPageFault(old.mode, old.host, old.emit, VCPUS)
        for vcpu in range(VCPUS):
            self.board.apf.restore_migrated(vcpu, old.migration_state(vcpu))

    # -- what holds

    @invariant()
    def nothing_is_out_of_bounds(self) -> None:
        for state in self.board.apf.vcpus:
            assert state.queued <= 64
            assert all(work.token != 0 for work in state.pending + state.done)
            assert bool(state.requested) >= bool(state.done)
            numbers = {work.gfn for work in state.pending + state.done if not work.wakes_all}
            assert len(numbers) == len(state.gfns)
            assert all(gfn in state.gfns for gfn in numbers)
            counters = state.counters
            total = counters.asynchronous.total() + counters.synchronous.total()
            assert counters.faults == total

    def teardown(self) -> None:
        """Let all come to rest: then nobody sleeps."""
        if not hasattr(self, "board"):
            return
        for gfn in (1, 2, 3, 1 << 32 | 3):
            self.arrive(gfn)
        assert not self.waits
        for vcpu in range(VCPUS):
            sdei = self.host.sdei[vcpu]
            sdei.registered = sdei.enabled = True
            sdei.masked = False
            self.board.state(vcpu).halted = False
            if not self.board.state(vcpu).enabled:
                self.board.apf.ioctl(vcpu, 6, self.board.block(vcpu) | 1)
            for _ in range(200):
                self.go_on(vcpu)
            state = self.board.state(vcpu)
            assert state.queued == len(state.gfns) == 0
            assert not self.board.line(vcpu)
            assert self.board.mailbox(vcpu) == (0, 0)
            assert self.board.tasks[vcpu] == {}
        for task in self.tasks:
            assert (task.slept, task.woken, task.asleep) == (1, 1, None)


@pytest.mark.parametrize(
    ("rules", "knobs"),
    [
        ("arm64-v4", {}),
        ("arm64-v4", {"duplicate_halts": True}),
        ("arm64-v4", {"cancels_not_present": False}),
        ("arm64-v4", {"ready_only_if_notified": True}),
        ("irq-only", {}),
        ("x86-rules", {}),
        ("x86-rules", {"separate_mailboxes": True}),
    ],
)
def test_no_wake_up_is_lost(rules: str, knobs: dict[str, bool]) -> None:
    class Rules(Interleavings):
        pass

    Rules.chosen = Board(mode(rules), **knobs).mode
    run_state_machine_as_test(
        Rules, settings=settings(max_examples=60, stateful_step_count=50, deadline=None)
    )
