"""The adapters to LlamaIndex: held to LlamaIndex's own store and filters, mode by mode."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

import retrieval
from retrieval import Index
from retrieval.errors import (
    EncoderMismatch,
    FilterError,
    IndexNotFound,
    InputError,
    MissingDependency,
)
from retrieval.integrations.llama_index import (
    EncoderEmbedding,
    EncoderRerank,
    IndexRetriever,
    IndexVectorStore,
)
from retrieval.integrations.llama_index.filters import as_filter
from tests.indexes.filter_evaluator import database
from tests.test_public import HEAVY, loaded_by

pytestmark = pytest.mark.anyio

TEXTS = {
    "a": "A writer takes the lock.",
    "b": "Readers keep a snapshot.",
    "c": "Rotary positions need no table.",
}
METADATA: dict[str, dict[str, Any]] = {
    "a": {"year": 2021, "tags": ["x", "y"], "name": "Lock notes"},
    "b": {"year": 2024, "tags": [], "name": "snapshots"},
    "c": {"name": "lock tables", "title": "Rotary"},
}
VECTORS = {"a": [1.0, 0.0, 0.2], "b": [0.0, 1.0, 0.0], "c": [0.9, 0.1, 0.3]}
MODES = VectorStoreQueryMode


def nodes(*names: str) -> list[TextNode]:
    return [
        TextNode(
            id_=name,
            text=TEXTS[name],
            metadata=dict(METADATA[name]),
            embedding=list(VECTORS[name]),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{name}")},
        )
        for name in names or TEXTS
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IndexVectorStore]:
    """Keeps the nodes' embeddings."""
    made = IndexVectorStore(tmp_path / "kept", embedding_dim=3)
    made.add(nodes())
    yield made
    made.index.close()


@pytest.fixture
def own(index: Index) -> IndexVectorStore:
    """Over an index whose encoder makes the vectors."""
    made = IndexVectorStore(index)
    made.add(nodes())
    return made


def simple(*names: str) -> SimpleVectorStore:
    made = SimpleVectorStore()
    made.add(nodes(*names))
    return made


# --- the store ------------------------------------------------------------------------------------


def test_nodes_come_out_as_they_were_added(store: IndexVectorStore) -> None:
    (out,) = store.get_nodes(["a"])
    (given,) = nodes("a")
    assert isinstance(out, TextNode)
    assert (out.text, out.metadata, out.relationships) == (
        given.text,
        given.metadata,
        given.relationships,
    )
    assert [node.node_id for node in store.get_nodes()] == ["a", "b", "c"]
    assert [node.node_id for node in store.get_nodes(["c", "none", "a", "c"])] == ["c", "a"]
    assert store.index.get("c").title == "Rotary"  # type: ignore[union-attr]


def test_every_kind_of_node(store: IndexVectorStore) -> None:
    kinds: list[Any] = [
        ImageNode(id_="image", image="aGk=", embedding=[0.0, 0, 1]),
        IndexNode(id_="index", text="words", index_id="5", embedding=[0.0, 1, 1]),
        Node(id_="node", text_resource=MediaResource(text="media"), embedding=[1.0, 1, 1]),
        Document(id_="whole", text="a document", embedding=[1.0, 0, 1]),
    ]
    store.add(kinds)
    for node in kinds:
        (out,) = store.get_nodes([node.node_id])
        assert out.node_id == node.node_id and out.get_content() == node.get_content()
    assert isinstance(store.get_nodes(["image"])[0], ImageNode)
    assert store.get_nodes(["index"])[0].index_id == "5"  # type: ignore[attr-defined]
    image = store.query(VectorStoreQuery(query_embedding=[0.0, 0, 1], similarity_top_k=1))
    assert image.ids == ["image"]  # it has no text


def test_nodes_of_a_document_are_deleted(store: IndexVectorStore) -> None:
    store.add([TextNode(id_="a2", text="more", ref_doc_id="x", embedding=[0.0, 0, 1])])
    store.delete("doc-a")
    assert store.index.ids() == ["a2", "b", "c"]
    store.delete("none")
    year = MetadataFilters(filters=[MetadataFilter(key="year", value=2024)])
    assert [node.node_id for node in store.get_nodes(filters=year)] == ["b"]
    assert [node.node_id for node in store.get_nodes(["c", "b"], year)] == ["b"]
    store.delete_nodes(["a2", "b"], year)
    assert store.index.ids() == ["a2", "c"]
    store.delete_nodes(["a2"])
    with pytest.raises(InputError, match="nothing was named to delete"):
        store.delete_nodes()
    store.clear()
    assert store.get_nodes() == []


