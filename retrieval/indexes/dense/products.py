"""Inner products of queries with vectors of 8-bit integers, and the largest of them.

The kernel of late interaction computes them: a query becomes two of its tokens, one for the upper
    and one for the lower 8 bits. The error against the unrounded query is thus smaller than what
    another order of summation would make, and no query is compared with only 8 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels

_MOST_DIMENSIONS = 1024  # that the kernel takes
_LOWER = np.float32(254)  # steps of the lower part in one of the upper, from -1/2 to 1/2
_BLOCK = 1 << 12
_STRETCH = 64

GROUP = 16
"""Rows that are compared together: with fewer the kernel idles, with more fewer are skipped."""

_every = np.arange(0)


class Queries:
    """Queries, each as two rows of 8-bit integers.

    Attributes:
        vectors: f32 [q, d], as given.
        codes: i8 [2 q, d], upper and lower parts alternating.
        factors: f32 [2 q]; a query is close to the sum of its parts times their factors.
        lost: f32 [q], length of the difference from the query.
    """

    __slots__ = ("codes", "factors", "lost", "vectors")

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Args: f32 [q, d], finite."""
        self.vectors = vectors
        scales = np.abs(vectors).max(axis=1, initial=0.0) / np.float32(127)
        divisors = np.where(scales > 0, scales, 1)[:, None]
        upper = np.rint(vectors / divisors)
        lower = np.rint((vectors / divisors - upper) * _LOWER)
        self.codes = np.stack([upper, lower], axis=1).astype(np.int8).reshape(-1, vectors.shape[1])
        self.factors = np.stack([scales, scales / _LOWER], axis=1).astype(np.float32).ravel()
        parts = (self.codes * self.factors[:, None]).reshape(len(vectors), 2, vectors.shape[1])
        self.lost = np.linalg.norm(vectors - parts.sum(axis=1), axis=1)

    def __len__(self) -> int:
        return len(self.codes) // 2

    def one(self, place: int) -> Queries:
        """The query at this place alone."""
        return self if len(self) == 1 else self.part(slice(place, place + 1))

    def part(self, places: slice) -> Queries:
        """The queries of a range of places."""
        some = Queries.__new__(Queries)
        rows = slice(2 * places.start, 2 * places.stop)
        some.vectors, some.lost = self.vectors[places], self.lost[places]
        some.codes, some.factors = self.codes[rows], self.factors[rows]
        return some


def group_size(dimensions: int) -> int:
    """How many rows of this many dimensions are compared together."""
    return GROUP if _parts(dimensions) == 1 else 1


def upper_bounds(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: Queries,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """For each query and group, an upper bound of the products with its rows: f32 [q, groups].

    It is the sum of the largest products with the two parts, which are seldom of very different
    rows. The kernel takes as long for a group as for two rows.

    Args:
        codes: i8 [r, d], d such that `group_size` says `GROUP`; group g has the rows from
            g * GROUP on.
        scales: f32 [r].
        queries: of d dimensions.
        groups: i64, all in range; None is all.
    """
    count = -(-len(codes) // GROUP)
    offsets = np.minimum(every(count + 1) * GROUP, len(codes))
    chosen = every(count) if groups is None else groups
    return kernels.max_sim(
        codes, scales, offsets, chosen, queries.codes, queries.factors, _bounds(queries)
    )


def products(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: Queries,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """The inner product of each query and each of these rows, f32 [q, rows].

    Args:
        codes: i8 [r, d]; a row's vector is codes * scale.
        scales: f32 [r].
        queries: of d dimensions.
        rows: i64, all in range; None is all.
    """
    parts = _parts(codes.shape[1])
    if parts == 0:
        return _plain(codes, scales, queries, rows)
    chosen = every(len(codes)) if rows is None else rows
    bounds = _bounds(queries)
    if parts == 1:
        offsets = every(len(codes) + 1)
        return kernels.max_sim(
            codes, scales, offsets, chosen, queries.codes, queries.factors, bounds
        )
    # Vectors longer than the kernel takes are cut; the products of the pieces are added up.
    width = codes.shape[1] // parts
    pieces, repeated = codes.reshape(-1, width), np.repeat(scales, parts)
    total = np.zeros((len(queries), len(chosen)), np.float32)
    for part in range(parts):
        total += kernels.max_sim(
            pieces,
            repeated,
            every(len(pieces) + 1),
            chosen * parts + part,
            np.ascontiguousarray(queries.codes[:, part * width : (part + 1) * width]),
            queries.factors,
            bounds,
        )
    return total


def largest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Positions of the `count` largest scores f32 [n], best first, or of all if there are fewer."""
    chosen = np.arange(len(scores))
    if len(scores) > 2 * _STRETCH * count:
        # Where this many blocks contain a score of at least t, only scores from t on need be
        # sorted.
        best = scores[: len(scores) // _STRETCH * _STRETCH].reshape(-1, _STRETCH).max(axis=1)
        bound = np.partition(best, len(best) - count)[len(best) - count]
        chosen = np.flatnonzero(scores >= bound)
    values = scores[chosen]
    if len(chosen) > count:
        first = np.argpartition(values, len(values) - count)[len(values) - count :]
        chosen, values = chosen[first], values[first]
    return chosen[np.argsort(-values, kind="stable")]


def every(count: int) -> NDArray[np.int64]:
    """0, 1, ... count - 1: i64, not to be written to, since all callers share one array."""
    global _every
    kept = _every
    if len(kept) < count:
        _every = kept = np.arange(count)
        kept.flags.writeable = False
    return kept[:count]


def _bounds(queries: Queries) -> NDArray[np.int64]:
    return np.arange(0, len(queries.codes) + 1, 2)


def _parts(dimensions: int) -> int:
    """Into how many equal parts the kernel splits vectors of so many dimensions; 0 if it cannot."""
    for parts in range(1, dimensions // 8 + 1):
        width, rest = divmod(dimensions, parts)
        if not rest and width <= _MOST_DIMENSIONS and width % 8 == 0:
            return parts
    return 0


def _plain(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: Queries,
    rows: NDArray[np.int64] | None,
) -> NDArray[np.float32]:
    """`products` in numpy, for numbers of dimensions that the kernel does not support."""
    wide = queries.codes.astype(np.float32) * queries.factors[:, None]
    wide = wide.reshape(len(queries), 2, -1).sum(axis=1)
    chosen = every(len(codes)) if rows is None else rows
    found = np.empty((len(queries), len(chosen)), np.float32)
    for start in range(0, len(chosen), _BLOCK):
        part = chosen[start : start + _BLOCK]
        found[:, start : start + _BLOCK] = wide @ (codes[part] * scales[part, None]).T
    return found
