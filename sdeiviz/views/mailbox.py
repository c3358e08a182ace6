"""The mailbox of async page fault: what it says, what is on its way, and what may happen next."""

from typing import Final

from sdeiviz.abi.apf import SLOTS, TOKEN_ID_SHIFT, WAKE_ALL, Notification
from sdeiviz.apf import MODES, Mode
from sdeiviz.debugger.snapshot import ApfView, Snapshot
from sdeiviz.views import drawing, markup, tables, words

TITLE: Final = "Mailbox"
COLUMNS: Final = ("PE", "what", "token", "page", "says")
NONE: Final = "This machine has no async page fault."

_VCPU: Final = (1 << TOKEN_ID_SHIFT) - 1


def decoded(token: int) -> str:
    """Return what a token is made of.

    >>> decoded(0x3001), decoded(0xFFFF_FFFF)
    ('fault 3 of PE 1', 'everybody')
    """
    if token == WAKE_ALL:
        return "everybody"
    return f"fault {token >> TOKEN_ID_SHIFT} of PE {token & _VCPU}"


def rows(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return rows for each PE: of the mailbox, of each fault in flight, and of what is next."""
    return [(str(view.vcpu), *cells) for view in snapshot.apf for cells in _rows(snapshot, view)]


_Cells = tuple[str, str, str, str]


def _rows(snapshot: Snapshot, view: ApfView) -> list[_Cells]:
    found: list[_Cells] = [("mailbox", _word(view.token), "", says(view))]
    if view.not_present is not None:
        told = "page not present; not taken yet"
        found.append(("on its way", words.token(view.not_present), "", told))
    if view.page_ready:
        found.append(("interrupt", "", "", "page-ready; not acknowledged yet"))
    if view.halted:
        found.append(("halted", "", "", "the PE waits for a page or an interrupt"))
    found += [
        ("in flight", words.token(token), _page(gfn), f"{decoded(token)}: being fetched")
        for gfn, token in view.pending
    ]
    found += [
        ("done", words.token(token), "" if token == WAKE_ALL else _page(gfn), _waits(token))
        for gfn, token in view.done
    ]
    return [*found, *(("next", "", "", sentence) for sentence in following(snapshot, view))]


def _word(word: int | None) -> str:
    return "" if word is None else f"{word:#x}"


def _page(gfn: int) -> str:
    return words.page(gfn).removeprefix("page ")


def _waits(token: int) -> str:
    return f"{decoded(token)}: {'to be woken' if token == WAKE_ALL else 'there, guest not told'}"


def says(view: ApfView) -> str:
    """Return what the two words of the shared block say."""
    if view.reason is None or view.token is None:
        return "its page is absent" if view.enabled else "not enabled"
    whose = decoded(view.token)
    match view.reason:
        case Notification.NONE:
            return "empty" if not view.token else f"no reason; token of {whose}"
        case Notification.PAGE_NOT_PRESENT:
            return f"page not present: {whose}"
        case Notification.PAGE_READY:
            return f"page ready: {whose}"
    return f"{view.reason:#x}: no reason there is"


def following(snapshot: Snapshot, view: ApfView) -> list[str]:
    """Say what may happen next: to a page that is done, and to the next fault."""
    mode = MODES.get(snapshot.apf_mode) or MODES["arm64-v4"]
    pages = [_next_ready(mode, view)] if view.done else []
    return [*pages, _next_fault(snapshot, mode, view)]


def _next_ready(mode: Mode, view: ApfView) -> str:
    if not view.enabled:
        return "what is done is dropped: nobody asks for it"
    if view.page_ready:
        return "page-ready waits until the guest acknowledges the last"
    if mode.cancels_not_present and view.not_present == view.done[0][1]:
        return "the page is there first: page-not-present is withdrawn"
    if not mode.not_present_by_event and view.not_present is not None:
        return "page-ready waits until page-not-present is acknowledged"
    if _busy(mode, view, Notification.PAGE_READY):
        return "page-ready waits until the guest clears the mailbox"
    return "page-ready is sent when the PE enters the guest"


def _busy(mode: Mode, view: ApfView, notification: Notification) -> bool:
    """Tell whether the guest has still to clear what was written for a notification before."""
    if not mode.separate_mailboxes:
        return bool(view.reason or view.token)
    return bool(view.token if notification is Notification.PAGE_READY else view.reason)


def _next_fault(snapshot: Snapshot, mode: Mode, view: ApfView) -> str:
    if not mode.asynchronous:
        return "a fault now would wait, because in this mode they all do"
    why = _why_not(snapshot, mode, view)
    if len(view.pending) + len(view.done) >= SLOTS:
        return f"a fault now would wait, because {SLOTS} are in flight"
    if why:
        what = "halt the PE" if mode.undeliverable_halts else "wait"
        return f"a fault now would {what}, because {why}"
    return "a fault at EL0 would be told to the guest"


def _why_not(snapshot: Snapshot, mode: Mode, view: ApfView) -> str:
    pe = snapshot.pes[view.vcpu]
    if not view.enabled:
        return "the guest has not enabled it"
    if mode.not_present_by_event:
        if pe.contexts:
            return "an SDEI handler is running"
    elif view.not_present is not None or view.page_ready:
        return "the interrupt is not acknowledged"
    if _busy(mode, view, Notification.PAGE_NOT_PRESENT):
        return "the mailbox is not cleared"
    return "SDEI is masked" if mode.not_present_by_event and pe.masked else ""


def text(snapshot: Snapshot) -> str:
    """Return the table as text."""
    found = rows(snapshot)
    return tables.text(COLUMNS, found) if found else NONE


def html(snapshot: Snapshot) -> str:
    """Return the table."""
    found = rows(snapshot)
    return markup.table(TITLE, COLUMNS, found, (2, 3)) if found else markup.paragraph(NONE)


# -- as a drawing

_SHEET: Final = drawing.look(
    "sdeiviz-mailbox",
    """
.sdeiviz-mailbox .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.sdeiviz-mailbox .card { fill: none; stroke: var(--rule); stroke-width: 1; }
""",
)
_WIDTH, _LINE, _MOST = 640, 20, 8  # pixels, and rows of faults
_FILLINGS: Final = {
    "in flight": "cross",
    "done": "solid",
    "on its way": "slant",
    "interrupt": "bars",
}
_WHAT, _TOKEN, _PAGE, _SAYS = 12, 130, 226, 320  # where columns begin


def svg(snapshot: Snapshot) -> str:
    """Return a card for each PE: the two words, what is in flight, and what is next."""
    parts, y = [], 4.0
    for view in snapshot.apf:
        drawn, high = _card(snapshot, view, y)
        parts.append(drawn)
        y += high + 10
    if not parts:
        parts, y = [drawing.text(4, 16, NONE)], 24.0
    size = _WIDTH + 8, y
    return drawing.document("sdeiviz-mailbox", _SHEET, size, TITLE, "\n".join(parts))


def _card(snapshot: Snapshot, view: ApfView, top: float) -> tuple[str, float]:
    block = f"shared block at {view.block:#x}" if view.enabled else "not enabled"
    parts = [
        drawing.text(16, top + 20, f"PE {view.vcpu}", "strong"),
        drawing.text(64, top + 20, block, "muted"),
    ]
    y = top + 32
    for n, (name, word) in enumerate((("reason", view.reason), ("token", view.token))):
        filling = "slant" if word else "empty"
        x = 16 + 130 * n
        parts.append(drawing.box(x, y, 120, 26, filling))
        plain = f'<rect fill="url(#empty)" x="{x + 4}" y="{y + 4:g}" width="112" height="18"/>'
        shown = "-" if word is None else f"{word:#x}"
        parts += [plain, drawing.text(x + 8, y + 17, name, "muted")]
        parts.append(drawing.text(x + 112, y + 17, shown, "end code strong"))
    parts.append(drawing.text(16 + 260 + 4, y + 17, says(view)))
    y += 46
    found = _rows(snapshot, view)[1:]
    faults = [row for row in found if row[0] in ("in flight", "done")]
    if left := faults[_MOST:]:
        place = found.index(left[0])
        found[place : place + len(left)] = [("", "", "", f"and {len(left)} more")]
    for row in found:
        parts.append(_line(row, y))
        y += _LINE
    high = y - top - 6
    card = f'<rect class="card" x="4" y="{top:g}" width="{_WIDTH}" height="{high:g}" rx="6"/>'
    return card + "".join(parts), high


def _line(row: _Cells, y: float) -> str:
    what, token, page, said = row
    sign = drawing.box(16, y - 10, 12, 12, _FILLINGS[what]) if what in _FILLINGS else ""
    if what == "next":
        return drawing.text(36, y, "next", "strong") + drawing.text(_TOKEN, y, said)
    return (
        sign
        + drawing.text(36, y, what)
        + drawing.text(_TOKEN, y, token, "code")
        + drawing.text(_PAGE, y, page, "code")
        + drawing.text(_SAYS, y, said)
    )
