"""The debugger object: its commands, its runs in slices, what it says when it refuses."""

import asyncio
import os
import signal
import threading
import time
from typing import Any

import pytest

import sdeiviz
from sdeiviz.debugger import Session
from sdeiviz.errors import Error
from sdeiviz.views import moment
from sdeiviz.widgets import Debugger
from sdeiviz.widgets.debugger import BUSY
from tests.views.test_views import Tags
from tests.widgets.conftest import Open, Wire, send


def widget(debugger: Debugger) -> Any:
    assert debugger.widget is not None
    return debugger.widget


# -- commands ---


def test_the_surface_moves_the_session(opened: Open) -> None:
    debugger = opened("delivery")
    for do, more, index in [
        ("step", {}, 1),
        ("step", {}, 2),
        ("back", {}, 1),
        ("next", {}, 122),
        ("next", {}, 272),
        ("previous", {}, 122),
        ("goto", {"index": 200}, 200),
        ("goto", {"index": 10**9}, 272),
        ("goto", {"index": -4}, 0),
        ("back", {}, 0),
        ("next", {}, 122),
        ("start", {}, 0),
    ]:
        number = send(debugger, do, **more)
        assert debugger.index == index, do
        assert widget(debugger).moment["at"] == index
        assert widget(debugger).done == number
        assert widget(debugger).error == ""


def test_continue_runs_to_a_breakpoint_and_to_the_end(opened: Open) -> None:
    debugger = opened("delivery")
    handler = debugger.session.image.symbols.address_of("handler")
    send(debugger, "breakpoint", address=f"{handler:x}")
    assert widget(debugger).breakpoints == f"{handler:x}"
    send(debugger, "continue")
    assert debugger.session.snapshot().registers.pc == handler
    send(debugger, "breakpoint", address=f"{handler:x}")
    assert widget(debugger).breakpoints == ""
    send(debugger, "continue")
    assert "switched the machine off" in widget(debugger).moment["said"]
    assert widget(debugger).running == ""
    send(debugger, "continue")
    send(debugger, "step")
    assert widget(debugger).error == ""


def test_injection_and_its_refusal(opened: Open) -> None:
    debugger = opened("registration")
    send(debugger, "inject", event=0)
    assert widget(debugger).log["rows"][-1][2:4] == ["host injects event 0", "-2 ENOENT"]
    for _ in range(8):
        send(debugger, "next")
    send(debugger, "inject", event=0)
    assert widget(debugger).context["event"] == 0
    assert widget(debugger).events[0][1] == 0b111


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"do": "fly"}, "The debugger has no command 'fly'."),
        ({"do": None}, "The debugger has no command 'None'."),
        ({"do": ["step"]}, "The debugger has no command \"['step']\"."),
        ({"do": "goto"}, "The debugger cannot read the command 'goto'."),
        ({"do": "goto", "index": "here"}, "The debugger cannot read the command 'goto'."),
        ({"do": "goto", "index": None}, "The debugger cannot read the command 'goto'."),
        ({"do": "log", "first": {}}, "The debugger cannot read the command 'log'."),
        ({"do": "inject"}, "The debugger cannot read the command 'inject'."),
        (
            {"do": "breakpoint", "address": "zz"},
            "The debugger cannot read the command 'breakpoint'.",
        ),
        (
            {"do": "breakpoint", "address": "40080001"},
            "no instruction can be at 0x40080001: want a multiple of 4",
        ),
    ],
)
def test_nonsense_is_one_clear_line(opened: Open, message: dict[str, Any], error: str) -> None:
    debugger = opened()
    send(debugger, "step")
    widget(debugger)._handle_custom_msg({"id": 10**6} | message, [])
    assert widget(debugger).error == error
    assert widget(debugger).done == 10**6
    assert debugger.index == 1
    send(debugger, "step")
    assert (widget(debugger).error, debugger.index) == ("", 2)


def test_what_is_no_message_is_ignored(opened: Open, wire: Wire) -> None:
    debugger = opened()
    for content in ("step", None, 7, ["step"]):
        widget(debugger)._handle_custom_msg(content, [])
    assert (debugger.index, wire.messages()) == (0, [])


