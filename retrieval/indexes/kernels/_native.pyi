"""The compiled module (native/module.c): what `reference` has, but top() and with shapes checked.

Every function raises ValueError where a shape, a format or a position does not fit.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.kernels.reference import centroid_max as centroid_max
from retrieval.indexes.kernels.reference import centroid_table as centroid_table
from retrieval.indexes.kernels.reference import decode as decode
from retrieval.indexes.kernels.reference import encode as encode
from retrieval.indexes.kernels.reference import list_sums as list_sums
from retrieval.indexes.kernels.reference import max_sim as max_sim
from retrieval.indexes.kernels.reference import max_sim_compressed as max_sim_compressed
from retrieval.indexes.kernels.reference import nearest as nearest
from retrieval.indexes.kernels.reference import nearest_listed as nearest_listed
from retrieval.indexes.kernels.reference import probe as probe
from retrieval.indexes.kernels.reference import units as units
from retrieval.indexes.kernels.reference import ward as ward

def top_i32(scores: NDArray[np.int32], out: NDArray[np.int64]) -> None: ...
def top_u16(scores: NDArray[np.uint16], out: NDArray[np.int64]) -> None: ...
def available() -> list[str]: ...
def use(name: str) -> None: ...
def isa() -> str: ...
