"""Entering and leaving a handler under the specification: registers and PSTATE, bit by bit."""

import pytest

from sdeiviz.abi.pstate import PeFeatures, take_exception
from sdeiviz.sdei.profiles import OtherBits
from tests.sdei.board import NORMAL, SPI_NORMAL, Board
from tests.sdei.vcpu import (
    ARGUMENT,
    COMPLETE,
    CONTEXT,
    ELR,
    ENABLE,
    ENTRY,
    FEATURES,
    INVALID,
    PC,
    PE_UNMASK,
    REGISTER,
    RESUME,
    SPSR,
    STATUS,
    SUCCESS,
)

NONE = PeFeatures()
SPAN, SPINTMASK, DSSBS = 1 << 23, 1 << 62, 1 << 44

CASES = [
    # interrupted, SCTLR_EL1, features -> in the handler
    # NZCV stays, DAIF and EL1h are set
    (0x0000_0000, SPAN, NONE, 0x0000_03C5),
    (0xF000_0000, SPAN, NONE, 0xF000_03C5),
    (0x6000_03C5, SPAN, NONE, 0x6000_03C5),
    (0x8000_0004, SPAN, NONE, 0x8000_03C5),
    # DIT (24) and PAN (22) stay, without the feature as well
    (0x0140_0005, SPAN, NONE, 0x0140_03C5),
    # UAO (23), SS (21), IL (20), SSBS (12), BTYPE (11:10) and ALLINT (13) go
    (0x00B0_3C05, SPAN, NONE, 0x0000_03C5),
    # PAN: forced where SPAN is 0, for EL1 and EL0 alike
    (0x0000_0005, 0, PeFeatures(pan=True), 0x0040_03C5),
    (0x0000_0000, 0, PeFeatures(pan=True), 0x0040_03C5),
    (0x0040_0005, 0, PeFeatures(pan=True), 0x0040_03C5),
    (0x0000_0005, SPAN, PeFeatures(pan=True), 0x0000_03C5),
    (0x0040_0005, SPAN, PeFeatures(pan=True), 0x0040_03C5),
    (0x0000_0005, 0, NONE, 0x0000_03C5),
    # TCO (25)
    (0x0000_0005, SPAN, PeFeatures(mte2=True), 0x0200_03C5),
    (0x0200_0005, SPAN, PeFeatures(mte2=True), 0x0200_03C5),
    (0x0200_0005, SPAN, NONE, 0x0200_03C5),
    # ALLINT (13): not SPINTMASK
    (0x0000_0005, SPAN, PeFeatures(nmi=True), 0x0000_23C5),
    (0x0000_2005, SPAN | SPINTMASK, PeFeatures(nmi=True), 0x0000_03C5),
    (0x0000_0005, SPAN | SPINTMASK, PeFeatures(nmi=True), 0x0000_03C5),
    # SSBS (12): DSSBS
    (0x0000_0005, SPAN | DSSBS, PeFeatures(ssbs=True), 0x0000_13C5),
    (0x0000_1005, SPAN, PeFeatures(ssbs=True), 0x0000_03C5),
    (0x0000_1005, SPAN | DSSBS, NONE, 0x0000_03C5),
    # PM (32) is set, UINJ (36) stays, PACM (35) and EXLOCK (34) go
    (0x0000_0005, SPAN, PeFeatures(profiling_exceptions=True), 0x1_0000_03C5),
    (0x1D_0000_0005, SPAN, NONE, 0x10_0000_03C5),
    # from AArch32: Q (27), IT (26:25, 15:10), SSBS (23), GE (19:16), E, T and its modes go
    (0x0EBF_FE30, SPAN, NONE, 0x0000_03C5),
    (0xF000_0010, SPAN, NONE, 0xF000_03C5),
    (0x0140_0010, SPAN, NONE, 0x0140_03C5),
    (0x0200_0010, SPAN, NONE, 0x0000_03C5),
    # everything at once
    (
        0xFFFF_FFFF_FFFF_FFEF,
        DSSBS,
        PeFeatures(True, True, True, True, True, True),
        0x11_F340_33C5,
    ),
]


