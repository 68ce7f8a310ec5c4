"""A collection in shards behind the HTTP face: what an index in a folder answers."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore")

import retrieval.encoders
from retrieval import Document, Index
from retrieval.mcp.http import StreamableHttp
from retrieval.server import app
from retrieval.service import kept_collection
from retrieval.sharded import ShardedIndex
from retrieval.sharded.serving.served_collection import ServedCollection
from tests.index.fake_encoder import FakeEncoder
from tests.mcp.test_wire import INITIALIZE, request
from tests.server.conftest import DOCUMENTS, Answer, Client, load, running
from tests.sharded.serving_samples import ThreadHosts, until


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a collection; beside it the index `notes` of the same documents."""
    monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(kept_collection, "LOOK_S", 0.05)
    url = f"file://{tmp_path}/storage/many"
    with Index.create(tmp_path / "notes") as index:
        index.add(DOCUMENTS)
    with ShardedIndex.create(url, shards=2) as sharded:
        sharded.add(DOCUMENTS)
    return url


@contextlib.contextmanager
def serving(url: str, folder: Path, **options: Any) -> Iterator[Client]:
    """A server of the collection `many` and of the index `notes`."""
    make = app.make_app
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tests.server.conftest.make_app",
            lambda folders, **given: make([url, *folders], **given),
        )
        with running(folder, **options) as client:
            yield client


def test_it_answers_as_an_index_does(places: str, tmp_path: Path) -> None:
    with serving(places, tmp_path) as client:
        assert client.get("/v1/indexes").json == {"indexes": ["many", "notes"]}
        for body in (
            {"query": "waits", "explain": True, "context_lines": 2},
            {"query": "waits", "group": "document", "where": 'kind == "page"'},
            {"queries": ["lock", "waits"], "retriever": "late"},
        ):
            found = client.post("/v1/indexes/many/search", body).json
            expected = client.post("/v1/indexes/notes/search", body).json
            assert _shape(found) == _shape(expected) and "coverage" not in str(found)
        for path in ('documents?where=kind == "page"', "documents?limit=2", "documents/locks.md"):
            path = path.replace(" ", "%20").replace('"', "%22")
            found = client.get(f"/v1/indexes/many/{path}").json
            assert found == client.get(f"/v1/indexes/notes/{path}").json
        assert client.get("/v1/indexes/many/related/locks.md?k=1").json["hits"]
        assert client.get("/v1/indexes/many/view/locks.md").status == 200
        assert client.get("/v1/indexes/many/overview").json["documents"] == len(DOCUMENTS)
        assert client.get("/v1/indexes/many/status").json["shards"] == 2
        assert client.get("/v1/search?q=waits").json["hits"]
        assert client.get("/ready").status == client.get("/metrics").status == 200
        store = client.post("/v1/vector_stores/many/search", {"query": "waits"}).json
        assert {one["file_id"] for one in store["data"]} <= {one.id for one in DOCUMENTS}


def test_it_is_written_to_and_follows_what_others_write(places: str, tmp_path: Path) -> None:
    with serving(places, tmp_path) as client:
        added = client.post(
            "/v1/indexes/many/documents", {"documents": [{"id": "new", "text": "Zebras graze."}]}
        )
        assert added.json == {"given": 1, "changed": 1}
        assert client.get("/v1/search?q=zebras&k=1").json["hits"][0]["document_id"] == "new"
        assert client.ask("DELETE", "/v1/indexes/many/documents/new").json == {"deleted": 1}
        with ShardedIndex.open(places) as other:
            other.add([Document("later", "Gnus graze, too.")])
        until(lambda: client.get("/v1/indexes/many/documents/later").status == 200)


def test_agents_search_and_read_it(places: str, tmp_path: Path) -> None:
    def post(client: Client, message: Any, session: Mapping[str, str]) -> Answer:
        sent = {"Accept": "application/json", "Content-Type": "application/json", **session}
        return client.ask("POST", "/mcp/many", json.dumps(message).encode(), sent)

    agents = functools.partial(StreamableHttp, allow_write=True)
    with serving(places, tmp_path, agents=agents) as client:
        begun = post(client, INITIALIZE, {})
        assert places in begun.json["result"]["instructions"]
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}

        def call(name: str, **given: Any) -> Any:
            asked = request(1, "tools/call", name=name, arguments=given)
            return post(client, asked, session).json["result"]

        hits = call("search", query="who waits", k=1)["structuredContent"]["hits"]
        assert hits[0]["path"] == "locks.md"
        assert call("read", path="locks.md")["structuredContent"]["total_lines"] == 3
        assert call("status")["structuredContent"]["url"] == places
        refused = call("index")
        assert refused["isError"] and "which agents can only read" in refused["content"][0]["text"]


def test_what_only_files_tell_is_refused_in_a_line(places: str, tmp_path: Path) -> None:
    with serving(places, tmp_path) as client:
        for path in ("left-out", "measure", "pages/locks.md"):
            answer = client.get(f"/v1/indexes/many/{path}")
            assert answer.status == 501
            assert "a collection in shards" in answer.detail
        assert client.post("/v1/indexes/none/search", {"query": "w"}).status == 404


@pytest.mark.parametrize("partial", [False, True])
def test_a_shard_that_is_away(places: str, tmp_path: Path, partial: bool) -> None:
    """An error that names it or, where that is allowed, an answer that says what it saw."""
    made: list[ThreadHosts] = []

    def hosts(place: Any) -> ThreadHosts:
        made.append(ThreadHosts(place))
        return made[0]

    def served(url: str) -> ServedCollection:
        return ServedCollection(url, hosts, partial=partial, encoder=FakeEncoder())

    with serving(places, tmp_path, open_collection=served) as client:
        whole = client.get("/v1/search?q=waits").json
        assert "coverage" not in whole
        made[0].forbidden.add(0)
        made[0].kill(0)
        answer = client.get("/v1/search?q=waits")
        if partial:
            coverage = answer.json["coverage"]
            assert (coverage["shards"], coverage["of_shards"]) == (1, 2)
        else:
            assert answer.status == 503 and "shard 0 of file://" in answer.detail
        new = {"documents": [{"id": "a", "text": "b"}]}
        refused = client.post("/v1/indexes/many/documents", new)
        assert refused.status == 400 and "served by read-only replicas" in refused.detail
        made[0].forbidden.clear()
        until(lambda: client.get("/v1/search?q=waits").json == whole)


def _shape(answer: Any) -> Any:
    """What is the same in shards: all but the last digits of scores."""
    if isinstance(answer, dict):
        return {key: _shape(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_shape(value) for value in answer]
    return round(answer, 3) if isinstance(answer, float) else answer
