"""The notebook on the claim as its reader sees it, and the migrations that it makes."""

import pytest

from tests.browser.conftest import Lab
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
