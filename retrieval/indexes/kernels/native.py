"""The compiled kernels under the names and signatures of `reference`.

Importing it raises ImportError where the package was installed without a C compiler.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.kernels._native import (
    available,
    centroid_max,
    centroid_table,
    decode,
    encode,
    isa,
    list_sums,
    max_sim,
    max_sim_compressed,
    nearest,
    nearest_listed,
    probe,
    top_i32,
    top_u16,
    units,
    use,
    ward,
)

__all__ = [
    "available",
    "centroid_max",
    "centroid_table",
    "decode",
    "encode",
    "isa",
    "list_sums",
    "max_sim",
    "max_sim_compressed",
    "nearest",
    "nearest_listed",
    "probe",
    "top",
    "units",
    "use",
    "ward",
]


def top(scores: NDArray[np.int32] | NDArray[np.uint16], k: int) -> NDArray[np.int64]:
    """Positions of the k largest scores, descending, ties by position: i64 [min(k, n)]."""
    out = np.empty(min(k, len(scores)), np.int64)
    if scores.dtype == np.uint16:
        top_u16(cast(NDArray[np.uint16], scores), out)
    else:
        top_i32(cast(NDArray[np.int32], scores), out)
    return out
