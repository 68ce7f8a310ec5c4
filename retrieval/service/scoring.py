"""Texts as vectors, and how well texts answer a query, without an index of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError
from retrieval.types import Encoder, EncoderSide

_AT_ONCE = 64
"""Texts whose token vectors are held at once."""


def embed(encoder: Encoder, texts: Sequence[str], side: EncoderSide) -> NDArray[np.float32]:
    """The dense vectors of texts: f32 [n, D], unit length.

    Raises:
        EncoderError: the encoder has no dense head.
    """
    made = (
        encoder.encode_queries(texts) if side == "query" else encoder.encode_documents(texts)
    ).dense
    if made is None:
        raise EncoderError(f"encoder {encoder.name!r} has no dense head; use one that has")
    return made


def rerank(encoder: Encoder, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """How well each text answers the query, f32 [n] from 0 to 1.

    MaxSim (Khattab and Zaharia 2020) over the number of the query's vectors: the mean of the best
    cosine that each of them has in the text; below 0 is 0.

    Raises:
        EncoderError: the encoder has no token head.
    """
    asked = encoder.encode_queries([query]).tokens
    scores = np.zeros(len(texts), np.float32)
    for first in range(0, len(texts), _AT_ONCE):
        read = encoder.encode_documents(texts[first : first + _AT_ONCE])
        if asked is None or read.tokens is None or read.offsets is None:
            raise EncoderError(f"encoder {encoder.name!r} has no token head; use one that has")
        cosines = asked @ read.tokens.T
        for at, (start, end) in enumerate(zip(read.offsets, read.offsets[1:], strict=False), first):
            if end > start and len(cosines):
                scores[at] = cosines[:, start:end].max(axis=1).mean()
    return np.clip(scores, 0.0, 1.0)


def count_tokens(encoder: Encoder, texts: Sequence[str]) -> int:
    """How many tokens the texts have, special ones not counted."""
    return sum(len(encoder.token_spans(text)) for text in texts)
