"""A migration that is over, lived through again on the destination without its link."""

from dataclasses import replace
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.debugger import Recording, Session
from sdeiviz.errors import Error
from sdeiviz.machine import Paging
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.record import MigrationRecord, Watched
from sdeiviz.migration.replay import replay
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.trace import FetchDone, Trace

SPEED = LinkSpeed(1_000_000_000, delay=50_000, buffer=20_000)
SHARED = 1 << 20
"""Bytes of RAM that the guest's page tables and program lie within."""


def machine(mode: str, vcpus: int = 1) -> VirtualMachine:
    return VirtualMachine(
        "kernel",
        memory=4 << 20,
        vcpus=vcpus,
        bootargs="m=1 c=1 pages=128 touch=1 work=3000 time=60",
        paging=Paging(mode),
    )


def moved(
    mode: str,
    vcpus: int = 1,
    outage: tuple[int, int] | None = None,
    limit: int = 1 << 17,
    **how: Any,
) -> tuple[Simulation, MigrationRecord, Trace]:
    """A guest that is on the destination, with the trace of what it did there."""
    source, destination = machine(mode, vcpus), machine(mode, vcpus)
    trace = destination.trace
    assert isinstance(trace, Trace)
    source.run_until(20_000_000)
    run = Simulation(source, destination, Setup(SPEED, service=6700, place=4000, **how))
    watched = Watched(run, limit)
    run.switch()
    if outage:
        run.outage(run.time + outage[0], run.time + outage[1])
    run.finish()
    return run, watched.record(), trace


@pytest.mark.parametrize(
    ("mode", "vcpus", "how"),
    [
        ("sync", 1, {}),
        ("halt", 1, {"passes": 1}),
        ("arm64-v4", 1, {"passes": 1, "urgent": True}),
        ("arm64-v4", 2, {"jump": False}),
        ("irq-only", 1, {"outage": (1_000_000, 5_000_000)}),
        ("sync", 2, {"outage": (1_000_000, 5_000_000), "urgent": True}),
    ],
)
def test_the_guest_does_to_the_event_what_it_did(mode: str, vcpus: int, how: Any) -> None:
    run, record, trace = moved(mode, vcpus, **how)
    again = machine(mode, vcpus)
    replay(record, run.leaving.vm, again)
    arrived = again.index
    assert arrived == run.leaving.vm.index
    session = Session.over(Recording(again))
    session.run()
    run.vm.run()
    assert "errors 0\n" in run.vm.console
    lived = list(session.trace)
    assert len(lived) > 100
    assert lived == list(trace)[-len(lived) :]
    before = list(trace)[: -len(lived)]
    # What came before happened while the guest stood: nothing of it is missing in the replay.
    assert all(event.index in (0, arrived) for event in before)
    assert again.console == run.vm.console
    assert again.time == run.vm.time
    assert again.pager.states == run.vm.pager.states
    assert bytes(again.memory.view) == bytes(run.vm.memory.view)


def test_it_can_be_stepped_back_to_the_arrival_and_no_further() -> None:
    run, record, _ = moved("arm64-v4")
    again = machine("arm64-v4")
    replay(record, run.leaving.vm, again)
    start = again.index
    session = Session.over(Recording(again))
    session.run()
    placed = [event.index for event in session.trace if isinstance(event, FetchDone)]
    seen = {}
    for index in (placed[5], session.total, placed[0], placed[-1], placed[5], session.total):
        session.goto(index)
        now = session.snapshot()
        shown = now.time, now.registers, now.pages, now.console
        assert seen.setdefault(index, shown) == shown
    session.start()
    session.step_back()
    assert session.index == start
    with pytest.raises(Error, match="no index 0 in this recording"):
        session.goto(0)


def test_the_program_is_shown_before_anything_of_it_is_mapped() -> None:
    run, record, _ = moved("sync", passes=1)
    again = machine("sync")
    replay(record, run.leaving.vm, again)
    session = Session.over(Recording(again))
    first = session.snapshot()
    assert again.vcpus[0].read_word(first.registers.pc) is None
    session.step()
    shown = {line.address: line.word for line in first.listing}
    assert shown[first.registers.pc] == again.vcpus[0].read_word(first.registers.pc)
    mapped = {line.address: line.word for line in session.snapshot().listing}
    common = shown.keys() & mapped.keys()
    assert len(common) > 10
    assert all(shown[address] == mapped[address] for address in common)


def test_a_page_that_the_guest_wrote_there_is_not_taken_from_the_source() -> None:
    run, record, _ = moved("sync", passes=1)
    again = machine("sync")
    replay(record, run.leaving.vm, again)
    again.run()
    assert bytes(again.memory.view[SHARED:]) != bytes(run.leaving.vm.memory.view[SHARED:])


def test_what_cannot_be_lived_through_again() -> None:
    run, record, _ = moved("sync")
    source = run.leaving.vm
    unfinished = replace(record, phases=dict(record.phases, run=None))
    for wrong in (unfinished, replace(record, clock="wall")):
        with pytest.raises(Error, match="only a guest that has arrived, in virtual time"):
            replay(wrong, source, machine("sync"))
    with pytest.raises(Error, match="arrives on such a machine that has not run"):
        replay(record, source, run.vm)
    small = VirtualMachine("kernel", memory=8 << 20, paging=Paging("sync"))
    with pytest.raises(Error, match="a guest of 1024 pages arrives on such a machine"):
        replay(record, source, small)
    run, record, _ = moved("sync", limit=100)
    with pytest.raises(Error, match="forgotten when pages came"):
        replay(record, run.leaving.vm, machine("sync"))


def test_nothing_is_taken_away_while_it_is_lived_through() -> None:
    run, record, _ = moved("sync", passes=1)
    again = machine("sync")
    replay(record, run.leaving.vm, again)
    present = next(n for n in range(1024) if not again.memory.is_absent(n))
    with pytest.raises(Error, match="no page can be taken away"):
        again.pager.evict(present)
