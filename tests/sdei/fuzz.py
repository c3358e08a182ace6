"""Calls with every register at random, on several PEs, between triggers and deliveries.

    python tests/sdei/fuzz.py [CALLS] [SEED]    1,000,000 calls by default, a share for each profile

Prints how many calls, how fast and what was answered. The exit status is 1 after a crash, a state
that cannot be, or an answer that the call's row of the specification does not list.
"""

import random
import struct
import sys
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sdeiviz.sdei import Dispatcher, Profile, profile
from sdeiviz.sdei.delivery import HostHang
from tests.sdei.board import FakeGic
from tests.sdei.invariants import check
from tests.sdei.vcpu import FakeVcpu

PROFILES: Final = ("kvm-v7", "kvm-v7-literal", "den0054c", "tf-a")
PES: Final = 3
CHECK_EVERY: Final = 32

# Function identifier from 0xC400_0020 -> error codes (DEN0054C 5.1). VERSION, STATUS, GET_INFO,
# BIND, FEATURES and CONTEXT return values besides.
_COMMON: Final = {
    0x00: (),
    0x01: (-2, -3),
    0x02: (-2, -3),
    0x03: (-2, -3),
    0x04: (-2, -3),
    0x05: (-3,),
    0x06: (-2, -3),
    0x07: (-2, -3, -5),
    0x08: (-2,),
    0x09: (-2, -3),
    0x0A: (-2, -3),
    0x0B: (),
    0x0C: (),
    0x0D: (-2, -3, -10),
    0x0E: (-2, -3),
    0x0F: (-2,),
    0x10: (-2,),
    0x11: (-3,),
    0x12: (-3,),
}
_SERIES: Final = _COMMON | {0x0A: (-1,), 0x0D: (-1,), 0x0E: (-1,), 0x05: (), 0x11: (), 0x12: ()}
_SERIES[0x06] = ()
ERRORS: Final = {
    "kvm-v7": _SERIES,
    "kvm-v7-literal": _SERIES,
    "den0054c": _COMMON,
    "tf-a": _COMMON,
}
# The values that are not errors, and not 0.
_VALUES: Final = {
    0x08: {1, 3, 4, 5, 7},
    0x09: {1, 2, 0x100, 0x12_0003_0201},
    0x0B: {1},
}
_ANY_VALUE: Final = (0x00, 0x04, 0x0D, 0x10)

_SMALL: Final = (0, 0, 0, 1, 1, 2, 3, 17, 18, 22, 25, 30, 40, 50, 51, 0x100, 804, 805, 1000, 2000)
_EDGES: Final = (1 << 31, 1 << 32, 1 << 32 | 1, 1 << 63, (1 << 64) - 1, (1 << 32) - 1)
_EVENTS: Final = {
    "kvm-v7": (0, 0, 1, 1, 2),
    "kvm-v7-literal": (0, 0, 1, 1, 2),
    "den0054c": (
        *(0, 0, 0x4000_0000, 0x4000_1000, 0x4040_0000, 0x4040_0001),
        *(0x4040_0016, 0x4040_0017, 0x4040_0028, 0x4040_0029, 804),
    ),
    "tf-a": (0, 0, 804, 805, 1000, 2000, 5000, 5003, 0x4000_0000),
}
_LIKELY: Final = (1, 1, 1, 2, 2, 2, 0x0C, 0x0C, 0x0F, 5, 6, 4, 0x0D)
_INTIDS: Final = (20, 22, 23, 25, 30, 40, 41, 50, 51)


