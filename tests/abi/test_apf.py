"""Numbers of async page fault, typed from the series and the calling convention."""

import struct
import uuid

from sdeiviz.abi import apf, sdei


def test_discovery() -> None:
    assert (apf.VENDOR_HYP_UID, apf.VENDOR_HYP_FEATURES) == (0x8600FF01, 0x86000000)
    assert str(uuid.UUID(bytes=struct.pack("<4I", *apf.KVM_UID))) == (
        "28b46fb6-2ec5-11e9-a9ca-4b564d003a74"
    )
    assert apf.KVM_UID[2] == sdei.VENDOR_KVM


def test_the_hypercalls() -> None:
    assert (apf.ASYNC_PF, apf.ASYNC_PF_IRQ_ONLY) == (0x86000002, 0x86000042)
    assert apf.FEATURE == {0x86000002: 2, 0x86000042: 66}
    assert {call.name: int(call) for call in apf.Call} == {
        "VERSION": 0,
        "SLOTS": 1,
        "SDEI": 2,
        "IRQ": 3,
        "ENABLE": 4,
        "IRQ_ACK": 5,
    }
    assert [call.name for call in apf.IRQ_ONLY_CALLS] == [
        "VERSION",
        "SLOTS",
        "IRQ",
        "ENABLE",
        "IRQ_ACK",
    ]
    assert [int(result) for result in apf.Result] == [0, -1, -2, -3]
    assert (apf.VERSION, apf.SLOTS, apf.TOKEN_ID_SHIFT) == (0x010000, 64, 12)


def test_the_control_word_and_the_block() -> None:
    assert (int(apf.Control.ENABLED), int(apf.Control.SEND_ALWAYS)) == (1, 2)
    assert apf.BLOCK_ADDRESS == (1 << 64) - 64
    assert apf.CONTROL_FLAGS == 63
    assert (apf.BLOCK_REASON, apf.BLOCK_TOKEN, apf.BLOCK_SHARED, apf.BLOCK_ENABLED) == (0, 4, 8, 64)
    assert [int(reason) for reason in apf.Notification] == [0, 1, 2]
    assert apf.WAKE_ALL == 0xFFFFFFFF
    assert (apf.CRITICAL_EVENT, apf.IRQ_ONLY_DEFAULT_IRQ) == (0x40400001, 17)


def test_the_ioctl() -> None:
    assert apf.IOCTL == 0xCF
    assert [command.name for command in sorted(apf.Command)] == [
        "GET_VERSION",
        "GET_SDEI",
        "GET_IRQ",
        "GET_CONTROL",
        "SET_SDEI",
        "SET_IRQ",
        "SET_CONTROL",
    ]
    assert [int(command) for command in apf.Command] == list(range(7))
