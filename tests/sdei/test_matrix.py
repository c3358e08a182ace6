"""All calls in all six states, for private and for shared events, as DEN0054C's tables 7-14 say."""

import pytest

from tests.sdei.board import (
    CRITICAL,
    INTID,
    NORMAL,
    OUT_OF_RESOURCE,
    PPI_CRITICAL,
    PPI_NORMAL,
    SPI_CRITICAL,
    SPI_NORMAL,
    Board,
)
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    DENIED,
    DISABLE,
    ENABLE,
    FEATURES,
    GET_INFO,
    INTERRUPT_BIND,
    INTERRUPT_RELEASE,
    INVALID,
    PE_MASK,
    PE_UNMASK,
    PENDING,
    PRIVATE_RESET,
    REGISTER,
    RESUME,
    ROUTING_SET,
    SHARED_RESET,
    SIGNAL,
    STATUS,
    SUCCESS,
    UNREGISTER,
    VERSION,
    Guest,
)

STATES = {"U": 0, "R": 1, "E": 3, "ER": 7, "RR": 5, "UP": 4}
PRIVATE_BOUND, SHARED_BOUND = 0x4000_0000, 0x4000_1000
PRIVATE = (0, NORMAL, CRITICAL, PPI_NORMAL, PPI_CRITICAL, PRIVATE_BOUND)
SHARED = (SPI_NORMAL, SPI_CRITICAL, SHARED_BOUND)
X6 = -0x0FFF_FFFF_FFFF_FFFA
"""x6 as interrupted."""

# state: (answer, what EVENT_STATUS says afterwards)
Row = dict[str, tuple[int | None, int]]

ALL: dict[str, tuple[tuple[int, ...], Row]] = {
    "REGISTER": (
        (REGISTER, 0x1000, 2, 0, 0),
        {"U": (0, 1), "R": (-3, 1), "E": (-3, 3), "ER": (-3, 7), "RR": (-3, 5), "UP": (-3, 4)},
    ),
    "ENABLE": (
        (ENABLE,),
        {"U": (-3, 0), "R": (0, 3), "E": (0, 3), "ER": (0, 7), "RR": (0, 7), "UP": (-3, 4)},
    ),
    "DISABLE": (
        (DISABLE,),
        {"U": (-3, 0), "R": (0, 1), "E": (0, 1), "ER": (0, 5), "RR": (0, 5), "UP": (-3, 4)},
    ),
    "UNREGISTER": (
        (UNREGISTER,),
        {"U": (-3, 0), "R": (0, 0), "E": (0, 0), "ER": (-5, 4), "RR": (-5, 4), "UP": (-5, 4)},
    ),
    "STATUS": (
        (STATUS,),
        {"U": (0, 0), "R": (1, 1), "E": (3, 3), "ER": (7, 7), "RR": (5, 5), "UP": (4, 4)},
    ),
}
# Calls that name no event: they are about the handler that runs.
RUNNING: dict[str, tuple[tuple[int, ...], Row]] = {
    "CONTEXT": (
        (CONTEXT, 6),
        {"U": (-3, 0), "R": (-3, 1), "E": (-3, 3), "ER": (X6, 7), "RR": (X6, 5), "UP": (X6, 4)},
    ),
    "COMPLETE": (
        (COMPLETE, 0),
        {
            "U": (-3, 0),
            "R": (-3, 1),
            "E": (-3, 3),
            "ER": (None, 3),
            "RR": (None, 1),
            "UP": (None, 0),
        },
    ),
    "RESUME": (
        (RESUME, 0x4000),
        {
            "U": (-3, 0),
            "R": (-3, 1),
            "E": (-3, 3),
            "ER": (None, 3),
            "RR": (None, 1),
            "UP": (None, 0),
        },
    ),
}
RESETS: Row = {"U": (0, 0), "R": (0, 0), "E": (0, 0), "ER": (-3, 4), "RR": (-3, 4), "UP": (-3, 4)}


