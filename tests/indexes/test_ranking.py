"""The k best, whatever order they come in, and scores that go on below others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.indexes.ranking import below, tied, top_k


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), max_size=30), st.integers(1, 40))
def test_top_k_breaks_ties_by_id(scores: list[float], k: int) -> None:
    ids = np.random.default_rng(len(scores)).permutation(len(scores)).astype(np.int64)
    best, values = top_k(ids, np.array(scores, dtype=np.float32), k)
    pairs = sorted((-s, i) for s, i in zip(scores, ids.tolist(), strict=True) if s > -np.inf)[:k]
    assert best.tolist() == [i for _, i in pairs]
    assert values.tolist() == [-s for s, _ in pairs]


@given(st.lists(st.integers(0, 9), max_size=30))
def test_scores_that_tie_are_those_that_occur_again(scores: list[int]) -> None:
    found = tied(np.array(scores, np.float32))
    assert sorted(found.tolist()) == [at for at, s in enumerate(scores) if scores.count(s) > 1]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 40))
def test_top_k_breaks_ties_as_it_is_told(scores: list[int], k: int) -> None:
    rng = np.random.default_rng(len(scores))
    ids = rng.permutation(len(scores)).astype(np.int64)
    places = rng.permutation(len(scores))  # of each id
    asked: list[int] = []

    def ties(some: NDArray[np.int64]) -> NDArray[np.int64]:
        asked.extend(some.tolist())
        return places[some]

    best, values = top_k(ids, np.array(scores, dtype=np.float32), k, ties)
    pairs = sorted((-s, int(places[i]), i) for s, i in zip(scores, ids.tolist(), strict=True))[:k]
    assert best.tolist() == [i for _, _, i in pairs]
    assert values.tolist() == [-s for s, _, _ in pairs]
    score_of = dict(zip(ids.tolist(), scores, strict=True))
    assert all(scores.count(score_of[i]) > 1 for i in asked)  # who is alone is not asked about


def test_what_is_no_number_is_never_among_the_best() -> None:
    ids = np.arange(4)
    best, _ = top_k(ids, np.array([np.nan, 1.0, -np.inf, 2.0], np.float32), 4)
    assert best.tolist() == [3, 1]


@given(
    st.lists(st.sampled_from([9.0, 3.5, 3.0, 2.0, 1.0, -4.0]), min_size=1, max_size=20),
    st.sampled_from([2.5, 3.0, 100.0, 0.0, -7.0]),
)
def test_below_keeps_order_and_ties_in_single_precision(scores: list[float], last: float) -> None:
    falling = np.sort(np.array(scores))[::-1]
    moved = below(falling, last)
    assert (moved < last).all()
    single = moved.astype(np.float32)
    assert (single < np.float32(last)).all()
    assert ((np.diff(single) < 0) == (np.diff(falling) < 0)).all()
    assert moved[falling < last].tolist() == falling[falling < last].tolist()


def test_below_changes_nothing_that_is_lower() -> None:
    assert below(np.array([2.0, 1.0]), 3.0).tolist() == [2.0, 1.0]
    assert below(np.empty(0), 3.0).tolist() == []
