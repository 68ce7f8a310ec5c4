"""Retrievers, embedders and the ranker, alone and in pipelines that are saved and loaded."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("haystack")

from haystack import Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import Document
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy

from retrieval import Index
from retrieval.errors import InputError, MissingDependency
from retrieval.integrations.haystack import (
    EncoderDocumentEmbedder,
    EncoderRanker,
    EncoderTextEmbedder,
    IndexDocumentStore,
    IndexEmbeddingRetriever,
    IndexTextRetriever,
)
from tests.index.fake_encoder import FakeEncoder
from tests.integrations.haystack.notes import NOTES
from tests.test_public import HEAVY, loaded_by

pytestmark = pytest.mark.anyio


def found(documents: dict[str, list[Document]]) -> list[str]:
    return [document.id for document in documents["documents"]]


def test_a_text_is_answered_by_all_retrievers(store: IndexDocumentStore) -> None:
    retriever = IndexTextRetriever(store, top_k=2)
    answer = retriever.run("who takes the lock")["documents"]
    assert answer[0] == replace(NOTES[0], score=answer[0].score) and len(answer) == 2
    hit = store.index.search("who takes the lock", k=1, group="document", copies=True)[0]
    assert answer[0].score == hit.relevance
    raw = IndexTextRetriever(store, scale_score=False).run("who takes the lock", top_k=1)
    assert raw["documents"][0].score == hit.score
    assert found(retriever.run("lock", top_k=0)) == []
    year = {"field": "meta.year", "operator": ">=", "value": 2022}
    assert found(retriever.run("lock", year)) == ["b"]
    words = IndexTextRetriever(store, retriever="lexical")
    assert found(words.run("rotary")) == ["c"]
    none = IndexTextRetriever(store, retriever="lexical", search_options={"min_relevance": 1.0})
    assert found(none.run("rotary")) == []


def test_passages_have_what_splitters_tell(index: Index) -> None:
    text = "Locks.\n\n" + "word " * 400 + "\n\nThe rotary table."
    store = IndexDocumentStore(index)
    store.write_documents([Document(id="long", content=text, meta={"title": "T", "split_id": 9})])
    retriever = IndexTextRetriever(store, top_k=1, returns="passage", retriever="lexical")
    (part,) = retriever.run("rotary")["documents"]
    assert part.id.startswith("long#") and part.id != "long#0"
    assert part.content is not None and part.content != text
    start = part.meta["split_idx_start"]
    assert text[start : start + len(part.content)] == part.content
    assert part.meta["source_id"] == "long" and part.meta["title"] == "T"
    assert part.meta["split_id"] == 9  # the document's own


def test_a_store_says_where_its_index_is(store: IndexDocumentStore) -> None:
    assert repr(store) == f"IndexDocumentStore({str(store.path)!r})"


def test_filters_of_a_run_replace_or_join(store: IndexDocumentStore) -> None:
    old = {"field": "meta.year", "operator": "<", "value": 2022}
    new = {"field": "meta.year", "operator": ">", "value": 2000}
    for policy, expected in ((FilterPolicy.REPLACE, {"a", "b"}), ("merge", {"a"})):
        retriever = IndexTextRetriever(
            store, {"operator": "AND", "conditions": [old]}, filter_policy=policy
        )
        joined = {"operator": "AND", "conditions": [new]}
        assert set(found(retriever.run("lock", joined))) == expected


def test_embeddings_are_searched_with_words_and_without(kept: IndexDocumentStore) -> None:
    by_vector = IndexEmbeddingRetriever(kept, return_embedding=True)
    first, second = by_vector.run([0.1, 3.0, 0.0])["documents"]
    assert (first.id, second.id, first.embedding) == ("b", "a", [0, 1, 0])
    assert first.score == pytest.approx(3 / np.hypot(3, 0.1), abs=5e-3)
    by_words = IndexTextRetriever(kept)
    assert found(by_words.run("rotary")) == ["c"]  # it has no embedding
    both = by_words.run("rotary", query_embedding=[0.0, 1.0, 0.0])
    assert set(found(both)) == {"a", "b", "c"}
    assert both["documents"][0].embedding is None


def test_retrievers_check_what_they_are_made_of(store: IndexDocumentStore) -> None:
    with pytest.raises(TypeError, match="document_store is a str; give an IndexDocumentStore"):
        IndexTextRetriever("store")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="top_k must be at least 1"):
        IndexEmbeddingRetriever(store, top_k=0)
    with pytest.raises(InputError, match="returns='all' is unknown"):
        IndexTextRetriever(store, returns="all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="top_k must be at least 0, not -1"):
        IndexTextRetriever(store).run("x", top_k=-1)


async def test_components_can_be_awaited(kept: IndexDocumentStore) -> None:
    assert found(await IndexTextRetriever(kept).run_async("rotary")) == ["c"]
    assert found(await IndexEmbeddingRetriever(kept).run_async([1.0, 0, 0], top_k=1)) == ["a"]
    embedded = await EncoderTextEmbedder().run_async("lock")
    assert embedded == EncoderTextEmbedder().run("lock")
    made = await EncoderDocumentEmbedder().run_async(NOTES[:1])
    assert made == EncoderDocumentEmbedder().run(NOTES[:1])
    assert found(await EncoderRanker(top_k=1).run_async("rotary", NOTES)) == ["c"]


def test_embedders_give_the_encoders_vectors(tmp_path: Path) -> None:
    text, documents = EncoderTextEmbedder(), EncoderDocumentEmbedder(meta_fields_to_embed=["year"])
    made = documents.run(NOTES)
    assert [one.id for one in made["documents"]] == ["a", "b", "c"]
    assert all(one.embedding is None for one in NOTES)
    expected = documents.encoder.encode_documents(
        ["2021\nA writer takes the lock.", "2024\nReaders keep a snapshot.", str(NOTES[2].content)]
    ).dense
    np.testing.assert_array_equal([one.embedding for one in made["documents"]], expected)
    assert made["meta"]["fingerprint"] == documents.encoder.fingerprint
    assert documents.run([])["documents"] == []
    query = text.run("who takes the lock")["embedding"]
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    store = IndexDocumentStore(tmp_path / "i", embedding_dim=len(query))
    store.write_documents(made["documents"])
    assert found(IndexEmbeddingRetriever(store, top_k=1).run(query)) == ["a"]
    store.close()
    with pytest.raises(TypeError, match="use EncoderDocumentEmbedder"):
        text.run(NOTES)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="use EncoderTextEmbedder"):
        documents.run("a text")  # type: ignore[arg-type]


def test_a_ranker_puts_documents_in_order() -> None:
    ranker = EncoderRanker(meta_fields_to_embed=["title"])
    blank = Document(id="blank")
    ranked = ranker.run("rotary positions", [blank, *NOTES])["documents"]
    assert ranked[0].id == "c" and ranked[-1].id == "blank"
    scores = [document.score for document in ranked[:-1]]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert found(ranker.run("rotary positions", NOTES, top_k=1)) == ["c"]
    assert found(ranker.run("rotary", [])) == []
    with pytest.raises(InputError, match="top_k must be at least 1"):
        EncoderRanker(top_k=0)


def test_a_pipeline_is_saved_and_loaded(tmp_path: Path) -> None:
    store = IndexDocumentStore(tmp_path / "i", embedding_dim=256, embedding_model="embedded")
    writing = Pipeline()
    writing.add_component("split", DocumentSplitter(split_by="period", split_length=1))
    writing.add_component("embed", EncoderDocumentEmbedder())
    writing.add_component("write", DocumentWriter(store, DuplicatePolicy.OVERWRITE))
    writing.connect("split", "embed")
    writing.connect("embed", "write")
    dim = EncoderDocumentEmbedder().encoder.dense_dim
    store.embedding_dim = dim
    text = "A writer takes the lock. Readers keep a snapshot."
    out = writing.run({"split": {"documents": [Document(content=text)]}})
    assert out["write"]["documents_written"] == 2

    asking = Pipeline()
    asking.add_component("embed", EncoderTextEmbedder())
    asking.add_component("find", IndexEmbeddingRetriever(store, top_k=2))
    asking.add_component("rank", EncoderRanker(top_k=1))
    asking.connect("embed.embedding", "find.query_embedding")
    asking.connect("find.documents", "rank.documents")
    query = "who takes the lock"
    asked = {"embed": {"text": query}, "rank": {"query": query}}
    (first,) = asking.run(asked)["rank"]["documents"]
    assert first.content == "A writer takes the lock."
    store.close()

    again = Pipeline.loads(asking.dumps())
    (same,) = again.run(asked)["rank"]["documents"]
    assert same == first
    again.get_component("find").document_store.close()


def test_components_tell_what_they_were_made_with(
    store: IndexDocumentStore, kept: IndexDocumentStore
) -> None:
    text = IndexTextRetriever(
        kept, None, 3, retriever="lexical", returns="passage", filter_policy="merge"
    )
    again = IndexTextRetriever.from_dict(text.to_dict())
    assert again.to_dict() == text.to_dict()
    assert found(again.run("rotary")) == ["c#0"]
    again.document_store.close()
    vector = IndexEmbeddingRetriever(kept, search_options={"offset": 1})
    assert IndexEmbeddingRetriever.from_dict(vector.to_dict()).to_dict() == vector.to_dict()
    for component in (EncoderTextEmbedder("x"), EncoderDocumentEmbedder("x"), EncoderRanker("x")):
        assert type(component).from_dict(component.to_dict()).to_dict() == component.to_dict()
    told = store.to_dict()["init_parameters"]
    assert told["index"] == str(store.index.path) and told["create"] is False
    with pytest.raises(InputError, match="'fake-words' is an object, which cannot be saved"):
        IndexDocumentStore("x", encoder=FakeEncoder()).to_dict()


@pytest.mark.slow
def test_importing_the_adapters_loads_no_model() -> None:
    # Haystack itself loads torch where there is one.
    ours = loaded_by("import retrieval.integrations.haystack", after="import haystack")
    assert "retrieval" in ours
    assert not ours.intersection(HEAVY)


def test_without_haystack_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "retrieval.integrations.haystack"
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "haystack", None)
    with pytest.raises(MissingDependency, match=r"pip install 'modernbert-retrieval\[haystack\]'"):
        importlib.import_module(ours)
