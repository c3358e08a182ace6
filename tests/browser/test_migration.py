"""Drawings of a migration, and its player, as a notebook's reader sees them."""

import pytest

from tests.browser import page_checks
from tests.browser.conftest import Lab

FIGURE = ".sdeiviz-figure"
FIGURES = 7
PLAYER = ".sdeiviz-player"
SLIDER = f"{PLAYER} input"
IDLE = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"


@pytest.fixture(scope="module")
def migration(lab: Lab) -> Lab:
    """Two migrations of one guest, drawn, and the player of the first."""
    lab.open("migration.ipynb")
    lab.size(1280)
    lab.page.evaluate(
        "() => { jupyterapp.shell.currentWidget.content.notebookConfig = "
        "{...jupyterapp.shell.currentWidget.content.notebookConfig, windowingMode: 'none'} }"
    )
    lab.command("notebook:run-all-cells")
    lab.page.wait_for_selector(f"{PLAYER} svg", timeout=120_000)
    lab.page.wait_for_function(f"() => {IDLE}")
    assert lab.page.locator(FIGURE).count() == FIGURES
    lab.page.evaluate(
        f"() => document.querySelectorAll('{FIGURE}').forEach((e, n) => e.id = `figure-${{n}}`)"
    )
    return lab


def said(lab: Lab) -> str:
    """What the slider says of the picture; the picture says it too."""
    words = lab.page.locator(SLIDER).get_attribute("aria-valuetext") or ""
    assert words.startswith(lab.page.locator(f"{PLAYER} .said").text_content() or "?")
    return words


def frame(lab: Lab) -> int:
    return int(lab.page.locator(SLIDER).input_value())


def press(lab: Lab, *keys: str) -> None:
    lab.page.locator(SLIDER).focus()
    for key in keys:
        lab.page.keyboard.press(key)


def test_it_runs_without_a_complaint(migration: Lab) -> None:
    assert migration.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    assert migration.errors == []


