"""What became of the faults, and why those that the guest was not told of were not."""

from collections import Counter
from typing import Final

from sdeiviz.apf import Decision, Reason
from sdeiviz.debugger.snapshot import ApfView, Snapshot
from sdeiviz.views import drawing, markup, tables, words

TITLE: Final = "Reasons"
COLUMNS: Final = ("fault", "because", "count", "share", "which means")
NONE: Final = "No page was missing so far."

DECISIONS: Final = {
    Decision.WAIT: "The PE waits for the page, and nothing runs on it.",
    Decision.NOTIFIED: "The guest is told, unless the page is first, and runs another.",
    Decision.HALT: "The PE halts until a page or an interrupt comes, then tries again.",
    Decision.RETRY: "The PE tries again at once, until the page is there.",
}
"""What becomes of a PE whose page is missing."""

REASONS: Final = {
    Reason.NONE: "The guest was told.",
    Reason.MODE: "This mode lets every fault wait.",
    Reason.INTERRUPTS_MASKED: "Interrupts were masked: the guest could not switch threads.",
    Reason.DISABLED: "The guest has not enabled async page fault on this PE.",
    Reason.KERNEL_MODE: "The fault came from EL1, where the kernel may hold a lock.",
    Reason.HANDLER_RUNNING: "An SDEI handler was running, and must not be interrupted.",
    Reason.UNACKNOWLEDGED: "The guest has not acknowledged the last interrupt.",
    Reason.MAILBOX_BUSY: "The guest has not cleared the last notification.",
    Reason.IN_FLIGHT: "The page is being fetched for this PE already.",
    Reason.SLOTS_FULL: "64 faults of this PE are in flight, and no more can be.",
    Reason.NOT_REGISTERED: "The SDEI event has no handler.",
    Reason.NOT_INJECTABLE: "The SDEI event is raised by its interrupt only.",
    Reason.SDEI_MASKED: "The PE has SDEI events masked.",
    Reason.SDEI_BUSY: "The SDEI event is disabled, or another one is pending.",
}
"""Why a guest is not told of a missing page."""


def totals(snapshot: Snapshot, vcpu: int | None = None) -> list[tuple[Decision, Reason, int]]:
    """Return what became of the faults and how often, the most frequent first.

    Parameters
    ----------
    vcpu
        Number of a PE, None: all together.
    """
    views = [view for view in snapshot.apf if vcpu in (None, view.vcpu)]
    amounts: Counter[tuple[Decision, Reason]] = Counter()
    for view in views:
        amounts.update(_counted(view))
    return [(*kind, amount) for kind, amount in amounts.most_common() if amount]


def _counted(view: ApfView) -> dict[tuple[Decision, Reason], int]:
    told = {
        (Decision(decision), Reason.NONE): count for decision, count in view.asynchronous.items()
    }
    return told | {
        (Decision.WAIT, Reason(reason)): count for reason, count in view.synchronous.items()
    }


def meaning(decision: Decision, reason: Reason) -> str:
    """Return what it means in one sentence."""
    return REASONS[reason] if decision is Decision.WAIT and reason else DECISIONS[decision]


def rows(snapshot: Snapshot, vcpu: int | None = None) -> list[tuple[str, ...]]:
    """Return a row for everything that became of a fault, of one PE or of all."""
    found = totals(snapshot, vcpu)
    shares = words.percentages([amount for *_, amount in found])
    return [
        (_name(decision), reason.value, f"{amount:,}", share, meaning(decision, reason))
        for (decision, reason, amount), share in zip(found, shares, strict=True)
    ]


def _name(decision: Decision) -> str:
    return "waited" if decision is Decision.WAIT else decision.value


def text(snapshot: Snapshot) -> str:
    """Return the table as text, over all PEs."""
    found = rows(snapshot)
    return tables.text(COLUMNS, found) if found else NONE


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    found = rows(snapshot)
    return markup.table(TITLE, COLUMNS, found) if found else markup.paragraph(NONE)


_SHEET: Final = drawing.look("sdeiviz-reasons")
_LEFT, _PLOT, _RIGHT, _LINE = 180, 320, 120, 40  # pixels


def svg(snapshot: Snapshot) -> str:
    """Return a bar for everything that became of a fault, with what it means under it."""
    found = totals(snapshot)
    shares = words.percentages([amount for *_, amount in found])
    most = max((amount for *_, amount in found), default=1)
    whole = sum(amount for *_, amount in found)
    parts = [drawing.text(4, 16, f"{words.count(whole, 'fault')}" if found else NONE, "strong")]
    y = 28.0
    for (decision, reason, amount), share in zip(found, shares, strict=True):
        name = f"{_name(decision)}: {reason}" if reason else _name(decision)
        width = max(1, round(_PLOT * amount / most, 1))
        parts.append(drawing.text(_LEFT - 10, y + 12, name, "end"))
        parts.append(drawing.box(_LEFT, y, width, 16, FILLINGS[decision]))
        parts.append(drawing.text(_LEFT + width + 8, y + 12, f"{amount:,}  ({share})"))
        parts.append(drawing.text(_LEFT, y + 30, meaning(decision, reason), "muted"))
        y += _LINE
    size = _LEFT + _PLOT + _RIGHT, y + 4
    return drawing.document("sdeiviz-reasons", _SHEET, size, TITLE, "\n".join(parts))


FILLINGS: Final = {
    Decision.WAIT: "cross",
    Decision.NOTIFIED: "solid",
    Decision.HALT: "bars",
    Decision.RETRY: "back",
}
