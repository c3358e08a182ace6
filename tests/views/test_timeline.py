"""Threads over time, from traces made by hand."""

import re
from xml.etree import ElementTree

import pytest

from sdeiviz.trace import (
    FetchDone,
    PowerChanged,
    SystemReset,
    TraceEvent,
    VcpuBlocked,
    VcpuUnblocked,
    WaitForInterrupt,
)
from sdeiviz.views import drawing, timeline
from sdeiviz.views.threads import Doing, history
from tests.views.faults import paged
from tests.views.moments import at
from tests.views.runs import (
    GFN,
    IDLE,
    C,
    M,
    asynchronous,
    notified,
    probe,
    ready,
    synchronous,
    threads,
    waited,
)

SVG = "{http://www.w3.org/2000/svg}"
KILOBYTES = 200_000
SIGNS = "\N{WHITE DOWN-POINTING TRIANGLE}\N{MULTIPLICATION SIGN}\N{BLACK UP-POINTING TRIANGLE}"


def spent(trace: list[TraceEvent], **window: int) -> dict[str, dict[str, int]]:
    rows = history(trace, **window).rows
    return {row.name: {doing.value: time for doing, time in row.spent().items()} for row in rows}


def test_while_the_host_blocks_a_pe_no_thread_goes_on() -> None:
    trace = [*threads(), *waited(100, GFN, 500), probe(800, "end")]
    assert spent(trace) == {
        "PE 0": {"busy": 290, "blocked": 500},
        "M memory": {"running": 290, "blocked": 500},
        "C compute": {"ready": 290, "stalled": 500},
    }


def test_while_a_thread_sleeps_the_other_runs() -> None:
    trace = [
        *threads(),
        *notified(100, GFN, 0x1000),
        *ready(600, GFN, 0x1000),
        probe(800, "end"),
    ]
    # Out at 108; awake, but not yet its turn, from 604 to 609.
    assert spent(trace) == {
        "PE 0": {"busy": 790},
        "M memory": {"running": 98 + 191, "asleep": 496, "ready": 5},
        "C compute": {"ready": 98 + 191, "running": 501},
    }


def test_a_thread_that_waits_for_no_page_is_not_ready_and_not_asleep_over_one() -> None:
    trace = [
        *threads(),
        probe(20, "switch", M, C),
        probe(30, "wait", C),
        probe(32, "switch", C, M),
        *notified(100, GFN, 0x1000, to=IDLE),
        probe(600, "go", C),
        probe(610, "switch", IDLE, C),
        probe(800, "end"),
    ]
    # On its way out it still runs; out at 32, free at 600, its turn at 610.
    assert spent(trace)["C compute"] == {"ready": 10 + 10, "running": 12 + 190, "waiting": 568}
    assert spent(trace)["PE 0"] == {"busy": 98 + 190, "idle": 502}
    assert " waiting 71.9 %" in timeline.text(paged(trace=tuple(trace), time=800))
    assert "w waiting" in timeline.text(paged(trace=tuple(trace), time=800))
    svg = timeline.svg(paged(trace=tuple(trace), time=800))
    assert "posts" in [kind for kind, _ in areas(svg)]
    assert "waiting: for a lock, not a page" in svg


def test_a_pe_that_is_blocked_does_not_make_waiting_threads_stall() -> None:
    trace = [
        *threads(),
        probe(12, "wait", C),
        *waited(100, GFN, 500),
        probe(700, "go", C),
        probe(800, "end"),
    ]
    assert spent(trace)["C compute"] == {"ready": 2 + 100, "waiting": 688}


def test_with_nobody_to_run_the_pe_is_idle() -> None:
    trace = [*threads(), *notified(100, GFN, 0x1000, to=IDLE), probe(400, "end")]
    assert spent(trace)["PE 0"] == {"busy": 98, "idle": 292}
    assert "idle" not in spent(trace)


def test_a_halted_pe_can_be_used_by_an_interrupt() -> None:
    trace = [*threads(), *waited(100, GFN, 200, decision="halt"), probe(400, "end")]
    assert spent(trace)["M memory"] == {"running": 190, "halted": 200}
    assert spent(trace)["C compute"] == {"ready": 190, "stalled": 200}


def test_a_wake_up_that_comes_before_the_sleep_leaves_no_gap() -> None:
    trace = [
        *threads(),
        probe(100, "sleep", M, 0x1000),
        probe(104, "wake", M, 0x1000),
        probe(108, "switch", M, C),
        probe(200, "end"),
    ]
    assert spent(trace)["M memory"] == {"running": 98, "ready": 92}


