"""The protocol between router and replicas: connections with numbered, signed messages.

Both ends prove that they know the replica's key before anything else is read, and sign every
message, including its number, with a key for this connection and direction (keyed BLAKE2b, RFC
7693). So without the key nobody can ask or answer, change messages or replay them; nothing is
encrypted. A message is msgpack (`encoding`): nothing that is received is executed.

    greeting   replica: "RTRV", `encoding.schema()` u8 [8], a nonce u8 [32]
               router:  a nonce u8 [32], its proof u8 [32]
               replica: its proof u8 [32]
    message    length of the content u64, number u64, whether it is an answer or else an error u8,
               the sender's clock f64, signature u8 [32], content

A request has the next number, from 1; an answer has the number of its request. So an answer that is
no longer wanted can be told from the one that is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from retrieval.errors import InputError, RetrievalError
from retrieval.sharded.serving.encoding import EncodingError, decoded, encoded, schema

CONNECT_S = 2.0
"""Time limit for connecting to a replica."""

GREET_S = 10.0
"""Time limit for a client to prove that it knows the key."""

SEND_S = 30.0
"""A message is given up if the other end accepts no part of it for so long."""

MOST_BYTES = 1 << 30
"""Maximum bytes of a message's content."""

_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""An idle connection whose other end is silent for two minutes is closed: its machine is gone, or
something between forgot it. Otherwise a replica would wait for requests from there for ever, with a
thread and a descriptor each."""

_MAGIC = b"RTRV"
_NONCE = 32
_SIGNATURE = 32
_HEAD = struct.Struct("<QQ?d")
_TIME = struct.Struct("@ll")  # struct timeval
_BEFORE = _HEAD.size + _SIGNATURE
_PIECE = 1 << 16


class WireError(ConnectionError):
    """Received data does not come from a valid peer; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replica listens, and the key for it."""

    host: str
    port: int
    key: bytes

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Content:
    """The encoded content of a message; made once even if sent to many."""

    data: bytes
    digest: bytes

    @classmethod
    def of(cls, value: Any) -> Content:
        """Encode a value.

        Raises:
            EncodingError: it contains something that cannot be sent.
            InputError: it is too long.
        """
        made = encoded(value)
        if len(made) > MOST_BYTES:
            raise InputError(
                f"a message of {len(made):,} bytes is longer than a request or an answer may be; "
                f"ask for less at a time (the maximum is {MOST_BYTES:,})"
            )
        return cls(made, _digest(made))


@dataclass(frozen=True, slots=True)
class Received:
    """A message from a replica.

    Attributes:
        right: whether it is an answer rather than an error.
        sent: when it was sent, by its machine's monotonic clock.
        value: the answer, or the error.
    """

    right: bool
    sent: float
    value: Any


class Link:
    """A connection to a replica, for one request at a time.

    Every method raises OSError if the replica is gone or not valid.

    Attributes:
        address: the replica's address.
    """

    def __init__(self, address: Address) -> None:
        """Connect.

        Raises:
            OSError: nothing answers there, or it does not know the key.
        """
        self.address = address
        self._socket = _tuned(socket.create_connection((address.host, address.port), CONNECT_S))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._number = 0  # number of the last request
        self._answered = 0  # number of the last answer received
        self._come = bytearray()
        try:
            self._signs, self._checks = self._greeted()
            self._socket.settimeout(None)
        except BaseException:
            self.close()
            raise

    def _greeted(self) -> tuple[bytes, bytes]:
        """The keys of this connection, for sending and for receiving."""
        key, until = self.address.key, time.monotonic() + CONNECT_S
        greeting = _read(self._socket, len(_MAGIC) + 8 + _NONCE, until)
        if not greeting.startswith(_MAGIC):
            raise WireError(f"{self.address}: what listens there is not a replica")
        if greeting[4:12] != schema():
            raise WireError(
                f"{self.address}: the replica is of another release; run one on all machines"
            )
        nonces = greeting[12:] + secrets.token_bytes(_NONCE)
        self._socket.sendall(nonces[_NONCE:] + _proof(key, b"router", nonces))
        proof = _read(self._socket, _SIGNATURE, until)
        if not hmac.compare_digest(proof, _proof(key, b"replica", nonces)):
            raise WireError(f"{self.address}: the replica has another key")
        return _keys(key, nonces)

    def fileno(self) -> int:
        """For polling: call `receive` when it is readable."""
        return self._socket.fileno()

    def send(self, content: Content) -> None:
        """Send a request; answers to earlier ones are no longer wanted."""
        self._number += 1
        head = _HEAD.pack(len(content.data), self._number, True, time.monotonic())
        _send(self._socket, head, _signature(self._signs, head, content.digest), content.data)

    def receive(self) -> Received | None:
        """The answer to the last request; None until it has completely arrived.

        Raises:
            OSError: the connection is closed, or the data is not the replica's.
        """
        piece: bytes | bytearray = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionError("its process ended")
        if self._come:
            self._come += piece
            piece = self._come
        found, done = None, 0
        with memoryview(piece) as come:
            while len(come) - done >= _BEFORE:
                length, number, right, sent = _HEAD.unpack_from(come, done)
                if length > MOST_BYTES or number != self._answered + 1:
                    raise WireError(f"{self.address}: the data is not an answer of a replica")
                begin = done + _BEFORE
                if len(come) < begin + length:
                    break
                content = come[begin : begin + length]
                _check(self._checks, come[done:begin], content, self.address)
                done = begin + length
                self._answered = number
                if number == self._number:
                    value = self._decoded(content)
                    if not right and not isinstance(value, RetrievalError):
                        raise WireError(f"{self.address}: the data is not an error")
                    found = Received(right, sent, value)
                content.release()
        if piece is self._come:
            del self._come[:done]
        elif done < len(piece):
            self._come += piece[done:]
        return found

    def _decoded(self, content: memoryview) -> Any:
        try:
            return decoded(content)
        except EncodingError as error:
            raise WireError(f"{self.address}: {error}") from error

    def ask(self, value: Any, timeout: float) -> Any:
        """Send a request and wait; raises the replica's errors, and TimeoutError."""
        self.send(Content.of(value))
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and self._poll.poll(1000 * left):
            received = self.receive()
            if received is not None:
                if received.right:
                    return received.value
                raise received.value
        raise TimeoutError(f"no answer within {timeout:g} s")

    def is_free(self) -> bool:
        """Whether no answer is outstanding, after reading old ones that have arrived."""
        while self._answered < self._number and self._poll.poll(0):
            self.receive()
        return self._answered == self._number

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class Peer:
    """The replica's end of a link."""

    def __init__(self, accepted: socket.socket, key: bytes) -> None:
        """Authenticate the client that connected.

        Raises:
            EOFError: it disconnected.
            WireError: it does not know the key.
            OSError: the connection broke.
        """
        self._socket = _tuned(accepted)
        try:
            host, port = accepted.getpeername()[:2]
            self._name = f"{host}:{port}"
            nonce = secrets.token_bytes(_NONCE)
            accepted.settimeout(GREET_S)
            accepted.sendall(_MAGIC + schema() + nonce)
            until = time.monotonic() + GREET_S
            greeting = _read(accepted, _NONCE + _SIGNATURE, until)
            if len(greeting) < _NONCE + _SIGNATURE:
                raise EOFError
            nonces = nonce + greeting[:_NONCE]
            if not hmac.compare_digest(greeting[_NONCE:], _proof(key, b"router", nonces)):
                raise WireError(f"{self._name} was rejected: it does not know the replica's key")
            accepted.sendall(_proof(key, b"replica", nonces))
            accepted.settimeout(None)
        except BaseException:
            self.close()
            raise
        self._checks, self._signs = _keys(key, nonces)
        self._number = 0

    def receive(self) -> Any:
        """The next request.

        Raises:
            EOFError: the connection was closed.
            WireError: the data is not a router's request.
            OSError: the connection broke.
        """
        head = _read(self._socket, _BEFORE)
        if not head:
            raise EOFError
        if len(head) < _BEFORE:
            raise WireError(f"{self._name} disconnected in the middle of a message")
        length, number, *_ = _HEAD.unpack_from(head)
        if length > MOST_BYTES or number != self._number + 1:
            raise WireError(
                f"{self._name} was rejected: it announced message {number} of {length:,} bytes, "
                f"where {self._number + 1} of at most {MOST_BYTES:,} was expected"
            )
        content = _read(self._socket, length)
        if len(content) < length:
            raise WireError(f"{self._name} disconnected in the middle of a message")
        _check(self._checks, head, content, self._name)
        self._number = number
        try:
            return decoded(content)
        except EncodingError as error:
            raise WireError(f"{self._name} was rejected: {error}") from error

    def answer(self, content: Content, *, right: bool) -> None:
        """Answer the last request."""
        head = _HEAD.pack(len(content.data), self._number, right, time.monotonic())
        _send(self._socket, head, _signature(self._signs, head, content.digest), content.data)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _tuned(one: socket.socket) -> socket.socket:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            one.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.pack(int(SEND_S), 0))
    return one


