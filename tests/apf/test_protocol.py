"""The protocol step by step, as the host side sees it. Numbers and outcomes are literal."""

import errno
from dataclasses import replace

import pytest

from sdeiviz.apf import MODES, Answer, Decision, ModeError, Reason, mode
from tests.apf.board import (
    ALL,
    BLOCK,
    EL0,
    EL1,
    EL1_MASKED,
    EVENT,
    INVALID,
    NOT_PRESENT,
    NOT_REQUIRED,
    NOT_SUPPORTED,
    PPI,
    READY,
    SUCCESS,
    Board,
    Task,
)

WAIT, NOTIFIED, HALT, RETRY = Decision.WAIT, Decision.NOTIFIED, Decision.HALT, Decision.RETRY
GFN = 0x4_0321


@pytest.fixture
def board() -> Board:
    """Enabled on vCPU 0 by the rules of v4."""
    return Board().ready()


def sleeper(board: Board, gfn: int, vcpu: int = 0) -> Task:
    """Fault, and let the guest put a task to sleep over it."""
    answer = board.fault(gfn, vcpu)
    assert answer.decision is NOTIFIED
    board.apf.enter(vcpu)
    if board.by_event:
        assert board.deliver(vcpu)
    task = board.go_to_sleep(vcpu)
    if board.by_event:
        board.complete(vcpu)
    else:
        board.acknowledge(vcpu)
    assert task is not None
    assert task.asleep == answer.token
    return task


# -- discovery -------------------------------------------------------------------------------------


def test_discovery() -> None:
    board = Board().configure()
    call = board.apf.call
    assert call(0, 0x8600_FF01, (0, 0, 0)) == (0xB66FB428, 0xE911C52E, 0x564BCAA9, 0x743A004D)
    assert call(0, 0x8600_0000, (0, 0, 0)) == (0b101, 0, 0, 0)
    assert board.apf.functions == (0x8600_FF01, 0x8600_0000, 0x8600_0002)
    assert [board.call(n) for n in range(4)] == [(0, 0x010000), (0, 64), (0, EVENT), (0, PPI)]
    assert board.call(6) == (NOT_SUPPORTED, 0)


def test_discovery_of_the_interrupt_only_variant() -> None:
    board = Board("irq-only")
    assert board.apf.call(0, 0x8600_0000, (0, 0, 0)) == (1, 0, 0b100, 0)
    assert board.apf.functions[-1] == 0x8600_0042
    assert [board.call(n) for n in (0, 1, 2)] == [(0, 0x010000), (0, 64), (0, 17)]
    assert board.call(5) == (NOT_SUPPORTED, 0)
    assert board.apf.call(0, 0x8600_0002, (0, 0, 0))[0] == (1 << 64) - 1


@pytest.mark.parametrize("rules", ["halt", "sync"])
def test_what_is_not_offered(rules: str) -> None:
    board = Board(rules)
    assert board.apf.call(0, 0x8600_0000, (0, 0, 0)) == (1, 0, 0, 0)
    assert [board.call(n)[0] for n in range(6)] == [NOT_SUPPORTED] * 6
    assert board.apf.ioctl(0, 5, PPI) == (-errno.EPERM, 0)
    assert len(board.apf.functions) == 2


# -- 1: enabling, in the order of its outcomes -----------------------------------------------------


def test_enable_needs_both_numbers() -> None:
    board = Board()
    assert board.disable() == NOT_REQUIRED
    assert board.enable() == INVALID
    board.apf.ioctl(0, 4, EVENT)
    assert board.enable() == INVALID
    board.apf.ioctl(0, 4, 0)
    board.apf.ioctl(0, 5, PPI)
    assert board.enable() == INVALID
    board.apf.ioctl(0, 4, EVENT)
    assert board.enable() == SUCCESS
    assert board.enable() == NOT_REQUIRED
    assert board.enable(BLOCK + 0x40 | 1) == NOT_REQUIRED
    assert board.disable() == SUCCESS
    assert board.disable() == NOT_REQUIRED


def test_enable_where_the_host_cannot() -> None:
    board = Board().configure()
    assert board.enable(0x3000_0001) == NOT_SUPPORTED
    assert board.enable(0xFFFF_FFFF_FFFF_FFC1) == NOT_SUPPORTED
    board.apf.ioctl(0, 4, 7)
    assert board.enable() == NOT_SUPPORTED
    board.apf.ioctl(0, 4, EVENT)
    board.host.has_interrupt_controller = False
    assert board.enable() == NOT_SUPPORTED
    board.host.has_interrupt_controller = True
    assert board.enable() == SUCCESS
    assert board.state().control == BLOCK | 1


