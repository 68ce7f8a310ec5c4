"""Candidates of a compressed segment: the passages that are worth decoding.

Each query token's scores with the centroids become a table of u8. A passage's approximate score
replaces each token by its centroid: the sum over query tokens of the best table entry among the
passage's codes. A segment with inverted lists is first narrowed to the passages in the lists of
each query token's best centroids; a passage in none of them is imputed the score of the worst
probed centroid, as WARP does (Scheerer et al., 2025, arXiv:2501.17788).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels
from retrieval.indexes.late.codec import Codec
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.query import LateQuery

PROBES = 32
"""Centroids whose lists are read, for each query token."""

_CODES = 1 << 16  # values of a u16
_SHARED_TOKENS = 1 << 20  # tokens whose codes stay cached while every query of a batch reads them


@dataclass(frozen=True, slots=True)
class Table:
    """A query's scores with the centroids of a codec, as u8.

    Attributes:
        values: u8 [65536, lanes], a row for every possible code, so that codes need no bounds
            check. Lanes beyond the query's tokens are 0, and so are rows beyond the K centroids.
        centroids: K.
        step: score difference of one step of the values.
        base: the score of a passage whose values sum to 0.
        tokens: number of query tokens.
    """

    values: NDArray[np.uint8]
    centroids: int
    step: float
    base: float
    tokens: int


def table(query: LateQuery, codec: Codec) -> Table:
    """The table of a query of at least one token.

    All tokens use one step size, so that the sum of values orders passages. Each token's values
    start at its mean over the centroids, below which no passage's best centroid lies, and reach up
    to the score of a centroid of the greatest length. The actual best scores nearly as much (using
    the bound makes a step 8 to 16 % larger, measured), so it need not be found before the table is
    made.
    """
    turned = query.turned(codec.rotation)
    size = len(query)
    codes = turned.codes.astype(np.int64)
    factors = turned.factors.astype(np.float64) * codec.unit
    highest = np.sqrt(np.square(codes).sum(axis=1)) * codec.longest * factors
    lowest = codes @ codec.total / len(codec.centroids) * factors
    steps = min(255, 65_535 // size)  # so that any sum fits a u16
    step = max(float((highest - lowest).max()) / steps, 1e-30)
    slopes, shifts = (factors / step).astype(np.float32), (-lowest / step).astype(np.float32)
    values = kernels.centroid_table(codec.centroids, turned.codes, slopes, shifts, _CODES)
    return Table(
        values, len(codec.centroids), step, float(codec.constant(query)) + float(lowest.sum()), size
    )


def scan(
    segment: CompressedSegment, tables: Sequence[Table], rows: NDArray[np.int64], count: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For each table, the best `count` of these rows by approximate score, and those scores.

    A passage without tokens is never among them. All tables share one pass over the codes.
    """
    sums = np.empty((len(tables), len(rows)), np.int32)
    parts = [slice(0, len(rows))]
    if len(tables) > 1:
        parts = list(kernels.pieces(segment.lengths[rows], _SHARED_TOKENS))
    for part in parts:
        for place, one in enumerate(tables):
            sums[place, part] = segment.centroid_max(one.values, rows[part])
    found = []
    for one, scores in zip(tables, sums, strict=True):
        best = kernels.top(scores, count)
        best = best[scores[best] >= 0]
        found.append((rows[best], (scores[best] * one.step + one.base).astype(np.float32)))
    return found


@dataclass(frozen=True, slots=True)
class Probes:
    """The centroids whose lists are read, for each token of a query.

    Attributes:
        centroids: the best for each token, best first: i32 [m, p].
        values: their table entries, u8 [m, p].
        imputed: u8 [m], the value for a passage that is in none of a token's lists.
    """

    centroids: NDArray[np.int32]
    values: NDArray[np.uint8]
    imputed: NDArray[np.uint8]


def probe(found: Table) -> Probes:
    """Choose the lists to read, in every segment that uses the table's codec."""
    centroids = kernels.probe(found.values[: found.centroids], found.tokens, PROBES)
    values = np.ascontiguousarray(found.values[centroids, np.arange(found.tokens)[:, None]])
    return Probes(centroids, values, np.ascontiguousarray(values[:, -1]))


def listed(
    segment: CompressedSegment,
    probes: Probes,
    allowed: NDArray[np.bool_] | None,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """The best `count` rows by the inverted lists, and their sums of table entries, u16.

    Args:
        segment: with lists.
        probes: which lists are read.
        allowed: bool by row; None is all.
        count: maximum number of rows.
    """
    lists = segment.lists
    assert lists is not None
    sums = kernels.list_sums(
        lists.postings,
        lists.starts,
        probes.centroids,
        probes.values,
        probes.imputed,
        len(segment),
    )
    if allowed is not None:
        sums *= allowed
    best = kernels.top(sums, count)
    best = best[sums[best] > 0]
    return best, sums[best]
