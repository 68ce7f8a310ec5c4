"""LlamaIndex's query modes on an index."""

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
from retrieval.indexes.filters import as_filter as of_index
from retrieval.integrations.llama_index.filters import as_filter
from retrieval.integrations.llama_index.nodes import as_added, has_direction
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
_ALONE = {VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR}
_THRESHOLD = 0.5  # of MMR, LlamaIndex's default


def answered(
    index: Index, query: VectorStoreQuery, kwargs: Mapping[str, Any]
) -> VectorStoreQueryResult:
    """See `IndexVectorStore.query`."""
    # LlamaIndex passes an empty list of nodes to mean all, for a store that has the texts.
    where = as_filter(query.filters, query.node_ids or None, query.doc_ids)
    options = dict(kwargs)
    own = of_index(options.pop("where", None), options.pop("params", None))
    if own is not None:
        where = own if where is None else where & own
    if query.mode in _LEARNERS:
        return _learned(index, query, where)
    if query.mode in _ALONE and not query.query_str and not has_direction(query.query_embedding):
        return _listed(index, query, where)
    threshold = options.pop("mmr_threshold", query.mmr_threshold)
    among = _prefetched(query, options)
    asked = _asked(index, query, threshold) | search_options("document") | options
    if among is not None:
        first = index.search(where=where, **asked | {"k": among, "diversity": 0.0})
        where = as_filter(None, [hit.document_id for hit in first])
    elif query.mode in _BOTH and query.sparse_top_k:
        where = as_filter(None, _pooled(index, query, where, asked))
    hits = index.search(where=where, **asked)
    similarities = [
        hit.scores["dense"] if asked.get("retriever") == "dense" else hit.relevance for hit in hits
    ]
    return _result(index, [hit.document_id for hit in hits], similarities)


def _asked(index: Index, query: VectorStoreQuery, threshold: float | None) -> dict[str, Any]:
    """The arguments for `Index.search`."""
    mode, k = query.mode, query.similarity_top_k
    if mode not in _LEARNERS | _WORDS | _BOTH | _ALONE:
        raise InputError(f"query mode {mode!r} is unknown; choose one of VectorStoreQueryMode")
    vector = query.query_embedding if has_direction(query.query_embedding) else None
    makes_vectors = not is_precomputed(index.encoder)
    weights = None
    if mode in _BOTH:
        k, weights = query.hybrid_top_k or k + (query.sparse_top_k or 0), _weighted(query.alpha)
    elif mode == VectorStoreQueryMode.SPARSE:
        k = query.sparse_top_k or k
    asked: dict[str, Any] = {"k": k}
    if mode in _WORDS or (vector is None and not makes_vectors):
        asked |= {"query": _text(query), "retriever": "lexical"}
    elif mode in _BOTH:
        asked |= {"query": _text(query), "vector": vector, "hybrid": weights}
    elif vector is None or (query.query_str and makes_vectors):
        asked |= {"query": _text(query)}
    else:
        asked |= {"vector": vector, "retriever": "dense"}
    if mode == VectorStoreQueryMode.SEMANTIC_HYBRID:
        asked["reranker"] = index.encoder
    if mode == VectorStoreQueryMode.MMR:
        asked["diversity"] = 1 - (_THRESHOLD if threshold is None else threshold)
    return asked


def _prefetched(query: VectorStoreQuery, options: dict[str, Any]) -> int | None:
    """How many of the best marginal relevance chooses from; None is the default of `search`.

    LlamaIndex's own stores call this `mmr_prefetch_k` and `mmr_prefetch_factor`.
    """
    count, factor = options.pop("mmr_prefetch_k", None), options.pop("mmr_prefetch_factor", None)
    if query.mode != VectorStoreQueryMode.MMR or (count is None and factor is None):
        return None
    if count is not None and factor is not None:
        raise InputError("both mmr_prefetch_k and mmr_prefetch_factor were given; give one of them")
    return max(
        query.similarity_top_k, int(factor * query.similarity_top_k if count is None else count)
    )


def _pooled(
    index: Index, query: VectorStoreQuery, where: Filter | None, asked: Mapping[str, Any]
) -> list[str]:
    """The distinct `similarity_top_k` best by vectors and `sparse_top_k` best by words."""
    parts: list[dict[str, Any]] = [
        {"k": query.sparse_top_k, "retriever": "lexical", "vector": None}
    ]
    if asked.get("vector") is not None or not is_precomputed(index.encoder):
        parts.append({"k": query.similarity_top_k, "retriever": "dense"})
    plain = {**asked, "hybrid": None, "reranker": None}
    hits = [hit for part in parts for hit in index.search(where=where, **plain | part)]
    return list(dict.fromkeys(hit.document_id for hit in hits))


def _listed(index: Index, query: VectorStoreQuery, where: Filter | None) -> VectorStoreQueryResult:
    """Nodes that match the filters, if there is nothing to rank them by."""
    if where is None:
        raise InputError(
            f"mode {query.mode.value!r} needs a text, an embedding that is not all zeros or "
            "filters, but none was given; give query_str, query_embedding or filters"
        )
    nodes = [as_added(one) for one in index.documents(where, limit=query.similarity_top_k)]
    return VectorStoreQueryResult(nodes=nodes, ids=[node.node_id for node in nodes])


def _weighted(alpha: float | None) -> Hybrid | None:
    """How words and vectors are fused: `alpha` 0 is only words, 1 only vectors."""
    if alpha is None:
        return None
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha must be a number from 0 to 1, not {alpha}")
    return Hybrid(lexical=1 - alpha, dense=alpha, late=alpha)


def _text(query: VectorStoreQuery) -> str:
    if not query.query_str:
        raise InputError(f"mode {query.mode.value!r} needs a text; give query_str")
    return query.query_str


def _learned(index: Index, query: VectorStoreQuery, where: Filter | None) -> VectorStoreQueryResult:
    """Rank by a classifier that LlamaIndex fits to all vectors at query time."""
    if query.query_embedding is None:
        raise InputError(f"mode {query.mode.value!r} needs an embedding; give query_embedding")
    if not is_precomputed(index.encoder):
        raise InputError(
            f"mode {query.mode.value!r} compares the nodes' own embeddings, but the index's "
            "encoder makes the vectors; create the store with embedding_dim"
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
