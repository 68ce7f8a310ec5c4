"""A sample of token vectors that depends on the order of passage ids, not on segments.

So the sample is the same however the passages were distributed over writing calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.clustering import drawn
from retrieval.indexes.late.frame import TokenVectors
from retrieval.indexes.late.search import LateSegment
from retrieval.ragged import offsets_of

_MAPPED = 1 << 25
"""Size of a segment, at one byte per component, over which reads may be scattered before pages are
released: the system maps up to megabytes around each token."""


class TokensInOrder:
    """The tokens of some passages, numbered in the order of the passages' ids.

    Args:
        kept: segments, and the rows of the passages, i64; at least one has a token.
        block: number of tokens read at a time.
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

    def sample(self, wanted: int, made: Callable[[TokenVectors], NDArray[Any]]) -> NDArray[Any]:
        """A sample of at most `wanted` tokens, in their order.

        Args:
            wanted: maximum size of the sample.
            made: converts vectors [t, d] to what is kept of them, an array [t, d].

        Returns:
            [s, d], of the dtype that `made` returns.
        """
        chosen = drawn(self._count, wanted)
        taken: NDArray[Any] | None = None
        for segment, rows, begin in self._kept:
            first = np.searchsorted(chosen, begin)
            counts = np.searchsorted(chosen, begin + segment.lengths[rows]) - first
            places = np.repeat(first - offsets_of(counts)[:-1], counts) + np.arange(counts.sum())
            tokens = chosen[places] + np.repeat(segment.offsets[rows] - begin, counts)
            for part in self._parts(tokens, segment.dim):
                vectors = made(segment.stored_of(tokens[part]))
                if taken is None:
                    taken = np.empty((len(chosen), vectors.shape[1]), vectors.dtype)
                taken[places[part]] = vectors
                segment.release()  # the pages that were read
        assert taken is not None
        return taken

    def _parts(self, tokens: NDArray[np.int64], dim: int) -> Iterator[slice]:
        """Ascending tokens i64, cut into parts of nearby ones, at most a block each."""
        start, span = 0, max(1, _MAPPED // dim)
        while start < len(tokens):
            end = int(np.searchsorted(tokens, tokens[start] + span))
            end = min(end, start + self._block)
            yield slice(start, end)
            start = end
