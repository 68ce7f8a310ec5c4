"""The inner loops of late interaction: compiled where possible, otherwise in numpy.

Each function allocates its result, splits the work and distributes it over threads. What each
computes is defined, to the bit, in `reference`. RETRIEVAL_ISA and RETRIEVAL_THREADS choose the
instruction set and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.kernels import threads
from retrieval.indexes.kernels.backend import chosen, isa
from retrieval.indexes.kernels.ragged import pieces, token_rows
from retrieval.indexes.kernels.reference import LIST_BLOCK

__all__ = [
    "LIST_BLOCK",
    "centroid_max",
    "centroid_table",
    "decode",
    "encode",
    "isa",
    "list_sums",
    "max_sim",
    "max_sim_compressed",
    "nearest",
    "nearest_listed",
    "pieces",
    "probe",
    "token_rows",
    "top",
    "units",
    "ward",
]

LANES = 16
"""Query tokens are padded to a multiple of this, the width of one vector register."""


def max_sim(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    query: NDArray[np.int8],
    factors: NDArray[np.float32],
    bounds: NDArray[np.int64],
) -> NDArray[np.float32]:
    """MaxSim of each query and each passage, f32 [B, r]; see `reference.max_sim`."""
    out = np.empty((len(bounds) - 1, len(rows)), np.float32)
    kernel = chosen().max_sim

    def work(first: int, last: int) -> None:
        kernel(codes, scales, offsets, rows, query, factors, bounds, out, first, last)

    _spread(work, len(rows), _tokens(offsets, rows) * query.size)
    return out


def max_sim_compressed(
    codes: NDArray[np.uint16],
    residuals: NDArray[np.uint8],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    levels: NDArray[np.int8],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    query: NDArray[np.int8],
    factors: NDArray[np.float32],
) -> NDArray[np.float32]:
    """MaxSim of the query and each decoded passage, f32 [r]; see the reference."""
    out = np.empty(len(rows), np.float32)
    kernel = chosen().max_sim_compressed
    stored = codes, residuals, centroids, classes, levels

    def work(first: int, last: int) -> None:
        kernel(*stored, offsets, rows, query, factors, out, first, last)

    _spread(work, len(rows), _tokens(offsets, rows) * (query.size + centroids.shape[1]))
    return out


def decode(
    codes: NDArray[np.uint16],
    residuals: NDArray[np.uint8],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    levels: NDArray[np.int8],
) -> NDArray[np.int8]:
    """The vectors of the tokens, i8 [T, d]; see `reference.decode`."""
    out = np.empty((len(codes), centroids.shape[1]), np.int8)
    kernel = chosen().decode

    def work(first: int, last: int) -> None:
        kernel(codes, residuals, centroids, classes, levels, out, first, last)

    _spread(work, len(codes), out.size)
    return out


def encode(
    vectors: NDArray[np.int8],
    codes: NDArray[np.uint16],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    tables: NDArray[np.uint8],
    bits: int,
) -> NDArray[np.uint8]:
    """The packed residuals of the tokens, u8 [T, d * bits / 8]; see `reference.encode`."""
    out = np.empty((len(vectors), vectors.shape[1] * bits // 8), np.uint8)
    kernel = chosen().encode

    def work(first: int, last: int) -> None:
        kernel(vectors, codes, centroids, classes, tables, bits, out, first, last)

    _spread(work, len(vectors), vectors.size)
    return out


def nearest(
    vectors: NDArray[np.int8], centroids: NDArray[np.int8], penalties: NDArray[np.int32]
) -> NDArray[np.uint16]:
    """The nearest centroid of each vector, u16 [T]; see `reference.nearest`."""
    out = np.empty(len(vectors), np.uint16)
    kernel = chosen().nearest

    def work(first: int, last: int) -> None:
        kernel(vectors, centroids, penalties, out, first, last)

    _spread(work, len(vectors), len(vectors) * centroids.size)
    return out


def nearest_listed(
    vectors: NDArray[np.int8],
    bounds: NDArray[np.int64],
    near: NDArray[np.uint16],
    centroids: NDArray[np.int8],
    penalties: NDArray[np.int32],
) -> NDArray[np.uint16]:
    """The nearest of the centroids listed for each vector's group, u16 [T].

    The groups cover all vectors; see `reference.nearest_listed`.
    """
    out = np.empty(len(vectors), np.uint16)
    kernel = chosen().nearest_listed

    def work(first: int, last: int) -> None:
        kernel(vectors, bounds, near, centroids, penalties, out, first, last)

    _spread(work, len(near), vectors.size * near.shape[1])
    return out


def units(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    mean: NDArray[np.float32],
    rotation: NDArray[np.float32],
    unit: float,
) -> NDArray[np.int8]:
    """codes * scales minus the mean, rotated, in units: i8 [T, d]; see `reference.units`."""
    out = np.empty(codes.shape, np.int8)
    inverse = np.array([1 / unit], np.float32)
    kernel = chosen().units

    def work(first: int, last: int) -> None:
        kernel(codes, scales, mean, rotation, inverse, out, first, last)

    _spread(work, len(codes), codes.size * len(mean))
    return out


def centroid_table(
    centroids: NDArray[np.int8],
    query: NDArray[np.int8],
    slopes: NDArray[np.float32],
    shifts: NDArray[np.float32],
    rows: int | None = None,
) -> NDArray[np.uint8]:
    """The centroids' dot products with the query's tokens as u8 [rows, lanes], the padding 0.

    See `reference.centroid_table`; slopes and shifts are f32 [m] here, without padding.

    Args:
        rows: rows of the result, at least K, which is the default; rows beyond K are 0.
    """
    padded = np.zeros((2, -(-len(query) // LANES) * LANES), np.float32)
    padded[:, : len(query)] = slopes, shifts
    table = np.zeros((rows or len(centroids), padded.shape[1]), np.uint8)
    out = table[: len(centroids)]
    kernel = chosen().centroid_table

    def work(first: int, last: int) -> None:
        kernel(centroids, query, padded[0], padded[1], out, first, last)

    _spread(work, len(centroids), centroids.shape[1] * out.size)
    return table


def centroid_max(
    table: NDArray[np.uint8],
    codes: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Sum over the query's tokens of each passage's best centroid, i32 [r]; -1 if it is empty."""
    out = np.empty(len(rows), np.int32)
    kernel = chosen().centroid_max

    def work(first: int, last: int) -> None:
        kernel(table, codes, offsets, rows, out, first, last)

    _spread(work, len(rows), _tokens(offsets, rows) * table.shape[1] * 4)
    return out


