"""What late segments of all regimes share: passages, and the tokens that each owns."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.indexes import kernels
from retrieval.indexes.arrays import (
    CURE,
    RowsById,
    mapping_of,
    offsets_problem,
    open_array,
    write_array,
)
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late.frame import TokenVectors
from retrieval.ragged import offsets_of

IDS = "late.ids.npy"
OFFSETS = "late.offsets.npy"


class Passages:
    """Ids and tokens of a segment's passages.

    Attributes:
        folder: the segment's folder.
        ids: i64 [n], the passage of each row, read-only.
        offsets: i64 [n + 1]; row i owns tokens offsets[i]:offsets[i + 1].
        lengths: i64 [n], the number of tokens of each row.
        dim: d.
    """

    __slots__ = (
        "_consecutive",
        "_every",
        "_mapped",
        "_rows",
        "dim",
        "folder",
        "ids",
        "lengths",
        "offsets",
    )

    def __init__(
        self,
        folder: Path,
        ids: NDArray[np.int64],
        offsets: NDArray[np.int64],
        *,
        dim: int,
        tokens: Sequence[NDArray[Any]],
    ) -> None:
        """Args: what was opened in `folder`; `tokens` are its large arrays, a row per token."""
        self.folder = folder
        self.ids = ids
        self.offsets = offsets
        self.lengths = np.diff(offsets)
        self.dim = dim
        self._rows = RowsById(ids, folder / IDS)
        self._every = np.arange(len(ids))
        self._consecutive = len(ids) > 0 and bool((ids == self._every + ids[0]).all())
        maps = [mapping_of(array) for array in tokens]
        self._mapped = tuple(mapped for mapped in maps if mapped is not None)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """T, the number of token vectors."""
        return int(self.offsets[-1])

    def rows(self, allowed: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """The rows of the passages that are allowed, bool by passage id; None is all: i64."""
        if allowed is None:
            return self._every
        if self._consecutive:  # four times as fast, and every query with a filter needs it
            return np.flatnonzero(allowed[self.ids[0] :][: len(self)])
        if len(allowed) == 0:
            return self._every[:0]
        picked = allowed.take(self.ids, mode="clip")
        picked &= self.ids < len(allowed)  # an id beyond the end is not allowed
        return np.flatnonzero(picked)

    def find(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each passage id, i64 [n]; -1 if it is not in the segment."""
        return self._rows.find(ids)

    def blocks(self, rows: NDArray[np.int64], size: int) -> Iterator[Tokens]:
        """The tokens of these passages, in order, about `size` at a time."""
        for piece in kernels.pieces(self.lengths[rows], size):
            yield kernels.token_rows(self.offsets, rows[piece])

    def release(self) -> None:
        """Release the pages that were read; they are mapped again when needed.

        They stay in the page cache, so that is cheap. Searches in progress are not disturbed.
        """
        for mapped in self._mapped:
            mapped.madvise(mmap.MADV_DONTNEED)

    def stored_of(self, tokens: Tokens) -> TokenVectors:
        """The vectors of these token rows as they are stored, [t, d]."""
        raise NotImplementedError

    def vectors_of(self, tokens: Tokens) -> NDArray[np.float32]:
        """The stored vectors of these token rows, f32 [t, d]."""
        return self.stored_of(tokens)[:]

    def vectors(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The stored vectors of these passages: f32 [t, d] and offsets i64 [r + 1]."""
        offsets = offsets_of(self.lengths[rows])
        if len(rows) == 0:
            return np.empty((0, self.dim), np.float32), offsets
        return self.vectors_of(kernels.token_rows(self.offsets, rows)), offsets


def dim_problem(dim: int) -> str | None:
    """Why token vectors of so many dimensions cannot be stored and compared, or None."""
    if 16 <= dim <= 256 and dim % 8 == 0:
        return None
    return f"token vectors have {dim} dimensions; expected a multiple of 8 from 16 to 256"


def write_passages(folder: Path, ids: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
    """Write the files of ids and offsets."""
    write_array(folder / IDS, "<i8", ids.shape, [ids])
    write_array(folder / OFFSETS, "<i8", offsets.shape, [offsets])


def open_passages(folder: Path, tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and offsets, checked against the number of tokens; IndexCorrupted if they disagree."""
    ids = open_array(folder / IDS, "<i8", ndim=1)
    offsets = open_array(folder / OFFSETS, "<i8", ndim=1)
    problem = offsets_problem(offsets, len(ids), tokens)
    if problem is not None:
        raise IndexCorrupted(f"{folder / OFFSETS}: {problem}; {CURE}")
    return ids, offsets
