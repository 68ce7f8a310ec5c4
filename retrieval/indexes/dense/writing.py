"""Writing dense segments: from an encoder's vectors or from other segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes.arrays import (
    CURE,
    ArrayWriter,
    check_ids,
    check_vectors,
    first_bad_row,
    force_with_parent,
    make_folder,
    offsets_problem,
    open_array,
    write_array,
)
from retrieval.indexes.dense import lists
from retrieval.indexes.dense.merging import BLOCK, Merging, Rows
from retrieval.indexes.dense.segment import (
    CODES,
    IDS,
    OFFSETS,
    SCALES,
    DenseSegment,
)
from retrieval.indexes.quantising import quantise
from retrieval.ragged import offsets_of

FLOATS = "dense.vectors.npy"
"""f32 [r, D]: vectors in an index of format 3 or older."""


def write_dense(
    folder: Path, ids: ArrayLike, vectors: ArrayLike, offsets: ArrayLike | None = None
) -> None:
    """Write a segment into `folder` (created if need be) and fsync it.

    Args:
        folder: where the files go.
        ids: i64 [n], not negative, all different.
        vectors: f32 [r, D], unit length as encoders return them.
        offsets: i64 [n + 1]; passage i owns vectors[offsets[i]:offsets[i + 1]]. None: one each.

    Raises:
        InputError: shapes disagree, or a vector holds NaN or infinity (its passage is named).
        StorageError: a file cannot be written.
    """
    names = check_ids(ids)
    rows = check_vectors(vectors, "dense vectors")
    bounds = np.arange(len(names) + 1) if offsets is None else np.asarray(offsets, np.int64)
    if offsets is None and len(names) != len(rows):
        raise InputError(f"{len(names)} passage ids for {len(rows)} dense vectors")
    problem = offsets_problem(bounds, len(names), len(rows))
    if problem:
        raise InputError(f"dense vectors: {problem}")
    bad = first_bad_row(rows)
    if bad is not None:
        passage = names[np.searchsorted(bounds, bad, "right") - 1]
        raise InputError(f"the dense vector of passage {passage} holds NaN or infinity")
    make_folder(folder)
    _write(folder, names, bounds, rows.shape[1], _quantised(rows))


def write_from_floats(folder: Path, source: Path) -> None:
    """Convert the segment in `source` from the old format of 32-bit floats.

    Raises:
        IndexCorrupted: a file there is missing or damaged.
        StorageError: a file cannot be written.
    """
    ids = open_array(source / IDS, "<i8", ndim=1)
    vectors = open_array(source / FLOATS, "<f4", ndim=2)
    offsets = np.arange(len(ids) + 1)
    if (source / OFFSETS).exists():
        offsets = open_array(source / OFFSETS, "<i8", ndim=1)
    problem = offsets_problem(offsets, len(ids), len(vectors))
    if problem:
        raise IndexCorrupted(f"{source / OFFSETS}: {problem}; {CURE}")
    make_folder(folder)
    _write(folder, ids, offsets, vectors.shape[1], _quantised(vectors))


def merge_dense(
    folder: Path,
    segments: Sequence[DenseSegment],
    allowed: NDArray[np.bool_] | None = None,
    *,
    listed: int | None = None,
) -> None:
    """Write the allowed passages of several segments as one, in order, copying vectors unchanged.

    Args:
        folder: where the new segment goes; not one of the old ones'.
        segments: at least one, all of one dimension, with no passage in two of them.
        allowed: bool by passage id; None keeps all.
        listed: number of vectors from which on it gets inverted lists; None is `lists.FEWEST`.
    """
    dims = {segment.dim for segment in segments}
    if len(dims) != 1:
        raise InputError(f"cannot merge dense segments of dimensions {sorted(dims)}; expected one")
    merging = Merging(segments, allowed)
    ids = check_ids(np.concatenate([s.ids[at] for s, at in merging.parts]))
    offsets = offsets_of(merging.counts)
    make_folder(folder)
    order = None
    if len(merging) >= max(1, lists.FEWEST if listed is None else listed):
        centroids = merging.centroids()
        order = lists.write_lists(folder, centroids, merging.lists(centroids), merging.counts)
    _write(folder, ids, offsets, dims.pop(), merging.blocks(order))


def _quantised(vectors: NDArray[np.float32]) -> Iterator[Rows]:
    """Codes, and scales that keep each vector's length, so that rounding puts no cosine above 1."""
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        codes, scales = quantise(block)
        divisors = np.where(scales > 0, scales, 1)[:, None]
        # Lengths are measured in code steps: squares of the raw values could leave f32's range.
        kept = np.linalg.norm(codes.astype(np.float32), axis=1)
        scales *= np.linalg.norm(block / divisors, axis=1) / np.maximum(kept, 1)
        yield codes, scales


def _write(
    folder: Path,
    ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    dim: int,
    blocks: Iterable[Rows],
) -> None:
    write_array(folder / IDS, "<i8", ids.shape, [ids])
    with (
        ArrayWriter(folder / CODES, "|i1", (dim,)) as codes,
        ArrayWriter(folder / SCALES, "<f4") as scales,
    ):
        for some, their_scales in blocks:
            codes.append(some)
            scales.append(their_scales)
    if not (np.diff(offsets) == 1).all():
        write_array(folder / OFFSETS, "<i8", offsets.shape, [offsets])
    force_with_parent(folder)
