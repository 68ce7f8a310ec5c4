"""The nearest centroid of each vector; for many centroids, among those that can be near.

One vector against K centroids costs K * d multiplications, most of what compressing costs. From
some thousands of centroids on these are put in groups, and a vector is compared with the groups'
centres, then with the eighth of all centroids that lies nearest to its group's. That finds the
nearest in 99.7 % of cases at 16,384 centroids, and else one almost as near, in two fifths of the
time (measured). Making the groups takes as long as comparing some ten thousands of vectors with all
centroids (half a second at 8,192, five at 65,536), so they are made for many vectors only, and kept
for the next ones that are compared with the same centroids.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels
from retrieval.indexes.clustering import nearest_means

_FLAT = 4096  # up to so many centroids, all are compared
_SHARE = 8
_FEW = 1 << 15  # so many vectors are compared with all centroids before groups are made


class Assigner:
    """Finds nearest centroids.

    Attributes:
        centroids: i8 [K, d], K from 1 to 65,536.
    """

    __slots__ = ("_centres", "_near", "_penalties", "_seen", "centroids")

    def __init__(self, centroids: NDArray[np.int8]) -> None:
        self.centroids = centroids
        self._penalties = _penalties(centroids)
        self._centres: NDArray[np.int8] | None = None
        self._near: NDArray[np.uint16] = np.empty((0, 0), np.uint16)
        self._seen = 0

    def __call__(self, units: NDArray[np.int8]) -> NDArray[np.uint16]:
        """The centroid of each vector i8 [T, d]: u16 [T]."""
        self._seen += len(units)
        if self._centres is None and len(self.centroids) > _FLAT and self._seen > _FEW:
            # By content: whoever adds to an index in small parts opens its codec anew each time.
            self._centres, self._near = _groups(self.centroids.tobytes(), self.centroids.shape[1])
        if self._centres is None:
            return kernels.nearest(units, self.centroids, self._penalties)
        groups = kernels.nearest(units, self._centres, _penalties(self._centres))
        order = np.argsort(groups, kind="stable")
        ends = np.cumsum(np.bincount(groups, minlength=len(self._centres)))
        codes = np.empty(len(units), np.uint16)
        for near, members in zip(self._near, np.split(order, ends[:-1]), strict=True):
            if len(members):
                found = kernels.nearest(units[members], self.centroids[near], self._penalties[near])
                codes[members] = near[found]
        return codes


def _penalties(centroids: NDArray[np.int8]) -> NDArray[np.int32]:
    """Half the squared lengths: the nearest has the largest dot product less this. i32 [K]."""
    squares = np.square(centroids, dtype=np.int32).sum(axis=1, dtype=np.int32)
    halves: NDArray[np.int32] = squares // np.int32(2)
    return halves


@lru_cache(maxsize=2)  # the codec of an index and its coarse quantiser; some MB each
def _groups(content: bytes, dim: int) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Centres of groups i8 [G, d], and the centroids nearest to each u16 [G, K / 8], rising.

    Args:
        content: centroids i8 [K, dim], row by row.
        dim: d.
    """
    centroids = np.frombuffer(content, np.int8).reshape(-1, dim)
    vectors = centroids.astype(np.float32)
    count = 2 * round(len(centroids) ** 0.5)
    centres = np.clip(np.rint(nearest_means(vectors, count)[0]), -127, 127)
    squares = np.square(vectors).sum(axis=1)
    kept = len(centroids) // _SHARE
    near = np.empty((count, kept), np.uint16)
    for row, centre in zip(near, centres, strict=True):
        distances = squares - 2 * (vectors @ centre)
        row[:] = np.sort(np.argpartition(distances, kept)[:kept])
    return centres.astype(np.int8), near
