"""The other views, on moments made by hand."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeiviz.debugger.snapshot import Line
from sdeiviz.sdei.table import State
from sdeiviz.trace import Hypercall, HypercallResult
from sdeiviz.views import (
    console,
    context,
    disassembly,
    memory,
    registers,
    summary,
    words,
)
from sdeiviz.views import (
    moment as whole,
)
from tests.views.moments import BASE, HOSTILE, LISTING, handler, line, moment
from tests.views.moments import context as saved
from tests.views.moments import registers as values

REGISTERS = [f"x{n}" for n in range(31)] + (
    "sp pc pstate sp_el0 sp_el1 elr_el1 spsr_el1 esr_el1 far_el1 vbar_el1".split()
)


# -- registers -------------------------------------------------------------------------------------


def test_every_register_is_shown_once() -> None:
    numbered = values(x=tuple(range(0x100, 0x11F)), sp=0x200, sp_el1=0x201)
    cells = re.findall(r"\b([a-z]\w*) ([0-9a-f]{16})\b", registers.text(moment(registers=numbered)))
    assert sorted(name for name, _ in cells) == sorted(REGISTERS)
    assert {name: int(digits, 16) for name, digits in cells} == dict(numbered.items())


def test_exactly_what_changed_is_marked() -> None:
    before = values(x=(7,) + (0,) * 30, sp=0x10)
    now = values(x=(8,) + (0,) * 30, sp=0x10, pstate=0x600003C5)
    text = registers.text(moment(registers=now, previous=before))
    assert re.findall(r"(\w+) [0-9a-f]{16}\*", text) == ["pstate", "x0"]
    assert registers.changes(moment(registers=now, previous=before)) == {"x0": 7, "pstate": 0x3C5}
    assert "*" not in registers.text(moment(registers=now, previous=None))


def test_values_are_unsigned_and_whole() -> None:
    top = values(x=((1 << 64) - 1,) + (0,) * 30)
    assert "x0 ffffffffffffffff" in registers.text(moment(registers=top))


def test_what_registers_mean() -> None:
    said = registers.text(moment(registers=values(esr_el1=0x56000003), symbol="handler+0x4"))
    assert "nzcv DAIF EL1h" in said
    assert "SVC #0x3" in said
    assert "handler+0x4" in said


# -- context ---------------------------------------------------------------------------------------


def test_the_interrupted_context_beside_the_live_one() -> None:
    live = values(x=(*range(3), 0x99, *range(4, 31)), pc=BASE + 16)
    shown = context.text(moment(registers=live, contexts=(saved(),)))
    assert shown.startswith("interrupted by event 0: nzcv DAIF EL1h")
    assert re.findall(r"(\w+) [0-9a-f]{16} ≠ ", shown) == ["pc", "x3"]
    assert "x3 0000000000000003 ≠ 0000000000000099" in shown
    assert "x18" not in shown


def test_the_innermost_context_is_shown() -> None:
    shown = context.text(moment(contexts=(saved(event=0), saved(event=1, pc=BASE + 4))))
    assert shown.startswith("interrupted by event 1, 2 deep")


def test_without_a_running_handler_there_is_no_pair() -> None:
    assert context.text(moment()) == "No handler is running, so nothing is interrupted."
    assert context.pairs(moment()) == []


# -- disassembly -----------------------------------------------------------------------------------


def test_the_arrow_stands_at_the_line_about_to_run() -> None:
    shown = disassembly.text(moment(registers=values(pc=BASE + 4), breakpoints=(BASE + 12,)))
    assert [row for row in shown.splitlines() if "=>" in row] == [
        " => 40080004  hvc #0                             11  hvc #0  // the call"
    ]
    assert [row[:12] for row in shown.splitlines() if row.startswith("●")] == ["●   4008000c"]
    assert "   _start:" in shown.splitlines()


def test_a_line_of_source_is_shown_where_it_begins() -> None:
    assert disassembly.text(moment()).count('show "  PE", x0') == 1


def test_symbols_stand_for_addresses() -> None:
    assert "bl print" in disassembly.text(moment())
    assert "ldr w0, #0x40080020" in disassembly.text(moment())


def test_data_and_empty_memory() -> None:
    data = Line(BASE, 0x1234, "", "", "", 0, "")
    empty = Line(BASE - 4, 0, "udf #0", "", "", 0, "")
    assert disassembly.text(moment(listing=(empty, data))) == " => 40080000  .word 0x00001234"
    assert disassembly.text(moment(listing=())) == "no instructions here"


# -- console, memory, summary ----------------------------------------------------------------------


def test_the_console_keeps_lines_and_shows_the_rest() -> None:
    assert console.text(moment(console="a\tb\r\nc\x1b[1m\x07")) == "a\tb\nc␛[1m␇"
    assert console.text(moment(console="x" * 5000)) == "…" + "x" * 4096


def test_a_hexdump() -> None:
    dump = memory.text(0x4000_0000, bytes(range(0x41, 0x53)))
    assert dump.splitlines() == [
        "40000000  41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50   ABCDEFGHIJKLMNOP",
        "40000010  51 52                                             QR",
    ]
    assert memory.text(0, b"") == ""
    assert "<td><code>&lt;b&gt;</code>" in memory.html(0, b"<b>")


CALL = (
    Hypercall(34, 34, 0, "HVC", BASE, 0xC4000022, (0, 0, 0, 0, 0)),
    HypercallResult(34, 34, 0, 0xC4000022, (1 << 64) - 3),
)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (
            moment(),
            "guest (kvm-v7), instruction 0 of 0, 0 ns, PE masked, EL1h. The guest is about to run",
        ),
        (
            moment(CALL, total=1200, time=1360, masked=False),
            "guest (kvm-v7), instruction 34 of 1,200, 1.36 µs, PE unmasked, EL1h. "
            "EVENT_ENABLE(event=0) = -3 DENIED.",
        ),
        (
            moment(CALL, index=40, previous=values(x=(1,) + (0,) * 30, pc=4)),
            "guest (kvm-v7), instruction 40 of 34, 0 ns, PE masked, EL1h. x0 changed.",
        ),
        (moment(index=9, previous=values(pc=4)), "No register changed but PC."),
        (
            moment(index=9, previous=values(x=tuple(range(1, 32)))),
            "x0, x1, x2, x3, x4, x5 and more changed.",
        ),
        (moment(stopped="switched off"), "Stopped: switched off."),
        (
            moment(forked=True, handlers=(handler(1, State.ENABLED, pending=True),)),
            "event 1 pending, changed by hand.",
        ),
    ],
)
def test_one_moment_in_one_line(shown: object, said: str) -> None:
    assert said in summary.text(shown)  # type: ignore[arg-type]


# -- everything, and hostile guests ----------------------------------------------------------------


class Tags(HTMLParser):
    """What a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(text: str) -> object:
    return moment(
        CALL,
        image=text,
        symbol=text,
        console=text,
        stopped=text,
        listing=(*LISTING, line(BASE + 20, "nop", text, 30, text)),
    )


