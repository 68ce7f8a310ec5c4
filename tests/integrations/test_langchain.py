"""The adapters to LangChain, beyond what LangChain's own tests ask."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex
from langchain_core.indexing import index as index_documents
from langchain_core.runnables import RunnableLambda

import retrieval
from retrieval import Filter, Index
from retrieval.encoders import Precomputed
from retrieval.errors import (
    EncoderError,
    EncoderMismatch,
    FilterError,
    InputError,
    MissingDependency,
)
from retrieval.integrations.langchain import (
    EncoderEmbeddings,
    IndexDocumentIndex,
    IndexRetriever,
    IndexVectorStore,
)
from tests.index.fake_encoder import FakeEncoder
from tests.test_public import HEAVY, loaded_by

NOTES = [
    Document(id="a", page_content="A writer takes the lock.", metadata={"year": 2021}),
    Document(id="b", page_content="Readers keep a snapshot.", metadata={"year": 2024}),
    Document(
        id="c", page_content="Rotary positions need no table.", metadata={"tags": ["rope", "x"]}
    ),
]


class Elsewhere(Embeddings):
    """Embeddings of another model, which count how they were asked."""

    def __init__(self) -> None:
        self.encoder = FakeEncoder(token_dim=None)
        self.awaited = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        dense = self.encoder.encode_documents(texts).dense
        assert dense is not None
        return (3 * dense).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.awaited += 1
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        self.awaited += 1
        return self.embed_query(text)


@pytest.fixture
def store(index: Index) -> IndexVectorStore:
    made = IndexVectorStore(index)
    made.add_documents(NOTES)
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[IndexVectorStore]:
    store = IndexVectorStore.from_documents(NOTES, Elsewhere(), path=tmp_path / "elsewhere")
    with store.index:
        yield store


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_reprs_name_the_index_and_the_encoder(index: Index) -> None:
    assert repr(IndexVectorStore(index)) == f"IndexVectorStore({index!r})"
    assert repr(EncoderEmbeddings(FakeEncoder())) == "EncoderEmbeddings('fake-words')"


def test_what_is_added_comes_out_as_it_was(store: IndexVectorStore) -> None:
    found = store.similarity_search("the lock", k=3)
    assert sorted(found, key=lambda one: str(one.id)) == NOTES
    assert found[0] == NOTES[0]
    assert store.get_by_ids(["c", "missing", "a", "c"]) == [NOTES[2], NOTES[0]]


def test_ids_that_are_given_go_first_and_missing_ones_are_made(index: Index) -> None:
    store = IndexVectorStore(index)
    given = [Document(id="own", page_content="one"), Document(page_content="two")]
    (first, second) = store.add_documents(given)
    assert first == "own" and len(second) == 36
    assert store.add_documents(given, ids=["x", "y"]) == ["x", "y"]
    assert store.add_texts(["three", "four"], [{"n": 3}, {"n": 4}], ids=["z", None])[0] == "z"
    assert store.get_by_ids(["z"]) == [Document(id="z", page_content="three", metadata={"n": 3})]
    assert len(index) == 6
    assert store.add_documents([]) == []


def test_two_documents_of_one_text_are_two(index: Index) -> None:
    store = IndexVectorStore(index)
    store.add_texts(["the same"] * 2, [{"from": "a"}, {"from": "b"}], ids=["a", "b"])
    found = store.similarity_search("the same", k=2)
    assert [one.metadata for one in found] == [{"from": "a"}, {"from": "b"}]
    assert len(store.similarity_search("the same", k=2, copies=False)) == 1


def test_the_title_of_the_metadata_is_the_title(index: Index) -> None:
    store = IndexVectorStore(index)
    store.add_texts(["one", "two"], [{"title": "Zebras"}, {"title": 7}], ids=["a", "b"])
    assert ids(store.similarity_search("zebras", k=1, retriever="lexical")) == ["a"]
    assert ids(store.similarity_search("one", filter={"title": "Zebras"})) == ["a"]
    assert store.get_by_ids(["a"])[0].metadata == {"title": "Zebras"}


def test_a_document_of_many_passages_comes_out_once_or_as_its_passages(tmp_path: Path) -> None:
    sentences = [f"Sentence {number} speaks of locks and of waiting." for number in range(40)]
    text = "\n\n".join(sentences)
    with Index.create(tmp_path / "long", encoder=FakeEncoder(), passage_tokens=32) as index:
        IndexVectorStore(index).add_texts(
            [text, "Snapshots."], [{"n": 1}, {"n": 2}], ids=["l", "s"]
        )
        assert index.status().passages > 5
        whole = IndexVectorStore(index).similarity_search("locks and waiting", k=2)
        assert [one.page_content for one in whole] == [text, "Snapshots."]

        parts = IndexVectorStore(index, returns="passage").similarity_search("locks", k=3)
        assert ids(parts) == ["l"] * 3
        for part in parts:
            start = part.metadata["start_index"]
            assert text[start : start + len(part.page_content)] == part.page_content
            assert part.metadata["n"] == 1
        assert len({part.metadata["start_index"] for part in parts}) == 3
        retriever = IndexRetriever(index=index, k=3, filter={"n": 1}, retriever="late")
        assert ids(retriever.invoke("locks")) == ["l"] * 3
        assert retriever.invoke("waiting", returns="document", k=1) == whole[:1]


def test_a_passages_metadata_says_where_it_stands(tmp_path: Path) -> None:
    from retrieval.sync import sync

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "locks.md").write_text("# Locks\n\nA writer takes the lock.\n")
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        sync(index, [tmp_path / "pages"])
        (found,) = IndexRetriever(index=index).invoke("who takes the lock")
        (hit,) = index.search("who takes the lock")
    told = found.metadata
    assert (told["source"], told["title"], told["heading"]) == ("pages/locks.md", "Locks", "Locks")
    assert (told["start_line"], told["end_line"]) == (hit.start_line, hit.end_line)
    assert (told["score"], told["relevance"]) == (hit.score, hit.relevance)
    assert told["format"] == "markdown"  # the document's own


def test_a_documents_own_metadata_is_not_written_over(index: Index) -> None:
    IndexVectorStore(index).add_texts(["locks"], [{"score": "high", "source": "a book"}])
    (found,) = IndexRetriever(index=index).invoke("locks")
    assert (found.metadata["score"], found.metadata["source"]) == ("high", "a book")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"year": {"$gte": 2022}}, {"b"}),
        ({"$or": [{"year": 2021}, {"tags": "rope"}]}, {"a", "c"}),
        ("year < 2022", {"a"}),
        (Filter.parse({"tags": {"$in": ["x"]}}), {"c"}),
        ({}, {"a", "b", "c"}),
        (None, {"a", "b", "c"}),
    ],
)
def test_filters(store: IndexVectorStore, where: Any, expected: set[str]) -> None:
    assert set(ids(store.similarity_search("the lock", filter=where))) == expected
    vector = store.embeddings.embed_query("the lock")  # type: ignore[union-attr]
    assert set(ids(store.similarity_search_by_vector(vector, filter=where))) == expected
    assert set(ids(store.max_marginal_relevance_search("the lock", filter=where))) == expected
    wanted = store.as_retriever(search_kwargs={"filter": where}).invoke("the lock")
    assert set(ids(wanted)) == expected
    assert set(ids(IndexRetriever(index=store.index, filter=where).invoke("lock"))) == expected


def test_a_function_is_no_filter(store: IndexVectorStore) -> None:
    with pytest.raises(FilterError):
        store.similarity_search("the lock", filter=lambda document: True)  # type: ignore[arg-type]


def test_a_key_of_the_metadata_that_an_index_has_itself_stands_in_backquotes(index: Index) -> None:
    store = IndexVectorStore(index)
    keys = ("id", "heading", "symbol", "place", "language", "path")
    store.add_texts(["a lock", "a key"], [dict.fromkeys(keys, "x"), {}], ids=["a", "b"])
    for key in keys:
        assert ids(store.similarity_search("a lock", filter={f"`{key}`": "x"})) == ["a"], key
    assert ids(store.similarity_search("a lock", filter={"id": {"$in": ["b", "x"]}})) == ["b"]
    for key in ("language", "path"):
        assert ids(store.similarity_search("a lock", filter={key: "x"})) == ["a"], key


def test_what_another_process_wrote_is_seen_after_a_refresh(store: IndexVectorStore) -> None:
    retriever = IndexRetriever(index=store.index, k=1)
    with Index.open(store.index.path, encoder=FakeEncoder()) as other:
        IndexVectorStore(other).add_texts(["Tables of sines."], ids=["d"])
    assert ids(retriever.invoke("tables of sines")) != ["d"]
    assert store.index.refresh()
    assert ids(retriever.invoke("tables of sines")) == ["d"]


def test_delete_by_filter_and_all(store: IndexVectorStore) -> None:
    assert store.delete(filter={"year": 2021}) is True
    assert store.index.ids() == ["b", "c"]
    with pytest.raises(InputError):
        store.delete(filter={})  # a filter that turns out empty does not delete everything
    assert store.index.ids() == ["b", "c"]
    store.delete(["b"], filter={"year": 2021})
    store.delete([])
    assert store.index.ids() == ["b", "c"]
    store.delete()
    assert store.index.ids() == []


def test_scores_are_those_of_hits(store: IndexVectorStore) -> None:
    hits = store.index.search("a lock", k=3, group="document", copies=True)
    scored = store.similarity_search_with_score("a lock", k=3)
    assert [(one.id, score) for one, score in scored] == [(h.document_id, h.score) for h in hits]
    relevant = store.similarity_search_with_relevance_scores("a lock", k=3)
    assert [score for _, score in relevant] == [hit.relevance for hit in hits]
    limit = (hits[0].relevance + hits[1].relevance) / 2
    assert hits[0].relevance > limit > hits[1].relevance
    above = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": limit}
    )
    assert ids(above.invoke("a lock")) == ["a"]
    assert ids(store.similarity_search("a lock", min_relevance=limit)) == ["a"]


def test_options_of_the_index_pass_through(store: IndexVectorStore) -> None:
    lexical = store.similarity_search("snapshot", retriever="lexical")
    assert ids(lexical) == ["b"]
    assert ids(IndexVectorStore(store.index, retriever="lexical").similarity_search("lock")) == [
        "a"
    ]
    second = store.similarity_search("the lock", k=1, offset=1)
    assert second == store.similarity_search("the lock", k=2)[1:]
    with pytest.raises(TypeError, match="colour"):
        store.similarity_search("the lock", colour="blue")


def test_search_by_vector(elsewhere: IndexVectorStore) -> None:
    vector = elsewhere.embeddings.embed_query("keep a snapshot")  # type: ignore[union-attr]
    found = elsewhere.similarity_search_with_score_by_vector(vector, k=3)
    rows = np.array(Elsewhere().embed_documents([one.page_content for one, _ in found]))
    cosines = rows @ np.array(vector) / 9
    assert [score for _, score in found] == pytest.approx(cosines.tolist(), abs=2e-3)
    assert found[0][0].id == "b"
    assert elsewhere.similarity_search_by_vector(vector, k=3) == [one for one, _ in found]


def test_marginal_relevance_leaves_out_what_is_nearly_the_same(index: Index) -> None:
    texts = ["lock the file now", "lock the file now please", "lock snapshots", "tables of sines"]
    store = IndexVectorStore(index)
    store.add_texts(texts, ids=list("abcd"))
    assert ids(store.max_marginal_relevance_search("lock the file", k=2, lambda_mult=1)) == [
        "a",
        "b",
    ]
    diverse = store.max_marginal_relevance_search("lock the file", k=2, lambda_mult=0.3)
    assert diverse[0].id == "a" and diverse[1].id in ("c", "d")
    assert ids(store.max_marginal_relevance_search("lock the file", k=2, fetch_k=2)) == ["a", "b"]
    vector = EncoderEmbeddings(index.encoder).embed_query("lock the file")
    by_vector = store.max_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=0.3)
    assert by_vector == diverse
    assert store.as_retriever(search_type="mmr", search_kwargs={"k": 3}).invoke("lock")
    store.delete()
    assert store.max_marginal_relevance_search("lock") == []


@pytest.mark.anyio
async def test_the_embeddings_own_coroutines_are_awaited(elsewhere: IndexVectorStore) -> None:
    embedding = elsewhere.embedding
    assert isinstance(embedding, Elsewhere)
    assert await elsewhere.aadd_texts(["Locks of files."], [{"n": 1}], ids=["d"]) == ["d"]
    assert await elsewhere.aadd_documents([Document(id="e", page_content="Time.")]) == ["e"]
    assert embedding.awaited == 2
    for query in ("locks", "a snapshot"):
        assert await elsewhere.asimilarity_search(query) == elsewhere.similarity_search(query)
        scored = elsewhere.similarity_search_with_score(query)
        assert await elsewhere.asimilarity_search_with_score(query) == scored
        relevant = elsewhere.similarity_search_with_relevance_scores(query)
        assert await elsewhere.asimilarity_search_with_relevance_scores(query) == relevant
        diverse = elsewhere.max_marginal_relevance_search(query, k=2)
        assert await elsewhere.amax_marginal_relevance_search(query, k=2) == diverse
    assert embedding.awaited == 10
    await elsewhere.asimilarity_search("locks", retriever="lexical")
    assert embedding.awaited == 10  # words alone need no vector


def test_vectors_of_another_model_are_kept_and_fused_with_words(tmp_path: Path) -> None:
    made = IndexVectorStore.from_documents(NOTES, Elsewhere(), path=tmp_path / "i", name="words 1")
    made.index.close()
    with Index.open(tmp_path / "i") as index:
        assert isinstance(index.encoder, Precomputed) and index.encoder.name == "words 1"
        store = IndexVectorStore(index, Elsewhere())
        assert ids(store.similarity_search("the lock", k=1)) == ["a"]
        (hit, *_) = index.search("the lock", vector=Elsewhere().embed_query("the lock"))
        assert set(hit.ranks) == {"lexical", "dense"}
        without = IndexVectorStore(index)
        assert without.embeddings is None
        assert ids(without.similarity_search("lock", retriever="lexical")) == ["a"]
        with pytest.raises(InputError, match="give the store an embedding"):
            without.max_marginal_relevance_search("lock")
        with pytest.raises(EncoderError, match="has no model"):
            without.add_texts(["new"])
        assert without.add_texts(["new"], ids=["n"], embeddings=[[1.0] * 32]) == ["n"]


def test_a_temporary_index_goes_when_it_is_closed() -> None:
    store = IndexVectorStore.from_texts(["locks"], EncoderEmbeddings(FakeEncoder()), ids=["a"])
    assert store.index.encoder.token_dim == 16  # the encoder's token vectors, too
    assert ids(store.similarity_search("locks")) == ["a"]
    store.index.close()
    assert not store.index.path.exists()


def test_embeddings_that_are_not_the_indexs(index: Index) -> None:
    assert IndexVectorStore(index, EncoderEmbeddings(FakeEncoder())).embedding is None
    with pytest.raises(EncoderMismatch, match="leave the embedding out"):
        IndexVectorStore(index, EncoderEmbeddings(FakeEncoder(dense_dim=8)))
    with pytest.raises(InputError, match="Precomputed"):
        IndexVectorStore(index, Elsewhere())
    with pytest.raises(EncoderError, match="no dense head"):
        EncoderEmbeddings(FakeEncoder(dense_dim=None))


def test_what_cannot_be_used_is_said_in_a_line(index: Index) -> None:
    store = IndexVectorStore(index)
    for call in (
        lambda: store.add_texts(["a", "b"], [{}]),
        lambda: store.add_texts(["a"], ids=["x", "y"]),
        lambda: store.add_texts(["a"], ids="x"),
        lambda: IndexVectorStore(index, returns="page"),  # type: ignore[arg-type]
        lambda: store.add_documents([Document(page_content="a", metadata={"f": object()})]),
        lambda: store.similarity_search("a", k=0),
    ):
        with pytest.raises(InputError) as told:
            call()
        assert "\n" not in str(told.value)
    assert len(index) == 0


def test_no_texts_have_no_embeddings() -> None:
    assert EncoderEmbeddings(FakeEncoder()).embed_documents([]) == []


def test_embeddings_are_those_of_the_encoder(index: Index) -> None:
    made = EncoderEmbeddings(FakeEncoder())
    dense = FakeEncoder().encode_documents(["a lock", "a key"]).dense
    assert dense is not None
    assert made.embed_documents(["a lock", "a key"]) == dense.tolist()
    own = IndexVectorStore(index).embeddings
    assert own is not None and own.embed_query("a lock") == dense[0].tolist()


@pytest.mark.anyio
async def test_the_retriever_takes_options_and_stands_in_a_chain(store: IndexVectorStore) -> None:
    retriever = IndexRetriever(index=store.index, k=2, search_kwargs={"min_relevance": 0.0})
    assert len(retriever.invoke("the lock")) == 2
    assert await retriever.ainvoke("the lock", k=1) == retriever.invoke("the lock", k=1)
    assert ids(retriever.invoke("lock", filter={"year": 2024})) == ["b"]
    chain = retriever | RunnableLambda(lambda found: found[0].page_content)
    assert chain.batch(["the lock", "a snapshot"]) == [
        "A writer takes the lock.",
        "Readers keep a snapshot.",
    ]
    with pytest.raises(ValueError, match="colour"):
        IndexRetriever(index=store.index, colour="blue")  # type: ignore[call-arg]


CLEANUPS = ("incremental", "full", "scoped_full")


def pages(*texts: str) -> list[Document]:
    return [
        Document(page_content=text, metadata={"source": text.partition(" ")[0]}) for text in texts
    ]


@pytest.mark.parametrize("cleanup", CLEANUPS)
@pytest.mark.parametrize("kind", [IndexVectorStore, IndexDocumentIndex])
def test_the_indexing_api_keeps_an_index_up_to_date(
    index: Index, cleanup: Any, kind: type[Any]
) -> None:
    records = InMemoryRecordManager("notes")
    records.create_schema()
    destination = kind(index=index)
    options: dict[str, Any] = {
        "cleanup": cleanup,
        "source_id_key": "source",
        "key_encoder": "sha256",
    }

    def run(*texts: str) -> dict[str, int]:
        return dict(index_documents(pages(*texts), records, destination, **options))

    counts = {"num_added": 2, "num_updated": 0, "num_skipped": 0, "num_deleted": 0}
    assert run("a one", "b two") == counts
    assert run("a one", "b two") == counts | {"num_added": 0, "num_skipped": 2}
    changed = {"num_added": 1, "num_updated": 0, "num_skipped": 1, "num_deleted": 1}
    assert run("a three", "b two") == changed
    assert sorted(document.text for document in index.documents()) == ["a three", "b two"]


@pytest.mark.anyio
@pytest.mark.parametrize("cleanup", CLEANUPS)
@pytest.mark.parametrize("kind", [IndexVectorStore, IndexDocumentIndex])
async def test_the_indexing_api_awaited(index: Index, cleanup: Any, kind: type[Any]) -> None:
    records = InMemoryRecordManager("notes")
    await records.acreate_schema()
    destination = kind(index=index)
    for texts, expected in (
        (("a one", "b two"), (2, 0, 0)),
        (("a one", "b two"), (0, 2, 0)),
        (("a three", "b two"), (1, 1, 1)),
    ):
        done = await aindex(
            pages(*texts),
            records,
            destination,
            cleanup=cleanup,
            source_id_key="source",
            key_encoder="sha256",
        )
        assert (done["num_added"], done["num_skipped"], done["num_deleted"]) == expected
    assert sorted(document.text for document in index.documents()) == ["a three", "b two"]


@pytest.mark.slow
def test_the_adapters_load_nothing_heavy_before_they_are_used() -> None:
    assert "langchain_core" not in loaded_by("import retrieval.integrations, retrieval.index")
    assert not loaded_by("import retrieval.integrations.langchain").intersection(HEAVY)


def test_without_langchain_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("retrieval.integrations")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    importlib.import_module("retrieval.integrations")  # needs nothing
    with pytest.raises(MissingDependency, match=r"modernbert-retrieval\[langchain\]"):
        importlib.import_module("retrieval.integrations.langchain")
    assert retrieval.Index is Index
