"""Masks by passage id, whose memory grows with the number of passages, not with the highest id.

Ids are never reused, so they may be far apart in an index that has changed for years, or that
comes from an untrusted source. Zeroed memory takes up RAM only once it is written to: where few
ids are passages, a mask is zeroed and only the entries of those ids are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted

SMALL = 1 << 24
"""Bytes that a mask may always take."""

_FEW = 16
"""A mask is sparse if fewer than one in this many ids is a passage."""


def is_sparse(size: int, passages: int) -> bool:
    """Whether so few ids below `size` are passages that only those should be written."""
    return size > max(SMALL, _FEW * passages)


def mask_of(size: int, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool [size] by passage id: whether it is one of these; ids out of range are ignored."""
    mask = np.zeros(size, np.bool_)
    mask[_inside(ids, size)] = True
    return mask


def mask_without(
    size: int, gone: NDArray[np.int64], held: Sequence[NDArray[np.int64]], origin: Path
) -> NDArray[np.bool_]:
    """Bool [size] by passage id: False for those that are `gone`.

    Args:
        size: length of the mask.
        gone: ids of passages.
        held: ids of all existing passages, in parts; the mask may be False for any other id.
        origin: the file that the ids are from, for errors.

    Raises:
        IndexCorrupted: the ids are few, but too large for a mask to fit in memory.
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
    """A copy of the mask, for writing."""
    if is_sparse(len(mask), int(np.count_nonzero(mask))):
        return mask_of(len(mask), np.flatnonzero(mask))
    return mask.copy()


def _inside(ids: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return ids[(ids >= 0) & (ids < size)]
