"""A vector segment: a dense and a late folder over the same passages, written and merged as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, IndexCorrupted, from_backup
from retrieval.indexes import (
    LATE_MEMORY,
    DenseSegment,
    LateSegment,
    StoredCodec,
    merge_compressed,
    merge_dense,
    merge_exact,
    open_late,
    write_compressed,
    write_dense,
    write_late,
)
from retrieval.indexes.arrays import first_bad_row
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, ProgressCallback

KIND = "vectors"
DENSE = "dense"
LATE = "late"

CODEC = "codec"
"""The kind of segment that contains a codec, shared by vector segments."""


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """An opened vector segment.

    Attributes:
        name: its folder's name.
        ids: i64 [n], its passages, dead ones included.
        dense: the dense half, or None if the encoder has no dense head.
        late: the token half, or None if the encoder has no token head.
    """

    name: str
    ids: NDArray[np.int64]
    dense: DenseSegment | None
    late: LateSegment | None

    @classmethod
    def open(cls, folder: Path, *, dense: bool, late: bool) -> VectorSegment:
        """Map the halves that are wanted; IndexCorrupted names a damaged file."""
        first = DenseSegment.open(folder / DENSE) if dense else None
        second = open_late(folder / LATE) if late else None
        halves: list[DenseSegment | LateSegment] = [h for h in (first, second) if h is not None]
        for half in halves[1:]:
            if not np.array_equal(half.ids, halves[0].ids):
                raise IndexCorrupted(
                    f"{folder} is damaged: its dense and late parts hold different passages; "
                    + from_backup()
                )
        return cls(folder.name, halves[0].ids, first, second)

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these passages it has, bool [n]."""
        half = self.dense or self.late
        return np.zeros(len(ids), bool) if half is None else half.find(ids) >= 0

    @property
    def exact(self) -> bool:
        """Whether none of it is compressed."""
        return self.late is None or self.late.regime == "exact"


@dataclass(frozen=True, slots=True)
class Compression:
    """How token vectors are compressed.

    Attributes:
        stored: the codec that compresses them.
        coarse_quantiser: the codec whose centroids narrow searches, if that is another one.
        lists: whether the segment gets inverted lists.
        memory: bytes that may be used.
        progress: called after every block of tokens.
    """

    stored: StoredCodec
    coarse_quantiser: StoredCodec | None = None
    lists: bool = False
    memory: int = LATE_MEMORY
    progress: ProgressCallback | None = None


class VectorBuffer:
    """Embeddings that are buffered, to be written as one segment.

    Attributes:
        floats: how many f32 are buffered.
    """

    def __init__(self, *, dense_dim: int | None, token_dim: int | None) -> None:
        self.floats = 0
        self._dims = (dense_dim, token_dim)
        self._ids: list[NDArray[np.int64]] = []
        self._embeddings: list[Embeddings] = []

    def __len__(self) -> int:
        return sum(map(len, self._ids))

    def append(self, ids: NDArray[np.int64], embeddings: Embeddings, names: Sequence[str]) -> None:
        """Buffer the embeddings of these passages.

        Args:
            ids: i64 [n].
            embeddings: of n texts.
            names: the passages' documents, for error messages.

        Raises:
            EncoderError: their number or dimensions are wrong, or one contains NaN or infinity.
        """
        dense_dim, token_dim = self._dims
        dense = embeddings.dense if embeddings.windows is None else embeddings.windows
        tokens = embeddings.tokens
        found = (
            len(embeddings),
            None if dense is None else dense.shape[1],
            None if tokens is None else tokens.shape[1],
        )
        if found != (len(ids), dense_dim, token_dim):
            raise EncoderError(
                f"the encoder returned {found[0]} embeddings of dimensions {found[1:]} for "
                f"{len(ids)} texts, where {self._dims} were expected"
            )
        _check_finite(dense, embeddings.window_offsets, "dense", names)
        _check_finite(tokens, embeddings.offsets, "token", names)
        self._ids.append(ids)
        self._embeddings.append(embeddings)
        self.floats += sum(array.size for array in (dense, tokens) if array is not None)

    def write(self, folder: Path, compression: Compression | None = None) -> None:
        """Write everything into `folder` and clear the buffer.

        Args:
            folder: a new folder.
            compression: how to compress the token vectors; None keeps them exact.
        """
        ids = np.concatenate(self._ids)
        dense = [_dense_of(e) for e in self._embeddings if e.dense is not None]
        tokens = [e.tokens for e in self._embeddings if e.tokens is not None]
        lengths = [np.diff(e.offsets) for e in self._embeddings if e.offsets is not None]
        self.clear()  # below, each array is freed as soon as it is copied
        if dense:
            vectors, counts = map(list, zip(*dense, strict=True))
            dense.clear()
            write_dense(folder / DENSE, ids, _joined(vectors), offsets_of(np.concatenate(counts)))
        if not tokens:
            return
        offsets = offsets_of(np.concatenate(lengths))
        joined = _joined(tokens)
        if compression is None:
            write_late(folder / LATE, ids, joined, offsets)
        else:
            write_compressed(
                folder / LATE,
                ids,
                joined,
                offsets,
                compression.stored.codec,
                shared=compression.stored.folder,
                coarse_quantiser=compression.coarse_quantiser,
            )

    def clear(self) -> None:
        """Clear the buffer."""
        self._ids, self._embeddings, self.floats = [], [], 0


def merge_vectors(
    folder: Path,
    segments: Sequence[VectorSegment],
    alive: NDArray[np.bool_],
    compression: Compression | None = None,
) -> None:
    """Write the living passages of several segments as one.

    Args:
        folder: a new folder.
        segments: at least one, in the order of their passages.
        alive: bool by passage id.
        compression: how to compress the token vectors; None copies them, if all are exact.
    """
    dense = [segment.dense for segment in segments if segment.dense is not None]
    late = [segment.late for segment in segments if segment.late is not None]
    if dense:
        merge_dense(folder / DENSE, dense, alive)
    if late and compression is None:
        merge_exact(folder / LATE, late, alive)
    elif late and compression is not None:
        merge_compressed(
            folder / LATE,
            late,
            compression.stored.codec,
            alive,
            lists=compression.lists,
            shared=compression.stored.folder,
            coarse_quantiser=compression.coarse_quantiser,
            memory=compression.memory,
            progress=compression.progress,
        )


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Concatenate the parts, f32 [r, d], removing each from the list once it is copied."""
    joined = np.empty((sum(map(len, parts)), parts[0].shape[1]), np.float32)
    filled = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        joined[filled : filled + len(part)] = part
        filled += len(part)
    return joined


def _dense_of(embeddings: Embeddings) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The dense vectors to store, f32 [r, D], and how many each text has, i64 [n]."""
    if embeddings.windows is not None and embeddings.window_offsets is not None:
        return embeddings.windows, np.diff(embeddings.window_offsets)
    assert embeddings.dense is not None
    return embeddings.dense, np.ones(len(embeddings), np.int64)


def _check_finite(
    vectors: NDArray[np.float32] | None,
    offsets: NDArray[np.int64] | None,
    what: str,
    names: Sequence[str],
) -> None:
    """Refuse NaN and infinity; without offsets each text has one vector."""
    bad = None if vectors is None else first_bad_row(vectors)
    if bad is None:
        return
    text = bad if offsets is None else int(np.searchsorted(offsets, bad, "right")) - 1
    raise EncoderError(
        f"the encoder returned NaN or infinity in a {what} vector of document {names[text]!r}; "
        "check its weights; nothing of this batch was stored"
    )
