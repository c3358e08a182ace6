"""Twenty thousand calls with every register at random: nothing but the architecture's answers."""

import random

import pytest

from sdeiviz.sdei.delivery import HostHang
from tests.sdei.oracle import HANG, Oracle
from tests.sdei.vcpu import (
    COMPLETE,
    CONTEXT,
    ENABLE,
    PE_UNMASK,
    REGISTER,
    RESUME,
    SIGNAL,
    Guest,
)

CALLS = 20_000
EDGES = [0, 0, 0, 1, 1, 2, 17, 18, 1 << 31, 1 << 32, 1 << 32 | 1, 1 << 63, (1 << 64) - 1]
LIKELY = [REGISTER, REGISTER, ENABLE, PE_UNMASK, SIGNAL, CONTEXT, COMPLETE, RESUME]
LEGAL = {0, 1, 3, 4, 5, 7}


def oracle(rules: str) -> Oracle:
    if rules == "kvm-v7":
        return Oracle()
    return Oracle(d1=False, d2=False, d3=False, d4=False, d11=False)


@pytest.mark.parametrize("seed", [1, 2])
def test_fuzz(rules: str, seed: int) -> None:
    rng = random.Random(f"{rules} {seed}")
    guest, model = Guest(rules), oracle(rules)
    vcpu = guest.vcpu
    model.elr, model.spsr = vcpu.elr_el1, vcpu.spsr_el1
    seen = {"entered": 0, "left": 0, "hung": 0}

    for _ in range(CALLS):
        function = rng.choice((rng.choice(LIKELY), rng.randrange(0xC400_0020, 0xC400_0040)))
        if rng.random() < 0.05:
            function = rng.getrandbits(32)
        for n in range(31):
            vcpu.x[n] = rng.getrandbits(64)
        for n in range(1, 6):
            if rng.random() < 0.7:
                vcpu.x[n] = rng.choice(EDGES)
        vcpu.x[0], vcpu.pc, vcpu.pstate = function, rng.getrandbits(64), rng.getrandbits(64)
        model.x, model.pc, model.pstate = list(vcpu.x), vcpu.pc, vcpu.pstate
        if rng.random() < 0.2:
            event, immediate = rng.choice((0, 1, 2)), rng.random() < 0.5
            assert guest.inject(event, immediate=immediate) == model.inject(event, immediate)

        answers: list[object] = []
        expected = [model.call(function)]
        if expected[0] is not HANG and model.request:
            expected.append(model.deliver())
        try:
            answers.append(guest.dispatcher.call(vcpu, function))
            if guest.sdei.requested:
                answers.append(guest.dispatcher.deliver_event(vcpu))
        except HostHang:
            answers.append(HANG)

        assert answers == expected
        assert list(vcpu.x) == model.x
        assert (vcpu.pc, vcpu.pstate) == (model.pc, model.pstate)
        assert (vcpu.elr_el1, vcpu.spsr_el1) == (model.elr, model.spsr)
        assert {handler.state for handler in guest.sdei.handlers.values()} <= LEGAL
        assert guest.pending() == {n for n in (0, 1) if model.pending >> n & 1}
        seen["entered"] += answers[-1] is True
        seen["left"] += answers[0] is None and vcpu.x[0] != function
        if answers[-1] is HANG:
            seen["hung"] += 1
            guest.sdei.load(Guest().sdei.save())
            model = oracle(rules)
            model.elr, model.spsr = vcpu.elr_el1, vcpu.spsr_el1
        guest.trace.clear()

    # It did get everywhere: a fuzz that is refused at the door finds nothing.
    assert seen["entered"] > 20
    assert seen["left"] > 20
    assert bool(seen["hung"]) == (rules == "kvm-v7-literal")
