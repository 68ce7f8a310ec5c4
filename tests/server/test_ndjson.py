"""Documents as lines: streamed in with progress out, and listed."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

import pytest
from starlette.types import Message

from retrieval import Index
from retrieval.errors import IndexLocked
from retrieval.server import documents, ndjson
from retrieval.server.ndjson import JsonLines
from retrieval.server.requests import Limits
from retrieval.service.kept_open import KeptOpen
from tests.server.conftest import DOCUMENTS, Answer, Client, Serve
from tests.server.test_load import eventually

AT = "/v1/indexes/notes/documents"
LINES = {"Content-Type": "application/x-ndjson"}


def lines_of(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def send(client: Client, body: bytes, kind: str = "application/x-ndjson") -> Answer:
    return client.ask("POST", AT, body, {"Content-Type": kind})


def told(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_documents_stream_in_and_progress_out(
    client: Client, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "AT_ONCE", 10)
    rows = [{"id": f"d{at}", "text": f"zebra {at}", "metadata": {"n": at}} for at in range(35)]
    # The last line may end without a line break, and blank ones are no documents.
    progress = told(send(client, b"\n" + lines_of(rows).rstrip() if kind else b"", kind))
    assert progress[-1] == {"given": 35, "changed": 35, "refused": 0, "done": True}
    assert [one["given"] for one in progress] == sorted(one["given"] for one in progress)
    assert client.get(f"{AT}/d34").json["metadata"] == {"n": 34}
    again = told(send(client, lines_of(rows[:3])))
    assert again[-1] == {"given": 3, "changed": 0, "refused": 0, "done": True}
    assert told(send(client, b"")) == [{"given": 0, "changed": 0, "refused": 0, "done": True}]


def test_progress_comes_while_documents_are_still_sent(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        head = f"POST {AT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())

        def chunk(data: bytes) -> None:
            connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        many = [{"id": f"d{at}", "text": "zebras"} for at in range(ndjson.AT_ONCE)]
        chunk(lines_of(many))
        got = b""
        while b'"done":false' not in got:
            got += connection.recv(4096)
        assert client.get(f"{AT}/d0").status == 200  # what was told is in
        last = lines_of([{"id": "last", "text": "gnus"}])
        chunk(last[:9])  # a line may come in pieces
        chunk(last[9:])
        chunk(b"")
        while b'"done":true' not in got:
            got += connection.recv(4096)
    assert client.get(f"{AT}/last").json["text"] == "gnus"


def test_who_waits_for_each_answer_is_answered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "AT_ONCE_S", 0.1)
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        head = f"POST {AT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        got = b""
        for at in range(3):
            row = lines_of([{"id": f"d{at}", "text": "zebras"}])
            connection.sendall(f"{len(row):x}\r\n".encode() + row + b"\r\n")
            while f'"given":{at + 1}'.encode() not in got:
                got += connection.recv(4096)
        connection.sendall(b"0\r\n\r\n")
        while b'"done":true' not in got:
            got += connection.recv(4096)


def test_a_line_that_is_no_document_is_named_and_left_out(client: Client) -> None:
    bad = [
        b"{",
        b"[1]",
        b'{"id": "x"}',
        b'{"id": "x", "text": 1}',
        b'{"id": "x", "text": "y", "colour": "red"}',
        b'{"id": "", "text": "no id"}',
        b'{"id": "x", "text": "\\ud800"}',
        b"\xff\xfe",
        b'{"id": "x", "text": NaN}',
    ]
    good = lines_of([{"id": "good", "text": "zebras"}])
    progress = told(send(client, good + b"\n".join(bad)))
    refused = [one["refused"] for one in progress if "refused" in one and "line" in str(one)]
    assert [one["line"] for one in refused] == list(range(2, len(bad) + 2))
    assert all(one["detail"] and "\n" not in one["detail"] for one in refused)
    assert progress[-1] == {"given": 10, "changed": 1, "refused": 9, "done": True}
    assert client.get(f"{AT}/good").status == 200
    assert client.get(f"{AT}/x").status == 404


def test_what_is_wrong_from_the_start_is_an_error(serve: Serve) -> None:
    client = serve(limits=Limits(body=1000))
    assert "line 1: the line is not JSON" in send(client, b"<html>\n<p>").detail
    assert send(client, b"<html>").status == 400
    long = send(client, lines_of([{"id": "x", "text": "x" * 2000}]))
    assert long.status == 413
    assert "line 1 has more than 1000 bytes" in long.detail
    assert client.ask("POST", "/v1/indexes/none/documents", b"", LINES).status == 404
    assert client.ask("POST", f"{AT}?k=1", b"", LINES).status == 400
    assert serve(read_only=True).ask("POST", AT, b"", LINES).status == 403
    assert client.get("/ready").status == 200


def test_an_error_on_the_way_is_the_last_line(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "AT_ONCE", 1)
    limits = Limits(body=500)
    client = serve(limits=limits)
    rows = lines_of([{"id": "a", "text": "zebras"}])
    progress = told(send(client, rows + lines_of([{"id": "b", "text": "x" * 70_000}])))
    assert progress[-1]["error"]["status"] == 413
    assert client.get(f"{AT}/a").status == 200
    eventually(lambda: limits.held == 0)

    def locked(*given: Any, **named: Any) -> Any:
        raise IndexLocked("another process is writing")

    monkeypatch.setattr(Index, "add", locked)
    refused = send(client, rows)
    assert refused.status == 409
    assert refused.headers["retry-after"]


@pytest.mark.parametrize("rows", [[], [{"id": "a", "text": "zebras"}]])
def test_who_sends_too_slowly_is_told_and_holds_nobody_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, rows: list[Any]
) -> None:
    monkeypatch.setattr(ndjson, "AT_ONCE_S", 0.1)
    limits = Limits(body_seconds=0.3)
    client = serve(limits=limits)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest("POST", AT)
        connection.putheader("Content-Type", "application/x-ndjson")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(lines_of(rows))
        added = client.post(AT, {"documents": [{"id": "b", "text": "gnus"}]})
        assert added.status == 200  # another writer had its turn
        answer = connection.getresponse()
        *progress, last = (json.loads(line) for line in answer.read().splitlines())
    if rows:
        assert progress == [{"given": 1, "changed": 1, "refused": 0, "done": False}]
        last = last["error"]
    assert (answer.status, last["status"]) == (200 if rows else 408, 408)
    eventually(lambda: limits.held == 0)


def test_what_was_sent_stays_when_the_client_goes_away(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "AT_ONCE", 1)
    limits = Limits()
    client = serve(limits=limits)
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        head = f"POST {AT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        rows = lines_of([{"id": "a", "text": "zebras"}])
        connection.sendall(f"{head}Content-Length: 9000\r\n\r\n".encode() + rows + b'{"id": "b"')
        eventually(lambda: client.get(f"{AT}/a").status == 200)
    eventually(lambda: limits.held == 0)
    assert client.get(f"{AT}/b").status == 404


def test_documents_are_listed_as_lines_and_can_be_sent_again(client: Client) -> None:
    def listed(query: str = "") -> list[Any]:
        return told(client.get(f"{AT}{query}", Accept="text/html, application/x-ndjson;q=0.9"))

    rows = listed("?texts=true")
    assert [row["id"] for row in rows] == sorted(one.id for one in DOCUMENTS)
    assert {row["id"]: row["text"] for row in rows} == {one.id: one.text for one in DOCUMENTS}
    assert "text" not in listed()[0]
    assert [row["id"] for row in listed("?limit=1")] == [rows[0]["id"]]
    assert [row["id"] for row in listed(f"?after={rows[0]['id']}&limit=1")] == [rows[1]["id"]]
    assert listed("?where=n%20%3E%2099") == []
    assert told(send(client, lines_of(rows)))[-1]["changed"] == 0
    refused = client.get(f"{AT}?where=((", Accept="application/x-ndjson")
    assert refused.status == 400
    assert "Accept: application/x-ndjson" in client.get(f"{AT}?texts=true").detail
    assert client.get(f"{AT}?limit=1001").status == 400


def test_an_index_is_opened_and_let_go_beside_the_thread_that_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    using = KeptOpen.using

    def look(what: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            seen.append((what, True))
        else:
            seen.append((what, False))

    @contextlib.contextmanager
    def watched(kept: KeptOpen) -> Iterator[Index]:
        look("before")
        with using(kept) as index:
            try:
                yield index
            finally:
                look("after")

    monkeypatch.setattr(KeptOpen, "using", watched)
    for query in ("", "?limit=1", "?where=(("):
        seen.clear()
        client.get(f"{AT}{query}", Accept="application/x-ndjson")
        eventually(lambda: len(seen) == 2)
        assert seen == [("before", True), ("after", True)]


def test_a_list_that_nobody_reads_to_its_end_lets_its_index_go(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: list[KeptOpen] = []
    using = KeptOpen.using

    @contextlib.contextmanager
    def counted(kept: KeptOpen) -> Iterator[Index]:
        with using(kept) as index:
            users.append(kept)
            try:
                yield index
            finally:
                users.remove(kept)

    monkeypatch.setattr(KeptOpen, "using", counted)
    monkeypatch.setattr(documents, "_LISTED_AT_ONCE", 1)
    monkeypatch.setattr(documents, "_listed", lambda one, texts: {"id": one.id + "z" * (1 << 24)})
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(
            f"GET {AT}?texts=true HTTP/1.1\r\nHost: localhost\r\n"
            "Accept: application/x-ndjson\r\n\r\n".encode()
        )
        assert connection.recv(1000)
        assert users
    eventually(lambda: not users)


def test_that_a_client_is_gone_is_noticed_between_lines() -> None:
    async def lines() -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number

    async def sent() -> list[str]:
        events: list[str] = []

        async def send(message: Message) -> None:
            events.append("line")
            # As asyncio does once it fails to write; it logs whatever is written before that.
            asyncio.get_running_loop().call_soon(events.append, "gone")

        async def receive() -> Message:
            raise AssertionError

        await JsonLines(lines())({"type": "http"}, receive, send)
        return events

    events = asyncio.run(sent())
    assert events[1:5] == ["line", "gone", "gone", "line"]


def test_a_long_list_is_of_one_generation(client: Client) -> None:
    rows = [{"id": f"d{at:04}", "text": "zebras " * 300} for at in range(400)]
    send(client, lines_of(rows))
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(
            f"GET {AT}?texts=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Accept: application/x-ndjson\r\n\r\n".encode()
        )
        got = connection.recv(1000)
        assert client.ask("DELETE", f"{AT}?where=true").json["deleted"] == 403
        time.sleep(0.1)
        while part := connection.recv(1 << 20):
            got += part
    assert sum(f'"id":"d{at:04}"'.encode() in got for at in range(400)) == 400
