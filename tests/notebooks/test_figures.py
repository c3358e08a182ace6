"""Pictures and tables for notebooks, and the guest of the third."""

from typing import Any

import pytest

from sdeiviz.classroom import Figure, drawing, progress, swapping, table
from sdeiviz.machine.latency import Constant


def shown(figure: Figure) -> dict[str, str]:
    return figure._repr_mimebundle_()


def test_a_drawing_keeps_its_size_and_can_be_scrolled_by_keyboard() -> None:
    figure = drawing("One <fault>", '<svg class="a"><title>t</title></svg>', "in words")
    html = shown(figure)["text/html"]
    assert '<svg style="max-width: none" class="a">' in html
    assert 'tabindex="0" aria-label="One &lt;fault&gt;"' in html
    assert "overflow-x: auto" in html
    assert shown(figure)["text/plain"] == str(figure) == repr(figure) == "in words"


def test_a_table_says_the_same_in_both_ways() -> None:
    figure = table("Gains", ("mode", "C"), [("sync", "<1 %"), ("halt", "2 %")])
    assert figure.text == "mode  C\nsync  <1 %\nhalt  2 %"
    for part in ("<strong>Gains</strong>", "<th scope=row>sync</th><td>&lt;1 %</td>"):
        assert part in figure.html
    assert "<details>" not in figure.html


def test_a_folded_table_shows_its_title_first() -> None:
    figure = table("Sources", ("name",), [("costs.exit",)], folded=True)
    assert figure.html.startswith("<details><summary ")
    assert ">Sources</summary>" in figure.html
    assert figure.html.count(">Sources<") == 1
    assert figure.text == "name\ncosts.exit"


def test_the_guest_is_told_its_options_and_the_host_its_own() -> None:
    made = swapping("halt", latency=7, c=3, lie="token")
    assert made["bootargs"] == "m=1 c=3 pages=64 touch=1 work=10000 time=20 lie=token"
    paging = made["paging"]
    assert (paging.mode, paging.latency, paging.resident) == ("halt", Constant(7), 32)
    # assets/parameters/async_page_fault.toml
    assert (paging.costs.exit, paging.costs.worker) == (1200, 5000)


def test_a_bar_follows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    advance = progress("Runs")
    (bar,) = shown
    advance(0, 8)
    assert (bar.description, bar.value, bar.max) == ("Runs 0/8", 0, 8)
    advance(8, 8)
    assert (bar.description, bar.value) == ("Runs 8/8", 8)
