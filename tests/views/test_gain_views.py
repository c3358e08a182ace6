"""Gains beside the claim, and sweeps: from rows made by hand, each number worked out by hand."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from sdeiviz.errors import Error
from sdeiviz.experiment import Parameters, Sweep, load_postcopy, measured, sweep_jobs
from sdeiviz.experiment.table import Row
from sdeiviz.views import drawing, gains, sweeps

SVG = "{http://www.w3.org/2000/svg}"
ALL = load_postcopy()
OURS = replace(ALL, migrations={name: ALL.migration(name) for name in ("preempt", "four_to_one")})


def row(case: str, mode: str, seed: int, computed: int, **numbers: int) -> Row:
    """A run of 1 ms, of which half was blocked in faults of 154 us; M touched 50 pages."""
    values = {
        "window": 1_000_000,
        "computed": computed,
        "touched": 50,
        "served": 0,
        "faults": 10,
        "notified": 9,
        "retry": 0,
        "overhead": 160_000,
        "latency_mean": 154_321,
        "blocktime": 400_000,
    }
    named = {f"result.{name}": str(value) for name, value in (values | numbers).items()}
    return {"case.name": case, "mode": mode, "seed": str(seed), "varied": ""} | named


ROWS = [
    row(case, mode, seed, computed, touched=touched)
    for case, gained in (("preempt", (150, 170)), ("four_to_one", (400, 400)))
    for seed in (1, 2)
    for mode, computed, touched in (
        ("sync", 100, 20),
        ("arm64-v4", gained[seed - 1], 30),
        *([(mode, 100, 20) for mode in ("halt", "x86-rules", "irq-only")] * (case == "preempt")),
    )
]


def swept(name: str, told: list[int], pages: list[int], parameters: Parameters = ALL) -> list[Row]:
    """Rows of a sweep: units of C and pages of M where the guest is told; 100 and 100 where not."""
    made = []
    for n, job in enumerate(sweep_jobs(name, parameters)):
        numbers = {"computed": 100, "touched": 100}
        if n % 2:
            numbers = {"computed": told[n // 2], "touched": pages[n // 2]}
        made.append(job.inputs() | row("", "", 0, **numbers) | job.inputs())
    return made


PASSES = swept("passes", [150, 300, 40], [100, 900, 50])


# -- the cases


def test_the_table_says_what_came_out_of_every_case() -> None:
    claimed, v2, v3, v4, *rest = gains.rows(ALL, measured())
    assert claimed[:2] == ("published: Shan, 27 Jun 2022", "+41 to +68 %")
    assert v2[:2] == ("published: v2, 9 Feb 2021", "+65 %")
    assert v3[:2] == ("published: v3, 7 May 2021", "+68 to +69 %")
    assert v4[:2] == ("published: v4, 15 Aug 2021", "0 to +7 %")
    assert [line[0] for line in rest] == list(ALL.migrations)
    preempt, four = gains.rows(OURS, ROWS)[4:]
    assert preempt == (
        "preempt",
        "+60 %",
        "+50 to +70 %",
        "+70 %",
        "+45 to +85 %",
        "+50 %",
        "+50 %",
        "154 µs",
        "40 %",
    )
    assert four[1:5] == ("+300 %", "+300 %", "+385 %", "+300 to +400 %")


def test_m_has_seeds_too() -> None:
    found = {line[0]: line for line in gains.rows(ALL, measured())}
    assert found["v3"][5:7] == ("+316 %", "+47 to +547 %")
    assert found["preempt"][5:7] == ("+122 %", "+80 to +161 %")


def test_the_text_is_the_table() -> None:
    lines = gains.text(OURS, ROWS).splitlines()
    assert lines[0].split()[:3] == ["case", "C", "gains"]
    assert lines[5].startswith("preempt ")
    assert "+60 %" in lines[5]


def test_in_the_drawing_a_dot_is_where_the_gain_is() -> None:
    svg = gains.svg(OURS, ROWS)
    root = ElementTree.fromstring(svg)
    # 120 is -40 %, and 324 pixels are 180 %: 60 % is 180 from the left, 100 % is 252.
    key, dot = sorted(root.iter(f"{SVG}circle"), key=lambda one: -float(one.attrib["cy"]))
    assert dot.attrib["cx"] == "300"
    assert float(key.attrib["cy"]) > float(dot.attrib["cy"])
    c, m, *_ = re.findall(r'class="seeds" d="M(\S+) \S+H(\S+?)M(\S+) \S+M(\S+) \S+"', svg)
    assert c == ("282", "318", "282", "318")
    assert m == ("282", "282", "282", "282")
    (square,) = re.findall(r'class="at" transform="translate\((\S+) \S+\)"', svg)[:1]
    assert square == "282"
    (claim,) = (r for r in root.iter(f"{SVG}rect") if r.attrib["class"] == "claim")
    assert (claim.attrib["x"], claim.attrib["width"]) == ("265.8", "48.6")
    assert 'class="bound" d="M372.0 ' in svg
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "What C gains in post-copy: preempt +60 %"


def test_only_cases_of_one_to_one_are_drawn() -> None:
    assert ">preempt<" in gains.svg(OURS, ROWS)
    assert ">four_to_one<" not in gains.svg(OURS, ROWS)
    assert ">m_alone<" not in gains.svg(ALL, measured())
    assert gains.svg(ALL, measured()).count("<circle") == 1 + 10


def test_what_lies_beyond_the_edge_is_in_numbers_only() -> None:
    touched = {"sync": "20", "1": "26", "2": "90"}
    far = [one | {"result.touched": touched.get(one["mode"], touched[one["seed"]])} for one in ROWS]
    svg = gains.svg(OURS, far)
    # +30 and +350 %: 246 and the edge, 444, without a bar; the mean, +190 %, has no mark.
    assert re.search(r'class="seeds" d="M246 \S+H444M246 \S+"', svg)
    assert svg.count('class="at"') == 1
    assert ">M +30 to +350 %<" in svg


def test_a_case_in_which_c_did_nothing_has_no_dot() -> None:
    idle = [one | {"result.computed": "0"} for one in ROWS]
    assert gains.svg(OURS, idle).count("<circle") == 1
    assert gains.rows(OURS, idle)[4][1] == ""
    still = [one | {"result.touched": "0"} for one in ROWS]
    assert gains.svg(OURS, still).count('class="at"') == 1


def test_the_estimate() -> None:
    # L 154, w 10 us a page times 30 pages in 10 faults, n 160 us for 10 faults:
    # 154.3 - 30 - 16 of 154.3 + 30 + 16 are 54 %; 40 % blocked are 80 % of C's half.
    (found,) = gains.estimates(OURS, ROWS)
    assert found == ("preempt", "154 µs", "30 µs", "16 µs", "+54 %", "+60 %", "+80 %")


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(Error, match="no row of irq-only with seed 2"):
        gains.rows(OURS, [one for one in ROWS if (one["mode"], one["seed"]) != ("irq-only", "2")])


# -- the sweeps


def test_the_table_of_a_sweep() -> None:
    assert sweeps.rows(ALL, PASSES, "passes") == [
        ("passes", "passes", "0", "+50 %", "0 %", "+100 %"),
        ("passes", "passes", "1", "+200 %", "+800 %", "+100 %"),
        ("passes", "passes", "2", "-60 %", "-50 %", "+100 %"),
    ]
    assert sweeps.text(ALL, PASSES, "passes").splitlines()[0].split()[:2] == ["sweep", "varied"]


def test_values_have_units_to_read() -> None:
    found = [(row[1], row[2]) for row in sweeps.rows(ALL, measured(), "delay", "bandwidth")]
    assert found[0] == ("link.delay, µs", "5")
    assert found[5:7] == [("link.delay, µs", "1000"), ("link.bandwidth, Gbit/s", "0.3")]
    assert sweeps.rows(ALL, measured(), "buffer")[2][1:3] == ("link.buffer, MB", "1.2")


def test_the_bound_moves_with_the_threads() -> None:
    assert [row[5] for row in sweeps.rows(ALL, measured(), "faulting", "computing")] == [
        *("+100 %", "+200 %", "+400 %", "+800 %"),
        *("+100 %", "+50 %", "+25 %"),
    ]


def test_a_panel_draws_c_and_m_and_shows_what_is_beyond_its_top() -> None:
    svg = sweeps.svg(ALL, PASSES, "passes")
    # From +200 to -60 % are 110 pixels, the top at 24: +50 % is at 87.5, -60 % at the ground.
    ((first, top, last),) = re.findall(r'class="c" d="M\S+ (\S+)L\S+ (\S+)L\S+ (\S+)"', svg)
    assert (first, top, last) == ("87.5", "24.0", "134.0")
    ((_, beyond, _),) = re.findall(r'class="m" d="M\S+ (\S+)L\S+ (\S+)L\S+ (\S+)"', svg)
    assert beyond == "24.0"
    assert svg.count("M-5 4h10l-5 -9z") == 1 + 1
    assert svg.count("<circle") == 1 + 3
    for number in ("+50", "+200", "-60", "+800"):
        assert f">{number}<" in svg


def test_the_claim_is_drawn_where_as_many_compute_as_fault() -> None:
    told = [150, 150, 150]
    svg = sweeps.svg(ALL, swept("computing", told, told), "computing")
    claims = re.findall(r'<rect class="claim" x="(\S+)" y="\S+" width="(\S+)"', svg)
    assert claims == [("56.0", "76.0")]
    # From +150 to -50 % are 110 pixels: the bounds +100, +50 and +25 % in one line of steps.
    assert 'd="M56 51.5V51.5h76.0V79.0h76.0V92.8h76.0"' in svg
    assert ">computing threads (c)<" in svg


def test_what_is_no_quantity_has_words_and_no_line() -> None:
    found = swept("order", [110, 180], [100, 190])
    assert [row[2] for row in sweeps.rows(ALL, found, "order")] == ["in order", "random"]
    svg = sweeps.svg(ALL, found, "order")
    assert ">in order<" in svg
    # Those of the legend.
    assert (svg.count('class="c"'), svg.count('class="m"')) == (1, 1)


def test_two_panels_side_by_side_and_the_next_below() -> None:
    svg = sweeps.svg(ALL, measured(), "delay", "order", "jump")
    places = re.findall(r'<g transform="translate\((\d+) (\d+)\)"><text', svg)
    assert places == [("0", "0"), ("292", "0"), ("0", "206")]
    assert ">latency, one way, µs<" in svg
    assert ">One seed for each value.<" in svg


def test_a_sweep_of_the_reader_s_own() -> None:
    one = Sweep("vcpus", "preempt", "vcpus", (1, 2), ("sync", "arm64-v4"))
    own = replace(ALL, sweeps={"vcpus": one})
    found = swept("vcpus", [150, 90], [100, 100], own)
    assert [row[3] for row in sweeps.rows(own, found)] == ["+50 %", "-10 %"]
    assert "of preempt" in sweeps.svg(own, found)


def test_units_and_gains_of_any_size() -> None:
    pages = Sweep("pages", "preempt", "workload.pages", (64, 128), ("sync", "arm64-v4"))
    own = replace(ALL, sweeps={"pages": pages})
    found = swept("pages", [9_000_000, 200], [100, 100], own)
    assert sweeps.rows(own, found)[0][1:4] == ("workload.pages, pages", "64", "+8999900 %")
    assert ">+8000000<" in sweeps.svg(own, found)


DRAWINGS: dict[str, Callable[[], str]] = {
    "gains": lambda: gains.svg(ALL, measured()),
    "sweeps": lambda: sweeps.svg(ALL, measured()),
    "one": lambda: sweeps.svg(ALL, PASSES, "passes"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_each_drawing_is_whole(name: str) -> None:
    svg = DRAWINGS[name]()
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title") is not None
    assert "<script" not in svg
    assert "prefers-color-scheme: dark" in svg
    _, _, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for group in [root, *root.iter(f"{SVG}g")]:
        moved = re.findall(r"translate\((\S+) (\S+)\)", group.attrib.get("transform", ""))
        right, down = (float(n) for n in moved[0]) if moved else (0.0, 0.0)
        for text in group.findall(f"{SVG}text"):
            look, long = text.attrib.get("class", ""), drawing.LETTER * len(text.text or "")
            x = right + float(text.attrib["x"])
            left = x - (long if "end" in look else long / 2 if "middle" in look else 0)
            assert left >= -4
            assert left + long <= width + 20
            assert 0 < down + float(text.attrib["y"]) <= height
    fills = set(re.findall(r'fill="url\(#(.*?)\)"', svg))
    assert fills == set(re.findall(r'<pattern id="(.*?)"', svg))


def test_html_holds_tables_and_no_more() -> None:
    for html in (gains.html(OURS, ROWS), sweeps.html(ALL, PASSES, "passes")):
        assert set(re.findall(r"<(\w+)", html)) <= set(
            "p strong table thead tbody tr th td".split()
        )
