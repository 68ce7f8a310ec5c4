"""Maximal marginal relevance over search results."""

from __future__ import annotations

import numpy as np
from langchain_core.documents import Document
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from numpy.typing import ArrayLike

from retrieval.index import Index
from retrieval.integrations.langchain.documents import Found


def unlike(
    index: Index, vector: ArrayLike, found: Found, k: int, lambda_mult: float
) -> list[Document]:
    """Choose k results that are similar to the query and different from each other.

    Args:
        index: the index that was searched, whose stored dense vectors are compared.
        vector: the query's dense vector [D].
        found: the results to choose from.
        k: maximum number.
        lambda_mult: weight of similarity to the query, 0 to 1; difference has the rest.
    """
    if not found:
        return []
    stored = {
        (passage.document_id, passage.ordinal): embeddings.dense
        for passage, embeddings in index.vectors(passages=[hit.passage for _, hit in found])
    }
    held = [(one, stored.get((hit.document_id, hit.passage.ordinal))) for one, hit in found]
    kept = [(one, dense[0].tolist()) for one, dense in held if dense is not None]
    if not kept:  # all deleted since the search
        return []
    vectors = [row for _, row in kept]
    chosen = maximal_marginal_relevance(
        np.asarray(vector, np.float32), vectors, lambda_mult=lambda_mult, k=k
    )
    return [kept[place][0] for place in chosen]
