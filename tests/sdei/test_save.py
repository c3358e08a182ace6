"""What is remembered of a vCPU survives save and load, whole and unshared."""

import json

import pytest

from sdeiviz.sdei import VcpuSdei
from tests.sdei.board import CRITICAL, NORMAL, SPI_CRITICAL, SPI_NORMAL, Board
from tests.sdei.vcpu import ARGUMENT, COMPLETE, ENTRY, PC, PE_MASK, PE_UNMASK, PSTATE, STATUS, Guest

STATES = ["U", "R", "E", "ER", "RR", "UP"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("other", ["U", "R", "E"])
@pytest.mark.parametrize("event", [0, 1])
@pytest.mark.parametrize("mask", [PE_MASK, PE_UNMASK])
@pytest.mark.parametrize("pending", [False, True])
def test_round_trip(state: str, other: str, event: int, mask: int, pending: bool) -> None:
    guest = Guest().bring(state, event).bring(other, 1 - event)
    if pending:
        guest.inject(0)
        guest.inject(1)
    guest.call(mask)
    saved = guest.sdei.save()
    loaded = VcpuSdei()
    loaded.load(saved)
    assert loaded == guest.sdei
    assert loaded.save() == saved
    # The same after a detour through JSON, where tuples become lists.
    again = VcpuSdei()
    again.load(json.loads(json.dumps(saved)))
    assert again == guest.sdei


def test_what_is_saved() -> None:
    guest = Guest().bring("ER", 1)
    guest.inject(1)
    assert guest.sdei.save() == {
        "masked": False,
        "requested": True,
        "mask_after": 0,
        "early": (0, ()),
        "handlers": [
            (0, 0, False, 0, 0, False),
            (1, 7, True, ENTRY + 0x100, ARGUMENT + 1, False),
        ],
        "contexts": [
            (1, PC, PSTATE, (0, 0, 0, 0, 0, *(0xF000_0000_0000_0000 + n for n in range(5, 18))))
        ],
    }


def test_nothing_is_shared() -> None:
    guest = Guest().bring("ER")
    saved = guest.sdei.save()
    other = Guest()
    other.sdei.load(saved)
    guest.vcpu.sdei.contexts[0].registers = bytes(18 * 8)
    guest.call(COMPLETE, 0)
    assert guest.call(STATUS, 0) == 3
    assert other.call(STATUS, 0) == 7
    other.call(COMPLETE, 0)
    assert other.vcpu.x[5] == 0xF000_0000_0000_0005
    again = Guest()
    again.sdei.load(saved)
    assert again.call(STATUS, 0) == 7


def test_load_replaces_what_was_there() -> None:
    fresh = Guest().sdei.save()
    guest = Guest().bring("UP", 1)
    guest.sdei.load(fresh)
    assert guest.sdei == VcpuSdei()


@pytest.mark.parametrize("state", ["ER", "RR", "UP"])
def test_a_loaded_handler_completes(state: str) -> None:
    source = Guest().bring(state)
    target = Guest()
    target.sdei.load(source.sdei.save())
    target.vcpu.pc, target.vcpu.pstate = 1, 2
    target.call(COMPLETE, 0)
    assert (target.vcpu.pc, target.vcpu.pstate) == (PC, PSTATE)
    assert target.call(STATUS, 0) == {"ER": 3, "RR": 1, "UP": 0}[state]


class TestMachine:
    """Several PEs with what they share, into another machine."""

    def busy(self) -> Board:
        board = Board()
        private, shared = (board[0].call(0xC400_002D, n) for n in (25, 50))
        board.bring("E", private, 1).start(NORMAL, 0).start(SPI_CRITICAL, 0)
        board[2].call(0xC400_0021, CRITICAL, 0x780, 0x51, 2, 0)
        board[2].call(0xC400_0021, shared, 0x880, 0x52, 3, 1)
        board[2].call(0xC400_0021, SPI_NORMAL, 0x1000, 0x53, 0, 0)
        board.raise_event(CRITICAL, 2)
        board.raise_event(shared)
        board[0].call(PE_MASK)
        return board

    def move(self, source: Board, target: Board) -> None:
        target.dispatcher.load(json.loads(json.dumps(source.dispatcher.save())))
        for old, new in zip(source.pes, target.pes, strict=True):
            new.sdei.load(json.loads(json.dumps(old.sdei.save())))

    def test_the_same_there(self) -> None:
        source, target = self.busy(), Board()
        kept = [guest.sdei for guest in target.pes]
        self.move(source, target)
        assert target.dispatcher.save() == source.dispatcher.save()
        for old, new in zip(source.pes, target.pes, strict=True):
            assert new.sdei == old.sdei
            assert list(new.sdei.handlers) == list(old.sdei.handlers)
        assert all(guest.sdei is sdei for guest, sdei in zip(target.pes, kept, strict=True))

    def test_shared_handlers_stay_shared(self) -> None:
        target = Board()
        self.move(self.busy(), target)
        for event, handler in target.dispatcher.vm.shared.items():
            assert all(guest.sdei.handlers[event] is handler for guest in target.pes)
        assert target[1].call(STATUS, SPI_CRITICAL) == 7
        assert [context.event for context in target[0].sdei.contexts] == [NORMAL, SPI_CRITICAL]

    def test_back_to_a_time_with_fewer_events(self) -> None:
        board = self.busy()
        self.move(Board(), board)
        assert board[0].call(STATUS, 0x4000_0000) == -2
        assert board.dispatcher.vm.bindings == {}
        fresh = Board()
        assert [g.sdei.save() for g in board.pes] == [g.sdei.save() for g in fresh.pes]

    def test_what_is_saved_of_the_machine(self) -> None:
        board = Board(pes=2)
        board[0].call(0xC400_002D, 50)
        board[0].call(0xC400_0021, SPI_CRITICAL, 0x780, 0x51, 3, 1)
        assert board.dispatcher.save() == {
            "bindings": [(0x4000_1000, 50)],
            "shared": [
                (SPI_CRITICAL, 1, False, 0x780, 0x51, True, 1, 1, None),
                (0x4000_1000, 0, False, 0, 0, False, 0, 0, None),
                (SPI_NORMAL, 0, False, 0, 0, False, 0, 0, None),
            ],
        }
