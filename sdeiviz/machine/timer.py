"""Counters and timers a guest can read, all from virtual time (Arm ARM D11).

One instruction takes one nanosecond; the system counter runs at 62.5 MHz, as QEMU's does. The
timers compare, show their status, and each drives a private interrupt's line as long as it is due.
"""

from typing import Any, Final

from sdeiviz.abi.smccc import MASK32, MASK64

FREQUENCY: Final = 62_500_000
NS_PER_TICK: Final = 16

_ENABLE: Final = 1
_IMASK: Final = 2
_ISTATUS: Final = 4

# (CRm, op2) of the registers with op0 3, op1 3, CRn 14.
CNTFRQ: Final = (0, 0)
CNTPCT: Final = (0, 1)
CNTVCT: Final = (0, 2)
_TIMERS: Final = {2: "physical", 3: "virtual"}
_TVAL, _CTL, _CVAL = 0, 1, 2
_INTERRUPTS: Final = {2: 30, 3: 27}
"""INTIDs of the Non-secure EL1 physical and the virtual timer (Arm BSA, and QEMU's `virt`)."""

# CNTKCTL_EL1: what EL0 may touch.
_EL0_ALLOWED: Final = {CNTFRQ: 0b11, CNTPCT: 0b01, CNTVCT: 0b10}
_EL0_TIMER_ALLOWED: Final = {2: 1 << 9, 3: 1 << 8}

PMU_COUNTERS: Final = 4
"""Event counters besides the cycle counter: a Cortex-A72 has six, this core knows four."""


