"""LlamaIndex's queries, mode by mode, asked of an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.indexes import Filter
from retrieval.integrations.llama_index.filters import as_filter
from retrieval.integrations.llama_index.nodes import as_added
from retrieval.integrations.precomputed import is_precomputed
from retrieval.integrations.returning import search_options
from retrieval.types import Hybrid

_LEARNERS = {
    VectorStoreQueryMode.SVM,
    VectorStoreQueryMode.LINEAR_REGRESSION,
    VectorStoreQueryMode.LOGISTIC_REGRESSION,
}
_WORDS = {VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH}
_BOTH = {VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID}
_THRESHOLD = 0.5  # of MMR, as LlamaIndex has it


def answered(
    index: Index, query: VectorStoreQuery, kwargs: Mapping[str, Any]
) -> VectorStoreQueryResult:
    """See `IndexVectorStore.query`."""
    # LlamaIndex's own index asks for no nodes where it means all, of a store that has the texts.
    where = as_filter(query.filters, query.node_ids or None, query.doc_ids)
    if query.mode in _LEARNERS:
        return _learned(index, query, where)
    options = dict(kwargs)
    threshold = options.pop("mmr_threshold", query.mmr_threshold)
    asked = _asked(index, query, threshold) | search_options("document") | options
    hits = index.search(where=where, **asked)
    similarities = [
        hit.scores["dense"] if asked["retriever"] == "dense" else hit.relevance for hit in hits
    ]
    return _result(index, [hit.document_id for hit in hits], similarities)


def _asked(index: Index, query: VectorStoreQuery, threshold: float | None) -> dict[str, Any]:
    """What `Index.search` is asked."""
    mode, text, vector = query.mode, query.query_str, query.query_embedding
    k = query.similarity_top_k
    if mode in _WORDS:
        top = query.sparse_top_k if mode == VectorStoreQueryMode.SPARSE else None
        return {"query": _text(query), "k": top or k, "retriever": "lexical"}
    if mode in _BOTH:
        asked: dict[str, Any] = {"query": _text(query), "k": query.hybrid_top_k or k}
        asked |= {"vector": vector, "retriever": "hybrid", "hybrid": _weighted(query.alpha)}
        if mode == VectorStoreQueryMode.SEMANTIC_HYBRID:
            asked["reranker"] = index.encoder
        return asked
    by_text = vector is None or (text and not is_precomputed(index.encoder))
    asked = {"k": k, "retriever": "hybrid" if by_text else "dense"}
    asked |= {"query": _text(query)} if by_text else {"vector": vector}
    if mode == VectorStoreQueryMode.MMR:
        asked["diversity"] = 1 - (_THRESHOLD if threshold is None else threshold)
    elif mode != VectorStoreQueryMode.DEFAULT:
        raise InputError(f"query mode {mode!r} is unknown; choose one of VectorStoreQueryMode")
    return asked


def _weighted(alpha: float | None) -> Hybrid | None:
    """How words and vectors are fused: `alpha` 0 is words alone, 1 vectors alone."""
    if alpha is None:
        return None
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha} is no share of the vectors; give a number from 0 to 1")
    return Hybrid(lexical=1 - alpha, dense=alpha, late=alpha)


def _text(query: VectorStoreQuery) -> str:
    if not query.query_str:
        raise InputError(
            f"mode {query.mode.value!r} asks by text, and there is none; give query_str"
        )
    return query.query_str


def _learned(index: Index, query: VectorStoreQuery, where: Filter | None) -> VectorStoreQueryResult:
    """What a classifier that LlamaIndex fits at the time of the query says of all vectors."""
    if query.query_embedding is None:
        raise InputError(f"mode {query.mode.value!r} asks by an embedding; give query_embedding")
    if not is_precomputed(index.encoder):
        raise InputError(
            f"mode {query.mode.value!r} compares the nodes' own embeddings, and the index's "
            "encoder makes the vectors; make the store with embedding_dim"
        )
    kept = [
        (passage.document_id, made.dense[0].tolist())
        for passage, made in index.vectors(where)
        if made.dense is not None
    ]
    if not kept:
        return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
    ids, vectors = zip(*kept, strict=True)
    try:
        similarities, found = get_top_k_embeddings_learner(
            query.query_embedding,
            list(vectors),
            similarity_top_k=query.similarity_top_k,
            embedding_ids=list(ids),
            query_mode=query.mode,
        )
    except AttributeError as error:
        raise InputError(
            f"mode {query.mode.value!r} fails in LlamaIndex itself ({error}); choose another"
        ) from error
    return _result(index, found, [float(one) for one in similarities])


def _result(index: Index, ids: list[str], similarities: list[float]) -> VectorStoreQueryResult:
    found = [
        (as_added(one), value)
        for one, value in zip(index.get_many(ids), similarities, strict=True)
        if one is not None  # deleted since the search
    ]
    return VectorStoreQueryResult(
        nodes=[node for node, _ in found],
        similarities=[value for _, value in found],
        ids=[node.node_id for node, _ in found],
    )
