"""The six states of a handler: every call in every state, typed from the specification's tables.

States are written as EVENT_STATUS answers them: 1 registered, 2 enabled, 4 running.
"""

import pytest

from sdeiviz.sdei import TABLE, Action, State
from sdeiviz.sdei.table import explain, legal_states
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DISABLE,
    ENABLE,
    REGISTER,
    RESUME,
    STATUS,
    UNREGISTER,
    Guest,
)

# call: state it finds -> (answer, state it leaves)
REGISTER_IN = {"U": (0, 1), "R": (-3, 1), "E": (-3, 3), "ER": (-3, 7), "RR": (-3, 5), "UP": (-3, 4)}
ENABLE_IN = {"U": (-3, 0), "R": (0, 3), "E": (0, 3), "ER": (0, 7), "RR": (0, 7), "UP": (-3, 4)}
DISABLE_IN = {"U": (-3, 0), "R": (0, 1), "E": (0, 1), "ER": (0, 5), "RR": (0, 5), "UP": (-3, 4)}
UNREGISTER_IN = {
    "U": (-3, 0),
    "R": (0, 0),
    "E": (0, 0),
    "ER": (-5, 4),
    "RR": (-5, 4),
    "UP": (-5, 4),
}
# x5 is 0xF000000000000005 as interrupted.
CONTEXT_IN = {
    "U": (-3, 0),
    "R": (-3, 1),
    "E": (-3, 3),
    "ER": (-0x0FFF_FFFF_FFFF_FFFB, 7),
    "RR": (-0x0FFF_FFFF_FFFF_FFFB, 5),
    "UP": (-0x0FFF_FFFF_FFFF_FFFB, 4),
}
AFTER_COMPLETE = {"U": 0, "R": 1, "E": 3, "ER": 3, "RR": 1, "UP": 0}


def cases(table: dict[str, tuple[int, int]]) -> list[tuple[str, int, int]]:
    return [(state, *cell) for state, cell in table.items()]


@pytest.mark.parametrize("event", [0, 1])
class TestCallsInStates:
    @pytest.mark.parametrize(("state", "answer", "status"), cases(REGISTER_IN))
    def test_register(self, rules: str, event: int, state: str, answer: int, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        assert guest.call(REGISTER, event, 1, 2, 0) == answer
        assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize(("state", "answer", "status"), cases(ENABLE_IN))
    def test_enable(self, rules: str, event: int, state: str, answer: int, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        for _ in range(2):
            assert guest.call(ENABLE, event) == answer
            assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize(("state", "answer", "status"), cases(DISABLE_IN))
    def test_disable(self, rules: str, event: int, state: str, answer: int, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        for _ in range(2):
            assert guest.call(DISABLE, event) == answer
            assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize(("state", "answer", "status"), cases(UNREGISTER_IN))
    def test_unregister(self, rules: str, event: int, state: str, answer: int, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        assert guest.call(UNREGISTER, event) == answer
        assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize(("state", "answer", "status"), cases(CONTEXT_IN))
    def test_context(self, rules: str, event: int, state: str, answer: int, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        assert guest.call(CONTEXT, 5) == answer
        assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize("function", [COMPLETE, RESUME])
    @pytest.mark.parametrize(("state", "status"), AFTER_COMPLETE.items())
    def test_complete(self, rules: str, event: int, function: int, state: str, status: int) -> None:
        guest = Guest(rules).bring(state, event)
        guest.call(function, 0)
        assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize("state", ["U", "R", "E", "ER", "RR", "UP"])
    def test_status_and_bits(self, rules: str, event: int, state: str) -> None:
        guest = Guest(rules).bring(state, event)
        status = {"U": 0, "R": 1, "E": 3, "ER": 7, "RR": 5, "UP": 4}[state]
        assert guest.call(STATUS, event) == status
        assert guest.sdei.handlers[event].state == status
        assert len(guest.sdei.contexts) == (status >> 2)


U, R, E, ER, RR, UP = (State(bits) for bits in (0, 1, 3, 7, 5, 4))


def row(action: Action) -> dict[State, tuple[int, int]]:
    return {state: (int(cell.result), int(cell.after)) for state, cell in TABLE[action].items()}


def test_table_to_the_letter() -> None:
    """Also the cells no call can show: what the specification answers to a reset."""
    assert set(TABLE) == set(Action)
    assert row(Action.REGISTER) == dict(
        zip(
            (U, R, E, ER, RR, UP),
            [(0, 1), (-3, 1), (-3, 3), (-3, 7), (-3, 5), (-3, 4)],
            strict=True,
        )
    )
    assert row(Action.ENABLE) == dict(
        zip((U, R, E, ER, RR, UP), [(-3, 0), (0, 3), (0, 3), (0, 7), (0, 7), (-3, 4)], strict=True)
    )
    assert row(Action.DISABLE) == dict(
        zip((U, R, E, ER, RR, UP), [(-3, 0), (0, 1), (0, 1), (0, 5), (0, 5), (-3, 4)], strict=True)
    )
    assert row(Action.UNREGISTER) == dict(
        zip(
            (U, R, E, ER, RR, UP), [(-3, 0), (0, 0), (0, 0), (-5, 4), (-5, 4), (-5, 4)], strict=True
        )
    )
    assert row(Action.CONTEXT) == dict(
        zip((U, R, E, ER, RR, UP), [(-3, 0), (-3, 1), (-3, 3), (0, 7), (0, 5), (0, 4)], strict=True)
    )
    assert row(Action.COMPLETE) == dict(
        zip((U, R, E, ER, RR, UP), [(-3, 0), (-3, 1), (-3, 3), (0, 3), (0, 1), (0, 0)], strict=True)
    )
    assert row(Action.RESET) == dict(
        zip((U, R, E, ER, RR, UP), [(0, 0), (0, 0), (0, 0), (-3, 4), (-3, 4), (-3, 4)], strict=True)
    )
    assert row(Action.DELIVER) == dict(
        zip(
            (U, R, E, ER, RR, UP),
            [(-3, 0), (-3, 1), (0, 7), (-3, 7), (-3, 5), (-3, 4)],
            strict=True,
        )
    )


def test_legal_states() -> None:
    assert legal_states(Action.REGISTER) == (U,)
    assert legal_states(Action.UNREGISTER) == (R, E, ER, RR, UP)
    assert legal_states(Action.DELIVER) == (E,)


def test_explanations_name_the_state_and_one_step_out() -> None:
    assert explain(Action.ENABLE, R) == ""
    assert explain(Action.UNREGISTER, UP) == ""
    text = explain(Action.REGISTER, E)
    assert text.startswith(
        "EVENT_REGISTER needs a handler that is unregistered; this one is enabled."
    )
    assert text.endswith(" EVENT_UNREGISTER would make it unregistered.")
    assert explain(Action.ENABLE, UP).endswith("this one is unregister pending.")
    assert explain(Action.REGISTER, UP).endswith(" EVENT_COMPLETE would make it unregistered.")
    assert explain(Action.DELIVER, R).endswith(" EVENT_ENABLE would make it enabled.")
    assert explain(Action.COMPLETE, E).endswith(" delivery would make it enabled, running.")
