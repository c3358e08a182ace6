"""The third notebook as its reader sees it: pictures, tables and predictions between the cells."""

import pytest

from tests.browser import page_checks
from tests.browser.conftest import SURFACE, Lab

FIGURE = ".sdeiviz-figure"
FIGURES = 10
IDLE = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"


def show(lab: Lab, notebook: str, figures: int) -> Lab:
    """Run a notebook from top to bottom; every cell stays in the page, every figure has an id."""
    lab.open(notebook)
    lab.size(1280)
    lab.page.evaluate(
        "() => { jupyterapp.shell.currentWidget.content.notebookConfig = "
        "{...jupyterapp.shell.currentWidget.content.notebookConfig, windowingMode: 'none'} }"
    )
    lab.command("notebook:run-all-cells")
    lab.page.wait_for_function(
        f"n => {IDLE} && document.querySelectorAll('{FIGURE}').length === n",
        arg=figures,
        timeout=120_000,
    )
    lab.page.evaluate(
        f"() => document.querySelectorAll('{FIGURE}').forEach((e, n) => e.id = `figure-${{n}}`)"
    )
    return lab


def problems(lab: Lab, figures: int, width: int, dark: bool) -> list[str]:
    """Whatever keeps a figure from being read, at a width and in a theme."""
    page = lab.page
    lab.theme(dark)
    lab.size(width)
    # What is folded too.
    page.evaluate("() => document.querySelectorAll('details').forEach(e => e.open = true)")
    found = []
    for n in range(figures):
        found += page_checks.figure(page, f"#figure-{n}")
    return found


@pytest.fixture(scope="module")
def course(lab: Lab) -> Lab:
    return show(lab, "03_async_page_fault.ipynb", FIGURES)


def test_it_runs_without_a_complaint(course: Lab) -> None:
    assert course.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    assert course.page.locator(SURFACE).count() == 2
    assert course.errors == []


@pytest.mark.parametrize("width", [800, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_figure_can_be_read(course: Lab, width: int, dark: bool) -> None:
    assert problems(course, FIGURES, width, dark) == []


def test_a_narrow_window_scrolls_the_figure_and_not_the_page(course: Lab) -> None:
    course.size(800)
    wide = course.page.locator("#figure-1")
    assert wide.evaluate("e => e.scrollWidth > e.clientWidth")
    wide.focus()
    course.page.keyboard.press("ArrowRight")
    course.page.wait_for_function("() => document.querySelector('#figure-1').scrollLeft > 0")
    panel = course.page.locator(".jp-NotebookPanel-notebook").first
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_a_prediction_leads_into_the_handler(course: Lab) -> None:
    page = course.page
    course.size(1280)
    asked = page.locator(".widget-vbox:has(> .widget-html)").filter(has_text="switch from M to C")
    asked.get_by_label("B").first.check()
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("what is interrupted goes on at once").wait_for()
    asked.get_by_role("button", name="Go and see").click()
    inside = page.locator(SURFACE).nth(1)
    inside.locator(".log .current").get_by_text("IRQ at").wait_for()
    assert inside.locator(".where").inner_text() == "vectors+0x480"
