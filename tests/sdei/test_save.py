"""What is remembered of a vCPU survives save and load, whole and unshared."""

import json

import pytest

from sdeiviz.sdei import VcpuSdei
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
