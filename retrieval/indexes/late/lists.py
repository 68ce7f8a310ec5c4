"""Inverted lists: which passages hold a token of each centroid, for segments too large to scan.

Passages are divided into blocks of 65,536 rows, so that a posting is a u16 and the sums of a block
fit a core's cache. `late.postings.npy` u16 [P] contains rows within their block, ascending within a
list; `late.starts.npy` i64 [blocks, K + 1] delimits the lists: centroid k's list in block b is
postings[starts[b, k]:starts[b, k + 1]]. A list contains a passage once, however many of its tokens
have that centroid.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.indexes import kernels
from retrieval.indexes.arrays import CURE, ArrayWriter, mapping_of, open_array, write_array

POSTINGS = "late.postings.npy"
STARTS = "late.starts.npy"

_A_TOKEN = 32  # bytes of memory, about, per token while its posting is made


@dataclass(frozen=True, slots=True)
class Lists:
    """The inverted lists of a segment.

    Attributes:
        postings: u16 [P].
        starts: i64 [blocks, K + 1].
    """

    postings: NDArray[np.uint16]
    starts: NDArray[np.int64]


def write_lists(
    folder: Path,
    codes: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    centroids: int,
    memory: int,
) -> None:
    """Write the lists of the passages whose tokens have these codes; block by block.

    Where memory is too small for all tokens of a block, lists are made for some centroids at a
    time, and the block's codes are read once for each part.

    Args:
        folder: the segment's folder.
        codes: u16 [T].
        offsets: i64 [n + 1].
        centroids: K, the number of centroids.
        memory: bytes that may be used.
    """
    at_once = max(256, memory // _A_TOKEN)
    mapped = mapping_of(codes)
    starts: list[NDArray[np.int64]] = []
    with ArrayWriter(folder / POSTINGS, "<u2") as postings:
        for first in range(0, len(offsets) - 1, kernels.LIST_BLOCK):
            ends = offsets[first : first + kernels.LIST_BLOCK + 1]
            begins = np.empty(centroids + 1, np.int64)
            for some in _parts(codes, ends, centroids, at_once):
                pairs = _pairs(codes, ends, some, at_once)
                lists = np.arange(some.start, some.stop, dtype=np.uint32) << np.uint32(16)
                begins[some] = postings.rows + np.searchsorted(pairs, lists)
                postings.append((pairs & np.uint32(0xFFFF)).astype(np.uint16))
            begins[-1] = postings.rows
            starts.append(begins)
            if mapped is not None:
                mapped.madvise(mmap.MADV_DONTNEED)
    table = np.stack(starts) if starts else np.zeros((0, centroids + 1), np.int64)
    write_array(folder / STARTS, "<i8", table.shape, [table])


def open_lists(folder: Path, passages: int, centroids: int) -> Lists | None:
    """The lists of the segment in `folder`, or None if it has none.

    Raises:
        IndexCorrupted: they are damaged, or do not match the numbers of passages and centroids.
    """
    if not (folder / POSTINGS).exists() and not (folder / STARTS).exists():
        return None
    postings = open_array(folder / POSTINGS, "<u2", ndim=1)
    starts = open_array(folder / STARTS, "<i8", ndim=2)
    blocks = -(-passages // kernels.LIST_BLOCK)
    flat = starts.ravel()
    if starts.shape != (blocks, centroids + 1) or (
        blocks and (flat[0] != 0 or flat[-1] != len(postings) or bool((flat[1:] < flat[:-1]).any()))
    ):
        raise IndexCorrupted(f"{folder / STARTS} does not match the segment's lists; {CURE}")
    # Only in the last block can a posting be out of range: it has fewer rows.
    tail = postings[starts[-1, 0] :] if blocks else postings
    if len(tail) and int(tail.max()) >= passages - (blocks - 1) * kernels.LIST_BLOCK:
        raise IndexCorrupted(f"{folder / POSTINGS} contains out-of-range passages; {CURE}")
    if mapped := mapping_of(postings):
        mapped.madvise(mmap.MADV_DONTNEED)  # a small segment's were just read whole
    return Lists(postings, starts)


def _parts(
    codes: NDArray[np.uint16], ends: NDArray[np.int64], centroids: int, at_once: int
) -> list[slice]:
    """Split the centroids into parts that each have about `at_once` of the block's tokens."""
    if ends[-1] - ends[0] <= at_once:
        return [slice(0, centroids)]
    sizes = np.zeros(centroids, np.int64)
    for start in range(int(ends[0]), int(ends[-1]), at_once):
        part = codes[start : min(start + at_once, int(ends[-1]))]
        sizes += np.bincount(part, minlength=centroids)
    return list(kernels.pieces(sizes, at_once))


def _pairs(
    codes: NDArray[np.uint16], ends: NDArray[np.int64], some: slice, at_once: int
) -> NDArray[np.uint32]:
    """These centroids with the block's passages that have them, ascending: centroid << 16 | row."""
    found: list[NDArray[np.uint32]] = []
    for piece in kernels.pieces(np.diff(ends), at_once):
        bounds = ends[piece.start : piece.stop + 1]
        part = codes[bounds[0] : bounds[-1]]
        pairs = np.repeat(np.arange(piece.start, piece.stop, dtype=np.uint32), np.diff(bounds))
        pairs |= part.astype(np.uint32) << np.uint32(16)
        pairs = pairs[(part >= some.start) & (part < some.stop)]
        pairs.sort()
        found.append(pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]])
    if len(found) == 1:
        return found[0]
    together = np.concatenate(found)
    together.sort()
    return together
