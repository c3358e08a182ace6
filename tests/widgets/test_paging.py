"""The surface of a machine with a pager: what is offered, what travels, and only when asked for."""

from typing import Any
from xml.etree import ElementTree

import pytest

from sdeiviz.debugger import Session
from sdeiviz.machine import Paging
from sdeiviz.widgets import Debugger, frame
from tests.machine.crew import session
from tests.views.faults import apf, paged
from tests.views.runs import GFN, asynchronous
from tests.widgets.conftest import Open, Wire, send
from tests.widgets.test_budget import JUMP, STEP, numbers_in

PAGING = ["mailbox", "reasons", "accounts"]


def state(debugger: Debugger) -> dict[str, Any]:
    return debugger.widget.get_state()  # type: ignore[union-attr, no-any-return]


@pytest.fixture(scope="module")
def run() -> Session:
    """A short run of the bundled kernel: some pages of the memory thread do not fit."""
    made = Session(
        "kernel",
        paging=Paging(resident=20),
        bootargs="m=1 c=1 pages=32 passes=1 slice=200000 tick=100000",
    )
    made.run(30_000_000)
    return made


@pytest.fixture
def kernel(opened: Open, run: Session) -> Debugger:
    faults = [event.index for event in run.trace if type(event).__name__ == "PageFault"]
    assert len(faults) > 5
    run.goto(faults[3] + 1)
    return opened(run)


def test_what_is_offered_depends_on_the_machine(kernel: Debugger, opened: Open) -> None:
    machine = state(kernel)["guest"]["machine"]
    assert [name for name, *_ in machine["tables"]] == ["interrupts", *PAGING]
    assert [name for name, _ in machine["drawings"]] == ["pages", "threads", "fault"]
    assert state(opened("delivery"))["guest"]["machine"] is None
    several = state(opened(session(2)))["guest"]["machine"]
    assert not {name for name, *_ in several["tables"]} & set(PAGING)
    assert several["drawings"] == []
    names, drawings = frame.offered(paged(apf(), apf(1)))
    assert [*names] == [*frame.TABLES]
    assert drawings == [*frame.DRAWINGS]


@pytest.mark.parametrize("name", frame.DRAWINGS)
def test_a_drawing_comes_when_it_is_asked_for(kernel: Debugger, name: str) -> None:
    send(kernel, "drawing", name=name)
    drawing = state(kernel)["drawing"]
    assert (drawing["name"], drawing["at"]) == (name, kernel.index)
    ElementTree.fromstring(drawing["svg"])
    assert frame.size(drawing) < 60_000
    send(kernel, "step")
    assert state(kernel)["drawing"] == drawing, "until the page asks again"
    send(kernel, "drawing", name="nonsense")
    assert state(kernel)["drawing"] is None
    assert not state(kernel)["error"]


@pytest.mark.parametrize("name", ["", *PAGING, *frame.DRAWINGS])
def test_a_step_keeps_the_budget_whatever_is_open(kernel: Debugger, wire: Wire, name: str) -> None:
    send(kernel, "table", name=name)
    if name in frame.DRAWINGS:
        send(kernel, "drawing", name=name)
    wire.messages()
    for n in range(120):
        send(kernel, "step" if n % 25 else "back")
        sizes = wire.take()
        assert len(sizes) <= 2
        assert 0 < sum(sizes) <= STEP


def test_a_jump_keeps_the_budget(kernel: Debugger, wire: Wire) -> None:
    send(kernel, "table", name="mailbox")
    wire.messages()
    indexes = sorted({event.index for event in kernel.session.trace})
    for index in indexes[:: max(1, len(indexes) // 40)]:
        for move in (("goto", {"index": index}), ("step", {}), ("previous", {})):
            send(kernel, move[0], **move[1])
            assert sum(wire.take()) <= JUMP


def test_tables_follow_the_moment(kernel: Debugger) -> None:
    send(kernel, "table", name="reasons")
    assert [row[:3] for row in state(kernel)["table"]["rows"]] == [["notified", "", "4"]]
    send(kernel, "start")
    assert state(kernel)["table"]["rows"] == []
    assert max(map(abs, numbers_in(state(kernel)))) < 1 << 53


def test_no_table_of_a_full_machine_breaks_the_budget() -> None:
    views = tuple(
        apf(
            vcpu,
            reason=2,
            token=0xFFFF_0000 | vcpu,
            page_ready=True,
            pending=tuple((GFN + n, n << 12 | vcpu) for n in range(64)),
            synchronous=dict.fromkeys(("kernel-mode", "mailbox-busy", "slots-full"), 10**12),
        )
        for vcpu in range(8)
    )
    snapshot = paged(*views, trace=tuple(asynchronous(60)))
    for table in ("", *PAGING):
        for budget in (frame.STEP_BYTES, frame.JUMP_BYTES):
            packer = frame.Packer(None)
            packer.table = table
            packed = packer.pack(snapshot, [], budget, {})
            traits = packed | {"done": 10**6, "error": "", "running": ""}
            message = {"method": "update", "state": traits, "buffer_paths": []}
            assert frame.size(message) <= budget + 48, (table, budget)
    assert frame.table_frame(snapshot, "mailbox")["size"] == 8 * 67  # type: ignore[index]


def test_the_log_carries_the_strokes_of_faults(kernel: Debugger) -> None:
    rows = state(kernel)["log"]["rows"]
    fault = next(row for row in reversed(rows) if row[1] == "fault")
    assert [stroke[0] for stroke in fault[8]] == ["c", "a"]
    assert fault[8][0][3].startswith("□ page 0x40")
