"""The page checks on the debugger: three widths, light and dark, at 100 and 200 %."""

import itertools

import pytest

from tests.browser import page_checks
from tests.browser.conftest import SURFACE, Lab

SIZES = list(itertools.product((800, 1280, 1920), (False, True), (1, 2)))
"""Width of the window, dark, zoom."""

MARKS = {
    ".thumb": "backgroundColor",
    ".done": "backgroundColor",
    ".recorded": "backgroundColor",
    ".track": "borderTopColor",
    ".sdeiviz-states .state path": "stroke",
    ".sdeiviz-states .call path": "stroke",
    ".sdeiviz-states .call polygon": "fill",
    ".sdeiviz-states .current path": "stroke",
    ".sdeiviz-states .taken path": "stroke",
    ".command:not([aria-disabled=true]) svg": "fill",
    ".log .current button": "borderLeftColor",
    "kbd": "borderTopColor",
}

IN_HANDLER = {
    "tr.changed": "table.registers tr:not(.changed)",
    ".listing tr.here": ".listing tr:not(.here):not(.label)",
    ".state.current": ".state:not(.current)",
    ".call.taken": ".call:not(.taken)",
    ".pairs tr.differs": ".pairs tbody tr:not(.differs)",
    ".log .current": ".log li:not(.current)",
    ".gutter button[aria-pressed=true]": ".gutter button[aria-pressed=false]",
    ".pickers [aria-pressed=true]": ".pickers [aria-pressed=false]",
    ".command[aria-disabled=true]": ".command[aria-disabled=false]:not(.step)",
    ".mark.d": ".mark.c",
}


def problems(lab: Lab) -> list[str]:
    """Everything that can be checked on any state of the debugger."""
    page = lab.page
    found = page_checks.overflow(page, SURFACE)
    found += page_checks.intersections(page, SURFACE)
    found += page_checks.text_contrast(page, SURFACE)
    found += page_checks.text_sizes(page, SURFACE)
    found += page_checks.targets(page, SURFACE)
    found += page_checks.drawn_labels(page, SURFACE)
    return found


@pytest.fixture(scope="module")
def handler(lab: Lab) -> Lab:
    """The debugger inside an event handler: every pane has something to show."""
    lab.open("delivery.ipynb")
    lab.run_all()
    lab.press("next", "next", "next", "next")
    lab.page.locator(f"{SURFACE} .listing tr.here .gutter button").click()
    lab.answered()
    lab.press("step", "next", "step", "step")
    return lab


@pytest.mark.parametrize(("width", "dark", "zoom"), SIZES)
def test_in_a_handler(handler: Lab, width: int, dark: bool, zoom: int) -> None:
    lab = handler
    lab.theme(dark)
    lab.size(width, zoom=zoom)
    lab.surface()
    found = problems(lab)
    lab.page.locator(f"{SURFACE} .help").click()
    found += page_checks.mark_contrast(lab.page, SURFACE, MARKS)
    found += page_checks.text_contrast(lab.page, f"{SURFACE} .keys")
    found += page_checks.overflow(lab.page, f"{SURFACE} .keys")
    lab.page.locator(f"{SURFACE} .help").click()
    found += page_checks.without_colour(lab.page, SURFACE, IN_HANDLER)
    assert found == []


@pytest.mark.parametrize("width", [800, 1280, 1920])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(handler: Lab, width: int, dark: bool) -> None:
    handler.theme(dark)
    handler.size(width)
    assert page_checks.accessibility(handler.page, SURFACE) == []


@pytest.mark.parametrize("width", [800, 1280, 1920])
def test_the_next_action_is_above_the_fold(handler: Lab, width: int) -> None:
    handler.size(width, 720)
    wanted = [".command.step", ".command.next", ".said", ".slider", ".listing tr.here .instruction"]
    assert page_checks.above_the_fold(handler.page, SURFACE, wanted) == []


