"""Live migration, pre-copy and post-copy: what is said, by whom, and when. No sockets, no clock.

Read in this order: `wire` (frames and messages), `handshake` (who is there), `source` and
`destination` (both sides as machines of states), `bitmap` (sets of pages), `encoding` (a machine's
state as bytes), `checksum` (one digest of all RAM), `link` (both sides over a connection in virtual
time), `metrics` (what it did to the guest).

The way of a guest, with what goes over the wire::

    source                              destination
    start     OpenReturnPath, Ping, Advise ->   every page is absent
              Page, Page, ... ->                passes of pre-copy, as many as are wanted
    switch    Discard, ... ->                   the guest stands: pages it has written since
              Packaged{Listen, State, Run} ->   the guest runs
              <- RequestPages                   it touches a page that is absent
              Page, Page, ... ->                asked for first, then all others
              Checksum, End ->
              <- Shut                           everything is here, and as it was

For pre-copy alone: stop the guest, pull until nothing is left, and switch then.
"""

from sdeiviz.migration.bitmap import Bitmap, BitmapError
from sdeiviz.migration.destination import Destination, DestinationState, Host
from sdeiviz.migration.encoding import (
    EncodingError,
    StateError,
    decode_state,
    encode_state,
    restore,
)
from sdeiviz.migration.handshake import Handshake
from sdeiviz.migration.link import Events, Link, LinkSpeed
from sdeiviz.migration.metrics import Faults, Timeline, report
from sdeiviz.migration.source import Source, SourceState
from sdeiviz.migration.wire import Decoder, Encoder, ProtocolError, Purpose, Role, WireError

__all__ = [
    "Bitmap",
    "BitmapError",
    "Decoder",
    "Destination",
    "DestinationState",
    "Encoder",
    "EncodingError",
    "Events",
    "Faults",
    "Handshake",
    "Host",
    "Link",
    "LinkSpeed",
    "ProtocolError",
    "Purpose",
    "Role",
    "Source",
    "SourceState",
    "StateError",
    "Timeline",
    "WireError",
    "decode_state",
    "encode_state",
    "report",
    "restore",
]
