"""Products of few vectors with a matrix, in the caller's thread.

OpenBLAS, which comes with numpy, distributes even a product of 40 by 96 by 96 over threads; they
spin while waiting for each other and for more work, which costs milliseconds of every core for 10
microseconds of work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ALONE = 1 << 18  # multiplications up to which OpenBLAS wakes no threads
_MANY = 1 << 24  # multiplications from which on threads are worth it


def times(vectors: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """vectors f32 [n, d] times matrix f32 [d, e]: f32 [n, e]."""
    rows = max(1, _ALONE // max(1, matrix.size))
    if len(vectors) <= rows or vectors.size * matrix.shape[1] >= _MANY:
        whole: NDArray[np.float32] = np.matmul(vectors, matrix)
        return whole
    made = np.empty((len(vectors), matrix.shape[1]), np.float32)
    for start in range(0, len(vectors), rows):
        np.matmul(vectors[start : start + rows], matrix, out=made[start : start + rows])
    return made
