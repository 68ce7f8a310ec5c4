"""Who has no key, or sends what is no message, costs a replica one line and one connection."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from retrieval.errors import InputError, StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.serving import replica as replica_module
from retrieval.sharded.serving import wire
from retrieval.sharded.serving.messages import Ask, Keep
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Address, Content, Link, WireError

from .serving_samples import until


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(Place(f"file://{tmp_path}", {}, tmp_path / "cache"))
    yield made
    made.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


def still_answers(replica: Replica) -> None:
    link = Link(replica.address)
    assert link.ask(Keep("test", frozenset()), 10) == []
    link.close()


class FailingSocket:
    """A listening socket that cannot take the next connections."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self._real, self._failures = real, failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def accept(self) -> Any:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()


@pytest.mark.parametrize("lacking", ["descriptors", "threads"])
def test_connections_that_cannot_be_taken_do_not_make_it_deaf(
    lacking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = 5  # more than may be greeted at once: none may keep its place
    monkeypatch.setattr(replica_module, "GREETED_AT_ONCE", 2)
    monkeypatch.setattr(replica_module, "_AGAIN_S", 0.001)
    if lacking == "descriptors":
        real = socket.create_server
        monkeypatch.setattr(
            socket,
            "create_server",
            lambda *given, **options: FailingSocket(real(*given, **options), failures),
        )
    else:
        left, start = [None] * failures, threading.Thread.start

        def failing(thread: threading.Thread) -> None:
            if thread.name == "connection" and left:
                left.pop()
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", failing)
    before = set(threading.enumerate())
    made = Replica(Place(f"file://{tmp_path}", {}, tmp_path / "cache"))
    try:
        if lacking == "threads":
            for _ in range(failures):
                with pytest.raises(OSError):
                    Link(made.address)
        still_answers(made)
    finally:
        made.close()
    assert len([line for line in lines(caplog) if "could not be taken" in line]) == 1
    until(lambda: set(threading.enumerate()) <= before)


class Raw(Link):
    """A link that says other things than a router does."""

    def put(self, whole: bytes) -> None:
        self._socket.sendall(whole)

    def message(self, content: bytes, *, number: int = 1, length: int | None = None) -> bytes:
        made = len(content) if length is None else length
        head = wire._HEAD.pack(made, number, True, 0.0)
        return head + wire._signature(self._signs, head, wire._digest(content)) + content

    def is_closed(self) -> bool:
        self._socket.settimeout(10)
        try:
            return not self._socket.recv(1)
        except ConnectionResetError:
            return True


def changed(link: Raw) -> bytes:
    whole = bytearray(link.message(Content.of(Keep("test", frozenset([5]))).data))
    whole[-1] ^= 1
    return bytes(whole)


def unsigned(link: Raw) -> bytes:
    content = Content.of(Keep("test", frozenset())).data
    return wire._HEAD.pack(len(content), 1, True, 0.0) + b"\0" * 32 + content


HOSTILE = {
    "oversized": (lambda link: link.message(b"", length=wire.MOST_BYTES + 1), "bytes, where 1 of"),
    "another number": (lambda link: link.message(b"\xc0", number=2), "announced message 2"),
    "of a foreign type": (
        lambda link: link.message(msgpack.packb([msgpack.ExtType(1, b"Popen"), "true"])),
        "an unknown type: 1, b'Popen'",
    ),
    "no msgpack": (lambda link: link.message(b"\xc1"), "not a message"),
    "unsigned": (unsigned, "altered in transit"),
    "changed": (changed, "altered in transit"),
    "twice the same": (
        lambda link: 2 * link.message(Content.of(Keep("test", frozenset())).data),
        "announced message 1",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_costs_a_line_and_a_connection(
    name: str, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    make, line = HOSTILE[name]
    link = Raw(replica.address)
    link.put(make(link))
    until(lambda: bool(caplog.records))
    assert line in lines(caplog)[0] and "\n" not in lines(caplog)[0]
    if name != "twice the same":  # the first of them is answered
        assert link.is_closed()
    link.close()
    still_answers(replica)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("count", [3, 57, 70])
def test_half_a_message_costs_a_line(
    count: int, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    link = Raw(replica.address)
    link.put(link.message(b"x" * 40)[:count])
    link.close()
    until(lambda: bool(caplog.records))
    assert "in the middle of a message" in lines(caplog)[0]
    still_answers(replica)


def test_nobody_speaks_to_a_replica_without_its_key(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    address = replica.address
    with pytest.raises(WireError, match="has another key"):
        Link(Address(address.host, address.port, b"another key"))
    until(lambda: bool(caplog.records))
    assert "does not know the replica's key" in lines(caplog)[0]
    still_answers(replica)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: replica\r\n\r\n" + b"x" * 99])
def test_who_speaks_otherwise_is_sent_away(
    said: bytes,
    replica: Replica,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gets nothing but the greeting, and has a moment for its own."""
    monkeypatch.setattr(wire, "GREET_S", 0.2)
    with socket.create_connection((replica.address.host, replica.address.port)) as other:
        other.sendall(said)
        other.settimeout(10)
        came = b""
        try:
            while piece := other.recv(4096):
                came += piece
        except ConnectionResetError:
            pass
    assert len(came) <= 44
    still_answers(replica)
    assert len(caplog.records) == bool(said)


def test_only_so_many_are_greeted_at_once(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that connect and say nothing take a bounded number of threads, and not for long."""
    monkeypatch.setattr(wire, "GREET_S", 0.5)
    before = set(threading.enumerate())

    def greeted() -> int:
        return sum(one.name == "connection" for one in {*threading.enumerate()} - before)

    address = (replica.address.host, replica.address.port)
    others = [socket.create_connection(address) for _ in range(100)]
    until(lambda: greeted() > 0)
    assert greeted() <= replica_module.GREETED_AT_ONCE
    until(lambda: greeted() == 0)
    for one in others:
        one.close()
    still_answers(replica)


def impostor(answer: Any) -> Address:
    """Where something listens that answers every connection like this."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listening, listening.accept()[0] as one:
            answer(one)

    threading.Thread(target=run, daemon=True).start()
    return Address("127.0.0.1", listening.getsockname()[1], b"k" * 32)


def test_a_router_believes_no_impostor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CONNECT_S", 0.3)
    with pytest.raises(WireError, match="not a replica"):
        Link(impostor(lambda one: one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 40)))
    with pytest.raises(WireError, match="another release"):
        Link(impostor(lambda one: one.sendall(b"RTRV" + b"\0" * 40)))
    with pytest.raises(OSError):
        Link(impostor(lambda one: time.sleep(1)))

    def parrot(one: socket.socket) -> None:
        one.sendall(b"RTRV" + wire.schema() + b"\0" * 32)
        one.sendall(one.recv(64)[32:])  # the router's own proof

    with pytest.raises(WireError, match="another key"):
        Link(impostor(parrot))


def test_what_a_replica_cannot_do_is_an_error_of_one_line(replica: Replica) -> None:
    link = Link(replica.address)
    with pytest.raises(InputError, match="is not a request"):
        link.ask("what time is it", 10)
    with pytest.raises(StorageError, match="has not loaded generation 7"):
        link.ask(Ask(7, "counts", (["w"],)), 10)
    assert link.ask(Keep("test", frozenset()), 10) == []
    link.close()


@pytest.mark.parametrize("method", ["close", "snapshot", "_allowed", "__class__", "format"])
def test_only_methods_of_the_list_are_asked_for(method: str, replica: Replica) -> None:
    replica._held = {(1, 0): object()}  # type: ignore[dict-item]
    link = Link(replica.address)
    with pytest.raises(InputError, match="is not a method that a shard answers"):
        link.ask(Ask(1, method, ()), 10)
    link.close()
    replica._held = {}


def test_an_answer_that_is_too_long_is_an_error(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replica, "_answered", lambda self, question: b"x" * 10_000)
    link = Link(replica.address)
    assert len(link.ask(Keep("test", frozenset()), 10)) == 10_000
    monkeypatch.setattr(wire, "MOST_BYTES", 5000)
    with pytest.raises(InputError, match=r"10,003 bytes is longer .*; ask for less"):
        link.ask(Keep("test", frozenset()), 10)
    link.close()


def test_long_messages_arrive_whole(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "_answered", lambda self, question: question)
    link = Link(replica.address)
    for size in (0, 1, 65_000, 66_000, 3_000_000):
        assert link.ask(["x" * size], 30) == ["x" * size]
    link.close()


def test_an_answer_that_nobody_waits_for_is_told_from_the_next(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(self: Replica, question: Any) -> Any:
        time.sleep(question)
        return question

    monkeypatch.setattr(Replica, "_answered", late)
    link = Link(replica.address)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        link.ask(0.3, 0.05)
    assert not link.is_free()
    assert link.ask(0.0, 10) == 0.0
    assert link.is_free()
    link.close()


def test_a_machine_that_is_gone_is_noticed(replica: Replica) -> None:
    """It closes nothing, so both ends ask each other whether they are still there."""
    link = Link(replica.address)
    assert link.ask(Keep("test", frozenset()), 10) == []
    (peer,) = replica._peers
    for end in (link._socket, peer._socket):
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    link.close()
