"""Bytes on the wire over time, by channel.

They are counted when they arrive, or when they are sent where only that was seen. To the
destination go two channels that share the link's bandwidth; the way back has one of its own, and
needs a scale of its own: a request is small.
"""

from collections.abc import Sequence
from typing import Final

from sdeiviz.migration.link import MAIN, RETURN, URGENT
from sdeiviz.migration.record import CHANNELS, MigrationRecord
from sdeiviz.views import drawing, markup
from sdeiviz.views.migration import Run, Runs, named, over

TITLE: Final = "Traffic"
NONE: Final = "Nothing has been sent."
_NAME = "sdeiviz-migration-traffic"
SAYS: Final = {
    MAIN: ("main channel: in the background", "solid"),
    URGENT: ("urgent channel: asked for", "cross"),
    RETURN: ("return path: requests", "slant"),
}
"""Words and filling of each channel."""
_FORWARD, _BACK = (MAIN, URGENT), (RETURN,)
MOST: Final = 240
"""Steps of a drawing."""
STRIP: Final = 64
"""Letters of a strip of text."""

_LEFT, _PLOT, _RIGHT = 96, 720, 112  # pixels
_HIGH, _LOW = 96, 36

Steps = list[int]
"""Bytes of each step."""


def steps(record: MigrationRecord, channel: int, end: int, most: int) -> tuple[int, Steps]:
    """Return how long a step is, in nanoseconds, and the bytes of each; no byte is left out.

    Parameters
    ----------
    channel
        Of `sdeiviz.migration.record.CHANNELS`.
    end
        Where the axis ends; what arrived later is in the last step.
    most
        How many steps there may be.
    """
    needed = -(-max(1, end - record.start) // record.bin)
    group = -(-needed // most)
    count = -(-needed // group)
    made = [0] * count
    for n, amount in enumerate(record.moved[channel]):
        made[min(n // group, count - 1)] += amount
    return group * record.bin, made


def rate(amount: int, nanoseconds: int) -> int:
    """Return bits a second."""
    return amount * 8 * 10**9 // nanoseconds


def said(bits: int) -> str:
    """Return a rate in words.

    >>> said(1_000_000_000), said(120_500), said(0)
    ('1 Gbit/s', '120.5 kbit/s', '0 bit/s')
    """
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bits >= size:
            return f"{bits / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{bits} bit/s"


def _longest(runs: Runs) -> int:
    return max(1, *(over(record) - record.start for _, record in runs))


def _mean(record: MigrationRecord, channel: int) -> str:
    took = max(1, over(record) - record.start)
    total = sum(record.moved[channel])
    share = ""
    if record.bandwidth:
        share = f", {100 * rate(total, took) / record.bandwidth:.1f} % of the link"
    return f"{total:,} bytes, {said(rate(total, took))} on average{share}"


def text(*runs: Run) -> str:
    """Return sums, and a strip for each channel: a digit is tenths of its scale, # is all of it."""
    length = _longest(runs)
    lines = []
    for name, record in runs:
        lines += [title] if (title := named(name, record)) else []
        scale = _scale(record, length, STRIP)
        for channel in CHANNELS:
            if channel == URGENT and not sum(record.moved[URGENT]):
                continue
            step, made = steps(record, channel, record.start + length, STRIP)
            top = scale if channel in _FORWARD else max(1, *(rate(b, step) for b in made))
            strip = "".join(_letter(rate(amount, step), top) for amount in made)
            lines.append(f"{CHANNELS[channel]:<12} |{strip:<{STRIP}}|")
            lines.append(f"{'':<12}  {_mean(record, channel)}; # is {said(top)}")
    return "\n".join(lines)


def _letter(bits: int, top: int) -> str:
    if not bits:
        return " "
    return "#" if bits >= top else str(bits * 10 // top)


def _scale(record: MigrationRecord, length: int, most: int) -> int:
    """Return the bits a second that fill the height: the link's, or more if more was seen."""
    made = [steps(record, channel, record.start + length, most) for channel in _FORWARD]
    step = made[0][0]
    peak = max(map(sum, zip(*(row for _, row in made), strict=True)))
    return max(record.bandwidth or 1, rate(peak, step))


def html(*runs: Run) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(*runs))


_SHEET: Final = drawing.look(
    _NAME, f".{_NAME} .limit {{ fill: none; stroke: var(--ink); stroke-dasharray: 5 4; }}\n"
)


def svg(*runs: Run) -> str:
    """Return areas over one axis of time, for each run its two directions."""
    length, parts, y = _longest(runs), [], 4.0
    used: set[int] = set()
    for name, record in runs:
        if title := named(name, record):
            parts.append(drawing.text(4, y + 14, title, "strong"))
            y += 26
        scale = _scale(record, length, MOST)
        y = _panel(parts, record, _FORWARD, length, scale, y, _HIGH)
        step, back = steps(record, RETURN, record.start + length, MOST)
        top = max(1, *(rate(amount, step) for amount in back))
        y = _panel(parts, record, _BACK, length, top, y, _LOW) + 8
        used |= {channel for channel in CHANNELS if sum(record.moved[channel])}
    parts.append(drawing.axis(length, _LEFT, _PLOT, y - 8))
    items = [(filling, says) for channel, (says, filling) in SAYS.items() if channel in used]
    legend, y = drawing.legend(items, _LEFT, y + 34, _PLOT + _RIGHT)
    parts.append(legend)
    totals = "; ".join(
        f"{name} {CHANNELS[channel]}: {_mean(record, channel)}".lstrip()
        for name, record in runs
        for channel in CHANNELS
        if sum(record.moved[channel])
    )
    size = _LEFT + _PLOT + _RIGHT, y - 6
    return drawing.document(_NAME, _SHEET, size, f"{TITLE}: {totals or NONE}", "\n".join(parts))


def _panel(
    parts: list[str],
    record: MigrationRecord,
    channels: Sequence[int],
    length: int,
    scale: int,
    y: float,
    high: int,
) -> float:
    """Draw channels one on the other; returns where the next panel may begin."""
    made = [steps(record, channel, record.start + length, MOST) for channel in channels]
    step = made[0][0]
    wide = step * _PLOT / length
    count = len(made[0][1])
    sums = [0] * count
    areas: list[str] = []
    for channel, (_, row) in zip(channels, made, strict=True):
        sums = [below + amount for below, amount in zip(sums, row, strict=True)]
        if any(row):
            tops = [min(high, rate(amount, step) * high // scale) for amount in sums]
            filling = SAYS[channel][1]
            path = drawing.steps(tops, high, round(wide, 3))
            areas.insert(0, f'<path fill="url(#{filling})" d="{path}"/>')
    parts.append(
        f'<svg x="{_LEFT}" y="{y:g}" width="{_PLOT}" height="{high}">{"".join(areas)}</svg>'
    )
    parts.append(f'<path class="rule" d="M{_LEFT} {y:g}v{high}h{_PLOT}"/>')
    parts.append(drawing.text(_LEFT - 8, y + 10, said(scale), "muted end"))
    parts.append(drawing.text(_LEFT - 8, y + high, "0", "muted end"))
    if record.bandwidth and channels == _FORWARD:
        line = y + high - record.bandwidth * high / scale
        parts.append(f'<path class="limit" d="M{_LEFT} {line:g}h{_PLOT}"/>')
        parts.append(drawing.text(_LEFT + _PLOT + 10, line + 10, "the link", "muted"))
    way = "to destination" if channels == _FORWARD else "way back"
    parts.append(drawing.text(_LEFT + _PLOT + 10, y + high, way, "muted"))
    return y + high + 10
