"""What the routes answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from retrieval import Document, Hybrid, Index
from retrieval.errors import IndexLocked, InputError
from retrieval.server.app import make_app
from retrieval.server.indexes import Indexes
from retrieval.server.requests import Limits
from retrieval.service.json_shape import hits_as_dicts
from tests.index.fake_encoder import FakeEncoder
from tests.server.conftest import DOCUMENTS, Client, Serve

AT = "/v1/indexes/notes"
STORE = "/v1/vector_stores/notes"


def test_health_and_ready(client: Client) -> None:
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}


def test_a_method_that_a_path_has_not_is_said_with_all_it_has(client: Client) -> None:
    for path, methods in (
        (f"{AT}/documents", "DELETE, GET, HEAD, POST"),
        (f"{AT}/documents/a%0Ab", "DELETE, GET, HEAD"),
        (f"{AT}/search", "POST"),
    ):
        refused = client.ask("PUT", path, {})
        assert (refused.status, refused.headers["allow"]) == (405, methods)
        assert refused.detail.endswith(f"it is for {methods}")


def test_a_path_with_a_slash_at_its_end_is_not_sent_elsewhere(client: Client) -> None:
    for path in ("/v1/indexes/", f"{AT}/search/", "/health/"):
        assert client.get(path).status == 404


def test_a_search_answers_what_the_library_does(client: Client) -> None:
    with Index.open(client.folder / "notes") as index:
        expected = hits_as_dicts(index.search("who waits", k=2))
    found = client.post(f"{AT}/search", {"query": "who waits", "k": 2})
    assert found.status == 200
    assert found.json == {"query": "who waits", "hits": expected}
    assert client.get("/v1/search?q=who%20waits&k=2").json == found.json
    assert client.post("/v1/indexes/default/search", {"query": "who waits", "k": 2}).json == (
        found.json
    )


def test_many_queries_are_answered_in_their_order(client: Client) -> None:
    found = client.post(f"{AT}/search", {"queries": ["take", "waits"], "k": 1}).json["results"]
    assert [one["query"] for one in found] == ["take", "waits"]
    assert found[0]["hits"][0]["document_id"] == "src/lock.py"
    assert client.post(f"{AT}/search", {"queries": []}).json == {"results": []}


def test_options_of_a_search(client: Client) -> None:
    def ids(**options: object) -> list[str]:
        found = client.post(f"{AT}/search", {"query": "lock waits take", **options})
        assert found.status == 200, found.body
        return [hit["document_id"] for hit in found.json["hits"]]

    everything = ids()
    assert ids(k=1, offset=1) == everything[1:2]
    assert ids(where='kind == "code"') == ["src/lock.py"]
    assert ids(where={"kind": "page"}) == ["locks.md"]
    assert ids(where="n == :n", params={"n": 1}) == ["locks.md"]
    assert set(ids(group="document", retriever="dense")) == set(everything)
    assert ids(min_relevance=1) == []
    explained = client.post(f"{AT}/search", {"query": "waits", "k": 1, "explain": True})
    assert explained.json["hits"][0]["explain"][0]["score"] > 0.9


def test_a_search_by_vectors(client: Client) -> None:
    vectors = FakeEncoder().encode_queries(["who waits", "take lock"]).dense
    assert vectors is not None
    rows = vectors.tolist()
    with Index.open(client.folder / "notes") as index:
        expected = hits_as_dicts(index.search(vector=rows[0], k=2))
        beside = hits_as_dicts(index.search("lock", vector=rows[0], k=2))
    assert client.post(f"{AT}/search", {"vector": rows[0], "k": 2}).json == {
        "query": None,
        "hits": expected,
    }
    found = client.post(f"{AT}/search", {"vector": rows[0], "query": "lock", "k": 2})
    assert found.json == {"query": "lock", "hits": beside}
    several = client.post(f"{AT}/search", {"vectors": rows, "k": 2}).json["results"]
    assert several[0]["hits"] == expected
    for body in (
        {"vector": [1.0]},
        {"vector": []},
        {"vector": rows[0], "vectors": rows},
        {"vectors": [rows[0], [1.0]]},
        {"vectors": rows, "queries": ["one"]},
        {"vector": [1e300] * len(rows[0])},
        {"vector": [0] * len(rows[0])},
        {"vector": ["1"] * len(rows[0])},
        {"vector": rows[0], "explain": True},
    ):
        refused = client.post(f"{AT}/search", body)
        assert refused.status == 400, (body, refused.body)


def test_a_search_by_the_options_of_python(client: Client) -> None:
    with Index.open(client.folder / "notes") as index:
        index.add([Document(f"near{n}", f"who waits for lock {n % 3}") for n in range(9)])

        def same(body: dict[str, Any], **options: Any) -> None:
            found = client.post(f"{AT}/search", {"query": "who waits", "k": 5} | body).json["hits"]
            assert found == hits_as_dicts(index.search("who waits", 5, **options))

        same({"diversity": 0.7}, diversity=0.7)
        same({"per_group": 1}, per_group=1)
        same({"retriever": "late", "rescore": 4}, retriever="late", rescore=4)
        weights = {"lexical": 2.0, "dense": 0, "fusion": "rrf"}
        same({"hybrid": weights}, hybrid=Hybrid(lexical=2.0, dense=0, fusion="rrf"))
    for hybrid, said in (
        ({"weights": 1}, "`hybrid` has no 'weights'; it has candidates, fusion, lexical"),
        ({"dense": -1}, "dense=-1 is not a weight"),
        ({"candidates": 10**9}, "`candidates` is 1,000,000,000; the maximum is 10,000"),
        ({"fusion": ["rrf"]}, "fusion=['rrf'] is unknown"),
        ({"lexical": 10**400}, "is not a weight"),
    ):
        refused = client.post(f"{AT}/search", {"query": "a", "hybrid": hybrid})
        assert refused.status == 400 and said in refused.json["detail"], refused.body
    refused = client.post(f"{AT}/search", {"vector": [10**400, 1]})
    assert refused.status == 400 and "give a list of numbers" in refused.json["detail"]


def test_hits_with_the_lines_around_them(client: Client) -> None:
    lines = [f"line {at} " + "filler " * 40 for at in range(60)]
    lines[30] = "zebras graze"
    with Index.open(client.folder / "notes") as index:
        index.add([Document("long", "\r\n".join(lines))])
    body = {"query": "zebras graze", "k": 1, "context_lines": 3}
    (hit,) = client.post(f"{AT}/search", body).json["hits"]
    first, last = hit["start_line"] - 1, hit["end_line"]
    assert hit["before"] == lines[first - 3 : first]
    assert hit["after"] == lines[last : last + 3]
    (hit,) = client.post(f"{AT}/search", {"query": "take", "k": 1, "context_lines": 3}).json["hits"]
    assert hit["before"] == hit["after"] == []
    assert "before" not in client.get("/v1/search?q=take&k=1").json["hits"][0]


def test_documents_are_listed_by_pages_and_got(client: Client) -> None:
    first = client.get(f"{AT}/documents?limit=2").json
    rest = client.get(f"{AT}/documents?limit=2&after={quote(first['next_after'])}").json
    listed = [one["id"] for one in first["documents"] + rest["documents"]]
    assert listed == sorted(one.id for one in DOCUMENTS)
    assert rest["next_after"] is None
    assert "text" not in first["documents"][0]
    for one in DOCUMENTS:
        got = client.get(f"{AT}/documents/{quote(one.id, safe='')}").json
        assert got == {
            "id": one.id,
            "text": one.text,
            "title": one.title,
            "metadata": dict(one.metadata),
        }
    where = quote('kind == "code"')
    assert [one["id"] for one in client.get(f"{AT}/documents?where={where}").json["documents"]] == [
        "src/lock.py"
    ]


def test_an_id_with_line_ends_is_only_itself(client: Client) -> None:
    texts = {"a": "one", "a\n": "two", "a\r\nb\n": "three", "a\0\u2028": "four"}
    given = [{"id": id, "text": text} for id, text in texts.items()]
    assert client.post(f"{AT}/documents", {"documents": given}).json["changed"] == 4
    for id, text in texts.items():
        address = quote(id, safe="")
        assert client.get(f"{AT}/documents/{address}").json["text"] == text
        assert client.get(f"{AT}/view/{address}").json["kind"] == "text"
        assert client.get(f"{AT}/related/{address}").status == 200
    assert client.ask("DELETE", f"{AT}/documents/a%0A").json == {"deleted": 1}
    assert client.ask("DELETE", f"{AT}/documents/a%0A").status == 404
    assert client.get(f"{AT}/documents/a").json["text"] == "one"
    assert client.get("/v1/models/no%0Asuch").detail.startswith("there is no model")


def test_documents_are_added_replaced_found_and_deleted(client: Client) -> None:
    added = client.post(f"{AT}/documents", {"documents": [{"id": "z", "text": "zebras graze"}]})
    assert added.json == {"given": 1, "changed": 1}
    assert client.get("/v1/search?q=zebras&k=1").json["hits"][0]["document_id"] == "z"
    same = client.post(f"{AT}/documents", {"documents": [{"id": "z", "text": "zebras graze"}]})
    assert same.json == {"given": 1, "changed": 0}
    assert client.ask("DELETE", f"{AT}/documents/z").json == {"deleted": 1}
    assert client.ask("DELETE", f"{AT}/documents/z").status == 404
    assert client.ask("DELETE", f"{AT}/documents?id=z").json == {"deleted": 0}
    where = quote('kind == "code"')
    assert client.ask("DELETE", f"{AT}/documents?where={where}").json == {"deleted": 1}
    assert client.get(f"{AT}/status").json["documents"] == 2


def test_what_no_longer_matches_is_not_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents are chosen while no other process can change them."""
    usual = Index.delete

    def delete(self: Index, *given: Any, **options: Any) -> int:
        with Index.open(client.folder / "notes") as other:
            other.add([Document("src/lock.py", "def take(lock): ...", metadata={"kind": "page"})])
        return usual(self, *given, **options)

    monkeypatch.setattr(Index, "delete", delete)
    code, page = (quote(f'kind == "{kind}"') for kind in ("code", "page"))
    assert client.ask("DELETE", f"{AT}/documents?where={code}").json == {"deleted": 0}
    assert client.ask("DELETE", f"{AT}/documents?where={page}").json == {"deleted": 2}