@given(st.one_of(st.just(HOSTILE), st.text()))
def test_foreign_text_never_becomes_markup(text: str) -> None:
    seen = Tags()
    page = whole.html(hostile(text))  # type: ignore[arg-type]
    seen.feed(page)
    assert seen.tags <= set("section p strong pre table thead tbody tr th td code".split())
    assert seen.attributes <= {"scope"}


@given(st.text())
def test_foreign_text_is_visible_and_bounded(text: str) -> None:
    shown = words.printable(text)
    assert len(shown) <= 120
    assert shown.isprintable() or not any(ord(c) < 0x20 for c in shown)
    assert not any(c in shown for c in "\x00\x1b\u202e\u2066\u200b\ufeff")
    kept = words.printable_lines(text)
    assert len(kept) == len(text)
    assert not any(ord(c) < 0x20 and c not in "\t\n\r" for c in kept)


def test_the_whole_moment() -> None:
    text = whole.text(moment(CALL))
    for title, _ in whole.SECTIONS:
        assert f"-- {title} -" in text
    seen = Tags()
    seen.feed(whole.html(moment(CALL)))
    for word in (
        "Code",
        "Registers",
        "Events",
        "Calls and events",
        "Console",
        "EVENT_ENABLE(event=0)",
    ):
        assert word in seen.text