def test_a_pe_that_is_off_and_a_machine_that_starts_again() -> None:
    trace: list[TraceEvent] = [
        *threads(),
        PowerChanged(50, 50, 1, True, 0),
        PowerChanged(90, 90, 1, False, 0),
        SystemReset(100, 100, 0),
        WaitForInterrupt(200, 200, 0, 0),
    ]
    assert spent(trace, start=0) == {
        "PE 0": {"busy": 200},
        "M memory": {"ready": 8, "running": 90},
        "C compute": {"ready": 97},
        "PE 1": {"off": 50 + 110, "busy": 40},
    }


def test_only_the_window_counts() -> None:
    trace = synchronous(2)
    measured = history(trace)
    assert (measured.start, measured.end) == (10, 200_010)
    assert spent(trace, start=40_010, end=100_010)["M memory"] == {"blocked": 60_000}
    assert history(trace, 40_010, 50_000).marks == history(trace).marks[:1]
    assert history([]).rows == ()


def test_every_row_adds_up_to_the_window() -> None:
    for run in (history(synchronous()), history(asynchronous())):
        for row in run.rows:
            assert sum(row.spent().values()) == run.end - run.start
            assert all(begin < end for _, begin, end in row.spans)


def test_a_wait_ends_where_the_page_is_there_on_all_pes_that_want_it() -> None:
    trace = [*threads(), *threads(1), VcpuBlocked(50, 50, 1, GFN, False)]
    trace += [VcpuBlocked(60, 60, 0, GFN, False), FetchDone(60, 80, 1, GFN + 1)]
    trace += [FetchDone(60, 90, 1, GFN), VcpuUnblocked(60, 92, 1), VcpuUnblocked(60, 94, 0)]
    rows = {(row.vcpu, row.name): row.spent() for row in history([*trace, probe(100, "end")]).rows}
    assert rows[0, "PE 0"] == {Doing.BUSY: 60, Doing.BLOCKED: 30}
    assert rows[1, "PE 1"] == {Doing.BUSY: 50, Doing.BLOCKED: 40}
    assert rows[0, "C compute"] == {Doing.READY: 60, Doing.STALLED: 30}


def test_threads_of_several_pes_are_told_apart() -> None:
    trace = [*threads(), *threads(1), VcpuBlocked(50, 50, 1, GFN, False)]
    trace += [VcpuUnblocked(90, 90, 1), probe(100, "end")]
    rows = {(row.vcpu, row.name): row.spent() for row in history(trace).rows}
    assert rows[0, "M memory"] == {Doing.RUNNING: 90}
    assert rows[1, "M memory"] == {Doing.RUNNING: 50, Doing.BLOCKED: 40}
    assert [*rows] == [(pe, n) for pe in (0, 1) for n in (f"PE {pe}", "M memory", "C compute")]


def test_threads_of_one_kind_are_numbered() -> None:
    trace = [*threads(), probe(4, "thread", 7, 0, 1), probe(5, "thread", 8, 0, 9)]
    names = [row.name for row in history([*trace, probe(99, "end")]).rows]
    assert names == ["PE 0", "M memory 1", "C compute", "M memory 7", "thread 8"]


# -- text


def test_the_twin_gives_percentages_and_a_strip() -> None:
    text = timeline.compare_text(synchronous(20), asynchronous(20))
    sync, other = text.split("\n\n")
    assert sync.splitlines()[0] == "synchronous"
    assert "  C compute" in sync
    assert sync.splitlines()[-1].endswith("running 20.0 %, stalled 60.0 %, ready 20.0 %")
    assert other.splitlines()[-1].endswith("running 80.0 %, ready 20.0 %")
    strips = re.findall(r"\|(.*?)\|", text)
    assert {len(strip) for strip in strips} == {64}
    assert "X" in strips[1]
    assert set(strips[-1]) == {"#", "."}
    assert "fault, PE waits   " in sync
    assert "fault, guest told" in other
    assert sync.splitlines()[1].endswith(": # running, # busy, X blocked, x stalled, . ready")
    assert other.splitlines()[1].endswith(": # running, # busy, z asleep, . ready")


def test_a_shorter_run_has_a_shorter_strip() -> None:
    text = timeline.compare_text(synchronous(10), asynchronous(5))
    first, second = re.findall(r"C compute +\|(.*?)\|", text)
    assert (len(first.rstrip()), len(second.rstrip())) == (64, 33)


def test_only_what_has_happened_is_shown() -> None:
    trace = tuple(synchronous(4))
    now = at(paged(trace=trace), now=12, time=trace[11].time)
    assert timeline.up_to_now(now).end == trace[11].time
    assert "running" in timeline.text(now)
    over = at(paged(trace=trace), time=10**9)
    assert timeline.up_to_now(over).end == trace[-1].time, "the guest has ended measuring"
    assert timeline.text(paged()) == timeline.NONE


# -- the drawing


def areas(svg: str) -> list[tuple[str, str]]:
    return re.findall(r'<path fill="url\(#[\w-]+-(\w+)\)" d="([^"]+)"', svg)


