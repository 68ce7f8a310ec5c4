"""Places: where each passage comes among all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 21  # entries, of 8 bytes
_FEW = 16


class Places:
    """The place of every passage in an order, by its id; of ids that are none, the one behind all.

    A table by id, unless that is far larger than the passages are many: then it is searched in.
    """

    def __init__(self, ids: NDArray[np.int64], end: int) -> None:
        """Take the order.

        Args:
            ids: of all passages, in it.
            end: an id that is above all of them.
        """
        self._count = len(ids)
        self._sorted: NDArray[np.int64] | None = None
        if end > max(_SMALL, _FEW * len(ids)):
            self._table = np.append(np.argsort(ids), len(ids))
            self._sorted = np.sort(ids)
        else:
            self._table = np.full(end + 1, len(ids), np.int64)
            self._table[ids] = np.arange(len(ids))

    @property
    def entries(self) -> int:
        """How many numbers it keeps."""
        return len(self._table) + (0 if self._sorted is None else len(self._sorted))

    def __getitem__(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._sorted is None:
            return self._table.take(ids, mode="clip")
        at = np.searchsorted(self._sorted, ids)
        found = (
            self._sorted.take(at, mode="clip") == ids if self._count else np.zeros(len(ids), bool)
        )
        return np.where(found, self._table[at], self._count)
