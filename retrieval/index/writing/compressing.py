"""Compressing: which token vectors a writing call compresses, and by which codec."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.vectors import Compression, VectorSegment
from retrieval.index.writing import codecs
from retrieval.index.writing.codecs import (
    bits_for,
    coarse_quantiser_for,
    coarse_quantiser_in_use,
    codec_for,
    codec_in_use,
    living_tokens,
)
from retrieval.index.writing.given_codec import GivenCodec
from retrieval.index.writing.segment_folders import SegmentFolders
from retrieval.indexes import (
    CompressedSegment,
    LateCodec,
    LateSegment,
    StoredCodec,
    train_codec,
)
from retrieval.store import Settings
from retrieval.types import COMPRESSING, ProgressCallback, ProgressUpdate

EXACT = 6_000
"""Number of passages kept exact where the options leave it open: comparing all of their vectors in
8 bits is faster than decoding them, and loses nothing."""

EXACT_OF_BITS = 1_000
"""The same if the options set the bits: a codec trained on fewer passages serves later ones poorly,
and has few training tokens per centroid."""

TOGETHER = 10_000
"""Number of passages kept exact until a writing call ends. So the first codec is trained on
everything that the call brings, or on its first so many passages, independent of when commits
happened."""


class Compressing:
    """Decides what a writing call compresses, and how.

    Args:
        settings: the index's settings.
        folders: the segments that it reads and writes.
        memory: bytes that may be used.
        progress: called while vectors are compressed.
        given: the codec that the index was given, if it does not choose its own.
    """

    def __init__(
        self,
        settings: Settings,
        folders: SegmentFolders,
        memory: int,
        progress: ProgressCallback | None,
        given: GivenCodec | None = None,
    ) -> None:
        self._given = given
        self._options = settings.late
        self._has_tokens = settings.token_dim is not None
        self._folders = folders
        self._memory = memory
        self._progress = progress

    def of_new(self) -> Compression | None:
        """How newly encoded passages are compressed; None keeps them exact for now."""
        if not self._has_tokens:
            return None
        late = self._late(self._folders.vectors().values())
        coarse_quantiser = coarse_quantiser_in_use(late)
        if self._given is not None:
            stored = self._given.stored
        elif self._options.exact_passages is not None:
            stored = None
        else:
            codec = codec_in_use(late)
            stored = None if codec is None else self._stored(codec)
        if stored is None:
            return None
        return Compression(
            stored,
            None if coarse_quantiser is None else self._stored(coarse_quantiser),
        )

    def most_exact(self, *, ended: bool) -> int:
        """How many living passages may be kept exact, at the end of a writing call or before it."""
        if self._given is not None:
            return sys.maxsize if self._given.stored is None else 0
        limit = self._limit()
        return limit if ended else max(limit, TOGETHER)

    def trained(
        self, segments: Iterable[VectorSegment], alive: NDArray[np.bool_], growth: float
    ) -> LateCodec | None:
        """A new codec for the index's token vectors; None if they are few enough to stay exact.

        Args:
            segments: all segments of the index.
            alive: bool by passage id.
            growth: how many times its present token vectors the index will have.
        """
        late = self._late(segments)
        tokens = living_tokens(late, alive)
        living = sum(len(segment.rows(alive)) for segment in late)
        if tokens == 0 or living * growth <= self._limit():
            return None
        bits = self._options.bits or bits_for(int(tokens * growth))
        return train_codec(late, alive, bits=bits, growth=growth, memory=self._memory)

    def _limit(self) -> int:
        """How many passages are kept exact by an index that chooses its own codec."""
        if self._options.exact_passages is not None:
            return self._options.exact_passages
        return EXACT if self._options.bits is None else EXACT_OF_BITS

    def outgrown(
        self, segments: Mapping[str, VectorSegment], alive: NDArray[np.bool_]
    ) -> list[str]:
        """Names of the segments to compress again, with a new codec trained on all of their tokens.

        These are all segments of 4 bits once they have enough token vectors for 2 bits, or several
        times as many as their codec was trained for: that codec was trained on the first
        passages, and represents other kinds of text so poorly that late interaction misses the
        best.
        """
        if self._given is not None:
            return []
        wide = {
            name: segment.late
            for name, segment in segments.items()
            if isinstance(segment.late, CompressedSegment) and segment.late.codec.bits > 2
        }
        codec = codec_in_use(wide.values())
        if codec is None:
            return []
        most = codecs.GROWTH * codec.trained_tokens
        if self._options.bits is None:
            most = min(most, codecs.MANY)
        return list(wide) if living_tokens(wide.values(), alive) >= most else []

    def of_group(
        self,
        members: Sequence[VectorSegment],
        others: Sequence[VectorSegment],
        alive: NDArray[np.bool_],
        *,
        ended: bool,
    ) -> Compression | None:
        """How the token vectors of a merged group are compressed; None keeps them exact.

        Args:
            members: the group.
            others: the other segments of the index.
            alive: bool by passage id.
            ended: whether the writing call ends with this merge.
        """
        group, rest = self._late(members), self._late(others)
        living = sum(len(late.rows(alive)) for late in group)
        tokens = sum(int(late.lengths[late.rows(alive)].sum()) for late in group)
        most = self.most_exact(ended=ended)
        if all(segment.exact for segment in members) and (tokens == 0 or living <= most):
            return None
        if self._progress is not None:  # training a codec comes first and may take a minute
            self._progress(ProgressUpdate(COMPRESSING, 0, tokens, "token vectors"))
        stored = None if self._given is None else self._given.stored
        if stored is None:
            codec = codec_for(
                group, rest, alive, bits=self._options.bits, first=TOGETHER, memory=self._memory
            )
            stored = self._stored(codec)
        passages = living + sum(len(late.rows(alive)) for late in rest)
        coarse_quantiser = coarse_quantiser_for(
            group, rest, alive, stored.codec, memory=self._memory
        )
        return Compression(
            stored,
            None if coarse_quantiser is None else self._stored(coarse_quantiser),
            passages > self._options.list_passages,
            self._memory,
            self._progress,
        )

    def _stored(self, codec: LateCodec) -> StoredCodec:
        return StoredCodec(codec, self._folders.codec(codec))

    @staticmethod
    def _late(segments: Iterable[VectorSegment]) -> list[LateSegment]:
        return [segment.late for segment in segments if segment.late is not None]
