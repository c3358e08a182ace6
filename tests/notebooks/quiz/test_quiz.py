"""The answers of the quiz, checked by making each situation and looking.

Most situations take place in a bundled guest on the whole machine, with a hand in its registers
where it would not come there by itself; three in the dispatcher.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdeiviz.abi import pstate
from sdeiviz.classroom import moving, swapping
from sdeiviz.debugger import Session
from sdeiviz.errors import Error
from sdeiviz.experiment import bound, load_postcopy, migrate
from sdeiviz.machine import StopReason
from sdeiviz.migration.metrics import Faults
from sdeiviz.sdei.table import State
from sdeiviz.trace import (
    EventDelivered,
    ExceptionTaken,
    PageArrived,
    PageReady,
    ProbeHit,
    TraceEvent,
    VcpuBlocked,
)
from sdeiviz.views.threads import Doing, history
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


def paged(mode: str, **options: int) -> Session:
    session = Session("kernel", **swapping(mode, **options))
    session.run()
    return session


def happened(session: Session, kind: type[TraceEvent], **fields: object) -> int:
    return sum(
        isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        for event in session.trace
    )


def nobody_computes() -> dict[str, Any]:
    before, after = (paged(mode, m=2, c=0) for mode in ("sync", "arm64-v4"))
    written = [
        sum(map(int, re.findall(r"^M\d: cpu 0, done (\d+)", session.snapshot().console, re.M)))
        for session in (before, after)
    ]
    assert happened(before, VcpuBlocked) > 10
    return {
        "pages": "more" if written[1] > 1.5 * written[0] else "same",
        "idle": Doing.IDLE in history(after.trace).rows[0].spent(),
    }


def never_acknowledged() -> dict[str, Any]:
    session = paged("arm64-v4", m=2, noack=1)
    assert happened(session, PageArrived) == 2
    return {
        "missing": happened(session, EventDelivered),
        "ready": happened(session, PageReady),
        "woken": happened(session, ProbeHit, name="wake"),
    }


def three_to_one() -> dict[str, Any]:
    row = history(paged("sync", m=3, time=200).trace).rows[-1]
    assert row.name == "C compute"
    spent = row.spent()
    share = spent[Doing.RUNNING] / sum(spent.values())
    return {"percent": 5 * round(share * 20), "bound": round(100 * bound(3, 1))}


def deeper_socket() -> dict[str, Any]:
    was, now = moving("sync"), moving("sync", buffer=1 << 17)
    for guest in (was, now):
        guest.migrate()
    before, after = was.report()["times"]["downtime"], now.report()["times"]["downtime"]
    usual = now.report()["faults"]["latency"]["p50"]
    return {
        "latency": 50 * round(usual / 50_000),
        "downtime": "longer" if after > 1.2 * before else "shorter" if after < before else "same",
    }


def all_blocked() -> dict[str, Any]:
    faults = Faults(3)
    for vcpu, begin in ((0, 0), (1, 400), (2, 500)):
        faults.begin(vcpu, vcpu, begin)
    for page, end in ((0, 600), (2, 700), (1, 1000)):
        faults.end(page, end)
    return {"blocktime": faults.report(1000)["blocktime"]}


def lost_host() -> dict[str, Any]:
    guest = moving("sync")
    guest.switch()
    guest.outage(guest.time + 2_000_000)
    arrived = guest.vm.index
    with pytest.raises(Error, match="the source is lost"):
        guest.finish()
    waits = [m.kind for m in guest.record().moments if m.kind in ("fault", "resumed")]
    return {
        "home": "destination" if guest.arriving.running else "source",
        "runs": guest.vm.index > arrived + 1000,
        "blocked": waits[-1] == "fault",
        "may_return": guest.source.may_run_on,
    }


def ends_with_m() -> dict[str, Any]:
    counted, rates, times = [], [], []
    for mode in ("sync", "arm64-v4"):
        options = swapping(mode, passes=3)
        options["bootargs"] = options["bootargs"].replace("time=20 ", "")
        session = Session("kernel", **options)
        session.run()
        units = int(re.search(r"^C0: cpu 0, done (\d+)", session.snapshot().console, re.M)[1])
        start, end = (
            next(e.time for e in session.trace if isinstance(e, ProbeHit) and e.name == name)
            for name in ("start", "end")
        )
        counted.append(round(units, -3))
        rates.append(units / (end - start))
        times.append(end - start)
    assert counted == [430_000, 397_000]
    assert round(100 * times[1] / times[0]) == 54
    return {"rate": round(100 * (rates[1] / rates[0] - 1), -1)}


def slower_link() -> dict[str, Any]:
    short = load_postcopy().set("workload.pages", 1024).set("workload.memory", 8)
    short = short.set("link.buffer", 100_000)
    for name, value in (("slice", 750_000), ("tick", 1_000_000), ("wakeup", 250_000)):
        short = short.set(f"guest.{name}", value)
    case = short.migration("preempt")
    slow = short.set("link.delay", 10 * short["link.delay"])
    runs = [migrate(case, mode, p) for mode in ("sync", "arm64-v4") for p in (short, slow)]

    def became(old: float, new: float) -> str:
        return "same" if abs(new / old - 1) <= 0.05 else "higher" if new > old else "lower"

    rates, (fast, slowed) = [run.rate for run in runs], runs[:2]
    return {
        "c": became(*rates[:2]),
        "m": became(fast.pages_per_ms, slowed.pages_per_ms),
        "told": became(*rates[2:]),
    }


SITUATIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "order": order,
    "unregister-inside": unregister_inside,
    "complete-outside": complete_outside,
    "three-injections": three_injections,
    "bad-stack": bad_stack,
    "resume-from-user": resume_from_user,
    "nobody-computes": nobody_computes,
    "never-acknowledged": never_acknowledged,
    "three-to-one": three_to_one,
    "deeper-socket": deeper_socket,
    "all-blocked": all_blocked,
    "lost-host": lost_host,
    "ends-with-m": ends_with_m,
    "slower-link": slower_link,
}


def test_there_are_fourteen_questions_and_each_has_its_situation() -> None:
    assert list(QUIZ) == list(SITUATIONS)
    assert len(QUIZ) == 14


@pytest.mark.parametrize("name", QUIZ)
def test_what_happens_is_the_answer_and_no_other_option(name: str) -> None:
    question = QUIZ[name]
    seen = SITUATIONS[name]()
    fitting = [letter for letter, option in question["options"].items() if option["seen"] == seen]
    assert fitting == [question["answer"]], seen
