"""Inverted lists of a dense segment: its vectors stand by the centroid that they are nearest to.

`dense.centroids.npy` i8 [K, D] with `dense.centroid_scales.npy` f32 [K]; list c has the vectors
from `dense.starts.npy` i64 [K + 1] starts[c] to starts[c + 1]. What passages go by are rows, one
passage's after another's: `dense.places.npy` i32 [r] says where the vector of a row stands,
`dense.owners.npy` i32 [r] which passage (its place among the ids) the vector at a place is of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.indexes.arrays import CURE, open_array, write_array
from retrieval.indexes.assignment import Assigner
from retrieval.indexes.clustering import draw, k_means
from retrieval.indexes.dense.products import GROUP, Queries, group_size, products

CENTROIDS = "dense.centroids.npy"
CENTROID_SCALES = "dense.centroid_scales.npy"
STARTS = "dense.starts.npy"
PLACES = "dense.places.npy"
OWNERS = "dense.owners.npy"

FEWEST = 1 << 17
"""Minimum number of vectors for a segment to have lists; so many are compared in 2 to 4 ms."""

PROBED = 1 << 16
SHARE = 16
"""A query looks at `PROBED` vectors, or in a large segment at one in `SHARE`."""

GROWTH = 16
"""Centroids are trained again once there are this many times the vectors they were trained for."""

_SAMPLE = 64  # vectors per centroid
_BLOCK = 1 << 13


@dataclass(frozen=True, slots=True)
class Centroids:
    """The centroids of the lists.

    Attributes:
        codes: i8 [K, d].
        scales: f32 [K], all the same.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    def same(self, others: Centroids) -> bool:
        """Whether they put every vector in the list that the others do."""
        return np.array_equal(self.codes, others.codes) and np.array_equal(
            self.scales, others.scales
        )

    def serve(self, vectors: int) -> bool:
        """Whether they are enough for so many vectors."""
        return vectors < GROWTH * _trained_for(len(self.codes))

    def assigner(self) -> Callable[[NDArray[np.int8], NDArray[np.float32]], NDArray[np.uint16]]:
        """What finds the nearest centroids, u16 [t], of codes i8 [t, d] with scales f32 [t].

        Made once for many blocks: it groups the centroids first, if they are many.
        """
        unit = self.scales[0]
        if group_size(self.codes.shape[1]) > 1:  # the kernel takes such vectors
            assign = Assigner(self.codes)

            def by_kernel(
                codes: NDArray[np.int8], scales: NDArray[np.float32]
            ) -> NDArray[np.uint16]:
                return assign(in_units(codes, scales, unit))

            return by_kernel
        centroids = self.codes.astype(np.float32)
        squares = np.square(centroids).sum(axis=1)

        def plain(codes: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.uint16]:
            vectors = codes * (scales / unit)[:, None]
            distances = squares - 2 * (vectors @ centroids.T)
            nearest: NDArray[np.uint16] = distances.argmin(axis=1).astype(np.uint16)
            return nearest

        return plain


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of a segment, mapped.

    Attributes:
        folder: the segment's folder.
        centroids: K of them.
        starts: i64 [K + 1].
        places: i32 [r].
        owners: i32 [r].
        passages: how many the segment has.
    """

    folder: Path
    centroids: Centroids
    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    owners: NDArray[np.int32]
    passages: int

    def places_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the vectors of these rows stand, i64; IndexCorrupted if out of range."""
        return self._checked(self.places[rows], len(self.places), PLACES)

    def owners_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The passages of the vectors at these places, i64; IndexCorrupted if out of range."""
        return self._checked(self.owners[places], self.passages, OWNERS)

    def lists_of(self, places: NDArray[np.int64]) -> NDArray[np.uint16]:
        """The lists that these places are in, u16."""
        return (np.searchsorted(self.starts, places, "right") - 1).astype(np.uint16)

    def groups(self, query: Queries, vectors: int) -> NDArray[np.int64]:
        """The groups of rows in the lists nearest to the query, for so many vectors in all: i64."""
        sizes = np.diff(self.starts)
        (near,) = products(self.centroids.codes, self.centroids.scales, query)
        lists = np.argsort(-near, kind="stable")
        lists = lists[: int(np.searchsorted(np.cumsum(sizes[lists]), vectors)) + 1]
        lists = lists[sizes[lists] > 0]
        first, last = self.starts[lists] // GROUP, (self.starts[lists + 1] - 1) // GROUP
        lengths = last - first + 1
        shift = first - (np.cumsum(lengths) - lengths)
        named = np.zeros(-(-len(self.places) // GROUP), np.bool_)
        named[np.arange(int(lengths.sum())) + np.repeat(shift, lengths)] = True
        return np.flatnonzero(named)

    def _checked(self, values: NDArray[np.int32], limit: int, name: str) -> NDArray[np.int64]:
        if len(values) and not (int(values.min()) >= 0 and int(values.max()) < limit):
            raise IndexCorrupted(f"{self.folder / name} contains out-of-range entries; {CURE}")
        return values.astype(np.int64)


def train(
    blocks: Iterable[tuple[NDArray[np.int8], NDArray[np.float32]]],
    vectors: int,
    dim: int,
    largest: float,
) -> Centroids:
    """Train centroids for so many vectors on a sample of them.

    Args:
        blocks: the vectors, as codes i8 [b, dim] and scales f32 [b].
        vectors: how many there are.
        dim: of a vector.
        largest: the largest absolute component of them, or more.
    """
    count = centroids_for(vectors)
    unit = np.float32(max(largest, 1e-12) / 127)
    # In 32 bits the sample of two million vectors would take 400 MB.
    units = (in_units(codes, scales, unit) for codes, scales in blocks)
    found = k_means(draw(units, vectors, count * _SAMPLE, dim), count)
    return Centroids(
        np.clip(np.rint(found), -127, 127).astype(np.int8), np.full(count, unit, np.float32)
    )


def in_units(
    codes: NDArray[np.int8], scales: NDArray[np.float32], unit: np.float32
) -> NDArray[np.int8]:
    """Vectors of codes i8 [b, d] and scales f32 [b], all in the same unit: i8 [b, d]."""
    vectors = codes * (scales / unit)[:, None]
    return np.clip(np.rint(vectors, out=vectors), -127, 127, out=vectors).astype(np.int8)


def centroids_for(vectors: int) -> int:
    """How many centroids so many vectors get: a power of two near 2 * sqrt(vectors)."""
    return int(min(1 << 16, 1 << round(math.log2(2 * max(1, vectors) ** 0.5))))


def _trained_for(count: int) -> int:
    return (count // 2) ** 2


def write_lists(
    folder: Path,
    centroids: Centroids,
    lists: NDArray[np.uint16],
    counts: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Write the files, and say which row stands at each place: i64 [r].

    Args:
        folder: the segment's folder.
        centroids: K of them.
        lists: u16 [r], the list of each row.
        counts: i64 [n], how many rows each passage has.
    """
    order = np.argsort(lists, kind="stable")
    starts = np.zeros(len(centroids.codes) + 1, np.int64)
    np.cumsum(np.bincount(lists, minlength=len(centroids.codes)), out=starts[1:])
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
    write_array(folder / CENTROIDS, "|i1", centroids.codes.shape, [centroids.codes])
    write_array(folder / CENTROID_SCALES, "<f4", centroids.scales.shape, [centroids.scales])
    write_array(folder / STARTS, "<i8", starts.shape, [starts])
    write_array(folder / PLACES, "<i4", places.shape, [places])
    write_array(folder / OWNERS, "<i4", owners.shape, [owners])
    return order


