"""Threads over time: who runs, who sleeps over a page, and who stands still because its PE does.

A drawing is made of bins of half a pixel. What is longer fills its bins whole; where a bin holds
several spans, each has its share of the height.
"""

from collections.abc import Sequence
from typing import Final

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.trace import TraceEvent
from sdeiviz.views import drawing, markup, words
from sdeiviz.views.threads import Doing, History, Mark, Row, history

TITLE: Final = "Threads"
NONE: Final = "Nothing has happened yet."
LABELS: Final = ("synchronous", "asynchronous")

FILLINGS: Final = {
    Doing.RUNNING: "solid",
    Doing.BUSY: "solid",
    Doing.BLOCKED: "cross",
    Doing.HALTED: "bars",
    Doing.ASLEEP: "slant",
    Doing.WAITING: "posts",
    Doing.STALLED: "back",
    Doing.READY: "dots",
    Doing.STOPPED: "grey",
}
"""Idle and off stay empty."""
_LETTERS: Final = {
    Doing.RUNNING: "#",
    Doing.BUSY: "#",
    Doing.BLOCKED: "X",
    Doing.HALTED: "h",
    Doing.ASLEEP: "z",
    Doing.WAITING: "w",
    Doing.STALLED: "x",
    Doing.READY: ".",
    Doing.STOPPED: "-",
}
"""Idle and off are blank."""
SAYS: Final = {
    Doing.RUNNING: "runs",
    Doing.BUSY: "busy: the guest runs, or the host works for it",
    Doing.BLOCKED: "blocked: waits for its page",
    Doing.HALTED: "halted: waits, except for interrupts",
    Doing.STALLED: "stalled: its PE waits for another's page",
    Doing.ASLEEP: "asleep over its page",
    Doing.WAITING: "waiting: for a lock, not a page",
    Doing.READY: "ready: another runs",
    Doing.STOPPED: "stands: is handed over",
}
_MARKS: Final = {
    "notified": ("\N{WHITE DOWN-POINTING TRIANGLE}", "v", "fault, guest told"),
    "waited": ("\N{MULTIPLICATION SIGN}", "!", "fault, PE waits"),
    "ready": ("\N{BLACK UP-POINTING TRIANGLE}", "^", "page-ready"),
}
"""Sign, letter and words."""
_SHAPES: Final = {
    "notified": "m-3 0h6l-3 6z",
    "waited": "m-3 0l6 6m0 -6l-6 6",
    "ready": "m-3 6h6l-3 -6z",
}

STRIP: Final = 64
"""Letters of a strip of text."""
_LEFT, _PLOT, _RIGHT = 108, 720, 112  # pixels
_ROW, _PE_ROW, _GAP = 20, 10, 6
_BIN, _SIGN = 0.5, 8

Run = tuple[str, History]
"""What a run is called, "" where it is the only one, and what happened in it."""


def up_to_now(snapshot: Snapshot) -> History:
    """Return what the guest's threads did until the moment shown."""
    return history(snapshot.trace[: snapshot.now], end=None if _over(snapshot) else snapshot.time)


def _over(snapshot: Snapshot) -> bool:
    """Tell whether the guest has ended what it measures."""
    return any(getattr(event, "name", "") == "end" for event in snapshot.trace[: snapshot.now])


def text(snapshot: Snapshot) -> str:
    """Return the percentages of every thread until now, and a strip of letters for each."""
    return text_of(up_to_now(snapshot))


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(snapshot))


def svg(snapshot: Snapshot) -> str:
    """Return the drawing of what happened until now."""
    return drawn([("", up_to_now(snapshot))])


def compare(
    first: Sequence[TraceEvent],
    second: Sequence[TraceEvent],
    labels: tuple[str, str] = LABELS,
    length: int | None = None,
) -> str:
    """Return a drawing of two runs, one above the other, on one axis of time.

    Parameters
    ----------
    first, second
        Their traces; each begins where its guest says that it begins to measure.
    labels
        What they are called.
    length
        How many nanoseconds to show, None: all that the longer one measures.
    """
    return drawn(_pair(first, second, labels, length))