def test_enabling_by_the_rules_of_the_interrupt_only_variant() -> None:
    board = Board("irq-only")
    assert board.enable(BLOCK | 3) == INVALID
    assert board.enable(BLOCK) == INVALID
    assert board.enable(0) == NOT_REQUIRED
    assert board.enable(0x3000_0001) == NOT_SUPPORTED
    assert board.enable() == SUCCESS
    assert board.enable() == NOT_REQUIRED
    # It may move: that is a disable and an enable in one.
    assert board.enable(BLOCK + 0x40 | 1) == SUCCESS
    assert board.state().control == BLOCK + 0x40 | 1
    assert board.disable() == SUCCESS


def test_enabling_the_interrupt_only_variant_starts_afresh() -> None:
    board = Board("irq-only").ready()
    task = sleeper(board, 1)
    assert board.enable(BLOCK + 0x40 | 1) == SUCCESS  # moved, with a page in flight
    assert board.moments()[-2:] == [
        "ApfControl('disable', 0)",
        f"ApfControl('enable', {BLOCK + 0x40 | 1})",
    ]
    assert (board.state().queued, board.state().next_id) == (1, 0)
    board.host.words = {BLOCK: 5, BLOCK + 4: 6}
    assert board.enable() == SUCCESS
    assert board.mailbox() == (0, 0)
    board.run()
    assert task.woken == 1
    assert board.fault(1).token == 1 << 12


def test_only_32_bits_of_an_argument_count() -> None:
    board = Board().configure()
    junk = 0xABCD << 32
    word = BLOCK | 1
    assert board.apf.call(0, 0x8600_0002, (4 | junk, word | junk, junk)) == (0, 0, 0, 0)
    assert board.state().control == word


# -- 2: the wake-all -------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", ["arm64-v4", "arm64-v4-literal", "irq-only", "x86-rules"])
def test_enabling_wakes_everybody(rules: str) -> None:
    board = Board(rules).configure()
    assert board.enable() == SUCCESS
    assert board.host.kicks == [0]
    assert board.mailbox() == (0, 0)
    board.host.writes.clear()
    board.apf.enter(0)
    # The token first, then the reason.
    assert board.host.writes == [(BLOCK + 4, ALL), (BLOCK, READY)]
    assert board.line()
    assert board.moments() == [f"ApfControl('enable', {BLOCK | 1})", f"PageReady({ALL},)"]
    assert board.interrupt()
    assert not board.line()


@pytest.mark.parametrize("rules", ["arm64-v4", "irq-only"])
def test_setting_the_control_word_wakes_everybody(rules: str) -> None:
    source = Board(rules).ready()
    tasks = [sleeper(source, gfn) for gfn in (7, 8)]
    target = Board(rules)
    target.host.words = dict(source.host.words)
    target.tasks = source.tasks
    migrated = source.apf.migration_state(0)
    sdei = EVENT if target.by_event else 0
    assert migrated == {"sdei": sdei, "irq": source.irq, "control": BLOCK | 1}
    errors = target.apf.restore_migrated(0, migrated)
    assert errors == ((0, 0, 0) if target.by_event else (-errno.ENXIO, 0, 0))
    assert target.state().queued == 1
    target.run()
    assert [task.woken for task in tasks] == [1, 1]
    assert target.moments()[0] == f"ApfControl('restore', {BLOCK | 1})"


def test_the_interrupt_only_code_forgets_the_wake_all() -> None:
    board = Board("irq-only", restore_wakes_all=False)
    assert board.apf.ioctl(0, 6, BLOCK | 1) == (0, 0)
    assert board.state().queued == 0
    assert board.disable() == board.enable() == SUCCESS
    assert board.state().queued == 1, "the guest's own ENABLE does not forget it"


# -- 3: not told -----------------------------------------------------------------------------------


def waits(board: Board, reason: Reason, pstate: int = EL0) -> None:
    before = board.mailbox(), board.state().queued, dict(board.host.lines)
    assert board.fault(GFN, pstate=pstate) == Answer(WAIT, reason)
    assert (board.mailbox(), board.state().queued, board.host.lines) == before
    assert not board.host.sdei[0].pending
    assert board.moments()[-1] == f"PageFault({GFN}, None, 'wait', '{reason.value}')"
    assert board.state().counters.synchronous == {reason.value: board.state().counters.faults}