def probe(table: NDArray[np.uint8], tokens: int, count: int) -> NDArray[np.int32]:
    """The best `count` centroids of each of the query's `tokens`, i32 [tokens, count]."""
    out = np.empty((tokens, min(count, len(table))), np.int32)
    kernel = chosen().probe

    def work(first: int, last: int) -> None:
        kernel(table, out, first, last)

    _spread(work, tokens, tokens * len(table) // 16)
    return out


def list_sums(
    postings: NDArray[np.uint16],
    starts: NDArray[np.int64],
    probes: NDArray[np.int32],
    values: NDArray[np.uint8],
    imputed: NDArray[np.uint8],
    passages: int,
) -> NDArray[np.uint16]:
    """Each passage's sum beyond the imputed score, u16 [passages]; see the reference."""
    out = np.empty(passages, np.uint16)
    kernel = chosen().list_sums

    def work(first: int, last: int) -> None:
        for block in range(first, last):
            part = out[block * LIST_BLOCK : (block + 1) * LIST_BLOCK]
            kernel(postings, starts, block, probes, values, imputed, part)

    threads_here = threads.count()
    blocks = len(starts)
    threads.spread(work, list(range(blocks + 1)) if blocks > 1 else [0, blocks], threads_here)
    return out


def top(scores: NDArray[np.int32] | NDArray[np.uint16], k: int) -> NDArray[np.int64]:
    """Positions of the k largest scores, best first, equal ones by position: i64."""
    found: NDArray[np.int64] = chosen().top(scores, k)
    return found


def ward(
    vectors: NDArray[np.int8],
    bounds: NDArray[np.int64],
    groups: NDArray[np.int64],
    limits: NDArray[np.float32],
) -> NDArray[np.int32]:
    """For each vector, the place in its block of its group's first vector, i32 [T].

    The blocks cover all vectors; see `reference.ward`.
    """
    out = np.empty(len(vectors), np.int32)
    kernel = chosen().ward

    def work(first: int, last: int) -> None:
        kernel(vectors, bounds, groups, limits, out, first, last)

    _spread(work, len(groups), vectors.size * (len(vectors) // max(1, len(groups))))
    return out


def _spread(work: Callable[[int, int], object], size: int, weight: int) -> None:
    count = threads.count()
    threads.spread(work, threads.cut(size, weight, count), count)


def _tokens(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> int:
    """Estimate how many tokens the passages have, without counting them."""
    return len(rows) * max(1, int(offsets[-1]) // max(1, len(offsets) - 1))
