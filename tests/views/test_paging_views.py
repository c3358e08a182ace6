"""The mailbox, the pages, the reasons and the accounts, on moments made by hand."""

import re
from html.parser import HTMLParser
from types import ModuleType
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.apf import Decision, Reason
from sdeiviz.debugger.snapshot import ApfView
from sdeiviz.machine.accounts import Activity
from sdeiviz.trace import PageFault
from sdeiviz.views import accounts, drawing, fault, mailbox, pagemap, reasons, timeline, words
from sdeiviz.views import moment as whole
from tests.views.faults import apf, paged, pages, spent
from tests.views.moments import context, moment, pe
from tests.views.runs import GFN, asynchronous

SVG = "{http://www.w3.org/2000/svg}"
VIEWS = (mailbox, pagemap, reasons, accounts, timeline, fault)
PRESENT, ABSENT, FETCHING, ZERO = range(4)


class Tags(HTMLParser):
    """Collects what opens."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


FULL = paged(
    apf(reason=1, token=0x1000, pending=((GFN, 0x1000),), synchronous={"kernel-mode": 3}),
    apf(1, done=((GFN + 1, 0x1001),), asynchronous={"notified": 4}),
    trace=tuple(asynchronous(3)),
    pages=pages(bytes([0, 1, 2, 3] * 64)),
    accounts=(spent(run=700, blocked=300), spent(run=1000)),
)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shown", [moment(), paged(), FULL])
def test_each_has_its_twins(view: ModuleType, shown: object) -> None:
    assert view.text(shown)
    parser = Tags()
    parser.feed(view.html(shown))
    assert parser.tags <= set("table thead tbody tr th td code p strong pre".split())
    svg = view.svg(shown)
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title") is not None
    assert "<script" not in svg
    assert "prefers-color-scheme: dark" in svg
    _, _, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["y"]) <= height
        if "end" not in text.attrib.get("class", "") and text.attrib.get("class") != "index":
            length = (
                drawing.LETTER * len(text.text or "") / (2 if "middle" in str(text.attrib) else 1)
            )
            assert float(text.attrib["x"]) + length <= width + 20
    fills = set(re.findall(r'fill="url\(#(.*?)\)"', svg))
    assert fills == set(re.findall(r'<pattern id="(.*?)"', svg))


def test_the_whole_moment_has_them_where_there_is_a_pager() -> None:
    titles = [view.TITLE for view in VIEWS]
    assert all(f"-- {title} -" in whole.text(FULL) for title in titles)
    assert not any(f"-- {title} -" in whole.text(moment()) for title in titles)
    assert "<strong>Mailbox</strong>" in whole.html(FULL)


# -- the mailbox


def test_what_is_in_flight_is_listed_with_its_token() -> None:
    view = apf(
        1,
        reason=1,
        token=0x1001,
        not_present=0x1001,
        pending=((0x48001, 0x1001), (0x48005, 0x2001)),
        done=((0x48009, 0xFFF001), (0, 0xFFFF_FFFF)),
    )
    assert mailbox.rows(paged(apf(), view))[2:] == [
        ("1", "mailbox", "0x1001", "", "page not present: fault 1 of PE 1"),
        ("1", "on its way", "0x1001", "", "page not present; not taken yet"),
        ("1", "in flight", "0x1001", "0x48001000", "fault 1 of PE 1: being fetched"),
        ("1", "in flight", "0x2001", "0x48005000", "fault 2 of PE 1: being fetched"),
        ("1", "done", "0xfff001", "0x48009000", "fault 4095 of PE 1: there, guest not told"),
        ("1", "done", "all", "", "everybody: to be woken"),
        ("1", "next", "", "", "page-ready waits until the guest clears the mailbox"),
        ("1", "next", "", "", "a fault now would wait, because the mailbox is not cleared"),
    ]


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (apf(), "empty"),
        (apf(reason=2, token=0x3002), "page ready: fault 3 of PE 2"),
        (apf(reason=2, token=0xFFFF_FFFF), "page ready: everybody"),
        (apf(reason=0, token=0x1000), "no reason; token of fault 1 of PE 0"),
        (apf(reason=7, token=1), "0x7: no reason there is"),
        (apf(reason=None, token=None), "its page is absent"),
        (apf(reason=None, token=None, enabled=False), "not enabled"),
    ],
)
def test_what_the_words_say(view: ApfView, said: str) -> None:
    assert mailbox.says(view) == said


DONE = ((GFN, 0x1000),)


@pytest.mark.parametrize(
    ("mode", "view", "said"),
    [
        # v4 patch 8: nothing is told while the last is not acknowledged, or the mailbox is in use;
        ("arm64-v4", apf(done=DONE), "page-ready is sent when the PE enters the guest"),
        (
            "arm64-v4",
            apf(done=DONE, page_ready=True, reason=2, token=9),
            "page-ready waits until the guest acknowledges the last",
        ),
        (
            "arm64-v4",
            apf(done=DONE, reason=1, token=0x2000),
            "page-ready waits until the guest clears the mailbox",
        ),
        # but a page that is first withdraws its page-not-present,
        (
            "arm64-v4",
            apf(done=DONE, reason=1, token=0x1000, not_present=0x1000),
            "the page is there first: page-not-present is withdrawn",
        ),
        # which x86 does not do;
        (
            "x86-rules",
            apf(done=DONE, reason=1, token=0x1000, not_present=0x1000),
            "page-ready waits until the guest clears the mailbox",
        ),
        # and what nobody asks for is dropped.
        ("arm64-v4", apf(done=DONE, enabled=False), "what is done is dropped: nobody asks for it"),
        (
            "irq-only",
            apf(done=DONE, not_present=0x2000),
            "page-ready waits until page-not-present is acknowledged",
        ),
    ],
)
def test_what_happens_to_a_page_next(mode: str, view: ApfView, said: str) -> None:
    assert mailbox.following(paged(view, apf_mode=mode), view)[0] == said


@pytest.mark.parametrize(
    ("mode", "view", "said"),
    [
        ("arm64-v4", apf(), "a fault at EL0 would be told to the guest"),
        ("sync", apf(), "a fault now would wait, because in this mode they all do"),
        (
            "arm64-v4",
            apf(enabled=False),
            "a fault now would wait, because the guest has not enabled it",
        ),
        (
            "x86-rules",
            apf(enabled=False),
            "a fault now would halt the PE, because the guest has not enabled it",
        ),
        (
            "arm64-v4",
            apf(token=0x1000),
            "a fault now would wait, because the mailbox is not cleared",
        ),
        ("arm64-v4", apf(page_ready=True), "a fault at EL0 would be told to the guest"),
        (
            "irq-only",
            apf(page_ready=True),
            "a fault now would wait, because the interrupt is not acknowledged",
        ),
        (
            "arm64-v4",
            apf(pending=tuple((n, n << 12) for n in range(64))),
            "a fault now would wait, because 64 are in flight",
        ),
    ],
)
def test_what_happens_to_the_next_fault(mode: str, view: ApfView, said: str) -> None:
    assert mailbox.following(paged(view, apf_mode=mode), view) == [said]


def test_what_the_pe_does_counts_too() -> None:
    view = apf()
    handler = paged(view, pes=(pe(masked=False, contexts=(context(),)),))
    assert mailbox.following(handler, view) == [
        "a fault now would wait, because an SDEI handler is running"
    ]
    assert mailbox.following(paged(view, pes=(pe(),)), view) == [
        "a fault now would wait, because SDEI is masked"
    ]


def test_a_long_table_is_cut_in_the_drawing_only() -> None:
    view = apf(pending=tuple((GFN + n, n + 1 << 12) for n in range(60)))
    assert len(mailbox.rows(paged(view))) == 62
    svg = mailbox.svg(paged(view))
    assert svg.count("in flight") == 8
    assert "and 52 more" in svg


# -- the pages


def test_each_page_is_a_letter() -> None:
    states = bytes([PRESENT, PRESENT, ABSENT, FETCHING, ZERO, ABSENT])
    trace = (PageFault(5, 5, 0, GFN + 3, 0x1000, "notified", ""),)
    assert pagemap.text(paged(trace=trace, pages=pages(states, limit=3))).splitlines() == [
        "2 of 6 pages in memory; at most 3 may be",
        "# present: 2  x being fetched: 1  . absent: 2  0 the shared zero page: 1",
        "last fault: page 0x48003000, notified, PE 0",
        "  0x48000000  ##.x0.",
        "                 ^",
    ]


def test_what_nobody_has_written_at_the_ends_is_left_out() -> None:
    states = bytes([ZERO] * 7 + [PRESENT, ZERO, ABSENT] + [ZERO] * 9000)
    text = pagemap.text(paged(pages=pages(states)))
    assert text.splitlines()[-1] == "  0x48007000  #0."
    assert "the shared zero page: 9,008" in text
    assert pagemap.text(paged(pages=pages(bytes([ZERO] * 9)))).count("\n") == 1


def test_many_pages_share_a_cell() -> None:
    states = bytearray([ABSENT] * 16_384)
    states[:9] = bytes(9)  # most of the first 16 pages
    states[16:24] = bytes(8)  # half of the second
    states[100] = FETCHING
    each, shown = pagemap.cells(pages(bytes(states)))
    assert (each, len(shown)) == (16, 1024)
    assert shown[:2] == [PRESENT, PRESENT]
    assert shown[6] == FETCHING
    assert set(shown[7:]) == {ABSENT}
    assert "a cell is 16 pages" in pagemap.text(paged(pages=pages(bytes(states))))


def test_neighbours_are_one_area() -> None:
    svg = pagemap.svg(paged(pages=pages(bytes([PRESENT] * 40 + [ABSENT] * 24))))
    paths = dict(re.findall(r'<path fill="url\(#[\w-]+-(\w+)\)" d="([^"]+)"', svg))
    # 32 columns of 22 pixels.
    assert paths == {
        "solid": "M92 28h704v22h-704zM92 50h176v22h-176z",
        "empty": "M268 50h528v22h-528z",
    }
    alternating = bytes([PRESENT, ABSENT] * 8192)
    assert len(pagemap.svg(paged(pages=pages(alternating)))) < 60_000


def test_the_last_fault_is_marked() -> None:
    trace = tuple(asynchronous(5))
    svg = pagemap.svg(paged(trace=trace))
    assert 'class="last ring" x="180" y="28"' in svg, "the fifth of 22 pixels each"
    assert "last fault: page 0x48004000, notified, PE 0" in svg
    earlier = next(n for n, event in enumerate(trace) if getattr(event, "gfn", 0) == GFN + 2)
    assert "page 0x48001000" in pagemap.svg(paged(trace=trace, now=earlier))
    assert "last fault" not in pagemap.svg(paged())
    elsewhere = (PageFault(5, 5, 0, 1, None, "wait", "mode"),)
    assert "last fault" not in pagemap.text(paged(trace=elsewhere))


# -- the reasons


def test_no_reason_and_no_decision_is_forgotten() -> None:
    assert set(reasons.REASONS) == set(Reason)
    assert set(reasons.DECISIONS) == set(Decision) == set(reasons.FILLINGS)
    sentences = [*reasons.REASONS.values(), *reasons.DECISIONS.values()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") and sentence.count(".") == 1 for sentence in sentences)


def test_reasons_are_summed_over_pes() -> None:
    shown = paged(
        apf(asynchronous={"notified": 80}, synchronous={"kernel-mode": 9, "mailbox-busy": 1}),
        apf(1, asynchronous={"notified": 10, "retry": 0}),
    )
    assert reasons.rows(shown) == [
        ("notified", "", "90", "90.0 %", reasons.DECISIONS[Decision.NOTIFIED]),
        ("waited", "kernel-mode", "9", "9.0 %", reasons.REASONS[Reason.KERNEL_MODE]),
        ("waited", "mailbox-busy", "1", "1.0 %", reasons.REASONS[Reason.MAILBOX_BUSY]),
    ]
    assert [row[2] for row in reasons.rows(shown, vcpu=1)] == ["10"]
    assert reasons.rows(paged()) == []
    assert "100 faults" in reasons.svg(shown)


# -- the accounts


def test_what_is_shown_adds_up() -> None:
    shown = paged(accounts=(spent(run=1_234_567, overhead=33, blocked=999_400, idle=1_000),))
    (row,) = accounts.rows(shown)
    assert row == (
        "0",
        "1,234.567 µs (55.2 %)",
        "0.033 µs (0 %)",
        "999.400 µs (44.7 %)",
        "",
        "1.000 µs (0.1 %)",
        "",
        "",
        "2,235.000 µs",
    )
    head, line = accounts.text(shown).splitlines()
    assert head.split() == ["PE", "run", "overhead", "blocked", "idle", "sum"]
    assert line.endswith("1.000 µs (0.1 %)  2,235.000 µs")
    assert set(accounts.ACTIVITIES) == set(Activity)


@given(st.lists(st.integers(0, 10**12), min_size=7, max_size=7))
def test_the_sum_is_the_window(amounts: list[int]) -> None:
    names = [activity.value for activity in Activity]
    (row,) = accounts.rows(paged(accounts=(dict(zip(names, amounts, strict=True)),)))
    shown = [re.match(r"([\d,.]+) µs", cell) for cell in row[1:]]
    numbers = [int(re.sub(r"[,.]", "", found[1])) for found in shown if found]
    assert sum(numbers[:-1]) == numbers[-1] == sum(amounts)
    if sum(amounts):
        parts = [float(part) for part in re.findall(r"\(([\d.]+) %\)", " ".join(row))]
        assert sum(parts) == pytest.approx(100)


def test_a_window_is_what_came_since() -> None:
    before = paged(accounts=(spent(run=100, idle=50),))
    after = paged(accounts=(spent(run=400, idle=50, blocked=200),))
    assert accounts.spent(after, before) == [spent(run=300, blocked=200)]
    assert accounts.rows(after, before)[0][-1] == "0.500 µs"
    assert "guest runs 60.0 %" in accounts.svg(after, before)


def test_bars_are_on_one_scale() -> None:
    svg = accounts.svg(paged(apf(), apf(1), accounts=(spent(run=100), spent(run=25, ready=25))))
    widths = re.findall(r'height="20"', svg)
    assert len(widths) == 3
    assert re.findall(r'width="([\d.]+)" height="20"', svg) == ["640", "160", "160"]


# -- the words


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.integers(1, 5000))
def test_shares_are_whole_and_fair(amounts: list[int], units: int) -> None:
    shares = words.apportion(amounts, units)
    whole = sum(amounts)
    assert sum(shares) == (units if whole else 0)
    for amount, share in zip(amounts, shares, strict=True):
        assert abs(share * whole - amount * units) < max(1, whole)