def test_the_methods_of_a_session_move_the_surface_too(opened: Open) -> None:
    debugger = opened("delivery")
    debugger.step(3)
    debugger.step_back()
    assert widget(debugger).moment["at"] == debugger.index == 2
    debugger.next_sdei()
    debugger.next_sdei()
    debugger.previous_sdei()
    assert widget(debugger).moment["at"] == 122
    debugger.goto(5)
    assert debugger.toggle_breakpoint("handler")
    assert debugger.run().reason == "breakpoint"
    assert widget(debugger).moment["at"] == debugger.total
    debugger.step(9)
    assert debugger.run_back()
    assert debugger.breakpoints == (debugger.session.snapshot().registers.pc,)
    debugger.write_register("x9", 0xABC)
    assert widget(debugger).registers["now"].split()[3 + 9] == "abc"
    debugger.write_memory(0x4100_0000, b"hello")
    assert debugger.session.read_memory(0x4100_0000, 5) == b"hello"
    debugger.send_console("x")
    assert debugger.cancel_event(1) == -2
    assert debugger.inject_event(1) == -2
    debugger.start()
    assert widget(debugger).moment["at"] == 0
    assert debugger.snapshot().index == 0
    with pytest.raises(Error, match="no index 99999999"):
        debugger.goto(99999999)


def test_refresh_shows_a_session_that_was_moved_directly(opened: Open) -> None:
    session = Session("registration")
    debugger = opened(session)
    session.step(7)
    assert widget(debugger).moment["at"] == 0
    debugger.refresh()
    assert widget(debugger).moment["at"] == 7


def test_next_without_an_end_can_be_stopped_from_a_thread(opened: Open) -> None:
    debugger = opened("spin")
    timer = threading.Timer(0.2, debugger.stop)
    timer.start()
    started = time.perf_counter()
    debugger.run()
    assert time.perf_counter() - started < 5
    index = debugger.index
    debugger.step()
    assert debugger.index == index + 1


# -- runs in slices ---


@pytest.mark.parametrize("do", ["continue", "next"])
def test_a_run_leaves_the_kernel_free_and_stops_when_told(wire: Wire, do: str) -> None:
    async def scene() -> Debugger:
        debugger = sdeiviz.debug("spin")
        send(debugger, "step")
        send(debugger, do)
        assert widget(debugger).running.startswith("running: ")
        cells = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            cells += 1
        assert cells == 20
        index = debugger.index
        await asyncio.sleep(0.1)
        assert debugger.index > index

        for refused in ("step", "back", "goto", "continue", "next", "inject", "breakpoint"):
            number = send(debugger, refused, index=0, event=0, address="40080000")
            assert widget(debugger).error == BUSY
            assert widget(debugger).done == number
        with pytest.raises(Error, match="press Stop first"):
            debugger.step()
        number = send(debugger, "log", first=0)
        assert widget(debugger).done == number, "looking is allowed"
        assert widget(debugger).running

        send(debugger, "stop")
        told = time.perf_counter()
        while widget(debugger).running:
            await asyncio.sleep(0.005)
        assert time.perf_counter() - told < 0.5
        return debugger

    debugger = asyncio.run(scene())
    index = debugger.index
    assert widget(debugger).moment["at"] == index
    send(debugger, "step")
    send(debugger, "back")
    assert (debugger.index, widget(debugger).error) == (index, "")
    # Nothing was corrupted: the same index reached in one go is the same moment.
    other = Session("spin")
    other.run(index)
    assert other.index == index
    mine, theirs = debugger.snapshot(), other.snapshot()
    assert mine.registers == theirs.registers
    assert mine.console == theirs.console


def test_the_progress_is_told_now_and_then(wire: Wire) -> None:
    async def scene() -> list[str]:
        debugger = sdeiviz.debug("spin")
        send(debugger, "continue")
        wire.messages()
        await asyncio.sleep(1.0)
        told = [data["state"]["running"] for data, _ in wire.messages()]
        send(debugger, "stop")
        while widget(debugger).running:
            await asyncio.sleep(0.005)
        return told

    told = asyncio.run(scene())
    assert 2 <= len(told) <= 5
    assert told == sorted(set(told), key=lambda text: int("".join(filter(str.isdigit, text))))


def test_a_run_that_ends_by_itself_shows_its_end(wire: Wire) -> None:
    async def scene() -> Debugger:
        debugger = sdeiviz.debug("counter")
        send(debugger, "continue")
        assert widget(debugger).running
        while widget(debugger).running:
            await asyncio.sleep(0.01)
        return debugger

    debugger = asyncio.run(scene())
    assert "switched the machine off" in widget(debugger).moment["said"]
    assert "pc" not in widget(debugger).error


