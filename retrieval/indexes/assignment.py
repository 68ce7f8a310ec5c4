"""The nearest centroid of each vector; for many centroids, among those that can be near.

One vector against K centroids costs K * d multiplications, most of what compressing costs. From
some thousands of centroids on these are put in groups, and a vector is compared with the groups'
centres, then with the centroids that lie nearest to its group's. That finds the nearest in 97 % of
cases at 16,384 and 32,768 centroids, and else one almost as near, in a quarter of the time
(measured on code and prose). Making the groups takes as long as comparing a hundred thousand
vectors with all centroids (a third of a second at 16,384), so they are made for many vectors only,
and kept for the next ones that are compared with the same centroids.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels
from retrieval.indexes.clustering import nearest_means

_FLAT = 4096  # up to so many centroids, all are compared
_GROUPS = 16  # times the root of the number of centroids
_SHARE = 32  # one in so many of them is compared with the vectors of a group
_FEW = 1 << 17  # so many vectors are compared with all centroids before groups are made
_BLOCK = 1 << 23  # distances of centres to centroids at a time: 32 MB


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
        return self.among(units, groups, self._near)

    def among(
        self, units: NDArray[np.int8], groups: NDArray[np.uint16], near: NDArray[np.uint16]
    ) -> NDArray[np.uint16]:
        """The nearest of the centroids that are named for each vector's group: u16 [T].

        Args:
            units: i8 [T, d].
            groups: of each vector, u16 [T], below G.
            near: `nearest_to` of the groups' centres, u16 [G, n].
        """
        order = np.argsort(groups, kind="stable")
        grouped = units[order]
        ends = np.cumsum(np.bincount(groups, minlength=len(near)))
        found = np.empty(len(units), np.uint16)
        for group in np.unique(groups):
            members = slice(int(ends[group - 1]) if group else 0, int(ends[group]))
            some = near[group]
            found[members] = some[
                kernels.nearest(grouped[members], self.centroids[some], self._penalties[some])
            ]
        codes = np.empty_like(found)
        codes[order] = found
        return codes


def nearest_to(
    centres: NDArray[np.int8], centroids: NDArray[np.int8], count: int
) -> NDArray[np.uint16]:
    """The centroids nearest to each centre, by ascending number: u16 [G, min(count, K)].

    Args:
        centres: i8 [G, d].
        centroids: i8 [K, d].
        count: how many of each.
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
    """Half the squared lengths: the nearest has the largest dot product less this. i32 [K]."""
    squares = np.square(centroids, dtype=np.int32).sum(axis=1, dtype=np.int32)
    halves: NDArray[np.int32] = squares // np.int32(2)
    return halves


@lru_cache(maxsize=2)  # the codec of an index and its coarse quantiser; some MB each
def _groups(content: bytes, dim: int) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Centres of groups i8 [G, d], and `nearest_to` them u16 [G, K / 32].

    Args:
        content: centroids i8 [K, dim], row by row.
        dim: d.
    """
    centroids = np.frombuffer(content, np.int8).reshape(-1, dim)
    count = _GROUPS * round(len(centroids) ** 0.5)
    found = nearest_means(centroids.astype(np.float32), count)[0]
    centres = np.clip(np.rint(found), -127, 127).astype(np.int8)
    return centres, nearest_to(centres, centroids, max(1, len(centroids) // _SHARE))
