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
    claimed, v2, *rest = gains.rows(ALL, measured())
    assert claimed[:2] == ("published: Shan, 27 Jun 2022", "+41 to +68 %")
    assert v2[:2] == ("published: v2, 9 Feb 2021", "+65 %")
    assert [line[0] for line in rest[1:]] == list(ALL.migrations)
    preempt, four = gains.rows(OURS, ROWS)[1:]
    assert preempt == (
        "preempt",
        "+60 %",
        "+50 to +70 %",
        "+70 %",
        "+45 to +85 %",
        "within",
        "+50 %",
        "154 µs",
        "40 %",
    )
    assert four[1:6] == ("+300 %", "+300 %", "+385 %", "+300 to +400 %", "above")


def test_the_claim_is_there_even_if_no_case_is_like_it() -> None:
    four = replace(ALL, migrations={"four_to_one": ALL.migration("four_to_one")})
    assert [line[0] for line in gains.rows(four, ROWS)] == [
        "published: Shan, 27 Jun 2022",
        "four_to_one",
    ]


def test_the_text_is_the_table() -> None:
    lines = gains.text(OURS, ROWS).splitlines()
    assert lines[0].split()[:3] == ["case", "C", "gains"]
    assert lines[2].startswith("preempt ")
    assert "+60 %" in lines[2]


def test_in_the_drawing_a_dot_is_where_the_gain_is() -> None:
    svg = gains.svg(OURS, ROWS)
    root = ElementTree.fromstring(svg)
    # 210 is -40 %, and 560 pixels are 160 %: 60 % is 350 from the left, 100 % is 490.
    key, dot = sorted(root.iter(f"{SVG}circle"), key=lambda one: -float(one.attrib["cy"]))
    assert dot.attrib["cx"] == "560"
    assert float(key.attrib["cy"]) > float(dot.attrib["cy"])
    (seeds,) = re.findall(r'class="seeds" d="M([\d.]+) [\d.]+H([\d.]+)"', svg)
    assert seeds == ("525.0", "595.0")
    (claim,) = (r for r in root.iter(f"{SVG}rect") if r.attrib["class"] == "claim")
    assert (claim.attrib["x"], claim.attrib["width"]) == ("493.5", "94.5")
    assert 'class="bound" d="M700.0 ' in svg
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "What C gains in post-copy: preempt +60 %"


def test_only_cases_of_one_to_one_are_drawn() -> None:
    assert ">four to one<" not in gains.svg(OURS, ROWS)
    assert ">m alone<" not in gains.svg(ALL, measured())
    assert gains.svg(ALL, measured()).count("<circle") == 1 + 10


def test_a_case_in_which_c_did_nothing_has_no_dot() -> None:
    idle = [one | {"result.computed": "0"} for one in ROWS]
    assert gains.svg(OURS, idle).count("<circle") == 1
    assert gains.rows(OURS, idle)[1][1] == ""


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