def board(event: int, state: str) -> Board:
    made = Board(pes=2)
    if event in (PRIVATE_BOUND, SHARED_BOUND):
        assert made[0].call(INTERRUPT_BIND, INTID[event]) == event
    made.bring(state, event)
    return made


def check(guest: Guest, event: int, call: tuple[int, ...], answer: int | None, status: int) -> None:
    told = guest.call(*call)
    if answer is None:
        assert guest.sdei.contexts == []
    else:
        assert told == answer
    assert guest.call(STATUS, event) == status


def cases(table: dict[str, tuple[tuple[int, ...], Row]]) -> list[tuple[str, str, int | None, int]]:
    return [(name, state, *cell) for name, (_, row) in table.items() for state, cell in row.items()]


@pytest.mark.parametrize("event", PRIVATE + SHARED, ids=hex)
class TestAnyEvent:
    @pytest.mark.parametrize(("name", "state", "answer", "status"), cases(ALL))
    def test_calls_that_name_the_event(
        self, event: int, name: str, state: str, answer: int, status: int
    ) -> None:
        function, *arguments = ALL[name][0]
        made = board(event, state)
        check(made[0], event, (function, event, *arguments), answer, status)

    @pytest.mark.parametrize(("name", "state", "answer", "status"), cases(RUNNING))
    def test_calls_about_the_running_handler(
        self, event: int, name: str, state: str, answer: int | None, status: int
    ) -> None:
        check(board(event, state)[0], event, RUNNING[name][0], answer, status)

    @pytest.mark.parametrize("state", STATES)
    def test_info(self, event: int, state: str) -> None:
        guest = board(event, state)[0]
        assert guest.call(GET_INFO, event, 0) == int(event in SHARED)
        assert guest.call(GET_INFO, event, 1) == int(event != 0)
        assert guest.call(GET_INFO, event, 2) == int(
            event in (CRITICAL, PPI_CRITICAL, SPI_CRITICAL)
        )
        assert guest.call(GET_INFO, event, 5) == INVALID
        assert guest.call(GET_INFO, event, 0xFFFF_FFFF) == INVALID

    @pytest.mark.parametrize("state", STATES)
    def test_always_available(self, event: int, state: str) -> None:
        guest = board(event, state)[0]
        status = STATES[state]
        assert guest.call(VERSION) == 0x0001_0001_0000_0000
        assert guest.call(FEATURES, 0) == 0x0002_0002
        assert guest.call(FEATURES, 1) == 1
        assert guest.call(FEATURES, 2) == INVALID
        assert guest.call(FEATURES, 16) == INVALID
        assert guest.call(SIGNAL, 0, 0) == SUCCESS
        assert guest.call(SIGNAL, 1, 0) == INVALID
        assert guest.call(PE_UNMASK) == SUCCESS
        assert guest.call(PE_MASK) == 1
        assert guest.call(PE_MASK) == 0
        assert guest.call(PE_UNMASK) == SUCCESS
        assert guest.call(PE_UNMASK) == SUCCESS
        assert guest.call(INTERRUPT_BIND, 17) in (0x4000_0000, 0x4000_0001)
        assert guest.call(INTERRUPT_BIND, 45) in (0x4000_1000, 0x4000_1001)
        assert guest.call(STATUS, event) == status

    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("function", [0xC400_0033, 0xC400_003E, 0xC400_003F, 0x8400_0020])
    def test_what_is_no_call(self, event: int, state: str, function: int) -> None:
        assert board(event, state)[0].call(function, event) == -1


