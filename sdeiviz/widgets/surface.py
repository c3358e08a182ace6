"""The widget: traits to the browser, messages from it. It knows nothing of sessions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import anywidget
import traitlets

from sdeiviz.debugger import Snapshot
from sdeiviz.debugger.snapshot import Line
from sdeiviz.sdei.table import State
from sdeiviz.views import diagram, lanes, words
from sdeiviz.widgets import frame

_STATIC: Final = Path(__file__).parent / "static"
_CONSOLE: Final = 8192

Command = Callable[[dict[str, Any]], None]
"""What is called with each message: ``{"do": "step", "id": 7, ...}``."""


class DebuggerWidget(anywidget.AnyWidget):
    """Shows a moment of a guest and reports what the reader asks for.

    The whole moment is in the traits, one for each pane, so that a second view or a reloaded page
    is complete. Commands come as custom messages.

    Parameters
    ----------
    first
        The moment to begin with.
    program
        The whole listing, None for a large program.
    moments
        All SDEI moments recorded, as (index, kind).
    """

    _esm = _STATIC / "debugger.js"
    _css = _STATIC / "debugger.css"

    guest = traitlets.Dict().tag(sync=True)
    """What never changes; sent once."""
    moment = traitlets.Dict().tag(sync=True)
    registers = traitlets.Dict().tag(sync=True)
    context = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    events: traitlets.List[Any] = traitlets.List().tag(sync=True)
    pes = traitlets.Unicode().tag(sync=True)
    """What each PE does, "" where there is only one."""
    table = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    """The table of the machine that is open, None while the sequence is."""
    drawing = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    """The drawing of the machine that was asked for last."""
    log = traitlets.Dict().tag(sync=True)
    markers = traitlets.Unicode().tag(sync=True)
    console = traitlets.Dict().tag(sync=True)
    code = traitlets.Dict().tag(sync=True)
    breakpoints = traitlets.Unicode().tag(sync=True)
    running = traitlets.Unicode().tag(sync=True)
    """How far a run has come, "" while nothing runs."""
    error = traitlets.Unicode().tag(sync=True)
    """What the last command was refused for, "" where it was not."""
    done = traitlets.Int().tag(sync=True)
    """Number of the last message that was answered."""

    def __init__(
        self,
        first: Snapshot,
        program: Sequence[Line] | None,
        moments: Sequence[tuple[int, str]],
        on_command: Command,
    ) -> None:
        self.key = uuid4().hex
        """Names the surface in the page."""
        self._packer = frame.Packer(program)
        self._shown = first
        self._on_command = on_command
        frames = self._packer.pack(first, moments, frame.JUMP_BYTES, {})
        super().__init__(guest=self._guest(first), **frames)
        self.on_msg(self._receive)

    def _guest(self, first: Snapshot) -> dict[str, Any]:
        return {
            "id": self.key,
            "image": words.printable(first.image),
            "profile": first.profile,
            "registers": list(frame.NAMES),
            "signs": frame.signs(),
            "states": [[int(s), diagram.node_id(s), s.title] for s in State],
            "rules": diagram.rules(first.profile),
            "diagram": diagram.plain_svg(),
            "machine": None if frame.is_plain(first) else self._machine(first),
            "program": self._packer.program,
        }

    def _machine(self, first: Snapshot) -> dict[str, Any]:
        """Return what never changes of more than one PE and its own events."""
        tables, drawings = frame.offered(first)
        kinds = [
            (h.event, ["shared"] * h.shared + ["critical"] * h.critical) for h in first.handlers
        ]
        kinds += [(slot.event, ["shared"] * slot.shared + ["bound"]) for slot in first.slots]
        return {
            "pes": len(first.pes),
            "kinds": {str(event): ", ".join(names) for event, names in kinds},
            "strokes": {letter: kind for kind, letter in frame.STROKES.items()},
            "look": lanes.look(),
            "tables": [
                [name, view.TITLE, list(view.COLUMNS), getattr(view, "NONE", "")]
                for name, view in frame.TABLES.items()
                if name in tables
            ],
            "drawings": [[name, frame.DRAWINGS[name].TITLE] for name in drawings],
        }

    def show(
        self,
        snapshot: Snapshot,
        moments: Sequence[tuple[int, str]],
        *,
        budget: int = frame.JUMP_BYTES,
        forked: bool = False,
        **others: Any,
    ) -> None:
        """Send a moment as one message.

        Parameters
        ----------
        budget
            Bytes that it may take.
        forked
            The future was changed since the last moment shown.
        others
            More traits to go with it.
        """
        if forked:
            self._packer.fork()
        self._shown = snapshot
        sent = {name: getattr(self, name) for name in self.traits(sync=True)}
        self._put(self._packer.pack(snapshot, moments, budget, sent) | others)

    def answer(self, **others: Any) -> None:
        """Send some traits as one message, the moment unchanged."""
        self._put(others)

    def _put(self, traits: dict[str, Any]) -> None:
        with self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)

    def send_log(self, first: int) -> None:
        """Send rows of the log that the reader scrolled to."""
        now = self._packer.log.count(self._shown.now)
        self.log = dict(self._packer.log_rows(now, first))

    def send_console(self) -> None:
        """Send a long end of the console."""
        self.console = dict(frame.console_frame(self._shown.console, _CONSOLE))

    def send_table(self, name: str) -> None:
        """Send the whole of a table, and keep it up to date from now on."""
        self._packer.table = name
        self.answer(table=frame.table_frame(self._shown, name))

    def send_drawing(self, name: str) -> None:
        """Send a drawing of the moment shown."""
        self.answer(drawing=self._packer.drawing(self._shown, name))

    def send_code(self) -> None:
        """Send all lines around PC."""
        self.code = dict(self._packer.code_again(self._shown))

    def _receive(self, widget: object, content: object, buffers: object) -> None:
        if isinstance(content, dict):
            self._on_command(content)
