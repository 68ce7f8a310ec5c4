"""Writing late segments out of others: copies, and promotion to the compressed regime.

Everything streams: a merge holds one block of tokens and, while it trains, one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.indexes.arrays import ArrayWriter, check_ids, make_folder, open_array, sync_folder
from retrieval.indexes.clustering import draw
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late import training
from retrieval.indexes.late.codec import CENTROIDS, Codec, Compressor
from retrieval.indexes.late.codec_place import STORED, StoredCodec, write_place
from retrieval.indexes.late.compressed import CODES, PROBES, RESIDUALS, CompressedSegment
from retrieval.indexes.late.exact import ExactSegment, checked_tokens, copy_exact
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
    # Several files tell, so that one that is missing is missed, and not another.
    if any((folder / name).exists() for name in (RESIDUALS, STORED, CENTROIDS)):
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
    sample = draw(blocks(), tokens, min(wanted, fit), dim)
    return training.train(sample, tokens, bits=bits)


def merge_compressed(
    folder: Path,
    segments: Sequence[LateSegment],
    codec: Codec,
    allowed: NDArray[np.bool_] | None = None,
    *,
    lists: bool,
    shared: Path | None = None,
    prober: StoredCodec | None = None,
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
        shared: the folder beside the segment's that the codec is written in; None writes it with
            the segment.
        prober: the codec that it is narrowed by, if that is another one.
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
        _Probes(folder, prober) as probes,
    ):
        for segment, rows in pairs:
            for part in _parts(segment, rows, memory):
                probes.copy(segment, part)
                if isinstance(segment, CompressedSegment) and segment.codec.key == codec.key:
                    found = segment.codes[part], segment.residuals[part]
                    errors.append((segment.error, len(found[0])))
                else:
                    found, lost = _encoded(compressor, segment.vectors_of(part))
                    errors.append((lost, len(found[0])))
                codes.append(found[0])
                residuals.append(found[1])
                if progress is not None:
                    progress(ProgressUpdate(COMPRESSING, codes.rows, total, "token vectors"))
    write_place(folder, codec, shared, _mean(errors), prober)
    if lists:
        narrowing = codec if prober is None else prober.codec
        written = open_array(folder / (CODES if prober is None else PROBES), "<u2", ndim=1)
        write_lists(folder, written, offsets, len(narrowing.centroids), memory)
    sync_folder(folder)


def write_compressed(
    folder: Path,
    ids: ArrayLike,
    tokens: ArrayLike,
    offsets: ArrayLike,
    codec: Codec,
    *,
    shared: Path | None = None,
    prober: StoredCodec | None = None,
) -> None:
    """Write a compressed segment of vectors as they come from the encoder.

    Args:
        folder: where it goes.
        ids: as of `write_late`, as are `tokens` f32 [T, d], d the codec's, and `offsets`.
        codec: of the segment.
        shared: as of `merge_compressed`, as is `prober`.

    Raises:
        InputError: as `write_late` does.
        StorageError: a file cannot be written.
    """
    numbers, rows, bounds = checked_tokens(ids, tokens, offsets)
    if rows.shape[1] != codec.dim:
        raise InputError(
            f"the codec is for {codec.dim} dimensions, the vectors have {rows.shape[1]}"
        )
    compressor = Compressor(codec)
    errors: list[tuple[float, int]] = []
    make_folder(folder)
    write_passages(folder, numbers, bounds)
    with (
        ArrayWriter(folder / CODES, "<u2") as codes,
        ArrayWriter(folder / RESIDUALS, "|u1", (codec.dim * codec.bits // 8,)) as residuals,
        _Probes(folder, prober) as probes,
    ):
        for first in range(0, len(rows), _BLOCK):
            found, error = _encoded(compressor, rows[first : first + _BLOCK])
            codes.append(found[0])
            residuals.append(found[1])
            errors.append((error, len(found[0])))
            probes.append(rows[first : first + _BLOCK])
    write_place(folder, codec, shared, _mean(errors), prober)
    sync_folder(folder)


class _Probes:
    """The prober's centroids of the tokens on their way to the disk, if there is a prober."""

    def __init__(self, folder: Path, prober: StoredCodec | None) -> None:
        self._key = None if prober is None else prober.codec.key
        self._compressor = None if prober is None else Compressor(prober.codec)
        self._file = ArrayWriter(folder / PROBES, "<u2")

    def __enter__(self) -> _Probes:
        if self._compressor is not None:
            self._file.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._compressor is not None:
            self._file.__exit__(kind, error, trace)

    def append(self, vectors: NDArray[np.float32]) -> None:
        """Write those of vectors f32 [t, d]."""
        if self._compressor is not None:
            self._file.append(self._compressor.nearest(vectors))

    def copy(self, segment: LateSegment, part: Tokens) -> None:
        """Write those of a segment's tokens: as they stand there, or found by what is stored."""
        if self._compressor is None:
            return
        if isinstance(segment, CompressedSegment) and segment.narrowing.key == self._key:
            self._file.append(segment.probes[part])
        else:
            self.append(segment.vectors_of(part))


def _encoded(
    compressor: Compressor, vectors: NDArray[np.float32]
) -> tuple[tuple[NDArray[np.uint16], NDArray[np.uint8]], float]:
    """Codes and residuals of a block of vectors, and the error of them."""
    found = compressor.encode(vectors)
    some = np.arange(0, len(vectors), max(1, len(vectors) // _MEASURED))
    return found, compressor.codec.lost(vectors[some], found[0][some], found[1][some])


def _mean(errors: Sequence[tuple[float, int]]) -> float:
    """The mean of errors f, each of so many tokens; 0 of none."""
    return sum(error * count for error, count in errors) / max(1, sum(n for _, n in errors))


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
