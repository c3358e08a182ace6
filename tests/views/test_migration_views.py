"""Drawings and texts of migrations, from records made by hand."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeiviz.errors import Error
from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.record import MigrationRecord, Recorder, Stage
from sdeiviz.migration.wire import Page, RequestPages
from sdeiviz.views import drawing
from sdeiviz.views.migration import latency, moments, pages, summary, traffic, vcpus, wire
from sdeiviz.views.threads import Doing
from tests.migration.stories import GFN, numbers, page, story, tell, told

SVG = "{http://www.w3.org/2000/svg}"
D, M, R, F, A, Z = Stage
NONE = {"start": 0, "stop": None, "run": None, "end": None}
KILOBYTES = 200_000

DRAWINGS: dict[str, Callable[[MigrationRecord], str]] = {
    "pages": pages.svg,
    "moment": lambda record: moments.svg(record, record.end),
    "traffic": lambda record: traffic.svg(("<a>", record), ("b&c", record)),
    "vcpus": lambda record: vcpus.svg(("<a>", record), ("b&c", record)),
    "latency": lambda record: latency.svg(("<a>", record), ("b&c", record)),
    "life": lambda record: wire.svg(wire.life(record)),
    "span": lambda record: wire.svg(wire.span(record, record.start, record.end)),
}


def busy(count: int = 3000, size: int = 6000) -> MigrationRecord:
    """Pages that come in no order, each a little later, every second one asked for."""
    recorder = Recorder(size, 2, 0, bandwidth=10**9)
    time = 0
    for n in range(count):
        number = n * 7919 % size
        time += 20_000 + n * 104_729 % 50_000
        message = Page(number, n % 3 == 0, b"" if n % 3 == 0 else b"x" * 4096)
        if n % 2:
            recorder.happened(time, ("VcpuBlocked", n % 4 // 2, GFN + number, n % 8 == 1), GFN)
            recorder.passed(time, RETURN, RequestPages(number, 1), 28)
            recorder.happened(time + 9_000, ("VcpuUnblocked", n % 4 // 2), GFN)
        recorder.sent(time, URGENT if n % 2 else MAIN, message, 4121)
        recorder.delivered(time + 15_000, message)
    return recorder.record(time + 20_000, NONE, numbers())


# -- pages over time


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.sampled_from([D, F, A, R]))),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_cells_hold_every_page_for_all_the_time(
    steps: list[tuple[int, int, Stage]], columns: int, rows: int
) -> None:
    recorder = Recorder(7, 1, 100)
    now = tell(recorder, 100, steps)
    record = recorder.record(now + 3, NONE, {})
    length = record.end - record.start
    held = pages.cells(record, columns, rows)
    each = pages.pages_of_a_row(record, rows)
    expected: Counter[tuple[int, Stage]] = Counter()
    for number, stage, begin, end in record.runs():
        expected[number // each, stage] += (end - begin) * columns
    for y, row in enumerate(held):
        members = min(each, 7 - y * each)
        assert [sum(cell) for cell in row] == [members * length] * columns
        for stage in Stage:
            assert sum(cell[stage] for cell in row) == expected[y, stage]


def cells_of(svg: str, kind: str) -> set[tuple[int, int]]:
    """The cells that areas of a filling cover."""
    found = set()
    for path in re.findall(rf'fill="url\(#sdeiviz-migration-pages-\w+-{kind}\)" d="(.*?)"', svg):
        for x, y, wide, high, back in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z", path):
            assert wide == back
            assert high == "2"
            found |= {((int(x) - 72) // 2 + n, (int(y) - 42) // 2) for n in range(int(wide) // 2)}
    return found


def test_the_picture_shows_what_most_pages_of_a_cell_were() -> None:
    record = story()
    svg = pages.svg(record)
    drawn = {stage: cells_of(svg, pages.STAGES[stage][1]) for stage in Stage}
    assert sum(map(len, drawn.values())) == 8 * 360
    assert set.union(*drawn.values()) == {(x, y) for x in range(360) for y in range(8)}
    # The picture ends at 2500: a column is 25/6 ns.
    for number in range(8):
        for time in (1050, 1250, 1450, 1650, 1750, 1900, 2100, 2320, 2480):
            stage = Stage(record.stages(time)[number])
            assert ((time - 1000) * 360 // 1500, number) in drawn[stage], (number, time)


def test_every_request_is_marked_where_and_when_it_was_made() -> None:
    (marks,) = re.findall(r'class="asked" d="(.*?)"', pages.svg(story()))[:1]
    places = re.findall(r"M(\d+) (\d+)h3v3h-3z", marks)
    # 700 and 1000 of 1500 ns in 720 pixels; pages 3 and 4, two pixels each, in steps of three.
    assert places == [("408", "48"), ("552", "48")]
    assert len(re.findall("M", marks)) == 2
    assert 'class="asked"' not in pages.svg(replace(story(), messages=()))


def test_what_is_asked_for_after_the_end_is_not_in_the_picture() -> None:
    recorder = told()
    recorder.passed(2600, RETURN, RequestPages(7, 1), 28)
    record = recorder.record(3000, story().phases, numbers())
    assert len(pages.requests(record)) == 3
    assert re.findall(r'class="asked" d="(.*?)"', pages.svg(record)) == re.findall(
        r'class="asked" d="(.*?)"', pages.svg(story())
    )


def test_the_text_of_pages_counts_them() -> None:
    lines = pages.text(story()).splitlines()
    assert lines[0].startswith("8 pages, 1.5 µs of virtual time; a letter is 23 ns of 1 page")
    assert len(lines) == 2 + 8 + 1 + 5
    assert lines[5].startswith("     0x3 |sss")
    assert [*dict.fromkeys(lines[5].split("|")[1])] == ["s", ".", "?", ">", "#"]
    assert lines[10] == "2 requests"
    assert lines[11].endswith("still to be sent, guest on the source 7, on the way 1")
    assert lines[-1].endswith("arrived 3, arrived, all zeros 5")


def test_a_picture_without_the_beginning_says_from_when_on_it_is() -> None:
    short = story(limit=3)
    assert short.known_since() > 1000
    assert sum(map(len, (cells_of(pages.svg(short), pages.STAGES[s][1]) for s in Stage))) == 2880


@pytest.mark.parametrize(("stop", "place"), [(1300, ("221", "")), (2400, ("739", "end"))])
def test_the_handover_is_named_within_the_drawing(stop: int, place: tuple[str, str]) -> None:
    record = story()
    svg = pages.svg(replace(record, phases={**record.phases, "stop": stop, "run": stop}))
    (found,) = re.findall(r'<text( class="end")? x="(\d+)"[^>]*>the guest is handed over<', svg)
    assert (found[1], "end" if found[0] else "") == place


# -- a moment, and the film


def test_a_map_of_less_than_a_row_has_no_line_beyond_its_cells() -> None:
    (grid,) = re.findall(r'class="cells" d="(.*?)"', moments.svg(story(), 2000))
    # Eight cells of 22 pixels.
    assert re.findall(r"h(\d+)", grid) == ["176", "176"]


def test_a_moment_shows_the_rare_before_the_frequent() -> None:
    stages = bytes([A] * 3000)
    assert moments.cells(stages) == (3, [A] * 1000)
    mixed = bytes([A, A, F, R, F, A, M, M, A, Z]) + bytes([A] * 2990)
    assert moments.cells(mixed)[1][:4] == [F, R, M, A]


def test_the_text_of_a_moment_is_the_map_in_letters() -> None:
    lines = moments.text(story(), 1800).splitlines()
    assert lines[0] == "800 ns after the start"
    assert lines[1].startswith("s still to be sent, guest on the source: 0  . missing: 6  ? asked")
    assert lines[2] == "     0x0  .0.>...."
    with pytest.raises(Error, match="is forgotten"):
        moments.text(story(limit=1), 1800)


def test_the_last_picture_of_a_film_is_the_drawing_of_its_moment() -> None:
    record = busy()
    film = moments.film(record, 12)
    root = ElementTree.fromstring(film)
    assert len(root.findall(f".//{SVG}g")) == 12
    painted: dict[tuple[str, str], str] = {}
    for path in root.iter(f"{SVG}path"):
        if "fill" in path.attrib:
            for x, y, wide in re.findall(r"M(\d+) (\d+)h(\d+)", path.attrib["d"]):
                for n in range(int(wide) // 11):
                    painted[str(int(x) + 11 * n), y] = path.attrib["fill"].rsplit("-")[-1][:-1]
    _, shown = moments.cells(record.stages(record.end))
    for n, stage in enumerate(shown):
        place = str(92 + n % 64 * 11), str(28 + n // 64 * 11)
        assert painted.pop(place) == pages.STAGES[stage][1]
    assert not painted


def test_a_film_draws_what_changes() -> None:
    still = Recorder(9, 1, 0).record(1000, NONE, {})
    pictures = ElementTree.fromstring(moments.film(still, 3)).findall(f".//{SVG}g")
    assert [len(picture.findall(f"{SVG}path")) for picture in pictures] == [1, 0, 0]


def test_a_film_has_no_script_begins_when_asked_and_heeds_who_wants_less_motion() -> None:
    film = moments.film(story(), 4)
    assert "<script" not in film
    assert 'type="checkbox"' in film
    assert "checked=" not in film
    assert film.count("@keyframes") == 3
    assert re.findall(r"([\d.]+)% \{ visibility: visible", film) == ["25.00", "50.00", "75.00"]
    assert "infinite" not in film
    assert "prefers-reduced-motion: reduce" in film
    (box,) = re.findall(r'<input type="checkbox" id="(.*?)"', film)
    assert f'<label for="{box}">' in film
    assert moments.film_text(story(), 4) in film
    assert box not in moments.film(story(), 5)


@pytest.mark.parametrize("frames", [-1, 0, 1, 101])
def test_a_film_has_some_pictures_and_not_too_many(frames: int) -> None:
    with pytest.raises(Error, match="want 2 to 100"):
        moments.film(story(), frames)


# -- traffic


@given(
    st.lists(st.tuples(st.integers(0, 90_000_000), st.integers(1, 5000)), min_size=1),
    st.integers(1, 90_000_000),
    st.integers(1, 300),
)
def test_no_byte_is_left_out(sent: list[tuple[int, int]], end: int, most: int) -> None:
    recorder = Recorder(1, 1, 0)
    for time, size in sent:
        recorder.passed(time, MAIN, Page(0, True), size)
    record = recorder.record(90_000_000, NONE, {})
    step, made = traffic.steps(record, MAIN, end, most)
    assert sum(made) == sum(size for _, size in sent)
    assert len(made) <= most
    assert step * len(made) >= end


def test_traffic_is_told_by_channel() -> None:
    record = replace(busy(), bin=1_000_000, moved={0: (125_000, 62_500), 1: (0, 62_500), 2: (25,)})
    record = replace(record, end=2_000_000)
    lines = traffic.text(("x", record)).splitlines()
    assert lines[0] == "x"
    assert re.match(r"main +\|#5 +\|", lines[1])
    assert lines[2].strip() == (
        "187,500 bytes, 750 Mbit/s on average, 75.0 % of the link; # is 1 Gbit/s"
    )
    assert re.match(r"urgent +\| 5 +\|", lines[3])
    assert (
        lines[6]
        .strip()
        .endswith("25 bytes, 100 kbit/s on average, 0.0 % of the link; # is 200 kbit/s")
    )
    unknown = replace(record, bandwidth=None, moved={0: (125,), 1: (), 2: ()}, clock="wall")
    assert "# is 1 Mbit/s" in traffic.text(("", unknown))
    assert traffic.text(("", unknown)).startswith("(wall time)")
    assert "urgent" not in traffic.text(("", unknown))


def test_channels_are_stacked_and_the_link_is_a_line() -> None:
    record = replace(busy(), bin=1_000_000, moved={0: (125_000, 62_500), 1: (0, 62_500), 2: (25,)})
    svg = traffic.svg(("", replace(record, end=2_000_000)))
    paths = re.findall(r'fill="url\(#\S+-(\w+)\)" d="(.*?)"', svg)
    assert paths[:3] == [
        ("cross", "M0 96v-96h720v96z"),
        ("solid", "M0 96v-96h360v48h360v48z"),
        ("slant", "M0 36v-36h360v36z"),
    ]


def test_more_than_the_link_can_do_stays_in_its_box() -> None:
    record = replace(busy(), bin=1_000_000, end=2_000_000, moved={0: (250_000,), 1: (), 2: ()})
    svg = traffic.svg(("", record))
    assert "M0 96v-96h360v96z" in svg
    assert "2 Gbit/s" in svg


# -- vCPUs


def test_vcpus_run_stand_and_are_blocked() -> None:
    (row,) = vcpus.history(story()).rows
    assert row.spans == (
        (Doing.RUNNING, 1000, 1300),
        (Doing.STOPPED, 1300, 1500),
        (Doing.RUNNING, 1500, 2000),
        (Doing.BLOCKED, 2000, 2200),
        (Doing.RUNNING, 2200, 2500),
    )
    marks = [(mark.time, mark.kind) for mark in vcpus.history(story()).marks]
    assert marks == [(1600, "notified"), (1960, "ready"), (2000, "waited")]


def test_every_vcpu_adds_up_to_the_migration() -> None:
    history = vcpus.history(busy())
    assert [row.name for row in history.rows] == ["PE 0", "PE 1"]
    for vcpu, row in enumerate(history.rows):
        assert sum(row.spent().values()) == history.end - history.start
        assert all(one[2] == other[1] for one, other in pairwise(row.spans))
        for halted, doing in ((True, Doing.HALTED), (False, Doing.BLOCKED)):
            held = [s.end - s.begin for s in busy().stalls if (s.vcpu, s.halted) == (vcpu, halted)]
            assert row.spent().get(doing, 0) == sum(held)


def test_a_guest_that_has_not_come_stands_until_the_end() -> None:
    record = replace(story(), phases={"start": 1000, "stop": 1300, "run": None, "end": None})
    (row,) = vcpus.history(replace(record, stalls=())).rows
    assert row.spans[-1] == (Doing.STOPPED, 1300, 3000)


def test_the_text_of_vcpus_has_one_scale() -> None:
    longer = replace(story(), phases={**story().phases, "end": 3000})
    text = vcpus.text(("sync", story()), ("async", longer))
    assert text.count("each letter is 31 ns") == 2
    assert "running 73.4 %, blocked 13.3 %, stopped 13.3 %" in text


# -- latencies


def test_buckets_are_told_vcpus_and_workers_apart() -> None:
    record = story()
    faults = record.report["faults"]
    faults["vcpu_latency"] = [
        {"histogram": [0] * 7 + [300, 5] + [0] * 15},
        {"histogram": [0] * 7 + [17, 0, 0, 1] + [0] * 13},
    ]
    faults["worker_latency"] = {"histogram": [0] * 8 + [40] + [0] * 15, "count": 40}
    assert latency.rows([("", record)]) == [
        ("from 128 µs", "317", "0"),
        ("from 256 µs", "5", "40"),
        ("from 512 µs", "0", "0"),
        ("from 1 ms", "1", "0"),
    ]
    svg = latency.svg(("", record))
    bars = re.findall(r'-(\w+)\)" x="(\d+)" y="([\d.]+)" width="32" height="(\d+)"', svg)
    # The axis is of 16 buckets, with those used in its middle: it begins with that of 2 µs.
    assert [(kind, x, high) for kind, x, _, high in bars] == [
        ("cross", "308", "64"),
        ("cross", "348", "1"),
        ("slant", "348", "8"),
        ("cross", "428", "1"),
    ]
    assert re.findall(r"<text [^>]*>(\d+ .?s)</text>", svg) == [
        *("4 µs", "16 µs", "64 µs", "256 µs", "1 ms", "4 ms", "16 ms", "64 ms"),
    ]
    grounds = {float(y) + (int(high) if kind == "cross" else 0) for kind, _, y, high in bars}
    assert len(grounds) == 1


@pytest.mark.parametrize(
    ("used", "first", "count"),
    [((0, 3), "1 µs", 8), ((20, 23), "256 µs", 8), ((1, 22), "4 µs", 11), ((), "1 µs", 8)],
)
def test_the_axis_of_latencies_has_every_bucket_used(
    used: tuple[int, ...], first: str, count: int
) -> None:
    record = story()
    histogram = [int(n in used) for n in range(24)]
    faults = record.report["faults"]
    faults["vcpu_latency"], faults["worker_latency"] = [], {"histogram": histogram, "count": 1}
    svg = latency.svg(("", record))
    labels = re.findall(r"<text [^>]*middle muted[^>]*>(\d+ .?s)</text>", svg)
    assert (labels[0], len(labels)) == (first, count)
    assert svg.count('fill="url(#sdeiviz-migration-latency') - 2 == len(used)


@pytest.mark.parametrize(
    ("number", "name"), [(0, "1 µs"), (9, "512 µs"), (10, "1 ms"), (19, "512 ms"), (20, "1 s")]
)
def test_buckets_have_names(number: int, name: str) -> None:
    assert latency.bucket(number) == name


def test_the_text_of_latencies_has_their_numbers() -> None:
    text = latency.text(("sync", story()))
    assert text.splitlines()[0].split("  ") == [
        "latency  ".strip(),
        "sync vCPU",
        "sync worker",
    ] or (re.split(" {2,}", text.splitlines()[0]) == ["latency", "sync vCPU", "sync worker"])
    assert "sync: 2 faults: mean 275 ns, p50 200 ns, p99 350 ns, longest 350 ns" in text


# -- the wire


def test_the_life_of_a_page_that_a_worker_waits_for() -> None:
    assert wire.text(wire.life(story(), 3)).splitlines() == [
        "       +0 ns  destination           PE 0 faults, page 0x3: the guest is told",
        "       +0 ns  destination           a worker waits for page 0x3",
        "     +100 ns  destination -> wire   RequestPages 0x3",
        "     +200 ns  wire -> source        RequestPages 0x3",
        "     +200 ns  source -> wire        Page 0x3, urgent",
        "     +350 ns  wire -> destination   Page 0x3, urgent",
        "     +350 ns  destination           page 0x3 is placed",
        "     +360 ns  destination           PE 0 is told: page 0x3 is there",
    ]
    assert wire.life(story()) == wire.life(story(), 3)


def test_the_life_of_a_page_that_a_vcpu_waits_for_counts_the_others() -> None:
    assert wire.text(wire.life(story(), 4)).splitlines() == [
        "       +0 ns  destination           PE 0 faults, page 0x4: the vCPU waits",
        "       +0 ns  destination -> wire   RequestPages 0x4",
        "      +50 ns  wire -> source        RequestPages 0x4",
        "      +60 ns  wire                  others: 1 sent",
        "      +70 ns  source -> wire        Page 0x4, urgent",
        "     +150 ns  wire                  others: 1 arrived",
        "     +200 ns  wire -> destination   Page 0x4, urgent",
        "     +200 ns  destination           page 0x4 is placed",
        "     +200 ns  destination           PE 0 goes on",
    ]


def test_a_span_tells_of_the_switch() -> None:
    text = wire.text(wire.span(story(), 1300, 1500))
    assert text.splitlines() == [
        "       +0 ns  source                the guest stands",
        "       +0 ns  source -> wire        Discard, 7 pages",
        "       +0 ns  source -> wire        Packaged",
        "     +100 ns  wire -> destination   Discard, 7 pages",
        "     +200 ns  wire -> destination   Packaged",
        "     +200 ns  destination           the guest runs here",
    ]


def test_what_never_arrives_says_so() -> None:
    recorder = told()
    recorder.sent(2600, URGENT, page(3), 4121)
    lines = wire.life(recorder.record(3000, NONE, {}), 3)
    assert lines[-1].label == "Page 0x3, urgent: never came"
    assert 'class="stroke failed"' in wire.svg(lines)


def test_a_bar_says_that_something_is_on_the_way() -> None:
    svg = wire.svg(wire.life(story(), 4))
    bars = re.findall(r'class="bar" x="\S+" y="([\d.]+)" width="10" height="([\d.]+)"', svg)
    # The request from line 2 to 3, the page from line 5 to 7; a line is 22 high, the first at 45.
    assert bars == [("67", "22"), ("133", "44")]
    assert svg.count("<polygon") == 4


def test_a_bar_lasts_until_the_last_has_arrived() -> None:
    recorder = Recorder(2, 1, 0)
    recorder.passed(0, RETURN, RequestPages(0, 2), 28)
    recorder.sent(1, MAIN, page(0), 4121)
    recorder.sent(2, URGENT, page(1), 4121)
    recorder.delivered(3, page(1))
    recorder.delivered(4, page(0))
    svg = wire.svg(wire.span(recorder.record(5, NONE, {}), 1, 4))
    assert re.findall(r'class="bar" x="\S+" y="(\S+)" width="10" height="(\S+)"', svg) == [
        ("45", "66")
    ]


def test_a_long_span_is_cut_and_says_so() -> None:
    record = busy(400)
    lines = wire.span(record, 0, record.end)
    assert len(lines) > wire.MOST
    more = len(lines) - wire.MOST
    assert wire.text(lines).splitlines()[-1] == f"and {more:,} lines more"
    assert f"and {more:,} lines more" in wire.svg(lines)
    assert wire.text([]) == wire.NONE
    assert wire.NONE in wire.svg([])


def test_a_page_or_a_span_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Error, match="no page 0x8: there are 0x8"):
        wire.life(story(), 8)
    with pytest.raises(Error, match="no page -0x1"):
        wire.life(story(), -1)
    with pytest.raises(Error, match="nothing lies between"):
        wire.span(story(), 5, 4)
    with pytest.raises(Error, match="no page was sent because"):
        wire.life(Recorder(1, 1, 0).record(1, NONE, {}))


# -- numbers


def test_the_summary_has_a_column_for_each_run() -> None:
    rows = {row[0]: row[1:] for row in summary.rows([("sync", story()), ("async", story(limit=5))])}
    assert rows["downtime"] == ("200 ns", "200 ns")
    assert rows["total"][0] == "1.5 µs"
    assert rows["all vCPUs blocked"][0] == "200 ns"
    assert rows["pages asked for"][0] == "2"
    assert rows["pages sent with content"][0] == "4"
    assert rows["pages sent as zeros"][0] == "5"
    assert rows["bytes to the destination"][0] == "17,149"
    assert rows["of them urgent"][0] == "8,242"
    assert rows["faults of vCPUs"][0] == rows["faults of workers"][0] == "1"
    assert [rows[f"latency, {name}"][0] for name in ("mean", "p50", "p99", "longest")] == [
        "275 ns",
        "200 ns",
        "350 ns",
        "350 ns",
    ]
    assert rows["not recorded"][0] == "0 things"
    assert rows["not recorded"][1] != "0 things"
    assert rows["clock"] == ("virtual", "virtual")


def test_names_of_runs_are_shown_as_they_are_but_not_at_any_length() -> None:
    name = "\x1b[31m" + "long " * 50
    for text in (vcpus.text, latency.text, traffic.text, summary.text):
        shown = text((name, story()))
        assert "\x1b" not in shown
        assert "␛[31mlong" in shown
    svg = latency.svg((name, story()))
    assert "long long" in svg
    assert "long " * 9 not in svg


def test_the_summary_escapes_names() -> None:
    html = summary.html(("<i>", story()))
    assert "<th scope=col>&lt;i&gt;</th>" in html
    assert "<th scope=col></th>" not in html
    assert "not recorded" not in html


# -- all drawings


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("record", [story(), busy(), busy(60, 60)], ids=["story", "busy", "few"])
def test_drawings_are_small_documents_and_nothing_leaves_them(
    name: str, record: MigrationRecord
) -> None:
    svg = DRAWINGS[name](record)
    assert len(svg) < KILOBYTES
    root = ElementTree.fromstring(svg)
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text
    assert "<script" not in svg
    assert "prefers-color-scheme: dark" in svg
    fills = set(re.findall(r'fill="(.*?)"', svg))
    assert all(fill.startswith("url(#") for fill in fills), "palette only"
    assert {fill[5:-1] for fill in fills} == set(re.findall(r'pattern id="(.*?)"', svg))
    _, _, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for text in root.iter(f"{SVG}text"):
        length = drawing.LETTER * len(text.text or "")
        x = float(text.attrib["x"])
        look = text.attrib.get("class", "") + text.attrib.get("text-anchor", "")
        centred = "middle" in look or (
            not look and name in ("life", "span") and x < 700 and (text.text in wire.LANES)
        )
        end = "end" in look or look == "index"
        left = x - length if end else x - length / 2 if centred else x
        assert left >= 0, text.text
        assert left + length <= width, text.text
        assert 0 < float(text.attrib["y"]) <= height
    for rect in root.iter(f"{SVG}rect"):
        if "x" in rect.attrib:
            x, y, wide, high = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            assert 0 <= x <= x + wide <= width
            assert 0 <= y <= y + high <= height
    for path in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"M([-\d.]+)[ ,]([-\d.]+)", path.attrib["d"]):
            if path.attrib.get("class") not in _TILES:
                assert 0 <= float(x) <= width
                assert 0 <= float(y) <= height


_TILES = {"solid", "grey", "slant", "cross", "back", "bars", "dots", "empty"}


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name != "latency"])
def test_different_drawings_share_no_ids(name: str) -> None:
    one, other = DRAWINGS[name](busy(60, 60)), DRAWINGS[name](busy())
    ids = [set(re.findall(r' id="(.*?)"', svg)) for svg in (one, other)]
    assert not ids[0] & ids[1]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 400), st.integers(1, 3000))
def test_films_stay_small(count: int, size: int) -> None:
    assert len(moments.film(busy(count, size), 6)) < KILOBYTES


def test_every_text_is_html_too() -> None:
    record = story()
    pairs = [
        (pages.html(record), pages.text(record)),
        (moments.html(record, 2000), moments.text(record, 2000)),
        (traffic.html(("", record)), traffic.text(("", record))),
        (vcpus.html(("", record)), vcpus.text(("", record))),
        (wire.html(wire.life(record)), wire.text(wire.life(record))),
    ]
    for html, text in pairs:
        root = ElementTree.fromstring(f"<div>{html}</div>")
        assert text in "".join(root.itertext())
    assert latency.html(("", record)).count("<tr>") == 1 + len(latency.rows([("", record)]))