class Fuzz:
    """One profile under random hands; `run` makes calls, `answers` counts what was said to them."""

    def __init__(self, rules: Profile, seed: int) -> None:
        self.rules = rules
        self.events = _EVENTS[rules.name]
        self.random = random.Random(f"{rules.name} {seed}")
        self.answers: Counter[tuple[int, int | None]] = Counter()
        self.delivered = self.completed = self.hung = self.calls = 0
        self.boot()

    def boot(self) -> None:
        self.gic = FakeGic()
        self.vcpus: list[FakeVcpu] = []
        self.dispatcher = Dispatcher(self.rules, lambda record: None, self.vcpus, self.gic)
        self.gic.dispatcher = self.dispatcher
        for number, mpidr in enumerate((0, 1, 0x100)):
            vcpu = FakeVcpu(number=number, mpidr=mpidr, sdei=self.dispatcher.new_vcpu())
            self.vcpus.append(vcpu)

    def check(self) -> None:
        check(self.dispatcher, self.vcpus, self.gic)

    def run(self, calls: int) -> None:
        """Make some calls.

        Raises
        ------
        AssertionError
            A state that cannot be, or an answer that is not listed.
        """
        for _ in range(calls):
            try:
                self.step()
            except HostHang:
                assert self.rules.name == "kvm-v7-literal"
                self.hung += 1
                self.boot()
            self.calls += 1
            if self.calls % CHECK_EVERY == 0:
                self.check()

    def step(self) -> None:
        """Let a device or the host act, make one call, deliver what is asked for."""
        dice = self.random
        kind = dice.random()
        vcpu = self.vcpus[dice.randrange(PES)]
        if kind < 0.3:
            self.trigger(vcpu, kind)
        function = self.prepare(vcpu)
        call = function - 0xC400_0020
        running = bool(vcpu.sdei.contexts)
        before = struct.pack("<18Q", *vcpu.x[:18]) if call in (5, 6) else b""
        answer = self.dispatcher.call(vcpu, function)
        self.judge(call, answer, running, vcpu)
        if answer is None and running:
            self.completed += 1
        elif answer is None:
            assert vcpu.x0_to_x17.tobytes() == before
        for other in self.vcpus:
            while other.sdei.requested:
                self.delivered += self.dispatcher.deliver_event(other)

    def trigger(self, vcpu: FakeVcpu, kind: float) -> None:
        dice, dispatcher = self.random, self.dispatcher
        if kind < 0.12:
            intid = dice.choice(_INTIDS)
            pe = vcpu.number if intid < 32 else None
            if dice.random() < 0.5:
                self.gic.pulse(intid, pe)
            else:
                self.gic.set_level(intid, pe, dice.random() < 0.5)
        elif kind < 0.25:
            event, immediate = dice.choice(self.events), dice.random() < 0.3
            assert dispatcher.inject_event(vcpu, event, immediate=immediate) in (0, -2, -16, -22)
        elif kind < 0.28:
            assert dispatcher.cancel_event(vcpu, dice.choice(self.events)) in (0, -2, -16)
        elif kind < 0.285:
            dispatcher.complete_all(vcpu, "CPU_OFF")
            dispatcher.reset_vcpu(vcpu)
        elif kind < 0.2855:
            dispatcher.reset_system()
        else:
            dispatcher.deliver_event(vcpu)

    def prepare(self, vcpu: FakeVcpu) -> int:
        """Fill the registers and return a function identifier."""
        dice = self.random
        kind = dice.random()
        if kind < 0.55:
            function = 0xC400_0020 + dice.choice(_LIKELY)
        elif kind < 0.97:
            function = dice.randrange(0xC400_0020, 0xC400_0040)
        else:
            function = dice.getrandbits(32)
        registers = array("Q", dice.randbytes(31 * 8))
        registers[0] = function
        registers[1] = self.argument(dice.choice(self.events))
        registers[2] = self.argument(dice.choice((0x4008_0000,) * 4 + _SMALL[:10]))
        registers[4] = self.argument(dice.choice((0, 0, 0, 1, 2, 3)))
        registers[3] = self.argument(dice.choice(_SMALL))
        registers[5] = self.argument(dice.choice((0, 0, 1, 0x100)))
        if function == 0xC400_002D:
            registers[1] = self.argument(dice.choice(_INTIDS))
        elif function in (0xC400_0024, 0xC400_0030):
            registers[1] = self.argument(dice.choice(_SMALL))
        elif function == 0xC400_0026:
            registers[1] = self.argument(dice.choice((0x4008_0280, 3)))
        elif function == 0xC400_002F:
            registers[1] = self.argument(0)
            registers[2] = self.argument(dice.choice((0, 1, 0x100)))
        vcpu.x[:] = memoryview(registers)
        vcpu.pc, vcpu.pstate = dice.getrandbits(64), dice.getrandbits(64)
        return function

    def argument(self, usual: int) -> int:
        kind = self.random.random()
        if kind < 0.85:
            return usual
        return self.random.choice(_EDGES) if kind < 0.95 else self.random.getrandbits(64)

    def judge(self, call: int, answer: int | None, running: bool, vcpu: FakeVcpu) -> None:
        """Refuse an answer that the call cannot give."""
        if answer is None:
            assert call in (5, 6)
            self.answers[call, None] += 1
            return
        value = answer - (1 << 64) if answer >> 63 else answer
        if call == 4 and running and vcpu.x[0] == answer:
            self.answers[call, 0 if value not in (-2, -3) else value] += 1
            return
        if not 0 <= call <= 0x12:
            assert value == -1, hex(call)
            self.answers[-1, value] += 1
            return
        if value < 0:
            assert value in ERRORS[self.rules.name][call], (hex(call), value)
        elif call not in _ANY_VALUE:
            assert value == 0 or value in _VALUES.get(call, ()), (hex(call), value)
        self.answers[call, min(value, 8)] += 1


def main(calls: int = 1_000_000, seed: int = 1) -> int:
    """Run every profile's share and print what came of it."""
    share = -(-calls // len(PROFILES))
    for name in PROFILES:
        fuzz = Fuzz(profile(name), seed)
        began = time.process_time()
        try:
            fuzz.run(share)
            fuzz.check()
        except Exception as error:
            print(f"{name}: {type(error).__name__} at call {fuzz.calls}, seed {seed}: {error}")
            return 1
        took = time.process_time() - began
        told: Counter[int | None] = Counter()
        for (_, answer), count in fuzz.answers.items():
            told[answer if answer is None or answer < 0 else 0] += count
        results = ", ".join(
            f"{'none' if answer is None else answer}: {told[answer]}"
            for answer in sorted(told, key=lambda a: (a is None, -(a or 0)))
        )
        print(
            f"{name:<15} {fuzz.calls} calls, {fuzz.calls / took / 1e3:.0f} k/s with all around;"
            f" {fuzz.delivered} delivered, {fuzz.completed} completed, {fuzz.hung} hung"
        )
        print(f"{'':<15} answers {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
