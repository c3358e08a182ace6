"""The one-shot timer: its registers, its deadline, and its line, which stays until quiesced."""

import pytest

from sdeiviz.machine.gicv2 import Gic2
from sdeiviz.machine.oneshot import BASE, SIZE, OneShotTimer

DELAY, INTERRUPT, STATUS, QUIESCE, ID = 0x00, 0x04, 0x08, 0x0C, 0x10


class Bench:
    """A device and what its line told."""

    def __init__(self) -> None:
        self.device = OneShotTimer()
        self.told: list[tuple[int, bool]] = []
        self.device.on_line = lambda intid, level: self.told.append((intid, level))

    def w(self, offset: int, value: int, time: int = 0) -> None:
        self.device.write(offset, value, time)

    def r(self, offset: int, time: int = 0) -> int:
        return self.device.read(offset, time)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_its_place() -> None:
    assert (BASE, SIZE) == (0x090D_0000, 0x1000)


def test_registers_after_power_on(bench: Bench) -> None:
    assert [bench.r(offset) for offset in range(0, 0x18, 4)] == [0, 144, 0, 0, 0x5344_4549, 0]
    assert [bench.r(offset) for offset in (1, 2, 0x12, 0xFFC)] == [0, 0, 0, 0]
    assert bench.device.deadline is None


def test_it_expires_once(bench: Bench) -> None:
    bench.w(INTERRUPT, 40)
    bench.w(DELAY, 500, 1000)
    assert (bench.device.deadline, bench.r(STATUS)) == (1500, 1)
    assert [bench.r(DELAY, time) for time in (1000, 1001, 1499, 1500, 1600)] == [500, 499, 1, 0, 0]
    bench.device.expire(1499)
    assert (bench.told, bench.r(STATUS)) == ([], 1)
    bench.device.expire(1500)
    assert (bench.told, bench.r(STATUS), bench.device.deadline) == ([(40, True)], 2, None)
    bench.device.expire(9999)
    assert bench.told == [(40, True)]
    bench.w(QUIESCE, 0)
    assert (bench.told, bench.r(STATUS)) == ([(40, True), (40, False)], 0)
    bench.w(QUIESCE, 1)
    bench.device.expire(99999)
    assert len(bench.told) == 2


def test_arming_again_starts_anew_and_zero_disarms(bench: Bench) -> None:
    bench.w(DELAY, 500, 0)
    bench.w(DELAY, 700, 400)
    assert bench.device.deadline == 1100
    bench.w(DELAY, 0, 500)
    assert (bench.device.deadline, bench.r(STATUS), bench.r(DELAY, 500)) == (None, 0, 0)
    bench.device.expire(2000)
    assert bench.told == []


def test_the_longest_delay(bench: Bench) -> None:
    bench.w(DELAY, 0x1_FFFF_FFFF, 7)
    assert (bench.device.deadline, bench.r(DELAY, 7)) == (0xFFFF_FFFF + 7, 0xFFFF_FFFF)


def test_the_line_stays_while_it_expires_again(bench: Bench) -> None:
    bench.w(DELAY, 10, 0)
    bench.device.expire(10)
    bench.w(DELAY, 10, 10)
    assert bench.r(STATUS) == 3
    bench.device.expire(20)
    assert (bench.told, bench.r(STATUS)) == ([(144, True)], 2)
    bench.w(DELAY, 0, 20)
    assert bench.r(STATUS) == 2, "disarming does not lower the line"


@pytest.mark.parametrize("value", [0, 15, 31, 288, 1023, 0xFFFF_FFFF])
def test_interrupts_that_are_none(bench: Bench, value: int) -> None:
    bench.w(INTERRUPT, 287)
    bench.w(INTERRUPT, value)
    assert bench.r(INTERRUPT) == 287


def test_the_interrupt_is_kept_while_its_line_is_asserted(bench: Bench) -> None:
    bench.w(DELAY, 10, 0)
    bench.w(INTERRUPT, 32)
    bench.device.expire(10)
    bench.w(INTERRUPT, 50)
    assert bench.r(INTERRUPT) == 32
    bench.w(QUIESCE, 0)
    assert bench.told == [(32, True), (32, False)]
    bench.w(INTERRUPT, 50)
    assert bench.r(INTERRUPT) == 50


def test_what_cannot_be_written(bench: Bench) -> None:
    before = bench.device.save()
    for offset in (STATUS, ID, 0x14, 1, 0xFFC):
        bench.w(offset, 0xFFFF_FFFF)
    assert bench.device.save() == before


def test_state_and_reset(bench: Bench) -> None:
    bench.w(INTERRUPT, 50)
    bench.w(DELAY, 10, 0)
    bench.device.expire(10)
    bench.w(DELAY, 30, 10)
    state = bench.device.save()
    assert state == {"deadline": 40, "interrupt": 50, "asserted": True}
    other = Bench()
    other.device.load(state)
    assert (other.told, other.r(STATUS), other.r(DELAY, 15)) == ([], 3, 25)
    other.w(QUIESCE, 0)
    other.device.expire(40)
    assert other.told == [(50, False), (50, True)]
    other.device.reset()
    assert other.told[2:] == [(50, False)]
    assert other.device.save() == OneShotTimer().save()


def test_without_anybody_at_its_line() -> None:
    device = OneShotTimer()
    device.write(DELAY, 1, 0)
    device.expire(1)
    assert device.read(STATUS, 1) == 2


def test_at_an_interrupt_controller_it_comes_again_until_quiesced() -> None:
    gic, device = Gic2(1), OneShotTimer()
    device.on_line = gic.set_line
    told: list[int] = []
    gic.on_owned_pending = lambda intid, pe: told.append(intid)
    gic.take(144)
    device.write(DELAY, 100, 0)
    device.expire(100)
    for n in range(1, 4):
        assert told == [144] * n
        gic.acknowledge(144, 0)
        gic.end(144, 0)
    gic.acknowledge(144, 0)
    device.write(QUIESCE, 0, 200)
    gic.end(144, 0)
    assert (len(told), gic.is_pending(144)) == (4, False)
