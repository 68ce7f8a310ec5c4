"""`/metrics` says what was asked and answered, in a form that its own parser reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from retrieval import Document, Index
from retrieval.server.requests import Limits
from tests.server.conftest import DOCUMENTS, Client, Serve
from tests.server.test_load import Gate, eventually, sent


def samples(client: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(answer.body.decode())
        for one in family.samples
    }


def value(client: Client, name: str, **labels: str) -> float:
    return samples(client).get((name, frozenset(labels.items())), 0.0)


def test_requests_are_counted_by_route_and_status(client: Client) -> None:
    for _ in range(3):
        client.get("/v1/search?q=waits")
    client.get("/v1/search")
    client.get("/v1/indexes/notes/documents/locks.md")
    client.get("/v1/indexes/notes/documents/no")
    client.ask("BREW", "/coffee")
    client.get("/" + "x" * 100)
    client.get("/health", Host="evil.example")
    name = "retrieval_http_requests_total"
    document = "/v1/indexes/{name}/documents/{id}"
    got = samples(client)

    def count(method: str, route: str, status: str) -> float:
        labels = {"method": method, "route": route, "status": status}
        return got.get((name, frozenset(labels.items())), 0.0)

    assert count("GET", "/v1/search", "200") == 3
    assert count("GET", "/v1/search", "400") == 1
    assert count("GET", document, "200") == 1
    assert count("GET", document, "404") == 1
    assert count("other", "other", "404") == 1  # what clients make up is no label
    assert count("GET", "other", "404") == 1
    assert count("GET", "other", "421") == 1
    seconds = "retrieval_http_request_duration_seconds"
    assert got[f"{seconds}_count", frozenset({("route", "/v1/search")})] == 4
    most = frozenset({("route", "/v1/search"), ("le", "+Inf")})
    assert got[f"{seconds}_bucket", most] == 4
    assert 0 < got[f"{seconds}_sum", frozenset({("route", "/v1/search")})] < 60


def test_generation_documents_and_tokens(client: Client) -> None:
    before = value(client, "retrieval_index_generation", index="notes")
    assert value(client, "retrieval_index_documents", index="notes") == len(DOCUMENTS)
    with Index.open(client.folder / "notes") as other:
        assert other.generation == before
        other.add([Document("z", "zebras graze")])
        assert other.generation > before
        after = other.generation
    assert value(client, "retrieval_index_generation", index="notes") == after
    client.post("/v1/embeddings", {"input": ["who waits", "now"]})
    client.post("/rerank", {"query": "who waits", "documents": ["one", "two words"]})
    assert value(client, "retrieval_tokens_total", route="/v1/embeddings") == 3
    assert value(client, "retrieval_tokens_total", route="/rerank") == 5


def test_the_queue_is_shown_and_who_left_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(threads=2)
    client = serve(limits=limits)
    client.get("/v1/search?q=waits")
    gate = Gate(monkeypatch, Index, "search_batch")
    held = sent(client, "POST", "/v1/indexes/notes/search", {"query": "waits"})
    assert gate.begun.wait(30)
    got = samples(client)
    assert got["retrieval_http_requests_in_progress", frozenset()] == 2  # `/metrics` is one
    assert got["retrieval_queue_bytes", frozenset()] == len('{"query": "waits"}')
    assert got["retrieval_queue_requests", frozenset({("work", "read")})] == 0
    held.close()
    time.sleep(0.3)  # for the server to see that
    gate.go.set()
    labels = {"method": "POST", "route": "/v1/indexes/{name}/search", "status": "499"}
    eventually(lambda: value(client, "retrieval_http_requests_total", **labels) == 1)


def test_an_index_that_cannot_be_opened_is_left_out(client: Client) -> None:
    assert value(client, "retrieval_index_generation", index="notes") > 0
    remove(client.folder / "notes")
    assert not [name for name, _ in samples(client) if name.startswith("retrieval_index")]
    assert client.get("/ready").status == 503


def remove(folder: Path) -> None:
    (folder / "store.sqlite").rename(folder / "away")


def test_the_token_is_needed(serve: Serve) -> None:
    client = serve(token="t" * 20)
    assert client.get("/metrics").status == 401
    sent_with: Any = {"Authorization": f"Bearer {'t' * 20}"}
    assert client.get("/metrics", **sent_with).status == 200
