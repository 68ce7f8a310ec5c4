"""What Python users expect of an index and its hits beside searching."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import pickle
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from retrieval.cancellation import current
from retrieval.errors import InputError, MissingDependency, StorageError
from retrieval.hits import Hits
from retrieval.index import AddReport, Index
from retrieval.index.options import ChoiceOptions, SearchOptions
from retrieval.service.json_shape import hits_as_dicts
from retrieval.types import Document, Embeddings

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


@pytest.fixture
def filled(index: Index) -> Index:
    index.add([FOX, DOG, CAT])
    return index


def test_hits_are_a_list_that_can_be_shown(filled: Index) -> None:
    hits = filled.search("brown fox")
    assert isinstance(hits, list) and isinstance(hits, Hits) and isinstance(hits[:2], Hits)
    assert hits == list(hits) and hits[0].document_id == "fox.txt"
    dicts = hits.to_dicts()
    assert dicts == hits_as_dicts(hits) == json.loads(json.dumps(dicts))
    assert dicts[0]["document_id"] == "fox.txt" and dicts[0]["place"]["page"] is None
    (batch,) = filled.search_batch(["brown fox"])
    assert isinstance(batch, Hits) and batch == hits


def test_hits_as_a_table(filled: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    hits = filled.search("brown fox")
    table = hits.to_pandas()
    assert list(table["document_id"]) == ids(hits)
    assert list(table["score_dense"]) == [hit.scores["dense"] for hit in hits]
    assert list(table["metadata"]) == [hit.metadata for hit in hits]
    assert table["rank_lexical"].isna().tolist() == ["lexical" not in hit.ranks for hit in hits]
    empty = Hits().to_pandas()
    assert len(empty) == 0 and list(empty.columns) == list(table.columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependency, match="pip install pandas"):
        hits.to_pandas()


def test_hits_as_tables_of_arrow_and_polars(filled: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    hits = filled.search("brown fox")
    table = hits.to_arrow()
    assert Hits().to_arrow().schema == table.schema
    assert table.column("document_id").to_pylist() == ids(hits)
    assert table.column("score").to_pylist() == [hit.score for hit in hits]
    assert table.column("rank_lexical").to_pylist() == [hit.ranks.get("lexical") for hit in hits]
    assert [json.loads(one) for one in table.column("metadata").to_pylist()] == [
        hit.metadata for hit in hits
    ]
    passages = zip(table.column("start").to_pylist(), table.column("end").to_pylist(), strict=True)
    assert list(passages) == [(hit.passage.start, hit.passage.end) for hit in hits]
    assert Hits().to_arrow().schema == table.schema
    pytest.importorskip("polars")
    frame = hits.to_polars()
    assert frame["document_id"].to_list() == ids(hits) and frame.columns == table.column_names
    for name in ("polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependency, match=f"pip install {name}"):
            hits.to_polars() if name == "polars" else hits.to_arrow()


def test_hits_as_html(index: Index) -> None:
    index.add([Document("a&b", "<b>fox</b> & hound " + "long " * 200, "<T>")])
    html = index.search("fox")._repr_html_()
    assert "&lt;b&gt;<mark>fox</mark>&lt;/b&gt; &amp; hound" in html
    assert "a&amp;b:1" in html and "&lt;T&gt;" in html and "…" in html
    assert "<b>" not in html and len(html) < 1000


def test_hits_and_documents_go_into_sets(filled: Index) -> None:
    once, again = (filled.search("dog", where="id == 'dog.txt'") for _ in range(2))
    assert len({*once, *again}) == len(once) == 1
    tagged = Document("a", "b", metadata={"tags": ["x"]})
    assert {tagged: 1}[Document("a", "b", metadata={"tags": ["x"]})] == 1
    assert len({tagged, Document("a", "b")}) == 2
    made, other = (filled.encoder.encode_documents(["a dog"]) for _ in range(2))
    assert made == made and made != other and len({made, other}) == 2


def test_one_where_several_are_expected_is_told(filled: Index) -> None:
    (hit, *_) = filled.search("dog")
    with pytest.raises(InputError, match="one Hit was given; give a list"):
        filled.explain("dog", hit)  # type: ignore[arg-type]
    for wrong in (hit.passage, "dog.txt"):
        with pytest.raises(InputError, match="was given; give Passages"):
            filled.vectors(passages=wrong)  # type: ignore[arg-type]


def test_options_that_are_handed_on_are_those_of_a_search() -> None:
    options = set(inspect.signature(Index.search).parameters).difference({"self", "query", "k"})
    assert set(SearchOptions.__annotations__) | set(ChoiceOptions.__annotations__) == options
    passed = {"where", "params", "vector", "tokens"}  # `similar` says these itself
    assert set(ChoiceOptions.__annotations__) == options - passed


def test_reprs_are_short(filled: Index) -> None:
    long = Document("id", "line one\nline two " * 1000, "Title", {"a": 1})
    assert (
        repr(long).startswith("Document('id', 'line one line two line one")
        and len(repr(long)) < 150
    )
    hit = filled.search("brown fox")[0]
    assert repr(hit) == f"Hit('fox.txt', 0:43, score={hit.score:.3g}, '{FOX.text!s}')".replace(
        "\n", " "
    )
    assert repr(Document("a", "b")) == "Document('a', 'b')"
    made = FakeEncoder()._encode(["one two"])
    assert repr(made) == "Embeddings(dense [1, 32], tokens [2, 16])"
    assert repr(Embeddings(None, None, None)) == "Embeddings()"
    assert repr(filled) == f"Index({str(filled.path)!r}, 3 documents)"
    with filled.writing() as writer:
        assert repr(writer) == f"Writer({str(filled.path)!r})"
    filled.close()
    assert repr(filled) == f"Index({str(filled.path)!r}, closed)"


def test_awaited_calls_leave_the_loop_alone(filled: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    going, threads = threading.Event(), set()
    encode = filled.encoder.encode_queries

    def slow(texts: Any) -> Any:
        threads.add(threading.get_ident())
        assert going.wait(20)  # only the loop, which has to go on, sets it
        return encode(texts)

    monkeypatch.setattr(filled.encoder, "encode_queries", slow)

    async def work() -> tuple[list[Hits], int, Document | None]:
        tasks = [asyncio.create_task(filled.asearch("dog", 1, retriever="dense")) for _ in range(3)]
        added = await filled.aadd([Document("new", "more")])
        found = await filled.aget("new")
        going.set()
        return await asyncio.gather(*tasks), added, found

    hits, added, found = asyncio.run(work())
    assert [ids(one) for one in hits] == [["dog.txt"]] * 3
    assert added == 1 and found == Document("new", "more")
    assert threading.get_ident() not in threads
    with pytest.raises(InputError, match="query is empty"):
        asyncio.run(filled.asearch(""))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_awaited_calls_on_any_loop(filled: Index, backend: str) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)

    async def work() -> tuple[list[str], int | AddReport, Document | None]:
        found: list[str] = []

        async def ask() -> None:
            found.extend(ids(await filled.asearch("dog", 1, retriever="lexical")))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        added = await filled.aadd([Document("new", "more")])
        return found, added, await filled.aget("new")

    found, added, new = anyio.run(work, backend=backend)
    assert found == ["dog.txt"] * 2 and added == 1 and new == Document("new", "more")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_index_is_closed_behind_an_async_block(
    index: Index, encoder: FakeEncoder, backend: str
) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)
    index.add([FOX, DOG])

    async def cancelled(opened: Index) -> None:
        with anyio.move_on_after(0):
            async with opened:
                await anyio.sleep(10)

    async def work() -> Index:
        async with Index.open(index.path, encoder=encoder) as opened:
            assert ids(await opened.asearch("lazy dog", 1)) == ["dog.txt"]
        return opened

    left, right = anyio.run(work, backend=backend), Index.open(index.path, encoder=encoder)
    anyio.run(cancelled, right, backend=backend)
    for closed in (left, right):
        with pytest.raises(StorageError, match="was closed"):
            closed.get("dog.txt")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_search_stops_and_a_cancelled_add_does_not(
    filled: Index, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)
    begun, going, ended = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def slow(texts: Any, encode: Any) -> Any:
        begun.set()
        assert going.wait(20)
        event = current()
        seen.append(event is not None and event.is_set())
        ended.set()
        return encode(texts)

    for name in ("encode_queries", "encode_documents"):
        encode = getattr(filled.encoder, name)
        monkeypatch.setattr(filled.encoder, name, partial(slow, encode=encode))

    async def cancelled(call: Any) -> None:
        for event in (begun, going, ended):
            event.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.to_thread.run_sync(begun.wait, 20)
            group.cancel_scope.cancel()
        going.set()
        assert await anyio.to_thread.run_sync(ended.wait, 20)

    async def work() -> None:
        await cancelled(partial(filled.asearch, "dog", 1, retriever="dense"))
        await cancelled(partial(filled.aadd, [Document("kept", "what is written is kept")]))
        for _ in range(200):
            if await filled.aget("kept"):
                return
            await anyio.sleep(0.05)

    anyio.run(work, backend=backend)
    assert seen == [True, False] and "kept" in filled


def test_an_index_of_documents_in_hand(encoder: FakeEncoder) -> None:
    with Index.from_documents([FOX, DOG], encoder=encoder, passage_tokens=64) as index:
        assert ids(index.search("lazy dog", 1)) == ["dog.txt"]
        assert index.status().passage_tokens == 64
        index.add([CAT])
        assert len(index) == 3
        folder = index.path
        assert folder.is_dir()
    assert not folder.exists()
    index.close()
    dropped = Index.from_documents([FOX], encoder=encoder)
    folder = dropped.path
    del dropped
    assert not folder.exists()


def test_what_cannot_be_added_leaves_no_folder(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    closed = []
    usual = Index.close
    monkeypatch.setattr(Index, "close", lambda self: closed.append(self.path) or usual(self))
    with pytest.raises(InputError):
        Index.from_documents([3], encoder=encoder)  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
    assert len(closed) == 1  # not only once nobody holds the error any more


def test_an_index_is_pickled_as_its_path(tmp_path: Path, filled: Index) -> None:
    kept = pickle.dumps(filled)
    filled.add([Document("later", "added afterwards")])
    with pickle.loads(kept) as again:
        assert again.path == filled.path and "later" in again  # the newest generation
        assert again.search("dog")[0].document_id == "dog.txt"
    (tmp_path / "pickled").write_bytes(kept)
    script = (
        "import pickle, pathlib\n"
        f"index = pickle.loads(pathlib.Path({str(tmp_path / 'pickled')!r}).read_bytes())\n"
        "print(len(index), index.search('lazy dog', 1)[0].document_id)"
    )
    root = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert out.stdout.split() == ["4", "dog.txt"]


def test_what_happens_is_logged(filled: Index, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "retrieval"):
        filled.add([Document("new", "more")])
        filled.search("dog")
    told = [record.getMessage() for record in caplog.records]
    assert any("1 documents written, 0 deleted" in line for line in told)
    assert any(line.startswith("1 queries by hybrid in") for line in told)
    assert all(record.name.startswith("retrieval.") for record in caplog.records)
