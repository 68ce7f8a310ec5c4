"""The rows nearest to a query, skipping whole groups that cannot contain one of them.

First each group of rows gets an upper bound of its products, which costs little more than one
product; then the groups with the largest bounds are compared row by row. For the rest a bound is
returned as well, so that the caller can tell whether it has to look further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.dense.products import (
    GROUP,
    Queries,
    group_size,
    largest,
    products,
    upper_bounds,
)

_SPARSE = 8
"""Where fewer than one row in so many is allowed, rows are compared one by one, since a group costs
as much as two rows."""

_ROUNDING = 1e-5  # error of a product, from the order of summation


class Scan:
    """The rows to compare: all rows of a segment, or some."""

    def __init__(
        self,
        codes: NDArray[np.int8],
        scales: NDArray[np.float32],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """Take rows of codes i8 [r, d] and scales f32 [r].

        Args:
            codes: the vectors' integers.
            scales: the vectors' scales.
            rows: i64, the rows that may be returned; None is all.
        """
        self.codes, self.scales, self.rows = codes, scales, rows
        sparse = rows is not None and len(rows) * _SPARSE <= len(codes)
        self.size = 1 if sparse else group_size(codes.shape[1])
        self.groups = rows
        self.open: NDArray[np.bool_] | None = None
        if rows is not None and self.size > 1:
            self.open = np.zeros(len(codes), np.bool_)
            self.open[rows] = True
            self.groups = np.flatnonzero(
                np.logical_or.reduceat(self.open, np.arange(0, len(codes), GROUP))
            )

    def __len__(self) -> int:
        """How many groups are compared with each query."""
        return -(-len(self.codes) // self.size) if self.groups is None else len(self.groups)

    def of(self, queries: Queries, longest: float) -> Iterator[Nearest]:
        """The rows nearest to each query.

        Args:
            queries: of d dimensions.
            longest: upper bound of the vectors' lengths.
        """
        for place, bounds in enumerate(self._compare(queries, self.groups)):
            yield Nearest(self, queries.one(place), self.groups, bounds, longest)

    def among(self, query: Queries, longest: float, groups: NDArray[np.int64]) -> Nearest:
        """The rows nearest to one query among these groups of GROUP rows, i64, ascending."""
        if self.size == 1:
            rows = (groups[:, None] * GROUP + np.arange(GROUP)).ravel()
            groups = rows[rows < len(self.codes)]
            if self.rows is not None:
                groups = np.intersect1d(groups, self.rows)
        (bounds,) = self._compare(query, groups)
        return Nearest(self, query, groups, bounds, longest)

    def _compare(self, queries: Queries, groups: NDArray[np.int64] | None) -> NDArray[np.float32]:
        compare = products if self.size == 1 else upper_bounds
        return compare(self.codes, self.scales, queries, groups)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The rows of a scan, ordered by their products with one query.

    Attributes:
        scan: the scan.
        query: the one query.
        groups: i64, those that were compared; None is all.
        bounds: f32 [groups], upper bounds of the products with each group's rows.
        longest: upper bound of the vectors' lengths.
    """

    scan: Scan
    query: Queries
    groups: NDArray[np.int64] | None
    bounds: NDArray[np.float32]
    longest: float

    def first(self, count: int, least: float = -np.inf) -> tuple[NDArray[np.int64], float | None]:
        """About the `count` nearest rows, and an upper bound of every other row's product.

        Args:
            count: how many.
            least: rows of a lower product may be left out, even where fewer are found.

        Returns:
            Rows i64, and the bound, or None if there are no other rows, or none that can reach
            `least`.
        """
        scan = self.scan
        high = float(self.bounds.max(initial=1.0))
        slack = float(self.query.lost[0]) * self.longest + _ROUNDING * high
        best, unseen = _first(self.bounds, count, least - slack)
        if len(best) == 0:
            return best, None
        rows = best if self.groups is None else self.groups[best]
        if scan.size > 1:
            rows = (rows[:, None] * GROUP + np.arange(GROUP)).ravel()
            rows = rows[rows < len(scan.codes)]
            if scan.open is not None:
                rows = rows[scan.open[rows]]
            (near,) = products(scan.codes, scan.scales, self.query, rows)
            some, lower = _first(near, count, least - slack)
            rows, unseen = rows[some], max(unseen, lower)
        return rows, None if unseen == -np.inf else unseen + slack


def _first(
    values: NDArray[np.float32], count: int, least: float
) -> tuple[NDArray[np.int64], float]:
    """Positions of the `count` largest values of at least `least`, and the largest of the others.

    The latter is -inf if there are no others.
    """
    best = largest(values, count)
    unseen = float(values[best[-1]]) if len(best) < len(values) else -np.inf
    kept = best[values[best] >= least]
    return kept, unseen if len(kept) == len(best) else -np.inf
