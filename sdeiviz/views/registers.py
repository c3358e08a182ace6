"""Registers, with what changed since the moment shown before."""

from typing import Final

from sdeiviz.abi import esr, pstate
from sdeiviz.debugger.snapshot import Registers, Snapshot
from sdeiviz.views import markup, words

CHANGED: Final = "*"
"""Stands beside a value that changed: a mark that needs no colour."""

GROUPS: Final = (
    ("now", ("pc", "sp", "pstate")),
    ("general", tuple(f"x{n}" for n in range(31))),
    ("EL1", ("elr_el1", "spsr_el1", "esr_el1", "far_el1", "vbar_el1", "sp_el0", "sp_el1")),
)
"""Registers in the order in which they are shown."""


def changes(snapshot: Snapshot) -> dict[str, int]:
    """Return the previous value of each register that changed since the moment shown before."""
    if snapshot.previous is None:
        return {}
    before, now = snapshot.previous.items(), snapshot.registers.items()
    return {name: old for (name, old), (_, new) in zip(before, now, strict=True) if old != new}


def meaning(name: str, value: int, symbol: str = "") -> str:
    """Return what a register's value says, "" where it is just a number.

    >>> meaning("pstate", 0x3C5)
    'nzcv DAIF EL1h'
    """
    if name == "pc":
        return words.printable(symbol, 40)
    if name in ("pstate", "spsr_el1"):
        return pstate.describe(value)
    return esr.describe(value) if name == "esr_el1" and value else ""


def values(registers: Registers) -> dict[str, int]:
    """Return all registers by name."""
    return dict(registers.items())


def text(snapshot: Snapshot) -> str:
    """Return all registers, two in a row; `*` marks what changed."""
    now, changed = values(snapshot.registers), changes(snapshot)

    def cell(name: str) -> str:
        return f"{name:>8} {words.digits(now[name])}{CHANGED if name in changed else ' '}"

    lines = []
    for group, names in GROUPS:
        if group == "general":
            half = (len(names) + 1) // 2
            lines += ["  ".join(map(cell, names[row::half])).rstrip() for row in range(half)]
        else:
            lines += [
                f"{cell(name)} {meaning(name, now[name], snapshot.symbol)}".rstrip()
                for name in names
            ]
    return "\n".join(lines)


def html(snapshot: Snapshot) -> str:
    """Return the same, preformatted."""
    return markup.preformatted("Registers", text(snapshot))
