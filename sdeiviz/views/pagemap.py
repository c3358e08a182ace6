"""The pages that the host may take away, each by where it is."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from sdeiviz.debugger.snapshot import PagesView, Snapshot
from sdeiviz.machine.memory import PageState
from sdeiviz.trace import PageFault
from sdeiviz.views import drawing, markup, words

TITLE: Final = "Pages"
NONE: Final = "The host takes no page away from this machine."

CELLS: Final = 1024
"""At most so many cells; where there are more pages, several share one."""
STATES: Final = {
    PageState.PRESENT: ("present", "solid", "#"),
    PageState.FETCHING: ("being fetched", "cross", "x"),
    PageState.ABSENT: ("absent", "empty", "."),
    PageState.ZERO: ("the shared zero page", "dots", "0"),
}
"""Name, filling and letter of each state."""

_State = TypeVar("_State", bound=int)

WIDTH, LEFT = 704, 92  # pixels


def touched(pages: PagesView) -> PagesView:
    """Return the pages without those at both ends that nobody has written yet."""
    untouched = bytes([PageState.ZERO])
    states = pages.states.lstrip(untouched)
    first = pages.first + len(pages.states) - len(states)
    return replace(pages, first=first, states=states.rstrip(untouched))


def counts(pages: PagesView) -> dict[PageState, int]:
    """Return how many pages are in each state."""
    amounts = Counter(pages.states)
    return {state: amounts[state] for state in STATES}


def last_fault(snapshot: Snapshot) -> PageFault | None:
    """Return the last fault on one of these pages until now."""
    if snapshot.pages is None:
        return None
    pages = touched(snapshot.pages)
    for event in reversed(snapshot.trace[: snapshot.now]):
        if isinstance(event, PageFault) and 0 <= event.gfn - pages.first < len(pages.states):
            return event
    return None


def cells(pages: PagesView) -> tuple[int, list[PageState]]:
    """Return how many pages share a cell, and the state that each cell shows.

    A cell shows that a page is being fetched as soon as one of its pages is; else what most are.
    """
    return grouped(pages.states, STATES, [PageState.FETCHING])


def grouped(
    states: bytes, kinds: Iterable[_State], rare: Iterable[_State]
) -> tuple[int, list[_State]]:
    """Return how many pages share a cell, and what each cell shows.

    Parameters
    ----------
    states
        One for each page.
    kinds
        All that there are; of those that are equally frequent the first is shown.
    rare
        What a cell shows as soon as one of its pages is so, the first before the second.
    """
    kinds, rare = list(kinds), list(rare)
    each = each_of(len(states))
    shown = []
    for at in range(0, len(states), each):
        part = states[at : at + each]
        most = max(kinds, key=part.count)
        shown.append(next((state for state in rare if state in part), most))
    return each, shown


def each_of(pages: int) -> int:
    """Return how many pages share a cell."""
    return max(1, -(-pages // CELLS))


def columns_of(cells: int) -> int:
    """Return how many cells a row has."""
    return 32 if cells <= 256 else 64


def _summary(pages: PagesView) -> str:
    limit = "" if pages.limit is None else f"; at most {pages.limit:,} may be"
    return f"{pages.resident:,} of {words.count(len(pages.states), 'page')} in memory{limit}"


def _told(fault: PageFault) -> str:
    return f"last fault: {words.page(fault.gfn)}, {fault.decision}, PE {fault.vcpu}"


def _shared(each: int) -> str:
    return (
        f"a cell is {each} pages: being fetched if one is, else what most are" if each > 1 else ""
    )


def text(snapshot: Snapshot) -> str:
    """Return how many pages are where, and the map in letters."""
    pages = snapshot.pages
    if pages is None:
        return NONE
    amounts = counts(pages)
    summary = _summary(pages)
    pages = touched(pages)
    each, shown = cells(pages)
    fault = last_fault(snapshot)
    legend = "  ".join(
        f"{letter} {name}: {amounts[state]:,}" for state, (name, _, letter) in STATES.items()
    )
    lines = [summary, legend]
    lines += [said for said in (_shared(each), _told(fault) if fault else "") if said]
    columns = columns_of(len(shown))
    for at in range(0, len(shown), columns):
        letters = "".join(STATES[state][2] for state in shown[at : at + columns])
        lines.append(f"{_address(pages, at * each):>12}  {letters}")
        if fault and (column := (fault.gfn - pages.first) // each - at) in range(columns):
            lines.append(" " * (14 + column) + "^")
    return "\n".join(lines)


def _address(pages: PagesView, page: int) -> str:
    return f"{pages.first + page << words.PAGE_SHIFT:#x}"


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted(TITLE, text(snapshot))


_SHEET: Final = drawing.look(
    "sdeiviz-pagemap",
    """
