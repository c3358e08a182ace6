"""Who may speak with whom: machines alike, and both know the secret or neither has one."""

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.errors import Error
from sdeiviz.machine import state
from sdeiviz.migration import Handshake, Purpose, Role
from sdeiviz.migration.encoding import StateError
from sdeiviz.migration.wire import Hello, Message, Page, Ping, Proof, WireError, frame

SHAPE = {"vCPUs": 1, "RAM": "0x100000 bytes"}
ENCODED = bytes.fromhex(
    "6400000002 73000000057643505573 690000000101 730000000352414d 730000000e"
) + (b"0x100000 bytes")
SESSION = bytes(range(16))


def source(**options: Any) -> Handshake:
    options = {"shape": SHAPE, "session": SESSION, "nonce": b"s" * 32} | options
    return Handshake(Role.SOURCE, **options)


def destination(**options: Any) -> Handshake:
    options = {"shape": SHAPE, "nonce": b"d" * 32} | options
    return Handshake(Role.DESTINATION, **options)


def talk(one: Handshake, other: Handshake) -> list[tuple[str, Message]]:
    """Carry messages to and fro until both are silent."""
    said = []
    spoke = True
    while spoke:
        spoke = False
        for name, speaker, listener in (("source", one, other), ("destination", other, one)):
            while (message := speaker.pull()) is not None:
                spoke = True
                said.append((name, message))
                listener.receive(message)
    return said


def test_without_a_secret() -> None:
    one, other = source(), destination()
    assert talk(one, other) == [
        ("source", Hello(1, 1, False, SESSION, b"s" * 32, ENCODED)),
        ("destination", Hello(2, 1, False, SESSION, b"d" * 32, ENCODED)),
    ]
    assert one.done
    assert other.done
    assert other.peer
    assert (other.peer.session, other.peer.purpose) == (SESSION, Purpose.NEW)


def test_with_a_secret() -> None:
    one, other = source(secret=b"open sesame"), destination(secret=b"open sesame")
    said = talk(one, other)
    assert one.done
    assert other.done
    # Worked out from the description: both Hellos with their lengths, the source's first.
    first = b"\1\1\1" + SESSION + b"s" * 32 + ENCODED
    second = b"\2\1\1" + SESSION + b"d" * 32 + ENCODED
    hellos = b"".join(len(h).to_bytes(4, "big") + h for h in (first, second))
    proofs = [
        ("source", Proof(hmac.digest(b"open sesame", b"SOURCE" + hellos, hashlib.sha256))),
        ("destination", Proof(hmac.digest(b"open sesame", b"DESTINATION" + hellos, "sha256"))),
    ]
    assert said[2:] == proofs
    assert not any(b"sesame" in frame(message, 0) for _, message in said)


def test_the_destination_proves_nothing_before_the_source_has() -> None:
    other = destination(secret=b"x")
    other.receive(Hello(1, 1, True, SESSION, b"s" * 32, ENCODED))
    assert isinstance(other.pull(), Hello)
    assert other.pull() is None
    assert not other.done
    with pytest.raises(WireError, match="does not know the shared secret"):
        other.receive(Proof(bytes(32)))
    assert other.pull() is None
    assert not other.done


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ({"secret": b"x"}, {"secret": b"y"}, "does not know the shared secret"),
        ({"secret": b"x"}, {}, "the peer wants a proof .* none is given here"),
        ({}, {"secret": b"x"}, "the peer has no shared secret"),
        ({}, {"session": bytes(16)}, "belongs to another migration"),
        (
            {"shape": SHAPE | {"RAM": "0x200000 bytes"}},
            {},
            r"a state of another machine \(RAM: '0x200000 bytes', here '0x100000 bytes'\)",
        ),
        ({"shape": {"vCPUs": 1}}, {}, "describes itself in other words"),
    ],
)
def test_refused(ours: dict[str, Any], theirs: dict[str, Any], reason: str) -> None:
    one, other = source(**ours), destination(**theirs)
    with pytest.raises(Error, match=reason):
        talk(one, other)
    assert not (one.done and other.done)


def test_every_part_of_both_hellos_is_under_the_proof() -> None:
    hello = Hello(1, 1, True, SESSION, b"s" * 32, ENCODED)
    one, other = source(secret=b"x"), destination(secret=b"x", session=None)
    assert one.pull() == hello
    other.receive(replace(hello, purpose=Purpose.RESUME))
    answer = other.pull()
    assert isinstance(answer, Hello)
    one.receive(replace(answer, purpose=Purpose.NEW))
    proof = one.pull()
    assert isinstance(proof, Proof)
    with pytest.raises(WireError, match="does not know the shared secret"):
        other.receive(proof)


def test_what_has_no_place() -> None:
    one = source(secret=b"x")
    for message in (Ping(1), Page(0, True), Proof(bytes(32))):
        with pytest.raises(WireError, match="no place here in a handshake"):
            one.receive(message)
    with pytest.raises(WireError, match="the peer is a source too"):
        one.receive(Hello(1, 1, True, SESSION, bytes(32), ENCODED))
    with pytest.raises(WireError, match="answered for another purpose"):
        one.receive(Hello(2, 3, True, SESSION, bytes(32), ENCODED))
    with pytest.raises(WireError, match="shape of the peer's machine is damaged"):
        one.receive(Hello(2, 1, True, SESSION, bytes(32), b"x"))
    # A mirror: what the source says comes back to it.
    one.receive(Hello(2, 1, True, SESSION, b"s" * 32, ENCODED))
    hello, proof = one.pull(), one.pull()
    assert hello
    assert proof
    with pytest.raises(WireError, match="does not know the shared secret"):
        one.receive(proof)
    with pytest.raises(WireError, match="no place here"):
        one.receive(Hello(2, 1, True, SESSION, b"s" * 32, ENCODED))
    with pytest.raises(WireError, match="an empty secret"):
        source(secret=b"")
    with pytest.raises(WireError, match="draws its session"):
        source(session=None)


def test_nonces_differ() -> None:
    hellos = [source(nonce=None).pull() for _ in range(2)]
    assert all(isinstance(hello, Hello) and len(hello.nonce) == 32 for hello in hellos)
    assert hellos[0] != hellos[1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"profile": "tf-a"}, "profile: 'kvm-v7', here 'tf-a'"),
        ({"memory": 2 << 20}, "RAM: '0x100000 bytes', here '0x200000 bytes'"),
        ({"vcpus": 2}, "vCPUs: 1, here 2"),
        ({"gic": 3}, "GIC: 'Gic2', here 'Gic3'"),
    ],
)
def test_of_real_machines(options: dict[str, Any], reason: str) -> None:
    ours = VirtualMachine("hello", memory=1 << 20)
    theirs = VirtualMachine("hello", **({"memory": 1 << 20} | options))
    with pytest.raises(StateError, match=reason):
        talk(source(shape=state.shape(ours)), destination(shape=state.shape(theirs)))
