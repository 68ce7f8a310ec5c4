"""Sets of ids as ascending arrays, for some hundreds of passages: a search needs several.

NumPy has functions for all of this, but on arrays of this size `np.unique` and `np.isin` take three
to four times as long, mostly for inspecting their arguments, and import masked arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct values, ascending."""
    ordered = np.sort(values)
    return ordered[first_of_equal(ordered)]


def first_of_equal(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of ascending values is the first of its equals, bool [n]."""
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def places_in(ordered: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each wanted id among ascending ones, i64 [n]; -1 if it is not there."""
    if len(ordered) == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[at] == wanted, at, -1)
