"""The debugger as an object in a notebook: a session, and a surface that follows it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

import ipywidgets
from IPython.display import publish_display_data

from sdeiviz.debugger import Session, Snapshot
from sdeiviz.debugger.snapshot import Registers
from sdeiviz.errors import Error
from sdeiviz.machine import Stop, StopReason
from sdeiviz.sdei import Profile
from sdeiviz.views import moment, words
from sdeiviz.widgets import frame
from sdeiviz.widgets.surface import DebuggerWidget

Surface = Literal["widget", "text"]

BUSY: Final = "The guest is running: press Stop first, or call stop()."
_SLICE_SECONDS: Final = 0.03
_PAUSE_SECONDS: Final = 0.002
_PROGRESS_SECONDS: Final = 0.25
_REACHED: Final = Stop(StopReason.MOMENT, "", 0)


def debug(
    image: str | Path | Session,
    *,
    profile: str | Profile = "kvm-v7",
    surface: Surface = "widget",
    **options: Any,
) -> "Debugger":
    """Debug a guest in a notebook.

    Parameters
    ----------
    image
        Name of a bundled guest, path of an image, or a session to look at.
    profile
        Name of an SDEI profile, or a `Profile`.
    surface
        "widget" for JupyterLab; "text" works anywhere.
    options
        Whatever else `Session` takes.

    Raises
    ------
    Error
        Bad image, profile, surface or option.

    Examples
    --------
    >>> debugger = debug("registration", surface="text")
    >>> debugger.next_sdei()
    >>> print(debugger.text().splitlines()[0])
    registration (kvm-v7), instruction 4 of 4, 4 ns, PE masked, EL1h. \
