"""A reader's way through the real notebooks, in a real JupyterLab."""

import hashlib
import os
import signal
import subprocess
import time

import nbformat
import pytest

from tests.browser.conftest import ROOT, SURFACE, Lab

GONE = "The kernel behind this debugger is gone: run its cell again."


def notebooks() -> dict[str, str]:
    """What lies in the tracked directory, and its digest."""
    files = [path for path in (ROOT / "notebooks").rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["00_start_here", "01_registration", "02_delivery"])
def test_a_notebook_run_all_then_stepped(lab: Lab, name: str) -> None:
    tracked = notebooks()
    lab.open(f"{name}.ipynb")
    lab.size(1280)
    lab.run_all()
    assert lab.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    lab.press("start")
    assert lab.index == 0

    lab.press("step", "step")
    assert lab.index == 2
    lab.keys("s")
    assert lab.index == 3
    lab.press("back")
    lab.keys("b")
    assert lab.index == 1

    lab.press("next")
    first = lab.index
    assert first > 1
    lab.press("next", "next")
    assert lab.index > first
    row = lab.page.locator(f"{SURFACE} .log li:not(.more)").first
    row.locator("button").click()
    lab.answered()
    assert lab.index == first
    assert "current" in (row.get_attribute("class") or "")

    # The scrubber: its far end, and then one of its marks.
    slider = lab.page.locator(f"{SURFACE} .slider").first
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] - 8, "y": box["height"] - 8})
    lab.answered()
    assert lab.index == lab.total
    mark = lab.page.locator(f"{SURFACE} .marks .mark").first
    assert int(mark.get_attribute("data-index") or 0) == first
    mark.click()
    lab.answered()
    assert lab.index == first

    lab.command("docmanager:save")
    assert lab.errors == []
    assert notebooks() == tracked


def test_the_first_hypercall_takes_two_actions(lab: Lab) -> None:
    lab.open("00_start_here.ipynb")
    lab.page.locator(".jp-CodeCell .cm-content").first.click()
    lab.page.keyboard.press("Shift+Enter")
    lab.surface()
    lab.press("next")
    assert "SDEI_VERSION() = 1.1" in lab.text(".said")


def test_dragging_the_scrubber_ends_where_it_is_let_go(lab: Lab) -> None:
    lab.open("delivery.ipynb")
    lab.run_all()
    lab.press("continue", "start")
    box = lab.page.locator(f"{SURFACE} .slider").bounding_box()
    assert box is not None
    mouse, y = lab.page.mouse, box["y"] + box["height"] - 8
    mouse.move(box["x"] + 20, y)
    mouse.down()
    for n in range(1, 30):
        mouse.move(box["x"] + 20 + n * 15, y)
    mouse.up()
    lab.answered()
    share = (20 + 29 * 15 - 8) / (box["width"] - 16)
    assert lab.index == pytest.approx(share * 5000, abs=60)


def test_a_guest_without_an_end(lab: Lab) -> None:
    lab.open("spin.ipynb")
    lab.run_all()
    lab.keys("ss")
    lab.page.locator(f"{SURFACE} .command.continue").click()
    lab.page.wait_for_selector(f"{SURFACE}.running")
    assert lab.text(".said").startswith("running: ")

    lab.page.locator(f"{SURFACE} .command.step").click(force=True)
    assert lab.text(".error") == "The guest is running: press Stop first."
    lab.page.keyboard.press("b")
    assert lab.text(".error") == "The guest is running: press Stop first."
    assert lab.page.locator(f"{SURFACE} .command[aria-disabled=true]").count() >= 7

    # A cell runs meanwhile.
    lab.page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("print(debug.index > 1000, 6 * 7)")
    lab.page.keyboard.press("Shift+Enter")
    lab.page.wait_for_function("() => document.body.innerText.includes('True 42')", timeout=5000)
    assert lab.page.locator(f"{SURFACE}.running").count() == 1

    # How long it takes is measured in the page, without the driver's own time.
    took = lab.page.evaluate(
        """async surface => {
          const root = document.querySelector(surface);
          const start = performance.now();
          root.querySelector(".command.stop").click();
          while (root.classList.contains("running")) await new Promise(done => setTimeout(done, 5));
          return performance.now() - start;
        }""",
        SURFACE,
    )
    assert took < 500
    stopped = lab.index
    assert stopped > 1000
    lab.press("step", "back", "back")
    assert lab.index == stopped - 1

    lab.page.locator(f"{SURFACE} .command.next").click()
    lab.page.wait_for_selector(f"{SURFACE}.running")
    lab.command("notebook:interrupt-kernel")
    lab.page.wait_for_selector(f"{SURFACE}:not(.running)", timeout=2000)
    assert lab.errors == []


