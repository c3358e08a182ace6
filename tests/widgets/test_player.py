"""The player's widget: what it sends, and what is left without it."""

import json
from typing import Any

import pytest

from sdeiviz.views.migration import moments
from sdeiviz.widgets import Player
from tests.migration.stories import story
from tests.views.test_migration_views import busy
from tests.widgets.conftest import Wire


def test_it_is_sent_once_and_then_only_the_number(wire: Wire) -> None:
    player = Player(story())
    (state, _), *_ = [m for m in wire.messages() if "film" in m[0].get("state", {})]
    film = state["state"]["film"]
    assert len(film["changes"]) == len(film["places"]) == len(film["whole"]) == len(player.times)
    player.frame = 3
    ((message, _),) = wire.messages()
    assert message["state"] == {"frame": 3}


def test_what_is_sent_stays_small(wire: Wire) -> None:
    Player(busy())
    assert max(wire.take()) < 400_000


def test_a_moment_is_found_by_its_time() -> None:
    player = Player(story(), frames=4)
    assert player.times == (1000, 1300, 1500, 2000, 2500)
    for time, frame in ((0, 0), (1000, 0), (1299, 0), (1300, 1), (2499, 3), (9000, 4)):
        player.seek(time)
        assert player.frame == frame
    assert str(player).startswith("1.5 µs, all is there: 8 of 8 pages arrived; PE 0 running")
    assert repr(player) == "<Player of 5 pictures at 4>"


@pytest.mark.parametrize(("wanted", "shown"), [(-1, 0), (5, 4), (1 << 60, 4)])
def test_there_is_nothing_before_the_first_picture_nor_after_the_last(
    wanted: int, shown: int
) -> None:
    player = Player(story(), frames=4)
    player.frame = wanted
    assert player.frame == shown


def test_speeds_say_what_a_second_shows(wire: Wire) -> None:
    Player(story())
    (state, _), *_ = [m for m in wire.messages() if "film" in m[0].get("state", {})]
    assert [tuple(speed) for speed in state["state"]["film"]["speeds"]] == [
        ("1 s shows 37 ns", 40),
        ("1 s shows 75 ns", 20),
        ("1 s shows 150 ns", 10),
        ("1 s shows 300 ns", 5),
        ("1 s shows 600 ns", 2.5),
    ]


def test_a_page_without_a_kernel_has_the_film(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("sdeiviz.widgets.player.publish_display_data", shown.append)
    Player(story(), frames=4)._ipython_display_()
    view, film = shown
    assert view["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert "text/html" not in view
    assert view["text/plain"].startswith("0 ns, pre-copy: 0 of 8 pages arrived; PE 0 running")
    assert moments.film(story()) in film["text/html"]
    json.dumps(shown)