SDEI_VERSION() = 1.1, vendor 0x564bcaa9.
    """
    if surface not in ("widget", "text"):
        raise Error(f"no surface {surface!r}: choose widget or text")
    session = image if isinstance(image, Session) else Session(image, profile=profile, **options)
    return Debugger(session, surface)


class Debugger:
    """A session with a surface: each command moves the session and shows where it came to.

    Parameters
    ----------
    session
        What to debug.
    surface
        "widget" or "text".
    """

    def __init__(self, session: Session, surface: Surface = "widget") -> None:
        self.session = session
        """The session itself; after using it directly, call `refresh`."""
        self.widget: DebuggerWidget | None = None
        """The surface, None for text."""
        self.frame: ipywidgets.VBox | None = None
        """The surface in a box, to be put beside other widgets."""
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted = False
        self._blocking = False
        if surface == "widget":
            self._loop = _running_loop()
            self.widget = DebuggerWidget(
                session.snapshot(), session.listing(), session.moments(), self._receive
            )
            self.frame = ipywidgets.VBox([self.widget])

    # -- the commands of Session -------------------------------------------------------------------

    @property
    def index(self) -> int:
        """Instructions executed up to the moment shown."""
        return self.session.index

    @property
    def total(self) -> int:
        """The furthest index recorded."""
        return self.session.total

    @property
    def breakpoints(self) -> tuple[int, ...]:
        """Addresses at which `run` and `run_back` stop."""
        return self.session.breakpoints

    @property
    def vcpu(self) -> int:
        """Number of the vCPU shown."""
        return self.session.vcpu

    def select(self, vcpu: int | None) -> None:
        """Look at one vCPU from now on; None: always at the one whose turn it is."""
        with self._moving():
            self.session.select(vcpu)

    def step(self, count: int = 1, *, vcpu: int | None = None) -> None:
        """Execute some instructions, of whoever's turn it is or of one vCPU."""
        plain = count == 1 and vcpu is None
        with self._moving(frame.STEP_BYTES if plain else frame.JUMP_BYTES), self._stoppable():
            self.session.step(count, vcpu=vcpu)

    def step_back(self, count: int = 1) -> None:
        """Go back by some instructions, to the start at most."""
        with self._moving(frame.STEP_BYTES if count == 1 else frame.JUMP_BYTES):
            self.session.step_back(count)

    def goto(self, index: int) -> None:
        """Go to a recorded index."""
        with self._moving():
            self.session.goto(index)

    def start(self) -> None:
        """Go to the first instruction."""
        with self._moving():
            self.session.start()

    def next_sdei(self) -> None:
        """Go to the next moment of SDEI."""
        with self._moving(), self._stoppable():
            self.session.next_sdei()

    def previous_sdei(self) -> None:
        """Go back to the last moment of SDEI before this one."""
        with self._moving():
            self.session.previous_sdei()

    def run(self, instructions: int | None = None) -> Stop:
        """Go on until a breakpoint, the end of the machine, or so many instructions.

        This blocks the notebook's kernel; the surface's Continue does not.
        """
        with self._moving(), self._stoppable():
            return self.session.run(instructions)

    def run_back(self) -> bool:
        """Go back to the last breakpoint; to the start, and False, if there was none."""
        with self._moving():
            return self.session.run_back()

    def stop(self) -> None:
        """End a run."""
        self._stop_wanted = True
        if self._blocking:
            self.session.request_stop()

    def toggle_breakpoint(self, address: int | str) -> bool:
        """Set or remove a breakpoint at an address or a symbol; returns whether it is set now."""
        with self._moving():
            return self.session.toggle_breakpoint(address)

    def inject_event(self, event: int, *, immediate: bool = False, vcpu: int | None = None) -> int:
        """Raise an event from the host, by default on the vCPU shown; 0 or a negative errno."""
        with self._moving(acts=True):
            return self.session.inject_event(event, immediate=immediate, vcpu=vcpu)

    def cancel_event(self, event: int, *, vcpu: int | None = None) -> int:
        """Withdraw a pending event, by default of the vCPU shown; 0 or a negative errno."""
        with self._moving(acts=True):
            return self.session.cancel_event(event, vcpu=vcpu)

    def write_register(self, name: str, value: int, *, vcpu: int | None = None) -> None:
        """Set a register, by default of the vCPU shown."""
        with self._moving(acts=True):
            self.session.write_register(name, value, vcpu=vcpu)

    def write_memory(self, ipa: int, data: bytes) -> None:
        """Write RAM."""
        with self._moving(acts=True):
            self.session.write_memory(ipa, data)

    def send_console(self, text: str) -> None:
        """Let the guest read characters from its UART."""
        with self._moving(acts=True):
            self.session.send_console(text)

    def snapshot(self) -> Snapshot:
        """Return the moment shown, as plain values."""
        return self.session.snapshot()

    # -- showing -----------------------------------------------------------------------------------

    def text(self) -> str:
        """Return everything about the moment as text."""
        return moment.text(self.session.snapshot())

    def refresh(self) -> None:
        """Show where the session is, after it was used directly."""
        self._show(frame.JUMP_BYTES, forked=True)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Describe the moment for whatever shows it: the widget, and text for those that cannot."""
        snapshot = self.session.snapshot()
        bundle: dict[str, Any] = {
            "text/plain": moment.text(snapshot),
            "text/html": moment.html(snapshot),
        }
        if self.frame is not None:
            view = self.frame._repr_mimebundle_(**options)
            # A display formatter may want (data, metadata); the data alone is what we add to.
            bundle = (view[0] if isinstance(view, tuple) else view) | bundle
        return bundle

    def _ipython_display_(self) -> None:
        """Show the surface, and under it what is left to read when its kernel is gone.

        JupyterLab shows the widget of a bundle or an error, never the bundle's text. The surface
        hides its twin.
        """
        bundle = self._repr_mimebundle_()
        publish_display_data(bundle)  # type: ignore[no-untyped-call]
        if self.widget is not None:
            summary = escape(bundle["text/plain"].split("\n", 1)[0])
            twin = (
                f'<details class="sdeiviz-moment" data-of="{self.widget.key}">'
                f"<summary>{summary}</summary>{bundle['text/html']}</details>"
            )
            publish_display_data(  # type: ignore[no-untyped-call]
                {"text/html": twin, "text/plain": ""}
            )

    def __repr__(self) -> str:
        session = self.session
        name = words.printable(session.image.name)
        return f"<Debugger of {name} at {session.index} of {session.total}>"

    @contextmanager
    def _moving(
        self, budget: int = frame.JUMP_BYTES, *, acts: bool = False, **others: Any
    ) -> Iterator[None]:
        """Let a command move the session, then show where it led, also when it failed halfway."""
        if self._task is not None:
            raise Error(BUSY)
        past = acts and self.session.index < self.session.total
        try:
            yield
        finally:
            self._show(budget, forked=past, **others)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Let `stop`, from another thread, end a session's run; at other times it must not."""
        self._blocking = True
        try:
            yield
        finally:
            self._blocking = False

    def _show(
        self,
        budget: int,
        *,
        forked: bool = False,
        before: Sequence[Registers] = (),
        **others: Any,
    ) -> None:
        if self.widget is not None:
            session = self.session
            snapshot = session.snapshot()
            self.widget.show(
                replace(snapshot, previous=before[snapshot.vcpu]) if before else snapshot,
                session.moments(),
                budget=budget,
                forked=forked,
                **({"error": ""} | others),
            )

    # -- the surface's wishes ----------------------------------------------------------------------

    def _receive(self, message: dict[str, Any]) -> None:
        """Take a message from the browser.

        JupyterLab may hand it over in a thread of its own; the session is the main thread's.
        """
        if message.get("do") == "stop":
            self.stop()
        if self._loop is None or threading.current_thread() is threading.main_thread():
            self._obey(message)
        else:
            self._loop.call_soon_threadsafe(self._obey, message)

    def _obey(self, message: dict[str, Any]) -> None:
        """Do what a message asks for and answer it; a mistake becomes a line on the surface."""
        widget = self.widget
        assert widget is not None
        number, name = message.get("id"), str(message.get("do"))
        done: dict[str, Any] = {"done": number} if isinstance(number, int) else {}
        try:
            if name in _MOVES:
                budget, acts, move = _MOVES[name]
                with self._moving(budget, acts=acts, **done):
                    move(self.session, message)
            elif name == "continue":
                self._run(self.session.run_slice, done)
            elif name == "next":
                self._run(partial(self._slice, self.session.next_sdei), done)
            elif name == "over":
                step = partial(self.session.step_vcpu, self.session.vcpu)
                self._run(partial(self._slice, step), done)
            elif name in _WINDOWS:
                _WINDOWS[name](widget, message)
                widget.answer(**done)
            elif name == "stop":
                widget.answer(error="", **done)
            else:
                raise Error(f"The debugger has no command {words.printable(name, 40)!r}.")
        except Error as error:
            widget.answer(error=words.printable(str(error), 300), **done)
        except (KeyError, TypeError, ValueError):
            widget.answer(error=f"The debugger cannot read the command {name!r}.", **done)

    # -- running in slices -------------------------------------------------------------------------

    def _run(self, advance: Callable[[], Stop | None], done: dict[str, Any]) -> None:
        """Advance until something stops the guest: the first slice at once, the others in between.

        Cells run and messages come in between two slices, so that Stop is heard.
        """
        if self._task is not None:
            raise Error(BUSY)
        before = self.session.registers()
        self._stop_wanted = False
        try:
            stop = advance()
            if stop is None and self._loop is not None:
                self._task = self._loop.create_task(self._go_on(advance, before))
                self._answer(running=self._progress(), error="", **done)
                return
            while stop is None:
                stop = advance()
        except KeyboardInterrupt:
            pass
        self._show(frame.JUMP_BYTES, before=before, running="", **done)

    async def _go_on(self, advance: Callable[[], Stop | None], before: Sequence[Registers]) -> None:
        error = ""
        shown = perf_counter()
        try:
            with self._hearing_interrupts():
                # The pause lets the kernel look at its sockets; without one it would not.
                while not self._stop_wanted and advance() is None:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    if perf_counter() - shown > _PROGRESS_SECONDS:
                        shown = perf_counter()
                        self._answer(running=self._progress())
        except KeyboardInterrupt:
            pass
        except Error as mistake:
            error = words.printable(str(mistake), 300)
        finally:
            self._task = None
            self._show(frame.JUMP_BYTES, before=before, running="", error=error)

    def _slice(self, move: Callable[[], Stop | None]) -> Stop | None:
        """Let the session look for something, for a slice of host time."""
        with _Alarm(_SLICE_SECONDS, self.session.request_stop):
            stop = move()
        if stop is None:
            return _REACHED
        return None if stop.reason is StopReason.INTERRUPTED else stop

    def _answer(self, **traits: Any) -> None:
        if self.widget is not None:
            self.widget.answer(**traits)

    def _progress(self) -> str:
        return f"running: {words.count(self.session.index, 'instruction')}"

    @contextmanager
    def _hearing_interrupts(self) -> Iterator[None]:
        """Let the kernel's interrupt end the run; a kernel between two cells ignores it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_sigint(number: int, frame: object) -> None:
            if self._task is not None:
                self.stop()

        previous = signal.signal(signal.SIGINT, on_sigint)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


class _Alarm:
    """Calls a function after some time, and never once the block is left."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._function: Callable[[], None] | None = function
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def _ring(self) -> None:
        with self._lock:
            if self._function is not None:
                self._function()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *raised: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._function = None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_Message = dict[str, Any]

