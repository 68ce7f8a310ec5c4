"""Writing late segments out of others: copies, and promotion to the compressed regime.

Everything streams: a merge holds one block of tokens and, while it trains, one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.indexes.arrays import ArrayWriter, check_ids, make_folder, open_array, sync_folder
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late import training
from retrieval.indexes.late.codec import CENTROIDS, Codec, Compressor
from retrieval.indexes.late.compressed import CODES, RESIDUALS, CompressedSegment
from retrieval.indexes.late.exact import ExactSegment, copy_exact
from retrieval.indexes.late.lists import write_lists
from retrieval.indexes.late.passages import write_passages
from retrieval.indexes.late.search import LateSegment
from retrieval.ragged import offsets_of
from retrieval.types import COMPRESSING, ProgressCallback, ProgressUpdate

MEMORY = 2 << 30
"""Bytes that training and encoding may take, by default, whatever the size of the corpus."""

_BLOCK = 1 << 17  # tokens at a time: enough that each group of centroids gets some hundreds
_MEASURED = 1 << 12  # tokens of each block whose error is measured
_COPIES = 6  # of a block or sample in f32 stand in memory at once, about


def open_late(folder: Path) -> LateSegment:
    """Map the segment in `folder`; IndexCorrupted names a file that is missing or damaged."""
    # Two files tell, so that one that is missing is missed, and not another.
    if (folder / RESIDUALS).exists() or (folder / CENTROIDS).exists():
        return CompressedSegment(folder)
    return ExactSegment(folder)


def merge_exact(
    folder: Path, segments: Sequence[LateSegment], allowed: NDArray[np.bool_] | None = None
) -> None:
    """Write one exact segment out of the allowed passages of exact ones, in order.

    Args:
        folder: where the new segment goes; not one of the old ones'.
        segments: at least one, all exact and of one dimension, with no passage in two of them.
        allowed: bool by passage id; None keeps all.
    """
    exact = [segment for segment in segments if isinstance(segment, ExactSegment)]
    if len(exact) < len(segments):
        raise InputError("a compressed segment cannot be made exact again; merge it compressed")
    _check(segments)
    copy_exact(folder, exact, [segment.rows(allowed) for segment in exact])


def train_codec(
    segments: Sequence[LateSegment],
    allowed: NDArray[np.bool_] | None = None,
    *,
    bits: int = 4,
    memory: int = MEMORY,
) -> Codec:
    """A codec for the allowed passages of these segments, trained on a sample of their tokens.

    Args:
        segments: at least one; all of one dimension.
        allowed: bool by passage id; None is all.
        bits: of a residual, 2 or 4.
        memory: bytes that may be taken.

    Raises:
        InputError: there is no token to train on.
    """
    dim = _check(segments)
    kept = [segment.rows(allowed) for segment in segments]
    tokens = sum(int(s.lengths[rows].sum()) for s, rows in zip(segments, kept, strict=True))
    if tokens == 0:
        raise InputError("there is no token vector to train centroids on; add passages first")
    wanted = training.centroids_for(tokens) * training.SAMPLE_A_CENTROID

    def blocks() -> Iterator[NDArray[np.float32]]:
        for segment, rows in zip(segments, kept, strict=True):
            for part in _parts(segment, rows, memory):
                yield segment.vectors_of(part)

    fit = max(1, memory // (4 * dim * _COPIES))
    sample = training.draw(blocks(), tokens, min(wanted, fit), dim)
    return training.train(sample, tokens, bits=bits)


def merge_compressed(
    folder: Path,
    segments: Sequence[LateSegment],
    codec: Codec,
    allowed: NDArray[np.bool_] | None = None,
    *,
    lists: bool,
    memory: int = MEMORY,
    progress: ProgressCallback | None = None,
) -> None:
    """Write one compressed segment out of the allowed passages of several, in order.

    What is stored by the same codec is copied; the rest is encoded.

    Args:
        folder: where the new segment goes; not one of the old ones'.
        segments: at least one, all of the codec's dimension, with no passage in two of them.
        codec: of the new segment.
        allowed: bool by passage id; None keeps all.
        lists: whether it gets inverted lists.
        memory: bytes that may be taken.
        progress: called after every block.
    """
    dim = _check(segments)
    if dim != codec.dim:
        raise InputError(f"the codec is for {codec.dim} dimensions, the segments have {dim}")
    kept = [segment.rows(allowed) for segment in segments]
    pairs = list(zip(segments, kept, strict=True))
    ids = check_ids(np.concatenate([segment.ids[rows] for segment, rows in pairs]))
    offsets = offsets_of(np.concatenate([s.lengths[rows] for s, rows in pairs]))
    total = int(offsets[-1])
    compressor = Compressor(codec)
    errors: list[tuple[float, int]] = []
    make_folder(folder)
    write_passages(folder, ids, offsets)
    with (
        ArrayWriter(folder / CODES, "<u2") as codes,
        ArrayWriter(folder / RESIDUALS, "|u1", (dim * codec.bits // 8,)) as residuals,
    ):
        for segment, rows in pairs:
            for part in _parts(segment, rows, memory):
                if isinstance(segment, CompressedSegment) and segment.codec.key == codec.key:
                    found = segment.codes[part], segment.residuals[part]
                    errors.append((segment.error, len(found[0])))
                else:
                    vectors = segment.vectors_of(part)
                    found = compressor.encode(vectors)
                    some = np.arange(0, len(vectors), max(1, len(vectors) // _MEASURED))
                    lost = codec.lost(vectors[some], found[0][some], found[1][some])
                    errors.append((lost, len(vectors)))
                codes.append(found[0])
                residuals.append(found[1])
                if progress is not None:
                    progress(ProgressUpdate(COMPRESSING, codes.rows, total, "token vectors"))
    error = sum(error * count for error, count in errors) / max(1, total)
    codec.write(folder, error)
    if lists:
        written = open_array(folder / CODES, "<u2", ndim=1)
        write_lists(folder, written, offsets, len(codec.centroids), memory)
    sync_folder(folder)


def _check(segments: Sequence[LateSegment]) -> int:
    dims = {segment.dim for segment in segments}
    if len(dims) != 1:
        raise InputError(f"cannot merge late segments of dimensions {sorted(dims)}; expected one")
    return dims.pop()


def _parts(segment: LateSegment, rows: NDArray[np.int64], memory: int) -> Iterator[Tokens]:
    """The tokens of these passages in blocks; pages that were read are given back on the way."""
    size = max(256, min(_BLOCK, memory // (4 * segment.dim * _COPIES)))
    read = 0
    for part in segment.blocks(rows, size):
        yield part
        read += size * segment.dim
        if read > memory // 8:
            segment.release()
            read = 0
    segment.release()