class GenericTimer:
    """The physical and the virtual timer of one core."""

    def __init__(self) -> None:
        self._control = {2: 0, 3: 0}
        self._compare = {2: 0, 3: 0}

    def may_access(self, crm: int, op2: int, cntkctl: int) -> bool:
        """Tell whether EL0 may touch a register; if not, the core traps it to EL1 by itself."""
        if crm in _TIMERS:
            return bool(cntkctl & _EL0_TIMER_ALLOWED[crm])
        return bool(cntkctl & _EL0_ALLOWED.get((crm, op2), 0))

    def read(self, crm: int, op2: int, time: int) -> int | None:
        """Return a register's value at a virtual time in nanoseconds, None for no such register."""
        ticks = time // NS_PER_TICK
        if (crm, op2) == CNTFRQ:
            return FREQUENCY
        if (crm, op2) in (CNTPCT, CNTVCT):
            return ticks
        if crm not in _TIMERS:
            return None
        if op2 == _TVAL:
            return (self._compare[crm] - ticks) & MASK32
        if op2 == _CVAL:
            return self._compare[crm]
        if op2 == _CTL:
            control = self._control[crm]
            fired = control & _ENABLE and ticks >= self._compare[crm]
            return control | (_ISTATUS if fired else 0)
        return None

    def write(self, crm: int, op2: int, value: int, time: int) -> bool:
        """Write a timer register; return False where there is none."""
        if crm not in _TIMERS or op2 > _CVAL:
            return False
        if op2 == _TVAL:
            signed = (value & MASK32) - ((value & 0x8000_0000) << 1)
            self._compare[crm] = (time // NS_PER_TICK + signed) & MASK64
        elif op2 == _CTL:
            self._control[crm] = value & (_ENABLE | _IMASK)
        else:
            self._compare[crm] = value & MASK64
        return True

    def deadline(self, after: int = -1) -> int | None:
        """Return when the next output rises, in nanoseconds, of timers enabled and not masked.

        Parameters
        ----------
        after
            Leave out what rose at or before this time; by default nothing, and the answer may be
            in the past.
        """
        rises = [
            self._compare[crm] * NS_PER_TICK
            for crm, control in self._control.items()
            if control & (_ENABLE | _IMASK) == _ENABLE
        ]
        return min((time for time in rises if time > after), default=None)

    def outputs(self, time: int) -> dict[int, bool]:
        """Return the level of each timer's interrupt line, by INTID (Arm ARM D11)."""
        return {
            intid: self._control[crm] & (_ENABLE | _IMASK) == _ENABLE
            and time // NS_PER_TICK >= self._compare[crm]
            for crm, intid in _INTERRUPTS.items()
        }

    def save(self) -> dict[str, Any]:
        """Return the timers' state as plain values."""
        return {"control": dict(self._control), "compare": dict(self._compare)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self._control, self._compare = dict(state["control"]), dict(state["compare"])


class Pmu:
    """The performance monitors: every counter counts virtual cycles, one an instruction."""

    def __init__(self) -> None:
        self._registers: dict[tuple[int, int], int] = {}

    def access(self, crn: int, crm: int, op2: int, write: int | None, time: int) -> int:
        """Read a register, or write it where `write` is given; unknown ones are zero.

        All of them are (CRn 9, CRm 12-14) or (CRn 14, CRm 8-15), with op0 3 and op1 3 (Arm ARM
        D13).
        """
        key = (crm, op2) if crn == 9 else (crm | 0x80, op2)
        if write is not None:
            self._write(key, write, time)
            return 0
        if key in (_PMCCNTR, _PMXEVCNTR) or _is_event_counter(key):
            return self._count(key, time)
        if key == _PMCR:
            return _PMCR_IDENTITY | self._registers.get(_PMCR, 0) & 0x79
        if key in (_PMCNTENCLR, _PMCNTENSET):
            return self._registers.get(_PMCNTENSET, 0)
        return self._registers.get(key, 0)

    def _selected(self, key: tuple[int, int]) -> tuple[int, int]:
        """PMXEVCNTR stands for the counter that PMSELR names."""
        if key != _PMXEVCNTR:
            return key
        number = self._registers.get(_PMSELR, 0) & 31
        return (0x88 | number >> 3, number & 7)

    def _running(self, key: tuple[int, int]) -> bool:
        bit = 31 if key == _PMCCNTR else (key[0] & 3) << 3 | key[1]
        return bool(
            self._registers.get(_PMCR, 0) & 1 and self._registers.get(_PMCNTENSET, 0) >> bit & 1
        )

    def _count(self, key: tuple[int, int], time: int) -> int:
        key = self._selected(key)
        if key != _PMCCNTR and not _is_event_counter(key):
            return 0
        value = self._registers.get(key, 0) + (time if self._running(key) else 0)
        return value & (MASK64 if key == _PMCCNTR else MASK32)

    def _write(self, key: tuple[int, int], value: int, time: int) -> None:
        counters = [_PMCCNTR, *((0x88 | n >> 3, n & 7) for n in range(PMU_COUNTERS))]
        counts = {counter: self._count(counter, time) for counter in counters}
        if key == _PMCR:
            if value & 2:
                counts |= {counter: 0 for counter in counters if counter != _PMCCNTR}
            if value & 4:
                counts[_PMCCNTR] = 0
            self._registers[_PMCR] = value & 0x79
        elif key == _PMCNTENSET:
            self._registers[_PMCNTENSET] = (
                self._registers.get(_PMCNTENSET, 0) | value & _ALL_COUNTERS
            )
        elif key == _PMCNTENCLR:
            self._registers[_PMCNTENSET] = self._registers.get(_PMCNTENSET, 0) & ~value
        elif self._selected(key) in counts:
            counts[self._selected(key)] = value
        elif key in (_PMSELR, _PMUSERENR):
            self._registers[key] = value & 0x1F
        # A counter keeps what it has now and, if it runs, goes on from there.
        for counter, count in counts.items():
            self._registers[counter] = count - (time if self._running(counter) else 0)

    @property
    def user_enable(self) -> int:
        """PMUSERENR_EL0."""
        return self._registers.get(_PMUSERENR, 0)

    def save(self) -> dict[str, Any]:
        """Return the registers as plain values."""
        return {"registers": dict(self._registers)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self._registers = dict(state["registers"])


_PMCR, _PMCNTENSET, _PMCNTENCLR, _PMSELR = (12, 0), (12, 1), (12, 2), (12, 5)
_PMCCNTR, _PMXEVCNTR, _PMUSERENR = (13, 0), (13, 2), (14, 0)
_PMCR_IDENTITY: Final = 0x4102_0000 | PMU_COUNTERS << 11
"""Arm, Cortex-A72, and how many counters."""
_ALL_COUNTERS: Final = 1 << 31 | (1 << PMU_COUNTERS) - 1


def _is_event_counter(key: tuple[int, int]) -> bool:
    return key[0] & ~3 == 0x88 and ((key[0] & 3) << 3 | key[1]) < PMU_COUNTERS
