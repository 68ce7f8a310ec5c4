"""Requests that mean no good: refused, never a fault."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrieval.encoders
from retrieval import Index
from retrieval.server import connections
from retrieval.server.requests import Limits
from tests.server.conftest import DOCUMENTS, Client, Serve, load, running

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:7700", 200),
        ("127.0.0.1", 200),
        ("[::1]:7700", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example:7700", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_another_name_of_this_machine_is_refused(client: Client, host: str, status: int) -> None:
    assert client.get("/health", Host=host).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7700", 200),
        ("http://127.0.0.1", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_a_page_of_another_site_is_refused(client: Client, origin: str, status: int) -> None:
    asked = client.get("/v1/search?q=x", Host="127.0.0.1:7700", Origin=origin)
    assert asked.status == status
    assert not any(name.startswith("access-control") for name in asked.headers)


def test_a_browser_gets_no_leave_for_other_sites(client: Client) -> None:
    asked = client.ask(
        "OPTIONS",
        "/v1/indexes/notes/documents",
        headers={
            "Origin": "http://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert asked.status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_could_send_changes_nothing(client: Client, kind: str) -> None:
    body = json.dumps({"documents": [{"id": "z", "text": "z"}]}).encode()
    path = "/v1/indexes/notes/documents"
    assert client.ask("POST", path, body, {"Content-Type": kind}).status == 415
    assert client.get("/v1/indexes/notes/status").json["documents"] == len(DOCUMENTS)


def test_a_token_is_needed_for_all_that_tells_of_documents(serve: Serve) -> None:
    client = serve(token=TOKEN, hosts=None)
    assert client.get("/health", Host="any.example").status == 200
    for path in ("/v1/search?q=x", "/openapi.json", "/nothing", "/v1/models"):
        for sent in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"x {TOKEN}"}):
            refused = client.get(path, **sent)
            assert refused.status == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in refused.detail
    assert client.get("/v1/search?q=x", Authorization=f"Bearer {TOKEN}").status == 200
    assert client.get("/v1/search?q=x", Authorization="Bearer \xe4").status == 401


def test_every_answer_has_the_headers_that_keep_a_browser_in_bounds(client: Client) -> None:
    for path in ("/health", "/v1/search?q=waits", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers or "uvicorn" in headers["server"]


def test_a_body_beyond_the_limit_is_refused(serve: Serve) -> None:
    client = serve(limits=Limits(body=1000))
    refused = client.post("/v1/indexes/notes/search", {"query": "x" * 2000})
    assert refused.status == 413
    assert "1000 bytes" in refused.detail


def test_a_body_that_does_not_come_is_not_waited_for(serve: Serve) -> None:
    client = serve(limits=Limits(body_seconds=0.1))
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/indexes/notes/search HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        (0, b""),
        (0, b"GET /hea"),
        (0, b"GET /health HTTP/1.1\r\nHost: local"),
        (1, b"GET /health HTTP/1.1\r\nHost: local"),  # after one that was answered
    ],
)
def test_a_head_that_does_not_come_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch, before: int, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        for _ in range(before):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += connection.recv(1000)
        with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
            for at in range(len(sent)):  # byte by byte, which does not make the time longer
                connection.sendall(sent[at : at + 1])
            assert connection.recv(100) == b""
    assert client.get("/health").status == 200


def test_a_request_that_takes_long_keeps_its_connection(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)

    def slow(self: Index) -> Any:
        time.sleep(0.5)
        return status(self)

    status = Index.status
    monkeypatch.setattr(Index, "status", slow)
    assert client.get("/v1/indexes/notes/status").status == 200


def test_too_many_requests_are_refused_at_once(serve: Serve) -> None:
    client = serve(limits=Limits(waiting=0))
    refused = client.get("/v1/search?q=x")
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_next_is_served(client: Client, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert client.get("/health").status == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One server for all examples; what they add to it is whatever passes."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval.encoders, "load_encoder", load)
        with Index.create(folder / "notes") as index:
            index.add(DOCUMENTS)
        with running(folder) as client:
            yield client


ODD = st.sampled_from(
    ["", " ", "\0", "\ud800", "\U0001f600", "\u202e", "'", '"', '"a', "-x", "((", "../..", "%00"]
)
TEXT = ODD | st.text(st.characters(), max_size=20) | st.just("waits")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT, "text": TEXT},
        optional={"title": TEXT, "metadata": st.dictionaries(TEXT, JSON)},
    )
    | JSON,
    max_size=3,
)
WHERE = TEXT | JSON | st.sampled_from(["true", "a == 1", 'id glob "*"', "title matches '('"])
FILTERS = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["eq", "ne", "gt", "lte", "in", "nin"]) | TEXT},
        optional={"key": TEXT | st.just("n"), "value": JSON},
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["and", "or"]), "filters": st.lists(inner, max_size=3)}
    ),
    max_leaves=5,
)
BODIES = {
    "/v1/indexes/notes/search": {
        "query": TEXT,
        "queries": st.lists(TEXT, max_size=3),
        "k": st.integers(-1, 20) | JSON,
        "offset": st.integers(-1, 20) | JSON,
        "retriever": st.sampled_from(["lexical", "dense", "late", "hybrid"]) | TEXT,
        "where": WHERE,
        "params": JSON,
        "group": st.sampled_from(["document", "passage"]) | TEXT,
        "copies": st.booleans() | JSON,
        "min_relevance": st.floats() | JSON,
        "explain": st.booleans() | JSON,
    },
    "/v1/indexes/notes/documents": {"documents": RECORDS | JSON},
    "/v1/embeddings": {
        "input": TEXT | st.lists(TEXT, max_size=3) | JSON,
        "encoding_format": st.sampled_from(["float", "base64"]) | JSON,
        "dimensions": st.just(32) | JSON,
        "input_type": st.sampled_from(["query", "document"]) | JSON,
    },
    "/embed": {
        "inputs": TEXT | st.lists(TEXT, max_size=3) | JSON,
        "truncate": st.booleans() | JSON,
        "prompt_name": st.sampled_from(["query", "document"]) | JSON,
    },
    "/v1/vector_stores/notes/search": {
        "query": TEXT | st.lists(TEXT, max_size=3) | JSON,
        "filters": FILTERS | JSON,
        "max_num_results": st.integers(-1, 60) | JSON,
        "ranking_options": st.dictionaries(st.just("score_threshold"), st.floats() | JSON) | JSON,
    },
    "/rerank": {
        "query": TEXT | JSON,
        "texts": st.lists(TEXT, max_size=3) | JSON,
        "documents": st.lists(TEXT | RECORDS, max_size=3) | JSON,
        "top_n": st.integers(-1, 5) | JSON,
        "return_documents": st.booleans() | JSON,
    },
}


@st.composite
def posted(draw: st.DrawFn) -> tuple[str, Any]:
    path = draw(st.sampled_from(sorted(BODIES)))
    fields = BODIES[path]
    first = next(iter(fields))
    rest = {name: one for name, one in fields.items() if name != first}
    whole = st.fixed_dictionaries({first: fields[first]}, optional=rest)
    return path, draw(whole | st.fixed_dictionaries({}, optional=fields) | JSON)


def check(answer: Any) -> None:
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert answer.detail


@given(posted())
@settings(max_examples=250)
def test_no_body_is_a_fault(server: Client, sent: tuple[str, Any]) -> None:
    path, value = sent
    body = json.dumps(value, allow_nan=True).encode()
    check(server.ask("POST", path, body, {"Content-Type": "application/json"}))


PART = st.text(st.sampled_from("abz/.%?&=#-_~é\0 "), max_size=8).map(
    lambda text: "".join(c if c in "/?&=." else f"%{b:02x}" for c in text for b in c.encode())
)


@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"]),
    st.sampled_from(
        [
            "/",
            "/v1/search?q=",
            "/v1/search?where=",
            "/v1/search?q=waits&k=",
            "/v1/indexes/",
            "/v1/indexes/notes/documents/",
            "/v1/indexes/notes/documents?where=",
            "/v1/indexes/notes/documents?after=",
            "/v1/indexes/notes/status?",
        ]
    ),
    PART | st.sampled_from(["%ff", "%00", "%ed%a0%80", "..%2f..%2f", "1" * 5000, "%", "%zz"]),
)
@settings(max_examples=150)
def test_no_address_is_a_fault(server: Client, method: str, path: str, part: str) -> None:
    answer = server.ask(method, path + part)
    if method == "HEAD":
        assert answer.status < 500
    else:
        check(answer)


@pytest.fixture(autouse=True, scope="module")
def _still_served(server: Client) -> Iterator[None]:
    """After all that, it answers as before."""
    yield
    assert server.get("/ready").status == 200
