"""The fourth notebook as its reader sees it: a player, drawings, tables, and debuggers of guests
that have moved."""

import pytest

from tests.browser.conftest import SURFACE, Lab
from tests.browser.test_figures import problems, show

FIGURES = 11


@pytest.fixture(scope="module")
def course(lab: Lab) -> Lab:
    return show(lab, "04_postcopy.ipynb", FIGURES)


def test_it_runs_without_a_complaint(course: Lab) -> None:
    assert course.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    assert course.page.locator(SURFACE).count() == 4
    assert course.page.locator(".sdeiviz-player").count() >= 1
    assert course.errors == []


@pytest.mark.parametrize("width", [800, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_figure_can_be_read(course: Lab, width: int, dark: bool) -> None:
    assert problems(course, FIGURES, width, dark) == []


def test_a_prediction_leads_to_a_moment_of_a_guest_that_has_moved(course: Lab) -> None:
    page = course.page
    course.size(1280)
    asked = page.locator(".widget-vbox:has(> .widget-html)").filter(has_text="305 are before")
    asked.get_by_label("B").first.check()
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("a request overtakes what has been sent").wait_for()
    asked.get_by_role("button", name="Go and see").click()
    there = page.locator(SURFACE).first
    there.locator(".log .current").get_by_text("PE goes on").wait_for()
    position = there.locator(".position").inner_text()
    there.locator(".command.back").click()
    page.wait_for_function(
        "([s, was]) => document.querySelector(`${s} .position`).innerText !== was",
        arg=[SURFACE, position],
    )
    assert course.errors == []
