"""The weight of a token in a query: lower if many texts have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.text.corpus import TokenCorpus

MIN_TEXT_TOKENS = 64
"""Tokens of the shortest text that counts, so that queries and titles do not."""


def document_frequencies(corpus: TokenCorpus, vocabulary: int) -> tuple[NDArray[np.int64], int]:
    """The number of texts with each token, i64 [vocabulary], and the number of texts."""
    counts = np.zeros(vocabulary, np.int64)
    texts = np.flatnonzero(corpus.lengths >= MIN_TEXT_TOKENS)
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
    """Inverse document frequency, by BM25's formula, to a power: f32 [vocabulary].

    Args:
        frequencies: i64 [vocabulary], as `document_frequencies` counts them in `texts` texts.
        texts: number of texts.
        special: ids such as [CLS], which every text has and which represent it as a whole.
        power: exponent of the inverse document frequency.
        special_weight: weight of those, relative to the mean token of the texts.
    """
    idf = np.log1p((texts - frequencies + 0.5) / (frequencies + 0.5))
    weights = idf**power
    mean_weight = np.average(weights, weights=frequencies)
    weights[list(special)] = special_weight * mean_weight
    return weights.astype(np.float32)
