"""Many requests at once: a full queue, clients that go away, an end while some are under way."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from retrieval import Index
from retrieval.server.requests import Limits
from tests.index.fake_encoder import FakeEncoder
from tests.server.conftest import Client, Serve, running

AT = "/v1/indexes/notes"


class Gate:
    """Holds up calls of a function until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.calls: list[Any] = []
        self.begun, self.go = threading.Event(), threading.Event()
        real = getattr(owner, name)

        def held(own: Any, *given: Any, **named: Any) -> Any:
            self.calls.append(given)
            self.begun.set()
            assert self.go.wait(60)
            return real(own, *given, **named)

        patch.setattr(owner, name, held)


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def sent(client: Client, method: str, path: str, body: Any = None) -> socket.socket:
    """A connection over which a request was sent, and whose answer was not read."""
    data = b"" if body is None else json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return connection


def test_a_full_queue_refuses_and_serves_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(threads=1, waiting=2)
    client = serve(limits=limits)
    client.get("/v1/search?q=waits")
    gate = Gate(monkeypatch, Index, "search_batch")
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(client.get, "/v1/search?q=waits")]
        assert gate.begun.wait(30)
        for count in (1, 2):
            asked.append(pool.submit(client.get, "/v1/search?q=waits"))
            eventually(lambda count=count: limits.waiting_now()[0] == count)
        refused = client.get("/v1/search?q=waits")
        ready, metrics = client.get("/ready"), client.get("/metrics")
        gate.go.set()
        assert [one.result(30).status for one in asked] == [200] * 3
    assert refused.status == ready.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert b'retrieval_queue_requests{work="read"} 2.0\n' in metrics.body
    assert client.get("/v1/search?q=waits").status == 200


def test_bodies_of_all_requests_are_bounded_together(serve: Serve) -> None:
    limits = Limits(body=1000, bodies=1500)
    client = serve(limits=limits)
    text = "x" * 900
    for _ in range(3):  # what was answered is held no longer
        assert client.post(f"{AT}/search", {"query": text}).status == 200
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as slow:
        slow.sendall(
            b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 950\r\n\r\n" + b" " * 900
        )
        eventually(lambda: limits.held == 900)
        refused = client.post(f"{AT}/search", {"query": text})
        assert refused.status == 429
        assert "1500 bytes" in refused.detail
    eventually(lambda: limits.held == 0)
    assert client.post(f"{AT}/search", {"query": text}).status == 200


def test_a_client_that_goes_away_is_waited_for_no_longer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(threads=1)
    client = serve(limits=limits)
    client.get("/v1/search?q=waits")
    gate = Gate(monkeypatch, Index, "search_batch")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.get, "/v1/search?q=waits")
        assert gate.begun.wait(30)
        unwanted = sent(client, "POST", f"{AT}/search", {"query": "zebras"})
        eventually(lambda: limits.waiting_now()[0] == 1)
        unwanted.close()
        eventually(lambda: limits.waiting_now()[0] == 0)
        gate.go.set()
        assert first.result(30).status == 200
    assert len(gate.calls) == 1


def test_work_that_has_begun_ends_where_it_looks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(limits=Limits(threads=1))
    client.get("/v1/search?q=waits")
    gate = Gate(monkeypatch, FakeEncoder, "encode_documents")
    with closing(sent(client, "POST", "/v1/embeddings", {"input": ["text"] * 200})):
        assert gate.begun.wait(30)
    time.sleep(0.2)  # for the server to see that the connection is closed
    gate.go.set()
    assert client.get("/v1/search?q=waits").status == 200  # the one thread is free again
    assert len(gate.calls) == 1  # of four that the texts take


def test_what_takes_too_long_is_ended(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(threads=1, seconds=0.3)
    client = serve(limits=limits)
    client.get("/v1/search?q=waits")
    gate = Gate(monkeypatch, FakeEncoder, "encode_documents")
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(client.post, "/v1/embeddings", {"input": ["text"] * 200})
        assert gate.begun.wait(30)
        waiting = pool.submit(client.get, "/v1/search?q=waits").result(30)  # for the one thread
        gate.go.set()
        assert [waiting.status, asked.result(30).status] == [503, 503]
    assert "longer than 0.3 s" in waiting.detail
    assert waiting.headers["retry-after"]
    assert len(gate.calls) == 1  # of four that the texts take
    assert client.get("/v1/search?q=waits").status == 200


def test_what_has_begun_to_write_is_finished(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve()
    gate = Gate(monkeypatch, Index, "add")
    body = {"documents": [{"id": "z", "text": "zebras graze"}]}
    with closing(sent(client, "POST", f"{AT}/documents", body)):
        assert gate.begun.wait(30)
    gate.go.set()
    eventually(lambda: client.get(f"{AT}/documents/z").status == 200)


def test_a_server_that_is_told_to_end_finishes_what_it_began(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = serve().folder
    gate = Gate(monkeypatch, Index, "search_batch")
    with ThreadPoolExecutor(1) as pool:
        with running(folder) as client:
            asked = pool.submit(client.get, "/v1/search?q=waits")
            assert gate.begun.wait(30)
            threading.Timer(0.3, gate.go.set).start()
        assert asked.result(30).json["hits"]
