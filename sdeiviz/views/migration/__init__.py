"""What happened in a migration, from its record (`sdeiviz.migration.record`).

Read in this order: `summary` (numbers), `pages` (every page over time), `moments` (all pages at one
moment, and as a film), `traffic` (bytes on the wire), `vcpus` (who was blocked when), `latency`
(how long pages took), `wire` (both sides and what goes between them).

Each has its text, and the same as HTML or a drawing. Several runs stand beside each other, or above
each other on one axis of time: `Runs` names them.
"""

from collections.abc import Sequence

from sdeiviz.migration.record import MigrationRecord

Run = tuple[str, MigrationRecord]
"""What a migration is called, "" where it is the only one, and what happened in it."""
Runs = Sequence[Run]


def over(record: MigrationRecord) -> int:
    """Return when a migration had ended, or until when it is known."""
    end = record.phases["end"]
    return record.end if end is None else end
