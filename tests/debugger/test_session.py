"""What a session shows of a moment."""

from sdeiviz import Session
from tests.debugger.busy import session
from tests.machine.guest import BASE, DATA, guest

CODE = """
    mov x1, #7
    add x2, x1, #1
    cmp x1, x2
    svc #0
"""


def test_registers_and_what_changed_in_them() -> None:
    it = session(made=guest(CODE))
    assert it.snapshot().previous is None
    it.step()
    moment = it.snapshot()
    assert moment.previous
    changed = [
        (name, value)
        for (name, value), (_, before) in zip(
            moment.registers.items(), moment.previous.items(), strict=True
        )
        if value != before
    ]
    assert changed == [("x1", 7), ("pc", BASE + 4)]
    it.step(2)
    assert it.snapshot().registers.pstate == 0x8000_03C5
    it.step_back()
    assert it.snapshot().previous.pstate == 0x8000_03C5  # type: ignore[union-attr]
    assert it.snapshot().registers.pstate == 0x3C5
    names = [name for name, _ in moment.registers.items()]
    assert names[:32] == [*(f"x{n}" for n in range(31)), "sp"]
    assert len(names) == 41 == len(set(names))


def test_the_code_around_a_moment() -> None:
    it = session(made=guest(CODE))
    listing = it.snapshot().listing
    assert [line.text for line in listing[8:12]] == [
        "mov x1, #7",
        "add x2, x1, #1",
        "cmp x1, x2",
        "svc #0",
    ]
    assert [line.address for line in listing] == [*range(BASE - 32, BASE + 64, 4)]
    it.step(4)
    assert it.snapshot().registers.pc == 0x200  # nothing is there to list
    assert it.snapshot().listing == ()


def test_the_code_at_the_ends_of_ram() -> None:
    it = session(made=guest(CODE))
    for pc, first, last in (
        (0x4000_0000, 0x4000_0000, 0x4000_003C),
        (0x400F_FFFC, 0x400F_FFDC, 0x400F_FFFC),
    ):
        it.write_register("pc", pc)
        listing = it.snapshot().listing
        assert (listing[0].address, listing[-1].address) == (first, last)
    it.write_register("pc", 0)
    assert it.snapshot().listing == ()


def test_code_that_the_guest_wrote_is_listed_as_it_is_now() -> None:
    it = session(made=guest("adr x1, spot\n ldr w2, =0xd503201f\n str w2, [x1]\n spot: udf #0"))
    assert it.snapshot().listing[8 + 3].text != "nop"
    it.step(3)
    assert it.snapshot().listing[8].text == "nop"
    it.step_back()
    assert it.snapshot().listing[8 + 1].text != "nop"


def test_a_small_program_is_listed_whole() -> None:
    listing = Session("hello").listing()
    assert listing
    assert [line.label for line in listing[:3]] == ["_start", "", ""]
    assert (listing[1].number, listing[1].source.split()) == (11, ["mov", "sp,", "x0"])
    assert any("hvc" in line.text for line in listing)
    assert session(made=guest(CODE)).listing() is None  # a flat image has no code to find


def test_a_snapshot_does_not_change() -> None:
    it = session()
    it.step(30)
    moment = it.snapshot()
    kept = (moment.registers, moment.console, moment.index, moment.now, moment.handlers)
    it.step(200)
    it.step_back(100)
    it.write_memory(DATA, b"x")
    assert (moment.registers, moment.console, moment.index, moment.now, moment.handlers) == kept


def test_handlers_and_contexts_of_a_moment() -> None:
    it = Session("delivery")
    it.toggle_breakpoint("handler")
    it.run()
    moment = it.snapshot()
    assert [(h.event, int(h.state), h.pending) for h in moment.handlers] == [
        (0, 7, False),
        (1, 0, False),
    ]
    assert moment.contexts[0].pc == moment.registers.x[2]
    assert len(moment.contexts[0].x) == 18
    assert moment.symbol == "handler"
    assert moment.masked is False
    it.start()
    assert (it.snapshot().contexts, it.snapshot().masked) == ((), True)


def test_what_has_happened_up_to_a_moment() -> None:
    it = Session("delivery")
    it.run()
    events = [*it.trace]
    for index in range(0, it.total + 1, 7):
        it.goto(index)
        assert it.snapshot().now == len([e for e in events if e.index <= index])
        assert it.snapshot().total == it.total