def test_it_waits_where_nobody_asked() -> None:
    waits(Board(), Reason.DISABLED)
    board = Board().ready()
    board.disable()
    waits(board, Reason.DISABLED)


@pytest.mark.parametrize("pstate", [0x4, EL1, EL1_MASKED])
def test_it_waits_in_kernel_mode(board: Board, pstate: int) -> None:
    waits(board, Reason.KERNEL_MODE, pstate)


def test_a_32_bit_task_is_told(board: Board) -> None:
    assert board.fault(GFN, pstate=0x10).decision is NOTIFIED


def test_send_always() -> None:
    board = Board().configure()
    assert board.enable(BLOCK | 3) == SUCCESS
    board.run()
    assert board.fault(GFN, pstate=EL1).decision is NOTIFIED
    board = Board(send_always=False).configure()
    assert board.enable(BLOCK | 3) == SUCCESS
    board.run()
    waits(board, Reason.KERNEL_MODE, EL1)


def test_it_waits_while_a_handler_runs(board: Board) -> None:
    board.host.sdei[0].other_running = True
    waits(board, Reason.HANDLER_RUNNING)


@pytest.mark.parametrize("offset", [0, 4])
def test_it_waits_while_the_mailbox_is_busy(board: Board, offset: int) -> None:
    board.host.words[BLOCK + offset] = 1
    waits(board, Reason.MAILBOX_BUSY)


def test_it_waits_while_sdei_is_masked(board: Board) -> None:
    board.host.sdei[0].masked = True
    waits(board, Reason.SDEI_MASKED)


def test_it_waits_while_the_event_is_disabled(board: Board) -> None:
    board.host.sdei[0].enabled = False
    waits(board, Reason.SDEI_BUSY)


def test_it_waits_while_the_event_has_no_handler(board: Board) -> None:
    board.host.sdei[0].registered = False
    waits(board, Reason.NOT_REGISTERED)


def test_it_waits_if_only_an_interrupt_raises_the_event(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board.host, "inject_event", lambda vcpu, event: -errno.EINVAL)
    waits(board, Reason.NOT_INJECTABLE)


@pytest.mark.parametrize("rules", ["arm64-v4", "irq-only"])
def test_64_are_in_flight(rules: str) -> None:
    board = Board(rules).ready()
    for gfn in range(64):
        sleeper(board, gfn)
    assert board.fault(GFN) == Answer(WAIT, Reason.SLOTS_FULL)
    assert board.mailbox() == (0, 0)
    # One that has arrived still counts, until the guest has heard of it.
    board.apf.page_arrived(5)
    assert board.fault(GFN) == Answer(WAIT, Reason.SLOTS_FULL)
    board.run()
    assert board.fault(GFN).decision is NOTIFIED


def test_the_wake_all_takes_a_place() -> None:
    board = Board().configure()
    board.enable()
    for gfn in range(63):
        assert board.fault(gfn).decision is NOTIFIED
        assert board.deliver()
        board.go_to_sleep()
        board.complete()
    assert board.fault(GFN) == Answer(WAIT, Reason.SLOTS_FULL)
    board.run()
    assert board.fault(GFN).decision is NOTIFIED


def test_the_mode_that_always_waits() -> None:
    board = Board("sync")
    assert board.fault(GFN) == Answer(WAIT, Reason.MODE)
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.host.mapped == []


# -- told ------------------------------------------------------------------------------------------


def test_a_fault_from_end_to_end(board: Board) -> None:
    answer = board.fault(GFN)
    token = answer.token
    assert answer == Answer(NOTIFIED, Reason.NONE, token)
    assert token
    assert board.host.writes == [(BLOCK + 4, token), (BLOCK, NOT_PRESENT)]
    assert board.host.sdei[0].pending
    board.apf.enter(0)
    assert board.deliver()
    task = board.go_to_sleep()
    board.complete()
    board.apf.page_arrived(GFN)
    assert board.host.kicks == [0]
    board.host.writes.clear()
    board.apf.enter(0)
    assert board.host.mapped == [(0, GFN, 0x9200_0007)]
    assert board.host.writes == [(BLOCK + 4, token), (BLOCK, READY)]
    assert board.line()
    assert board.wake_up() == [task]
    assert board.acknowledge() == SUCCESS
    assert not board.line()
    assert board.state().queued == len(board.state().gfns) == 0
    assert board.moments() == [
        f"PageFault({GFN}, {token}, 'notified', '')",
        f"PageArrived({GFN},)",
        f"PageReady({token},)",
    ]
    counters = board.state().counters
    assert (counters.faults, counters.asynchronous) == (1, {"notified": 1})