async def test_all_can_be_awaited(store: IndexVectorStore) -> None:
    assert await store.async_add(nodes("a")) == ["a"]
    asked = VectorStoreQuery(query_embedding=[0.0, 1, 0], similarity_top_k=1)
    assert (await store.aquery(asked)).ids == ["b"]
    await store.adelete("doc-b")
    await store.adelete_nodes(["c"])
    assert [node.node_id for node in await store.aget_nodes()] == ["a"]
    await store.aclear()
    assert await store.aget_nodes() == []


def test_a_store_is_opened_again_and_told_from_others(tmp_path: Path) -> None:
    store = IndexVectorStore(tmp_path / "i", embedding_dim=3, embedding_model="one")
    store.add(nodes())
    store.persist(str(tmp_path / "x.json"))
    assert not (tmp_path / "x.json").exists()
    for again in (
        IndexVectorStore(tmp_path / "i"),
        pickle.loads(pickle.dumps(store)),
        IndexVectorStore.from_dict(store.to_dict()),
    ):
        assert (again.embedding_dim, again.embedding_model) == (3, "one")
        assert len(again.client) == 3 and again.is_embedding_query
        again.index.close()
    with pytest.raises(EncoderMismatch):
        IndexVectorStore(tmp_path / "i", embedding_dim=3, embedding_model="another")
    with pytest.raises(IndexNotFound):
        IndexVectorStore(tmp_path / "none", create=False)
    with pytest.raises(InputError, match="both encoder and embedding_dim"):
        IndexVectorStore(tmp_path / "i", encoder="x", embedding_dim=3)
    with pytest.raises(InputError, match="no index was given"):
        IndexVectorStore()
    with pytest.raises(TypeError, match="IndexVectorStore takes no embeding_dim"):
        IndexVectorStore(tmp_path / "new", embeding_dim=3)
    assert not (tmp_path / "new").exists()
    store.index.close()


# --- filters --------------------------------------------------------------------------------------

SCALARS = st.integers(-2, 3) | st.sampled_from(["", "a", "b", "Ab", "1"]) | st.just(0.5)
HELD = st.none() | SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.just("k"), SCALARS)
METAS = st.dictionaries(st.sampled_from(["x", "y", "a.b", "id"]), HELD, max_size=3)
KEYS = st.sampled_from(["x", "y", "a.b", "id"])
LISTED = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)


@st.composite
def conditions(draw: st.DrawFn) -> MetadataFilter:
    operator = draw(st.sampled_from(list(FilterOperator)))
    value: Any = draw(SCALARS)
    if operator in LISTED:
        value = draw(
            st.lists(st.integers(-2, 3), max_size=3)
            | st.lists(st.sampled_from(["", "a", "b", "Ab"]), max_size=3)
        )
    elif operator in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
        value = draw(st.sampled_from(["", "a", "B"]))
    elif operator in (FilterOperator.EQ, FilterOperator.NE) and draw(st.booleans()):
        value = draw(st.none() | st.lists(st.integers(-2, 3), max_size=2))
    return MetadataFilter(key=draw(KEYS), operator=operator, value=value)


@pytest.mark.slow
@settings(max_examples=400)
@given(
    st.lists(METAS, min_size=1, max_size=3),
    st.lists(conditions(), min_size=1, max_size=3),
    st.sampled_from([*FilterCondition, None]),
)
def test_filters_mean_what_llama_index_means(
    metas: list[dict[str, Any]], asked: list[MetadataFilter], condition: FilterCondition | None
) -> None:
    filters = MetadataFilters(filters=asked, condition=condition)
    expected = []
    for number, meta in enumerate(metas):
        if any(isinstance(value, dict) for value in meta.values()):
            is_empty = all(one.operator == FilterOperator.IS_EMPTY for one in asked)
            if not is_empty:
                return  # Python looks through the keys of an object
        try:
            if build_metadata_filter_fn(lambda _, meta=meta: meta, filters)("any"):
                expected.append(number)
        except TypeError:  # compares texts with numbers, or seeks a part in a number
            return
    rows = [{"id": f"d{n}", "title": "", "metadata": meta} for n, meta in enumerate(metas)]
    where = as_filter(filters)
    assert where is not None
    sql, bound = where.to_sql()
    asked_sql = f"SELECT number FROM documents AS d WHERE {sql} ORDER BY number"
    assert [number for (number,) in database(rows).execute(asked_sql, bound)] == expected


