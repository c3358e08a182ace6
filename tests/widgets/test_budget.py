"""What travels: how many messages, how many bytes, and nothing that JavaScript would round."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz.debugger import Session
from sdeiviz.debugger.snapshot import Line
from sdeiviz.sdei.table import State
from sdeiviz.trace import Hypercall, HypercallResult
from sdeiviz.widgets import frame
from tests.views.moments import BASE, context, handler, moment, registers
from tests.widgets.conftest import Open, Wire, send

STEP, JUMP = 2048, 4096


@pytest.mark.parametrize("guest", ["registration", "delivery", "levels"])
def test_a_step_is_at_most_two_messages_and_2_kb(opened: Open, wire: Wire, guest: str) -> None:
    debugger = opened(guest)
    seen = []
    for _ in range(700):
        send(debugger, "step")
        seen.append(wire.take())
    for _ in range(100):
        send(debugger, "back")
        seen.append(wire.take())
    assert max(map(len, seen)) <= 2
    assert max(map(sum, seen)) <= STEP
    assert min(map(sum, seen)) > 0


@pytest.mark.parametrize("guest", ["registration", "delivery", "levels"])
def test_steps_around_every_moment_keep_the_budget(opened: Open, wire: Wire, guest: str) -> None:
    debugger = opened(guest)
    debugger.session.run()
    debugger.refresh()
    for index, _ in debugger.session.moments():
        debugger.goto(max(index - 2, 0))
        wire.messages()
        for do in ("step", "step", "step", "back", "back"):
            send(debugger, do)
            sizes = wire.take()
            assert len(sizes) <= 2
            assert sum(sizes) <= STEP


@pytest.mark.parametrize("guest", ["registration", "delivery", "levels", "spin"])
def test_a_jump_is_at_most_two_messages_and_4_kb(opened: Open, wire: Wire, guest: str) -> None:
    debugger = opened(guest)
    debugger.session.run(10_000)
    debugger.refresh()
    wire.messages()
    total = debugger.total
    jumps = [("start", {}), ("goto", {"index": total}), ("previous", {}), ("previous", {})]
    jumps += [("goto", {"index": index}) for index, _ in debugger.session.moments()]
    jumps += [("next", {})] * (guest != "spin") + [("breakpoint", {"address": "40080004"})]
    jumps += [("inject", {"event": 0}), ("goto", {"index": total // 2}), ("inject", {"event": 1})]
    for do, more in jumps:
        send(debugger, do, **more)
        sizes = wire.take()
        assert len(sizes) <= 2, do
        assert sum(sizes) <= JUMP, do


def test_what_never_changes_is_sent_once(opened: Open, wire: Wire) -> None:
    debugger = opened("registration")
    sent: set[str] = set()
    for do in ("step", "next", "back", "start", "next", "next"):
        send(debugger, do)
        for data, _ in wire.messages():
            sent |= set(data["state"])
    assert not sent & {"guest", "_esm", "_css"}


number = st.one_of(st.just((1 << 64) - 1), st.integers(0, (1 << 64) - 1))
numbers = st.tuples(*[number] * 31)


@settings(max_examples=60, deadline=None)
@given(
    now=numbers,
    before=numbers,
    kept=st.tuples(*[number] * 18),
    name=st.text(min_size=1, max_size=300),
    index=st.integers(0, 10**15),
    entries=st.integers(1, 60),
    moments=st.integers(0, 300),
)
def test_no_moment_whatever_breaks_the_budget(
    now: Any, before: Any, kept: Any, name: str, index: int, entries: int, moments: int
) -> None:
    """Every register changed and full, a foreign name everywhere, a large program."""
    names = dict.fromkeys(
        ("sp", "sp_el0", "sp_el1", "elr_el1", "far_el1", "vbar_el1"), (1 << 64) - 1
    )
    trace = tuple(
        event
        for n in range(entries)
        for event in (
            Hypercall(
                index,
                index,
                0,
                "HVC",
                BASE,
                0xC4000021,
                (0, BASE, (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1),
            ),
            HypercallResult(index, index, 0, 0xC4000021, (1 << 64) - 2),
        )
    )
    listing = tuple(
        Line(BASE + 4 * n, 0, "madd " + "x" * 90, name, name, 9 + n, name) for n in range(40)
    )
    snapshot = moment(
        trace,
        image=name,
        index=index,
        total=index,
        time=index,
        symbol=name,
        console=name * 20,
        registers=registers(x=now, pc=BASE + 40, **names),
        previous=registers(x=before),
        contexts=(context(x=kept, pc=(1 << 64) - 4), context(x=kept, pc=(1 << 64) - 4)),
        handlers=tuple(
            handler(n, State.UNREGISTER_PENDING, pending=True, entry=BASE) for n in (0, 1)
        ),
        listing=listing,
        forked=True,
    )
    marks = [(index * n // 300, "complete") for n in range(moments)]
    for budget in (frame.STEP_BYTES, frame.JUMP_BYTES):
        packed = frame.Packer(None).pack(snapshot, marks, budget, {})
        message = {
            "method": "update",
            "state": packed | {"done": 10**6, "error": "", "running": ""},
            "buffer_paths": [],
        }
        assert frame.size(message) <= budget + 48
        if budget == frame.JUMP_BYTES:
            assert packed["log"]["rows"]
            assert any(row[0] == f"{BASE + 40:x}" for row in packed["code"]["rows"])


def numbers_in(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers_in(part)]
    if isinstance(value, list | tuple):
        return [n for part in value for n in numbers_in(part)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def test_no_number_is_too_large_for_javascript(opened: Open, wire: Wire) -> None:
    debugger = opened("delivery")
    for _ in range(12):
        send(debugger, "next")
    debugger.write_register("x3", (1 << 64) - 1)
    state = json.loads(json.dumps(debugger.widget.get_state()))  # type: ignore[union-attr]
    assert max(map(abs, numbers_in(state))) < 1 << 53
    assert "ffffffffffffffff" in state["registers"]["now"]


def test_the_browser_has_the_whole_moment_after_any_command(opened: Open) -> None:
    """A reloaded page is given what a debugger that jumped there would give."""
    walked, jumped = opened("delivery"), opened("delivery")
    for _ in range(7):
        send(walked, "next")
    for _ in range(5):
        send(walked, "step")
    jumped.session.run()
    send(jumped, "goto", index=walked.index)
    one, two = (d.widget.get_state() for d in (walked, jumped))  # type: ignore[union-attr]
    for trait in ("context", "events", "console", "breakpoints"):
        assert one[trait] == two[trait]
    assert one["registers"]["now"] == two["registers"]["now"]
    assert (
        one["moment"]["said"] == two["moment"]["said"]
        or one["registers"]["was"] != two["registers"]["was"]
    )


def test_a_large_program_is_sent_in_windows(
    opened: Open, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "listing", lambda session: None)
    debugger = opened("delivery")
    known = {row[0] for row in debugger.widget.code["rows"]}  # type: ignore[union-attr]
    for n in range(400):
        send(debugger, "step" if n % 40 else "next")
        sizes = 0
        for data, _ in wire.messages():
            sizes += frame.size(data)
            known |= {row[0] for row in data["state"].get("code", {"rows": []})["rows"]}
        assert sizes <= (STEP if n % 40 else JUMP)
        pc = debugger.session.snapshot().registers.pc
        assert {f"{pc + 4 * n:x}" for n in range(-1, 4)} <= known
    send(debugger, "code")
    assert len(debugger.widget.code["rows"]) >= 20  # type: ignore[union-attr]


def test_windows_of_the_log_join_up(opened: Open, wire: Wire) -> None:
    debugger = opened("delivery")
    debugger.session.run()
    debugger.refresh()
    rows: dict[int, Any] = {}
    for data, _ in wire.messages():
        window = data["state"].get("log", {"first": 0, "rows": []})
        rows |= dict(enumerate(window["rows"], window["first"]))
    size = debugger.widget.log["size"]  # type: ignore[union-attr]
    send(debugger, "log", first=0)
    for data, _ in wire.messages():
        window = data["state"].get("log", {"first": 0, "rows": []})
        rows |= dict(enumerate(window["rows"], window["first"]))
    assert sorted(rows) == list(range(size))
    assert [row[0] for _, row in sorted(rows.items())] == sorted(row[0] for row in rows.values())
    send(debugger, "log", first=10**9)
    send(debugger, "log", first=-5)
    assert debugger.widget.log["first"] == 0  # type: ignore[union-attr]


def test_changing_the_past_voids_what_the_browser_knew(opened: Open) -> None:
    debugger = opened("delivery")
    widget = debugger.widget
    assert widget is not None
    debugger.session.run()
    debugger.goto(600)
    before = widget.moment["epoch"]
    send(debugger, "step")
    assert widget.moment["epoch"] == before
    send(debugger, "inject", event=0)
    assert widget.moment["epoch"] == before + 1
    assert widget.moment["forked"]
    assert widget.log["size"] == widget.log["now"]
    send(debugger, "inject", event=0)
    assert widget.moment["epoch"] == before + 1, "at the end of the recording nothing is lost"


def test_marks_are_bounded_and_the_most_telling_wins() -> None:
    crowd = [(n, "call") for n in range(10_000)]
    crowd[5000] = (5000, "deliver")
    marks = frame.markers(crowd, 10_000).split()
    assert len(marks) <= 41
    assert [mark for mark in marks if mark.startswith("d")] == ["d3uw"]
    assert int("3uw", 36) == 5000
    assert frame.markers([], 100) == ""


def test_the_browser_counts_the_consoles_characters_as_python_does() -> None:
    written = "a\U0001f600b\ud800\x1bc\r\n" * 10
    shown = frame.console_frame(written, 1000)
    assert shown["length"] == len(written) == len(shown["tail"].encode("utf-16-le")) // 2
