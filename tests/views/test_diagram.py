"""The state diagram: drawn from the rule table, committed, lit for a moment."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from sdeiviz.errors import Error
from sdeiviz.resources import resource
from sdeiviz.sdei.table import State
from sdeiviz.trace import HandlerStateChanged, Hypercall, HypercallResult
from sdeiviz.views import diagram
from tests.views.moments import BASE, handler, moment

# DEN0054C figure 2, private events, as in the series v7.
MOVES = {
    "unregistered_registered",
    "registered_enabled",
    "enabled_registered",
    "registered_unregistered",
    "enabled_unregistered",
    "enabled_enabled_running",
    "enabled_running_enabled",
    "enabled_running_registered_running",
    "registered_running_enabled_running",
    "registered_running_registered",
    "enabled_running_unregister_pending",
    "registered_running_unregister_pending",
    "unregister_pending_unregistered",
}


def test_the_committed_drawing_is_the_tables() -> None:
    committed = resource("assets", "diagrams", "states.dot").read_text("utf-8")
    assert committed == diagram.dot().source, "make diagrams"
    assert diagram.main([]) == 0


def test_a_stale_drawing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moves = diagram.transitions()
    moves.popitem()
    monkeypatch.setattr(diagram, "transitions", lambda: moves)
    assert diagram.main([]) == 1
    assert "make diagrams" in capsys.readouterr().err


def test_every_state_and_every_move_can_be_lit() -> None:
    drawing = diagram.plain_svg()
    assert set(re.findall(r'id="edge_(\w+)"', drawing)) == MOVES
    assert set(re.findall(r'id="(state_\w+)"', drawing)) == {
        diagram.node_id(state) for state in State
    }
    assert {diagram.edge_id(*move).removeprefix("edge_") for move in diagram.transitions()} == MOVES


def test_the_drawing_is_a_document_without_script_or_colours_of_its_own() -> None:
    drawing = diagram.plain_svg()
    root = ElementTree.fromstring(drawing)
    assert not [part for part in root.iter() if part.tag.endswith("script")]
    shapes = [
        part for part in root.iter() if part.tag.rsplit("}")[-1] in ("path", "polygon", "text")
    ]
    assert len(shapes) > 30
    assert not [part for part in shapes if {"fill", "stroke", "font-size"} & part.attrib.keys()]


def test_it_is_lit_by_classes() -> None:
    trace = (
        HandlerStateChanged(1, 1, 0, 0, "EVENT_REGISTER", 0, 1),
        HandlerStateChanged(2, 2, 0, 0, "EVENT_ENABLE", 1, 3),
    )
    enabled = handler(0, State.ENABLED, pending=True)
    lit = diagram.svg(moment(trace, handlers=(enabled, handler(1))))
    assert re.findall(r'id="(\w+)" class="current', lit) == ["state_enabled"]
    assert re.findall(r'id="(\w+)" class="taken', lit) == ["edge_registered_enabled"]
    assert "<title>Event 0: enabled</title>" in lit
    other = diagram.svg(moment(trace, handlers=(enabled, handler(1))), event=1)
    assert re.findall(r'id="(\w+)" class="current', other) == ["state_unregistered"]
    assert 'class="taken' not in other
    assert diagram.svg() == diagram.plain_svg()
    with pytest.raises(Error, match="no event 7: choose from 0, 1"):
        diagram.svg(moment(trace), event=7)


def test_what_was_refused_is_marked_until_something_else_happens() -> None:
    refused = (
        Hypercall(5, 5, 0, "HVC", BASE, 0xC4000022, (0, 0, 0, 0, 0)),
        HypercallResult(5, 5, 0, 0xC4000022, (1 << 64) - 3),
    )
    assert re.findall(r'id="(\w+)" class="current refused', diagram.svg(moment(refused))) == [
        "state_unregistered"
    ]
    assert 'class="current refused' not in diagram.svg(moment(refused), event=1)
    later = (*refused, Hypercall(9, 9, 0, "HVC", BASE, 0xC4000020, (0, 0, 0, 0, 0)))
    assert 'class="current refused' not in diagram.svg(moment(later))


def test_its_twin_says_the_same() -> None:
    text = diagram.text(moment(handlers=(handler(0, State.ENABLED_RUNNING, pending=True),)))
    assert text.splitlines() == [
        "Event 0: enabled, running, pending",
        "  EVENT_REGISTER    DENIED",
        "  EVENT_ENABLE      SUCCESS",
        "  EVENT_DISABLE     SUCCESS -> registered, running",
        "  EVENT_UNREGISTER  PENDING -> unregister pending",
        "  EVENT_CONTEXT     SUCCESS",
        "  EVENT_COMPLETE    SUCCESS -> enabled",
        "  PRIVATE_RESET     SUCCESS -> unregister pending",
        "  delivery          waits",
    ]


def test_the_whole_table_in_words() -> None:
    rules = dict(diagram.rules())
    assert len(rules) == 8
    assert dict(rules["EVENT_REGISTER"])["unregistered"] == "SUCCESS -> registered"
    assert dict(rules["EVENT_REGISTER"])["enabled"] == "DENIED"
    assert dict(dict(diagram.rules("den0054c"))["PRIVATE_RESET"])["enabled, running"].startswith(
        "DENIED"
    )


def test_without_graphviz_there_is_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Error, match="apt install graphviz"):
        diagram.draw(diagram.dot())
