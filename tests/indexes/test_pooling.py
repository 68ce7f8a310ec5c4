"""Token pooling: scipy's Ward is the reference, and a passage's vectors depend on it alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from retrieval.errors import InputError
from retrieval.indexes.pooling import BLOCK, pool, ward

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