def test_what_another_process_wrote_is_found(client: Client) -> None:
    client.get("/v1/search?q=zebras")
    with Index.open(client.folder / "notes") as other:
        other.add([Document("z", "zebras graze")])
    assert client.get("/v1/search?q=zebras&k=1").json["hits"][0]["document_id"] == "z"


def test_what_writes_holds_up_no_search(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(limits=Limits(threads=1))
    begun, go = threading.Event(), threading.Event()
    real = Index.add

    def held(self: Index, documents: list[Document]) -> int:
        begun.set()
        assert go.wait(60)
        return real(self, documents)

    monkeypatch.setattr(Index, "add", held)
    body = {"documents": [{"id": "z", "text": "zebras"}]}
    with ThreadPoolExecutor(1) as pool:
        added = pool.submit(client.post, f"{AT}/documents", body)
        try:
            assert begun.wait(60)
            assert client.get("/v1/search?q=waits").json["hits"]
        finally:
            go.set()
        assert added.result().json == {"given": 1, "changed": 1}


def test_many_at_once_are_each_answered_as_alone(client: Client) -> None:
    queries = ["who waits", "take lock", "second", "alert", "nothing of that"] * 8

    def ask(query: str) -> Any:
        return client.post(f"{AT}/search", {"query": query}).json

    alone = {query: ask(query) for query in set(queries)}
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, queries)) == [alone[query] for query in queries]