def test_an_acknowledgement_of_nothing_is_harmless(board: Board) -> None:
    sleeper(board, GFN)
    board.host.lines.clear()
    assert board.acknowledge() == SUCCESS
    assert board.host.lines == {}


# -- 4: one page twice -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "decision"), [("arm64-v4", RETRY), ("irq-only", HALT), ("x86-rules", HALT)]
)
def test_the_same_page_again_on_the_same_vcpu(rules: str, decision: Decision) -> None:
    board = Board(rules).ready()
    sleeper(board, GFN)
    board.host.writes.clear()
    board.host.kicks.clear()
    for _ in range(3):
        assert board.fault(GFN) == Answer(decision, Reason.IN_FLIGHT)
    assert board.host.writes == []
    assert board.state().queued == 1
    assert board.state().halted is (decision is HALT)
    board.apf.page_arrived(GFN)
    assert not board.state().halted
    assert board.host.kicks == [0]
    assert board.state().counters.asynchronous[decision.value] == 3


def test_the_knob_that_halts_instead_of_spinning() -> None:
    board = Board(duplicate_halts=True).ready()
    sleeper(board, GFN)
    assert board.fault(GFN) == Answer(HALT, Reason.IN_FLIGHT)
    # An interrupt lets it go on, too.
    board.apf.enter(0)
    assert not board.state().halted


def test_a_halt_ends_although_the_last_page_was_not_acknowledged() -> None:
    board = Board("x86-rules").ready()
    sleeper(board, 1)
    board.apf.page_arrived(1)
    board.apf.enter(0)
    board.wake_up()
    assert board.fault(2, pstate=EL1).decision is HALT
    board.host.kicks.clear()
    board.apf.page_arrived(2)
    assert board.host.kicks == [0]
    assert not board.state().halted


def test_a_halt_ends_with_what_it_waits_for() -> None:
    board = Board("x86-rules").ready()
    assert board.fault(2, pstate=EL1).decision is HALT
    board.host.kicks.clear()
    assert board.apf.ioctl(0, 6, 0) == (0, 0)
    assert board.host.kicks == [0]
    assert not board.state().halted


def test_a_page_in_flight_waits_if_the_guest_could_not_be_told(board: Board) -> None:
    sleeper(board, GFN)
    waits_at_el1 = board.fault(GFN, pstate=EL1)
    assert waits_at_el1 == Answer(WAIT, Reason.KERNEL_MODE)


def test_the_same_page_on_another_vcpu() -> None:
    board = Board(vcpus=2).ready()
    tasks = [sleeper(board, GFN, vcpu) for vcpu in (0, 1)]
    tokens = [task.asleep for task in tasks]
    assert tokens[0] != tokens[1]
    assert [token and token & 0xFFF for token in tokens] == [0, 1]
    board.apf.page_arrived(GFN)
    for vcpu in (0, 1):
        board.run(vcpu)
    assert [task.woken for task in tasks] == [1, 1]
    assert sum("PageArrived" in moment for moment in board.moments()) == 2


# -- 5: the page wins the race ---------------------------------------------------------------------


def test_the_page_arrives_before_the_guest_was_told(board: Board) -> None:
    board.fault(GFN)
    board.apf.page_arrived(GFN)
    board.moments()
    board.host.writes.clear()
    board.apf.enter(0)
    assert not board.host.sdei[0].pending
    assert board.host.writes == [(BLOCK, 0), (BLOCK + 4, 0)]
    assert not board.line()
    assert GFN not in board.state().gfns
    assert board.host.mapped == [(0, GFN, 0x9200_0007)]
    assert board.moments() == []
    # All as before: the next one is told.
    assert board.fault(GFN + 1).decision is NOTIFIED


def test_it_wins_only_if_it_is_the_first(board: Board) -> None:
    first = sleeper(board, 1)
    board.fault(GFN)
    board.apf.page_arrived(1)
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.host.sdei[0].pending
    assert board.state().requested
    board.run()
    assert first.woken == 1
    assert board.tasks == [{}]
    assert next(m for m in board.moments() if "Ready" in m) == f"PageReady({1 << 12},)"


def test_it_has_lost_once_the_handler_was_entered(board: Board) -> None:
    board.fault(GFN)
    board.apf.enter(0)
    assert board.deliver()
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.mailbox()[0] == NOT_PRESENT
    assert not board.line()
    task = board.go_to_sleep()
    board.complete()
    board.run()
    assert task
    assert task.woken == 1


