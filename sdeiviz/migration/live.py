"""Migration between two processes: `serve` where the guest comes to, `migrate` where it leaves.

Each side has two threads. The loop's thread does the network (`sdeiviz.migration.transport`). The
guest's thread alone touches the machine and the side's states: it lets the guest run in slices,
and looks at what has come between two of them. A slice ends at once when something comes.

The destination's side is `sdeiviz.migration.arrival`, the source's `sdeiviz.migration.departure`,
what they have in common `sdeiviz.migration.side`.
"""

from sdeiviz.migration.arrival import Recorder, Serving, serve
from sdeiviz.migration.departure import migrate
from sdeiviz.migration.side import MigrationError, Progress
from sdeiviz.migration.transport import parse_address

__all__ = [
    "MigrationError",
    "Progress",
    "Recorder",
    "Serving",
    "migrate",
    "parse_address",
    "serve",
]
