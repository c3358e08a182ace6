"""The page checks on a machine of four PEs and the whole specification."""

import itertools

import pytest

from tests.browser import page_checks
from tests.browser.conftest import SURFACE, Lab
from tests.browser.test_pages import problems
from tests.machine.guest import MEMORY

WIDTHS = (800, 1280, 1920)
TABS = ("", "pes", "shared", "slots", "interrupts")
CRITICAL = 0x4040_0001

MARKS = {
    ".sdeiviz-sequence .life": "stroke",
    ".sdeiviz-sequence .bar": "stroke",
    ".sdeiviz-sequence .stroke path": "stroke",
    ".sdeiviz-sequence .stroke polygon": "fill",
    ".sdeiviz-sequence .stroke circle": "stroke",
    ".sdeiviz-sequence .deliver path": "stroke",
    ".sdeiviz-sequence .now path": "stroke",
    ".chip[aria-pressed=true]": "borderTopColor",
    "select.pickers": "borderTopColor",
}

DIFFER = {
    ".chip[aria-pressed=true]": ".chip[aria-pressed=false]",
    ".chip.current": ".chip:not(.current):not(.follow)",
    ".sdeiviz-sequence .heads .shown": ".sdeiviz-sequence .heads text:not(.shown)",
    ".sdeiviz-sequence .later text:not(.index)": ".sdeiviz-sequence g:not(.later) > .call text",
    ".sdeiviz-sequence .deliver": ".sdeiviz-sequence .call",
    ".sdeiviz-sequence .answer": ".sdeiviz-sequence .call",
    ".tabs [aria-pressed=true]": ".tabs [aria-pressed=false]",
}


def nest(lab: Lab) -> None:
    """Let a critical event interrupt the handler that runs on PE 1, and go on a little."""
    lab.open("crew.ipynb")
    lab.run_all()
    for _ in range(40):
        if "event 0 delivered" in lab.text(".said"):
            break
        lab.press("next")
    lab.page.locator(f"{SURFACE} select.pickers").select_option(str(CRITICAL))
    lab.press("step", "step", "inject", "step", "next", "next", "previous", "previous", "step")


@pytest.fixture(scope="module")
def crew(lab: Lab) -> Lab:
    nest(lab)
    return lab


@pytest.mark.parametrize(("width", "dark"), [*itertools.product(WIDTHS, (False, True))])
def test_in_two_handlers(crew: Lab, width: int, dark: bool) -> None:
    lab = crew
    lab.theme(dark)
    lab.size(width)
    lab.surface()
    assert "▼2" in lab.text(".chip.current")
    found = problems(lab)
    found += page_checks.mark_contrast(lab.page, SURFACE, MARKS)
    found += page_checks.without_colour(lab.page, SURFACE, DIFFER)
    for tab in TABS:
        lab.page.locator(f"{SURFACE} .tabs [data-name='{tab}']").click()
        lab.answered()
        found += [f"{tab}: {problem}" for problem in problems(lab)]
    lab.page.locator(f"{SURFACE} .tabs [data-name='']").click()
    lab.answered()
    lab.page.locator(f"{SURFACE} .help").click()
    found += page_checks.text_contrast(lab.page, f"{SURFACE} .keys")
    found += page_checks.overflow(lab.page, f"{SURFACE} .keys")
    lab.page.locator(f"{SURFACE} .help").click()
    assert found == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(crew: Lab, dark: bool) -> None:
    crew.theme(dark)
    for width in WIDTHS:
        crew.size(width)
        assert page_checks.accessibility(crew.page, SURFACE) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_next_action_is_above_the_fold(crew: Lab, width: int) -> None:
    crew.size(width, 720)
    wanted = [".command.step", ".command.next", ".said", ".slider", ".chip.current"]
    wanted += [".listing tr.here .instruction"]
    assert page_checks.above_the_fold(crew.page, SURFACE, wanted) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_while_turns_change(lab: Lab, width: int) -> None:
    lab.open("crew.ipynb")
    lab.size(width)
    lab.run_all()
    before = page_checks.boxes(lab.page, SURFACE)
    assert len(before) >= 11
    for _ in range(14):
        lab.press("next", "next", "step")
        assert page_checks.boxes(lab.page, SURFACE) == before
    assert lab.index > 480
    for tab in TABS:
        lab.page.locator(f"{SURFACE} .tabs [data-name='{tab}']").click()
        lab.answered()
        assert page_checks.boxes(lab.page, SURFACE) == before
    lab.press("inject", "over", "start")
    lab.keys("vvvf")
    assert page_checks.boxes(lab.page, SURFACE) == before
    assert lab.errors == []


def test_the_drawing_is_that_of_the_view(lab: Lab) -> None:
    """Both draw the same strokes with the same labels, and as many bars."""
    from sdeiviz.views import sequence
    from tests.machine.crew import session

    nest(lab)
    lab.size(1920)
    lab.surface()
    at = lab.index
    it = session(4, memory=MEMORY)
    it.run(752)
    it.inject_event(CRITICAL)
    it.run(100)
    it.goto(at)
    rows = sequence.window(it.snapshot())
    wanted = [stroke.label for row in rows if not row.later for stroke in row.drawn]
    drawn = lab.page.locator(f"{SURFACE} .sdeiviz-sequence g:not(.later) > .stroke text")
    assert drawn.all_text_contents() == wanted[-drawn.count() :]
    assert drawn.count() > 20
    kinds = drawn.evaluate_all("all => all.map(e => e.parentElement.classList[1])")
    assert kinds == [s.kind for row in rows if not row.later for s in row.drawn][-len(kinds) :]
    bars = lab.page.locator(f"{SURFACE} .sdeiviz-sequence .bar").count()
    assert bars == sequence.svg(it.snapshot()).count('class="bar"')


def test_a_journey_by_keyboard(lab: Lab) -> None:
    lab.open("crew.ipynb")
    lab.size(1280)
    lab.run_all()
    stops, found = page_checks.tab_stops(lab.page, SURFACE)
    assert found == []
    wanted = ["Step", "Position in the recording", "PE 0: running, masked", "Event", "Rules"]
    wanted += ["Sequence", "Interrupts"]
    assert [stop for stop in stops if stop in wanted] == wanted
    lab.keys("n" * 16)
    while "PE 1" not in lab.text(".chip.current"):
        lab.keys("n")
    at = lab.index
    lab.keys("v")
    assert "PE 2" in lab.text(".chip.pinned")
    assert "PE 2" in lab.text(".fact.mask")
    lab.keys("o")
    assert lab.index > at + 1
    assert "PE 2" in lab.text(".chip.current")
    lab.keys("fs")
    assert lab.page.locator(f"{SURFACE} .chip.pinned").count() == 0
    lab.page.locator(f"{SURFACE} .chip").first.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("Enter")
    lab.answered()
    assert "PE 1" in lab.text(".chip.pinned")
    assert lab.errors == []
