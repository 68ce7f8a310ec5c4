"""What a token counts in a query: less if most texts have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.text.corpus import TokenCorpus

SHORTEST = 64
"""Tokens of the shortest text that is counted: queries and titles are no passages."""


def document_frequencies(corpus: TokenCorpus, vocabulary: int) -> tuple[NDArray[np.int64], int]:
    """In how many texts of the corpus each token stands, i64 [vocabulary]; and of how many."""
    counts = np.zeros(vocabulary, np.int64)
    texts = np.flatnonzero(corpus.lengths >= SHORTEST)
    for text in texts:
        counts[np.unique(corpus[int(text)])] += 1
    return counts, len(texts)


def query_weights(
    frequencies: NDArray[np.int64],
    texts: int,
    *,
    special: tuple[int, ...],
    power: float = 1.0,
    special_weight: float = 1.0,
) -> NDArray[np.float32]:
    """f32 [vocabulary]: inverse document frequency, by BM25's formula, to a power.

    Args:
        frequencies: i64 [vocabulary], as `document_frequencies` counts them among `texts` texts.
        special: ids such as [CLS], which stand in every text and yet gather what it is about.
        special_weight: what those count, next to the mean token of the texts.
    """
    idf = np.log1p((texts - frequencies + 0.5) / (frequencies + 0.5))
    weights = idf**power
    usual = np.average(weights, weights=frequencies)
    weights[list(special)] = special_weight * usual
    return weights.astype(np.float32)