def test_it_has_lost_once_the_mailbox_was_cleared(board: Board) -> None:
    board.fault(GFN)
    board.clear()  # the guest looked before the event came
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.host.sdei[0].pending
    assert board.mailbox() == (READY, 1 << 12)


def test_both_are_told_without_the_cancel() -> None:
    board = Board(cancels_not_present=False).ready()
    board.fault(GFN)
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.host.sdei[0].pending
    board.run()
    assert board.tasks == [{}]
    assert board.mailbox() == (0, 0)


# -- 6: in order, one at a time --------------------------------------------------------------------


@pytest.mark.parametrize("rules", ["arm64-v4", "irq-only", "x86-rules"])
def test_pages_are_announced_in_the_order_of_their_arrival(rules: str) -> None:
    board = Board(rules).ready()
    tasks = {gfn: sleeper(board, gfn) for gfn in (1, 2, 3)}
    tokens = {gfn: task.asleep for gfn, task in tasks.items()}
    board.moments()
    for gfn in (3, 1, 2):
        board.apf.page_arrived(gfn)
    board.apf.enter(0)
    for gfn in (3, 1, 2):
        assert board.mailbox() == (READY, tokens[gfn])
        assert board.line()
        board.apf.enter(0)
        assert board.wake_up() == [tasks[gfn]]
        board.apf.enter(0)
        assert board.mailbox() == (0, 0)
        assert board.acknowledge() == SUCCESS
    assert not board.line()
    assert not board.state().requested


# -- 7: an acknowledgement that is late ------------------------------------------------------------


def test_until_the_acknowledgement_nothing_more_is_ready(board: Board) -> None:
    tasks = [sleeper(board, gfn) for gfn in (1, 2)]
    board.apf.page_arrived(1)
    board.apf.enter(0)
    assert board.fault(3) == Answer(WAIT, Reason.MAILBOX_BUSY)
    board.wake_up()
    board.host.kicks.clear()
    board.apf.page_arrived(2)
    assert board.host.kicks == []  # it would only be told to wait
    for _ in range(3):
        board.apf.enter(0)
        assert board.mailbox() == (0, 0)
    assert board.state().requested
    assert board.acknowledge() == SUCCESS
    board.run()
    assert [task.woken for task in tasks] == [1, 1]


def test_the_interrupt_only_variant_says_nothing_until_the_acknowledgement() -> None:
    board = Board("irq-only").ready()
    board.fault(1)
    assert board.line()
    board.go_to_sleep()
    assert board.fault(2) == Answer(WAIT, Reason.UNACKNOWLEDGED)
    board.apf.page_arrived(1)
    board.apf.enter(0)
    assert board.mailbox() == (0, 0)
    assert board.acknowledge() == SUCCESS
    assert board.mailbox()[0] == READY
    assert board.line()
    board.wake_up()
    assert board.fault(2) == Answer(WAIT, Reason.UNACKNOWLEDGED)
    assert board.acknowledge() == SUCCESS
    assert board.fault(2).decision is NOTIFIED


# -- 8: tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vcpus", "vcpu"), [(1, 0), (3, 2)])
def test_token_0_is_never_issued(vcpus: int, vcpu: int) -> None:
    board = Board(vcpus=vcpus).ready()
    tokens = []
    for _ in range((1 << 16) + 2):
        tokens.append(board.fault(GFN, vcpu).token)
        board.apf.page_arrived(GFN)
        board.apf.enter(vcpu)
        board.trace.clear()
    assert tokens[:2] == [1 << 12 | vcpu, 2 << 12 | vcpu]
    assert tokens[0xFFFE] == 0xFFFF << 12 | vcpu
    assert tokens[0xFFFF] == 1 << 12 | vcpu
    assert 0 not in tokens


def test_the_series_issues_it() -> None:
    board = Board("arm64-v4-literal").ready()
    assert board.fault(GFN).token == 0
    board.state().next_id = 0xFFFF
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.fault(GFN).token == 0xFFFF000
    assert board.state().next_id == 0


# -- 9: the guest's table --------------------------------------------------------------------------


