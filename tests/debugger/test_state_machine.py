"""Commands of a session in any order, against a plain machine that does the same from the start."""

from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sdeiviz import Session
from sdeiviz.debugger import recording
from tests.debugger.busy import BUSY, Action, Oracle, session, state
from tests.machine.crew import QUANTUM, crew
from tests.machine.guest import DATA

PLACES = [BUSY[name] for name in ("again", "leaf", "handler", "resumed", "caught")]
LONGEST = 600


class SessionCommands(RuleBasedStateMachine):
    """The model is a list of inputs, how far was recorded, and where we are."""

    oracle = Oracle()
    places = PLACES
    longest = LONGEST * 2

    def open(self, limit: int, clock: str) -> Session:
        return session(limit, clock=clock)

    def __init__(self) -> None:
        super().__init__()
        self.patch = mock.patch.object(recording, "_KEYFRAME_SECONDS", -1)
        self.patch.start()
        self.inputs: list[Action] = []
        self.end = 0
        self.index = 0

    def teardown(self) -> None:
        self.patch.stop()

    @initialize(
        limit=st.sampled_from([1, 200_000, 1 << 28]), clock=st.sampled_from(["native", "python"])
    )
    def begin(self, limit: int, clock: str) -> None:
        self.session = self.open(limit, clock)

    # -- moves

    def went_to(self, target: int) -> None:
        """It went on to an index, or to where the machine stops before."""
        self.index = self.oracle.run(self.inputs, min(target, self.longest)).index
        self.end = max(self.end, self.index)

    @rule(count=st.integers(0, 60))
    def step(self, count: int) -> None:
        self.session.step(count)
        self.went_to(self.index + count)

    @rule(count=st.integers(0, 90))
    def run(self, count: int) -> None:
        target = self.index + count
        while self.session.index < target:
            stop = self.session.run(target - self.session.index)
            if stop.reason != "breakpoint":
                break
            assert self.pc in self.session.breakpoints
        self.went_to(target)

    @rule(count=st.integers(0, 100))
    def step_back(self, count: int) -> None:
        self.session.step_back(count)
        self.index = max(0, self.index - count)

    @rule(data=st.data())
    def goto(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, self.end))
        self.session.goto(index)
        self.index = index

    @rule()
    def previous_moment(self) -> None:
        self.session.previous_sdei()
        assert self.session.index < self.index or self.index == 0
        self.index = self.session.index

    @precondition(lambda self: self.index < self.end)
    @rule()
    def next_moment(self) -> None:
        self.session.next_sdei()
        assert self.session.index > self.index
        self.index = self.session.index
        self.end = max(self.end, self.index)

    @rule(data=st.data())
    def breakpoint(self, data: st.DataObject) -> None:
        self.session.toggle_breakpoint(data.draw(st.sampled_from(self.places)))

    @rule()
    def run_back(self) -> None:
        found = self.session.run_back()
        assert self.session.index < self.index or self.index == 0
        self.index = self.session.index
        if found:
            assert self.pc in self.session.breakpoints
        else:
            assert self.index == 0

    @property
    def pc(self) -> int:
        """What is about to run."""
        (current,) = (pe for pe in self.session.snapshot().pes if pe.current)
        return current.pc

    # -- inputs

    def act(self, method: str, *arguments: object) -> None:
        of_one = method not in ("write_memory", "send_console")
        options = {"vcpu": self.session.vcpu} if of_one else {}
        getattr(self.session, method)(*arguments)
        # The inputs of this very index have all been made again on the way here.
        self.inputs = [a for a in self.inputs if a.index <= self.index]
        self.inputs.append(Action(self.index, method, arguments, options))
        self.end = self.index

    @rule(event=st.integers(0, 2))
    def inject(self, event: int) -> None:
        self.act("inject_event", event)

    @rule(event=st.integers(0, 1))
    def cancel(self, event: int) -> None:
        self.act("cancel_event", event)

    @rule(register=st.integers(15, 23), value=st.integers(0, 1 << 64))
    def write_register(self, register: int, value: int) -> None:
        self.act("write_register", f"x{register}", value)

    @rule(page=st.integers(0, 15), at=st.integers(0, 4000), text=st.binary(min_size=1, max_size=90))
    def write_memory(self, page: int, at: int, text: bytes) -> None:
        self.act("write_memory", DATA + page * 4096 + at, text)

    @rule(step=st.integers(0, 7))
    def write_code(self, step: int) -> None:
        """The first instruction of `leaf`: add x15, x15, #step."""
        word = 0x9100_01EF | step << 10
        self.act("write_memory", BUSY["leaf"], word.to_bytes(4, "little"))

    @rule(text=st.text("abc", max_size=3))
    def type(self, text: str) -> None:
        self.act("send_console", text)

    # -- what must hold

    @invariant()
    def it_is_the_plain_machine(self) -> None:
        if not hasattr(self, "session"):
            return
        it = self.session
        assert (it.index, it.total) == (self.index, self.end)
        assert state(it) == self.oracle.state(self.inputs, self.index)
        assert [*it.trace] == self.oracle.trace(self.inputs, self.end)


class CrewCommands(SessionCommands):
    """The same with three vCPUs, one of which may be pinned."""

    oracle = Oracle(crew(), profile="den0054c", vcpus=3, quantum=QUANTUM)
    places = tuple(crew()[name] for name in ("round", "handler", "critical", "irq", "member"))

    longest = 10_000  # it ends by itself long before

    def open(self, limit: int, clock: str) -> Session:
        options = {"profile": "den0054c", "vcpus": 3, "quantum": QUANTUM}
        return session(limit, crew(), clock=clock, **options)

    @rule(vcpu=st.sampled_from([None, 0, 1, 2]))
    def select(self, vcpu: int | None) -> None:
        self.session.select(vcpu)

    @rule(count=st.integers(80, 400))
    def run_on(self, count: int) -> None:
        self.run(count)

    @rule(vcpu=st.integers(0, 2), event=st.sampled_from([0x4040_0001, 0x4040_0028]))
    def inject_other(self, vcpu: int, event: int) -> None:
        shown = self.session.snapshot().vcpu if self.session.snapshot().pinned else None
        self.session.select(vcpu)
        self.act("inject_event", event)
        self.session.select(shown)

    @rule(vcpu=st.integers(0, 2))
    def step_vcpu(self, vcpu: int) -> None:
        if self.session.snapshot().pes[vcpu].on and self.index < LONGEST:
            self.session.step(vcpu=vcpu)
            self.index = self.session.index
            self.end = max(self.end, self.index)


_SETTINGS = {
    "stateful_step_count": 30,
    "deadline": None,
    "suppress_health_check": [*HealthCheck],
}
TestSessionCommands = SessionCommands.TestCase
TestSessionCommands.settings = settings(max_examples=60, **_SETTINGS)
TestCrewCommands = CrewCommands.TestCase
TestCrewCommands.settings = settings(max_examples=40, **_SETTINGS)
