"""Texts as vectors, and how well texts answer a query, without an index of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.cancellation import check_cancelled
from retrieval.encoders.comparing import scores_of
from retrieval.errors import EncoderError
from retrieval.types import Encoder, EncoderSide

_AT_ONCE = 64
"""Texts whose token vectors are held at once; between so many, work can be cancelled."""


def embed(encoder: Encoder, texts: Sequence[str], side: EncoderSide) -> NDArray[np.float32]:
    """The dense vectors of texts: f32 [n, D], unit length.

    Raises:
        EncoderError: the encoder has no dense head.
        CancelledError: see `retrieval.cancellation`.
    """
    encode = encoder.encode_queries if side == "query" else encoder.encode_documents
    rows = []
    for first in range(0, len(texts), _AT_ONCE):
        check_cancelled()
        made = encode(texts[first : first + _AT_ONCE]).dense
        if made is None:
            raise EncoderError(f"encoder {encoder.name!r} has no dense head; use one that has")
        rows.append(made)
    return np.concatenate(rows) if rows else np.empty((0, encoder.dense_dim or 0), np.float32)


def rerank(encoder: Encoder, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """How well each text answers the query, f32 [n] from 0 to 1.

    Late interaction's score over the number of the query's vectors: the mean of the best cosine
    that each of them has in the text. With an encoder without a token head it is the cosine of the
    dense vectors. Below 0 is 0.

    Raises:
        CancelledError: see `retrieval.cancellation`.
    """
    scores, count = _scored(encoder, query, texts)
    return np.clip(scores / count, 0.0, 1.0)


def late_scores(encoder: Encoder, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """Late interaction's own score of each text, f32 [n], or the cosine; raises as `rerank`.

    A text without token vectors has the least that there may be, that of the opposite of all.
    """
    scores, count = _scored(encoder, query, texts)
    return np.maximum(scores, np.float32(-count))


def _scored(encoder: Encoder, query: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """Late interaction's scores, f32 [n], and of how many cosines each is the sum."""
    asked = encoder.encode_queries([query])
    summed = [np.empty(0, np.float32)]
    for first in range(0, len(texts), _AT_ONCE):
        check_cancelled()
        summed.append(scores_of(asked, encoder.encode_documents(texts[first : first + _AT_ONCE])))
    count = 1 if asked.tokens is None else max(1, len(asked.tokens))
    return np.concatenate(summed), count


def count_tokens(encoder: Encoder, texts: Sequence[str]) -> int:
    """How many tokens the texts have, special ones not counted."""
    return sum(len(encoder.token_spans(text)) for text in texts)
