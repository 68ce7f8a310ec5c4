"""Reading the vectors of several segments that are merged into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.arrays import chosen
from retrieval.indexes.dense import lists
from retrieval.indexes.dense.lists import Centroids
from retrieval.indexes.dense.segment import DenseSegment
from retrieval.ragged import offsets_of

BLOCK = 1 << 13
"""Vectors read at a time."""

_MAPPED = 1 << 25
"""Bytes of mapped segments that are read before their pages are released."""

_AT_ONCE = 1 << 26
"""Bytes of vectors that are reordered at once. They are read in file order: reading each by itself
would make the system map up to megabytes around it."""

Rows = tuple[NDArray[np.int8], NDArray[np.float32]]
"""Codes i8 [b, D] and scales f32 [b] of some vectors."""


class Merging:
    """The passages of several segments that are merged into one, and their vectors, row by row.

    Attributes:
        parts: each segment, and the places of its passages that are kept, i64.
        counts: i64 [n], how many vectors each passage has.
    """

    def __init__(self, segments: Sequence[DenseSegment], allowed: NDArray[np.bool_] | None) -> None:
        """Args: segments to merge; allowed passages, bool by passage id, None for all."""
        self.parts = [(s, np.flatnonzero(chosen(s.ids, allowed))) for s in segments]
        self.counts = np.concatenate([np.diff(s.offsets)[at] for s, at in self.parts])
        self._places = [segment.places(at) for segment, at in self.parts]
        self._bounds = offsets_of([len(places) for places in self._places])

    def __len__(self) -> int:
        """How many vectors there are."""
        return int(self._bounds[-1])

    def blocks(self, order: NDArray[np.int64] | None = None) -> Iterator[Rows]:
        """The vectors in blocks, in the order of their rows or in the given `order`, i64 [r]."""
        size = max(BLOCK, _AT_ONCE // self.parts[0][0].dim)
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield self._rows(np.arange(start, stop) if order is None else order[start:stop])

    def centroids(self) -> Centroids:
        """The centroids of the new lists: some in use if they are enough, else new ones."""
        used = [segment.lists.centroids for segment, _ in self.parts if segment.lists is not None]
        best = max(used, key=lambda centroids: len(centroids.codes), default=None)
        if best is not None and best.serve(len(self)):
            return best
        rows = (
            (codes[at : at + BLOCK], scales[at : at + BLOCK])
            for codes, scales in self.blocks()
            for at in range(0, len(codes), BLOCK)
        )
        largest = max(segment.largest for segment, _ in self.parts)
        return lists.train(rows, len(self), self.parts[0][0].dim, largest)

    def lists(self, centroids: Centroids) -> NDArray[np.uint16]:
        """The list of each row, u16 [r]; copied where it was assigned by the same centroids."""
        found = np.empty(len(self), np.uint16)
        nearest = centroids.assigner()
        for number, (segment, _) in enumerate(self.parts):
            first, last = self._bounds[number : number + 2].tolist()
            own, places = segment.lists, self._places[number]
            if own is not None and own.centroids.same(centroids):
                found[first:last] = own.lists_of(places)
                continue
            for some, rows in _in_place(segment, places):
                found[first + some] = nearest(*rows)
        return found

    def _rows(self, rows: NDArray[np.int64]) -> Rows:
        codes = np.empty((len(rows), self.parts[0][0].dim), np.int8)
        scales = np.empty(len(rows), np.float32)
        owner = np.searchsorted(self._bounds, rows, "right") - 1
        for number, (segment, _) in enumerate(self.parts):
            own = np.flatnonzero(owner == number)
            places = self._places[number][rows[own] - self._bounds[number]]
            for some, (their_codes, their_scales) in _in_place(segment, places):
                codes[own[some]], scales[own[some]] = their_codes, their_scales
        return codes, scales


def _in_place(
    segment: DenseSegment, places: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """The vectors at these places in file order, each block with its indices in `places`: i64 [b].

    Pages that were read are released on the way.
    """
    rising = np.argsort(places, kind="stable")
    read = 0
    for start in range(0, len(places), BLOCK):
        some = rising[start : start + BLOCK]
        yield some, segment.stored_at(places[some])
        read += (int(places[some[-1]]) - int(places[some[0]]) + 1) * segment.dim
        if read > _MAPPED:
            segment.release()
            read = 0
    segment.release()
