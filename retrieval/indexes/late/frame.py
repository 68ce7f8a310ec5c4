"""The frame of a codec: the coordinates in which it stores token vectors.

    vector = mean + rotation @ (unit * units)

Frames of one dimension share their rotation (`training.frame`). So vectors are taken from one frame
to another without turning them back and forth, which would be most of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import kernels
from retrieval.indexes.matmul import times
from retrieval.indexes.quantising import QuantisedVectors, Vectors, row_blocks


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Coordinates of token vectors.

    Attributes:
        mean: f32 [d].
        rotation: f32 [d, d], orthogonal.
        unit: the size of one step of the integers.
    """

    mean: NDArray[np.float32]
    rotation: NDArray[np.float32]
    unit: float

    def units(self, vectors: TokenVectors) -> NDArray[np.int8]:
        """Vectors f32 [T, d] in units, rounded and clipped to -127..127: i8 [T, d]."""
        if isinstance(vectors, QuantisedVectors):
            return kernels.units(vectors.codes, vectors.scales, self.mean, self.rotation, self.unit)
        units = np.empty((len(vectors), len(self.mean)), np.int8)
        if isinstance(vectors, FramedVectors) and vectors.frame.turned_like(self):
            factor, offset = self._seen_from(vectors.frame)
            for rows in row_blocks(units):
                _round(vectors.units[rows] * factor + offset, units[rows])
            return units
        for rows in row_blocks(units):
            turned = times(vectors[rows] - self.mean, self.rotation)
            turned *= np.float32(1 / self.unit)
            _round(turned, units[rows])
        return units

    def vectors(self, units: NDArray[np.int8]) -> NDArray[np.float32]:
        """The vectors f32 [T, d] of units i8 [T, d]."""
        vectors = np.empty(units.shape, np.float32)
        for rows in row_blocks(units):
            turned = times(units[rows] * np.float32(self.unit), self.rotation.T)
            np.add(turned, self.mean, out=vectors[rows])
        return vectors

    def turned_like(self, other: Frame) -> bool:
        """Whether both have the same rotation."""
        return np.array_equal(self.rotation, other.rotation)

    def _seen_from(self, other: Frame) -> tuple[np.float32, NDArray[np.float32]]:
        """Factor and offset f32 [d] that take units of `other`, turned alike, to units of this."""
        moved = (other.mean - self.mean).astype(np.float64) @ self.rotation
        return np.float32(other.unit / self.unit), (moved / self.unit).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FramedVectors:
    """Vectors in units, a quarter as large as the f32 [n, d] that `[rows]` gives of some.

    Attributes:
        units: i8 [T, d].
        frame: their frame.
    """

    units: NDArray[np.int8]
    frame: Frame

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        return self.frame.vectors(self.units[rows])


TokenVectors: TypeAlias = Vectors | FramedVectors
"""Vectors of which rows are taken as f32."""


def _round(values: NDArray[np.float32], out: NDArray[np.int8]) -> None:
    """Write the nearest integers from -127 to 127 into `out`; changes `values`."""
    np.rint(values, out=values)
    out[:] = np.clip(values, -127, 127, out=values)
