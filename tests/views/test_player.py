"""The pictures of a player, from a record made by hand."""

import re
from dataclasses import replace
from html import escape
from xml.etree import ElementTree

import pytest

from sdeiviz.errors import Error
from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.record import Recorder, Stage
from sdeiviz.migration.wire import Page, RequestPages
from sdeiviz.views.migration import player
from sdeiviz.views.threads import Doing
from tests.migration.stories import PHASES, numbers, page, story, told

SVG = "{http://www.w3.org/2000/svg}"
D, M, R, F, A, Z = Stage
CELLS = [
    [F, D, D, D, D, D, D, D],
    [D, Z, D, D, D, D, D, D],
    [M, Z, M, M, M, M, M, M],
    [M, Z, M, A, R, M, M, M],
    [Z, Z, A, A, A, Z, Z, Z],
]


def test_a_picture_shows_what_is_at_its_moment() -> None:
    frames = player.frames(story(), 4)
    assert [frame.time for frame in frames] == [1000, 1300, 1500, 2000, 2500]
    assert [list(frame.cells) for frame in frames] == CELLS
    assert [frame.amounts for frame in frames] == [
        (7, 0, 0, 1, 0, 0),
        (7, 0, 0, 0, 0, 1),
        (0, 7, 0, 0, 0, 1),
        (0, 5, 1, 0, 1, 1),
        (0, 0, 0, 0, 3, 5),
    ]
    assert [frame.said for frame in frames] == [
        "0 ns, pre-copy: 0 of 8 pages arrived",
        "300 ns, downtime: 1 of 8 pages arrived",
        "500 ns, post-copy: 1 of 8 pages arrived",
        "1 µs, post-copy: 2 of 8 pages arrived",
        "1.5 µs, all is there: 8 of 8 pages arrived",
    ]
    assert [frame.doing for frame in frames] == [
        (Doing.RUNNING,),
        (Doing.STOPPED,),
        (Doing.RUNNING,),
        (Doing.BLOCKED,),
        (Doing.RUNNING,),
    ]


def test_a_page_asked_for_is_marked_from_the_next_picture_on_until_it_is_there() -> None:
    # Asked for at 1700 and at 2000, there at 1950 and 2200; a picture is at 2000.
    assert [frame.asked for frame in player.frames(story(), 4)] == [(), (), (), (3, 4), ()]
    # The next ones after 1700 and from 2000 on are at 1750 and at 2000.
    asked = {f.time: f.asked for f in player.frames(story(), 7) if f.asked}
    assert asked == {1750: (3,), 2000: (4,)}
    # A picture each 50 ns.
    asked = {f.time: f.asked for f in player.frames(story(), 31) if f.asked}
    assert asked == {
        **dict.fromkeys(range(1700, 1950, 50), (3,)),
        **dict.fromkeys(range(2000, 2200, 50), (4,)),
    }


def test_a_link_is_never_more_than_full() -> None:
    recorder = Recorder(8, 1, 0, bandwidth=10**9)
    recorder.passed(0, MAIN, page(0), 4121)
    frames = player.frames(recorder.record(20_000, dict.fromkeys(PHASES), numbers()), 2)
    assert (frames[0].link, frames[0].share) == ("2 Gbit/s", "100 %")


def test_downtime_has_its_name_beside_it_where_it_is_short() -> None:
    record = replace(story(), phases={**PHASES, "stop": 1300, "run": 1350})
    svg = player.svg(record, player.frames(record, 2)[0])
    # 350 of 1500 ns in 704 pixels from 92 on, and four more.
    assert '<text x="260.3" y="' in svg
    assert svg.count(">\N{LEFTWARDS ARROW} downtime</text>") == 1
    assert ">post-copy</text>" in svg


def test_the_links_use_is_counted_when_it_arrives() -> None:
    # A step is 6 bins of 2**24 ns, about 0.1 s: 125,000 bytes in one are about 10 Mbit/s.
    recorder = Recorder(8, 1, 0, bandwidth=10**8)
    recorder.passed(0, MAIN, page(0), 125_000)
    recorder.passed(4_000_000_000, URGENT, page(1), 250_000)
    recorder.passed(8_000_000_000, RETURN, RequestPages(2, 1), 28)
    record = recorder.record(8_800_000_000, dict.fromkeys(PHASES), numbers())
    frames = player.frames(record, 12)
    used = {frame.time: (frame.link, frame.share) for frame in frames if frame.share != "0 %"}
    assert used == {0: ("9.9 Mbit/s", "10 %"), 4_000_000_000: ("19.9 Mbit/s", "20 %")}
    assert frames[0].said == "0 ns, not begun: 1 of 8 pages arrived"


