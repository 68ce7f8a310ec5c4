"""Queries of every mode, held to LlamaIndex's own store and learners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from retrieval import Index
from retrieval.errors import InputError
from retrieval.integrations.llama_index import IndexVectorStore
from tests.integrations.llama_index.nodes import VECTORS, nodes

MODES = VectorStoreQueryMode


def theirs() -> SimpleVectorStore:
    """LlamaIndex's own store of the same nodes."""
    made = SimpleVectorStore()
    made.add(nodes())
    return made


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
        ours, expected = store.query(asked), theirs().query(asked)
        assert ours.ids == expected.ids
        assert ours.similarities == pytest.approx(expected.similarities, abs=5e-3)  # in 8 bits
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


def test_so_many_by_words_join_those_by_vectors(own: IndexVectorStore) -> None:
    asked = VectorStoreQuery(
        query_str="rotary positions", mode=MODES.HYBRID, similarity_top_k=1, sparse_top_k=2
    )
    assert own.query(asked).ids == ["c"]  # the best by vectors, and the only one with a word
    asked.query_str = "rotary lock"
    assert len(own.query(asked).ids or ()) == 2


def test_words_join_the_nearest_embeddings(store: IndexVectorStore) -> None:
    asked = VectorStoreQuery(
        query_str="rotary",
        query_embedding=[0.0, 1, 0],
        mode=MODES.HYBRID,
        similarity_top_k=1,
        sparse_top_k=1,
    )
    assert set(store.query(asked).ids or ()) == {"b", "c"}
    asked.hybrid_top_k = 1
    assert len(store.query(asked).ids or ()) == 1
    asked.sparse_top_k = 0
    assert len(store.query(asked).ids or ()) == 1
    asked.sparse_top_k, asked.hybrid_top_k, asked.query_str = 1, None, "unheard"
    assert store.query(asked).ids == ["b"]  # no word is found: no other node comes in its place
    asked.query_embedding, asked.query_str = None, "rotary"
    assert store.query(asked).ids == ["c"]


def test_semantic_hybrid_reads_again(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i") as index:
        store = IndexVectorStore(index)
        store.add(nodes())
        asked = VectorStoreQuery(
            query_str="who takes the lock", mode=MODES.SEMANTIC_HYBRID, similarity_top_k=2
        )
        assert (store.query(asked).ids or [None])[0] == "a"


def test_marginal_relevance_chooses_among_the_best(store: IndexVectorStore) -> None:
    asked = VectorStoreQuery(
        query_embedding=[1.0, 0.05, 0.2], similarity_top_k=2, mode=MODES.MMR, mmr_threshold=0.0
    )
    assert store.query(asked).ids == ["a", "b"]
    assert store.query(asked, mmr_prefetch_k=2).ids == ["a", "c"]
    assert store.query(asked, mmr_prefetch_factor=1).ids == ["a", "c"]
    assert store.query(asked, mmr_prefetch_factor=1.5).ids == ["a", "b"]
    with pytest.raises(InputError, match="both mmr_prefetch_k and mmr_prefetch_factor"):
        store.query(asked, mmr_prefetch_k=2, mmr_prefetch_factor=1)


def test_filters_alone_list_what_fulfils_them(
    store: IndexVectorStore, own: IndexVectorStore
) -> None:
    filters = MetadataFilters(
        filters=[MetadataFilter(key="name", value="ock", operator=FilterOperator.TEXT_MATCH)]
    )
    for one in (store, own):
        found = one.query(VectorStoreQuery(filters=filters, similarity_top_k=5))
        assert found.ids == ["a", "c"] and found.similarities is None
        assert [node.node_id for node in found.nodes or ()] == found.ids
        assert one.query(VectorStoreQuery(filters=filters, similarity_top_k=1)).ids == ["a"]
        assert one.query(VectorStoreQuery(doc_ids=["doc-b"])).ids == ["b"]


def test_a_filter_of_the_index_may_stand_beside(store: IndexVectorStore) -> None:
    asked = VectorStoreQuery(query_embedding=[1.0, 0, 0], similarity_top_k=3)
    assert store.query(asked, where="year >= 2021").ids == ["a", "b"]
    assert store.query(asked, where="year > :y", params={"y": 2021}).ids == ["b"]
    asked.node_ids = ["a", "c"]
    assert store.query(asked, where={"year": {"$gte": 2021}}).ids == ["a"]


def test_an_embedding_of_zeros_is_as_good_as_none(store: IndexVectorStore) -> None:
    store.add([TextNode(id_="blank", text="Zeros compare with nothing.", embedding=[0.0, 0, 0])])
    words = VectorStoreQuery(query_str="zeros", mode=MODES.TEXT_SEARCH, similarity_top_k=5)
    assert store.query(words).ids == ["blank"]
    asked = VectorStoreQuery(query_embedding=[1.0, 0, 0], similarity_top_k=5)
    assert set(store.query(asked).ids or ()) == {"a", "b", "c"}
    for mode in (MODES.DEFAULT, MODES.HYBRID, MODES.MMR):  # what is left are the words
        asked = VectorStoreQuery(
            query_str="rotary", query_embedding=[0.0, 0, 0], mode=mode, similarity_top_k=5
        )
        assert store.query(asked).ids == ["c"]


def test_what_cannot_be_asked(store: IndexVectorStore, own: IndexVectorStore) -> None:
    for mode in (MODES.TEXT_SEARCH, MODES.HYBRID):
        with pytest.raises(InputError, match="needs a text; give query_str"):
            store.query(VectorStoreQuery(mode=mode))
    for mode in (MODES.DEFAULT, MODES.MMR):
        with pytest.raises(InputError, match="none was given; give query_str, query_embedding or"):
            store.query(VectorStoreQuery(mode=mode, query_embedding=[0.0, 0, 0]))
    with pytest.raises(InputError, match="needs an embedding; give query_embedding"):
        store.query(VectorStoreQuery(mode=MODES.SVM))
    with pytest.raises(InputError, match="compares the nodes' own embeddings"):
        own.query(VectorStoreQuery(mode=MODES.SVM, query_embedding=[1.0]))
    with pytest.raises(InputError, match="alpha must be a number from 0 to 1, not 2"):
        store.query(VectorStoreQuery(query_str="x", mode=MODES.HYBRID, alpha=2))
    with pytest.raises(InputError, match="is unknown; choose one of VectorStoreQueryMode"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0, 0], mode="other"))  # type: ignore[arg-type]
    pytest.importorskip("sklearn")
    with pytest.raises(InputError, match="fails in LlamaIndex itself"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0, 0], mode=MODES.LINEAR_REGRESSION))
