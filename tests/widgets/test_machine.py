"""The surface of a machine with several PEs: what travels, and what the reader can ask."""

from typing import Any

import pytest

from sdeiviz.debugger import Session
from sdeiviz.sdei.table import State
from sdeiviz.trace import Hypercall, HypercallResult
from sdeiviz.widgets import Debugger, frame
from tests.machine.crew import session
from tests.views.moments import BASE, context, handler, moment, pe, registers
from tests.widgets.conftest import Open, Wire, send
from tests.widgets.test_budget import JUMP, STEP, numbers_in

CRITICAL = 0x4040_0001


@pytest.fixture
def crew(opened: Open) -> Debugger:
    return opened(session(4))


def state(debugger: Debugger) -> dict[str, Any]:
    return debugger.widget.get_state()  # type: ignore[union-attr, no-any-return]


# -- budgets


@pytest.mark.parametrize("table", ["", *frame.TABLES])
def test_a_step_keeps_the_budget_whatever_is_open(crew: Debugger, wire: Wire, table: str) -> None:
    send(crew, "table", name=table)
    wire.messages()
    for n in range(1100):
        send(crew, "step" if n % 25 else "back")
        sizes = wire.take()
        assert len(sizes) <= 2
        assert 0 < sum(sizes) <= STEP


@pytest.mark.parametrize("profile", ["den0054c", "tf-a", "kvm-v7"])
def test_a_jump_keeps_the_budget(opened: Open, wire: Wire, profile: str) -> None:
    debugger = opened(session(8, profile))
    debugger.session.run(3000)
    debugger.refresh()
    send(debugger, "table", name="pes")
    wire.messages()
    jumps = [("start", {}), ("goto", {"index": 700}), ("select", {"pe": 3}), ("over", {})]
    jumps += [("goto", {"index": index}) for index, _ in debugger.session.moments()]
    jumps += [("select", {"pe": None}), ("previous", {}), ("next", {}), ("inject", {"event": 0})]
    for do, more in jumps:
        send(debugger, do, **more)
        sizes = wire.take()
        assert len(sizes) <= 2, do
        assert sum(sizes) <= JUMP, do


def test_no_moment_of_many_pes_breaks_the_budget() -> None:
    """32 PEs, all events den0054c can have, every register changed, a table that does not fit."""
    full = (1 << 64) - 1
    names = dict.fromkeys(("sp", "sp_el0", "sp_el1", "elr_el1", "far_el1", "vbar_el1"), full)
    handlers = tuple(
        handler(
            CRITICAL + n,
            State.UNREGISTER_PENDING,
            pending=True,
            entry=full - 3,
            shared=n > 7,
            running_on=31,
        )
        for n in range(11)
    )
    kept = context(event=CRITICAL, x=(full,) * 18, pc=full - 3)
    pes = tuple(
        pe(n, handlers=handlers, contexts=(kept, kept), symbol="name", current=n == 31)
        for n in range(32)
    )
    trace = tuple(
        event
        for n in range(60)
        for event in (
            Hypercall(n, n, n % 32, "HVC", BASE, 0xC4000021, (CRITICAL, full, full, full, full)),
            HypercallResult(n, n, n % 32, 0xC4000021, full - 1),
        )
    )
    snapshot = moment(
        trace,
        vcpu=31,
        pes=pes,
        registers=registers(x=(full,) * 31, **names),
        previous=registers(x=(1,) * 31),
        forked=True,
    )
    for table in ("", *frame.TABLES):
        for budget in (frame.STEP_BYTES, frame.JUMP_BYTES):
            packer = frame.Packer(None)
            packer.table = table
            packed = packer.pack(snapshot, [], budget, {})
            state = packed | {"done": 10**6, "error": "", "running": ""}
            message = {"method": "update", "state": state, "buffer_paths": []}
            assert frame.size(message) <= budget + 48, (table, budget)


# -- what is sent


def test_chips_say_what_each_pe_does(crew: Debugger) -> None:
    assert state(crew)["pes"] == "cm0om0om0om0"
    crew.session.run(760)
    crew.inject_event(CRITICAL)
    assert state(crew)["pes"] == "ru0cu2ru0ru0"
    assert state(crew)["moment"]["pe"] == 1


def test_the_log_carries_what_the_sequence_draws(crew: Debugger) -> None:
    crew.session.run(700)
    crew.refresh()
    last = state(crew)["log"]["rows"][-1]
    assert last[0] == 677
    assert last[7:] == [
        0,
        [["c", 0, -1, "SIGNAL 0"], ["r", 0, 1, "○ event 0"], ["a", -1, 0, "SUCCESS"]],
    ]


