"""Token pooling: fewer token vectors a passage, by merging those that are alike.

Vectors are merged by Ward's method, which at every step joins the two groups whose union adds least
to the squared distance of all vectors from their group's mean. A group becomes its mean, scaled
to unit length.

Groups that are each other's nearest are joined all at once, round by round: with Ward's distance
that builds the same tree as one join at a time, in a few dozen rounds instead of hundreds of steps.
The tree is then cut where as many groups are left as are wanted.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.ragged import offsets_of

BLOCK = 512
"""Tokens that are compared with each other, all with all; of a longer passage only within parts."""

_SAME = np.float32(1e-6)
"""Ward's distance of vectors that differ by rounding only: those are joined at once."""


def pool(
    tokens: NDArray[np.float32], offsets: NDArray[np.int64], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Merge the token vectors of each passage until one in `factor` is left, rounded up.

    A passage's first vector, which stands for the passage as a whole in most encoders, is kept as
    it is, unless only one may be left. What becomes of a passage depends on nothing but itself.

    Args:
        tokens: f32 [T, d], unit length, finite.
        offsets: i64 [n + 1]; passage i owns tokens[offsets[i]:offsets[i + 1]], possibly none.
        factor: at least 1, which changes nothing.

    Returns:
        Vectors f32 [T', d] of unit length, in the order of the first of their tokens, and offsets
        i64 [n + 1].

    Raises:
        InputError: the factor is below 1.
    """
    if factor < 1:
        raise InputError(f"pooling={factor} cannot be used; give a whole number of at least 1")
    if factor == 1:
        return tokens, offsets
    bounds = offsets.tolist()
    parts = [
        _pool_passage(tokens[start:end], -(-(end - start) // factor))
        for start, end in pairwise(bounds)
    ]
    pooled = np.concatenate([tokens[:0], *parts])
    return pooled, offsets_of([len(part) for part in parts])


def _pool_passage(vectors: NDArray[np.float32], keep: int) -> NDArray[np.float32]:
    """One passage's vectors f32 [t, d] merged into `keep`, at most t."""
    if keep == len(vectors):
        return vectors
    if keep == 1:
        return _means(vectors, np.zeros(len(vectors), np.int64))
    rest = vectors[1:]
    blocks = -(-len(rest) // BLOCK)
    parts = [vectors[:1]]
    for block in range(blocks):
        first, last = (len(rest) * edge // blocks for edge in (block, block + 1))
        wanted = (keep - 1) * (block + 1) // blocks - (keep - 1) * block // blocks
        part = rest[first:last]
        parts.append(_means(part, ward(part, wanted)))
    return np.concatenate(parts)


def ward(vectors: NDArray[np.float32], groups: int) -> NDArray[np.int64]:
    """Which group each vector is in: i64 [t], the position of the group's first vector.

    Args:
        vectors: f32 [t, d].
        groups: how many there shall be, from 1 to t.
    """
    count = len(vectors)
    # Of a group its first vector stands for it; joined to another it notes which, and how far.
    joined_to = np.arange(count)
    height = np.full(count, np.inf, np.float32)
    leader = np.arange(count)
    means, sizes = vectors, np.ones(count, np.float32)
    while len(leader) > 1:
        nearest, distance = _nearest(means, sizes)
        # What comes later is no nearer than the nearest now: are there enough joins below that?
        if np.count_nonzero(height <= distance.min()) >= count - groups:
            break
        into = _joins(nearest, distance)
        moving = np.flatnonzero(into < np.arange(len(into)))
        joined_to[leader[moving]] = leader[into[moving]]
        height[leader[moving]] = distance[moving]
        means, sizes, staying = _joined(means, sizes, into)
        leader = leader[staying]
    cheapest = np.argsort(height, kind="stable")[: count - groups]
    group = np.arange(count)
    group[cheapest] = joined_to[cheapest]
    return _roots(group)


def _nearest(
    means: NDArray[np.float32], sizes: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Each group's nearest other one, i64 [g], and Ward's distance to it, f32 [g]."""
    products = means @ means.T
    squares = products.diagonal().copy()
    products *= -2
    products += squares
    products += squares[:, None]
    # |a| |b| / (|a| + |b|), as the inverse of a sum that is as symmetric as the rest.
    inverse = 1 / sizes
    products /= inverse + inverse[:, None]
    np.fill_diagonal(products, np.inf)
    nearest = products.argmin(axis=1)
    distance = products[np.arange(len(nearest)), nearest]
    return nearest, np.maximum(distance, 0)


def _joins(nearest: NDArray[np.int64], distance: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which group each one joins, i64 [g], itself or one before it; one at least does."""
    own = np.arange(len(nearest))
    ready = (nearest[nearest] == own) | (distance <= _SAME)
    into = np.where(ready & (nearest < own), nearest, own)
    if (into == own).all():  # rounding made no two nearest each way: the nearest of all are
        one = int(distance.argmin())
        other = int(nearest[one])
        into[max(one, other)] = min(one, other)
    return _roots(into)


def _joined(
    means: NDArray[np.float32], sizes: NDArray[np.float32], into: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Means and sizes of the groups after a round of joins, and which of them stayed, i64."""
    staying = np.flatnonzero(into == np.arange(len(into)))
    members = (into == staying[:, None]).astype(np.float32)  # a product beats sums by index
    total = members @ sizes
    sums = members @ (means * sizes[:, None])
    return sums / total[:, None], total, staying


def _roots(into: NDArray[np.int64]) -> NDArray[np.int64]:
    """Follow each position to the one that points at itself; none points at a later one."""
    while True:
        further = into[into]
        if np.array_equal(further, into):
            return into
        into = further


def _means(vectors: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.float32]:
    """The groups' means, scaled to unit length, in the order of their first vectors."""
    firsts = np.flatnonzero(group == np.arange(len(group)))
    members = (group == firsts[:, None]).astype(np.float32)
    sums = members @ vectors
    lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
    # Vectors that cancel out have no mean direction; the first of them has one.
    alone = (members.sum(axis=1) == 1) | (lengths[:, 0] < _SAME)
    means: NDArray[np.float32] = sums / np.where(lengths > 0, lengths, 1)
    means[alone] = vectors[firsts[alone]]
    return means
