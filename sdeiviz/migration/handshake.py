"""Who is there, with which machine, and does it know the secret: before anything else is said.

The source speaks first::

    source        Hello(role, purpose, session, nonce, shape)
    destination   Hello(...)
    source        Proof      HMAC-SHA256 with the secret over "source", both Hellos
    destination   Proof      the same over "destination"

The secret itself is never sent. The destination proves nothing to one who has not proved first.
Without a secret on either side there are no proofs.
"""

import hmac
import secrets
from collections import deque
from typing import Any

from sdeiviz.migration.encoding import EncodingError, check_shape, decode, encode
from sdeiviz.migration.wire import Hello, Message, Proof, Purpose, Role, WireError


class Handshake:
    """One side of the handshake on one connection.

    Parameters
    ----------
    role
        Which side.
    shape
        What the other machine must have in common with this one (`sdeiviz.machine.state.shape`).
    purpose
        What the connection is for; the source says, the destination takes it over.
    session
        The migration, 16 bytes. A destination may give None: it takes any.
    secret
        What both sides know, one byte at least; None for no proof.
    nonce
        32 bytes that were never used before; drawn by default.
    """

    def __init__(
        self,
        role: Role,
        shape: dict[str, Any],
        *,
        purpose: Purpose = Purpose.NEW,
        session: bytes | None = None,
        secret: bytes | None = None,
        nonce: bytes | None = None,
    ) -> None:
        self._role = role
        self._shape = shape
        self._purpose = purpose
        self._session = session
        self._secret = secret
        self._nonce = secrets.token_bytes(32) if nonce is None else nonce
        self._hellos: dict[Role, Hello] = {}
        self._outbox: deque[Message] = deque()
        self.peer: Hello | None = None
        """What the other side has said."""
        self.done = False
        """Both sides are content; what comes next is the migration."""
        if secret == b"":
            raise WireError("an empty secret is none: give some bytes, or None")
        if role is Role.SOURCE:
            if session is None:
                raise WireError("a source draws its session: 16 bytes")
            self._send_hello(purpose, session)

    def _send_hello(self, purpose: int, session: bytes) -> None:
        shape = encode(self._shape)
        secret = self._secret is not None
        hello = Hello(self._role, purpose, secret, session, self._nonce, shape)
        self._hellos[self._role] = hello
        self._outbox.append(hello)

    def pull(self) -> Message | None:
        """Return the next message to send, None for nothing at the moment."""
        return self._outbox.popleft() if self._outbox else None

    def receive(self, message: Message) -> None:
        """Take a message of the other side.

        Raises
        ------
        WireError
            It is none of a handshake, or a wrong proof, or one side has a secret and one has not.
        StateError
            The machines differ in what they must have in common.
        """
        if isinstance(message, Hello) and self.peer is None:
            self._take_hello(message)
        elif isinstance(message, Proof) and self.peer and self._secret and not self.done:
            self._take_proof(message)
        else:
            raise WireError(f"{type(message).__name__} has no place here in a handshake")

    def _take_hello(self, hello: Hello) -> None:
        if hello.role == self._role:
            raise WireError(f"the peer is a {self._role.name.lower()} too")
        if hello.secret and self._secret is None:
            raise WireError("the peer wants a proof of a shared secret, and none is given here")
        if self._secret is not None and not hello.secret:
            raise WireError("the peer has no shared secret to prove")
        if self._session not in (None, hello.session):
            raise WireError("the peer's connection belongs to another migration")
        try:
            check_shape(decode(hello.shape), self._shape)
        except EncodingError as error:
            raise WireError(f"Hello: the shape of the peer's machine is damaged: {error}") from None
        if self._role is Role.SOURCE and hello.purpose != self._purpose:
            raise WireError("the peer has answered for another purpose")
        self.peer = hello
        self._hellos[Role(hello.role)] = hello
        if self._role is Role.DESTINATION:
            self._send_hello(hello.purpose, hello.session)
        elif self._secret is not None:
            self._outbox.append(Proof(self._digest(Role.SOURCE)))
        self.done = self._secret is None

    def _take_proof(self, proof: Proof) -> None:
        assert self.peer
        if not hmac.compare_digest(proof.digest, self._digest(Role(self.peer.role))):
            raise WireError("the peer does not know the shared secret")
        if self._role is Role.DESTINATION:
            self._outbox.append(Proof(self._digest(Role.DESTINATION)))
        self.done = True

    def _digest(self, role: Role) -> bytes:
        """Return what only one who knows the secret can work out, in this role and just now."""
        assert self._secret is not None
        mac = hmac.new(self._secret, role.name.encode(), "sha256")
        for side in Role:
            payload = self._hellos[side].pack()
            mac.update(len(payload).to_bytes(4, "big") + payload)
        return mac.digest()
