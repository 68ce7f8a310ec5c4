"""The adapters to Haystack, beyond what Haystack's own tests ask."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("haystack")

from haystack import Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream, Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter
from hypothesis import given, settings
from hypothesis import strategies as st

import retrieval
from retrieval import Index
from retrieval.encoders import Precomputed
from retrieval.errors import EncoderMismatch, IndexNotFound, InputError, MissingDependency
from retrieval.integrations.haystack import (
    EncoderDocumentEmbedder,
    EncoderRanker,
    EncoderTextEmbedder,
    IndexDocumentStore,
    IndexEmbeddingRetriever,
    IndexTextRetriever,
)
from retrieval.integrations.haystack.filters import as_filter
from tests.index.fake_encoder import FakeEncoder
from tests.indexes.filter_evaluator import database
from tests.test_public import HEAVY, loaded_by

pytestmark = pytest.mark.anyio

NOTES = [
    Document(id="a", content="A writer takes the lock.", meta={"year": 2021, "title": "Locks"}),
    Document(id="b", content="Readers keep a snapshot.", meta={"year": 2024}),
    Document(id="c", content="Rotary positions need no table.", meta={"tags": ["rope", "x"]}),
]


@pytest.fixture
def store(index: Index) -> IndexDocumentStore:
    made = IndexDocumentStore(index)
    made.write_documents(NOTES)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[IndexDocumentStore]:
    """Keeps the embeddings of its documents, of which the last has none."""
    made = IndexDocumentStore(tmp_path / "kept", embedding_dim=3)
    vectors: list[Any] = [[2.0, 0, 0], [0, 1, 0], None]
    made.write_documents([replace(n, embedding=v) for n, v in zip(NOTES, vectors, strict=True)])
    yield made
    made.close()


def found(documents: dict[str, list[Document]]) -> list[str]:
    return [document.id for document in documents["documents"]]


# --- the store ------------------------------------------------------------------------------------


def test_documents_come_out_as_they_were_written(store: IndexDocumentStore) -> None:
    assert store.filter_documents() == NOTES
    assert store.index.get("a").title == "Locks"  # type: ignore[union-attr]
    blank = Document(id="blank", meta={"x": 1})
    store.write_documents([blank])
    (out,) = store.filter_documents({"field": "id", "operator": "==", "value": "blank"})
    assert out == replace(blank, content="")
    assert store.filter_documents({"field": "content", "operator": "==", "value": ""}) == [out]
    held = store.filter_documents({"field": "content", "operator": "==", "value": NOTES[0].content})
    assert held == NOTES[:1]


def test_what_an_index_does_not_keep_is_refused(store: IndexDocumentStore) -> None:
    for wrong, message in (
        (Document(id="x", blob=ByteStream(b"1")), "document 'x' has a blob, and an index keeps"),
        (Document(id="x", content="y", embedding=[1.0, 2]), "store with embedding_dim=2"),
        (Document(id="x", content="y", meta={"z": {1, 2}}), "cannot be stored as JSON"),
    ):
        with pytest.raises(InputError, match=message):
            store.write_documents([wrong])
    assert store.count_documents() == 3


def test_policies_write_all_or_nothing(store: IndexDocumentStore) -> None:
    new, old = Document(id="new", content="n"), Document(id="a", content="changed")
    for documents in ([new, old], [new, new]):
        with pytest.raises(DuplicateDocumentError, match="is there already; write with policy"):
            store.write_documents(documents, DuplicatePolicy.FAIL)
        assert store.count_documents() == 3
    assert store.write_documents([new, old, new], DuplicatePolicy.SKIP) == 1
    assert store.index.get("a").text == NOTES[0].content  # type: ignore[union-attr]
    assert store.write_documents([old, new], DuplicatePolicy.OVERWRITE) == 2
    assert store.index.get("a").text == "changed"  # type: ignore[union-attr]
    assert store.write_documents([]) == 0


def test_a_folder_is_opened_when_it_is_needed_and_made_if_need_be(tmp_path: Path) -> None:
    store = IndexDocumentStore(tmp_path / "i", embedding_dim=3, embedding_model="one")
    assert not (tmp_path / "i").exists()
    assert store.count_documents() == 0
    store.close()
    assert store.count_documents() == 0  # opened again
    store.close()
    other = IndexDocumentStore(tmp_path / "i", embedding_dim=3, embedding_model="another")
    with pytest.raises(EncoderMismatch):
        other.count_documents()
    with pytest.raises(IndexNotFound):
        IndexDocumentStore(tmp_path / "none", create=False).count_documents()
    with pytest.raises(InputError, match="both encoder and embedding_dim were given"):
        IndexDocumentStore(tmp_path / "i", encoder="x", embedding_dim=3)


def test_an_open_index_stays_its_owners(store: IndexDocumentStore) -> None:
    store.close()
    assert store.count_documents() == 3


def test_embeddings_are_kept_through_updates(kept: IndexDocumentStore) -> None:
    assert [document.embedding for document in kept.filter_documents()] == [
        [1, 0, 0],
        [0, 1, 0],
        None,
    ]
    assert kept.update_by_filter({"field": "year", "operator": ">", "value": 1}, {"seen": 1}) == 2
    seen = kept.filter_documents({"field": "meta.seen", "operator": "==", "value": 1})
    assert [document.embedding for document in seen] == [[1, 0, 0], [0, 1, 0]]
    assert kept.delete_by_filter({}) == 3 and kept.count_documents() == 0


def test_an_update_of_the_metadata_leaves_the_title(store: IndexDocumentStore) -> None:
    store.index.add([retrieval.Document("x", "text", title="Titled", metadata={"k": 1})])
    chosen = {"field": "meta.k", "operator": "==", "value": 1}
    assert store.update_by_filter(chosen, {"seen": 1}) == 1
    document = store.index.get("x")
    assert document is not None and document.title == "Titled"
    assert document.metadata == {"k": 1, "seen": 1}
    store.update_by_filter(chosen, {"title": "Another"})
    document = store.index.get("x")
    assert document is not None and document.title == document.metadata["title"] == "Another"


def test_fields_of_the_metadata(store: IndexDocumentStore) -> None:
    meta = {"rate": 0.5, "on": True, "n": None}
    store.write_documents([Document(id="d", content="d", meta=meta)])
    assert store.get_metadata_fields_info() == {
        "on": {"type": "boolean"},
        "rate": {"type": "float"},
        "tags": {"type": "keyword"},
        "title": {"type": "keyword"},
        "year": {"type": "int"},
    }
    assert store.get_metadata_field_min_max("meta.year") == {"min": 2021, "max": 2024}
    assert store.get_metadata_field_min_max("title") == {"min": "Locks", "max": "Locks"}
    assert store.get_metadata_field_unique_values("tags", search_term="ROP") == (["rope"], 1)
    assert store.count_unique_metadata_by_filter({}, ["meta.tags"]) == {"tags": 2}


# --- filters --------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "2024-01-01"])
SCALARS |= st.sampled_from(["2024-01-01T00:00:00", "2023-12-31T23:00:00", "b"])
VALUES = SCALARS | st.lists(SCALARS, max_size=2)
METAS = st.dictionaries(st.sampled_from(["x", "y", "id", "title"]), VALUES, max_size=3)
FIELDS = st.sampled_from(["meta.x", "x", "meta.y", "meta.id", "meta.title", "content", "id"])


def same_types(meta: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Whether no comparison is of two types, which Python may call equal and an index does not."""
    conditions = filters.get("conditions")
    if conditions is not None:
        return all(same_types(meta, one) for one in conditions)
    wanted = filters["value"] if isinstance(filters["value"], list) else [filters["value"]]
    held = [v for one in meta.values() for v in (one if isinstance(one, list) else [one])]
    return not any(isinstance(v, bool) for v in [*wanted, *held])


