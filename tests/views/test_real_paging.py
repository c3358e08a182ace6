"""The views of async page fault on runs of the bundled kernel, checked against the machine."""

import pytest

from sdeiviz.debugger import Session
from sdeiviz.experiment import load
from sdeiviz.machine import Paging
from sdeiviz.trace import PageFault
from sdeiviz.views import accounts, fault, mailbox, pagemap, reasons, timeline
from sdeiviz.views.threads import Doing, history

MODES = ("sync", "halt", "arm64-v4", "irq-only", "x86-rules")


@pytest.fixture(scope="module", params=MODES)
def run(request: pytest.FixtureRequest) -> Session:
    made = Session(
        "kernel",
        paging=Paging(mode=request.param, resident=24, costs=load().costs),
        bootargs="m=2 c=1 pages=48 passes=2 slice=100000 tick=50000",
    )
    made.run(60_000_000)
    assert made.snapshot().stopped
    return made


def test_the_timeline_agrees_with_the_accounts(run: Session) -> None:
    now = run.snapshot()
    whole = history(run.trace, 0, now.time)
    pe = whole.rows[0].spent()
    assert pe.get(Doing.BLOCKED, 0) == now.accounts[0]["blocked"]
    assert pe.get(Doing.HALTED, 0) == now.accounts[0]["halted"]
    assert sum(pe.values()) == now.time
    threads = [row.spent() for row in whole.rows[1:]]
    assert [row.name for row in whole.rows[1:]] == ["M memory 1", "M memory 2", "C compute"]
    assert sum(spent.get(Doing.BLOCKED, 0) for spent in threads) == pe.get(Doing.BLOCKED, 0)
    assert any(spent.get(Doing.ASLEEP) for spent in threads) == (now.apf_mode not in MODES[:2])


def test_the_marks_agree_with_the_counters(run: Session) -> None:
    now = run.snapshot()
    marks = history(run.trace, 0, now.time).marks
    (view,) = now.apf
    notified = sum(mark.kind == "notified" for mark in marks)
    assert notified == view.asynchronous.get("notified", 0)
    waited = sum(view.synchronous.values()) + view.asynchronous.get("halt", 0)
    assert sum(mark.kind == "waited" for mark in marks) == waited
    assert sum(amount for *_, amount in reasons.totals(now)) == view.faults > 20


def test_every_fault_has_a_life_and_an_end(run: Session) -> None:
    trace = [*run.trace]
    count = len(fault.faults(trace))
    for number in range(1, count + 1):
        steps = fault.life(trace, number)
        told = [step.words for step in steps]
        assert "fault" in told[0]
        first = trace[fault.faults(trace)[number - 1]]
        assert isinstance(first, PageFault)
        assert steps[0].index == first.index
        assert [step.index for step in steps] == sorted(step.index for step in steps)
        if first.decision == "notified":
            assert any("puts M to sleep" in said for said in told)
            assert told[-1] == "M goes on", told
        elif first.decision != "retry":
            assert told[-1].endswith("goes on"), told


def test_every_view_of_every_moment_can_be_made(run: Session) -> None:
    indexes = sorted({event.index for event in run.trace})
    for index in indexes[:: max(1, len(indexes) // 12)]:
        run.goto(index)
        now = run.snapshot()
        for view in (accounts, fault, mailbox, pagemap, reasons, timeline):
            assert view.text(now)
            assert "</svg>" in view.svg(now)
        (row,) = accounts.rows(now)
        assert row[-1] == accounts.exact(now.time)
    run.goto(run.total)
