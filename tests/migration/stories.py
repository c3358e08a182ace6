"""A migration of eight pages, told to a recorder by hand; times are small whole numbers."""

from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.metrics import Faults, Timeline, report
from sdeiviz.migration.record import MigrationRecord, Recorder, Stage
from sdeiviz.migration.wire import Discard, Message, Packaged, Page, RequestPages

GFN = 0x4_0000
PAGES = 8


def page(number: int) -> Page:
    return Page(number, False, bytes([number + 1]) * 4096)


def way(
    recorder: Recorder, channel: int, message: Message, sent: int, delivered: int, size: int
) -> None:
    recorder.sent(sent, channel, message, size)
    recorder.delivered(delivered, message)


def told(**how: int) -> Recorder:
    """Page 0 goes twice; a worker asks for 3, the vCPU for 4; the others come by themselves."""
    recorder = Recorder(PAGES, 1, 1000, bandwidth=10**9, **how)
    way(recorder, MAIN, page(0), 1000, 1100, 4100)
    way(recorder, MAIN, Page(1, True), 1100, 1200, 25)
    recorder.dirtied(1300, [0])
    way(recorder, MAIN, Discard(((0, 1), (2, 6))), 1300, 1400, 36)
    way(recorder, MAIN, Packaged(b""), 1300, 1500, 500)
    recorder.happened(1600, ("PageFault", 0, GFN + 3, 0x1000, "notified", ""), GFN)
    recorder.happened(1600, ("FetchStarted", 0, GFN + 3, "worker"), GFN)
    way(recorder, RETURN, RequestPages(3, 1), 1700, 1800, 28)
    way(recorder, URGENT, page(3), 1800, 1950, 4121)
    recorder.happened(1950, ("FetchDone", 0, GFN + 3), GFN)
    recorder.happened(1960, ("PageReady", 0, 0x1000), GFN)
    recorder.happened(2000, ("PageFault", 0, GFN + 4, None, "wait", "mode"), GFN)
    recorder.happened(2000, ("FetchStarted", 0, GFN + 4, "vcpu"), GFN)
    recorder.happened(2000, ("VcpuBlocked", 0, GFN + 4, False), GFN)
    way(recorder, RETURN, RequestPages(4, 1), 2000, 2050, 28)
    recorder.sent(2060, MAIN, page(2), 4121)
    recorder.sent(2070, URGENT, page(4), 4121)
    recorder.delivered(2150, page(2))
    recorder.happened(2150, ("FetchDone", 0, GFN + 2), GFN)
    recorder.delivered(2200, page(4))
    recorder.happened(2200, ("FetchDone", 0, GFN + 4), GFN)
    recorder.happened(2200, ("VcpuUnblocked", 0), GFN)
    for number, time in ((0, 2300), (5, 2350), (6, 2400), (7, 2500)):
        way(recorder, MAIN, Page(number, True), time - 40, time, 25)
    return recorder


def numbers() -> dict[str, object]:
    """What was counted meanwhile."""
    faults, timeline = Faults(1), Timeline()
    faults.begin(None, 3, 1600)
    faults.end(3, 1950)
    faults.begin(0, 4, 2000)
    faults.end(4, 2200)
    for moment, time in PHASES.items():
        timeline.mark(moment, time)
    source = {"passes": 1, "normal": 4, "zero": 5, "requested": 2, "skipped": 0}
    destination = {"placed": 9, "duplicates": 0, "requests": 2}
    return report(3000, faults, timeline, source, destination, [8907, 8242])


PHASES = {"start": 1000, "stop": 1300, "run": 1500, "end": 2500}


def story(**how: int) -> MigrationRecord:
    return told(**how).record(3000, PHASES, numbers())


def tell(recorder: Recorder, now: int, steps: list[tuple[int, int, Stage]]) -> int:
    """Let things happen to pages: delay, number, and what they are afterwards; returns the time."""
    for delay, number, stage in steps:
        now += delay
        if stage == Stage.DIRTY:
            recorder.dirtied(now, [number])
        elif stage == Stage.IN_FLIGHT:
            recorder.sent(now, MAIN, Page(number, True), 25)
        elif stage == Stage.ARRIVED:
            recorder.passed(now, URGENT, page(number), 4121)
        else:
            recorder.passed(now, RETURN, RequestPages(number, 1), 28)
    return now
