"""Writing late segments from other segments: copying, and compressing exact ones.

Everything streams: a merge holds one block of tokens and, while it trains, one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.indexes.arrays import (
    ArrayWriter,
    check_ids,
    force_with_parent,
    make_folder,
    open_array,
)
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late import training
from retrieval.indexes.late.coarse import CoarseCodes
from retrieval.indexes.late.codec import CENTROIDS, Codec, Compressor
from retrieval.indexes.late.codec_place import STORED, CodecPlace, StoredCodec
from retrieval.indexes.late.compressed import COARSE_CODES, CODES, RESIDUALS, CompressedSegment
from retrieval.indexes.late.exact import ExactSegment, checked_tokens, copy_exact
from retrieval.indexes.late.frame import TokenVectors
from retrieval.indexes.late.lists import write_lists
from retrieval.indexes.late.passages import write_passages
from retrieval.indexes.late.sampling import TokensInOrder
from retrieval.indexes.late.search import LateSegment
from retrieval.indexes.quantising import QuantisedVectors
from retrieval.ragged import offsets_of
from retrieval.types import COMPRESSING, ProgressCallback, ProgressUpdate

MEMORY = 3 << 29
"""Bytes that training and encoding may use by default, whatever the size of the corpus."""

_BLOCK = 1 << 17  # tokens at a time: enough that each group of centroids gets some hundreds
_MEASURED = 1 << 12  # tokens of each block whose error is measured
_COPIES = 6  # of a block or sample in f32, the most in memory at once
_MAPPED = 1 << 25
"""Bytes of mapped segments that are read before their pages are released."""


def open_late(folder: Path) -> LateSegment:
    """Map the segment in `folder`; IndexCorrupted names a file that is missing or damaged."""
    # Several files are looked for, so that when one is missing, the error names that one.
    if any((folder / name).exists() for name in (RESIDUALS, STORED, CENTROIDS)):
        return CompressedSegment(folder)
    return ExactSegment(folder)


def merge_exact(
    folder: Path, segments: Sequence[LateSegment], allowed: NDArray[np.bool_] | None = None
) -> None:
    """Write the allowed passages of exact segments as one exact segment, in order.

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
    growth: float = 1.0,
    memory: int = MEMORY,
) -> Codec:
    """A codec for the allowed passages of these segments, trained on a sample of their tokens.

    Args:
        segments: at least one; all of one dimension.
        allowed: bool by passage id; None is all.
        bits: of a residual, 2 or 4.
        growth: how many times these tokens it is to store, at least 1; more tokens get more
            centroids.
        memory: bytes that may be used.

    Raises:
        InputError: there is no token to train on.
    """
    dim = _check(segments)
    fit = max(1, memory // (4 * dim * _COPIES))
    tokens = TokensInOrder(
        [(s, s.rows(allowed)) for s in segments], block=min(_BLOCK, max(256, fit))
    )
    if len(tokens) == 0:
        raise InputError("there is no token vector to train centroids on; add passages first")
    expected = int(growth * len(tokens))
    wanted = training.centroids_for(expected) * training.SAMPLE_A_CENTROID
    sample = tokens.sample(min(training.FRAME_TOKENS, fit), lambda vectors: vectors[:])
    frame = training.frame(sample)
    units = tokens.sample(min(wanted, fit), frame.units)
    codec = training.train(frame, units, expected, bits=bits)
    return replace(codec, trained_error=codec.error(sample))


def merge_compressed(
    folder: Path,
    segments: Sequence[LateSegment],
    codec: Codec,
    allowed: NDArray[np.bool_] | None = None,
    *,
    lists: bool,
    shared: Path | None = None,
    coarse_quantiser: StoredCodec | None = None,
    memory: int = MEMORY,
    progress: ProgressCallback | None = None,
) -> None:
    """Write the allowed passages of several segments as one compressed segment, in order.

    Tokens already stored by this codec are copied; others are encoded.

    Args:
        folder: where the new segment goes; not one of the old ones'.
        segments: at least one, all of the codec's dimension, with no passage in two of them.
        codec: the new segment's codec.
        allowed: bool by passage id; None keeps all.
        lists: whether it gets inverted lists.
        shared: the folder, beside the segment's, that contains the codec; None writes the codec
            into the segment's own.
        coarse_quantiser: the codec whose centroids narrow it, if that is another one.
        memory: bytes that may be used.
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
    make_folder(folder)
    write_passages(folder, ids, offsets)
    with _compressing(folder, codec, shared, coarse_quantiser) as writing:
        for segment, rows in pairs:
            for part in _parts(segment, rows, memory):
                writing.copy(segment, part)
                if progress is not None:
                    progress(ProgressUpdate(COMPRESSING, writing.tokens, total, "token vectors"))
    if lists:
        narrowing = codec if coarse_quantiser is None else coarse_quantiser.codec
        codes = CODES if coarse_quantiser is None else COARSE_CODES
        written = open_array(folder / codes, "<u2", ndim=1)
        write_lists(folder, written, offsets, len(narrowing.centroids), memory)
    force_with_parent(folder)


def write_compressed(
    folder: Path,
    ids: ArrayLike,
    tokens: ArrayLike,
    offsets: ArrayLike,
    codec: Codec,
    *,
    shared: Path | None = None,
    coarse_quantiser: StoredCodec | None = None,
) -> None:
    """Write a compressed segment from an encoder's vectors.

    Args:
        folder: where it goes.
        ids: as for `write_late`, like `tokens` f32 [T, d], d the codec's, and `offsets`.
        codec: the segment's codec.
        shared: as for `merge_compressed`, like `coarse_quantiser`.

    Raises:
        InputError: as `write_late` does.
        StorageError: a file cannot be written.
    """
    numbers, rows, bounds = checked_tokens(ids, tokens, offsets)
    if rows.shape[1] != codec.dim:
        raise InputError(
            f"the codec is for {codec.dim} dimensions, the vectors have {rows.shape[1]}"
        )
    make_folder(folder)
    write_passages(folder, numbers, bounds)
    with _compressing(folder, codec, shared, coarse_quantiser) as writing:
        for first in range(0, len(rows), _BLOCK):
            # Rounded as in an exact segment, so that both ways to compress give the same bytes.
            writing.encode(QuantisedVectors.of(rows[first : first + _BLOCK]))
    force_with_parent(folder)


@contextmanager
def _compressing(
    folder: Path, codec: Codec, shared: Path | None, coarse_quantiser: StoredCodec | None
) -> Iterator[_Compressing]:
    """Write the token files of the segment in `folder`."""
    with ExitStack() as stack:
        width = codec.dim * codec.bits // 8
        writing = _Compressing(
            codec,
            None if coarse_quantiser is None else coarse_quantiser.codec,
            stack.enter_context(ArrayWriter(folder / CODES, "<u2")),
            stack.enter_context(ArrayWriter(folder / RESIDUALS, "|u1", (width,))),
            None
            if coarse_quantiser is None
            else stack.enter_context(ArrayWriter(folder / COARSE_CODES, "<u2")),
        )
        yield writing
    CodecPlace(codec, shared, writing.error, coarse_quantiser).write(folder)


class _Compressing:
    """Writes token vectors into a compressed segment, block by block."""

    def __init__(
        self,
        codec: Codec,
        coarse: Codec | None,
        codes: ArrayWriter,
        residuals: ArrayWriter,
        coarse_codes: ArrayWriter | None,
    ) -> None:
        self._compressor = Compressor(codec)
        self._coarse = None if coarse is None else CoarseCodes(coarse, codec)
        self._codes, self._residuals, self._coarse_codes = codes, residuals, coarse_codes
        self._lost = 0.0

    @property
    def tokens(self) -> int:
        """How many tokens were written."""
        return self._codes.rows

    @property
    def error(self) -> float:
        """The mean error of the tokens, see `Codec.error`; 0 for none."""
        return self._lost / max(1, self.tokens)

    def encode(self, vectors: TokenVectors) -> None:
        """Write vectors f32 [t, d]."""
        codes, residuals = self._compressor.encode(vectors)
        some = np.arange(0, len(vectors), max(1, len(vectors) // _MEASURED))
        error = self._compressor.codec.lost(vectors[some], codes[some], residuals[some])
        self._append(codes, residuals, error)
        self._append_coarse(vectors, codes)

    def copy(self, segment: LateSegment, part: Tokens) -> None:
        """Write a segment's tokens: copied unchanged if it uses the same codecs."""
        if not isinstance(segment, CompressedSegment) or segment.codec.key != self._key:
            self.encode(segment.stored_of(part))
            return
        codes = segment.codes_of(part)
        self._append(codes, segment.residuals[part], segment.error)
        if self._coarse_codes is None or self._coarse is None:
            return
        if segment.narrowing.key == self._coarse.key:
            self._coarse_codes.append(segment.coarse_codes_of(part))
        else:
            self._append_coarse(segment.stored_of(part), codes)

    @property
    def _key(self) -> str:
        return self._compressor.codec.key

    def _append(
        self, codes: NDArray[np.uint16], residuals: NDArray[np.uint8], error: float
    ) -> None:
        self._codes.append(codes)
        self._residuals.append(residuals)
        self._lost += error * len(codes)

    def _append_coarse(self, vectors: TokenVectors, codes: NDArray[np.uint16]) -> None:
        if self._coarse_codes is not None and self._coarse is not None:
            self._coarse_codes.append(self._coarse(vectors, codes))


def _check(segments: Sequence[LateSegment]) -> int:
    dims = {segment.dim for segment in segments}
    if len(dims) != 1:
        raise InputError(f"cannot merge late segments of dimensions {sorted(dims)}; expected one")
    return dims.pop()


def _parts(segment: LateSegment, rows: NDArray[np.int64], memory: int) -> Iterator[Tokens]:
    """The tokens of these passages in blocks; pages that were read are released on the way."""
    size = max(256, min(_BLOCK, memory // (4 * segment.dim * _COPIES)))
    read = 0
    for part in segment.blocks(rows, size):
        yield part
        read += size * segment.dim
        if read > min(_MAPPED, memory // 8):
            segment.release()
            read = 0
    segment.release()
