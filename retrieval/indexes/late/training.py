"""Training a codec: k-means on a sample of the tokens, then levels for the residuals.

A last k-means step over the whole sample, with the kernel that encodes, corrects assignments across
the borders of the coarse clusters.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.assignment import Assigner
from retrieval.indexes.clustering import k_means
from retrieval.indexes.late.codec import Codec
from retrieval.indexes.late.frame import Frame

SAMPLE_A_CENTROID = 40
"""Sampled tokens per centroid; FAISS recommends at least 39."""

FRAME_TOKENS = 1 << 15
"""Sampled tokens that determine mean and unit."""
_CHEAP = 1 << 13  # centroids
_POLISH = 2
_CLASSES = 16
_PRIOR = 8
_MEASURED = 1 << 19  # tokens of the sample that the levels are fitted to
_MOVED = 1 << 22  # vector components that are sorted by centroid at a time
_OUTLIERS = 1e-5  # share of components that the range of the integers may clip


def centroids_for(tokens: int) -> int:
    """How many centroids so many tokens get: a power of two near 4 * sqrt(tokens), to 65,536.

    Half as many cost recall, twice as many cost time, at 4 to 15 million tokens (measured). As
    up to 8,192 take little time, fewer tokens get up to twice as many, which keeps rankings closer
    to those of 8-bit vectors.
    """
    root = max(1, tokens) ** 0.5
    wanted = max(4 * root, min(8 * root, _CHEAP))
    return min(1 << 16, max(1, tokens), 1 << round(math.log2(wanted)))


def frame(sample: NDArray[np.float32]) -> Frame:
    """The frame for vectors with the fair sample `sample`, f32 [s, d], finite, s >= 1."""
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    rotation = _rotation(sample.shape[1])
    return Frame(mean, rotation, _unit((sample - mean) @ rotation))


def train(frame: Frame, units: NDArray[np.int8], tokens: int, *, bits: int = 4) -> Codec:
    """Train a codec on a fair sample of the vectors.

    Args:
        frame: the vectors' coordinates.
        units: the sample, i8 [s, d], s >= 1; at least `SAMPLE_A_CENTROID` for each centroid, unless
            there are not as many vectors.
        tokens: how many there are in all.
        bits: of a residual, 2 or 4.
    """
    count = min(centroids_for(tokens), len(units))
    centroids = _as_centroids(k_means(units, count))
    for _ in range(_POLISH):
        centroids = _moved(centroids, units, Assigner(centroids)(units))
    codes = Assigner(centroids)(units)
    classes, levels = _levels(units, centroids, codes, bits)
    parts = (frame.mean, frame.rotation, frame.unit, centroids, classes, levels)
    return Codec.of(*parts, trained_tokens=tokens)


def _rotation(dim: int) -> NDArray[np.float32]:
    """A random orthogonal matrix, the same for every codec of a dimension: f32 [dim, dim]."""
    gaussian = np.random.default_rng(0).standard_normal((dim, dim))
    return np.linalg.qr(gaussian)[0].astype(np.float32)


def _unit(vectors: NDArray[np.float32]) -> float:
    largest = float(np.quantile(np.abs(vectors), 1 - _OUTLIERS))
    # If all vectors are equal they have no range, and any unit stores them exactly.
    return largest / 120 if largest > 1e-12 else 1.0


def _as_centroids(vectors: NDArray[np.floating]) -> NDArray[np.int8]:
    rounded: NDArray[np.int8] = np.clip(np.rint(vectors), -127, 127).astype(np.int8)
    return rounded


def _moved(
    centroids: NDArray[np.int8], vectors: NDArray[np.int8], codes: NDArray[np.uint16]
) -> NDArray[np.int8]:
    """Move each centroid to the mean of its vectors; one without any stays where it was."""
    order = np.argsort(codes, kind="stable")
    used, starts = np.unique(codes[order], return_index=True)
    counts = np.diff(np.append(starts, len(order)))
    moved = centroids.copy()
    step = max(1, _MOVED // max(1, vectors.shape[1] * int(counts.max())))
    for first in range(0, len(used), step):
        part = slice(first, first + step)
        begin = starts[first]
        end = starts[first + step] if first + step < len(used) else len(order)
        some = vectors[order[begin:end]].astype(np.float32)
        sums = np.add.reduceat(some, starts[part] - begin, axis=0)
        moved[used[part]] = _as_centroids(sums / counts[part, None])
    return moved


def _levels(
    units: NDArray[np.int8], centroids: NDArray[np.int8], codes: NDArray[np.uint16], bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Each centroid's class u8 [K] and each class's levels i8 [C, 2 ** bits].

    Classes are steps of the root mean square of the residuals, which varies more between centroids
    than within one; the levels of a class minimise the squared error.
    """
    chosen = slice(None, None, max(1, len(units) // _MEASURED))
    part, owners = units[chosen], codes[chosen]
    histograms = np.zeros((_CLASSES, 511), np.int64)
    spread = _spread(part, centroids, owners)
    lowest, highest = float(spread.min()), float(spread.max())
    width = max(highest - lowest, 1e-9) / _CLASSES
    classes = np.minimum((spread - lowest) / width, _CLASSES - 1).astype(np.uint8)
    for start in range(0, len(part), 1 << 14):
        rows = slice(start, start + (1 << 14))
        difference = part[rows].astype(np.int32) - centroids[owners[rows]]
        place = difference + (255 + 511 * classes[owners[rows]].astype(np.int32)[:, None])
        histograms += np.bincount(place.ravel(), minlength=histograms.size).reshape(-1, 511)
    shared = _lloyd(histograms.sum(axis=0), bits)
    levels = np.stack([_lloyd(row, bits) if row.any() else shared for row in histograms])
    return classes, levels


def _spread(
    units: NDArray[np.int8], centroids: NDArray[np.int8], codes: NDArray[np.uint16]
) -> NDArray[np.float64]:
    """Root mean square of the residuals of each centroid's tokens, in units: f64 [K]."""
    squares = np.empty(len(units))
    for start in range(0, len(units), 1 << 14):
        rows = slice(start, start + (1 << 14))
        difference = units[rows].astype(np.float32) - centroids[codes[rows]]
        squares[rows] = np.square(difference).mean(axis=1)
    counts = np.bincount(codes, minlength=len(centroids))
    sums = np.bincount(codes, squares, minlength=len(centroids))
    # Few tokens say little, so some of the overall mean is mixed in.
    typical = squares.mean() if len(squares) else 1.0
    return np.sqrt((sums + _PRIOR * typical) / (counts + _PRIOR))


def _lloyd(counts: NDArray[np.int64], bits: int) -> NDArray[np.int8]:
    """The 2 ** bits levels of least squared error for these differences: Lloyd's algorithm."""
    values = np.arange(-255, 256)
    size = 1 << bits
    deviation = np.sqrt((counts * values**2).sum() / max(1, counts.sum()))
    # Starting from evenly spaced levels converges fast; from quantiles the tails take very long.
    levels = np.linspace(-3, 3, size) * deviation
    for _ in range(200):
        nearest = np.abs(values[:, None] - levels).argmin(axis=1)
        weights = np.bincount(nearest, counts, minlength=size)
        sums = np.bincount(nearest, counts * values, minlength=size)
        levels = np.where(weights > 0, sums / np.maximum(weights, 1), levels)
        levels.sort()
    rounded: NDArray[np.int8] = np.clip(np.rint(levels), -127, 127).astype(np.int8)
    return rounded
