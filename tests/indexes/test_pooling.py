"""Pooling: scipy's Ward is the reference, and a passage's vectors depend on it alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from retrieval.errors import InputError
from retrieval.indexes.pooling import BLOCK, pool, pool_windows, ward

Vectors = NDArray[np.float32]


def unit(seed: int, count: int, dim: int = 16, topics: int = 12) -> Vectors:
    """Unit vectors around a few topics, as tokens of a passage are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((topics, dim))
    rows = centres[rng.integers(topics, size=count)] + 0.6 * rng.standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def spread(vectors: Vectors, groups: NDArray[np.integer]) -> float:
    """Squared distance of all vectors from their group's mean."""
    exact = vectors.astype(np.float64)
    return sum(
        float(((exact[groups == group] - exact[groups == group].mean(axis=0)) ** 2).sum())
        for group in np.unique(groups)
    )


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("count", [2, 5, 40, 190, BLOCK])
def test_groups_are_wards(count: int, factor: int) -> None:
    vectors = unit(count, count)
    wanted = -(-count // factor)
    found = ward(vectors, np.array([0, count]), np.array([wanted]))
    rounded = np.rint(vectors * (127 / np.abs(vectors).max()))  # as they are compared
    assert len(np.unique(found)) == wanted
    for compared, allowed in ((rounded, 1.0001), (vectors, 1.01)):
        tree = linkage(compared.astype(np.float64), "ward")
        expected = fcluster(tree, wanted, "maxclust")
        assert spread(compared, found) <= spread(compared, expected) * allowed


@pytest.mark.parametrize("distance", [0.4, 0.8, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("count", [5, 40, 190])
def test_nothing_is_merged_beyond_a_distance(count: int, distance: float) -> None:
    vectors = unit(count, count)
    found = ward(vectors, np.array([0, count]), np.array([1]), distance)
    tree = linkage(vectors.astype(np.float64), "ward")
    sure = np.abs(tree[:, 2] - distance) > 0.02  # by 8 bits the others may fall either way
    left = count - np.count_nonzero(tree[:, 2] <= distance)
    assert abs(len(np.unique(found)) - left) <= np.count_nonzero(~sure)
    pooled, bounds = pool(vectors, np.array([0, count]), 4, distance)
    rest = ward(vectors[1:], np.array([0, count - 1]), np.array([1]), distance)
    assert len(pooled) == bounds[1] == max(-(-count // 4), 1 + len(np.unique(rest)))


def test_a_distance_counts_for_each_passage_by_itself() -> None:
    """Those whose words say something else each keep more; the scale of 8 bits is each one's."""
    same, other = np.repeat(unit(1, 1), 12, axis=0), unit(2, 12, dim=16, topics=12)
    both = np.concatenate([same, other])
    _, bounds = pool(both, np.array([0, 12, 24]), 4, 0.1)
    assert np.diff(bounds).tolist() == [3, 12]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_what_pooling_promises(seed: int, lengths: list[int], factor: int, topics: int) -> None:
    offsets = np.cumsum([0, *lengths])
    vectors = unit(seed, int(offsets[-1]), topics=topics)
    pooled, bounds = pool(vectors, offsets, factor)
    assert pooled.dtype == np.float32
    assert bounds.dtype == np.int64
    assert np.diff(bounds).tolist() == [-(-length // factor) for length in lengths]
    assert len(pooled) == bounds[-1]
    np.testing.assert_allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)
    for at, length in enumerate(lengths):
        own = vectors[offsets[at] : offsets[at + 1]]
        alone, _ = pool(own, np.array([0, length]), factor)
        made = pooled[bounds[at] : bounds[at + 1]]
        assert np.array_equal(alone, made)
        if len(made) > 1:
            assert np.array_equal(made[0], own[0])
        elif length:
            mean = own.sum(axis=0)
            np.testing.assert_allclose(made[0], mean / np.linalg.norm(mean), atol=1e-3)


def test_factor_1_changes_nothing() -> None:
    vectors, offsets = unit(0, 9), np.array([0, 4, 9])
    pooled, bounds = pool(vectors, offsets, 1)
    assert pooled is vectors
    assert bounds is offsets
    with pytest.raises(InputError, match="pooling=0 cannot be used"):
        pool(vectors, offsets, 0)


def test_merged_vectors_are_means_in_the_order_of_their_first_token() -> None:
    a, b, c = np.eye(3, 8, dtype=np.float32)
    near = (b + 0.01 * c) / np.linalg.norm(b + 0.01 * c)
    pooled, bounds = pool(np.stack([a, b, c, near]).astype(np.float32), np.array([0, 4]), 2)
    assert bounds.tolist() == [0, 2]
    # Only two may be left: the first as it is, and the mean of all others.
    mean = b + c + near
    np.testing.assert_allclose(pooled, [a, mean / np.linalg.norm(mean)], atol=1e-6)
    block = np.stack([b, c, near]).astype(np.float32)
    groups = ward(block, np.array([0, 3]), np.array([2]))
    assert groups.tolist() == [0, 1, 0]


@pytest.mark.parametrize("count", [7, 300])
def test_vectors_that_are_all_the_same(count: int) -> None:
    vectors = np.repeat(unit(1, 1), count, axis=0)
    pooled, bounds = pool(vectors, np.array([0, count]), 3)
    assert bounds.tolist() == [0, -(-count // 3)]
    np.testing.assert_allclose(pooled, vectors[: len(pooled)], atol=1e-5)


def test_vectors_that_cancel_out_leave_one_of_them() -> None:
    vector = unit(2, 1)
    pooled, _ = pool(np.concatenate([vector, -vector]), np.array([0, 2]), 2)
    assert np.array_equal(pooled, vector)


def test_a_passage_beyond_one_block_is_pooled_in_parts() -> None:
    count = 3 * BLOCK + 7
    vectors = unit(3, count)
    pooled, bounds = pool(vectors, np.array([0, count]), 4)
    assert bounds.tolist() == [0, -(-count // 4)]
    best = (vectors @ pooled.T).max(axis=1)
    chance = (vectors @ unit(4, len(pooled)).T).max(axis=1)
    assert best.mean() > chance.mean() + 0.05


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 7), max_size=6))
def test_windows_are_merged_by_twos(seed: int, counts: list[int]) -> None:
    offsets = np.cumsum([0, *counts])
    windows = unit(seed, int(offsets[-1]))
    pooled, bounds = pool_windows(windows, offsets)
    expected = []
    for first, last in pairwise(offsets.tolist()):
        for at in range(first, last, 2):
            mean = windows[at : min(at + 2, last)].astype(np.float64).mean(axis=0)
            expected.append(mean / np.linalg.norm(mean))
    assert pooled.dtype == np.float32
    assert bounds.tolist() == np.cumsum([0, *(-(-count // 2) for count in counts)]).tolist()
    np.testing.assert_allclose(pooled, np.reshape(expected, (-1, 16)), atol=1e-5)
    last = offsets[1:][np.array(counts, int) % 2 == 1] - 1
    assert np.array_equal(pooled[bounds[1:][np.array(counts, int) % 2 == 1] - 1], windows[last])


def test_windows_that_cancel_out_leave_one_of_them() -> None:
    vector = unit(2, 1)
    pooled, bounds = pool_windows(np.concatenate([vector, -vector]), np.array([0, 2]))
    assert np.array_equal(pooled, vector)
    assert bounds.tolist() == [0, 1]
