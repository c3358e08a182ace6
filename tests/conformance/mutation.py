"""The changes of the package that the guests name, each made for as long as one machine runs.

knob NAME=VALUE                     a knob of the profile
event NUMBER FIELD=VALUE ...        a platform event of the profile
table ACTION STATE RESULT AFTER     one cell of the table of rules
constant MODULE.NAME VALUE          a number in a module
none: WHY                           nothing; the requirement does not rest on a line of ours
"""

import contextlib
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from unittest import mock

from sdeiviz.abi.sdei import Result
from sdeiviz.sdei import Profile
from sdeiviz.sdei.table import TABLE, Action, Cell, State


@contextlib.contextmanager
def made(mutation: str, profile: Profile) -> Iterator[Profile]:
    """Make a mutation; gives the profile to run under."""
    kind, _, rest = mutation.partition(" ")
    words = rest.split()
    with contextlib.ExitStack() as undo:
        if kind == "knob":
            (assignment,) = words
            changed = profile.set(assignment)
            assert changed != profile, mutation
            profile = changed
        elif kind == "event":
            profile = _change_event(profile, int(words[0], 0), words[1:])
        elif kind == "table":
            action, state, result, after = words
            cell = Cell(Result[result], State[after])
            row = TABLE[Action[action]]
            assert row[State[state]] != cell, mutation
            undo.enter_context(mock.patch.dict(row, {State[state]: cell}))
        elif kind == "constant":
            name, value = words
            module, _, attribute = name.rpartition(".")
            importlib.import_module(module)
            assert getattr(sys.modules[module], attribute) != int(value, 0), mutation
            undo.enter_context(mock.patch.object(sys.modules[module], attribute, int(value, 0)))
        else:
            raise ValueError(f"no kind of mutation: {mutation!r}")
        yield profile


def _change_event(profile: Profile, number: int, assignments: list[str]) -> Profile:
    changes = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        changes[name] = {"on": True, "off": False, "none": None}[value]
    events = tuple(
        dataclasses.replace(event, **changes) if event.number == number else event
        for event in profile.platform_events
    )
    assert events != profile.platform_events
    return profile.replace(platform_events=events)