def test_the_links_channels_are_named_where_there_are_two() -> None:
    recorder = Recorder(8, 1, 0)
    recorder.passed(10, MAIN, page(0), 4121)
    alone = recorder.record(100, PHASES, numbers())
    assert "link, " not in player.svg(alone, player.frames(alone, 2)[0])
    both = player.svg(story(), player.frames(story(), 2)[0])
    assert ">link, main channel: in the background<" in both
    assert ">link, urgent channel: asked for<" in both


def test_a_link_of_unknown_width_has_no_share() -> None:
    recorder = Recorder(8, 1, 0)
    recorder.passed(10, MAIN, page(0), 4121)
    frame = player.frames(recorder.record(100, PHASES, numbers()), 2)[0]
    assert frame.share == ""
    assert frame.whole().endswith(frame.link)


def test_where_pages_share_a_cell() -> None:
    recorder = Recorder(4096, 1, 0)
    recorder.passed(10, RETURN, RequestPages(4095, 1), 28)
    recorder.passed(20, MAIN, Page(4, True), 25)
    frames = player.frames(recorder.record(100, dict.fromkeys(PHASES), numbers()), 2)
    assert len(frames[0].cells) == 1024
    assert frames[1].asked == (1023,)
    assert "a cell is 4 pages" in player.svg(
        recorder.record(100, dict.fromkeys(PHASES), numbers()), frames[1]
    )


def test_what_is_forgotten_is_not_shown() -> None:
    record = told(limit=6).record(3000, PHASES, numbers())
    frames = player.frames(record, 3)
    assert frames[0].time == record.known_since() > 2000
    assert [list(frame.cells) for frame in frames][-1] == CELLS[-1]


def test_the_changes_make_every_picture() -> None:
    frames = player.frames(story(), 9)
    cells = [-1] * 8
    for frame, changed in zip(frames, player.cell_changes(frames), strict=True):
        for one in changed:
            assert cells[one >> 3] != one & 7
            cells[one >> 3] = one & 7
        assert cells == list(frame.cells)


def parts(svg: str) -> dict[str, list[ElementTree.Element]]:
    found: dict[str, list[ElementTree.Element]] = {}
    for part in ElementTree.fromstring(svg).iter():
        for name in part.get("class", "").split():
            found.setdefault(name, []).append(part)
    return found


def test_the_drawing_has_the_parts_that_move_and_only_they_differ() -> None:
    record = story()
    frames = player.frames(record, 4)
    drawn = [parts(player.svg(record, frame)) for frame in frames]
    for frame, part in zip(frames, drawn, strict=True):
        assert [e.text for e in part["said"]] == [frame.said]
        assert [e.text for e in part["doing"]] == list(frame.doing)
        assert [e.text for e in part["link"] + part["share"]] == [frame.link, frame.share]
        assert len(part["stage"]) == len(Stage)
        assert bool(part["asked"][1].get("d")) == bool(frame.asked)
        legend = [e.text or "" for e in part["amounts"][0].iter(f"{SVG}text")]
        assert tuple(int(re.findall(r"\d+", said)[0]) for said in legend) == frame.amounts
    places = [part["now"][0].get("transform") for part in drawn]
    assert places == [f"translate({x})" for x in ("0.0", "140.8", "234.7", "469.3", "704.0")]
    still = ("x", "y", "width", "height", "class")
    boxes = [
        [[e.tag, *map(e.get, still)] for e in ElementTree.fromstring(player.svg(record, f)).iter()]
        for f in frames
    ]
    assert boxes == boxes[:1] * 5


def test_the_outline_of_a_stage_covers_its_cells() -> None:
    record = story()
    stages = parts(player.svg(record, player.frames(record, 4)[3]))["stage"]
    # Cells are 22 pixels wide: M Z M A R M M M.
    assert [e.get("d") for e in stages] == [
        "",
        "M92 28h22v22h-22zM136 28h22v22h-22zM202 28h66v22h-66z",
        "M180 28h22v22h-22z",
        "",
        "M158 28h22v22h-22z",
        "M114 28h22v22h-22z",
    ]


def test_the_text_says_it_all() -> None:
    when, pages = player.text(story(), 4).splitlines()[6:8]
    assert when.startswith("1 µs, post-copy: 2 of 8 pages arrived; PE 0 blocked; link ")
    assert pages == "    missing 5, asked for 1, arrived 1, arrived, all zeros 1"
    assert escape(player.text(story())) in player.html(story())


@pytest.mark.parametrize("count", [-1, 0, 1, 241])
def test_there_are_some_pictures_and_not_too_many(count: int) -> None:
    with pytest.raises(Error, match=f"a film of {count} pictures: want 2 to 240"):
        player.frames(story(), count)