def test_areas_are_as_long_as_what_they_show() -> None:
    """Of 1 ms, 40 % is 288 of 720 pixels; what is drawn later hides what is under it."""
    trace = [*threads(), *waited(400_010, GFN, 600_000), probe(1_000_010, "end")]
    shown = areas(timeline.compare(trace, trace))
    assert shown[:2] == [("cross", "M0 10v-10h720v10z"), ("solid", "M0 10v-10h288v10z")]
    assert shown[4:6] == [("dots", "M0 20v-20h720v20z"), ("back", "M0 20h288v-20h432v20z")]


def test_ten_thousand_switches_stay_small() -> None:
    many = timeline.compare(synchronous(3000, 600, 300), asynchronous(3000, 600, 300))
    assert sum(1 for e in synchronous(3000, 600, 300) if getattr(e, "name", "") == "switch") > 6000
    assert len(many) < KILOBYTES
    uneven: list[TraceEvent] = threads()
    time, now = 10, M
    for n in range(10_000):
        time += 100 + n * 7919 % 900
        uneven.append(probe(time, "switch", now, M + C - now))
        now = M + C - now
    assert len(timeline.svg(paged(trace=tuple(uneven), time=time))) < KILOBYTES


def test_a_bin_of_many_spans_shows_their_shares() -> None:
    heights = areas(timeline.compare(synchronous(3000, 600, 300), asynchronous(3000, 600, 300)))
    (solid,) = {path[:9] for kind, path in heights[:3] if kind == "solid"}
    assert solid in ("M0 10v-5h", "M0 10v-10"), "half of the time the PE runs"


def test_drawings_are_documents_in_both_colour_schemes() -> None:
    svg = timeline.compare(synchronous(), asynchronous(), ("<a>", "b&c"))
    root = ElementTree.fromstring(svg)
    text = "".join(root.itertext())
    for word in ("<a>", "b&c", "C compute", "runs 20.0 %", "busy 40.0 %", "busy 100.0 %", "ms"):
        assert word in text
    assert "prefers-color-scheme: dark" in svg
    assert "<script" not in svg
    fills = set(re.findall(r'fill="(.*?)"', svg))
    assert all(fill.startswith("url(#sdeiviz-timeline-") for fill in fills), "palette only"
    ids = set(re.findall(r'pattern id="(.*?)"', svg))
    assert {fill[5:-1] for fill in fills} == ids


def test_two_drawings_on_a_page_do_not_share_ids() -> None:
    one, two = timeline.compare(synchronous(3), synchronous(3)), timeline.svg(paged())
    three = timeline.compare(synchronous(4), synchronous(3))
    ids = [set(re.findall(r' id="(.*?)"', svg)) for svg in (one, two, three)]
    assert not ids[0] & ids[2]
    assert not ids[1]


def test_nothing_leaves_the_drawing() -> None:
    root = ElementTree.fromstring(timeline.compare(synchronous(), asynchronous()))
    _, _, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for text in root.iter(f"{SVG}text"):
        length = drawing.LETTER * len(text.text or "")
        x = float(text.attrib["x"])
        look = text.attrib.get("class", "")
        left = x - length if "end" in look else x - length / 2 if "middle" in look else x
        assert left >= 0
        assert left + length <= width
        assert 0 < float(text.attrib["y"]) <= height


def test_signs_do_not_overlap_and_all_are_counted() -> None:
    """Of 3 ms, 8 of 720 pixels are 33 us: there is one sign for three faults within 20 us."""
    trace = [*threads()]
    for n in range(3):
        trace += notified(100 + 10_000 * n, GFN + n, n + 1 << 12, to=M)
    trace += [*notified(40_000, GFN + 3, 0x4000), *ready(600_000, GFN + 3, 0x4000)]
    trace += [*waited(900_000, GFN + 4, 100), probe(3_000_010, "end")]
    svg = timeline.compare(trace, synchronous(1))
    assert re.findall(r'class="notified" d="(.*?)"', svg) == [
        "M112 26m-3 0h6l-3 6zM120 26m-3 0h6l-3 6z"
    ]
    told, waits, there = SIGNS
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert [text for text in texts if text and text[0] in SIGNS and text[-1].isdigit()] == [
        f"{told} 4 {waits} 1",
        f"{there} 1",
        f"{waits} 1",
    ]


@pytest.mark.parametrize(
    ("length", "places", "unit"),
    [
        (2_000_000, [0, 500_000, 1_000_000, 1_500_000, 2_000_000], "ms"),
        (90, [0, 20, 40, 60, 80], "ns"),
        (7_000, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000], "µs"),
        (1, [0, 1], "ns"),
    ],
)
def test_ticks_are_round(length: int, places: list[int], unit: str) -> None:
    assert drawing.ticks(length)[:2] == (places, unit)