def compare_text(
    first: Sequence[TraceEvent],
    second: Sequence[TraceEvent],
    labels: tuple[str, str] = LABELS,
    length: int | None = None,
) -> str:
    """Return the same as text; a letter is as long in both."""
    runs = _pair(first, second, labels, length)
    longest = _longest(runs)
    return "\n\n".join(f"{label}\n{text_of(run, longest)}" for label, run in runs)


def _pair(
    first: Sequence[TraceEvent],
    second: Sequence[TraceEvent],
    labels: tuple[str, str],
    length: int | None,
) -> list[Run]:
    runs = []
    for label, trace in zip(labels, (first, second), strict=True):
        run = history(trace)
        if length is not None:
            run = history(trace, run.start, min(run.end, run.start + length))
        runs.append((label, run))
    return runs


def _longest(runs: Sequence[Run]) -> int:
    return max(1, *(run.end - run.start for _, run in runs))


# -- as text


def text_of(run: History, length: int | None = None) -> str:
    """Return what happened as text.

    Parameters
    ----------
    length
        Nanoseconds that a whole strip stands for, None: as many as the run has.
    """
    took = run.end - run.start
    length = length or max(1, took)
    if not run.rows:
        return NONE
    names = max(len(name) for name in (*(f"  {row.name}" for row in run.rows), "fault, guest told"))
    used = {doing for row in run.rows for doing in row.spent()}
    legend = ", ".join(f"{letter} {doing}" for doing, letter in _LETTERS.items() if doing in used)
    lines = [f"{words.duration(took)}; each letter is {words.duration(length // STRIP)}: {legend}"]
    for row in run.rows:
        indent = "" if row.thread is None else "  "
        if row.thread is None:
            lines += [
                f"{_MARKS[kind][2]:<{names}} {strip} {amount:,}"
                for kind, strip, amount in _strips_of_marks(run, row.vcpu, length)
            ]
        spent = row.spent()
        parts = zip(spent, words.percentages(list(spent.values())), strict=True)
        said = ", ".join(f"{doing} {part}" for doing, part in parts if part != "0 %")
        lines.append(f"{indent + row.name:<{names}} {_strip(row, run.start, length)} {said}")
    return "\n".join(lines)


def _strip(row: Row, start: int, length: int) -> str:
    letters = ""
    for spent in _bins(row, start, length, STRIP):
        letters += _LETTERS.get(max(spent, key=lambda d: spent[d]), " ") if spent else " "
    return f"|{letters}|"


def _strips_of_marks(run: History, vcpu: int, length: int) -> list[tuple[str, str, int]]:
    made = []
    for kind, (_, letter, _) in _MARKS.items():
        marks = [mark for mark in run.marks if mark.kind == kind and mark.vcpu == vcpu]
        if marks:
            places = {_place(mark, run.start, length, STRIP) for mark in marks}
            strip = "".join(letter if n in places else " " for n in range(STRIP))
            made.append((kind, f"|{strip}|", len(marks)))
    return made