@pytest.mark.parametrize(("interrupted", "sctlr", "features", "entered"), CASES)
def test_pstate(interrupted: int, sctlr: int, features: PeFeatures, entered: int) -> None:
    assert take_exception(interrupted, sctlr, features) == entered
    board = Board().unmask().bring("E", NORMAL)
    vcpu = board[0].vcpu
    vcpu.sctlr_el1, vcpu.features, vcpu.pstate = sctlr, features, interrupted
    board.raise_event(NORMAL)
    board.enter()
    assert vcpu.pstate == entered
    assert vcpu.x[3] == interrupted


@pytest.mark.parametrize(
    ("interrupted", "gcscr", "entered"),
    [
        (0x0000_0005, 0x40, 0x4_0000_03C5),
        (0x0000_0004, 0x40, 0x4_0000_03C5),
        (0x0000_0005, 0, 0x0000_03C5),
        (0x0000_0000, 0x40, 0x0000_03C5),  # the exception level rises
        (0x4_0000_0000, 0x40, 0x0000_03C5),
        (0x4_0000_0005, 0, 0x0000_03C5),
    ],
)
def test_exlock(interrupted: int, gcscr: int, entered: int) -> None:
    assert take_exception(interrupted, SPAN, PeFeatures(gcs=True), gcscr) == entered
    assert take_exception(interrupted, SPAN, NONE, gcscr) == 0x3C5


def test_the_interrupted_one_inherited_by_knob() -> None:
    board = Board(exception_pstate=False).unmask().bring("E", NORMAL)
    board[0].vcpu.pstate = 0x00B0_3C00
    board.raise_event(NORMAL)
    board.enter()
    assert board[0].vcpu.pstate == 0x00B0_3FC5


@pytest.mark.parametrize("event", [0, NORMAL, SPI_NORMAL], ids=hex)
def test_registers_at_entry(event: int) -> None:
    board = Board().unmask().bring("E", event)
    vcpu = board[0].vcpu
    for n in range(31):
        vcpu.x[n] = 0xC0DE_0000_0000_0000 + n
    board.raise_event(event)
    board.enter()
    assert vcpu.pc == ENTRY + 0x100 * (event & 0xFF)
    assert list(vcpu.x[:4]) == [event, ARGUMENT + event, PC, 0x6000_03C5]
    assert list(vcpu.x[4:]) == [0xC0DE_0000_0000_0000 + n for n in range(4, 31)]
    assert (vcpu.elr_el1, vcpu.spsr_el1) == (ELR, SPSR)


class TestRelativeMode:
    VBAR = 0xFFFF_8000_0800_0000

    def test_an_offset_from_vbar(self) -> None:
        board = Board().unmask()
        assert board[0].call(REGISTER, NORMAL, 0x780, 0, 2, 0) == SUCCESS
        board[0].call(ENABLE, NORMAL)
        board.raise_event(NORMAL)
        board.enter()
        assert board[0].vcpu.pc == self.VBAR + 0x780
        assert f"EventDelivered({NORMAL}, {self.VBAR + 0x780}, 0," in board[0].moments()[-1]

    def test_of_the_pe_that_enters_at_that_time(self) -> None:
        board = Board().unmask()
        assert board[0].call(REGISTER, SPI_NORMAL, 0x800, 0, 3, 1) == SUCCESS
        board[0].call(ENABLE, SPI_NORMAL)
        board[1].vcpu.vbar_el1 = 0x4000_0000
        board.raise_event(SPI_NORMAL)
        assert board.enter() == [1]
        assert board[1].vcpu.pc == 0x4000_0800

    def test_it_wraps(self) -> None:
        board = Board().unmask()
        board[0].call(REGISTER, NORMAL, -0x800, 0, 2, 0)
        board[0].call(ENABLE, NORMAL)
        board.raise_event(NORMAL)
        board.enter()
        assert board[0].vcpu.pc == self.VBAR - 0x800

    def test_it_is_forgotten_with_the_registration(self) -> None:
        board = Board().unmask()
        board[0].call(REGISTER, NORMAL, 0x800, 0, 2, 0)
        board[0].call(0xC400_0027, NORMAL)
        board.bring("ER", NORMAL)
        assert board[0].vcpu.pc == ENTRY

    def test_not_offered(self) -> None:
        board = Board(relative_mode=False)
        assert board[0].call(FEATURES, 1) == 0
        for event in (NORMAL, SPI_NORMAL):
            for flags in (2, 3):
                assert board[0].call(REGISTER, event, 0x800, 0, flags, 0) == INVALID

    def test_version_1_0_does_not_know_it(self) -> None:
        guest = Board(version=0x0001_0000)[0]
        assert guest.call(FEATURES, 1) == INVALID
        assert guest.call(FEATURES, 0) == 0x0002_0002


