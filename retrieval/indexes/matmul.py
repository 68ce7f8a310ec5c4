"""Products of few vectors with a matrix, in the caller's thread.

OpenBLAS, which numpy brings, shares even a product of 40 by 96 by 96 out among threads; they wait
for each other and for more in a loop, which costs milliseconds of every core, in 10 microseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ALONE = 1 << 18  # multiplications that OpenBLAS does without waking its threads
_MANY = 1 << 24  # multiplications from which on they are worth it


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