def test_a_task_that_found_no_place_faults_again(board: Board) -> None:
    board.table = 0
    board.fault(GFN)
    board.apf.enter(0)
    assert board.deliver()
    assert board.go_to_sleep() is None
    board.complete()
    assert board.fault(GFN) == Answer(RETRY, Reason.IN_FLIGHT)
    board.apf.page_arrived(GFN)
    board.run()
    board.table = 128
    task = sleeper(board, GFN + 1)
    board.apf.page_arrived(GFN + 1)
    board.run()
    assert task.woken == 1


# -- 10, 11: disable, reset ------------------------------------------------------------------------


@pytest.mark.parametrize("rules", ["arm64-v4", "arm64-v4-literal", "irq-only", "x86-rules"])
def test_disabling_with_faults_in_flight(rules: str) -> None:
    board = Board(rules).ready()
    tasks = [sleeper(board, gfn) for gfn in (1, 2)]
    board.apf.page_arrived(1)
    assert board.disable() == SUCCESS
    assert board.state().queued == 0
    board.apf.page_arrived(2)
    board.run()
    assert board.mailbox() == (0, 0)
    assert not board.line()
    assert [task.woken for task in tasks] == [0, 0]
    assert board.enable() == SUCCESS
    board.run()
    assert [task.woken for task in tasks] == [1, 1]


@pytest.mark.parametrize("rules", ["arm64-v4", "irq-only"])
def test_disabling_takes_back_what_is_on_its_way(rules: str) -> None:
    board = Board(rules).ready()
    board.fault(GFN)
    board.disable()
    assert board.mailbox() == (0, 0)
    assert not board.host.sdei[0].pending
    assert not board.line()
    assert board.enable() == SUCCESS
    board.run()
    task = sleeper(board, GFN)
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.line()
    board.disable()
    assert board.mailbox() == (0, 0)
    assert not board.line()
    board.enable()
    board.run()
    assert task.woken == 1


def test_the_series_leaves_both() -> None:
    board = Board("arm64-v4-literal").ready()
    board.state().next_id = 1
    board.fault(GFN)
    board.disable()
    assert board.host.sdei[0].pending
    assert board.mailbox()[0] == NOT_PRESENT
    board.run()  # the guest sleeps over a page of which nobody will tell it
    (task,) = board.tasks[0].values()
    board.apf.page_arrived(GFN)
    board.run()
    assert task.woken == 0


@pytest.mark.parametrize("rules", ["arm64-v4", "irq-only", "x86-rules"])
def test_reset(rules: str) -> None:
    board = Board(rules).ready()
    sleeper(board, 1)
    board.fault(2)
    board.fault(2)
    numbers = board.state().sdei, board.state().irq
    words = dict(board.host.words)
    board.moments()
    board.apf.reset(0)
    assert board.moments() == ["ApfControl('reset', 0)"]
    state = board.state()
    assert (state.control, state.queued, len(state.gfns), state.next_id) == (0, 0, 0, 0)
    assert (state.not_present, state.page_ready, state.halted) == (None, False, False)
    assert (state.sdei, state.irq) == numbers
    assert board.host.words == words
    assert not board.line()
    board.apf.page_arrived(1)
    assert board.moments() == []


# -- injection that fails, an event that is dropped ------------------------------------------------


def test_the_series_leaves_the_mailbox_busy() -> None:
    board = Board("arm64-v4-literal").ready()
    board.state().next_id = 1
    board.host.sdei[0].masked = True
    assert board.fault(GFN) == Answer(RETRY, Reason.SDEI_MASKED)
    assert board.mailbox() == (NOT_PRESENT, 1 << 12)
    board.host.sdei[0].masked = False
    assert board.fault(GFN) == Answer(WAIT, Reason.MAILBOX_BUSY)
    assert board.fault(GFN + 1) == Answer(WAIT, Reason.MAILBOX_BUSY)
    board.apf.page_arrived(GFN)
    board.run()
    assert board.mailbox() == (0, 0)
    assert board.fault(GFN + 1).decision is NOTIFIED


def test_the_series_can_lose_a_wake_up_so() -> None:
    board = Board("arm64-v4-literal").ready()
    board.state().next_id = 1
    task = sleeper(board, 1)
    board.host.sdei[0].masked = True
    board.fault(2)
    board.host.sdei[0].masked = False
    for gfn in (1, 2):  # the page of the task is first, and the mailbox belongs to the other
        board.apf.page_arrived(gfn)
    board.run()
    assert task.woken == 0
    assert board.state().requested


