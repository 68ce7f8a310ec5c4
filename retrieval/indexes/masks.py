"""Masks by passage id that take the memory of the passages that there are, not of the ids.

Ids are given out once, so those of an index that changed for years, or that a stranger made, may
be far apart. Memory that is only made to be zero is taken when it is first written to: where few
ids of many are passages, a mask is made by writing to those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted

SMALL = 1 << 24
"""Bytes that any mask may take."""

_FEW = 16
"""Where no more than one id in so many is a passage, a mask is made of those."""


def is_sparse(size: int, passages: int) -> bool:
    """Whether so few of the ids below `size` are passages that each is worth a write."""
    return size > max(SMALL, _FEW * passages)


def mask_of(size: int, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool [size] by passage id: whether it is one of these; ids beyond the end are passed over."""
    mask = np.zeros(size, np.bool_)
    mask[_inside(ids, size)] = True
    return mask


def mask_without(
    size: int, gone: NDArray[np.int64], held: Sequence[NDArray[np.int64]], origin: Path
) -> NDArray[np.bool_]:
    """Bool [size] by passage id: whether it is none of those that are `gone`.

    Args:
        size: of the mask.
        gone: passages.
        held: ids of all passages that there are, in parts; others may be False.
        origin: of the numbers, for errors.

    Raises:
        IndexCorrupted: no memory is as large as the ids, though there are few.
    """
    passages = sum(map(len, held))
    if is_sparse(size, passages):
        try:
            mask = np.zeros(size, np.bool_)
        except (MemoryError, ValueError) as error:
            raise IndexCorrupted(
                f"{origin} numbers its passages up to {size - 1:,}, and holds {passages:,}; copy "
                "the index back from a backup, or delete it and index again, which numbers from 0"
            ) from error
        for ids in held:
            mask[_inside(ids, size)] = True
    else:
        mask = np.ones(size, np.bool_)
    mask[_inside(gone, size)] = False
    return mask


def copy_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same mask, to be written to."""
    if is_sparse(len(mask), int(np.count_nonzero(mask))):
        return mask_of(len(mask), np.flatnonzero(mask))
    return mask.copy()


def _inside(ids: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return ids[(ids >= 0) & (ids < size)]
