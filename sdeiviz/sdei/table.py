"""The rule book of SDEI as one table: six handler states by everything that can move them.

A state is the three bits EVENT_STATUS returns (DEN0054C 6.1). Two of the eight combinations never
occur: enabled without registered, running or not. The rows restate DEN0054C figure 2 and tables 13
and 14; the KVM series v7 has the same rows (patches 4, 5, 7 and 11 to 13) without those for shared
and bound events: `ROUTING_SET`, `RELEASE` and `SHARED_RESET`.

Legality in the dispatcher, the state diagram, the tables in the notebooks and the explanations of a
refused call are all read from here.
"""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from sdeiviz.abi.sdei import Result


class State(IntEnum):
    """A handler's state; the value is what EVENT_STATUS answers."""

    UNREGISTERED = 0b000
    REGISTERED = 0b001
    ENABLED = 0b011
    ENABLED_RUNNING = 0b111
    REGISTERED_RUNNING = 0b101
    UNREGISTER_PENDING = 0b100

    @property
    def title(self) -> str:
        """The specification's name, "handler-..."."""
        return _TITLES[self]


class Action(StrEnum):
    """What can move a handler, or needs it in a certain state."""

    REGISTER = "EVENT_REGISTER"
    ENABLE = "EVENT_ENABLE"
    DISABLE = "EVENT_DISABLE"
    UNREGISTER = "EVENT_UNREGISTER"
    CONTEXT = "EVENT_CONTEXT"
    COMPLETE = "EVENT_COMPLETE"
    RESET = "PRIVATE_RESET"
    ROUTING_SET = "EVENT_ROUTING_SET"
    RELEASE = "INTERRUPT_RELEASE"
    SHARED_RESET = "SHARED_RESET"
    DELIVER = "delivery"


SHARED_ONLY: Final = (Action.ROUTING_SET, Action.RELEASE, Action.SHARED_RESET)
"""What concerns shared and bound events; the series has neither."""


class Cell(NamedTuple):
    """One rule: what the caller is told, and the state that follows."""

    result: Result
    after: State


_TITLES: Final = {
    State.UNREGISTERED: "unregistered",
    State.REGISTERED: "registered",
    State.ENABLED: "enabled",
    State.ENABLED_RUNNING: "enabled, running",
    State.REGISTERED_RUNNING: "registered, running",
    State.UNREGISTER_PENDING: "unregister pending",
}

_U, _R, _E = State.UNREGISTERED, State.REGISTERED, State.ENABLED
_ER, _RR, _UP = State.ENABLED_RUNNING, State.REGISTERED_RUNNING, State.UNREGISTER_PENDING

_OK, _DENIED, _PENDING = Result.SUCCESS, Result.DENIED, Result.PENDING


def _row(**cells: tuple[Result, State] | Result) -> dict[State, Cell]:
    """Fill a row: a bare result means that the state stays, a state not named is DENIED."""
    row = {}
    for state, name in zip(
        (_U, _R, _E, _ER, _RR, _UP), ("U", "R", "E", "ER", "RR", "UP"), strict=True
    ):
        cell = cells.get(name, _DENIED)
        row[state] = Cell(cell, state) if isinstance(cell, Result) else Cell(*cell)
    return row


# A reset unregisters what it finds; a running handler finishes first, for which DEN0054C answers
# DENIED and the series SUCCESS.
_RESET: Final = _row(
    U=_OK, R=(_OK, _U), E=(_OK, _U), ER=(_DENIED, _UP), RR=(_DENIED, _UP), UP=_DENIED
)

TABLE: Final[dict[Action, dict[State, Cell]]] = {
    Action.REGISTER: _row(U=(_OK, _R)),
    Action.ENABLE: _row(R=(_OK, _E), E=_OK, ER=_OK, RR=(_OK, _ER)),
    Action.DISABLE: _row(R=_OK, E=(_OK, _R), ER=(_OK, _RR), RR=_OK),
    Action.UNREGISTER: _row(
        R=(_OK, _U), E=(_OK, _U), ER=(_PENDING, _UP), RR=(_PENDING, _UP), UP=_PENDING
    ),
    Action.CONTEXT: _row(ER=_OK, RR=_OK, UP=_OK),
    # COMPLETE_AND_RESUME moves states alike.
    Action.COMPLETE: _row(ER=(_OK, _E), RR=(_OK, _R), UP=(_OK, _U)),
    Action.RESET: _RESET,
    # Shared events only.
    Action.ROUTING_SET: _row(R=_OK),
    # Bound events only, private ones on every PE: the event itself is gone then.
    Action.RELEASE: _row(U=_OK),
    Action.SHARED_RESET: _RESET,
    # Not a call: DENIED here means "stays pending".
    Action.DELIVER: _row(E=(_OK, _ER)),
}


def legal_states(action: Action) -> tuple[State, ...]:
    """Return the states in which an action is not refused."""
    return tuple(state for state, cell in TABLE[action].items() if cell.result is not Result.DENIED)


def explain(action: Action, state: State) -> str:
    """Say why an action is refused in a state and which single step would allow it ("": it is not).

    >>> explain(Action.DELIVER, State.REGISTERED)
    'delivery needs a handler that is enabled; this one is registered. EVENT_ENABLE would make it \
enabled.'
    """
    if TABLE[action][state].result is not Result.DENIED:
        return ""
    legal = legal_states(action)
    names = [s.title.replace(", ", " and ") for s in legal]
    needs = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
    text = f"{action.value} needs a handler that is {needs}; this one is {state.title}."
    for step, row in TABLE.items():
        cell = row[state]
        if (
            step not in (Action.RESET, Action.SHARED_RESET)
            and cell.result is not Result.DENIED
            and cell.after in legal
            and cell.after != state
        ):
            return f"{text} {step.value} would make it {cell.after.title}."
    return text
