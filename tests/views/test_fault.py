"""The life of one fault, from traces made by hand (v4 patches 7, 8 and 14)."""

from xml.etree import ElementTree

import pytest

from sdeiviz.errors import Error
from sdeiviz.trace import (
    ApfControl,
    EventCancelled,
    FetchDone,
    FetchStarted,
    Hypercall,
    InterruptTaken,
    PageArrived,
    PageFault,
    PageReady,
    TraceEvent,
)
from sdeiviz.views import fault
from tests.views.faults import paged
from tests.views.runs import (
    ASYNC_PF,
    EVENT,
    GFN,
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


def told(trace: list[TraceEvent], number: int = 1) -> list[tuple[int, str, str, str]]:
    """Index, from, to, words."""
    return [
        (step.index, step.start.name.lower(), step.end.name.lower(), step.words)
        for step in fault.life(trace, number)
    ]


def words(trace: list[TraceEvent], number: int = 1) -> list[str]:
    return [step.words for step in fault.life(trace, number)]


def test_a_fault_that_the_guest_is_told_of() -> None:
    trace = [*threads(), *notified(100, GFN, 0x1000), *ready(600, GFN, 0x1000)]
    assert told(trace) == [
        (100, "thread", "hypervisor", "M touches page 0x48000000: fault"),
        (100, "hypervisor", "kernel", "page not present, token 0x1000, as event 1"),
        (100, "hypervisor", "worker", "leaves the page to a worker"),
        (100, "worker", "store", "asks for the page"),
        (101, "hypervisor", "kernel", "event 1 delivered: its handler runs"),
        (104, "kernel", "thread", "puts M to sleep over token 0x1000"),
        (105, "kernel", "hypervisor", "the handler completes"),
        (108, "kernel", "thread", "runs C compute meanwhile"),
        (600, "store", "worker", "the page"),
        (600, "worker", "hypervisor", "the page is there"),
        (600, "hypervisor", "kernel", "page ready, token 0x1000: interrupt raised"),
        (602, "kernel", "kernel", "takes the interrupt"),
        (604, "kernel", "thread", "wakes M"),
        (606, "kernel", "hypervisor", "acknowledges: the interrupt is lowered"),
        (609, "kernel", "thread", "M goes on"),
    ]
    still = [(step.index, step.still) for step in fault.life(trace, 1) if step.still is not None]
    assert still == [(104, True), (609, False)]


def test_a_fault_that_the_pe_waits_for() -> None:
    trace = [*threads(), *waited(100, GFN, 500)]
    assert told(trace) == [
        (100, "thread", "hypervisor", "M touches page 0x48000000: fault"),
        (100, "hypervisor", "hypervisor", "not told: this mode lets every fault wait"),
        (100, "hypervisor", "store", "asks for the page"),
        (100, "hypervisor", "hypervisor", "PE blocked: nothing runs on it"),
        (100, "store", "hypervisor", "the page"),
        (100, "hypervisor", "thread", "M goes on"),
    ]
    assert [step.time for step in fault.life(trace, 1)] == [100] * 4 + [600] * 2


def test_a_fault_that_halts_and_one_from_the_kernel() -> None:
    trace = [*threads(), *waited(100, GFN, 500, decision="halt", reason="kernel-mode")]
    assert told(trace)[0] == (
        100,
        "kernel",
        "hypervisor",
        "the kernel touches page 0x48000000: fault",
    )
    assert "PE halted: only an interrupt may use it" in words(trace)
    assert words(trace)[1] == (
        "not told: the fault came from EL1, where the kernel may hold a lock"
    )


def test_a_page_that_comes_before_the_guest_was_told() -> None:
    trace: list[TraceEvent] = [
        *threads(),
        *notified(100, GFN, 0x1000)[:3],
        FetchDone(100, 101, 0, GFN),
        PageArrived(100, 101, 0, GFN),
        EventCancelled(100, 101, 0, EVENT, True),
        *notified(300, GFN + 1, 0x2000),
    ]
    assert words(trace)[-2:] == [
        "the page is there",
        "the page came first: page-not-present is withdrawn",
    ]


def test_a_wake_up_for_a_thread_on_its_way_to_sleep() -> None:
    """v4 patch 14: its flag is cleared already, and its wait falls through."""
    trace: list[TraceEvent] = [
        *threads(),
        *notified(100, GFN, 0x1000)[:5],
        *ready(106, GFN, 0x1000)[:5],
        probe(120, "switch", M, C),
        probe(130, "switch", C, M),
    ]
    assert words(trace)[-4:] == [
        "page ready, token 0x1000: interrupt raised",
        "takes the interrupt",
        "wakes M",
        "M goes on",
    ]


def test_other_faults_and_other_pes_are_left_out() -> None:
    trace = [
        *threads(),
        *threads(1),
        *notified(100, GFN, 0x1000),
        *notified(110, GFN + 1, 0x1001, vcpu=1),
        *ready(300, GFN + 1, 0x1001, vcpu=1),
        *ready(600, GFN, 0x1000),
    ]
    assert {index for index, *_ in told(trace)} == {
        100,
        101,
        104,
        105,
        108,
        600,
        602,
        604,
        606,
        609,
    }
    assert {index for index, *_ in told(trace, 2)} == {
        110,
        111,
        114,
        115,
        118,
        300,
        302,
        304,
        306,
        309,
    }


def test_each_pe_is_told_of_a_page_itself() -> None:
    """v4 patch 3: only on one vCPU a page is not announced twice."""
    trace = [*threads(), *threads(1), *notified(100, GFN, 0x1000)]
    trace += notified(110, GFN, 0x1001, vcpu=1)
    trace += [*ready(600, GFN, 0x1000), *ready(610, GFN, 0x1001, vcpu=1)]
    assert "page ready, token 0x1000: interrupt raised" in words(trace)
    assert words(trace)[-1] == "M goes on"
    assert "page ready, token 0x1001: interrupt raised" in words(trace, 2)


def test_a_thread_that_looks_and_sleeps_again_does_not_go_on() -> None:
    looks = [probe(300, "switch", C, M), probe(310, "switch", M, C)]
    trace = [*threads(), *notified(100, GFN, 0x1000), *looks, *ready(600, GFN, 0x1000)]
    assert fault.life(trace, 1)[-1].index == 609


def test_a_page_touched_again_is_told_once() -> None:
    again = [PageFault(n, n, 0, GFN, None, "retry", "in-flight") for n in range(300, 400)]
    trace = [*threads(), *notified(100, GFN, 0x1000), *again, *ready(600, GFN, 0x1000)]
    assert words(trace).count("the page is touched again: retry") == 1
    assert words(trace)[-1] == "M goes on"
    assert words(trace, 2)[1:3] == [
        "not told: the page is being fetched for this PE already",
        "tries again at once",
    ]


def test_a_page_fetched_already_for_another_pe() -> None:
    other = FetchStarted(50, 50, 1, GFN, "worker")
    own = [event for event in notified(100, GFN, 0x1000) if not isinstance(event, FetchStarted)]
    trace = [*threads(), other, *own, *ready(600, GFN, 0x1000)]
    assert "asks for the page" not in words(trace)
    assert "the page" in words(trace)


def test_what_is_forgotten_ends_there() -> None:
    trace = [*threads(), *notified(100, GFN, 0x1000), ApfControl(200, 200, 0, "disable", 0)]
    assert words(trace)[-1] == "disable: what is in flight is forgotten"


def test_everybody_is_woken() -> None:
    trace: list[TraceEvent] = [
        *threads(),
        *notified(100, GFN, 0x1000),
        PageReady(300, 300, 0, 0xFFFF_FFFF),
        probe(304, "wake", M, 0xFFFF_FFFF),
        probe(308, "switch", C, M),
    ]
    assert words(trace)[-3:] == ["page ready, token all: interrupt raised", "wakes M", "M goes on"]


def test_an_interrupt_tells_of_both_where_there_is_no_event() -> None:
    """The interrupt-only variant: sub-function 4 acknowledges, page-not-present too."""
    trace: list[TraceEvent] = [
        *threads(),
        PageFault(100, 100, 0, GFN, 0x1000, "notified", ""),
        FetchStarted(100, 100, 0, GFN, "worker"),
        InterruptTaken(101, 101, 0, 0, 0, 0),
        probe(103, "sleep", M, 0x1000),
        Hypercall(105, 105, 0, "HVC", 0, 0x8600_0042, (4, 0, 0, 0, 0)),
        *ready(600, GFN, 0x1000)[:5],
        Hypercall(606, 606, 0, "HVC", 0, 0x8600_0042, (4, 0, 0, 0, 0)),
        probe(609, "switch", C, M),
    ]
    assert words(trace)[1] == "page not present, token 0x1000, as an interrupt"
    assert words(trace).count("takes the interrupt") == 2
    assert [index for index, *_, said in told(trace) if said.startswith("acknowledges")] == [606]


def test_a_guest_without_probes() -> None:
    bare = [
        event
        for event in (*notified(100, GFN, 0x1000), *ready(600, GFN, 0x1000))
        if type(event).__name__ != "ProbeHit"
    ]
    assert words([*bare])[0] == "the thread touches page 0x48000000: fault"
    assert words([*bare])[-1] == "acknowledges: the interrupt is lowered"
    other = Hypercall(700, 700, 0, "HVC", 0, ASYNC_PF, (5, 0, 0, 0, 0))
    assert words([*bare, other]) == words([*bare])


def test_faults_are_found_by_number_and_by_token() -> None:
    trace = asynchronous(5)
    assert fault.number_of(trace, 0x3000) == 3
    assert "token 0x3000" in words(trace, 3)[1]
    for wrong in (0, 6, -1):
        with pytest.raises(Error, match=f"no fault {wrong}: there are 5"):
            fault.life(trace, wrong)
    with pytest.raises(Error, match="no fault has the token 0x9000"):
        fault.number_of(trace, 0x9000)


def test_every_fault_of_a_run_ends() -> None:
    for trace in (asynchronous(20), synchronous(20)):
        for number in range(1, 21):
            assert words(trace, number)[-1] == "M goes on"
            indexes = [step.index for step in fault.life(trace, number)]
            assert indexes == sorted(indexes)


def test_the_last_fault_and_what_is_to_come_of_it() -> None:
    told = notified(100, GFN, 0x1000)
    trace = (*threads(), *told, *ready(600, GFN, 0x1000))
    now = len(threads()) + 4
    snapshot = paged(trace=trace, now=now, index=trace[now - 1].index)
    before, _, after = fault.text(snapshot).partition(f"{'now':>10}  ")
    assert before.splitlines()[-1].split("  ")[-1] == "event 1 delivered: its handler runs"
    assert after.splitlines()[-1].endswith("M goes on")
    assert "+1 ns" in before
    drawn = ElementTree.fromstring(fault.svg(snapshot))
    steps = [group for group in drawn.iter(f"{SVG}g") if "data-at" in group.attrib]
    later = [step.attrib["class"].endswith(" later") for step in steps]
    assert later == sorted(later)
    assert 0 < sum(later) < len(later)
    places = [int(step.attrib["data-at"]) for step in steps]
    assert places == [step.index for step in fault.last(snapshot)]
    assert fault.text(paged()) == fault.NONE
    assert fault.NONE in fault.svg(paged())


@pytest.mark.parametrize("trace", [asynchronous(2), synchronous(2)])
def test_the_drawing_has_a_row_for_each_step(trace: list[TraceEvent]) -> None:
    steps = fault.life(trace, 2)
    root = ElementTree.fromstring(fault.drawn(steps))
    assert len(root.findall(f"{SVG}g/{SVG}path")) == sum(s.start is not s.end for s in steps)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert [step.words for step in steps] == [t for t in texts if t in {s.words for s in steps}]
    width, height = (float(n) for n in root.attrib["viewBox"].split()[2:])
    for text in root.iter(f"{SVG}text"):
        if text.attrib.get("class") != "index":
            assert float(text.attrib["x"]) + 6.8 * len(text.text or "") <= width
        assert float(text.attrib["y"]) < height
    boxes = [box for box in root.iter(f"{SVG}rect") if "pointer-events" not in box.attrib]
    assert len(boxes) == 1, "the store is busy"
