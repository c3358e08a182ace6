"""Where each PE's time went: what the guest got, what the host took, what was waited for."""

from typing import Final

from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.machine.accounts import Activity
from sdeiviz.views import drawing, markup, tables, words

TITLE: Final = "Time"
NONE: Final = "Nothing has happened yet."
ACTIVITIES: Final = {
    Activity.RUN: ("guest runs", "solid"),
    Activity.OVERHEAD: ("host works for it", "grey"),
    Activity.BLOCKED: ("blocked on a page", "cross"),
    Activity.HALTED: ("halted on a page", "bars"),
    Activity.IDLE: ("idle", "dots"),
    Activity.READY: ("another PE's turn", "slant"),
    Activity.OFF: ("off", "empty"),
}
"""What each account is called, and its filling."""
COLUMNS: Final = ("PE", *Activity, "sum")

Spent = dict[str, int]
"""Nanoseconds by activity."""


def spent(snapshot: Snapshot, since: Snapshot | None = None) -> list[Spent]:
    """Return where each PE's time went, from the machine's start or from an earlier moment on."""
    earlier = since.accounts if since else ({},) * len(snapshot.accounts)
    return [
        {activity.value: now[activity.value] - then.get(activity.value, 0) for activity in Activity}
        for now, then in zip(snapshot.accounts, earlier, strict=True)
    ]


def rows(snapshot: Snapshot, since: Snapshot | None = None) -> list[tuple[str, ...]]:
    """Return a row for each PE. What is shown of its time sums up to what is shown as the sum."""
    return [_row(str(pe), amounts) for pe, amounts in enumerate(spent(snapshot, since))]


def _row(name: str, amounts: Spent) -> tuple[str, ...]:
    whole = sum(amounts.values())
    shares = words.percentages(list(amounts.values()))
    cells = [
        f"{exact(amount)} ({share})" if amount else ""
        for amount, share in zip(amounts.values(), shares, strict=True)
    ]
    return name, *cells, exact(whole)


def exact(nanoseconds: int) -> str:
    """Return a time to the nanosecond, so that what is added up agrees.

    >>> exact(1_234_567), exact(999)
    ('1,234.567 µs', '0.999 µs')
    """
    return f"{nanoseconds // 1000:,}.{nanoseconds % 1000:03} µs"


def text(snapshot: Snapshot, since: Snapshot | None = None) -> str:
    """Return the table as text, without accounts that nobody has used."""
    columns, found = _used(snapshot, since)
    return tables.text(columns, found) if found else NONE


def html(snapshot: Snapshot, since: Snapshot | None = None) -> str:
    """Return the same table."""
    columns, found = _used(snapshot, since)
    return markup.table(TITLE, columns, found) if found else markup.paragraph(NONE)


def _used(
    snapshot: Snapshot, since: Snapshot | None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    found = rows(snapshot, since)
    used = [n for n in range(len(COLUMNS)) if any(row[n] for row in found)]
    return tuple(COLUMNS[n] for n in used), [tuple(row[n] for n in used) for row in found]


_SHEET: Final = drawing.look("sdeiviz-accounts")
_LEFT, _PLOT, _RIGHT, _HIGH = 56, 640, 110, 20  # pixels


def svg(snapshot: Snapshot, since: Snapshot | None = None) -> str:
    """Return a stacked bar for each PE, all on one scale, with the shares under it."""
    found = spent(snapshot, since)
    longest = max((sum(amounts.values()) for amounts in found), default=0)
    parts, y = [], 8.0
    for pe, amounts in enumerate(found):
        parts.append(drawing.text(4, y + 14, f"PE {pe}", "strong"))
        parts.append(_bar(amounts, longest or 1, y))
        shares = words.percentages(list(amounts.values()))
        items = [
            (ACTIVITIES[activity][1], f"{ACTIVITIES[activity][0]} {share}")
            for activity, share in zip(Activity, shares, strict=True)
            if amounts[activity]
        ]
        legend, y = drawing.legend(items, _LEFT, y + _HIGH + 18, _PLOT + _RIGHT)
        parts.append(legend)
    if not found:
        parts.append(drawing.text(4, y + 14, NONE))
        y += 30
    size = _LEFT + _PLOT + _RIGHT, y - 8
    return drawing.document("sdeiviz-accounts", _SHEET, size, TITLE, "\n".join(parts))


def _bar(amounts: Spent, longest: int, y: float) -> str:
    parts, x = [], float(_LEFT)
    for activity, amount in amounts.items():
        width = amount * _PLOT / longest
        if amount:
            filling = ACTIVITIES[Activity(activity)][1]
            parts.append(drawing.box(round(x, 1), y, round(max(width, 0.5), 1), _HIGH, filling))
        x += width
    whole = words.duration(sum(amounts.values()))
    return "".join(parts) + drawing.text(round(x + 8, 1), y + 14, whole)
