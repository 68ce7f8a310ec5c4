"""Queries that are documents of their collection, as in ArguAna and Quora: none finds itself."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.eval.datasets import Collection
from retrieval.eval.runs import with_ties
from retrieval.eval.systems.system import Ranked

KEPT = "kept"
DROPPED = "dropped from each ranking, as BEIR does; one more is retrieved"


def ignores(collection: Collection, wanted: bool | None) -> bool:
    """Whether a document is dropped whose id is the query's own.

    Args:
        collection: if nothing else is wanted, whoever published it decides, else its `identical`
            queries. Where ids are the same by chance, as of numbered queries and numbered
            documents, none is identical.
        wanted: what was asked for.
    """
    if wanted is not None:
        return wanted
    published = collection.ignores_identical
    return bool(collection.identical) if published is None else published


def without_identical(run: Mapping[str, Mapping[str, float]], k: int) -> Ranked:
    """The k best documents of each query, without the one that has the query's id.

    Args:
        run: scores descend.
        k: documents that stay, and those that tie with the last.
    """
    found: Ranked = {}
    for query, scores in run.items():
        others = {document: score for document, score in scores.items() if document != query}
        found[query] = with_ties(others, k)
    return found
