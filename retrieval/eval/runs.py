"""Runs: what an index answers to a collection's queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.index import Index
from retrieval.sharded import Collection
from retrieval.types import Hit, Hybrid, Retriever

DEEPEST = 16
"""How many times as many passages as documents are asked for, at most; of fewer than a hundred
documents, of a hundred."""


def run_index(
    index: Index | Collection,
    queries: Mapping[str, str],
    *,
    retriever: Retriever,
    depth: int = 100,
    hybrid: Hybrid | None = None,
) -> dict[str, dict[str, float]]:
    """Search every query; a document scores as its best passage (MaxP).

    Args:
        depth: passages asked for, for each query.

    Returns:
        Score by document id, by query id.
    """
    answers = index.search_batch(
        list(queries.values()),
        depth,
        retriever=retriever,
        highlights=False,
        hybrid=hybrid,
        copies=True,
    )
    return {query: max_passage(hits) for query, hits in zip(queries, answers, strict=True)}


def run_documents(
    index: Index | Collection,
    queries: Mapping[str, str],
    *,
    retriever: Retriever,
    k: int,
    hybrid: Hybrid | None = None,
    among: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, dict[str, float]]:
    """As `run_index`, with k documents for each query where there are so many.

    Where the best passages are of fewer documents, more are asked for, up to `DEEPEST` times k;
    they come behind. Documents that tie with the last one are there, too: trec_eval orders ties
    its own way, and the first k of it are then the same to whatever depth a run was made.

    Args:
        queries: none of them blank.
        k: documents wanted.
        among: the ids of the documents that are ranked at all, by query id.
    """
    run: dict[str, dict[str, float]] = {}
    passages = index.status().passages
    most = min(passages, DEEPEST * max(k, 100))
    open_, depth = dict(queries), min(k + 1, most)
    while open_:
        answers = index.search_batch(
            list(open_.values()),
            depth,
            retriever=retriever,
            where=None if among is None else [{"id": {"$in": list(among[id])}} for id in open_],
            highlights=False,
            hybrid=hybrid,
            copies=True,
        )
        for query, hits in zip(list(open_), answers, strict=True):
            scores = max_passage(hits)
            run[query] = with_ties(scores, k)
            if depth >= most or len(hits) < depth or len(run[query]) < len(scores):
                del open_[query]
        depth = min(4 * depth, most)
    return run


def with_ties(scores: Mapping[str, float], k: int) -> dict[str, float]:
    """The first k documents, best first, and what ties with the last in single precision."""
    ranked = list(scores.items())
    end = k
    while k <= end < len(ranked) and np.float32(ranked[end][1]) == np.float32(ranked[k - 1][1]):
        end += 1
    return dict(ranked[:end])


def max_passage(hits: Sequence[Hit]) -> dict[str, float]:
    """Each document's best passage score, best first."""
    scores: dict[str, float] = {}
    for hit in hits:
        scores[hit.document_id] = max(hit.score, scores.get(hit.document_id, hit.score))
    return scores
