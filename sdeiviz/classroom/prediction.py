"""A question that is asked before the answer is shown, and that knows why people get it wrong.

Each wrong choice is a misconception with a name, a hint of its own, and a clue: the trace event
that does not fit with it. Where that event lies is never written down. It is looked up in a
recording, made by the same experiment that the reader can make.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final, Protocol

from sdeiviz.debugger import Session, Snapshot
from sdeiviz.errors import Error
from sdeiviz.sdei import Profile
from sdeiviz.trace import TraceEvent
from sdeiviz.views import summary

_LETTERS: Final = "ABCDEFGH"


class Debugger(Protocol):
    """What an experiment may do: a `Session` can, and so can the debugger of a notebook."""

    @property
    def index(self) -> int:
        """Instructions executed up to the moment shown."""

    def start(self) -> None:
        """Go to the first instruction."""

    def goto(self, index: int) -> None:
        """Go to a recorded index."""

    def next_sdei(self) -> object:
        """Go to the next moment of SDEI."""

    def run(self, instructions: int | None = None) -> object:
        """Go on."""

    def inject_event(self, event: int, *, immediate: bool = False) -> int:
        """Raise an event from the host."""

    def snapshot(self) -> Snapshot:
        """Return the moment shown."""


@dataclass(frozen=True, slots=True)
class Clue:
    """A trace event, described: its type and some of its fields.

    Parameters
    ----------
    kind
        Type of the event.
    fields
        Values that fields of it must have.
    nth
        Which of those that fit, from 0.

    Examples
    --------
    >>> from sdeiviz.trace import MaskChanged
    >>> Clue(MaskChanged, {"masked": False}).find([MaskChanged(413, 413, 0, False)]).index
    413
    """

    kind: type[TraceEvent]
    fields: dict[str, object] = field(default_factory=dict)
    nth: int = 0

    def find(self, trace: Sequence[TraceEvent]) -> TraceEvent:
        """Return the event.

        Raises
        ------
        Error
            The trace has none that fits.
        """
        found = [event for event in trace if isinstance(event, self.kind) and self._fits(event)]
        if len(found) <= self.nth:
            raise Error(f"nothing in this recording is {self.kind.__name__} with {self.fields}")
        return found[self.nth]

    def _fits(self, event: TraceEvent) -> bool:
        return all(getattr(event, name) == value for name, value in self.fields.items())


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to choose."""

    text: str
    reply: str
    """What the reader is told: why it is so, or a hint at what to look at."""
    clue: Clue
    """The moment that shows it, or that refutes it."""
    misconception: str = ""
    """Name of the wrong idea behind it; "" for the right answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a guest, with the experiment that answers it.

    Parameters
    ----------
    text
        The question.
    image, profile
        Guest and rules it is about.
    experiment
        Brings a recording, from its first instruction on, past every moment that matters.
    choices
        Two to eight, of which one is right.
    options
        What else its machine is made of (see `sdeiviz.Session`).
    make
        Makes the guest where it does not begin at its start: it has moved.
    """

    text: str
    image: str
    experiment: Callable[[Debugger], None]
    choices: tuple[Choice, ...]
    profile: str | Profile = "kvm-v7"
    options: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[], Session] | None = None

    def __post_init__(self) -> None:
        right = sum(not choice.misconception for choice in self.choices)
        if right != 1 or not 2 <= len(self.choices) <= len(_LETTERS):
            raise Error(f"{self.text!r} wants 2 to {len(_LETTERS)} choices, one of them right")

    @property
    def right(self) -> str:
        """The letter of the right choice."""
        return next(a for a, choice in self.lettered() if not choice.misconception)

    def lettered(self) -> list[tuple[str, Choice]]:
        """Return the choices, each with its letter."""
        return list(zip(_LETTERS, self.choices, strict=False))

    def record(self) -> Session:
        """Make the experiment on a machine of its own."""
        session = self.session()
        self.experiment(session)
        return session

    def session(self) -> Session:
        """Return such a machine, at its start or at its guest's arrival."""
        if self.make:
            return self.make()
        return Session(self.image, self.profile, **self.options)


