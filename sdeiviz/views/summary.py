"""One moment in one line: where, when, and what just happened."""

from sdeiviz.abi import pstate
from sdeiviz.debugger.snapshot import Snapshot
from sdeiviz.views import markup, registers, words
from sdeiviz.views.log import LogEntry, log_of


def position(snapshot: Snapshot) -> str:
    """Return where the moment lies in the recording."""
    return f"{snapshot.index:,} of {snapshot.total:,}"


def sentence(snapshot: Snapshot, last: LogEntry | None) -> str:
    """Say what just happened.

    Parameters
    ----------
    last
        The last entry of the log up to this moment.
    """
    if snapshot.stopped:
        return f"Stopped: {words.printable(snapshot.stopped)}."
    if last is not None and last.index == snapshot.index:
        told = f" = {last.answer}" if last.answer else ""
        whose = f"PE {last.vcpu}: " if len(snapshot.pes) > 1 else ""
        return f"{whose}{last.text}{told}."
    if snapshot.index == 0:
        return "The guest is about to run its first instruction."
    changed = [name for name in registers.changes(snapshot) if name != "pc"]
    if not changed:
        return "No register changed but PC."
    named = ", ".join(changed[:6]) + (" and more" if len(changed) > 6 else "")
    return f"{named} changed."


def text(snapshot: Snapshot) -> str:
    """Return the whole line."""
    number = f" {snapshot.vcpu}" if len(snapshot.pes) > 1 else ""
    facts = [
        f"instruction {position(snapshot)}",
        words.duration(snapshot.time),
        f"PE{number} {'masked' if snapshot.masked else 'unmasked'}",
        pstate.mode_name(snapshot.registers.pstate),
    ]
    facts += [f"event {words.event(h.event)} pending" for h in snapshot.handlers if h.pending]
    if snapshot.forked:
        facts.append("changed by hand")
    said = sentence(snapshot, log_of(snapshot).last(snapshot.now))
    return f"{words.printable(snapshot.image)} ({snapshot.profile}), {', '.join(facts)}. {said}"


def html(snapshot: Snapshot) -> str:
    """Return the whole line as a paragraph."""
    return markup.paragraph(text(snapshot))