.sdeiviz-pagemap .cells { fill: none; stroke: var(--rule); stroke-width: 0.5; }
.sdeiviz-pagemap .last { fill: none; stroke: var(--pane); stroke-width: 5; }
.sdeiviz-pagemap .last.ring { stroke: var(--ink); stroke-width: 2.5; }
""",
)


def svg(snapshot: Snapshot) -> str:
    """Return the map: neighbours in the same state are one area."""
    pages = snapshot.pages
    if pages is None:
        size = 320.0, 24.0
        return drawing.document("sdeiviz-pagemap", _SHEET, size, TITLE, drawing.text(4, 16, NONE))
    amounts, summary = counts(pages), _summary(pages)
    pages = touched(pages)
    each, shown = cells(pages)
    columns = columns_of(len(shown))
    side = WIDTH // columns
    top, rows = 28, -(-len(shown) // columns)
    parts = [drawing.text(LEFT, 16, summary, "strong")]
    for state, (_, filling, _) in STATES.items():
        parts.append(area(shown, columns, state, filling, top))
    parts.append(grid(len(shown), columns, side, top))
    page = 1 << words.PAGE_SHIFT
    parts.append(addresses(rows, columns * each * page, side, top, pages.first * page))
    y = top + rows * side + 22.0
    items = [(filling, f"{name}: {amounts[s]:,}") for s, (name, filling, _) in STATES.items()]
    legend, y = drawing.legend(items, LEFT, y, WIDTH)
    parts.append(legend)
    if said := _shared(each):
        parts.append(drawing.text(LEFT, y, said, "muted"))
        y += 20
    if fault := last_fault(snapshot):
        cell = (fault.gfn - pages.first) // each
        x, row = LEFT + cell % columns * side, top + cell // columns * side
        parts += [_ring(x, row, side), _ring(LEFT + 1, y - 10, 11)]
        parts.append(drawing.text(LEFT + 20, y, _told(fault)))
        y += 20
    title = f"{TITLE}: {summary}"
    size = LEFT + WIDTH + 8, y - 8
    return drawing.document("sdeiviz-pagemap", _SHEET, size, title, "\n".join(parts))


def area(shown: Sequence[int | None], columns: int, state: int, filling: str, top: float) -> str:
    """Return all cells in a state, "" for none: neighbours in a row are one rectangle."""
    path = outline(shown, columns, state, top)
    return f'<path fill="url(#{filling})" d="{path}"/>' if path else ""


def outline(shown: Sequence[int | None], columns: int, state: int, top: float) -> str:
    """Return the path around all cells in a state, "" for none."""
    side = WIDTH // columns
    return "".join(
        f"M{LEFT + x * side} {top + y * side:g}h{run * side}v{side}h-{run * side}z"
        for x, y, run in runs(shown, columns, state)
    )


def runs(shown: Sequence[int | None], columns: int, state: int) -> Iterator[tuple[int, int, int]]:
    """Yield column, row and length of all runs of a state."""
    for at in range(0, len(shown), columns):
        row = shown[at : at + columns]
        begin = 0
        while begin < len(row):
            end = begin
            while end < len(row) and row[end] == state:
                end += 1
            if end > begin:
                yield begin, at // columns, end - begin
            begin = end + 1


def grid(length: int, columns: int, side: int, top: int) -> str:
    """Return the lines between cells."""
    full, rest = divmod(length, columns)
    path = ""
    for y in range(full + bool(rest) + 1):
        wide = columns if full and y <= full else rest
        path += f"M{LEFT} {top + y * side}h{wide * side}"
    for x in range(columns + 1):
        high = full + (x <= rest and rest > 0)
        if high:
            path += f"M{LEFT + x * side} {top}v{high * side}"
    return f'<path class="cells" d="{path}"/>'


def addresses(rows: int, each: int, side: int, top: float, first: int = 0) -> str:
    """Return the number at the left of rows, as many as there is room for.

    Parameters
    ----------
    each
        How much a row has.
    first
        Number of the first.
    """
    return "".join(
        drawing.text(
            LEFT - 8, top + row * side + side / 2 + 4, f"{first + row * each:#x}", "muted end"
        )
        for row in range(0, rows, -(-18 // side))
    )


def _ring(x: float, y: float, side: float) -> str:
    place = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"'
    return f'<rect class="last" {place}/><rect class="last ring" {place}/>'
