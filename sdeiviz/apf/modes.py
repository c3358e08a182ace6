"""Modes: the named ways of treating a page that is not there. A mode is a set of knobs."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from sdeiviz.errors import Error


class ModeError(Error):
    """A mode that does not exist."""


def _knob(default: bool, source: str, meaning: str) -> Any:
    return field(default=default, metadata={"source": source, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Mode:
    """How a missing page is treated where implementations differ.

    The defaults are those of ``arm64-v4``: the series, with what loses a notification mended.
    """

    name: str

    # -- what is offered

    asynchronous: bool = _knob(
        True, "v4 patch 7", "a fault may be left to a worker; off: the vCPU waits for every page"
    )
    offered: bool = _knob(
        True,
        "v4 patches 9 and 12",
        "the guest finds the hypercall and the VMM its ioctl; off: NOT_SUPPORTED and EPERM",
    )
    not_present_by_event: bool = _knob(
        True,
        "v4 patch 7; interrupt-only variant",
        "page-not-present comes as an SDEI event; off: as the interrupt that page-ready uses, with"
        " the other variant's hypercall",
    )
    separate_mailboxes: bool = _knob(
        False,
        "x86 msr.rst",
        "the reason word is page-not-present's and the token word page-ready's, so that one need"
        " not wait for the other; x86 has the token of page-not-present in CR2, here it is in the"
        " pad at 0x08",
    )
    send_always: bool = _knob(
        True,
        "v4 patch 9; dropped by the author in review",
        "control flag SEND_ALWAYS lets faults at EL1 be notified; off: it has no effect",
    )

    # -- a fault

    needs_interrupts: bool = _knob(
        False, "x86 kvm_can_do_async_pf", "a fault with PSTATE.I set waits; off: that is not asked"
    )
    undeliverable_halts: bool = _knob(
        False,
        "x86 APF halt",
        "a fault of which the guest cannot be told halts the vCPU, which an interrupt may use for"
        " something else; off: the vCPU waits",
    )
    duplicate_halts: bool = _knob(
        False,
        "x86, interrupt-only variant; v4 patch 7",
        "a fault on a page in flight halts the vCPU; off: it faults again and again until the page"
        " arrives",
    )
    skips_token_zero: bool = _knob(
        True,
        "x86, review of v4 patch 7",
        "a token is never 0, which means none; off: the first on vCPU 0 is, and one in 65536",
    )
    failure_clears_mailbox: bool = _knob(
        True,
        "v4 patch 7",
        "where the event cannot be injected the mailbox is cleared and the fault waits; off: the"
        " mailbox stays busy, and all faults wait, until that page has arrived",
    )

    # -- a page that arrives

    cancels_not_present: bool = _knob(
        True,
        "v4 patch 8",
        "a page that arrives before the guest was told of its absence withdraws the event; off:"
        " both are told",
    )
    ready_only_if_notified: bool = _knob(
        False,
        "x86 since 5.8, interrupt-only variant",
        "the guest hears of a page's arrival only if it heard of its absence; off: of every one",
    )

    # -- disable and migration

    disable_withdraws: bool = _knob(
        True,
        "v4 patch 9, interrupt-only variant",
        "disabling withdraws an event that is still pending and lowers the interrupt; off: both"
        " stay, and a task may go to sleep over a page whose arrival nobody will tell it",
    )
    restore_wakes_all: bool = _knob(
        True,
        "v4 patch 10, interrupt-only variant",
        "setting the control word from the VMM queues a wake-all; off: tasks asleep on the source"
        " stay so, as in the interrupt-only code",
    )


KNOBS: Final = {f.name: f for f in dataclasses.fields(Mode) if f.name != "name"}
"""Every knob; ``metadata`` holds its ``source`` and ``meaning``."""

_ARM64_V4: Final = Mode("arm64-v4")

_ARM64_V4_LITERAL: Final = Mode(
    "arm64-v4-literal",
    skips_token_zero=False,
    failure_clears_mailbox=False,
    disable_withdraws=False,
)

_IRQ_ONLY: Final = Mode(
    "irq-only",
    not_present_by_event=False,
    send_always=False,
    duplicate_halts=True,
    cancels_not_present=False,
    ready_only_if_notified=True,
)

_X86_RULES: Final = Mode(
    "x86-rules",
    needs_interrupts=True,
    undeliverable_halts=True,
    duplicate_halts=True,
    cancels_not_present=False,
    ready_only_if_notified=True,
)

_HALT: Final = dataclasses.replace(_X86_RULES, name="halt", offered=False)

_SYNC: Final = Mode("sync", asynchronous=False, offered=False)

MODES: Final = {
    m.name: m for m in (_ARM64_V4, _ARM64_V4_LITERAL, _IRQ_ONLY, _X86_RULES, _HALT, _SYNC)
}
"""What there is to choose from.

====================  ===============================================================
``arm64-v4``          the series, with what loses a notification mended
``arm64-v4-literal``  the series to the letter
``irq-only``          the later variant without SDEI
``x86-rules``         x86's rules of delivery and halting on the interface of arm64-v4
``halt``              the guest knows nothing; the vCPU halts, and interrupts go on
``sync``              the guest knows nothing; the vCPU waits
====================  ===============================================================
"""


def mode(name: str) -> Mode:
    """Return a mode by name.

    Raises
    ------
    ModeError
        There is none of that name.
    """
    if name not in MODES:
        raise ModeError(f"no async page fault mode {name!r}: choose from {', '.join(MODES)}")
    return MODES[name]