def test_the_series_tells_of_a_page_although_nobody_heard_of_its_absence() -> None:
    board = Board("arm64-v4-literal").ready()
    board.state().next_id = 1
    board.host.sdei[0].registered = False
    assert board.fault(GFN) == Answer(RETRY, Reason.NOT_REGISTERED)
    board.apf.page_arrived(GFN)
    board.apf.enter(0)
    assert board.mailbox() == (READY, 1 << 12)
    assert board.line()


def test_an_event_that_is_dropped_frees_the_mailbox(board: Board) -> None:
    task = sleeper(board, 1)
    board.fault(2)
    board.host.sdei[0].pending = False
    board.apf.event_withdrawn(0, 0)
    assert board.mailbox()[0] == NOT_PRESENT
    board.apf.event_withdrawn(0, EVENT)
    assert board.mailbox() == (0, 0)
    for gfn in (1, 2):
        board.apf.page_arrived(gfn)
    board.run()
    assert task.woken == 1
    assert board.state().queued == 0


def test_an_event_that_is_dropped_after_disabling_leaves_memory_alone() -> None:
    board = Board("arm64-v4-literal").ready()
    board.fault(1)
    board.disable()
    words = dict(board.host.words)
    board.apf.event_withdrawn(0, EVENT)
    assert board.host.words == words


def test_other_events_do_not_matter(board: Board) -> None:
    board.fault(GFN)
    board.apf.event_delivered(0, 0)
    assert board.state().not_present is not None
    board.apf.event_delivered(0, EVENT)
    assert board.state().not_present is None


def test_no_event_matters_where_the_interrupt_tells_of_both() -> None:
    board = Board("irq-only").ready()
    answer = board.fault(GFN)
    board.apf.event_delivered(0, 0)
    board.apf.event_withdrawn(0, 0)
    assert board.state().not_present == answer.token
    assert board.mailbox() == (NOT_PRESENT, answer.token)


# -- 12: the rules of x86 --------------------------------------------------------------------------


def test_x86_halts_where_the_guest_cannot_be_told() -> None:
    board = Board("x86-rules").configure()
    assert board.fault(1) == Answer(HALT, Reason.DISABLED)
    assert board.state().halted
    board.apf.page_arrived(1)
    assert board.host.kicks == [0]
    board.apf.enter(0)
    assert board.host.mapped == [(0, 1, 0x9200_0007)]
    assert board.mailbox() == (0, 0)
    board.ready()
    assert board.fault(2, pstate=EL1) == Answer(HALT, Reason.KERNEL_MODE)
    assert board.fault(2, pstate=EL1) == Answer(HALT, Reason.IN_FLIGHT)
    assert board.fault(3, pstate=EL1_MASKED) == Answer(WAIT, Reason.INTERRUPTS_MASKED)
    board.host.sdei[0].masked = True
    assert board.fault(4) == Answer(HALT, Reason.SDEI_MASKED)
    assert board.mailbox() == (0, 0)
    board.moments()
    for gfn in (2, 4):
        board.apf.page_arrived(gfn)
    board.apf.enter(0)
    # It did not hear of their absence, so it does not hear of their arrival.
    assert board.moments() == ["PageArrived(2,)", "PageArrived(4,)"]
    assert not board.line()
    assert board.state().counters.asynchronous == {"halt": 4}


def test_halting_without_the_guests_help() -> None:
    board = Board("halt")
    assert board.fault(1) == Answer(HALT, Reason.DISABLED)
    assert board.fault(1) == Answer(HALT, Reason.IN_FLIGHT)
    assert board.fault(2, pstate=EL1_MASKED) == Answer(WAIT, Reason.INTERRUPTS_MASKED)
    board.apf.enter(0)  # an interrupt: another task runs
    assert board.fault(3) == Answer(HALT, Reason.DISABLED)
    board.apf.page_arrived(1)
    assert not board.state().halted
    board.apf.enter(0)
    assert board.state().queued == 1
    assert board.host.writes == []


def test_two_mailboxes_overlap_and_may_change_places() -> None:
    """Page-ready is taken before page-not-present: the dummy token of an x86 guest."""
    board = Board("x86-rules", separate_mailboxes=True).ready()
    first = sleeper(board, 1)
    board.fault(2)
    token = board.word(8)
    assert (board.word(0), board.word(4), token) == (NOT_PRESENT, 0, 2 << 12)
    board.apf.page_arrived(1)
    board.apf.enter(0)
    assert (board.word(0), board.word(4), board.word(8)) == (NOT_PRESENT, 1 << 12, token)
    assert board.wake_up() == [first]
    board.acknowledge()
    board.apf.page_arrived(2)
    board.apf.enter(0)
    assert board.word(4) == token
    assert board.wake_up() == []
    assert board.dummies == [{token}]
    board.acknowledge()
    assert board.deliver()
    assert board.go_to_sleep() is None
    board.complete()
    assert board.dummies == [set()]
    assert board.tasks == [{}]
    assert [board.word(offset) for offset in (0, 4, 8)] == [0, 0, 0]