@pytest.mark.parametrize("width", [800, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_drawing_can_be_read(migration: Lab, width: int, dark: bool) -> None:
    page = migration.page
    migration.theme(dark)
    migration.size(width)
    press(migration, "Home", *["PageUp"] * 5)
    page.locator(f"{PLAYER} details").evaluate("e => e.open = true")
    found = []
    for shown in (*(f"#figure-{n}" for n in range(FIGURES)), PLAYER):
        found += page_checks.figure(page, shown)
    found += page_checks.targets(page, PLAYER)
    assert found == []


def test_a_narrow_page_says_what_is_out_of_sight(migration: Lab) -> None:
    caption = migration.page.locator(f"{PLAYER} p")
    migration.size(800)
    press(migration, "Home")
    before = layout(migration)
    words = set()
    for _ in range(10):
        press(migration, "PageUp")
        words.add(caption.inner_text())
        assert caption.inner_text() == said(migration)
        assert layout(migration) == before
    assert len(words) == 10
    migration.size(1280)
    assert not caption.is_visible()


def test_every_stage_looks_different_without_colour(migration: Lab) -> None:
    """Two are plain, one as the paper, one as ink; the others have marks that no other has."""
    looks = migration.page.evaluate(
        """player => [...document.querySelectorAll(`${player} .stage`)].map(path => {
          const pattern = document.getElementById(path.getAttribute("fill").slice(5, -1));
          const marks = pattern.querySelector("path")?.getAttribute("d") ?? "";
          return marks || getComputedStyle(pattern.querySelector("rect")).fill;
        })""",
        PLAYER,
    )
    assert len(set(looks)) == len(looks) == 6


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_keyboard_reaches_all_of_the_player(migration: Lab, dark: bool) -> None:
    migration.theme(dark)
    page = migration.page
    page.locator(f"{PLAYER} details").evaluate("e => e.open = true")
    stops, problems = page_checks.tab_stops(page, PLAYER, first=f"{PLAYER} button")
    assert problems == []
    assert stops == ["Play", "Moment", "Speed", "Picture", "as text", "The same as text"]


def test_keys_step_through_the_pictures(migration: Lab) -> None:
    migration.size(1280)
    press(migration, "Home")
    assert frame(migration) == 0
    assert said(migration).startswith("0 ns, pre-copy: 0 of 1,024 pages arrived; PE 0 running;")
    press(migration, "ArrowRight", "ArrowRight", "ArrowLeft")
    assert frame(migration) == 1
    press(migration, "End")
    assert said(migration).split(", ")[1].startswith("all is there: 1,024 of 1")
    # JupyterLab must not have taken the keys for its own.
    assert migration.page.locator(".jp-Notebook .jp-Cell").count() == 4


def test_the_slider_is_dragged_without_the_kernel(migration: Lab) -> None:
    press(migration, "Home")
    migration.page.locator(SLIDER).scroll_into_view_if_needed()
    box = migration.page.locator(SLIDER).bounding_box()
    assert box is not None
    mouse, y = migration.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + 8, y)
    mouse.down()
    seen = []
    try:
        for share in (0.2, 0.4, 0.6):
            mouse.move(box["x"] + share * box["width"], y)
            migration.settle()
            seen.append((frame(migration), said(migration)))
    finally:
        mouse.up()
    assert len({words for _, words in seen}) == 3
    assert seen[-1][0] == pytest.approx(0.6 * 241, abs=6)


def test_it_plays_pauses_and_ends(migration: Lab) -> None:
    page = migration.page
    button = page.locator(f"{PLAYER} button")
    press(migration, "Home")
    page.locator(f"{PLAYER} select").select_option(index=4)
    before = layout(migration)
    button.click()
    page.wait_for_function("s => Number(document.querySelector(s).value) > 20", arg=SLIDER)
    assert button.inner_text() == "Pause"
    press(migration, " ")
    at = frame(migration)
    assert 20 < at < 241
    assert button.inner_text() == "Play"
    assert layout(migration) == before
    button.click()
    page.wait_for_function("s => Number(document.querySelector(s).value) === 241", arg=SLIDER)
    page.wait_for_function(
        "b => document.querySelector(b).innerText === 'Play'", arg=f"{PLAYER} button"
    )
    assert layout(migration) == before
    # Now the kernel knows.
    page.locator(".jp-CodeCell").nth(3).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(f"() => {IDLE}")
    last = page.locator(".jp-CodeCell").nth(3).locator(".jp-OutputArea-output")
    # The last picture is at the migration's end.
    assert int(last.inner_text()) > 1_000_000
    button.click()
    page.wait_for_function("s => Number(document.querySelector(s).value) < 241", arg=SLIDER)
    button.click()


def layout(lab: Lab) -> list[list[float]]:
    """Where all of the player's parts are that may not move."""
    found: list[list[float]] = lab.page.evaluate(
        """player => {
          const root = document.querySelector(player), from = root.getBoundingClientRect();
          const still = "button, input, select, summary, .picture, svg, .amounts *, .cells, .rule";
          return [...root.querySelectorAll(still)].map(e => {
            const box = e.getBoundingClientRect();
            const text = e.tagName === "text";
            return [box.x - from.x, box.y - from.y, text ? 0 : box.width, box.height]
              .map(Math.round);
          });
        }""",
        PLAYER,
    )
    return found


def test_the_film_is_there_once_the_kernel_is_gone(migration: Lab) -> None:
    page = migration.page
    film = page.locator(".sdeiviz-film")
    assert film.count() == 1
    assert not film.is_visible()
    # The pictures go on without a kernel.
    migration.shut()
    press(migration, "Home", "ArrowRight")
    assert frame(migration) == 1
    assert migration.errors == []
    # As on a page that cannot show widgets.
    page.locator(PLAYER).evaluate("e => e.remove()")
    assert film.is_visible()
    assert "1,024 of 1,024 pages arrived" in (film.locator("svg").text_content() or "")