def test_a_restart_of_the_kernel_is_told(lab: Lab) -> None:
    lab.open("spin.ipynb")
    lab.run_all()
    lab.press("step")
    lab.page.locator(f"{SURFACE} .command.continue").click()
    lab.page.wait_for_selector(f"{SURFACE}.running")
    lab.page.evaluate(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    lab.page.wait_for_selector(f"{SURFACE}.gone")
    assert lab.text(".error") == GONE
    lab.page.locator(f"{SURFACE} .command.step").click(force=True)
    lab.page.locator(f"{SURFACE} .slider").click(force=True)
    lab.keys("s")
    assert lab.text(".error") == GONE
    assert lab.page.locator(f"{SURFACE} .command[aria-disabled=true]").count() == 9
    assert "about to run" in lab.page.locator(f"{SURFACE} .listing thead").inner_text().lower()
    assert lab.errors == []

    # Running the cell again brings a new one.
    lab.run_all()
    lab.press("step")
    assert lab.index == 1
    assert lab.errors == []


def test_a_kernel_that_dies_is_told(lab: Lab) -> None:
    lab.open("registration.ipynb")
    lab.run_all()
    (kernel,) = (session["kernel"]["id"] for session in lab._ask("api/sessions"))  # type: ignore[index]
    found = subprocess.run(["pgrep", "-f", f"kernel-{kernel}"], capture_output=True, text=True)
    for line in found.stdout.splitlines():
        os.kill(int(line), signal.SIGKILL)
    lab.page.wait_for_selector(f"{SURFACE}.gone")
    assert lab.text(".error") == GONE


def test_a_reloaded_page_is_complete(lab: Lab) -> None:
    lab.open("delivery.ipynb")
    lab.run_all()
    lab.press(*["next"] * 6, "step", "step")
    parts = [
        ".position",
        ".said",
        ".log",
        ".written",
        ".pane.context",
        ".caption",
        "tr.here",
        ".registers",
    ]
    before = [lab.text(part) for part in parts]
    lab.command("docmanager:save")
    lab.page.reload()
    lab.page.wait_for_selector(f"{SURFACE} .listing tr.here")
    lab.answered()
    lab.settle()
    after = [lab.text(part) for part in parts]
    assert after == before
    lab.press("back")
    assert lab.errors == []


def test_two_views_of_one_debugger_agree(lab: Lab) -> None:
    lab.open("registration.ipynb")
    lab.run_all()
    lab.page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("debug")
    lab.page.keyboard.press("Shift+Enter")
    lab.page.wait_for_function("s => document.querySelectorAll(s).length === 2", arg=SURFACE)
    lab.press("next", "next")
    positions = lab.page.locator(f"{SURFACE} .position").all_inner_texts()
    assert positions[0] == positions[1]
    ids = lab.page.evaluate(
        "s => [...document.querySelectorAll(s + ' [id]')].map(e => e.id)", SURFACE
    )
    assert ids == []


def test_what_is_left_without_a_kernel_or_trust(lab: Lab) -> None:
    lab.open("registration.ipynb")
    lab.run_all()
    lab.command("docmanager:save")
    saved = lab.directory / "registration.ipynb"
    notebook = nbformat.read(saved, as_version=4)
    notebook.cells[1].source = "'not what was signed'"
    nbformat.write(notebook, lab.directory / "untrusted.ipynb")

    lab.open("registration.ipynb")
    twin = lab.page.locator("details.sdeiviz-moment")
    twin.wait_for()
    assert "about to run its first instruction" in twin.locator("summary").inner_text()
    twin.locator("summary").click()
    assert "=> 40080000" in twin.inner_text()

    lab.open("untrusted.ipynb")
    lab.page.wait_for_selector(".jp-OutputArea-output pre")
    assert "=> 40080000" in lab.page.locator(".jp-OutputArea-output").first.inner_text()


def test_a_held_key_does_not_pile_up(lab: Lab) -> None:
    lab.open("delivery.ipynb")
    lab.run_all()
    lab.page.locator(SURFACE).focus()
    for _ in range(60):
        lab.page.keyboard.down("s")
    lab.page.keyboard.up("s")
    lab.answered()
    reached = lab.index
    time.sleep(0.3)
    assert lab.index == reached
    assert 1 < reached <= 60


HOSTILE_CELL = """
import dataclasses
import sdeiviz
from sdeiviz.debugger import Session

EVIL = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>\\u202e\\x1b[2J"

class Evil(Session):
    def listing(self):
        lines = super().listing()
        return tuple(dataclasses.replace(line, label=EVIL, source=EVIL) for line in lines)

    def snapshot(self):
        moment = super().snapshot()
        pes = tuple(dataclasses.replace(pe, symbol=EVIL) for pe in moment.pes)
        return dataclasses.replace(moment, image=EVIL, pes=pes, console=EVIL * 3)

debug = sdeiviz.debug(Evil("registration"))
debug
"""


def test_what_a_guest_says_is_text_and_nothing_else(lab: Lab) -> None:
    notebook = nbformat.read(lab.directory / "spin.ipynb", as_version=4)
    notebook.cells = [nbformat.v4.new_code_cell(HOSTILE_CELL)]
    nbformat.write(notebook, lab.directory / "hostile.ipynb")
    lab.open("hostile.ipynb")
    lab.run_all()
    lab.press(*["next"] * 4)
    for part in (
        ".where",
        ".listing tr.label",
        ".listing .source",
        ".written",
        ".fact.guest",
        ".log",
    ):
        assert "<img src=x onerror=" in lab.text(part), part
    assert lab.page.evaluate("() => window.pwned") is None
    assert lab.page.locator(f"{SURFACE} img, {SURFACE} script").count() == 0
    assert "\u202e" not in lab.page.locator(SURFACE).inner_text()
    lab.command("docmanager:save")
    lab.shut()
    lab.page.reload()
    lab.page.locator("details.sdeiviz-moment summary").click()
    assert lab.page.evaluate("() => window.pwned") is None
