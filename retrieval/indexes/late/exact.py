"""An exact segment: int8 token vectors, no training, every passage scored.

    score(query, passage) = sum over query tokens of the best dot product with a passage token

Four memory-mapped files: `late.ids.npy` i64 [n], `late.offsets.npy` i64 [n + 1] (passage i owns
token rows offsets[i]:offsets[i + 1]), `late.codes.npy` i8 [T, d] and `late.scales.npy` f32 [T].
Token t is codes[t] * scales[t].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes import kernels
from retrieval.indexes.arrays import (
    CURE,
    ArrayWriter,
    check_ids,
    check_vectors,
    first_bad_row,
    force_with_parent,
    make_folder,
    offsets_problem,
    open_array,
    write_array,
)
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late.passages import (
    Passages,
    dim_problem,
    open_passages,
    write_passages,
)
from retrieval.indexes.late.query import LateQuery
from retrieval.indexes.quantising import QuantisedVectors, quantise
from retrieval.ragged import offsets_of

CODES = "late.codes.npy"
SCALES = "late.scales.npy"

_COPY_TOKENS = 1 << 16


def write_late(folder: Path, ids: ArrayLike, tokens: ArrayLike, offsets: ArrayLike) -> None:
    """Quantise and write an exact segment into `folder` (created if need be) and fsync it.

    Args:
        folder: where the four files go.
        ids: i64 [n], not negative, all different.
        tokens: f32 [T, d], d a multiple of 8 from 16 to 256.
        offsets: i64 [n + 1]; passage i owns tokens[offsets[i]:offsets[i + 1]], possibly none.

    Raises:
        InputError: shapes disagree, or a vector holds NaN or infinity (its passage is named).
        StorageError: a file cannot be written.
    """
    names, rows, bounds = checked_tokens(ids, tokens, offsets)
    scales = np.empty(len(rows), dtype=np.float32)

    def blocks() -> Iterator[NDArray[np.int8]]:
        for start in range(0, len(rows), _COPY_TOKENS):
            part = slice(start, start + _COPY_TOKENS)
            codes, scales[part] = quantise(rows[part])
            yield codes

    make_folder(folder)
    write_passages(folder, names, bounds)
    write_array(folder / CODES, "|i1", rows.shape, blocks())
    write_array(folder / SCALES, "<f4", scales.shape, [scales])
    force_with_parent(folder)


def checked_tokens(
    ids: ArrayLike, tokens: ArrayLike, offsets: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """The arguments of `write_late` as checked arrays; raises the same errors."""
    names = check_ids(ids)
    rows = check_vectors(tokens, "token vectors")
    bounds = np.asarray(offsets, dtype=np.int64)
    problem = dim_problem(rows.shape[1]) or offsets_problem(bounds, len(names), len(rows))
    if problem is not None:
        raise InputError(problem)
    bad = first_bad_row(rows)
    if bad is not None:
        owner = names[np.searchsorted(bounds, bad, side="right") - 1]
        raise InputError(f"a token vector of passage {owner} holds NaN or infinity")
    return names, rows, bounds


def copy_exact(
    folder: Path, segments: Sequence[ExactSegment], kept: Sequence[NDArray[np.int64]]
) -> None:
    """Write the passages at the rows `kept` of each segment as one segment, copying their codes."""
    ids = check_ids(np.concatenate([s.ids[rows] for s, rows in zip(segments, kept, strict=True)]))
    lengths = [s.lengths[rows] for s, rows in zip(segments, kept, strict=True)]
    offsets = offsets_of(np.concatenate(lengths))
    make_folder(folder)
    write_passages(folder, ids, offsets)
    with (
        ArrayWriter(folder / CODES, "|i1", (segments[0].dim,)) as codes,
        ArrayWriter(folder / SCALES, "<f4") as scales,
    ):
        for segment, rows in zip(segments, kept, strict=True):
            for tokens in segment.blocks(rows, _COPY_TOKENS):
                codes.append(segment.codes[tokens])
                scales.append(segment.scales[tokens])
    force_with_parent(folder)


class ExactSegment(Passages):
    """A memory-mapped exact segment; any number of threads may read it at once.

    Attributes:
        codes: i8 [T, d].
        scales: f32 [T].
    """

    __slots__ = ("codes", "scales")

    regime = "exact"

    def __init__(self, folder: Path) -> None:
        """Map the segment in `folder`; IndexCorrupted names the file that is missing or damaged."""
        codes = open_array(folder / CODES, "|i1", ndim=2)
        self.codes: NDArray[np.int8] = codes
        problem = dim_problem(codes.shape[1])
        if problem is not None:
            raise IndexCorrupted(f"{folder / CODES}: {problem}; {CURE}")
        self.scales: NDArray[np.float32] = open_array(folder / SCALES, "<f4", ndim=1)
        ids, offsets = open_passages(folder, len(codes))
        if len(self.scales) != len(codes):
            raise IndexCorrupted(
                f"{folder / SCALES} holds {len(self.scales)} scales for {len(codes)} tokens; {CURE}"
            )
        # One comparison that NaN, infinity and a negative number all fail.
        if not ((self.scales >= 0) & (self.scales < np.inf)).all():
            raise IndexCorrupted(
                f"{folder / SCALES} holds NaN, infinity or a negative scale; {CURE}"
            )
        super().__init__(folder, ids, offsets, dim=codes.shape[1], tokens=(codes, self.scales))

    def max_sim(self, queries: Sequence[LateQuery], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """MaxSim of each query and each of the passages, f32 [queries, rows].

        A passage without tokens scores -inf. All queries share one pass over the codes.
        """
        bounds = offsets_of([len(query) for query in queries])
        return kernels.max_sim(
            self.codes,
            self.scales,
            self.offsets,
            rows,
            np.concatenate([query.codes for query in queries]),
            np.concatenate([query.factors for query in queries]),
            bounds,
        )

    def stored_of(self, tokens: Tokens) -> QuantisedVectors:
        """The vectors of these token rows as they are stored, [t, d]."""
        return QuantisedVectors(self.codes[tokens], self.scales[tokens])