def test_a_server_that_only_reads(serve: Serve) -> None:
    client = serve(read_only=True)
    body = {"documents": [{"id": "z", "text": "zebras"}]}
    for method, path, sent in (
        ("POST", f"{AT}/documents", body),
        ("DELETE", f"{AT}/documents?where=true", None),
        ("DELETE", f"{AT}/documents/locks.md", None),
    ):
        refused = client.ask(method, path, sent)
        assert refused.status == 403
        assert "--read-only" in refused.detail
    assert client.get(f"{AT}/status").json["documents"] == len(DOCUMENTS)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/nothing", None, 404, "/openapi.json lists"),
        ("PUT", "/v1/search", None, 405, "is not for PUT"),
        ("GET", "/v1/search", None, 400, "q is missing"),
        ("GET", "/v1/search?q=", None, 400, "the query is empty"),
        ("GET", "/v1/search?q=x&k=many", None, 400, "k is 'many'; give a whole number"),
        ("GET", "/v1/search?q=x&k=5000", None, 400, "give 1 to 1000"),
        ("GET", f"{AT}/related/a?line=0", None, 400, "line is 0; give 1 or more"),
        ("GET", "/v1/search?q=x&where=%3D%3D", None, 400, "'=='"),
        ("POST", f"{AT}/search", {}, 400, "give one of `query` and `queries`"),
        ("POST", f"{AT}/search", [], 400, "not a JSON object"),
        ("POST", f"{AT}/search", {"query": "x", "limit": 5}, 400, "unknown argument 'limit'"),
        ("POST", f"{AT}/search", {"query": "x", "retriever": "y"}, 400, "choose from lexical"),
        (
            "POST",
            f"{AT}/search",
            {"query": "x", "explain": True, "retriever": "dense"},
            400,
            "late",
        ),
        ("POST", f"{AT}/search", {"queries": ["x"] * 65}, 400, "has 65 entries; give at most 64"),
        ("POST", f"{AT}/search", {"query": "x" * 30_000}, 400, "give at most 20000"),
        ("POST", "/v1/indexes/other/search", {"query": "x"}, 404, "there are: notes"),
        ("GET", f"{AT}/documents/no", None, 404, "holds no document 'no'"),
        ("GET", f"{AT}/documents/..%2f..%2fetc%2fpasswd", None, 404, "holds no document"),
        (
            "POST",
            f"{AT}/documents",
            {"documents": [{"text": "x"}]},
            400,
            "documents[0]: id is missing; give",
        ),
        ("POST", f"{AT}/documents", {"documents": ["x"]}, 400, "give a list of objects"),
        ("POST", f"{AT}/search", {"queries": ["a", " "]}, 400, "queries[1]: the query is empty"),
        ("DELETE", f"{AT}/documents", None, 400, "give one of `id` and `where`"),
        ("DELETE", f"{AT}/documents?where=%20", None, 400, "matches every document"),
        ("POST", "/v1/embeddings", {"input": [[1, 2]]}, 400, "token ids"),
        ("POST", "/v1/embeddings", {"input": [1, 2]}, 400, "token ids"),
        ("POST", "/v1/embeddings", {"input": [""]}, 400, "empty text"),
        ("POST", "/v1/embeddings", {"input": "x", "dimensions": 7}, 400, "fake-words has 32"),
        ("POST", "/v1/embeddings", {"input": "x", "model": "ada"}, 404, "there is no model 'ada'"),
        ("POST", "/rerank", {"query": "x", "documents": []}, 400, "empty"),
        ("POST", "/rerank", {"query": "x", "documents": [{"body": 1}]}, 400, "have a `text`"),
        ("POST", f"{AT}/search", b"{", 415, "send application/json"),
        ("POST", "/embed", {"inputs": []}, 400, "empty text"),
        ("POST", "/embed", {"inputs": "x", "normalize": False}, 400, "unit length"),
        ("POST", "/embed", {"inputs": "x", "dimensions": 7}, 400, "fake-words has 32"),
        ("POST", "/embed", {"inputs": "x " * 9000, "truncate": False}, 413, "9000 tokens"),
        ("POST", "/embed", {"inputs": "x", "truncation_direction": "Left"}, 400, "choose from"),
        ("POST", "/rerank", {"query": "x", "texts": []}, 400, "empty"),
        ("POST", "/rerank", {"query": "x", "texts": [5]}, 400, "list of texts"),
        ("POST", f"{STORE}/search", {"query": []}, 400, "empty text"),
        ("POST", f"{STORE}/search", {"query": "x", "max_num_results": 51}, 400, "give 1 to 50"),
        (
            "POST",
            f"{STORE}/search",
            {"query": "x", "ranking_options": {"score_threshold": 2}},
            400,
            "give 0 to 1",
        ),
        ("POST", "/v1/vector_stores/other/search", {"query": "x"}, 404, "there are: notes"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_line(
    client: Client, method: str, path: str, body: object, status: int, said: str
) -> None:
    refused = client.ask(method, path, body)
    assert refused.status == status
    assert said in refused.detail


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"k": NaN}', b"[" * 100_000, b""])
def test_a_body_that_is_no_json(client: Client, body: bytes) -> None:
    refused = client.ask("POST", f"{AT}/search", body, {"Content-Type": "application/json"})
    assert refused.status == 400
    assert "not JSON" in refused.detail


