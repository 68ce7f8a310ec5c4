"""A query of the late-interaction index: quantised tokens and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.indexes.arrays import check_query
from retrieval.indexes.matmul import times
from retrieval.indexes.quantising import quantise

MOST_TOKENS = (1 << 16) - 1
"""Maximum tokens of a query, so that a passage's approximate score, a sum over them, fits a u16."""


@dataclass(frozen=True, slots=True)
class LateQuery:
    """One query.

    Attributes:
        vectors: f32 [m, d], as given.
        codes: i8 [m, d]; codes * scales are close to the vectors.
        scales: f32 [m].
        weights: f32 [m], the weight of each token's best match in the sum.
    """

    vectors: NDArray[np.float32]
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.codes)

    def turned(self, rotation: NDArray[np.float32]) -> LateQuery:
        """The query for vectors that were multiplied by an orthogonal matrix f32 [d, d]."""
        vectors = times(self.vectors, rotation)
        return LateQuery(vectors, *quantise(vectors), self.weights)

    @property
    def factors(self) -> NDArray[np.float32]:
        """For each token, the factor from an integer dot product to a score, f32 [m]."""
        return self.scales * self.weights


def prepare(vectors: ArrayLike, dim: int, weights: ArrayLike | None = None) -> LateQuery:
    """Check and quantise a query.

    Args:
        vectors: f32 [m, dim]; m may be 0.
        dim: the index's dimension.
        weights: f32 [m], not negative; None is 1 for each.

    Raises:
        InputError: another shape, too many tokens, NaN or infinity, or a negative weight.
    """
    rows = check_query(vectors, "query token vectors", dim=dim)
    if len(rows) > MOST_TOKENS:
        raise InputError(f"the query has {len(rows):,} tokens; give at most {MOST_TOKENS:,}")
    counts = np.ones(len(rows), np.float32)
    if weights is not None:
        counts = np.ascontiguousarray(weights, dtype=np.float32)
        if counts.shape != (len(rows),):
            raise InputError(
                f"{counts.shape} weights for {len(rows)} query tokens; give one for each"
            )
        # A token with a negative weight has no best match to look for.
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise InputError("a query token's weight is negative, NaN or infinite; give 0 or more")
    codes, scales = quantise(rows)
    return LateQuery(rows, codes, scales, counts)
