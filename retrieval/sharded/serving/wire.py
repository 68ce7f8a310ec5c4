"""The wire between router and replicas: authenticated connections that carry numbered messages.

Who connects proves that it knows the replica's key, by HMAC as `multiprocessing.connection` does,
before anything is unpickled. A message is its number, u64, and its content; so an answer that
nobody waited for any more is told from the one that is waited for.
"""

from __future__ import annotations

import pickle
import socket
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

CONNECT_S = 2.0
"""A replica that does not answer for so long when it is connected to is away."""

_NUMBER = struct.Struct("<Q")
_HEAD = struct.Struct("<?d")  # of an answer: whether it is one, or else an error; seconds it took


@dataclass(frozen=True, slots=True)
class Received:
    """What a replica sent.

    Attributes:
        right: whether it is an answer, or else an error.
        seconds: that the replica took for it.
        content: pickled.
    """

    right: bool
    seconds: float
    content: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replica listens, and what proves that one may ask it."""

    host: str
    port: int
    key: bytes


def encoded(content: Any) -> bytes:
    """A message's content; one that goes to many is made once."""
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


class Link:
    """A connection to a replica, for one question at a time.

    Every method raises OSError or EOFError if the replica is gone.

    Attributes:
        address: the replica's.
    """

    def __init__(self, address: Address) -> None:
        """Connect.

        Raises:
            OSError: nobody answers there, or not with the key.
        """
        self.address = address
        connected = socket.create_connection((address.host, address.port), CONNECT_S)
        connected.settimeout(None)
        self._connection = _connection(connected)
        self._number = 0
        self._unread = 0
        try:
            if not self._connection.poll(CONNECT_S):  # it challenges whoever connects
                raise TimeoutError(f"{address.host}:{address.port} does not answer")
            answer_challenge(self._connection, address.key)
            deliver_challenge(self._connection, address.key)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise
            raise ConnectionError(f"{address.host}:{address.port}: {error}") from error

    def fileno(self) -> int:
        """For selectors."""
        return self._connection.fileno()

    def send(self, content: bytes) -> None:
        """Send a question; answers to earlier ones are not wanted any more."""
        self._number += 1
        self._unread += 1
        self._connection.send_bytes(_NUMBER.pack(self._number) + content)

    def receive(self) -> Received | None:
        """What has come: an answer to the last question, or None for one to an earlier one."""
        content = self._connection.recv_bytes()
        self._unread -= 1
        if _NUMBER.unpack_from(content)[0] != self._number:
            return None
        right, seconds = _HEAD.unpack_from(content, _NUMBER.size)
        return Received(right, seconds, content[_NUMBER.size + _HEAD.size :])

    def ask(self, content: Any, timeout: float) -> Any:
        """Ask, and wait; raises what the replica raises, and TimeoutError."""
        self.send(encoded(content))
        while self._connection.poll(timeout):
            received = self.receive()
            if received is not None:
                found = pickle.loads(received.content)
                if received.right:
                    return found
                raise found
        raise TimeoutError(f"no answer within {timeout:g} s")

    def is_free(self) -> bool:
        """Whether nothing is outstanding: old answers that have come are read for that."""
        while self._unread and self._connection.poll(0):
            self.receive()
        return not self._unread

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


class Peer:
    """The replica's end of a link."""

    def __init__(self, accepted: socket.socket, key: bytes) -> None:
        """Let who connected prove that it knows the key; raises OSError or another if not."""
        self._connection = _connection(accepted)
        try:
            deliver_challenge(self._connection, key)
            answer_challenge(self._connection, key)
        except BaseException:
            self.close()
            raise

    def receive(self) -> tuple[bytes, Any]:
        """The next question: its number, as it goes back, and its content."""
        content = self._connection.recv_bytes()
        return content[: _NUMBER.size], pickle.loads(content[_NUMBER.size :])

    def answer(self, number: bytes, content: Any, *, right: bool, seconds: float) -> None:
        """Answer it."""
        self._connection.send_bytes(number + _HEAD.pack(right, seconds) + encoded(content))

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def _connection(one: socket.socket) -> Connection:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(one.detach())
