"""The page checks on a machine whose host takes pages away."""

import itertools

import pytest

from tests.browser import page_checks
from tests.browser.conftest import SURFACE, Lab
from tests.browser.test_pages import problems

WIDTHS = (800, 1280, 1920)
TABLES = ("interrupts", "mailbox", "reasons", "accounts")
DRAWINGS = ("pages", "threads", "fault")


def choose(lab: Lab, tab: str) -> None:
    lab.page.locator(f"{SURFACE} .tabs [data-name='{tab}']").click()
    if tab in DRAWINGS:
        lab.page.wait_for_selector(f"{SURFACE} .picture svg")
    lab.answered()


@pytest.fixture(scope="module")
def kernel(lab: Lab) -> Lab:
    """Somewhere between a fault and its page."""
    lab.open("kernel.ipynb")
    lab.run_all()
    for _ in range(400):
        if lab.page.locator(f"{SURFACE} .log .fault").count() > 2:
            break
        lab.press("next")
    lab.press("next", "next")
    return lab


@pytest.mark.parametrize(("width", "dark"), [*itertools.product(WIDTHS, (False, True))])
def test_every_tab_is_sound(kernel: Lab, width: int, dark: bool) -> None:
    kernel.theme(dark)
    kernel.size(width)
    kernel.surface()
    found = []
    for tab in ("", *TABLES, *DRAWINGS):
        choose(kernel, tab)
        found += [f"{tab}: {problem}" for problem in problems(kernel)]
    assert found == []
    assert kernel.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(kernel: Lab, dark: bool) -> None:
    kernel.theme(dark)
    kernel.size(1280)
    for tab in ("mailbox", *DRAWINGS):
        choose(kernel, tab)
        assert page_checks.accessibility(kernel.page, SURFACE) == []


def test_a_drawing_follows_the_moment(kernel: Lab) -> None:
    lab = kernel
    lab.size(1280)
    choose(lab, "fault")
    steps = lab.page.locator(f"{SURFACE} .picture [data-at]")
    assert steps.count() > 4
    for _ in range(20):
        first, last = (step.get_attribute("data-at") for step in (steps.first, steps.last))
        if first != last:
            break
        lab.press("next")
    assert first
    assert first != last
    steps.first.focus()
    lab.page.keyboard.press("Enter")
    lab.page.wait_for_function(
        "([s, at]) => document.querySelector(s)?.textContent.includes(at)",
        arg=[f"{SURFACE} .log .current", f"{int(first):,}"],
    )
    later = lab.page.locator(f"{SURFACE} .picture .later[data-at]")
    later.last.wait_for()
    later.last.click()
    lab.page.wait_for_function(
        "s => document.querySelectorAll(s).length === 0", arg=f"{SURFACE} .picture .later"
    )
    lab.press("start")
    lab.page.wait_for_function(
        "s => document.querySelector(s)?.textContent.includes('No page was missing')",
        arg=f"{SURFACE} .picture svg",
    )
    choose(lab, "pages")
    assert "pages in memory" in lab.text(".picture")
    choose(lab, "")
    assert not lab.page.locator(f"{SURFACE} .picture").is_visible()
    assert lab.page.locator(f"{SURFACE} .sdeiviz-sequence svg").first.is_visible()
