"""The vectors of several segments on their way into one."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.arrays import chosen
from retrieval.indexes.dense import lists
from retrieval.indexes.dense.lists import Centroids
from retrieval.indexes.dense.segment import DenseSegment
from retrieval.ragged import offsets_of

BLOCK = 1 << 13
"""Vectors that are read at a time."""

_MAPPED = 1 << 27  # bytes of the segments that stay mapped while they are read

Rows = tuple[NDArray[np.int8], NDArray[np.float32]]
"""Codes i8 [b, D] and scales f32 [b] of some vectors."""


class Merging:
    """The passages of several segments that go into one, and their vectors, row after row.

    Attributes:
        parts: each segment, and the places of those of its passages that go, i64.
        counts: i64 [n], how many vectors each passage has.
    """

    def __init__(self, segments: Sequence[DenseSegment], allowed: NDArray[np.bool_] | None) -> None:
        """Take the allowed passages, bool by passage id; None is all."""
        self.parts = [(s, np.flatnonzero(chosen(s.ids, allowed))) for s in segments]
        self.counts = np.concatenate([np.diff(s.offsets)[at] for s, at in self.parts])
        self._places = [segment.places(at) for segment, at in self.parts]
        self._bounds = offsets_of([len(places) for places in self._places])

    def __len__(self) -> int:
        """How many vectors there are."""
        return int(self._bounds[-1])

    def blocks(self, order: NDArray[np.int64] | None = None) -> Iterator[Rows]:
        """The vectors in blocks, in the order of their rows or in that of these rows, i64 [r]."""
        row_bytes = self.parts[0][0].dim if order is None else mmap.PAGESIZE  # that are read
        read = 0
        for start in range(0, len(self), BLOCK):
            stop = min(start + BLOCK, len(self))
            yield self._rows(np.arange(start, stop) if order is None else order[start:stop])
            read += (stop - start) * row_bytes
            if read > _MAPPED:
                self._release()
                read = 0
        self._release()

    def centroids(self) -> Centroids:
        """The centroids to put them in lists by: some in use if they serve, else new ones."""
        used = [segment.lists.centroids for segment, _ in self.parts if segment.lists is not None]
        best = max(used, key=lambda centroids: len(centroids.codes), default=None)
        if best is not None and best.serve(len(self)):
            return best
        floats = (codes * scales[:, None] for codes, scales in self.blocks())
        return lists.train(floats, len(self), self.parts[0][0].dim)

    def lists(self, centroids: Centroids) -> NDArray[np.uint16]:
        """The list of each row, u16 [r]; of those that have one by the same centroids, that."""
        found = np.empty(len(self), np.uint16)
        nearest = centroids.assigner()
        for number, (segment, _) in enumerate(self.parts):
            first, last = self._bounds[number : number + 2].tolist()
            own, places = segment.lists, self._places[number]
            if own is not None and own.centroids.same(centroids):
                found[first:last] = own.lists_of(places)
                continue
            for start in range(0, len(places), BLOCK):
                part = nearest(*segment.stored_at(places[start : start + BLOCK]))
                found[first + start : first + start + len(part)] = part
            segment.release()
        return found

    def _release(self) -> None:
        for segment, _ in self.parts:
            segment.release()

    def _rows(self, rows: NDArray[np.int64]) -> Rows:
        codes = np.empty((len(rows), self.parts[0][0].dim), np.int8)
        scales = np.empty(len(rows), np.float32)
        owner = np.searchsorted(self._bounds, rows, "right") - 1
        for number, (segment, _) in enumerate(self.parts):
            own = np.flatnonzero(owner == number)
            if len(own):
                places = self._places[number][rows[own] - self._bounds[number]]
                codes[own], scales[own] = segment.stored_at(places)
        return codes, scales