@pytest.mark.parametrize("event", PRIVATE, ids=hex)
class TestPrivate:
    @pytest.mark.parametrize(("state", "answer", "status"), [(s, *c) for s, c in RESETS.items()])
    def test_private_reset(self, event: int, state: str, answer: int, status: int) -> None:
        check(board(event, state)[0], event, (PRIVATE_RESET,), answer, status)

    @pytest.mark.parametrize("state", STATES)
    def test_shared_reset_leaves_it(self, event: int, state: str) -> None:
        """It also releases the binding, where nobody has it registered any more."""
        guest = board(event, state)[0]
        bound = event == PRIVATE_BOUND
        assert guest.call(SHARED_RESET) == (DENIED if bound and state != "U" else SUCCESS)
        gone = bound and state == "U"
        assert guest.call(STATUS, event) == (INVALID if gone else STATES[state])

    @pytest.mark.parametrize("state", STATES)
    def test_it_has_no_routing(self, event: int, state: str) -> None:
        guest = board(event, state)[0]
        assert guest.call(ROUTING_SET, event, 0, 0) == INVALID
        assert guest.call(GET_INFO, event, 3) == INVALID
        assert guest.call(GET_INFO, event, 4) == INVALID

    @pytest.mark.parametrize("state", STATES)
    def test_the_other_pe_is_in_a_state_of_its_own(self, event: int, state: str) -> None:
        other = board(event, state)[1]
        assert other.call(STATUS, event) == 0
        assert other.call(ENABLE, event) == DENIED
        assert other.call(UNREGISTER, event) == DENIED
        assert other.call(CONTEXT, 0) == DENIED
        assert other.call(COMPLETE, 0) == DENIED
        assert other.call(PRIVATE_RESET) == SUCCESS
        assert other.call(REGISTER, event, 0x1000, 0, 0, 0) == SUCCESS


@pytest.mark.parametrize("event", SHARED, ids=hex)
class TestShared:
    @pytest.mark.parametrize(("state", "answer", "status"), [(s, *c) for s, c in RESETS.items()])
    @pytest.mark.parametrize("pe", [0, 1])
    def test_shared_reset(self, event: int, pe: int, state: str, answer: int, status: int) -> None:
        guest = board(event, state)[pe]
        assert guest.call(SHARED_RESET) == answer
        gone = event == SHARED_BOUND and answer == 0
        assert guest.call(STATUS, event) == (INVALID if gone else status)

    @pytest.mark.parametrize("state", STATES)
    def test_private_reset_leaves_it(self, event: int, state: str) -> None:
        check(board(event, state)[0], event, (PRIVATE_RESET,), SUCCESS, STATES[state])

    @pytest.mark.parametrize(
        ("state", "answer"),
        [("U", -3), ("R", 0), ("E", -3), ("ER", -3), ("RR", -3), ("UP", -3)],
    )
    @pytest.mark.parametrize("pe", [0, 1])
    def test_routing_set(self, event: int, pe: int, state: str, answer: int) -> None:
        guest = board(event, state)[pe]
        check(guest, event, (ROUTING_SET, event, 1, 1), answer, STATES[state])

    @pytest.mark.parametrize(
        ("state", "mode"),
        [("U", -3), ("R", 0), ("E", 0), ("ER", 0), ("RR", 0), ("UP", -3)],
    )
    def test_routing_info(self, event: int, state: str, mode: int) -> None:
        guest = board(event, state)[1]
        assert guest.call(GET_INFO, event, 3) == mode
        assert guest.call(GET_INFO, event, 4) == (mode or INVALID)

    @pytest.mark.parametrize("state", STATES)
    def test_the_other_pe_sees_the_same_state(self, event: int, state: str) -> None:
        other = board(event, state)[1]
        assert other.call(STATUS, event) == STATES[state]
        assert other.call(CONTEXT, 0) == DENIED
        assert other.call(COMPLETE, 0) == DENIED
        assert other.call(RESUME, 0x1000) == DENIED
        assert other.call(STATUS, event) == STATES[state]

    @pytest.mark.parametrize(("name", "state", "answer", "status"), cases(ALL))
    def test_the_other_pe_may_move_it(
        self, event: int, name: str, state: str, answer: int, status: int
    ) -> None:
        function, *arguments = ALL[name][0]
        made = board(event, state)
        check(made[1], event, (function, event, *arguments), answer, status)
        assert made[0].call(STATUS, event) == status