COMPARISONS = st.one_of(
    st.fixed_dictionaries(
        {"field": FIELDS, "operator": st.sampled_from(["==", "!="]), "value": VALUES}
    ),
    st.fixed_dictionaries(
        {
            "field": FIELDS,
            "operator": st.sampled_from(["in", "not in"]),
            "value": st.lists(VALUES, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": FIELDS,
            "operator": st.sampled_from([">", ">=", "<", "<="]),
            "value": st.none() | st.integers(-2, 3) | st.just("2024-01-01T00:00:00"),
        }
    ),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.fixed_dictionaries(
        {
            "operator": st.sampled_from(["AND", "OR", "NOT"]),
            "conditions": st.lists(inner, max_size=3),
        }
    ),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(METAS, min_size=1, max_size=3), FILTERS)
def test_filters_mean_what_haystack_means(
    metas: list[dict[str, Any]], filters: dict[str, Any]
) -> None:
    documents = [Document(id=f"d{n}", content="text", meta=m) for n, m in enumerate(metas)]
    expected = []
    for number, document in enumerate(documents):
        if not same_types(document.meta, filters):
            return
        try:
            if document_matches_filter(filters, document):
                expected.append(number)
        except (FilterError, TypeError):  # compares texts with numbers, and the like
            return
    rows = [{"id": d.id, "title": "", "text": d.content, "metadata": d.meta} for d in documents]
    where = as_filter(filters)
    assert where is not None
    sql, bound = where.to_sql()
    asked = f"SELECT number FROM documents AS d WHERE {sql} ORDER BY number"
    assert [number for (number,) in database(rows).execute(asked, bound)] == expected


def test_filters_of_times_and_lists(store: IndexDocumentStore) -> None:
    stamps = ["2024-03-01T12:00+02:00", "2024-03-01T10:00:00Z", "2024-03-02"]
    store.write_documents(
        [Document(id=f"t{n}", content="t", meta={"at": at}) for n, at in enumerate(stamps)]
    )

    def ids(field: str, operator: str, value: Any) -> list[str]:
        asked = {"field": field, "operator": operator, "value": value}
        return [document.id for document in store.filter_documents(asked)]

    assert ids("meta.at", "==", "2024-03-01T10:00:00+00:00") == ["t0", "t1"]
    assert ids("meta.at", ">", datetime(2024, 3, 1, 10, tzinfo=UTC)) == ["t2"]
    assert ids("meta.tags", "==", ["rope", "x"]) == ["c"]
    assert ids("meta.tags", "==", "rope") == []  # a list is no text
    assert ids("meta.tags", "in", [["x"], ["rope", "x"]]) == ["c"]
    assert ids("meta.year", "in", list(range(5000))) == ["a", "b"]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"field": 3, "operator": "==", "value": 1}, "expected a field that is a text"),
        ({"field": "x", "operator": "~", "value": 1}, "expected an operator: ==, !="),
        ({"field": "embedding", "operator": "==", "value": 1}, "a field of the metadata, id or"),
        ({"field": "x", "operator": ">", "value": "tall"}, "a number, or a date or time of ISO"),
        ({"field": "x", "operator": "==", "value": {"y": 1}}, "give a text, a number"),
        ({"field": "a`b", "operator": "==", "value": 1}, "expected a field without backquotes"),
        ({"operator": "XOR", "conditions": []}, "found 'XOR' in the filter, expected AND, OR or"),
        ({"operator": "AND", "conditions": ["x"]}, "expected a dict with field"),
        ({"operator": "AND", "conditions": 3}, "expected a key 'conditions' with a list"),
    ],
)
def test_filters_that_are_none(
    store: IndexDocumentStore, filters: dict[str, Any], message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        store.filter_documents(filters)


# --- retrievers -----------------------------------------------------------------------------------


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
    with pytest.raises(InputError, match="top_k=0 asks for no document"):
        IndexEmbeddingRetriever(store, top_k=0)
    with pytest.raises(InputError, match="returns='all' is unknown"):
        IndexTextRetriever(store, returns="all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="top_k=-1 is no number of documents"):
        IndexTextRetriever(store).run("x", top_k=-1)


async def test_components_can_be_awaited(kept: IndexDocumentStore) -> None:
    assert found(await IndexTextRetriever(kept).run_async("rotary")) == ["c"]
    assert found(await IndexEmbeddingRetriever(kept).run_async([1.0, 0, 0], top_k=1)) == ["a"]
    embedded = await EncoderTextEmbedder().run_async("lock")
    assert embedded == EncoderTextEmbedder().run("lock")
    made = await EncoderDocumentEmbedder().run_async(NOTES[:1])
    assert made == EncoderDocumentEmbedder().run(NOTES[:1])
    assert found(await EncoderRanker(top_k=1).run_async("rotary", NOTES)) == ["c"]


# --- embedders and ranker -------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="take EncoderDocumentEmbedder"):
        text.run(NOTES)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="take EncoderTextEmbedder"):
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
    with pytest.raises(InputError, match="top_k=0 asks for no document"):
        EncoderRanker(top_k=0)


# --- pipelines ------------------------------------------------------------------------------------


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


def test_a_store_over_an_index_of_ours(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(2)) as index:
        index.add([retrieval.Document("x", "text")], embeddings=[[1, 0]])
        (out,) = IndexDocumentStore(index).filter_documents()
        assert (out.id, out.content, out.embedding) == ("x", "text", [1, 0])


# --- importing ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_importing_the_adapters_loads_no_model() -> None:
    ours = loaded_by("import retrieval.integrations.haystack").intersection(HEAVY)
    assert ours <= loaded_by("import haystack")  # which loads torch where there is one


def test_without_haystack_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "retrieval.integrations.haystack"
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "haystack", None)
    with pytest.raises(MissingDependency, match=r"pip install 'modernbert-retrieval\[haystack\]'"):
        importlib.import_module(ours)
