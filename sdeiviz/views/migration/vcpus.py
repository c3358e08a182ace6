"""Which vCPUs were blocked when, of several runs on one axis of time."""

from typing import Final

from sdeiviz.errors import Error
from sdeiviz.migration.record import MigrationRecord, Moment
from sdeiviz.views import markup, timeline
from sdeiviz.views.migration import Run, named, over
from sdeiviz.views.threads import Doing, History, Mark, Row

TITLE: Final = "vCPUs"
_FAULTS: Final = {"notified": "notified", "wait": "waited", "halt": "waited"}
"""What is marked, by what became of a fault."""


Span = tuple[int, int]
"""Begin and end, in nanoseconds."""


def history(record: MigrationRecord, span: Span | None = None) -> History:
    """Return what each vCPU did, as far as was seen.

    Parameters
    ----------
    span
        From when to when; None: from the start of the migration to its end.

    Raises
    ------
    Error
        The span is empty.
    """
    start, end = span or (record.start, max(record.start, over(record)))
    if span and start >= end:
        raise Error(f"nothing lies between {start} ns and {end} ns")
    rows = []
    for vcpu in range(record.vcpus):
        spans = (
            (doing, max(begin, start), min(until, end))
            for doing, begin, until in _spans(record, vcpu, max(record.start, over(record)))
            if begin < end and start < until
        )
        rows.append(Row(vcpu, None, f"PE {vcpu}", tuple(spans)))
    marks = tuple(
        Mark(moment.time, moment.vcpu, kind)
        for moment in record.moments
        if (kind := _kind(moment)) and start <= moment.time <= end
    )
    return History(start, end, tuple(rows), marks)


def _kind(moment: Moment) -> str:
    if moment.kind == "told":
        return "ready"
    return _FAULTS.get(moment.detail, "") if moment.kind == "fault" else ""


def _spans(record: MigrationRecord, vcpu: int, end: int) -> tuple[tuple[Doing, int, int], ...]:
    held = [
        (Doing.HALTED if stall.halted else Doing.BLOCKED, stall.begin, min(stall.end, end))
        for stall in record.stalls
        if stall.vcpu == vcpu
    ]
    stop, run = record.phases["stop"], record.phases["run"]
    if stop is not None:
        held.append((Doing.STOPPED, stop, end if run is None else run))
    spans, at = [], record.start
    if record.side == "destination":
        at = end if stop is None else stop
    elif record.side == "source" and run is not None:
        end = run
    for doing, begin, until in sorted(held, key=lambda span: span[1]):
        if begin > at:
            spans.append((Doing.RUNNING, at, begin))
        if until > begin:
            spans.append((doing, begin, until))
            at = until
    if end > at:
        spans.append((Doing.RUNNING, at, end))
    return tuple(spans)


def text(*runs: Run, span: Span | None = None) -> str:
    """Return percentages of every vCPU, and a strip of letters; a letter is as long in all runs."""
    found = [(named(name, record), history(record, span)) for name, record in runs]
    longest = max(1, *(run.end - run.start for _, run in found))
    return "\n\n".join(
        (f"{name}\n" if name else "") + timeline.text_of(run, longest) for name, run in found
    )


def html(*runs: Run) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(*runs))


def svg(*runs: Run, span: Span | None = None) -> str:
    """Return the drawing, with marks for faults and for what the guest was told."""
    found = [(named(name, record), history(record, span)) for name, record in runs]
    return timeline.drawn(found, title=TITLE, whole="shown" if span else "migrated in")
