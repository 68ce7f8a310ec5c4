"""What a query token counts, against counts and logarithms by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.distillation.query_weights import MIN_TEXT_TOKENS, document_frequencies, query_weights
from lab.text.corpus import TokenCorpus


def _corpus(texts: list[list[int]]) -> TokenCorpus:
    lengths = [len(text) for text in texts]
    ids = np.array([i for text in texts for i in text], np.uint16)
    return TokenCorpus(ids, np.concatenate(([0], np.cumsum(lengths))), np.empty((0, 2), np.int64))


def test_texts_are_counted_once_and_short_ones_not_at_all() -> None:
    often = [1, *[5] * MIN_TEXT_TOKENS, 2]
    corpus = _corpus([often, [1, *[6] * MIN_TEXT_TOKENS, 5, 2], [1, 7, 2]])
    counts, texts = document_frequencies(corpus, 10)
    assert texts == 2
    assert counts.tolist() == [0, 2, 2, 0, 0, 2, 1, 0, 0, 0]


def test_weights_are_roots_of_bm25s_idf() -> None:
    counts = np.array([0, 8, 8, 1, 4], np.int64)
    weights = query_weights(counts, 8, special=(1, 2), power=0.5, special_weight=3.0)
    idf = [math.log(1 + (8 - n + 0.5) / (n + 0.5)) for n in counts.tolist()]
    roots = [value**0.5 for value in idf]
    assert weights[[0, 3, 4]].tolist() == pytest.approx([roots[0], roots[3], roots[4]], rel=1e-6)
    usual = sum(r * n for r, n in zip(roots, counts.tolist(), strict=True)) / counts.sum()
    assert weights[1] == weights[2] == pytest.approx(3 * usual, rel=1e-6)
    assert weights[0] > weights[3] > weights[4] > 0
