"""The state diagram of an event handler, drawn from the rule table and lit for one moment.

The topology never changes, so Graphviz is asked once, by an author:
`python -m sdeiviz.views.diagram --write`. What it drew is committed, and a moment is shown by
adding classes to it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import graphviz

from sdeiviz.debugger.snapshot import HandlerView, Snapshot
from sdeiviz.errors import Error
from sdeiviz.resources import resource
from sdeiviz.sdei.table import SHARED_ONLY, TABLE, Action, State
from sdeiviz.views import markup, words
from sdeiviz.views.log import Log, log_of
from sdeiviz.views.palette import style

NAME: Final = "states"

# Where a state stands: column and row. The upper row waits, the lower row runs; what a call moves
# forward goes right, what it takes back goes left.
_PLACES: Final = {
    State.UNREGISTERED: (0, 0),
    State.REGISTERED: (1, 0),
    State.ENABLED: (2, 0),
    State.UNREGISTER_PENDING: (0, 1),
    State.REGISTERED_RUNNING: (1, 1),
    State.ENABLED_RUNNING: (2, 1),
}
_WIDTH, _HEIGHT = 102, 40  # of a state, in points, as all lengths here
_COLUMN, _ROW = 192, 108  # from one to the next
_LANE = 8  # half the distance between two opposite arrows
_ARROW = 8
_LINE = 14  # height of a line of text

_STYLE: Final = """
.sdeiviz-states { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
.sdeiviz-states text { font-family: inherit; font-size: 12px; fill: var(--muted); }
.sdeiviz-states .state text { font-size: 13px; fill: var(--ink); }
.sdeiviz-states .state path { fill: var(--pane); stroke: var(--rule); }
.sdeiviz-states .call path { fill: none; stroke: var(--rule); }
.sdeiviz-states .call polygon { fill: var(--rule); stroke: var(--rule); }
.sdeiviz-states .delivery path { stroke-dasharray: 5 3; }
.sdeiviz-states .taken path { stroke: var(--accent); stroke-width: 2.5; }
.sdeiviz-states .taken polygon { fill: var(--accent); stroke: var(--accent); }
.sdeiviz-states .taken text { fill: var(--accent); font-weight: 700; }
.sdeiviz-states .current path { fill: var(--accent-soft); stroke: var(--accent); stroke-width: 3; }
.sdeiviz-states .current text { font-weight: 700; }
.sdeiviz-states .refused path { stroke: var(--bad); stroke-dasharray: 3 3; }
"""


@dataclass(frozen=True, slots=True)
class Lit:
    """What the diagram shows of one event at one moment."""

    event: int
    state: State
    pending: bool
    taken: tuple[State, State] | None
    """The transition it came by, where there was one."""
    refused: Action | None
    """What was refused in this state just now."""
    reason: str
    """Why, and what would have allowed it."""


def lit(snapshot: Snapshot, handler: HandlerView, log: Log) -> Lit:
    """Find what to light for a handler of the PE shown.

    Parameters
    ----------
    snapshot
        The moment.
    handler
        The handler as it is then.
    log
        The log of the recording.
    """
    now = snapshot.now
    last = log.last(now)
    refused = last is not None and last.refused and last.event in (handler.event, None)
    if last is not None and last.vcpu != snapshot.vcpu:
        refused = False
    return Lit(
        event=handler.event,
        state=handler.state,
        pending=handler.pending,
        taken=log.last_move(snapshot.vcpu, handler.event, now),
        refused=last.refused if last and refused else None,
        reason=last.reason if last and refused else "",
    )


def text(snapshot: Snapshot) -> str:
    """Return the states of all events, and for each what every call would be told in it.

    >>> print(legality(State.UNREGISTERED))
    EVENT_REGISTER    SUCCESS -> registered
    EVENT_ENABLE      DENIED
    EVENT_DISABLE     DENIED
    EVENT_UNREGISTER  DENIED
    EVENT_CONTEXT     DENIED
    EVENT_COMPLETE    DENIED
    PRIVATE_RESET     SUCCESS
    delivery          waits
    """
    log = log_of(snapshot)
    parts = []
    for handler in snapshot.handlers:
        now = lit(snapshot, handler, log)
        title = f"{name(snapshot, now.event)}: {now.state.title}"
        lines = [title + (", pending" if now.pending else "")]
        if now.taken:
            lines.append(f"came by {now.taken[0].title} -> {now.taken[1].title}")
        if now.refused:
            lines.append(f"refused: {now.reason}")
        parts.append("\n  ".join([*lines, *legality(now.state, snapshot.profile).splitlines()]))
    return "\n".join(parts)


def name(snapshot: Snapshot, event: int) -> str:
    """Name an event, and whose handler it is where there are several PEs."""
    pe = "" if len(snapshot.pes) == 1 else f" on PE {snapshot.vcpu}"
    shared = any(handler.event == event for handler in snapshot.shared)
    return f"Event {words.event(event)}{', shared' if shared else pe}"


def legality(state: State, profile: str = "kvm-v7") -> str:
    """Return what every action is told in a state, and where it leads, a line each."""
    lines = []
    series = profile.startswith("kvm-v7")
    actions = [action for action in TABLE if not (series and action in SHARED_ONLY)]
    width = max(map(len, actions))
    for action in actions:
        cell = TABLE[action][state]
        waits = action is Action.DELIVER and cell.after is state
        told = "waits" if waits else cell.result.name
        if action is Action.RESET and series:
            told = "SUCCESS"  # whatever runs (v7 patch 11)
        leads = f" -> {cell.after.title}" if cell.after is not state else ""
        lines.append(f"{action.value:<{width}}  {told}{leads}")
    return "\n".join(lines)


def rules(profile: str = "kvm-v7") -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the whole table as words: each action, and per state its answer and what follows."""
    states = list(State)
    by_state = {
        state: [line.split(None, 1) for line in legality(state, profile).splitlines()]
        for state in states
    }
    table = []
    for number, (action, _) in enumerate(by_state[State.UNREGISTERED]):
        cells = [(state.title, by_state[state][number][1]) for state in states]
        table.append((action, cells))
    return table


def html(snapshot: Snapshot) -> str:
    """Return the state of every event as a table."""
    rows = [
        (words.event(h.event), h.state.title, "pending" if h.pending else "", f"{h.entry:#x}")
        for h in snapshot.handlers
    ]
    return markup.table("Events", ("event", "state", "waiting", "handler"), rows, (3,))


def svg(snapshot: Snapshot | None = None, event: int = 0) -> str:
    """Return the diagram, lit for one event at one moment, or plain.

    Colours follow the CSS variables `--sdeiviz-...`, and without them the reader's colour scheme.

    Raises
    ------
    Error
        The machine has no such event.
    """
    drawing = plain_svg()
    if snapshot is None:
        return drawing
    handler = next((h for h in snapshot.handlers if h.event == event), None)
    if handler is None:
        raise Error(
            f"no event {words.event(event)}: choose from "
            + ", ".join(words.event(h.event) for h in snapshot.handlers)
        )
    now = lit(snapshot, handler, log_of(snapshot))
    title = f"{name(snapshot, event)}: {now.state.title}"
    drawing = drawing.replace("States of an event handler", title, 1)
    drawing = _add_class(
        drawing, node_id(now.state), "current refused" if now.refused else "current"
    )
    return _add_class(drawing, edge_id(*now.taken), "taken") if now.taken else drawing


def _add_class(drawing: str, identifier: str, extra: str) -> str:
    return drawing.replace(f'id="{identifier}" class="', f'id="{identifier}" class="{extra} ', 1)


@cache
def plain_svg() -> str:
    """Return the committed drawing."""
    return resource("assets", "diagrams", f"{NAME}.svg").read_text("utf-8")


def node_id(state: State) -> str:
    """Return the id of a state in the drawing."""
    return f"state_{state.name.lower()}"


def edge_id(before: State, after: State) -> str:
    """Return the id of a transition in the drawing."""
    return f"edge_{before.name}_{after.name}".lower()


def transitions() -> dict[tuple[State, State], list[Action]]:
    """Return every move of a private event between two states with what causes it."""
    moves: dict[tuple[State, State], list[Action]] = {}
    for action, row in TABLE.items():
        for state, cell in row.items():
            if cell.after is not state and action not in SHARED_ONLY:
                moves.setdefault((state, cell.after), []).append(action)
    return moves


def dot() -> graphviz.Digraph:
    """Return the graph in Graphviz' language, from the rule table."""
    graph = graphviz.Digraph(
        NAME,
        engine="neato",
        graph_attr={
            "splines": "true",
            "pad": "0.05",
            "fontname": "Helvetica",
            "bgcolor": "transparent",
        },
        node_attr={
            "shape": "box",
            "style": "rounded",
            "fixedsize": "true",
            "width": f"{_WIDTH / 72:.4f}",
            "height": f"{_HEIGHT / 72:.4f}",
            "fontname": "Helvetica",
            "fontsize": "13",
        },
        edge_attr={"fontname": "Helvetica", "fontsize": "12", "arrowsize": "0.8"},
    )
    for state, (column, row) in _PLACES.items():
        graph.node(
            state.name.lower(),
            label=state.title.replace(", ", ",\\n").replace(
                "unregister pending", "unregister\\npending"
            ),
            pos=f"{column * _COLUMN},{-row * _ROW}",
            id=node_id(state),
            **{"class": "state"},
        )
    for (before, after), actions in transitions().items():
        line, middle = _route(before, after)
        graph.edge(
            before.name.lower(),
            after.name.lower(),
            label=_label(before, after, actions),
            pos=line,
            lp=middle,
            id=edge_id(before, after),
            **{"class": "call delivery" if Action.DELIVER in actions else "call"},
        )
    return graph


def _label(before: State, after: State, actions: list[Action]) -> str:
    words = [action.value.removeprefix("EVENT_").removeprefix("PRIVATE_") for action in actions]
    long_way = abs(_PLACES[before][0] - _PLACES[after][0]) > 1
    return (", " if long_way else "\\n").join(words)


def _route(before: State, after: State) -> tuple[str, str]:
    """Return an arrow's spline and the middle of its label.

    Three kinds: along a row to the neighbour (two lanes, forward above), along a row past one state
    (an arc outside), and between the rows.
    """
    (column, row), (to_column, to_row) = _PLACES[before], _PLACES[after]
    x, y, to_x = column * _COLUMN, -row * _ROW, to_column * _COLUMN
    actions = transitions()[before, after]
    if row == to_row and abs(to_column - column) == 1:
        side = 1 if to_x > x else -1
        lane = y + side * _LANE
        start, end = x + side * _WIDTH / 2, to_x - side * _WIDTH / 2
        height = _LINE * len(actions)
        return _spline((start, lane), (end, lane)), _point(
            (x + to_x) / 2, lane + side * (3 + height / 2)
        )
    if row == to_row:
        up = 1 if row == 0 else -1
        edge = y + up * _HEIGHT / 2
        start, end = x - 22, to_x + 22
        bend = edge + up * 34
        line = _spline((start, edge), (end, edge), (start - 40, bend), (end + 40, bend))
        return line, _point((x + to_x) / 2, edge + up * (26 + 3 + _LINE / 2))
    up = 1 if to_row < row else -1
    shared = (after, before) in transitions()
    lane = x - (0 if not shared else 26 if up > 0 else 10)
    length = 72 if up > 0 else 56
    beside = -(length / 2 + 5) if shared and up > 0 else length / 2 + 5
    start_y, end_y = y + up * _HEIGHT / 2, -to_row * _ROW - up * _HEIGHT / 2
    return _spline((lane, start_y), (lane, end_y)), _point(lane + beside, (start_y + end_y) / 2)


_Place = tuple[float, float]


def _spline(
    start: _Place, tip: _Place, first: _Place | None = None, second: _Place | None = None
) -> str:
    """Return a curve and its arrowhead as Graphviz writes them: tip, start, controls, end."""
    toward = second or start
    length = ((tip[0] - toward[0]) ** 2 + (tip[1] - toward[1]) ** 2) ** 0.5
    end = (
        tip[0] - (tip[0] - toward[0]) * _ARROW / length,
        tip[1] - (tip[1] - toward[1]) * _ARROW / length,
    )
    points = [start, first or start, second or end, end]
    return f"e,{_point(*tip)} " + " ".join(_point(*point) for point in points)


def _point(x: float, y: float) -> str:
    return f"{x:.1f},{y:.1f}"


def draw(graph: graphviz.Digraph) -> str:
    """Ask `dot` for the drawing and make it one that CSS can light.

    Raises
    ------
    Error
        Graphviz is not installed.
    """
    try:
        # Positions and curves are given; nothing is left to lay out.
        raw = graph.pipe(format="svg", encoding="utf-8", neato_no_op=2)
    except graphviz.ExecutableNotFound:
        raise Error("drawing needs Graphviz: apt install graphviz") from None
    lines = []
    for line in raw[raw.index("<svg") :].splitlines():
        if line.startswith("<!--") or line.startswith("<title>"):
            continue  # a title for each arrow would be a tooltip like "enabled&#45;&gt;registered"
        # Colours and fonts are the style sheet's: an attribute left here would only mislead.
        for attribute in (
            ' fill="none"',
            ' fill="black"',
            ' stroke="black"',
            ' stroke="transparent"',
        ):
            line = line.replace(attribute, "")
        line = line.replace(' font-family="Helvetica,sans-Serif"', "")
        for size in ("12.00", "13.00"):
            line = line.replace(f' font-size="{size}"', "")
        lines.append(line)
    body = "\n".join(lines)
    opening, rest = body.split(">", 1)
    box = opening.split('viewBox="', 1)[1].split('"', 1)[0]
    _, _, width, height = (float(number) for number in box.split())
    return (
        f'<svg class="sdeiviz-states" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{box}" xmlns="http://www.w3.org/2000/svg">\n'
        "<title>States of an event handler</title>\n"
        f"<style>{style('sdeiviz-states', _STYLE)}</style>{rest}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the diagram, or say whether the committed one is that of the table."""
    parser = argparse.ArgumentParser(prog="python -m sdeiviz.views.diagram", description=__doc__)
    parser.add_argument("--write", action="store_true", help="draw again (needs dot)")
    write = parser.parse_args(arguments).write
    directory = resource("assets", "diagrams")
    path = directory / f"{NAME}.dot"
    source = dot().source
    if write:
        (directory / f"{NAME}.svg").write_text(draw(dot()), "utf-8", newline="\n")
        path.write_text(source, "utf-8", newline="\n")
        return 0
    return _compare(path, source)


def _compare(path: Path, source: str) -> int:
    if path.exists() and path.read_text("utf-8") == source:
        return 0
    print(f"{path.name} is not the table's: make diagrams", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
