"""Passages of different lengths over one array of tokens: which tokens they own, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrieval.ragged import offsets_of, rows_of

Tokens = slice | NDArray[np.int64]
"""The token rows of some passages: a slice where they are contiguous, else their indices."""


def token_rows(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> Tokens:
    """The tokens of the passages `rows`, at least one, in their order."""
    starts, stops = offsets[rows], offsets[rows + 1]
    if (starts[1:] == stops[:-1]).all():
        return slice(int(starts[0]), int(stops[-1]))
    return rows_of(offsets, rows)


def pieces(lengths: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Group passages of these lengths into runs of at most `size` tokens, or one longer passage."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        bound = ends[first] - lengths[first] + size
        last = max(first + 1, int(np.searchsorted(ends, bound, side="right")))
        yield slice(first, last)
        first = last


def runs(
    offsets: NDArray[np.int64], rows: NDArray[np.int64], first: int, last: int, size: int
) -> Iterator[tuple[slice, Tokens, NDArray[np.int64], NDArray[np.int64]]]:
    """Blocks of about `size` tokens of the passages rows[first:last].

    Yields:
        The part of `rows`; its tokens; where each passage that has tokens starts among them, i64;
        and which of the part's passages those are, i64. (`reduceat` would give a passage without
        tokens the first token of the next one.)
    """
    for piece in pieces(offsets[rows[first:last] + 1] - offsets[rows[first:last]], size):
        part = slice(first + piece.start, first + piece.stop)
        chosen = rows[part]
        lengths = offsets[chosen + 1] - offsets[chosen]
        filled = np.flatnonzero(lengths)
        starts = offsets_of(lengths[filled])[:-1]
        if len(filled):
            yield part, token_rows(offsets, chosen[filled]), starts, filled
        else:
            yield part, slice(0, 0), starts, filled