def _place(mark: Mark, start: int, length: int, bins: int) -> int:
    return min(bins - 1, (mark.time - start) * bins // length)


def _bins(row: Row, start: int, length: int, bins: int) -> list[dict[Doing, int]]:
    """Return how much time of each bin was spent on what, in nanoseconds times `bins`."""
    made: list[dict[Doing, int]] = [{} for _ in range(bins)]
    for doing, begin, end in row.spans:
        first, last = (begin - start) * bins, (end - start) * bins
        for n in range(first // length, min(bins, -(-last // length))):
            part = min(last, (n + 1) * length) - max(first, n * length)
            made[n][doing] = made[n].get(doing, 0) + part
    return made


# -- as a drawing


def drawn(runs: Sequence[Run], *, title: str = TITLE, whole: str = "measured") -> str:
    """Return a drawing of runs, one above the other, on one axis of time.

    Parameters
    ----------
    title
        What it shows.
    whole
        What the whole time of a run is called.
    """
    length = _longest(runs)
    parts: list[str] = []
    used: set[Doing] = set()
    y = 4.0
    threads = any(row.thread is not None for _, run in runs for row in run.rows)
    for label, run in runs:
        if label:
            took = words.duration(run.end - run.start)
            parts.append(drawing.text(4, y + 14, label, "strong"))
            parts.append(drawing.text(_LEFT + _PLOT, y + 14, f"{whole}: {took}", "muted end"))
            y += 20
        for row in run.rows:
            used |= row.spent().keys()
            if row.thread is None:
                parts.append(_marks(run, row.vcpu, length, y))
                y += 26
            high = _PE_ROW if row.thread is None and threads else _ROW
            parts.append(_row(row, run, length, y, high))
            y += high + _GAP
        y += 8
    if used:
        parts.append(drawing.axis(length, _LEFT, _PLOT, y))
        fills = [(FILLINGS[doing], says) for doing, says in SAYS.items() if doing in used]
        legend, y = drawing.legend(fills, _LEFT, y + 40, _PLOT + _RIGHT)
        parts.append(legend)
        for n, (sign, _, says) in enumerate(_MARKS.values()):
            parts.append(drawing.text(_LEFT + 150 * n, y, f"{sign} {says}"))
    else:
        parts.append(drawing.text(4, y, NONE))
    title += ": " + " and ".join(label or "up to now" for label, _ in runs)
    size = _LEFT + _PLOT + _RIGHT, y + 10
    return drawing.document("sdeiviz-timeline", _SHEET, size, title, "\n".join(parts))


_SHEET: Final = drawing.look(
    "sdeiviz-timeline",
    """
.sdeiviz-timeline .notified { fill: none; stroke: var(--accent); stroke-width: 1.3; }
.sdeiviz-timeline .waited { fill: none; stroke: var(--bad); stroke-width: 1.6; }
.sdeiviz-timeline .ready { fill: var(--ink); stroke: none; }
""",
)


def _row(row: Row, run: History, length: int, y: float, high: int) -> str:
    indent, look = (4 if row.thread is None else 14), ("muted" if high == _PE_ROW else "strong")
    spent = row.spent()
    share = dict(zip(spent, words.percentages(list(spent.values())), strict=True))
    busy = share.get(Doing.BUSY)
    runs = f"busy {busy}" if busy else f"runs {share.get(Doing.RUNNING, '0 %')}"
    base = y + high / 2 + 4
    width = (run.end - run.start) * _PLOT / length
    return (
        drawing.text(indent, base, row.name, look)
        + drawing.text(_LEFT + _PLOT + 10, base, runs, look)
        + f'<g transform="translate({_LEFT} {y:g})">{areas(row, run.start, length, high)}'
        f'<path class="rule" d="M0 0H{width:.1f}V{high}H0Z"/></g>'
    )


def areas(row: Row, start: int, length: int, high: int, wide: int = _PLOT) -> str:
    """Return an area for each thing done; the lower ones are drawn over the higher.

    Parameters
    ----------
    start, length
        When the axis of time begins, and how many nanoseconds it is long.
    high, wide
        How many pixels there are for it.
    """
    bins = round(wide / _BIN)
    heights = []
    for spent in _bins(row, start, length, bins):
        amounts = [spent.get(doing, 0) for doing in FILLINGS]
        rest = length - sum(amounts)
        heights.append(words.apportion([*amounts, rest], high))
    parts: list[str] = []
    for n, filling in enumerate(FILLINGS.values()):
        if any(column[n] for column in heights):
            tops = [sum(column[: n + 1]) for column in heights]
            parts.insert(0, f'<path fill="url(#{filling})" d="{drawing.steps(tops, high, _BIN)}"/>')
    return "".join(parts)


def _marks(run: History, vcpu: int, length: int, y: float) -> str:
    """Return signs of faults and, below them, of pages that are ready.

    Of a kind there is at most one sign where two would overlap; at the right is how many there are.
    """
    parts = []
    for kinds, top in (("notified", "waited"), 2), (("ready",), 14):
        amounts = []
        for kind in kinds:
            marks = [mark for mark in run.marks if mark.kind == kind and mark.vcpu == vcpu]
            if marks:
                at = {_place(mark, run.start, length, _PLOT // _SIGN) for mark in marks}
                ends = (f"M{_LEFT + _SIGN * (n + 0.5):g} {y + top:g}" for n in sorted(at))
                path = "".join(end + _SHAPES[kind] for end in ends)
                parts.append(f'<path class="{kind}" d="{path}"/>')
                amounts.append(f"{_MARKS[kind][0]} {len(marks):,}")
        if amounts:
            parts.append(drawing.text(_LEFT + _PLOT + 10, y + top + 8, " ".join(amounts)))
    return "".join(parts)