def test_a_second_mailbox_needs_a_third_word() -> None:
    board = Board("x86-rules", separate_mailboxes=True).configure()
    assert board.enable(0x40FF_FFC0 | 1) == SUCCESS
    board.host.holds = lambda address, size: size <= 8  # type: ignore[method-assign]
    board.disable()
    assert board.enable() == NOT_SUPPORTED


# -- the VMM's side --------------------------------------------------------------------------------


def test_the_ioctl() -> None:
    board = Board()
    ioctl = board.apf.ioctl
    assert ioctl(None, 0) == (0, 0x010000)
    assert {ioctl(None, command) for command in (1, 6, 7)} == {(-errno.EINVAL, 0)}
    assert {ioctl(0, command) for command in (0, 7, -1)} == {(-errno.EINVAL, 0)}
    assert [ioctl(0, command) for command in (1, 2, 3)] == [(0, 0)] * 3
    assert ioctl(0, 4, 0x4040_0001) == (0, 0)
    assert ioctl(0, 5, PPI) == (0, 0)
    assert [ioctl(0, command) for command in (1, 2, 3)] == [(0, 0x4040_0001), (0, PPI), (0, 0)]
    assert ioctl(0, 6, 0) == (-errno.EIO, 0)  # as it is: not SUCCESS
    assert ioctl(0, 6, BLOCK | 1) == (-errno.EIO, 0)  # there is no such event
    ioctl(0, 4, EVENT)
    assert ioctl(0, 6, BLOCK | 1) == (0, 0)
    assert ioctl(0, 3) == (0, BLOCK | 1)
    assert ioctl(0, 6, BLOCK | 1) == (-errno.EIO, 0)


def test_the_attributes_of_the_interrupt_only_variant() -> None:
    ioctl = Board("irq-only").apf.ioctl
    assert ioctl(0, 2) == (0, 17)
    assert ioctl(0, 1) == ioctl(0, 4, 1) == (-errno.ENXIO, 0)
    assert [ioctl(0, 5, irq)[0] for irq in (15, 16, 31, 32)] == [-22, 0, 0, -22]
    assert ioctl(0, 6, BLOCK | 3) == (-errno.EINVAL, 0)
    assert ioctl(0, 6, 0x3000_0001) == (-errno.EFAULT, 0)
    assert ioctl(0, 6, 0) == (0, 0)
    assert ioctl(0, 6, BLOCK | 1) == (0, 0)
    assert ioctl(0, 5, 20) == (-errno.EBUSY, 0)


# -- state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True])
def test_what_is_in_flight_is_saved(both: bool) -> None:
    board = Board().ready()
    task = sleeper(board, 1)
    sleeper(board, 2)
    board.apf.page_arrived(1)
    board.apf.enter(0)
    if both:
        board.apf.page_arrived(2)
    saved = board.apf.save()
    other = Board().configure()
    other.host.words, other.tasks = board.host.words, board.tasks
    other.host.lines = dict(board.host.lines)
    other.apf.load(saved)
    assert other.apf.save() == saved
    state = other.state()
    assert (state.page_ready, state.requested) == (True, both)
    assert [gfn for gfn in (1, 2) if gfn in state.gfns] == [2]
    assert [work.gfn for work in (state.done if both else state.pending)] == [2]
    assert state.counters.asynchronous == {"notified": 2}
    other.run()
    assert task.woken == 1
    assert other.state().queued == (not both)


# -- modes -----------------------------------------------------------------------------------------


def test_modes() -> None:
    assert list(MODES) == [
        "arm64-v4",
        "arm64-v4-literal",
        "irq-only",
        "x86-rules",
        "halt",
        "sync",
    ]
    assert all(name == found.name for name, found in MODES.items())
    assert mode("sync") is MODES["sync"]
    with pytest.raises(ModeError, match="no async page fault mode 'x': choose from arm64-v4, "):
        mode("x")
    literal = replace(
        mode("arm64-v4"),
        name="arm64-v4-literal",
        skips_token_zero=False,
        failure_clears_mailbox=False,
        disable_withdraws=False,
    )
    assert mode("arm64-v4-literal") == literal
