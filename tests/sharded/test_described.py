"""What shards are asked to describe before it is needed: nothing that decides is left out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.index.reading.fusing import best_of
from retrieval.index.reading.runs import Proposal
from retrieval.indexes import top_k
from retrieval.sharded.described import worth_describing


def proposed(seed: int, passages: int, levels: int) -> Proposal:
    """Passages with scores of so many levels, some of which a retriever did not find or score."""
    drawn = np.random.default_rng(seed)
    scores = drawn.integers(levels, size=(3, passages)).astype(np.float32)
    scores[drawn.random(scores.shape) < 0.1] = -np.inf
    return Proposal(
        np.sort(drawn.choice(1 << 42, size=passages, replace=False)).astype(np.int64),
        scores,
        (drawn.random(scores.shape) < 0.7) & (scores > -np.inf),
        drawn.normal(size=passages),
        passages,
        np.full(3, -np.inf, np.float32),
    )


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 90), st.integers(1, 60), st.integers(1, 40))
def test_all_whose_order_decides_are_described(
    seed: int, passages: int, levels: int, depth: int
) -> None:
    one = proposed(seed, passages, levels)
    asked: set[int] = set()

    def ties(ids: NDArray[np.int64]) -> NDArray[np.int64]:
        asked.update(ids.tolist())
        return ids

    best_of(one, depth, ties)
    described = worth_describing([one], [1.0, 0.5, 1.0], depth)
    assert asked <= set(described.tolist())
    assert np.array_equal(described, np.unique(described))


@given(st.integers(0, 2**32 - 1), st.integers(0, 90), st.integers(1, 60), st.integers(1, 40))
def test_the_best_of_each_retriever_are_kept(
    seed: int, passages: int, levels: int, depth: int
) -> None:
    one = proposed(seed, passages, levels)

    def ties(ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return -ids

    best = best_of(one, depth, ties)
    for row, found in enumerate(one.found):
        kept, _ = top_k(one.ids[found], one.scores[row, found], depth, ties)
        assert best.ids[best.found[row]].tolist() == sorted(kept.tolist())


def test_the_best_of_the_sum_are_described() -> None:
    one = proposed(3, 2_000, 10**6)
    scores = np.where(one.scores > -np.inf, one.scores, np.nan)
    least, greatest = np.nanmin(scores, axis=1), np.nanmax(scores, axis=1)
    spread = (scores.T - least) / (greatest - least)
    total = one.standing + np.nansum(spread * [1.0, 0.5, 0.0], axis=1)
    described = worth_describing([one], [1.0, 0.5, 0.0], 100)
    assert set(one.ids[np.argsort(-total)[:20]].tolist()) <= set(described.tolist())
    assert len(described) < 40  # of two thousand
