"""Encoding texts, and scoring how well texts answer a query, without an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.cancellation import check_cancelled
from retrieval.encoders.comparing import scores_of
from retrieval.errors import EncoderError
from retrieval.types import Embeddings, Encoder, EncoderSide

_AT_ONCE = 64
"""Texts encoded at a time; work can be cancelled between batches."""


def embed(
    encoder: Encoder, texts: Sequence[str], side: EncoderSide
) -> tuple[NDArray[np.float32], int]:
    """The dense vectors of texts, f32 [n, D], unit length, and the number of tokens read.

    Raises:
        EncoderError: the encoder has no dense head.
        CancelledError: see `retrieval.cancellation`.
    """
    encode = encoder.encode_queries if side == "query" else encoder.encode_documents
    rows, read = [np.empty((0, encoder.dense_dim or 0), np.float32)], 0
    for first in range(0, len(texts), _AT_ONCE):
        check_cancelled()
        some = texts[first : first + _AT_ONCE]
        made = encode(some)
        if made.dense is None:
            raise EncoderError(f"encoder {encoder.name!r} has no dense head; use one that has")
        rows.append(made.dense)
        read += _tokens_read(encoder, some, made)
    return np.concatenate(rows), read


def rerank(encoder: Encoder, query: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """How well each text answers the query, f32 [n] from 0 to 1, and the number of tokens read.

    The late-interaction score divided by the number of the query's vectors: the mean of each one's
    best cosine in the text. For an encoder without a token head it is the cosine of the dense
    vectors. Negative values become 0.

    Raises:
        CancelledError: see `retrieval.cancellation`.
    """
    scores, count, read = _scored(encoder, query, texts)
    return np.clip(scores / count, 0.0, 1.0), read


def late_scores(
    encoder: Encoder, query: str, texts: Sequence[str]
) -> tuple[NDArray[np.float32], int]:
    """Like `rerank`, but with the raw late-interaction score of each text, or the cosine: f32 [n].

    A text without token vectors gets the lowest possible score.
    """
    scores, count, read = _scored(encoder, query, texts)
    return np.maximum(scores, np.float32(-count)), read


def _scored(
    encoder: Encoder, query: str, texts: Sequence[str]
) -> tuple[NDArray[np.float32], int, int]:
    """Late-interaction scores, f32 [n], the number of cosines in each sum, and the tokens read."""
    asked = encoder.encode_queries([query])
    read = _tokens_read(encoder, [query], asked)
    summed = [np.empty(0, np.float32)]
    for first in range(0, len(texts), _AT_ONCE):
        check_cancelled()
        some = texts[first : first + _AT_ONCE]
        made = encoder.encode_documents(some)
        summed.append(scores_of(asked, made))
        read += _tokens_read(encoder, some, made)
    count = 1 if asked.tokens is None else max(1, len(asked.tokens))
    return np.concatenate(summed), count, read


def _tokens_read(encoder: Encoder, texts: Sequence[str], made: Embeddings) -> int:
    """How many tokens the encoder read; counted here only if the embeddings do not say."""
    if made.tokens_read is None:
        return count_tokens(encoder, texts)
    return int(made.tokens_read.sum())


def count_tokens(encoder: Encoder, texts: Sequence[str]) -> int:
    """How many tokens the texts have, without special tokens."""
    return sum(len(encoder.token_spans(text)) for text in texts)
