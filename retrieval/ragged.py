"""Ragged arrays: rows of several owners in one array, and the offsets that separate them.

Owner i has the rows `offsets[i]:offsets[i + 1]`; offsets are i64 [n + 1] and begin with 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def offsets_of(lengths: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """The running sum of the lengths [n], from 0: i64 [n + 1]."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def rows_of(offsets: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of these owners, owner by owner: i64 [rows]."""
    starts, stops = offsets[owners], offsets[owners + 1]
    lengths = stops - starts
    shift = starts - offsets_of(lengths)[:-1]
    rows: NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(shift, lengths)
    return rows
