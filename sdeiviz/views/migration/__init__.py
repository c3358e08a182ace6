"""What happened in a migration, from its record (`sdeiviz.migration.record`).

Read in this order: `summary` (numbers), `pages` (every page over time), `moments` (all pages at one
moment, and as a film), `traffic` (bytes on the wire), `vcpus` (who was blocked when), `latency`
(how long pages took), `wire` (both sides and what goes between them).

Each has its text, and the same as HTML or a drawing. Several runs stand beside each other, or above
each other on one axis of time: `Runs` names them.
"""

from collections.abc import Sequence
from typing import Final

from sdeiviz.migration.record import MigrationRecord
from sdeiviz.views import words

Run = tuple[str, MigrationRecord]
"""What a migration is called, "" where it is the only one, and what happened in it."""
Runs = Sequence[Run]

_LONGEST: Final = 40


def over(record: MigrationRecord) -> int:
    """Return when a migration had ended, or until when it is known."""
    end = record.phases["end"]
    return record.end if end is None else end


def named(name: str, record: MigrationRecord) -> str:
    """Return what a run is called, whose time its times are if not the guest's, and who saw it."""
    seen = f", seen from the {record.side}" if record.side else ""
    clock = "" if record.clock == "virtual" else f"({record.clock} time{seen})"
    return f"{words.printable(name, _LONGEST)} {clock}".strip()
