"""Segments of made-up token vectors, and what a search of them has to find: float64, no tricks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.indexes import (
    LateCodec,
    LateSegment,
    merge_compressed,
    open_late,
    train_codec,
    write_late,
)

Vectors = NDArray[np.float32]
Generator = np.random.Generator

DIMENSIONS = [16, 24, 40, 48, 64, 96, 104, 128, 200, 256]
dimensions = st.sampled_from(DIMENSIONS)
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
lengths_of_passages = st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 7, 40]), min_size=1, max_size=25)


@dataclass(frozen=True)
class Passages:
    """ids i64 [n], tokens f32 [T, d], offsets i64 [n + 1]."""

    ids: NDArray[np.int64]
    tokens: Vectors
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, row: int) -> Vectors:
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]


def unit(rng: Generator, n: int, dim: int) -> Vectors:
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def offsets_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def uniform(rng: Generator, lengths: Sequence[int], dim: int, *, first: int = 0) -> Passages:
    """Tokens all over the sphere; ids in any order, with gaps, from `first` on."""
    n, offsets = len(lengths), offsets_of(lengths)
    return Passages(first + rng.permutation(2 * n)[:n], unit(rng, int(offsets[-1]), dim), offsets)


def clustered(
    rng: Generator, n: int, dim: int, *, kinds: int = 400, noise: float = 0.6, longest: int = 40
) -> Passages:
    """Tokens about `kinds` common ones, and a part that all of them share, as trained ones have."""
    offsets = offsets_of(rng.integers(1, longest + 1, n).tolist())
    tokens = int(offsets[-1])
    kind = rng.standard_normal((kinds, dim)) + 0.7 * rng.standard_normal(dim)
    rows = kind[rng.integers(0, kinds, tokens)] + noise * rng.standard_normal((tokens, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Passages(np.arange(n), rows.astype(np.float32), offsets)


def queries_about(
    rng: Generator, passages: Passages, count: int, tokens: int = 16
) -> list[Vectors]:
    """Queries whose tokens are near some of one passage each."""
    found = []
    for row in rng.integers(0, len(passages), count):
        own = passages.of(int(row))
        query = own[rng.integers(0, len(own), tokens)]
        query = query + 0.3 / np.sqrt(own.shape[1]) * rng.standard_normal(query.shape)
        found.append((query / np.linalg.norm(query, axis=1, keepdims=True)).astype(np.float32))
    return found


def exact(folder: Path, passages: Passages) -> LateSegment:
    write_late(folder, passages.ids, passages.tokens, passages.offsets)
    return open_late(folder)


def compressed(
    folder: Path,
    passages: Passages,
    *,
    codec: LateCodec | None = None,
    bits: int = 4,
    lists: bool = False,
) -> LateSegment:
    """By this codec, or one of their own."""
    source = exact(folder.with_name(f"{folder.name}-exact"), passages)
    codec = codec or train_codec([source], bits=bits)
    merge_compressed(folder, [source], codec, lists=lists)
    return open_late(folder)


def max_sim(
    query: Vectors,
    tokens: NDArray[np.floating],
    offsets: NDArray[np.int64],
    weights: Sequence[float] | NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """The definition, in float64, for every passage; -inf for one without tokens."""
    scores = np.full(len(offsets) - 1, -np.inf)
    for row in range(len(scores)):
        own = tokens[offsets[row] : offsets[row + 1]].astype(np.float64)
        if len(own) and len(query):
            best = (query.astype(np.float64) @ own.T).max(axis=1)
            scores[row] = np.dot(best, np.ones(len(query)) if weights is None else weights)
    return scores


def half_steps(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Half of what one step of the 8-bit integers is worth in each row."""
    largest = np.abs(vectors).max(axis=1, initial=0.0).astype(np.float64)
    return largest / 254


def bound(
    query: NDArray[np.floating],
    tokens: NDArray[np.floating],
    weights: Sequence[float] | NDArray[np.floating] | None = None,
    *,
    stored: bool = False,
) -> float:
    """How far rounding to 8 bits can move a score: half a step in every component, all one way.

    With `stored` the tokens are what is stored already, and only the query is rounded.
    """
    if not len(query) or not len(tokens):
        return 0.0
    sums = np.abs(tokens.astype(np.float64)).sum(axis=1)
    counts = np.ones(len(query)) if weights is None else np.asarray(weights, np.float64)
    off = half_steps(query) * sums.max()
    if not stored:
        rounded = np.abs(query.astype(np.float64)).sum(axis=1) + half_steps(query) * query.shape[1]
        off += rounded * half_steps(tokens).max()
    scale = float(np.linalg.norm(query.astype(np.float64)) * sums.max())
    return float(np.dot(counts, off)) * 1.0001 + 1e-5 * scale * float(counts.max(initial=0))


def recall(found: NDArray[np.int64], truth: NDArray[np.float64], k: int) -> float:
    """Share of the k best by `truth`, by id, among those found."""
    best = np.argsort(-truth, kind="stable")[:k]
    return len(set(best.tolist()) & set(found[:k].tolist())) / k
