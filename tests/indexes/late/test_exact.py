"""Exact segments against brute force in float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.indexes import LateSearcher

from .made import (
    DIMENSIONS,
    Generator,
    Passages,
    bound,
    dimensions,
    exact,
    generators,
    half_steps,
    lengths_of_passages,
    max_sim,
    uniform,
    unit,
)


@settings(max_examples=60, deadline=None)
@given(
    lengths=lengths_of_passages,
    dim=dimensions,
    m=st.sampled_from([0, 1, 2, 5, 31, 33, 100]),
    k=st.integers(1, 30),
    share=st.sampled_from([None, 0.0, 0.2, 0.7, 1.0]),
    size=st.sampled_from([1e-30, 1.0, 1.0, 1e6]),
    weighted=st.booleans(),
    rng=generators,
)
def test_search_and_score_are_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    dim: int,
    m: int,
    k: int,
    share: float | None,
    size: float,
    weighted: bool,
    rng: Generator,
) -> None:
    made = uniform(rng, lengths, dim)
    made = Passages(made.ids, made.tokens * np.float32(size), made.offsets)
    query = unit(rng, m, dim)
    weights = rng.choice([0.0, 0.5, 3.0], m) if weighted else np.ones(m)
    allowed = None if share is None else rng.random(int(rng.integers(0, 2 * len(made)))) < share
    searcher = LateSearcher([exact(tmp_path_factory.mktemp("late"), made)])
    ((found, scores),) = searcher.search(
        [query], k, allowed, weights=[weights] if weighted else None
    )
    assert found.dtype == np.int64
    assert scores.dtype == np.float32

    truth = dict(
        zip(made.ids.tolist(), max_sim(query, made.tokens, made.offsets, weights), strict=True)
    )
    slack = bound(query, made.tokens, weights)
    asked = rng.permutation(2 * len(made) + 3)
    given_scores = dict(
        zip(asked.tolist(), searcher.score(query, asked, weights=weights), strict=True)
    )
    for i, score in given_scores.items():
        exactly = truth.get(i, -np.inf)
        assert score == exactly == -np.inf or abs(score - exactly) <= slack
    eligible = {
        i
        for i, score in truth.items()
        if score > -np.inf and (allowed is None or (i < len(allowed) and allowed[i]))
    }
    assert len(found) == min(k, len(eligible))
    assert set(found.tolist()) <= eligible
    assert scores.tolist() == [given_scores[i] for i in found.tolist()]
    assert (scores[:-1] >= scores[1:]).all()
    # Whoever is better by more than rounding can make up for comes first, and is not left out.
    ranked = np.array([truth[i] for i in found.tolist()])
    if len(ranked):
        assert (ranked[1:] <= np.minimum.accumulate(ranked)[:-1] + 2 * slack).all()
        left = [truth[i] for i in eligible - set(found.tolist())]
        assert max(left, default=-np.inf) <= ranked.min() + 2 * slack


def test_the_bound_is_no_licence(tmp_path: Path) -> None:
    """What rounding really moves is far less than it could: ranks of distinct scores are equal."""
    rng = np.random.default_rng(1)
    made = uniform(rng, [12] * 300, 96)
    searcher = LateSearcher([exact(tmp_path, made)])
    distinct = 0
    for query in (unit(rng, 32, 96) for _ in range(10)):
        truth = max_sim(query, made.tokens, made.offsets)
        off = np.abs(searcher.score(query, made.ids) - truth)
        assert off.max() < 0.025
        order = np.argsort(-truth)
        clear = np.flatnonzero(np.diff(-truth[order]) > 0.05)
        ((found, _),) = searcher.search([query], len(made))
        for place in clear:
            assert set(found[: place + 1]) == set(made.ids[order[: place + 1]])
        distinct += len(clear)
    assert distinct > 30


@pytest.mark.parametrize("dim", range(16, 257, 8))
def test_every_dimension(tmp_path: Path, dim: int) -> None:
    rng = np.random.default_rng(dim)
    made = uniform(rng, [3, 0, 5, 1, 17], dim)
    query = unit(rng, 3, dim)
    searcher = LateSearcher([exact(tmp_path, made)])
    truth = max_sim(query, made.tokens, made.offsets)
    slack = bound(query, made.tokens)
    scores = searcher.score(query, made.ids)
    assert np.isneginf(scores[1])
    filled = [0, 2, 3, 4]
    assert np.abs(scores[filled] - truth[filled]).max() <= slack


@settings(max_examples=40, deadline=None)
@given(
    lengths_of_passages,
    dimensions,
    st.sampled_from([0.0, 1e-44, 1e-30, 1.0, 1e30]),
    generators,
)
def test_stored_vectors_are_within_half_a_step(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    dim: int,
    size: float,
    rng: Generator,
) -> None:
    made = uniform(rng, lengths, dim)
    tokens = (made.tokens * size).astype(np.float32)
    segment = exact(tmp_path_factory.mktemp("late"), Passages(made.ids, tokens, made.offsets))
    rows = rng.permutation(len(made))
    stored, offsets = segment.vectors(rows)
    assert stored.dtype == np.float32
    assert np.diff(offsets).tolist() == np.diff(made.offsets)[rows].tolist()
    for place, row in enumerate(rows.tolist()):
        own = tokens[made.offsets[row] : made.offsets[row + 1]].astype(np.float64)
        off = np.abs(stored[offsets[place] : offsets[place + 1]] - own)
        assert (off <= half_steps(own)[:, None] * 1.0002 + 2e-43).all()


@pytest.mark.parametrize("ids", [range(8), range(5, 13), [0, 2, 3, 9], [4, 3, 2], [6], []], ids=str)
def test_rows_of_what_is_allowed(tmp_path: Path, ids: Sequence[int]) -> None:
    """Whether ids follow each other or not, and wherever the bitmap ends."""
    tokens, offsets = unit(np.random.default_rng(0), len(ids), 16), np.arange(len(ids) + 1)
    segment = exact(tmp_path, Passages(np.array(ids, np.int64), tokens, offsets))
    assert segment.rows(None).tolist() == list(range(len(ids)))
    for size in range(16):
        for bitmap in (np.ones(size, np.bool_), np.arange(size) % 3 == 0):
            wanted = [row for row, id in enumerate(ids) if id < size and bitmap[id]]
            assert segment.rows(bitmap).tolist() == wanted


def test_equal_passages_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    tokens = np.tile(np.eye(2, 16, dtype=np.float32), (6, 1))
    made = Passages(np.array([9, 2, 7, 4, 5, 3]), tokens, np.arange(7) * 2)
    ((ids, scores),) = LateSearcher([exact(tmp_path, made)]).search([np.eye(2, 16)], 4)
    assert ids.tolist() == [2, 3, 4, 5]
    assert len(set(scores.tolist())) == 1


def test_empty_segment_and_passages_without_tokens(tmp_path: Path) -> None:
    nothing = np.empty((0, 16), np.float32)
    query = np.ones((2, 16), np.float32)
    empty = exact(tmp_path / "none", Passages(np.empty(0, np.int64), nothing, np.zeros(1, int)))
    assert (len(empty), empty.tokens, empty.dim) == (0, 0, 16)
    blank = exact(tmp_path / "blank", Passages(np.array([4, 5]), nothing, np.zeros(3, int)))
    for segments in ([empty], [blank], [empty, blank]):
        searcher = LateSearcher(segments)
        for exhaustive in (False, True):
            ((ids, scores),) = searcher.search([query], 5, exhaustive=exhaustive)
            assert (len(ids), len(scores)) == (0, 0)
        assert searcher.score(query, [4, 1]).tolist() == [-np.inf] * 2
    (matches,) = LateSearcher([blank]).explain(query, [5])
    assert matches.tokens.tolist() == [-1, -1]
    assert np.isnan(matches.scores).all()


@pytest.mark.parametrize("dim", DIMENSIONS)
def test_one_passage_of_one_token(tmp_path: Path, dim: int) -> None:
    made = Passages(np.array([8]), np.eye(1, dim, dtype=np.float32), np.array([0, 1]))
    ((ids, scores),) = LateSearcher([exact(tmp_path, made)]).search([np.eye(2, dim)], 10)
    assert ids.tolist() == [8]
    np.testing.assert_allclose(scores, [1.0], rtol=1e-6)
