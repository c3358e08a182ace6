"""What a page must keep, whatever it shows: each check returns the problems that it found.

They look at computed styles and boxes, never at source. A selector says what to look at, so that
they fit any page. Elements that scroll on purpose are declared by the attribute `data-scroller`.
"""

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_SCRIPT = Path(__file__).with_suffix(".js").read_text("utf-8")


def _look(page: Page, selector: str, check: str, **given: Any) -> Any:
    return page.evaluate(_SCRIPT, {"selector": selector, "check": check, "given": given})


def overflow(page: Page, selector: str) -> list[str]:
    """Nothing sticks out of its box or is cut off, but in a declared scroller."""
    problems: list[str] = _look(page, selector, "overflow")
    return problems


def intersections(page: Page, selector: str) -> list[str]:
    """No two panes (elements with `data-pane`) share a pixel."""
    problems: list[str] = _look(page, selector, "intersections")
    return problems


def boxes(page: Page, selector: str) -> dict[str, list[float]]:
    """Return where each pane is, for comparing before and after."""
    found: dict[str, list[float]] = _look(page, selector, "boxes")
    return found


def text_contrast(page: Page, selector: str, least: float = 4.5) -> list[str]:
    """Every text, that of drawings too, stands out from what is behind it."""
    problems: list[str] = _look(page, selector, "text_contrast", least=least)
    return problems


def mark_contrast(
    page: Page, selector: str, marks: dict[str, str], least: float = 3.0
) -> list[str]:
    """Marks that carry meaning stand out; `marks` says which property of which elements."""
    problems: list[str] = _look(page, selector, "mark_contrast", marks=marks, least=least)
    return problems


def text_sizes(page: Page, selector: str, least: float = 12) -> list[str]:
    """No text is smaller than 12 px as drawn, in drawings too."""
    problems: list[str] = _look(page, selector, "text_sizes", least=least)
    return problems


def targets(page: Page, selector: str, least: float = 24) -> list[str]:
    """Whatever can be clicked is at least 24 px high and wide."""
    problems: list[str] = _look(page, selector, "targets", least=least)
    return problems


def drawn_labels(page: Page, selector: str) -> list[str]:
    """In a drawing no label lies over another, nor over the edge of a box."""
    problems: list[str] = _look(page, selector, "drawn_labels")
    return problems


def without_colour(page: Page, selector: str, pairs: dict[str, str]) -> list[str]:
    """What is marked differs from what is not by more than its colour.

    `pairs` maps a selector of marked elements to one of their unmarked like.
    """
    problems: list[str] = _look(page, selector, "without_colour", pairs=pairs)
    return problems


def above_the_fold(page: Page, selector: str, wanted: list[str]) -> list[str]:
    """With the top of the root at the top of the view, all of these are in sight."""
    problems: list[str] = _look(page, selector, "above_the_fold", wanted=wanted)
    return problems


def tab_stops(
    page: Page, selector: str, most: int = 40, first: str = ""
) -> tuple[list[str], list[str]]:
    """Walk through the root with Tab; return the names of the stops, and the problems.

    Each stop has a name and a ring that stands out, and the walk comes out at the end. It begins
    at the root itself, or where `first` says.
    """
    page.keyboard.press("Shift")  # so that the browser takes what follows for a keyboard's focus
    page.locator(first or selector).focus()
    stops: list[str] = []
    problems = []
    while stop := _look(page, selector, "focused"):
        stops.append(stop["label"])
        if stop["ring"] < 3:
            problems.append(f"{stop['name']}: focus is not shown ({stop['ring']:.2f})")
        if not stop["label"]:
            problems.append(f"{stop['name']}: has no name")
        if len(stops) > most:
            return stops, [*problems, f"Tab does not leave after {most} stops"]
        page.keyboard.press("Tab")
    return stops, problems if stops else ["nothing can be focused"]


def accessibility(page: Page, selector: str) -> list[str]:
    """Axe finds nothing serious."""
    found = Axe().run(page, context=selector, options={"resultTypes": ["violations"]})
    return [
        f"{rule['id']} ({rule['impact']}): {rule['nodes'][0]['html'][:120]}"
        for rule in found.response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def figure(page: Page, selector: str) -> list[str]:
    """A drawing or a table can be read where it stands."""
    page.locator(selector).scroll_into_view_if_needed()
    return [
        *overflow(page, selector),
        *text_contrast(page, selector),
        *text_sizes(page, selector),
        *drawn_labels(page, selector),
        *accessibility(page, selector),
    ]