def test_filters_may_be_nested(store: IndexVectorStore) -> None:
    inner = MetadataFilters(
        filters=[
            MetadataFilter(key="year", value=2021),
            MetadataFilter(
                key="name", value="SNAP", operator=FilterOperator.TEXT_MATCH_INSENSITIVE
            ),
        ],
        condition=FilterCondition.OR,
    )
    outer = MetadataFilters(
        filters=[inner, MetadataFilter(key="tags", value="x", operator=FilterOperator.CONTAINS)]
    )
    assert [node.node_id for node in store.get_nodes(filters=inner)] == ["a", "b"]
    assert [node.node_id for node in store.get_nodes(filters=outer)] == ["a"]
    none = MetadataFilters(filters=[outer], condition=FilterCondition.NOT)
    assert [node.node_id for node in store.get_nodes(filters=none)] == ["b", "c"]
    empty = MetadataFilters(filters=[MetadataFilters(filters=[])])
    assert len(store.get_nodes(filters=empty)) == 3


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (MetadataFilter(key="a`b", value=1), "expected a key without backquotes"),
        (MetadataFilter(key="a", value=1, operator=FilterOperator.IN), "expected a list for 'in'"),
        (MetadataFilter(key="a", value=[1], operator=FilterOperator.GT), "expected one value"),
        (MetadataFilter(key="a", value=1, operator=FilterOperator.TEXT_MATCH), "expected a text"),
    ],
)
def test_filters_that_are_none(found: MetadataFilter, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        as_filter(MetadataFilters(filters=[found]))


# --- queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("embedding", [[1.0, 0.1, 0.0], [0.2, 3.0, 0.1], [0.1, 0.1, 5.0]])
@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_an_embedding_is_answered_as_by_their_store(
    store: IndexVectorStore, embedding: list[float], top_k: int
) -> None:
    for filters, ids in (
        (None, None),
        (MetadataFilters(filters=[MetadataFilter(key="year", value=2021)]), None),
        (None, ["b", "c"]),
    ):
        asked = VectorStoreQuery(
            query_embedding=embedding, similarity_top_k=top_k, filters=filters, node_ids=ids
        )
        ours, theirs = store.query(asked), simple().query(asked)
        assert ours.ids == theirs.ids
        assert ours.similarities == pytest.approx(theirs.similarities, abs=5e-3)  # in 8 bits
        assert [node.node_id for node in ours.nodes or ()] == ours.ids


@pytest.mark.parametrize("mode", [MODES.SVM, MODES.LOGISTIC_REGRESSION])
def test_learners_are_those_of_llama_index(store: IndexVectorStore, mode: Any) -> None:
    pytest.importorskip("sklearn")
    unit = [np.array(v) / np.linalg.norm(v) for v in VECTORS.values()]
    similarities, ids = get_top_k_embeddings_learner(
        [1.0, 0.1, 0.0], unit, embedding_ids=list(VECTORS), query_mode=mode
    )
    asked = VectorStoreQuery(query_embedding=[1.0, 0.1, 0.0], similarity_top_k=3, mode=mode)
    ours = store.query(asked)
    assert ours.ids == ids
    assert ours.similarities == pytest.approx(list(similarities), abs=1e-2)  # in 8 bits
    asked.doc_ids = []
    assert store.query(asked).ids == []


def test_marginal_relevance_leaves_out_what_is_alike(store: IndexVectorStore) -> None:
    def ids(threshold: float | None, **kwargs: Any) -> list[str] | None:
        asked = VectorStoreQuery(
            query_embedding=[1.0, 0.05, 0.2],
            similarity_top_k=2,
            mode=MODES.MMR,
            mmr_threshold=threshold,
        )
        return store.query(asked, **kwargs).ids

    assert ids(1.0) == ["a", "c"] and ids(0.0) == ["a", "b"]
    assert ids(1.0, mmr_threshold=0.0) == ["a", "b"]  # as their store has it
    assert ids(None) == ids(0.5)


def test_words_and_both(store: IndexVectorStore, own: IndexVectorStore) -> None:
    for mode in (MODES.TEXT_SEARCH, MODES.SPARSE):
        asked = VectorStoreQuery(query_str="rotary", mode=mode, similarity_top_k=3)
        for one in (store, own):
            found = one.query(asked)
            assert found.ids == ["c"] and 0 < (found.similarities or [0])[0] <= 1
    both = VectorStoreQuery(
        query_str="rotary", query_embedding=[0.0, 1, 0], mode=MODES.HYBRID, similarity_top_k=3
    )
    assert set(store.query(both).ids or ()) == {"a", "b", "c"}
    both.alpha = 0.0
    assert (store.query(both).ids or [None])[0] == "c"
    both.alpha = 1.0
    assert (store.query(both).ids or [None])[0] == "b"
    both.hybrid_top_k = 1
    assert store.query(both).ids == ["b"]
    text = VectorStoreQuery(query_str="who takes the lock", similarity_top_k=1)
    assert own.query(text).ids == ["a"] and not own.is_embedding_query
    text.mode = MODES.MMR
    assert own.query(text).ids == ["a"]


def test_semantic_hybrid_reads_again(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i") as index:
        store = IndexVectorStore(index)
        store.add(nodes())
        asked = VectorStoreQuery(
            query_str="who takes the lock", mode=MODES.SEMANTIC_HYBRID, similarity_top_k=2
        )
        assert (store.query(asked).ids or [None])[0] == "a"


def test_what_cannot_be_asked(store: IndexVectorStore, own: IndexVectorStore) -> None:
    for mode in (MODES.TEXT_SEARCH, MODES.HYBRID, MODES.DEFAULT):
        with pytest.raises(InputError, match="asks by text, and there is none; give query_str"):
            store.query(VectorStoreQuery(mode=mode))
    with pytest.raises(InputError, match="asks by an embedding; give query_embedding"):
        store.query(VectorStoreQuery(mode=MODES.SVM))
    with pytest.raises(InputError, match="compares the nodes' own embeddings"):
        own.query(VectorStoreQuery(mode=MODES.SVM, query_embedding=[1.0]))
    with pytest.raises(InputError, match="alpha=2 is no share"):
        store.query(VectorStoreQuery(query_str="x", mode=MODES.HYBRID, alpha=2))
    with pytest.raises(InputError, match="is unknown; choose one of VectorStoreQueryMode"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0, 0], mode="other"))  # type: ignore[arg-type]
    pytest.importorskip("sklearn")
    with pytest.raises(InputError, match="fails in LlamaIndex itself"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0, 0], mode=MODES.LINEAR_REGRESSION))


