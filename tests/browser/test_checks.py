"""Each page check fails where it should: a defect is put into a page on purpose."""

from collections.abc import Callable

import pytest

from tests.browser import page_checks
from tests.browser.conftest import SURFACE, Lab
from tests.browser.test_pages import IN_HANDLER, MARKS

Check = Callable[[Lab], list[str]]


def plain(name: str) -> Check:
    return lambda lab: getattr(page_checks, name)(lab.page, SURFACE)


def marks(lab: Lab) -> list[str]:
    return page_checks.mark_contrast(
        lab.page, SURFACE, {k: v for k, v in MARKS.items() if k != "kbd"}
    )


def colourless(lab: Lab) -> list[str]:
    pairs = {k: v for k, v in IN_HANDLER.items() if "gutter" not in k}
    return page_checks.without_colour(lab.page, SURFACE, pairs)


def fold(lab: Lab) -> list[str]:
    return page_checks.above_the_fold(lab.page, SURFACE, [".command.step", ".listing tr.here"])


DEFECTS: list[tuple[Check, str]] = [
    (plain("overflow"), ".pane.registers { width: 130% }"),
    (plain("overflow"), ".command { width: 30px; flex: none; overflow: hidden }"),
    (plain("overflow"), ".command { width: 30px; flex: none }"),
    (plain("overflow"), ".said { display: block; height: 8px; overflow: hidden }"),
    (plain("overflow"), ".caption { overflow: auto; height: 10px; flex: none }"),
    (plain("overflow"), ".surface { width: 3000px }"),
    (plain("overflow"), ".position { position: relative; left: 40px }"),
    (plain("intersections"), ".pane.log { margin-top: -30px }"),
    (plain("intersections"), ".pane.code { height: 900px !important }"),
    (plain("intersections"), ".pane { display: none !important }"),
    (plain("text_contrast"), ".log .effects { color: #999 }"),
    (plain("text_contrast"), ".sdeiviz-states .call text { fill: #aaa }"),
    (plain("text_contrast"), ".sdeiviz-states .current path { fill: #444 }"),
    (plain("text_contrast"), ".listing tr.here td { background: rgb(0 0 0 / 50%) }"),
    (plain("text_sizes"), ".fact { font-size: 11px }"),
    (plain("text_sizes"), ".sdeiviz-states { transform: scale(.9) }"),
    (plain("targets"), ".small { height: 20px }"),
    (plain("targets"), ".gutter button { width: 12px }"),
    (plain("drawn_labels"), ".sdeiviz-states .call text { font-size: 18px }"),
    (plain("drawn_labels"), ".sdeiviz-states .state text { transform: translateX(40px) }"),
    (marks, ".track { border-color: #ddd }"),
    (marks, ".sdeiviz-states .taken path { stroke: #ccc }"),
    (marks, ".command svg { fill: #eee }"),
    (
        colourless,
        ".changed td * { font-weight: 400 !important }"
        ".changed td { font-weight: 400 !important; font-size: 0 } td.mark { display: none }",
    ),
    (
        colourless,
        ".current path { stroke-width: 1 !important }.current text { font-weight: 400 !important }",
    ),
    (colourless, ".small { font-weight: 400 !important }"),
    (fold, ".toolbar { padding-top: 1000px }"),
    (fold, ".scrubber { height: 900px }"),
    (
        lambda lab: page_checks.tab_stops(lab.page, SURFACE)[1],
        ".slider:focus-visible { outline: none !important }",
    ),
    (
        lambda lab: page_checks.tab_stops(lab.page, SURFACE)[1],
        "* { outline-color: #eee !important }",
    ),
]


@pytest.fixture(scope="module")
def sound(lab: Lab) -> Lab:
    """The debugger in a handler, on which every check is content."""
    lab.open("delivery.ipynb")
    lab.run_all()
    lab.theme(dark=False)
    lab.size(1280)
    lab.press("next", "next", "next", "next", "step", "next")
    return lab


@pytest.mark.parametrize(("check", "style"), DEFECTS, ids=[style for _, style in DEFECTS])
def test_a_defect_is_found(sound: Lab, check: Check, style: str) -> None:
    sound.surface()
    assert check(sound) == []
    rules = " ".join(f"{SURFACE} {rule.strip()} }}" for rule in style.split("}") if rule.strip())
    sound.page.evaluate(
        "css => { const style = document.createElement('style'); style.id = 'defect';"
        " style.textContent = css; document.head.append(style); }",
        rules.replace(",", f", {SURFACE}"),
    )
    sound.settle()
    try:
        assert check(sound) != []
    finally:
        sound.page.evaluate("() => document.getElementById('defect').remove()")
        sound.settle()


def test_a_pane_that_moves_is_seen(sound: Lab) -> None:
    before = page_checks.boxes(sound.page, SURFACE)
    assert page_checks.boxes(sound.page, SURFACE) == before
    sound.page.evaluate(
        "s => document.querySelector(s + ' .toolbar').style.marginTop = '1px'", SURFACE
    )
    assert page_checks.boxes(sound.page, SURFACE) != before
    sound.page.evaluate(
        "s => document.querySelector(s + ' .toolbar').style.marginTop = ''", SURFACE
    )


def test_a_button_without_a_name_is_found(sound: Lab) -> None:
    button = sound.page.locator(f"{SURFACE} .command.help")
    button.evaluate("b => { b.ariaLabel = ''; b.title = ''; b.textContent = ''; }")
    found = page_checks.accessibility(sound.page, SURFACE)
    button.evaluate("b => { b.ariaLabel = 'Keys'; b.textContent = '?'; }")
    assert any(problem.startswith("button-name") for problem in found)
    assert page_checks.accessibility(sound.page, SURFACE) == []


def test_a_trap_for_the_tab_key_is_found(sound: Lab) -> None:
    sound.page.evaluate(
        "s => { window.trap = e => { if (e.key === 'Tab') e.preventDefault(); };"
        " document.querySelector(s).addEventListener('keydown', window.trap); }",
        SURFACE,
    )
    _, problems = page_checks.tab_stops(sound.page, SURFACE)
    sound.page.evaluate(
        "s => document.querySelector(s).removeEventListener('keydown', window.trap)", SURFACE
    )
    assert any("Tab does not leave" in problem for problem in problems)