def open_lists(folder: Path, rows: int, passages: int, dim: int) -> Lists | None:
    """The lists of a segment of so many vectors; None if it has none.

    Raises:
        IndexCorrupted: they are damaged, or belong to another segment.
    """
    # Two files are looked for, so that when one is missing, the error names that one.
    if not (folder / CENTROIDS).exists() and not (folder / PLACES).exists():
        return None
    codes = open_array(folder / CENTROIDS, "|i1", ndim=2)
    scales = open_array(folder / CENTROID_SCALES, "<f4", ndim=1)
    starts = open_array(folder / STARTS, "<i8", ndim=1)
    places = open_array(folder / PLACES, "<i4", ndim=1)
    owners = open_array(folder / OWNERS, "<i4", ndim=1)
    fitting = (
        codes.shape == (len(scales), dim)
        and len(scales) > 0
        and len(starts) == len(scales) + 1
        and len(places) == len(owners) == rows
        and starts[0] == 0
        and starts[-1] == rows
        and bool((starts[1:] >= starts[:-1]).all())
        and bool(((scales > 0) & (scales < np.inf)).all())
    )
    if not fitting:
        raise IndexCorrupted(f"the lists in {folder} do not match its vectors; {CURE}")
    return Lists(folder, Centroids(codes, scales), starts, places, owners, passages)