# --- their index, pipeline and retrievers ---------------------------------------------------------


def test_their_index_stands_over_the_store(tmp_path: Path) -> None:
    store = IndexVectorStore(tmp_path / "i", embedding_dim=4)
    model = MockEmbedding(embed_dim=4)
    index = VectorStoreIndex.from_documents(
        [Document(id_=f"d{name}", text=text) for name, text in TEXTS.items()],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=model,
    )
    found = index.as_retriever(similarity_top_k=3).retrieve("lock")
    assert {one.node.get_content() for one in found} == set(TEXTS.values())
    index.delete_ref_doc("da")
    assert len(store.index) == 2
    again = VectorStoreIndex.from_vector_store(store, embed_model=model)
    words = again.as_retriever(vector_store_query_mode="text_search", similarity_top_k=1)
    assert words.retrieve("rotary")[0].node.get_content() == TEXTS["c"]
    constrained = again.as_retriever(doc_ids=["db"], similarity_top_k=5).retrieve("anything")
    assert [one.node.ref_doc_id for one in constrained] == ["db"]
    store.index.close()


def test_their_index_over_an_index_with_an_encoder(index: Index) -> None:
    store = IndexVectorStore(index)
    made = VectorStoreIndex(
        nodes(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=MockEmbedding(embed_dim=1),
    )
    (best,) = made.as_retriever(similarity_top_k=1).retrieve("who takes the lock")
    assert best.node.node_id == "a" and best.score is not None and 0 <= best.score <= 1


def words(text: str) -> list[str]:
    """The splitter's tokens: LlamaIndex's own in a worker would be fetched from the network."""
    return text.split()


@pytest.mark.slow
def test_a_pipeline_with_two_workers(tmp_path: Path) -> None:
    embedding = EncoderEmbedding()
    store = IndexVectorStore(tmp_path / "i", embedding_dim=embedding.encoder.dense_dim)
    pipeline = IngestionPipeline(
        transformations=[
            TokenTextSplitter(chunk_size=9, chunk_overlap=0, tokenizer=words),
            embedding,
        ],
        vector_store=store,
        disable_cache=True,
    )
    numbered = enumerate(TEXTS.values())
    documents = [Document(id_=f"d{n}", text=f"{text} " * 3) for n, text in numbered]
    made = pipeline.run(documents=documents, num_workers=2)
    assert {node.node_id for node in made} == set(store.index.ids()) and len(made) >= 3
    expected = embedding.get_text_embedding(made[0].get_content(metadata_mode="embed"))  # type: ignore[arg-type]
    assert made[0].embedding == pytest.approx(expected, abs=1e-5)
    store.delete("d0")
    assert {node.ref_doc_id for node in store.get_nodes()} == {"d1", "d2"}
    store.index.close()


async def test_an_embedding_gives_the_encoders_vectors() -> None:
    embedding = EncoderEmbedding(embed_batch_size=2)
    texts = list(TEXTS.values())
    dense = embedding.encoder.encode_documents(texts).dense
    query = embedding.encoder.encode_queries(["lock"]).dense
    assert dense is not None and query is not None
    np.testing.assert_allclose(embedding.get_text_embedding_batch(texts), dense, atol=1e-6)
    np.testing.assert_allclose(embedding.get_query_embedding("lock"), query[0], atol=1e-6)
    awaited = await embedding.aget_text_embedding_batch(texts)
    np.testing.assert_allclose(awaited, dense, atol=1e-6)
    assert await embedding.aget_query_embedding("lock") == embedding.get_query_embedding("lock")
    assert await embedding.aget_text_embedding("x") == embedding.get_text_embedding("x")
    again = pickle.loads(pickle.dumps(embedding))
    assert again.get_query_embedding("lock") == embedding.get_query_embedding("lock")
    assert EncoderEmbedding.from_dict(embedding.to_dict()).embed_batch_size == 2
    with pytest.raises(ValueError, match="batch_size"):
        EncoderEmbedding(batch_size=2)


async def test_nodes_are_ranked() -> None:
    rerank = EncoderRerank(top_n=2)
    found = [NodeWithScore(node=node, score=0.5) for node in nodes()]
    ranked = rerank.postprocess_nodes(found, query_str="rotary positions")
    assert len(ranked) == 2 and ranked[0].node.node_id == "c"
    assert (ranked[0].score or 0) > (ranked[1].score or 0)
    awaited = await rerank.apostprocess_nodes(found, query_str="rotary positions")
    assert [one.node.node_id for one in awaited] == [one.node.node_id for one in ranked]
    assert rerank.postprocess_nodes([], query_str="x") == []
    assert EncoderRerank.from_dict(rerank.to_dict()).top_n == 2
    with pytest.raises(ValueError, match="top_k"):
        EncoderRerank(top_k=2)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="no query was given to rank by"):
        rerank.postprocess_nodes(found)