def _send(one: socket.socket, *parts: bytes) -> None:
    whole = b"".join(parts)
    sent = one.send(whole)
    if sent < len(whole):
        with memoryview(whole) as left:
            one.sendall(left[sent:])


def _read(one: socket.socket, count: int, until: float | None = None) -> bytes:
    """Read `count` bytes, or fewer if the connection was closed; raises TimeoutError."""
    come = bytearray()
    while len(come) < count:
        if until is not None:
            one.settimeout(max(0.001, until - time.monotonic()))
        piece = one.recv(min(count - len(come), _PIECE))
        if not piece:
            break
        come += piece
        if until is not None and time.monotonic() > until:
            raise TimeoutError("the greeting did not arrive in time")
    return bytes(come)


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=32).digest()


def _signature(key: bytes, head: bytes | memoryview, digest: bytes) -> bytes:
    made = hashlib.blake2b(head, key=key, digest_size=_SIGNATURE)
    made.update(digest)
    return made.digest()


def _check(
    key: bytes, signed: bytes | memoryview, content: bytes | memoryview, who: object
) -> None:
    head, signature = signed[: _HEAD.size], signed[_HEAD.size :]
    if not hmac.compare_digest(signature, _signature(key, head, _digest(content))):
        raise WireError(f"{who}: a message was altered in transit")


def _proof(key: bytes, who: bytes, nonces: bytes) -> bytes:
    return hashlib.blake2b(who + nonces, key=key, digest_size=_SIGNATURE).digest()


def _keys(key: bytes, nonces: bytes) -> tuple[bytes, bytes]:
    """The keys for messages to the replica, and to the router."""
    return _proof(key, b"to the replica", nonces), _proof(key, b"to the router", nonces)
