"""Pooling: fewer vectors per passage, by merging similar token vectors and adjacent dense vectors.

Token vectors are merged by Ward's method, which at every step joins the two groups whose union adds
least to the squared distance of all vectors from their group's mean. A group becomes its mean,
scaled to unit length. Distances are computed from 8 bits per component. Dense vectors of a
passage's windows are merged in pairs of neighbours.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.indexes import kernels

BLOCK = 512
"""Tokens that are all compared with each other; a longer passage is divided into parts."""

_SAME = np.float32(1e-6)
"""Below this length, a sum of vectors cancels out up to rounding."""


def pool(
    tokens: NDArray[np.float32],
    offsets: NDArray[np.int64],
    factor: int,
    distance: float | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Merge similar token vectors of each passage until one in `factor` is left (rounded up).

    Merging stops earlier where none are closer than `distance`. A passage's first vector, which in
    most encoders represents the whole passage, is kept unchanged unless only one may be left. The
    result for a passage does not depend on other passages.

    Args:
        tokens: f32 [T, d], unit length, finite.
        offsets: i64 [n + 1]; passage i owns tokens[offsets[i]:offsets[i + 1]], possibly none.
        factor: at least 1; 1 changes nothing.
        distance: two vectors farther apart than this are not merged; for groups the distance is
            √(2ab / (a + b)) times the distance of their means, a and b being their sizes.

    Returns:
        Vectors f32 [T', d] of unit length, ordered by the first of their tokens, and offsets
        i64 [n + 1].

    Raises:
        InputError: the factor is below 1.
    """
    if factor < 1:
        raise InputError(f"pooling={factor} cannot be used; give a whole number of at least 1")
    if factor == 1:
        return tokens, offsets
    bounds, groups = _blocks(offsets.tolist(), factor)
    if not groups:
        return tokens, offsets
    firsts = ward(tokens, np.array(bounds, np.int64), np.array(groups, np.int64), distance)
    leading = np.flatnonzero(firsts == np.arange(len(tokens)))
    return _means(tokens, firsts, leading), np.searchsorted(leading, offsets)


def pool_windows(
    windows: NDArray[np.float32], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Replace each pair of adjacent windows of a passage by its mean; an odd last one is kept.

    Args:
        windows: f32 [w, D], unit length, finite.
        offsets: i64 [n + 1]; passage i owns windows[offsets[i]:offsets[i + 1]], possibly none.

    Returns:
        Vectors f32 [w', D] of unit length and offsets i64 [n + 1].
    """
    if not len(windows):
        return windows, offsets
    places = np.arange(len(windows)) - np.repeat(offsets[:-1], np.diff(offsets))
    firsts = np.arange(len(windows)) - places % 2
    leading = np.flatnonzero(places % 2 == 0)
    return _means(windows, firsts, leading), np.searchsorted(leading, offsets)


def _blocks(bounds: list[int], factor: int) -> tuple[list[int], list[int]]:
    """Where the blocks begin that are pooled independently, and how many vectors are left of each.

    Args:
        bounds: where the passages begin and end.
        factor: one vector is left of so many.
    """
    edges, groups = [bounds[0]], []
    for start, end in pairwise(bounds):
        if start == end:
            continue
        keep = -(-(end - start) // factor)
        if keep == 1:
            edges.append(end)
            groups.append(1)
            continue
        edges.append(start + 1)
        groups.append(1)
        rest, blocks = end - start - 1, -(-(end - start - 1) // BLOCK)
        for block in range(blocks):
            edges.append(start + 1 + rest * (block + 1) // blocks)
            groups.append((keep - 1) * (block + 1) // blocks - (keep - 1) * block // blocks)
    return edges, groups


def ward(
    vectors: NDArray[np.float32],
    bounds: NDArray[np.int64],
    groups: NDArray[np.int64],
    distance: float | None = None,
) -> NDArray[np.int64]:
    """Which group each vector is in: i64 [t], the position of the group's first vector.

    Args:
        vectors: f32 [t, d], block by block.
        bounds: i64 [n + 1], where the blocks begin and end; none is empty.
        groups: i64 [n], minimum number of groups left in each, from 1 to all.
        distance: maximum distance for merging; see `pool`.
    """
    starts, lengths = bounds[:-1], np.diff(bounds)
    largest = np.maximum.reduceat(np.abs(vectors).max(axis=1), starts)
    factors = np.float32(127) / np.where(largest > 0, largest, np.float32(1))
    codes = np.rint(vectors * np.repeat(factors, lengths)[:, None]).astype(np.int8)
    limits = np.full(len(groups), np.inf, np.float32)
    if distance is not None:
        limits = np.square(np.float32(distance) * factors)
    found = kernels.ward(codes, bounds, groups, limits)
    return found.astype(np.int64) + np.repeat(starts, lengths)


def _means(
    vectors: NDArray[np.float32], firsts: NDArray[np.int64], leading: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The groups' means, scaled to unit length, in the order of their first vectors.

    Args:
        vectors: f32 [t, d].
        firsts: i64 [t], the position of the first vector of each vector's group.
        leading: i64 [g], the distinct ones of those positions.
    """
    order = np.argsort(firsts, kind="stable")
    begins = np.searchsorted(firsts[order], leading)
    sums: NDArray[np.float32] = np.add.reduceat(vectors[order], begins, axis=0)
    lengths: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
    # Vectors that cancel out have no mean direction; the first of them is taken.
    alone = (np.diff(begins, append=len(vectors)) == 1) | (lengths[:, 0] < _SAME)
    divisors = np.where(lengths > 0, lengths, np.float32(1)).astype(np.float32)
    means: NDArray[np.float32] = sums / divisors
    means[alone] = vectors[leading[alone]]
    return means