class Prediction:
    """Asks a question in a notebook.

    Displayed, it is a row of buttons. Without widgets `answer` and `go` do the same.

    Parameters
    ----------
    question
        What to ask.
    debugger
        The debugger that `go` moves, of the guest that the question is about.
    """

    def __init__(self, question: Question, debugger: Debugger) -> None:
        self.question = question
        self.debugger = debugger
        self._recorded: Session | None = None
        self._chosen: Choice | None = None

    def answer(self, letter: str) -> str:
        """Choose, and return what there is to say about it.

        Raises
        ------
        Error
            There is no such choice.
        """
        choices = dict(self.question.lettered())
        chosen = choices.get(letter.strip().upper())
        if chosen is None:
            raise Error(f"no choice {letter!r}: choose from {', '.join(choices)}")
        self._chosen = chosen
        shown = f"See for yourself at instruction {self._moment(chosen).index:,}."
        if not chosen.misconception:
            return f"Yes. {chosen.reply} {shown}"
        return f"No. The idea behind it: {chosen.misconception}. {chosen.reply} {shown}"

    def go(self) -> str:
        """Take the debugger to the moment that the last answer named; return what it is.

        If the debugger has not been there, or was led elsewhere, the experiment is made in it.

        Raises
        ------
        Error
            Nothing is answered yet, or changes made by hand keep the debugger from getting there.
        """
        if self._chosen is None:
            raise Error("answer first: the moment depends on what you expect")
        moment = self._moment(self._chosen)
        if not self._lived(moment):
            self.question.experiment(self.debugger)
        if not self._lived(moment):
            raise Error(
                f"changes made by hand keep this debugger from instruction {moment.index:,}: run "
                "the cell that makes it again, then this one"
            )
        self.debugger.goto(moment.index)
        return summary.text(self.debugger.snapshot())

    def _lived(self, moment: TraceEvent) -> bool:
        """Tell whether all that the experiment shows up to a moment is in the debugger too."""
        recorded = self._recording().trace
        history = recorded[: recorded.index(moment) + 1]
        return list(self.debugger.snapshot().trace[: len(history)]) == history

    def text(self) -> str:
        """Return the question and its choices."""
        lines = [self.question.text]
        lines += [f"  {letter}. {choice.text}" for letter, choice in self.question.lettered()]
        return "\n".join([*lines, 'Answer with .answer("A"), then see the moment with .go().'])

    def _moment(self, choice: Choice) -> TraceEvent:
        return choice.clue.find(self._recording().trace)

    def _recording(self) -> Session:
        if self._recorded is None:
            self._recorded = self.question.record()
        return self._recorded

    # -- in a notebook

    def __repr__(self) -> str:
        return f"<Prediction: {self.question.text}>"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        view = self.widget()._repr_mimebundle_(**options)
        bundle: dict[str, Any] = view[0] if isinstance(view, tuple) else view
        return bundle | {"text/plain": self.text()}

    def widget(self) -> Any:
        """Return a new widget that asks: the choices, a button to check, one to go and see."""
        import ipywidgets

        items = "".join(f"<li>{escape(choice.text)}</li>" for choice in self.question.choices)
        letters = [letter for letter, _ in self.question.lettered()]
        question = ipywidgets.HTML(
            f'<p><b>{escape(self.question.text)}</b></p><ol type="A">{items}</ol>'
        )
        choose = ipywidgets.RadioButtons(
            options=letters, value=None, description="I expect", orientation="horizontal"
        )
        check = ipywidgets.Button(description="Check", disabled=True)
        go = ipywidgets.Button(
            description="Go and see", tooltip="Move the debugger to this moment", disabled=True
        )
        reply = ipywidgets.HTML(_spoken())
        said = ""

        def chosen(change: dict[str, Any]) -> None:
            check.disabled = False

        def checked(button: object) -> None:
            nonlocal said
            said = self.answer(choose.value)
            reply.value = _spoken(said)
            go.disabled = False

        def gone(button: object) -> None:
            try:
                where = self.go()
            except Error as error:
                where = str(error)
            reply.value = _spoken(said, where)

        choose.observe(chosen, names="value")
        check.on_click(_on_main_thread(checked))
        go.on_click(_on_main_thread(gone))
        row = ipywidgets.HBox([choose, check, go], layout={"flex_flow": "row wrap"})
        return ipywidgets.VBox([question, row, reply])


def _spoken(*paragraphs: str) -> str:
    """Return text that a screen reader says when it changes."""
    inner = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    return f'<div role="status" aria-live="polite">{inner}</div>'


def _on_main_thread(function: Callable[[object], None]) -> Callable[[object], None]:
    """Let a callback run on the main thread: JupyterLab may deliver it in one of its own."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return function

    def call(argument: object) -> None:
        if threading.current_thread() is threading.main_thread():
            function(argument)
        else:
            loop.call_soon_threadsafe(function, argument)

    return call
