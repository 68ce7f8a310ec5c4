"""Sets of ids as ascending arrays, of some hundreds of passages: a search asks for several.

NumPy has functions for all of it. On arrays of this size `np.unique` and `np.isin` take three to
four times as long, most of it to find out what they were given, and load masked arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values, ascending and each once."""
    ordered = np.sort(values)
    return ordered[first_of_equal(ordered)]


def first_of_equal(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ascending values is the first of those that are equal, bool [n]."""
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def places_in(ordered: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of the wanted ids stands among ascending ones, i64 [n]; -1 where it does not."""
    if len(ordered) == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[at] == wanted, at, -1)
