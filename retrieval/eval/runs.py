"""Runs: what an index answers to a collection's queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retrieval.index import Index
from retrieval.types import Hit, Hybrid, Retriever

DEEPEST = 16
"""How many times as many passages as documents are asked for, at most."""

_STEP = 1e-3


def run_index(
    index: Index,
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
        list(queries.values()), depth, retriever=retriever, highlights=False, hybrid=hybrid
    )
    return {query: max_passage(hits) for query, hits in zip(queries, answers, strict=True)}


def run_documents(
    index: Index,
    queries: Mapping[str, str],
    *,
    retriever: Retriever,
    k: int,
    hybrid: Hybrid | None = None,
) -> dict[str, dict[str, float]]:
    """As `run_index`, with k documents for each query where there are so many.

    Where k passages are of fewer documents, more are asked for, up to `DEEPEST` times k. They come
    after the documents of the first answer, which stays as a user sees it: hybrid scores depend on
    how many candidates there are.

    Args:
        queries: none of them blank.
        k: documents wanted.
    """

    def ask(some: Mapping[str, str], depth: int) -> dict[str, dict[str, float]]:
        return run_index(index, some, retriever=retriever, depth=depth, hybrid=hybrid)

    run = ask(queries, k)
    passages, depth = index.status().passages, k
    while depth < min(passages, DEEPEST * k):
        short = {query: text for query, text in queries.items() if len(run[query]) < k}
        if not short:
            break
        depth *= 4
        for query, deeper in ask(short, depth).items():
            _extend(run[query], deeper, k)
    return run


def _extend(scores: dict[str, float], deeper: Mapping[str, float], k: int) -> None:
    """Put documents that are not there yet below the others, in their order, up to k."""
    lowest = min(scores.values(), default=0.0)
    new = [document for document in deeper if document not in scores]
    for place, document in enumerate(new[: k - len(scores)], start=1):
        scores[document] = min(deeper[document], lowest - _STEP * place)


def max_passage(hits: Sequence[Hit]) -> dict[str, float]:
    """Each document's best passage score, best first."""
    scores: dict[str, float] = {}
    for hit in hits:
        scores[hit.document_id] = max(hit.score, scores.get(hit.document_id, hit.score))
    return scores