class TestCompleteAndResume:
    @pytest.mark.parametrize("address", [1, 2, 3, 0x4008_0281, (1 << 64) - 1])
    def test_a_bad_address_changes_nothing(self, address: int) -> None:
        board = Board().start(NORMAL)
        before = board[0].vcpu.where()
        assert board[0].call(RESUME, address) == INVALID
        assert board[0].vcpu.where() == before
        assert board[0].call(STATUS, NORMAL) == 7
        assert board[0].call(CONTEXT, 6) == -0x0FFF_FFFF_FFFF_FFFA

    def test_running_comes_before_the_address(self) -> None:
        guest = Board()[0]
        for address in (0, 3):
            assert guest.call(RESUME, address) == -3

    @pytest.mark.parametrize(
        ("other", "interrupted", "resumed"),
        [
            (OtherBits.INTERRUPTED, 0xF140_1C00, 0xF140_1FC5),
            (OtherBits.INTERRUPTED, 0x6000_03C5, 0x6000_03C5),
            (OtherBits.ZERO, 0xF140_1C00, 0x0000_03C5),
            (OtherBits.ZERO, 0x6000_03C5, 0x0000_03C5),
        ],
    )
    def test_pstate(self, other: OtherBits, interrupted: int, resumed: int) -> None:
        board = Board(cr_other_pstate=other).unmask().bring("E", NORMAL)
        vcpu = board[0].vcpu
        vcpu.pstate = interrupted
        before = list(vcpu.x[:18])
        board.raise_event(NORMAL)
        board.enter()
        board[0].call(RESUME, 0x4008_0280)
        assert (vcpu.pc, vcpu.pstate) == (0x4008_0280, resumed)
        assert (vcpu.elr_el1, vcpu.spsr_el1) == (PC, interrupted)
        assert list(vcpu.x[:18]) == before
        assert board[0].call(CONTEXT, 0) == -3

    def test_x0_is_not_written_on_success(self) -> None:
        for function in (COMPLETE, RESUME):
            board = Board().unmask().bring("E", NORMAL)
            board[0].vcpu.x[0] = 0x1234
            board.raise_event(NORMAL)
            board.enter()
            board[0].call(function, 0)
            assert board[0].vcpu.x[0] == 0x1234


@pytest.mark.parametrize("status", [0, 1, 2, 0xFFFF_FFFF, 1 << 63])
def test_complete_takes_any_status(status: int) -> None:
    board = Board().start(NORMAL)
    board[0].call(COMPLETE, status)
    assert board[0].call(STATUS, NORMAL) == 3


def test_the_call_answers_before_the_event_it_lets_through() -> None:
    board = Board().bring("E", NORMAL)
    board.raise_event(NORMAL)
    assert board[0].call(PE_UNMASK) == SUCCESS
    board.enter()
    assert board[0].call(CONTEXT, 0) == 0
    assert board[0].call(CONTEXT, 1) == NORMAL
