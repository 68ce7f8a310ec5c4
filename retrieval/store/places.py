"""Places: the position of each passage in an order of all passages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 21  # entries, of 8 bytes
_FEW = 16


class Places:
    """The position of each passage in an order, by id; unknown ids come after all passages.

    It is a table by id, or a binary search where such a table would be far larger than the number
    of passages.
    """

    def __init__(self, ids: NDArray[np.int64], end: int) -> None:
        """Set the order.

        Args:
            ids: ids of all passages, in that order.
            end: an id greater than all of them.
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
        """The number of integers that it stores."""
        return len(self._table) + (0 if self._sorted is None else len(self._sorted))

    def __getitem__(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._sorted is None:
            return self._table.take(ids, mode="clip")
        at = np.searchsorted(self._sorted, ids)
        found = (
            self._sorted.take(at, mode="clip") == ids if self._count else np.zeros(len(ids), bool)
        )
        return np.where(found, self._table[at], self._count)
