"""The notebook on the claim as its reader sees it, and the migrations that it makes."""

import pytest

from tests.browser.conftest import SURFACE, Lab
from tests.browser.test_figures import problems, show

FIGURES = 9


@pytest.fixture(scope="module")
def claim(lab: Lab) -> Lab:
    return show(lab, "05_the_claim.ipynb", FIGURES)


def test_it_runs_without_a_complaint_and_its_bars_are_full(claim: Lab) -> None:
    assert claim.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    bars = claim.page.locator(".progress-bar")
    widths = [bars.nth(n).evaluate("e => e.style.width") for n in range(bars.count())]
    assert widths == ["100%", "100%"]
    assert claim.errors == []


@pytest.mark.parametrize("width", [800, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_figure_can_be_read(claim: Lab, width: int, dark: bool) -> None:
    assert problems(claim, FIGURES, width, dark) == []


def test_drawings_fit_a_narrow_window(claim: Lab) -> None:
    claim.size(800)
    drawn = claim.page.locator(".sdeiviz-figure:has(svg)")
    assert drawn.count() == 3
    for n in range(3):
        assert drawn.nth(n).evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_debugger_follows_its_question(claim: Lab) -> None:
    claim.size(1280)
    page = claim.page
    asked = page.locator(".widget-vbox:has(> .widget-html)").filter(has_text="2 µs away")
    shown = page.locator(SURFACE)
    assert shown.count() == 1
    places = [one.first.evaluate("e => e.getBoundingClientRect().top") for one in (asked, shown)]
    assert places == sorted(places)
    shown.locator(".tabs [data-name='threads']").click()
    shown.locator(".picture svg").wait_for()
