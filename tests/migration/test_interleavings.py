"""Both sides over a connection that is lost at any point, in any order of events."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sdeiviz.migration import DestinationState, SourceState
from tests.migration.board import STATE, Connection, content, numbers, pair

PAGES = 6
pages = st.integers(0, PAGES - 1)
values = st.integers(0, 3)
# Around the frames of a zero page and of a full one, and anything.
sizes = st.sampled_from([1, 15, 16, 21, 22, 25, 4117, 4118, 5000, 8217, 1 << 20])


class Migration(RuleBasedStateMachine):
    """A guest that writes before and after, two channels perhaps, and losses."""

    urgent: bool

    @initialize(
        start=st.lists(values, min_size=PAGES, max_size=PAGES),
        jump=st.booleans(),
        bulk=st.sampled_from([1, 2, PAGES]),
        ahead=st.integers(0, PAGES + 3),
        written=st.dictionaries(pages, values),
        gone=st.booleans(),
    )
    def begin(
        self,
        start: list[int],
        jump: bool,
        bulk: int,
        ahead: int,
        written: dict[int, int],
        gone: bool,
    ) -> None:
        """Part of a pass is over, the guest has written, and may be on its way already."""
        self.old, self.source, self.new, self.destination = pair(
            start, urgent=self.urgent, jump=jump, bulk=bulk
        )
        self.connection: Connection | None = None
        self.frozen: list[int] = []
        """What RAM held when the guest was handed over."""
        self.sent: list[int] = []
        """Pages that were pulled since the package or the last recovery."""
        self.written: dict[int, bytes] = {}
        """By the guest over there."""
        self.touched: set[int] = set()
        self.source.start()
        self.connect()
        self.send(ahead, 0)
        self.arrive(1 << 20, 0)
        for page, value in written.items():
            self.old.write(page, value)
        if gone:
            self.switch()
            self.send(9, 0)

    @precondition(lambda self: self.source.state is SourceState.FAILED)
    @rule(value=values, page=pages, jump=st.booleans(), bulk=st.integers(1, PAGES))
    def run_on_and_begin_again(self, page: int, value: int, jump: bool, bulk: int) -> None:
        self.old.write(page, value)
        self.begin(self.old.values, jump, bulk, 0, {}, False)

    def connect(self) -> None:
        self.sent.clear()
        self.connection = Connection(self.source, self.destination, 1 + self.urgent)

    def postcopy(self) -> bool:
        return not self.source.may_run_on

    @precondition(lambda self: self.source.may_run_on and not self.frozen)
    @rule(page=pages, value=values)
    def write_here(self, page: int, value: int) -> None:
        self.old.write(page, value)

    @precondition(lambda self: self.source.state is SourceState.PRECOPY)
    @rule()
    def switch(self) -> None:
        self.source.switch(STATE)
        self.frozen = list(self.old.values)

    @precondition(lambda self: self.connection)
    @rule(count=st.integers(1, 9), channel=st.integers(0, 1))
    def send(self, count: int, channel: int) -> None:
        assert self.connection
        for _ in range(count):
            before = self.postcopy()
            message = self.connection.pull(channel * self.urgent)
            if message and before:
                self.sent += numbers([message])

    @precondition(lambda self: self.connection)
    @rule(size=sizes, channel=st.integers(0, 1))
    def arrive(self, size: int, channel: int) -> None:
        assert self.connection
        self.connection.deliver(channel * self.urgent, size)

    @precondition(lambda self: self.connection)
    @rule(size=sizes)
    def answer(self, size: int) -> None:
        assert self.connection
        while self.connection.pull_back():
            pass
        self.connection.deliver_back(size)

    @precondition(lambda self: self.destination.runs)
    @rule(page=pages, value=st.none() | values)
    def touch_there(self, page: int, value: int | None) -> None:
        """The guest over there reads a page, or writes it; if it is absent it has to wait."""
        if page not in self.new.pages:
            asked = page in self.touched
            assert self.destination.fault(page) is not asked
            self.touched.add(page)
            return
        assert not self.destination.fault(page)
        assert self.new.pages[page] == self.expected(page)
        if value is not None:
            self.written[page] = self.new.pages[page] = content(value + 100)

    def expected(self, page: int) -> bytes:
        return self.written.get(page, content(self.frozen[page]))

    @precondition(lambda self: self.connection)
    @rule()
    def lose(self) -> None:
        self.connection = None
        self.source.disconnected()
        self.destination.disconnected()

    @precondition(lambda self: not self.connection and self.source.state is SourceState.PAUSED)
    @rule()
    def reconnect(self) -> None:
        self.source.reconnected()
        self.destination.reconnected()
        self.connect()

    @invariant()
    def one_guest(self) -> None:
        assert not (self.source.may_run_on and self.destination.runs)
        assert self.new.running == self.destination.runs

    @invariant()
    def nothing_twice(self) -> None:
        assert len(self.sent) == len({*self.sent})
        assert len(self.new.placed) == len({*self.new.placed})

    @invariant()
    def requests_are_counted_once(self) -> None:
        assert self.destination.requests == len(self.touched)

    @invariant()
    def a_failure_leaves_the_guest_here(self) -> None:
        if self.source.state is SourceState.FAILED:
            assert self.source.may_run_on
            assert not self.destination.runs

    def teardown(self) -> None:
        """With a connection that holds, everything comes to its end."""
        if not hasattr(self, "source") or self.source.state is SourceState.FAILED:
            return
        if not self.connection and self.source.state is not SourceState.COMPLETED:
            self.reconnect()
        if self.source.state is SourceState.PRECOPY:
            self.switch()
        if self.connection:
            self.connection.flush()
        assert self.source.state is SourceState.COMPLETED
        assert self.destination.state is DestinationState.END
        assert self.destination.waiting == ()
        for page in range(PAGES):
            assert self.new.pages[page] == self.expected(page)
        self.nothing_twice()


@pytest.mark.parametrize("urgent", [False, True])
def test_any_order_of_events(urgent: bool) -> None:
    class Chosen(Migration):
        pass

    Chosen.urgent = urgent
    run_state_machine_as_test(
        Chosen, settings=settings(max_examples=400, stateful_step_count=40, deadline=None)
    )
