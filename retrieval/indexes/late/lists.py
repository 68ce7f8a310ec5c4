"""Inverted lists: which passages hold a token of each centroid, for segments too large to scan.

Passages stand in blocks of 65,536 rows, so that a posting is a u16 and the sums of a block fit a
core's cache. `late.postings.npy` u16 [P] holds the rows within their block, rising within a list;
`late.starts.npy` i64 [blocks, K + 1] says where: centroid k's list in block b is
postings[starts[b, k]:starts[b, k + 1]]. A passage stands once in a list, however many of its
tokens do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.indexes import kernels
from retrieval.indexes.arrays import CURE, ArrayWriter, open_array, write_array

POSTINGS = "late.postings.npy"
STARTS = "late.starts.npy"


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
    folder: Path, codes: NDArray[np.uint16], offsets: NDArray[np.int64], centroids: int
) -> None:
    """Write the lists of the passages whose tokens have these codes; a block at a time.

    Args:
        folder: the segment's.
        codes: u16 [T].
        offsets: i64 [n + 1].
        centroids: K.
    """
    starts: list[NDArray[np.int64]] = []
    with ArrayWriter(folder / POSTINGS, "<u2") as postings:
        for rows, ends in _blocks(codes, offsets, centroids):
            starts.append(postings.rows + ends)
            postings.append(rows)
    table = np.stack(starts) if starts else np.zeros((0, centroids + 1), np.int64)
    write_array(folder / STARTS, "<i8", table.shape, [table])


def open_lists(folder: Path, passages: int, centroids: int) -> Lists | None:
    """The lists of the segment in `folder`, or None if it has none.

    Raises:
        IndexCorrupted: they are damaged, or not those of so many passages and centroids.
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
    # Only the last block has fewer rows than a posting can name.
    tail = postings[starts[-1, 0] :] if blocks else postings
    if len(tail) and int(tail.max()) >= passages - (blocks - 1) * kernels.LIST_BLOCK:
        raise IndexCorrupted(f"{folder / POSTINGS} names passages that there are not; {CURE}")
    return Lists(postings, starts)


def _blocks(
    codes: NDArray[np.uint16], offsets: NDArray[np.int64], centroids: int
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.int64]]]:
    """Each block's postings, and where each centroid's begin and end among them: i64 [K + 1]."""
    for first in range(0, len(offsets) - 1, kernels.LIST_BLOCK):
        ends = offsets[first : first + kernels.LIST_BLOCK + 1]
        owners = np.repeat(np.arange(len(ends) - 1, dtype=np.uint32), np.diff(ends))
        pairs = codes[ends[0] : ends[-1]].astype(np.uint32) << np.uint32(16)
        pairs |= owners
        pairs.sort()
        if len(pairs):
            pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
        sizes = np.bincount(pairs >> np.uint32(16), minlength=centroids)
        yield (pairs & np.uint32(0xFFFF)).astype(np.uint16), kernels.offsets_of(sizes)