def test_another_writer_is_a_conflict(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(self: Index, documents: object) -> int:
        raise IndexLocked("process 5 is writing; wait for it")

    monkeypatch.setattr(Index, "add", locked)
    refused = client.post(f"{AT}/documents", {"documents": [{"id": "z", "text": "z"}]})
    assert refused.status == 409
    assert refused.headers["retry-after"] == "5"
    assert refused.json["code"] == "IndexLocked"


def test_a_fault_of_ours_is_told_from_one_of_the_client(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Index) -> None:
        raise ZeroDivisionError("secret\nstate")

    monkeypatch.setattr(Index, "status", broken)
    refused = client.get(f"{AT}/status")
    assert refused.status == 500
    assert "secret" not in refused.detail
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_index_that_is_gone_is_not_ready(client: Client) -> None:
    (client.folder / "notes" / "store.sqlite").unlink()
    assert client.get("/ready").status == 503
    gone = client.get("/v1/search?q=x")
    assert gone.status == 404
    assert gone.json["code"] == "IndexNotFound"
    assert client.get("/health").status == 200


@pytest.mark.parametrize("named", ["../.retrieval", "..", "../../notes", "link/../notes"])
def test_an_index_above_the_current_folder_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    here = tmp_path / "notes" / "deep"
    here.mkdir(parents=True)
    (tmp_path / "notes" / "notes").mkdir()
    (here / "link").symlink_to(here)
    monkeypatch.chdir(here)
    indexes = Indexes([named])
    assert indexes.names == ["notes"]
    assert ".." not in indexes.folders["notes"].folder.parts
    assert indexes.folders["notes"].folder.resolve() == Path(named).resolve()


def test_indexes_have_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both called 'a'"):
        make_app([tmp_path / "a", tmp_path / "b" / "a"])
    with pytest.raises(InputError, match="both called 'a'"):
        make_app([tmp_path / "a", tmp_path / "a" / ".retrieval"])