_MOVES: Final[dict[str, tuple[int, bool, Callable[[Session, _Message], object]]]] = {
    "step": (frame.STEP_BYTES, False, lambda session, m: session.step()),
    "back": (frame.STEP_BYTES, False, lambda session, m: session.step_back()),
    "start": (frame.JUMP_BYTES, False, lambda session, m: session.start()),
    "previous": (frame.JUMP_BYTES, False, lambda session, m: session.previous_sdei()),
    "goto": (frame.JUMP_BYTES, False, lambda session, m: session.goto(_clip(m, session.total))),
    "breakpoint": (
        frame.JUMP_BYTES,
        False,
        lambda session, m: session.toggle_breakpoint(int(m["address"], 16)),
    ),
    "select": (frame.JUMP_BYTES, False, lambda session, m: session.select(_pe(m))),
    "inject": (frame.JUMP_BYTES, True, lambda session, m: session.inject_event(int(m["event"]))),
}
"""Messages that move the session: bytes that the answer may take, whether it is an input, how."""

_WINDOWS: Final[dict[str, Callable[[DebuggerWidget, _Message], None]]] = {
    "log": lambda widget, m: widget.send_log(int(m["first"])),
    "console": lambda widget, m: widget.send_console(),
    "code": lambda widget, m: widget.send_code(),
    "table": lambda widget, m: widget.send_table(str(m["name"])),
    "drawing": lambda widget, m: widget.send_drawing(str(m["name"])),
}
"""Messages that only ask for more of what is shown; they may come while the guest runs."""


def _pe(message: _Message) -> int | None:
    """Return the PE that the reader chose; None: whoever's turn it is."""
    return None if message["pe"] is None else int(message["pe"])


def _clip(message: _Message, total: int) -> int:
    return min(max(int(message["index"]), 0), total)
