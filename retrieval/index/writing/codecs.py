"""Choosing the codec for the token vectors of a segment that is to be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import CompressedSegment, LateCodec, LateSegment, train_codec

GROWTH = 4
"""A new codec is trained at this many times the tokens that the old one was trained for: the old
one then has half the centroids that it should have, and twice as many passages have to be decoded
for an equally good result."""

MANY = 1 << 23
"""Number of token vectors (of some 60 to 90 thousand passages) from which on a codec has so many
centroids that hybrid search loses nothing by residuals of 2 bits (measured)."""

DRIFT = 0.2
"""Share by which the error of stored vectors may exceed the codec's before a new one is trained."""

_MEASURED = 256  # passages of a segment on which the error is measured


def codec_for(
    group: Sequence[LateSegment],
    others: Sequence[LateSegment],
    alive: NDArray[np.bool_],
    *,
    bits: Literal[2, 4] | None,
    first: int,
    memory: int,
) -> LateCodec:
    """The codec to write a group of segments with: one in use if it is good enough, else a new one.

    Args:
        group: the segments to be merged; if all are exact, they have a living token.
        others: the other segments of the index.
        alive: bool by passage id.
        bits: bits per residual of a new codec; None chooses by the number of token vectors.
        first: maximum number of living passages that the index's first codec is trained on.
        memory: bytes that training may use.
    """
    codec = codec_in_use((*group, *others))
    if codec is None:
        alive = _first(group, alive, first)
    tokens = living_tokens(group, alive)  # that a new codec would be trained on
    wanted = bits or bits_for(tokens)
    if codec is not None:
        if codec.bits == 2:
            return codec  # too coarse to be encoded again: see `coarse_quantiser_for`
        # If other segments keep their codec, sharing it is worth more than a better one.
        drifted = not others and _drifted(group, codec, alive)
        outgrown = tokens >= GROWTH * codec.trained_tokens or wanted < codec.bits
        if tokens == 0 or not (outgrown or drifted):
            return codec
    return train_codec(group, alive, bits=wanted, memory=memory)


def bits_for(tokens: int) -> Literal[2, 4]:
    """Bits per residual of so many token vectors where the options leave it open."""
    return 2 if tokens >= MANY else 4


def _first(group: Sequence[LateSegment], alive: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """The first `count` living passages of these segments: bool by passage id."""
    ids = np.concatenate([segment.ids[segment.rows(alive)] for segment in group])
    chosen = np.zeros_like(alive)
    chosen[np.sort(ids)[:count]] = True
    return chosen


def coarse_quantiser_for(
    group: Sequence[LateSegment],
    others: Sequence[LateSegment],
    alive: NDArray[np.bool_],
    codec: LateCodec,
    *,
    memory: int,
) -> LateCodec | None:
    """The codec whose centroids narrow a group: one in use, a new one, or None for `codec`.

    With a coarse quantiser only each token's nearest centroid is stored, which can be computed well
    enough from the stored vectors. So replacing an outgrown one costs only the time to train
    another.

    Args:
        group: the segments to be merged.
        others: the other segments of the index.
        alive: bool by passage id.
        codec: the codec that stores the group.
        memory: bytes that training may use.
    """
    used = coarse_quantiser_in_use((*group, *others))
    narrowing = codec if used is None else used
    if codec.bits > 2 or living_tokens(group, alive) < GROWTH * narrowing.trained_tokens:
        return used
    return train_codec(group, alive, bits=codec.bits, memory=memory)


def coarse_quantiser_in_use(segments: Iterable[LateSegment]) -> LateCodec | None:
    """The coarse quantiser that most token vectors of these segments use, or None."""
    probed = [
        s for s in segments if isinstance(s, CompressedSegment) and s.coarse_quantiser is not None
    ]
    largest = max(probed, key=lambda segment: segment.tokens, default=None)
    return None if largest is None else largest.narrowing


def living_tokens(segments: Iterable[LateSegment], alive: NDArray[np.bool_]) -> int:
    """How many token vectors the living passages of these segments have."""
    return sum(int(segment.lengths[segment.rows(alive)].sum()) for segment in segments)


def codec_in_use(segments: Iterable[LateSegment]) -> LateCodec | None:
    """The codec that stores most token vectors of these segments, or None."""
    compressed = [segment for segment in segments if isinstance(segment, CompressedSegment)]
    largest = max(compressed, key=lambda segment: segment.tokens, default=None)
    return None if largest is None else largest.codec


def errors(segments: Sequence[LateSegment]) -> tuple[float | None, float | None]:
    """The compression error now and when the codecs were trained; None if nothing is compressed.

    Both are means over the compressed segments' tokens.
    """
    compressed = [s for s in segments if isinstance(s, CompressedSegment) and s.tokens]
    tokens = sum(segment.tokens for segment in compressed)
    if not tokens:
        return None, None
    return (
        sum(segment.error * segment.tokens for segment in compressed) / tokens,
        sum(segment.codec.trained_error * segment.tokens for segment in compressed) / tokens,
    )


def _drifted(segments: Sequence[LateSegment], codec: LateCodec, alive: NDArray[np.bool_]) -> bool:
    """Whether the error of vectors stored by the codec is worse than on its training sample."""
    error = sum(_error(segment, codec, alive) * segment.tokens for segment in segments)
    return error > codec.trained_error * (1 + DRIFT) * sum(segment.tokens for segment in segments)


def _error(segment: LateSegment, codec: LateCodec, alive: NDArray[np.bool_]) -> float:
    """The error of a segment's vectors with this codec: stored, or measured on a sample."""
    if isinstance(segment, CompressedSegment) and segment.codec.key == codec.key:
        return segment.error
    rows = segment.rows(alive)
    return codec.error(segment.vectors(rows[:: max(1, len(rows) // _MEASURED)])[0])
