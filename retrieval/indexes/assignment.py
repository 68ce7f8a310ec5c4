"""The nearest centroid of each vector; if there are many centroids, found approximately.

Comparing a vector with K centroids costs K * d multiplications, most of what compressing costs.
From some thousands of centroids on, these are grouped, and a vector is compared with the groups'
centres, then with the centroids nearest to the centre of its group. That finds the nearest in 93 %
of cases at 16,384 centroids and in 96 % at 32,768, otherwise one almost as near, in a quarter of
the time (measured on code and prose). Making the groups takes as long as comparing a hundred
thousand vectors with all centroids (a third of a second at 16,384), so they are made only for many
vectors, and kept for later vectors that are compared with the same centroids.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels
from retrieval.indexes.clustering import nearest_means
from retrieval.ragged import offsets_of

_FLAT = 4096  # up to so many centroids, all are compared
_GROUPS = 8  # times the root of the number of centroids
_SHARE = 32  # one in so many centroids is compared with the vectors of a group
_FEW = 1 << 16  # so many vectors are compared with all centroids before groups are made
_KEPT = 2  # sets of groups, some MB each: of an index's codec, and of its coarse quantiser
_BLOCK = 1 << 22  # distances of centres to centroids at a time: 16 MB, and twice that to choose


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of centroids.

    Attributes:
        centres: i8 [G, d].
        penalties: of the centres, i32 [G].
        near: `nearest_to` the centres, u16 [G, K / 32].
    """

    centres: NDArray[np.int8]
    penalties: NDArray[np.int32]
    near: NDArray[np.uint16]


class Assigner:
    """Finds nearest centroids.

    Attributes:
        centroids: i8 [K, d], K from 1 to 65,536.
    """

    __slots__ = ("_groups", "_penalties", "_seen", "centroids")

    def __init__(self, centroids: NDArray[np.int8]) -> None:
        self.centroids = centroids
        self._penalties = _penalties(centroids)
        self._groups: _Groups | None = None
        self._seen = 0

    def __call__(self, units: NDArray[np.int8]) -> NDArray[np.uint16]:
        """The nearest centroid of each vector i8 [T, d]: u16 [T]."""
        if self._groups is None and len(self.centroids) > _FLAT:
            first, self._seen = not self._seen, self._seen + len(units)
            if first or self._seen > _FEW:
                self._groups = _groups_of(self.centroids, make=self._seen > _FEW)
        if self._groups is None:
            return kernels.nearest(units, self.centroids, self._penalties)
        groups = kernels.nearest(units, self._groups.centres, self._groups.penalties)
        return self.among(units, groups, self._groups.near)

    def among(
        self, units: NDArray[np.int8], groups: NDArray[np.uint16], near: NDArray[np.uint16]
    ) -> NDArray[np.uint16]:
        """The nearest of the centroids listed for each vector's group: u16 [T].

        Args:
            units: i8 [T, d].
            groups: of each vector, u16 [T], below G.
            near: `nearest_to` of the groups' centres, u16 [G, n].
        """
        order = np.argsort(groups, kind="stable")
        bounds = offsets_of(np.bincount(groups, minlength=len(near)))
        codes = np.empty(len(units), np.uint16)
        codes[order] = kernels.nearest_listed(
            units[order], bounds, near, self.centroids, self._penalties
        )
        return codes


def nearest_to(
    centres: NDArray[np.int8], centroids: NDArray[np.int8], count: int
) -> NDArray[np.uint16]:
    """The centroids nearest to each centre, by ascending number: u16 [G, min(count, K)].

    Args:
        centres: i8 [G, d].
        centroids: i8 [K, d].
        count: how many for each centre.
    """
    count = min(count, len(centroids))
    vectors = centroids.astype(np.float32)
    squares = np.square(vectors).sum(axis=1)
    near = np.empty((len(centres), count), np.uint16)
    step = max(1, _BLOCK // len(centroids))
    for first in range(0, len(centres), step):
        part = centres[first : first + step].astype(np.float32)
        distances = squares - 2 * (part @ vectors.T)
        chosen = np.argpartition(distances, count - 1, axis=1)[:, :count]
        near[first : first + step] = np.sort(chosen, axis=1)
    return near


def _penalties(centroids: NDArray[np.int8]) -> NDArray[np.int32]:
    """Half the squared lengths: the nearest has the largest dot product minus this. i32 [K]."""
    squares = np.square(centroids, dtype=np.int32).sum(axis=1, dtype=np.int32)
    halves: NDArray[np.int32] = squares // np.int32(2)
    return halves


_kept: OrderedDict[bytes, _Groups] = OrderedDict()
_lock = threading.Lock()


def _groups_of(centroids: NDArray[np.int8], *, make: bool) -> _Groups | None:
    """The groups of these centroids; None if there are none yet and `make` is false.

    Cached by content: adding to an index in small steps opens its codec anew each time.
    """
    content = centroids.tobytes()
    with _lock:
        groups = _kept.get(content)
        if groups is None and make:
            groups = _kept[content] = _made(centroids)
        if groups is not None:
            _kept.move_to_end(content)
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)
    return groups


def _made(centroids: NDArray[np.int8]) -> _Groups:
    count = _GROUPS * round(len(centroids) ** 0.5)
    found = nearest_means(centroids.astype(np.float32), count)[0]
    centres = np.clip(np.rint(found), -127, 127).astype(np.int8)
    near = nearest_to(centres, centroids, max(1, len(centroids) // _SHARE))
    return _Groups(centres, _penalties(centres), near)