async def test_a_retriever_gives_passages_or_documents(own: IndexVectorStore) -> None:
    retriever = IndexRetriever(own.index, k=2)
    (best, *_) = retriever.retrieve("who takes the lock")
    assert best.node.ref_doc_id == "a" and best.node.get_content() == TEXTS["a"]
    assert isinstance(best.node, TextNode) and best.node.start_char_idx == 0
    assert best.node.metadata["year"] == 2021 and best.node.metadata["start_line"] == 1
    assert not any(key.startswith("_") for key in best.node.metadata)
    whole = IndexRetriever(own.index, returns="document", retriever="lexical", where="year > 2000")
    (one,) = await whole.aretrieve(QueryBundle("snapshot"))
    assert one.node.node_id == "b" and one.node.ref_doc_id == "doc-b"
    with pytest.raises(InputError, match="returns='all' is unknown"):
        IndexRetriever(own.index, returns="all")  # type: ignore[arg-type]


def test_nodes_of_what_llama_index_did_not_write(index: Index) -> None:
    index.add([retrieval.Document("x", "plain words", metadata={"k": 1})])
    (node,) = IndexVectorStore(index).get_nodes()
    assert (node.node_id, node.get_content(), node.metadata) == ("x", "plain words", {"k": 1})


# --- importing ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_importing_the_adapters_loads_no_model() -> None:
    ours = loaded_by("import retrieval.integrations.llama_index").intersection(HEAVY)
    assert ours <= loaded_by("import llama_index.core")


def test_without_llama_index_the_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = "retrieval.integrations.llama_index"
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llama_index.core", None)
    with pytest.raises(
        MissingDependency, match=r"pip install 'modernbert-retrieval\[llama-index\]'"
    ):
        importlib.import_module(ours)