def test_a_message_in_another_thread_is_obeyed_in_the_main_one(wire: Wire) -> None:
    """JupyterLab's comms may come over a subshell, which is a thread."""
    threads: list[threading.Thread] = []

    async def scene() -> None:
        session = Session("delivery")
        debugger = sdeiviz.debug(session)
        step = session.step

        def watched(count: int = 1) -> None:
            threads.append(threading.current_thread())
            step(count)

        session.step = watched  # type: ignore[method-assign]
        thread = threading.Thread(target=send, args=(debugger, "step"))
        thread.start()
        while debugger.index == 0:
            await asyncio.sleep(0.005)
        thread.join()

        send(debugger, "goto", index=0)
        thread = threading.Thread(target=send, args=(debugger, "continue"))
        thread.start()
        while debugger.index == 0 or widget(debugger).running:
            await asyncio.sleep(0.005)
        thread.join()

    asyncio.run(scene())
    assert threads == [threading.main_thread()]


def test_the_kernels_interrupt_ends_a_run(wire: Wire) -> None:
    async def scene() -> float:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel between two cells
        try:
            debugger = sdeiviz.debug("spin")
            send(debugger, "continue")
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            told = time.perf_counter()
            while widget(debugger).running:
                await asyncio.sleep(0.005)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            return time.perf_counter() - told
        finally:
            signal.signal(signal.SIGINT, previous)

    assert asyncio.run(scene()) < 0.5


def test_a_full_recording_is_one_clear_line(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdeiviz.debugger.recording.MAX_EVENTS", 3)

    async def scene() -> Debugger:
        debugger = sdeiviz.debug("delivery")
        for command in ("next", "next", "continue"):
            send(debugger, command)
            for _ in range(1000):  # a slow machine needs more than one slice
                await asyncio.sleep(0.01)
                if not widget(debugger).running:
                    break
        return debugger

    assert "recording is full" in widget(asyncio.run(scene())).error


# -- showing ---


def test_the_bundle_can_be_read_without_the_widget(opened: Open) -> None:
    debugger = opened("registration")
    for _ in range(12):
        send(debugger, "next")
    bundle = debugger._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/plain", "text/html"}
    assert bundle["text/plain"] == moment.text(debugger.snapshot()) == debugger.text()
    assert "EVENT_ENABLE(event=0) = -3 DENIED" in bundle["text/plain"]
    seen = Tags()
    seen.feed(bundle["text/html"])
    assert "script" not in seen.tags
    assert not any(
        name.startswith("on") or name in ("style", "src", "href") for name in seen.attributes
    )
    assert "EVENT_ENABLE(event=0)" in seen.text


def test_it_displays_a_twin_for_a_page_whose_kernel_is_gone(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("sdeiviz.widgets.debugger.publish_display_data", shown.append)
    debugger = opened("registration")
    debugger._ipython_display_()
    surface, twin = shown
    assert "application/vnd.jupyter.widget-view+json" in surface
    assert surface["text/html"] in twin["text/html"]
    assert f'data-of="{widget(debugger).guest["id"]}"' in twin["text/html"]
    assert "<script" not in twin["text/html"]


def test_text_works_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = sdeiviz.debug("delivery", surface="text")
    assert (debugger.widget, debugger.frame) == (None, None)
    debugger.next_sdei()
    debugger.toggle_breakpoint("handler")
    debugger.run()
    assert "=> 4008013c" in debugger.text()
    assert set(debugger._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert repr(debugger) == f"<Debugger of delivery at {debugger.index} of {debugger.total}>"


@pytest.mark.parametrize(
    ("image", "options", "error"),
    [
        ("nothing-of-that-name", {}, "nothing-of-that-name"),
        ("hello", {"profile": "xen"}, "no profile 'xen'"),
        ("hello", {"surface": "hologram"}, "no surface 'hologram': choose widget or text"),
    ],
)
def test_bad_wishes_are_refused(image: str, options: dict[str, Any], error: str) -> None:
    with pytest.raises(Error, match=error) as caught:
        sdeiviz.debug(image, **options)
    assert "\n" not in str(caught.value)
