"""A page fault and all that it leads to have one index: where is the machine there?"""

import pytest

from sdeiviz import Session
from sdeiviz.debugger import recording
from sdeiviz.machine import Paging
from sdeiviz.machine.latency import Constant
from sdeiviz.trace import EventDelivered, PageFault, VcpuUnblocked
from tests.debugger import busy
from tests.debugger.busy import state
from tests.machine import tasks
from tests.machine.guest import guest

US = 1000


@pytest.fixture(params=["one keyframe", "a keyframe each time"], autouse=True)
def _often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    every = request.param == "a keyframe each time"
    monkeypatch.setattr(recording, "_KEYFRAME_SECONDS", -1 if every else 1e9)


def session(mode: str = "arm64-v4") -> Session:
    """Two tasks, of which A touches a page that is absent."""
    made = guest(tasks.source(tasks.touches(1)))
    it = busy.session(made=made, paging=Paging(mode, Constant(50 * US)))
    it.write_memory(tasks.PAGE0, b"page 0")
    it.evict_page(tasks.PAGE0 >> 12)
    return it


def first(it: Session, kind: type) -> int:
    return next(event.index for event in it.trace if isinstance(event, kind))


def entry(it: Session) -> bool:
    """Whether the handler's first instruction is about to run."""
    now = it.snapshot()
    return bool(now.contexts) and now.registers.pc == now.handlers[1].entry


def test_where_the_event_is_delivered_its_handler_begins() -> None:
    it = session()
    it.run()
    at = first(it, EventDelivered)
    assert at == first(it, PageFault)
    reached = []
    for way in (it.next_sdei, lambda: it.goto(at)):
        it.goto(at - 1)
        way()
        reached.append(state(it))
        assert (it.index, entry(it)) == (at, True)
        now = it.snapshot()
        assert now.contexts[-1].x[8] == tasks.PAGE0
        assert now.apf[0].pending == ((tasks.PAGE0 >> 12, 0x1000),)
        told = [event for event in now.trace[: now.now] if event.index == at]
        assert any(isinstance(event, PageFault) for event in told)
        assert isinstance(told[-1], EventDelivered)
    assert reached[0] == reached[1]


def test_a_step_comes_to_where_the_page_is_not_touched_yet() -> None:
    it = session()
    it.run()
    at = first(it, PageFault)
    it.goto(at - 1)
    it.step()
    now = it.snapshot()
    assert not any(isinstance(event, PageFault) for event in now.trace[: now.now])
    assert (now.index, now.contexts, now.apf[0].pending) == (at, (), ())
    assert now.registers.x[8] == tasks.PAGE0


def test_where_a_vcpu_was_blocked_it_has_its_page() -> None:
    it = session("sync")
    it.run()
    at = first(it, VcpuUnblocked)
    assert at == first(it, PageFault)
    it.goto(at - 1)
    before = it.snapshot().time
    it.goto(at)
    now = it.snapshot()
    assert (now.index, now.registers.x[8]) == (at, tasks.PAGE0)
    assert now.time - before == 50 * US + 1
    it.step()
    assert it.snapshot().registers.x[9] == int.from_bytes(b"page 0", "little")


def test_what_the_host_does_in_a_handler_comes_again_in_the_handler() -> None:
    it = session()
    while not it.snapshot().contexts:
        it.next_sdei()
    assert entry(it)
    it.write_register("x5", 0x55)
    here = state(it)
    it.run(400)
    there, end, events = state(it), it.index, [*it.trace]
    for _ in range(2):
        it.start()
        it.goto(end)
        assert state(it) == there
        it.goto(first(it, EventDelivered))
        assert state(it) == here
        assert it.snapshot().registers.x[5] == 0x55
    assert [*it.trace] == events


def test_a_change_there_forgets_only_what_had_not_happened() -> None:
    it = session()
    it.run()
    at = first(it, EventDelivered)
    it.goto(at - 1)
    it.step()
    it.write_register("x5", 1)
    assert not any(isinstance(event, PageFault) for event in it.trace)
    it.run(1)
    assert sum(isinstance(event, PageFault) for event in it.trace) == 1
    it.goto(at)
    assert entry(it)
    it.write_register("x6", 2)
    assert sum(isinstance(event, EventDelivered) for event in it.trace) == 1


def test_the_end_of_a_recording_is_after_all_that_happened_there() -> None:
    it = session()
    while not it.snapshot().contexts:
        it.next_sdei()
    events = [*it.trace]
    it.start()
    it.goto(it.total)
    assert entry(it)
    it.step()
    assert [*it.trace] == events


def test_a_step_to_the_end_of_a_recording_repeats_what_happened_there() -> None:
    it = session()
    while not it.snapshot().contexts:
        it.next_sdei()
    events, end = [*it.trace], it.index
    it.goto(end - 1)
    it.step()
    assert (it.index, entry(it)) == (end, False)
    it.step()
    assert it.index == end + 1
    assert [*it.trace] == events