def test_an_open_table_follows_the_moment(crew: Debugger, wire: Wire) -> None:
    assert state(crew)["table"] is None
    crew.session.run(700)
    crew.refresh()
    send(crew, "table", name="shared")
    shown = state(crew)["table"]
    assert (shown["name"], shown["size"], len(shown["rows"])) == ("shared", 3, 3)
    send(crew, "table", name="pes")
    before = state(crew)["table"]["rows"]
    send(crew, "step")
    assert state(crew)["table"]["rows"] != before
    send(crew, "table", name="nonsense")
    assert state(crew)["table"] is None


def test_what_never_changes_of_a_machine(crew: Debugger, opened: Open) -> None:
    machine = state(crew)["guest"]["machine"]
    assert machine["pes"] == 4
    assert machine["kinds"]["1077936129"] == "critical"
    assert machine["kinds"]["1073745920"] == "shared, bound"
    assert [name for name, *_ in machine["tables"]] == ["pes", "shared", "slots", "interrupts"]
    assert machine["drawings"] == []
    assert sorted(machine["strokes"]) == sorted(set(frame.STROKES.values()))
    assert len(set(frame.STROKES.values())) == len(frame.STROKES)
    one = opened("delivery")
    assert state(one)["guest"]["machine"] is None
    assert state(one)["pes"] == ""
    one.next_sdei()
    assert len(state(one)["log"]["rows"][0]) <= 7, "no strokes"


def test_numbers_stay_small_enough_for_javascript(crew: Debugger) -> None:
    crew.session.run(1000)
    crew.refresh()
    assert max(map(abs, numbers_in(state(crew)))) < 1 << 53


# -- what the reader asks


def test_a_click_on_a_pe_shows_it(crew: Debugger) -> None:
    crew.session.run(700)
    crew.refresh()
    send(crew, "select", pe=3)
    shown = state(crew)["moment"]
    assert (shown["pe"], shown["pinned"], crew.vcpu) == (3, True, 3)
    send(crew, "step")
    assert state(crew)["registers"]["changed"] == "0", "it was not its turn"
    send(crew, "select", pe=None)
    assert state(crew)["moment"]["pinned"] is False
    send(crew, "select", pe=9)
    assert "this machine has 4" in state(crew)["error"]
    send(crew, "select")
    assert "cannot read" in state(crew)["error"]


def test_step_pe_passes_over_the_others(crew: Debugger) -> None:
    crew.session.run(700)
    crew.select(3)
    before = crew.snapshot().registers.pc
    send(crew, "over")
    assert crew.index == 1051
    assert crew.snapshot().registers.pc != before
    crew.start()
    crew.select(2)
    send(crew, "over")
    assert "switched off" in state(crew)["error"]
    assert crew.step(2, vcpu=0) is None
    assert crew.index == 2


def test_inject_raises_the_event_on_the_pe_shown(crew: Debugger) -> None:
    crew.session.run(700)
    crew.select(2)
    send(crew, "inject", event=CRITICAL)
    assert state(crew)["log"]["rows"][-1][2] == "host injects event 0x40400001"
    assert state(crew)["events"][0] == [CRITICAL, 3, 1, 2, "critical"]
    send(crew, "inject", event=0x4040_0029)
    assert state(crew)["log"]["rows"][-1][3] == "-2 ENOENT"


def test_registers_marked_after_a_run_are_the_shown_pes(crew: Debugger) -> None:
    crew.session.run(700)
    crew.select(0)
    before = crew.snapshot().registers
    crew.toggle_breakpoint("critical")
    crew.inject_event(CRITICAL, vcpu=2)
    send(crew, "continue")
    now = crew.snapshot()
    assert (now.vcpu, now.pes[2].pc) == (0, now.breakpoints[0])
    changed = int(state(crew)["registers"]["changed"], 16)
    differ = [a != b for (_, a), (_, b) in zip(before.items(), now.registers.items(), strict=True)]
    assert changed.bit_count() == sum(differ)


def test_a_session_of_one_pe_shows_its_machine_where_events_are_shared(opened: Open) -> None:
    one = opened(Session("delivery", "den0054c"))
    assert state(one)["guest"]["machine"]["pes"] == 1
    assert state(one)["pes"] == ""
