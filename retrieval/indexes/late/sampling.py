"""A sample of token vectors, by the places of their passages and not of their segments.

So it does not show when passages were written, and which of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.clustering import drawn
from retrieval.indexes.late.search import LateSegment
from retrieval.ragged import offsets_of

_MAPPED = 1 << 25
"""Bytes of a segment, with a byte a component, over which what is read before pages are given back
may be scattered: the system maps up to megabytes around each token."""


class TokensInOrder:
    """The tokens of some passages, numbered through in the order of the passages' ids.

    Args:
        kept: segments, and the rows of the passages, i64; at least one has a token.
        block: tokens that are read at a time.
    """

    def __init__(
        self, kept: Sequence[tuple[LateSegment, NDArray[np.int64]]], *, block: int
    ) -> None:
        self._block = block
        lengths = np.concatenate([segment.lengths[rows] for segment, rows in kept])
        order = np.argsort(np.concatenate([segment.ids[rows] for segment, rows in kept]))
        begins = np.empty_like(lengths)
        begins[order] = offsets_of(lengths[order])[:-1]
        bounds = np.cumsum([len(rows) for _, rows in kept])[:-1]
        parts = zip(kept, np.split(begins, bounds), strict=True)
        self._kept = [(segment, rows, begin) for (segment, rows), begin in parts]
        self._count = int(lengths.sum())

    def __len__(self) -> int:
        return self._count

    def sample(
        self, wanted: int, made: Callable[[NDArray[np.float32]], NDArray[Any]]
    ) -> NDArray[Any]:
        """At most so many of them, in their order.

        Args:
            wanted: how many.
            made: what is kept of vectors f32 [t, d]: an array [t, d].

        Returns:
            [s, d], of the type that `made` gives.
        """
        chosen = drawn(self._count, wanted)
        taken: NDArray[Any] | None = None
        for segment, rows, begin in self._kept:
            first = np.searchsorted(chosen, begin)
            counts = np.searchsorted(chosen, begin + segment.lengths[rows]) - first
            places = np.repeat(first - offsets_of(counts)[:-1], counts) + np.arange(counts.sum())
            tokens = chosen[places] + np.repeat(segment.offsets[rows] - begin, counts)
            for part in self._parts(tokens, segment.dim):
                vectors = made(segment.vectors_of(tokens[part]))
                if taken is None:
                    taken = np.empty((len(chosen), vectors.shape[1]), vectors.dtype)
                taken[places[part]] = vectors
                segment.release()  # the pages that were read
        assert taken is not None
        return taken

    def _parts(self, tokens: NDArray[np.int64], dim: int) -> Iterator[slice]:
        """Tokens, i64 rising, cut into parts that stand near each other: at most a block each."""
        start, span = 0, max(1, _MAPPED // dim)
        while start < len(tokens):
            end = int(np.searchsorted(tokens, tokens[start] + span))
            end = min(end, start + self._block)
            yield slice(start, end)
            start = end
