"""A player for the pictures of a migration; they are played in the browser, without the kernel."""

from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets
from IPython.display import publish_display_data

from sdeiviz.migration.record import MigrationRecord
from sdeiviz.views import palette, words
from sdeiviz.views.migration import moments, over, player
from sdeiviz.views.pagemap import LEFT, WIDTH, columns_of

SECONDS: Final = 10
"""How long all of it takes at speed 1."""
SPEEDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)

_STATIC: Final = Path(__file__).parent / "static"


class Player(anywidget.AnyWidget):
    """Shows the pages of a migration over time, its vCPUs and its link: to be played or stepped.

    Parameters
    ----------
    record
        What happened in it.
    frames
        How many pictures to take, besides one where each phase begins.

    Raises
    ------
    Error
        There cannot be so many pictures.

    Examples
    --------
    >>> from sdeiviz.migration.record import Recorder
    >>> phases = {"start": 0, "stop": None, "run": None, "end": None}
    >>> player = Player(Recorder(8, 1, 0).record(1000, phases, {}), frames=5)
    >>> player.seek(600)
    >>> player.frame
    2
    >>> print(player)
    500 ns, pre-copy: 0 of 8 pages arrived; PE 0 running; link 0 bit/s
    """

    _esm = _STATIC / "player.js"
    _css = palette.style("sdeiviz-player", (_STATIC / "player.css").read_text("utf-8"))

    film = traitlets.Dict().tag(sync=True)
    """What is shown; sent once."""
    frame = traitlets.Int().tag(sync=True)
    """Number of the picture that is shown; while it is played, the browser is ahead of it."""

    def __init__(self, record: MigrationRecord, frames: int = player.FRAMES) -> None:
        self._record = record
        self._frames = player.frames(record, frames)
        super().__init__(film=self._film())

    @property
    def times(self) -> tuple[int, ...]:
        """The moments of all pictures, in nanoseconds."""
        return tuple(frame.time for frame in self._frames)

    def seek(self, time: int) -> None:
        """Show the last picture that is not after a time, the first where all are."""
        self.frame = max(0, sum(at <= time for at in self.times) - 1)

    def _film(self) -> dict[str, Any]:
        record, first = self._record, self._frames[0]
        columns = columns_of(len(first.cells))
        length = over(record) - record.known_since()
        return {
            "title": player.TITLE,
            "drawing": player.svg(record, first),
            "map": [LEFT, player.TOP, columns, WIDTH // columns],
            "changes": player.cell_changes(self._frames),
            "asked": [frame.asked for frame in self._frames],
            "said": [frame.said for frame in self._frames],
            "whole": [frame.whole() for frame in self._frames],
            "amounts": [
                [player.amount(number, record.pages) for number in frame.amounts]
                for frame in self._frames
            ],
            "doing": [frame.doing for frame in self._frames],
            "link": [(frame.link, frame.share) for frame in self._frames],
            "places": [round(player.place(record, time), 1) for time in self.times],
            "speeds": [
                (
                    f"1 s shows {words.duration(round(length * speed) // SECONDS)}",
                    SECONDS / speed,
                )
                for speed in SPEEDS
            ],
            "text": player.text(record),
        }

    @traitlets.validate("frame")
    def _within(self, proposal: dict[str, Any]) -> int:
        frame: int = proposal["value"]
        return min(max(0, frame), len(self._frames) - 1)

    def _ipython_display_(self) -> None:
        """Show the player, and under it what is left to see when its kernel is gone: a film.

        The player's style hides the film.
        """
        view = self._repr_mimebundle_()
        data = view[0] if isinstance(view, tuple) else view
        publish_display_data(  # type: ignore[no-untyped-call]
            {**(data or {}), "text/plain": str(self)}
        )
        film = f'<div class="sdeiviz-film">{moments.film(self._record)}</div>'
        publish_display_data(  # type: ignore[no-untyped-call]
            {"text/html": film, "text/plain": ""}
        )

    def __str__(self) -> str:
        return self._frames[self.frame].whole()

    def __repr__(self) -> str:
        return f"<Player of {len(self._frames)} pictures at {self.frame}>"