@pytest.mark.parametrize("width", [800, 1280, 1920])
def test_nothing_moves_in_50_steps(lab: Lab, width: int) -> None:
    lab.open("delivery.ipynb")
    lab.size(width)
    lab.run_all()
    before = page_checks.boxes(lab.page, SURFACE)
    assert len(before) >= 9
    for _ in range(5):
        lab.press("next")
        lab.keys("s" * 9)
        assert page_checks.boxes(lab.page, SURFACE) == before
    assert lab.index > 600
    lab.press("inject1", "start")
    assert page_checks.boxes(lab.page, SURFACE) == before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_refused_call(lab: Lab, dark: bool) -> None:
    lab.open("registration.ipynb")
    lab.run_all()
    lab.theme(dark)
    assert problems(lab) == []
    lab.press(*["next"] * 12)
    assert "EVENT_ENABLE needs a handler" in lab.text(".caption")
    for width in (800, 1280, 1920):
        lab.size(width)
        found = problems(lab)
        found += page_checks.mark_contrast(lab.page, SURFACE, {".state.refused path": "stroke"})
        differ = {
            ".state.refused": ".state:not(.refused)",
            ".answer.failed": ".answer:not(.failed)",
        }
        found += page_checks.without_colour(lab.page, SURFACE, differ)
        lab.page.get_by_role("button", name="Rules").click()
        found += problems(lab)
        found += page_checks.without_colour(
            lab.page, SURFACE, {".rules td.current": ".rules td:not(.current)"}
        )
        lab.page.get_by_role("button", name="Rules").click()
        assert found == []


def test_a_journey_by_keyboard(lab: Lab) -> None:
    lab.open("delivery.ipynb")
    lab.size(1280)
    lab.run_all()
    stops, found = page_checks.tab_stops(lab.page, SURFACE)
    assert found == []
    assert [
        s
        for s in stops
        if s in ("Step", "Position in the recording", "Event 1", "Rules", "Console")
    ] == (["Step", "Position in the recording", "Event 1", "Rules", "Console"])

    lab.keys("ss")
    assert lab.index == 2
    lab.keys("b")
    assert lab.index == 1
    lab.keys("nnnn")
    assert (lab.index, lab.text(".where")) == (546, "handler")
    lab.keys("p")
    assert lab.index == 413
    lab.keys("t")
    assert lab.page.locator(f"{SURFACE} tr.here button[aria-pressed=true]").count() == 1
    lab.keys("t1")
    assert "-2 ENOENT" in lab.text(".log .current")
    lab.keys("c")
    assert "switched the machine off" in lab.text(".said")
    lab.keys("a")
    assert lab.index == 0
    lab.keys("?")
    assert lab.page.locator(f"{SURFACE} .keys").is_visible()
    lab.page.keyboard.press("Escape")
    assert not lab.page.locator(f"{SURFACE} .keys").is_visible()

    lab.page.locator(f"{SURFACE} .command.step").focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("Enter")
    lab.answered()
    assert lab.index == 122, "two to the right of Step is Next SDEI"

    lab.page.locator(f"{SURFACE} .slider").focus()
    for key, index in [
        ("ArrowRight", 123),
        ("ArrowLeft", 122),
        ("PageUp", 272),
        ("PageDown", 122),
        ("Home", 0),
        ("End", lab.total),
    ]:
        lab.page.keyboard.press(key)
        lab.answered()
        assert lab.index == index, key

    lab.page.locator(f"{SURFACE} .log .current button").focus()
    lab.page.keyboard.press("ArrowUp")
    lab.page.keyboard.press("ArrowUp")
    lab.page.keyboard.press("Enter")
    lab.answered()
    assert lab.index < lab.total
    assert lab.page.evaluate("() => document.activeElement.closest('.sdeiviz') !== null"), (
        "JupyterLab took the focus"
    )
    assert lab.page.locator(".jp-Cell").count() == 2, "JupyterLab took a key"
    assert lab.errors == []
