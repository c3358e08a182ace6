"""How long missing pages took, in QEMU's buckets: powers of two microseconds."""

from typing import Final

from sdeiviz.migration.metrics import BUCKETS
from sdeiviz.migration.record import MigrationRecord
from sdeiviz.views import drawing, markup, tables, words
from sdeiviz.views.migration import Run, Runs, named

TITLE: Final = "Latency of faults"
WHO: Final = {
    "a vCPU waited": "cross",
    "a worker waited, the guest went on": "slant",
}
_NAME = "sdeiviz-migration-latency"
_LEFT, _WIDE, _HIGH, _RIGHT = 64, 40, 64, 16  # pixels
_STRONG = 7.6
"""Width of a letter of the numbers above the bars."""
_LEAST: Final = 8
"""Buckets on the axis."""

Histogram = list[int]


def histograms(record: MigrationRecord) -> tuple[Histogram, Histogram]:
    """Return how many faults are in each bucket: of all vCPUs, and of workers."""
    faults = record.report["faults"]
    vcpus = [
        sum(column)
        for column in zip(*(v["histogram"] for v in faults["vcpu_latency"]), strict=True)
    ]
    return vcpus or [0] * BUCKETS, list(faults["worker_latency"]["histogram"])


def bucket(number: int) -> str:
    """Return where a bucket begins; the first has those below 1 µs too.

    >>> bucket(0), bucket(7), bucket(10), bucket(23)
    ('0', '128 µs', '1 ms', '8 s')
    """
    if not number:
        return "0"
    for unit, power in (("s", 20), ("ms", 10), ("µs", 0)):
        if number >= power:
            return f"{1 << number - power} {unit}"
    raise AssertionError


def _numbers(name: str, record: MigrationRecord) -> str:
    name, whole = named(name, record), record.report["faults"]["latency"]
    if record.side == "source":
        return f"{name}: a source does not see faults"
    said = f"{words.count(whole['count'], 'fault')}"
    if whole["count"]:
        parts = [f"{key} {words.duration(whole[key])}" for key in ("mean", "p50", "p99", "longest")]
        said += ": " + ", ".join(parts)
    return f"{name}: {said}" if name else said


def rows(runs: Runs) -> list[tuple[str, ...]]:
    """Return a row for each bucket between the first and the last that holds a fault."""
    found = [h for _, record in runs for h in histograms(record)]
    used = [n for n in range(BUCKETS) if any(h[n] for h in found)]
    return [
        (f"from {bucket(n)}", *(f"{h[n]:,}" for h in found))
        for n in range(min(used, default=0), max(used, default=-1) + 1)
    ]


def _columns(runs: Runs) -> tuple[str, ...]:
    return (
        "latency",
        *(f"{named(*run)} {who}".strip() for run in runs for who in ("vCPU", "worker")),
    )


def text(*runs: Run) -> str:
    """Return the histograms as a table, and mean and percentiles."""
    told = [_numbers(name, record) for name, record in runs]
    return "\n".join([tables.text(_columns(runs), rows(runs)), *told])


def html(*runs: Run) -> str:
    """Return the same table."""
    told = "".join(markup.paragraph(_numbers(name, record)) for name, record in runs)
    return markup.table(TITLE, _columns(runs), rows(runs)) + told


_SHEET: Final = drawing.look(_NAME)


def svg(*runs: Run) -> str:
    """Return bars for each bucket: of vCPUs upwards, of workers downwards, all on one scale.

    The axis has the buckets that are used, and some beside them where those are few.
    """
    found = [(name, record, histograms(record)) for name, record in runs]
    most = max(1, *(amount for _, _, pair in found for h in pair for amount in h))
    shown = _shown([h for _, _, pair in found for h in pair])
    wide = len(shown) * _WIDE
    parts, y = [], 4.0
    for name, record, (vcpus, workers) in found:
        parts.append(drawing.text(_LEFT, y + 14, _numbers(name, record), "strong"))
        ground = y + 40 + _high(max(vcpus), most)
        for place, n in enumerate(shown):
            parts.append(_bar(place, vcpus[n], most, ground, up=True))
            parts.append(_bar(place, workers[n], most, ground, up=False))
        parts.append(f'<path class="rule" d="M{_LEFT} {ground:g}h{wide}"/>')
        if any(vcpus):
            parts.append(drawing.text(_LEFT - 8, ground - 6, "vCPUs", "muted end"))
        if any(workers):
            parts.append(drawing.text(_LEFT - 8, ground + 14, "workers", "muted end"))
        y = ground + 24 + _high(max(workers), most)
        parts.append(f'<path class="rule" d="M{_LEFT} {y:g}h{wide}"/>')
        for place, n in enumerate(shown):
            parts.append(f'<path class="rule" d="M{_LEFT + place * _WIDE} {y:g}v5"/>')
            if n % 2 == 0:
                label = drawing.text(_LEFT + place * _WIDE, y + 18, bucket(n), "middle muted")
                parts.append(label)
        y += 34
    legend, y = drawing.legend(((f, who) for who, f in WHO.items()), _LEFT, y + 14, 700)
    parts.append(legend)
    told = [_numbers(name, record) for name, record, _ in found]
    size = _LEFT + max(wide, *(_STRONG * len(said) for said in told)) + _RIGHT, y - 6
    title = f"{TITLE}: " + "; ".join(told)
    return drawing.document(_NAME, _SHEET, size, title, "\n".join(filter(None, parts)))


def _shown(found: list[Histogram]) -> range:
    """Return the buckets of the axis: those used, and as many on both sides as make it `_LEAST`."""
    used = [n for n in range(BUCKETS) if any(h[n] for h in found)]
    first, last = min(used, default=0), max(used, default=0)
    room = max(0, _LEAST - (last - first + 1))
    first = max(0, min(first - room // 2, BUCKETS - _LEAST))
    return range(first, max(last + 1, first + _LEAST))


def _high(amount: int, most: int) -> int:
    return max(1, amount * _HIGH // most) if amount else 0


def _bar(place: int, amount: int, most: int, ground: float, *, up: bool) -> str:
    """Return the bar of a bucket with its number beyond its end, "" for none."""
    if not amount:
        return ""
    x, high = _LEFT + place * _WIDE + 4, _high(amount, most)
    top, number = (ground - high, ground - high - 5) if up else (ground, ground + high + 14)
    filling = [*WHO.values()][not up]
    label = drawing.text(x + (_WIDE - 8) / 2, number, f"{amount:,}", "middle")
    return drawing.box(x, top, _WIDE - 8, high, filling) + label
