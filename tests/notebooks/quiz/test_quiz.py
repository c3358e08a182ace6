"""The answers of the quiz, checked by making each situation and looking.

Three situations take place in a bundled guest on the whole machine, with a hand in its registers
where it would not come there by itself; three in the dispatcher.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdeiviz.abi import pstate
from sdeiviz.debugger import Session
from sdeiviz.machine import StopReason
from sdeiviz.sdei.table import State
from sdeiviz.trace import EventDelivered, ExceptionTaken
from tests.sdei.vcpu import (
    COMPLETE,
    ENABLE,
    ENTRY,
    PE_UNMASK,
    REGISTER,
    SIGNAL,
    STATUS,
    UNREGISTER,
    Guest,
)

QUIZ = {
    question["id"]: question
    for question in tomllib.loads(Path(__file__).with_name("questions.toml").read_text("utf-8"))[
        "question"
    ]
}
NO_MEMORY = 0x1_0000
"""Neither RAM nor a device."""
NAMES = {0: "SUCCESS", (1 << 64) - 3: "DENIED", COMPLETE: "the call"}


def order() -> dict[str, Any]:
    guest = Guest("kvm-v7")
    assert guest.call(REGISTER, 0, ENTRY, 0, 0) == 0
    calls = {"EVENT_SIGNAL": (SIGNAL, 0), "PE_UNMASK": (PE_UNMASK,), "EVENT_ENABLE": (ENABLE, 0)}
    for name, arguments in calls.items():
        assert guest.call(*arguments) == 0
        if guest.enter():
            return {"after": name}
    return {"after": ""}


def unregister_inside() -> dict[str, Any]:
    guest = Guest("kvm-v7").bring("ER")
    answers = [
        guest.call(UNREGISTER, 0),
        guest.call(STATUS, 0),
        guest.call(REGISTER, 0, ENTRY + 0x100, 0, 0),
    ]
    guest.call(COMPLETE, 0)
    return {"answers": [*answers, guest.call(STATUS, 0)]}


def complete_outside() -> dict[str, Any]:
    session = Session("registration")
    session.next_sdei()
    session.step_back()
    session.write_register("x0", COMPLETE)
    session.write_register("x2", 5)
    hvc = session.snapshot().registers.pc
    session.step()
    now = session.snapshot().registers
    return {"after_hvc": now.pc == hvc + 4, "x0": NAMES[now.x[0]], "x2": now.x[2]}


def three_injections() -> dict[str, Any]:
    session = Session("delivery")
    while not session.snapshot().contexts:
        session.next_sdei()
    told = [
        session.inject_event(0),
        session.inject_event(0),
        session.inject_event(0, immediate=True),
    ]
    inside = session.snapshot().now
    while session.snapshot().handlers[0].state is not State.UNREGISTERED:  # what ends round one
        session.next_sdei()
    again = sum(isinstance(event, EventDelivered) for event in session.trace[inside:])
    return {"told": told, "again": again}


def bad_stack() -> dict[str, Any]:
    session = Session("delivery")
    while session.snapshot().masked:
        session.next_sdei()
    session.next_sdei()
    session.step_back()
    session.write_register("sp", NO_MEMORY)
    session.step()
    delivered = bool(session.snapshot().contexts)
    session.step()
    now = session.snapshot()
    return {
        "delivered": delivered,
        "exception": isinstance(session.trace[-1], ExceptionTaken),
        "state": now.handlers[0].state.title,
    }


def resume_from_user() -> dict[str, Any]:
    session = Session("levels")
    session.toggle_breakpoint("el0_loop")
    while not session.snapshot().console.endswith("EL0, EVENT_COMPLETE_AND_RESUME\n"):
        assert session.run().reason is StopReason.BREAKPOINT
    before = session.snapshot().registers.pstate
    assert pstate.exception_level(before) == 0
    assert not before & pstate.DAIF
    assert session.inject_event(0) == 0
    session.next_sdei()
    assert not session.snapshot().contexts
    now = session.snapshot().registers
    return {
        "level": pstate.exception_level(now.pstate),
        "masks": pstate.describe(now.pstate).split()[1],
        "saved": pstate.exception_level(now.spsr_el1),
    }


SITUATIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "order": order,
    "unregister-inside": unregister_inside,
    "complete-outside": complete_outside,
    "three-injections": three_injections,
    "bad-stack": bad_stack,
    "resume-from-user": resume_from_user,
}


def test_there_are_six_questions_and_each_has_its_situation() -> None:
    assert list(QUIZ) == list(SITUATIONS)
    assert len(QUIZ) == 6


@pytest.mark.parametrize("name", QUIZ)
def test_what_happens_is_the_answer_and_no_other_option(name: str) -> None:
    question = QUIZ[name]
    seen = SITUATIONS[name]()
    fitting = [letter for letter, option in question["options"].items() if option["seen"] == seen]
    assert fitting == [question["answer"]], seen