@pytest.mark.parametrize(
    ("state", "answer"), [("U", 0), ("R", -3), ("E", -3), ("ER", -3), ("RR", -3), ("UP", -3)]
)
@pytest.mark.parametrize("event", [PRIVATE_BOUND, SHARED_BOUND], ids=hex)
@pytest.mark.parametrize("pe", [0, 1])
def test_release(event: int, state: str, answer: int, pe: int) -> None:
    made = board(event, state)
    assert made[pe].call(INTERRUPT_RELEASE, event) == answer
    assert made[0].call(STATUS, event) == (STATES[state] if answer else INVALID)


UNKNOWN = (1, 2, 0x10000, 0x4000_0000, 0x4000_1000, 0x4040_0002, 0x8000_0000, 0xFFFF_FFFF)


@pytest.mark.parametrize("event", UNKNOWN, ids=hex)
@pytest.mark.parametrize(
    "call",
    [
        (REGISTER, 0x1000, 0, 0, 0),
        (ENABLE,),
        (DISABLE,),
        (UNREGISTER,),
        (STATUS,),
        (GET_INFO, 0),
        (ROUTING_SET, 0, 0),
        (INTERRUPT_RELEASE,),
        (SIGNAL, 0),
    ],
)
def test_unknown_event(event: int, call: tuple[int, ...]) -> None:
    function, *arguments = call
    assert Board()[0].call(function, event, *arguments) == INVALID


@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFF_FFFF << 32])
def test_event_numbers_have_32_bits(high: int) -> None:
    guest = Board()[0]
    assert guest.call(REGISTER, high | NORMAL, 0x1000, 0, 0, 0) == SUCCESS
    assert guest.call(ENABLE, high | NORMAL) == SUCCESS
    assert guest.call(STATUS, high | NORMAL) == 3
    assert guest.call(GET_INFO, high | NORMAL, high | 1) == 1
    assert guest.call(INTERRUPT_BIND, high | 25) == 0x4000_0000
    assert guest.call(INTERRUPT_RELEASE, high | 0x4000_0000) == SUCCESS
    assert guest.call(SIGNAL, high, 0) == SUCCESS
    assert guest.call(UNREGISTER, high | NORMAL) == SUCCESS


def test_pending_and_out_of_resource_are_sign_extended() -> None:
    made = Board().bring("ER")
    assert made[0].call(UNREGISTER, NORMAL) == PENDING
    assert made[0].vcpu.x[0] == 0xFFFF_FFFF_FFFF_FFFB
    for intid in (24, 25):
        made[0].call(INTERRUPT_BIND, intid)
    assert made[0].call(INTERRUPT_BIND, 26) == OUT_OF_RESOURCE
    assert made[0].vcpu.x[0] == 0xFFFF_FFFF_FFFF_FFF6


@pytest.mark.parametrize("state", ["U", "E", "ER"])
def test_a_call_changes_x0_only(state: str) -> None:
    made = Board().bring(state)
    vcpu = made[0].vcpu
    for call in (
        (VERSION,),
        (STATUS, NORMAL),
        (ENABLE, 99),
        (CONTEXT, 99),
        (INTERRUPT_BIND, 25),
        (SIGNAL, 0, 0),
        (SHARED_RESET,),
        (0xC400_003F,),
    ):
        for n in range(31):
            vcpu.x[n] = 0xA5A5_0000 + n
        where = vcpu.where()
        made[0].call(*call)
        given = len(call)
        assert list(vcpu.x[given:]) == [0xA5A5_0000 + n for n in range(given, 31)]
        assert list(vcpu.x[1:given]) == list(call[1:])
        assert vcpu.where() == where
