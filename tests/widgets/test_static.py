"""The files that go to the browser."""

import re
from pathlib import Path

import sdeiviz.widgets
from sdeiviz.views.log import SIGNS
from sdeiviz.widgets import frame

STATIC = Path(sdeiviz.widgets.__file__).parent / "static"
SCRIPT = (STATIC / "debugger.js").read_text("utf-8")
STYLE = (STATIC / "debugger.css").read_text("utf-8")
PLAYER = (STATIC / "player.js").read_text("utf-8")
PLAYER_STYLE = (STATIC / "player.css").read_text("utf-8")


def test_they_are_small_and_fetch_nothing() -> None:
    assert len(SCRIPT.encode()) < 56_000
    assert len(PLAYER.encode()) < 9_000
    for text in (SCRIPT, STYLE, PLAYER, PLAYER_STYLE):
        addresses = set(re.findall(r"https?://[^\"' )]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, "a name space, never fetched"
    assert not re.findall(
        r"^\s*import\b|\bimport\(|\bfetch\(|XMLHttpRequest|@import|url\(",
        SCRIPT + STYLE + PLAYER + PLAYER_STYLE,
        re.M,
    )


def test_foreign_text_cannot_become_markup() -> None:
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(",
        SCRIPT + PLAYER,
    )


def test_every_mark_has_a_sign_of_its_own() -> None:
    signs = frame.signs()
    kinds = {
        mark[0] for mark in frame.markers([(n, k) for n, k in enumerate(frame.KINDS)], 100).split()
    }
    assert set(SIGNS) <= set(signs)
    assert kinds <= set(signs)


def test_no_text_is_smaller_than_12_px() -> None:
    sizes = [
        int(size) for size in re.findall(r"font(?:-size)?:[^;]*?(\d+)px", STYLE + PLAYER_STYLE)
    ]
    assert min(sizes) >= 12
    assert len(sizes) > 8
