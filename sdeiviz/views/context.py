"""What was interrupted beside what runs now: the heart of SDEI."""

from typing import Final, NamedTuple

from sdeiviz.abi import pstate
from sdeiviz.debugger.snapshot import ContextView, Snapshot
from sdeiviz.views import markup, words

NONE: Final = "No handler is running, so nothing is interrupted."
DIFFERS: Final = "\N{NOT EQUAL TO}"


class Pair(NamedTuple):
    """One register, as it was when the event struck and as it is now."""

    name: str
    interrupted: int
    live: int

    @property
    def differs(self) -> bool:
        """Whether completing the handler will change it."""
        return self.interrupted != self.live


def innermost(snapshot: Snapshot) -> ContextView | None:
    """Return the context that completing the running handler brings back, or None."""
    return snapshot.contexts[-1] if snapshot.contexts else None


def pairs(snapshot: Snapshot) -> list[Pair]:
    """Return PC, PSTATE and x0 to x17 of the innermost context with their live values."""
    context = innermost(snapshot)
    if context is None:
        return []
    live = snapshot.registers
    return [
        Pair("pc", context.pc, live.pc),
        Pair("pstate", context.pstate, live.pstate),
        *(Pair(f"x{n}", value, live.x[n]) for n, value in enumerate(context.x)),
    ]


def text(snapshot: Snapshot) -> str:
    """Return interrupted and live values side by side; a sign stands where they differ."""
    context = innermost(snapshot)
    if context is None:
        return NONE
    level = f", {len(snapshot.contexts)} deep" if len(snapshot.contexts) > 1 else ""
    lines = [
        f"interrupted by event {words.event(context.event)}{level}: "
        + pstate.describe(context.pstate),
        f"{'':>8} {'interrupted':<16}   live",
    ]
    for pair in pairs(snapshot):
        sign = DIFFERS if pair.differs else " "
        lines.append(
            f"{pair.name:>8} {words.digits(pair.interrupted)} {sign} {words.digits(pair.live)}"
        )
    return "\n".join(lines)


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted("Interrupted and live", text(snapshot))
