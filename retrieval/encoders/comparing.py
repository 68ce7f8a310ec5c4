"""Texts compared by an encoder, without an index: how similar they are, which answers a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.numeric import is_whole
from retrieval.types import Embeddings, Ranked


class Comparing(ABC):
    """The part of an encoder that compares texts."""

    name: str
    dense_dim: int | None
    token_dim: int | None

    @abstractmethod
    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the document side, in the order given."""

    @abstractmethod
    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the query side, in the order given."""

    def similarity(self, a: Sequence[str], b: Sequence[str]) -> NDArray[np.float32]:
        """Cosines of the dense vectors of texts, both read as documents: f32 [len(a), len(b)].

        Raises:
            InputError: `a` or `b` is not a list of texts.
            EncoderError: the encoder has no dense head.
        """
        if self.dense_dim is None:
            raise EncoderError(f"encoder {self.name!r} has no dense head; `rerank` needs none")
        left, right = (self.encode_documents(texts).dense for texts in (a, b))
        assert left is not None and right is not None
        return np.asarray(left @ right.T, np.float32)

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        """The texts in the order in which they answer a query, best first.

        By late interaction: the sum, over the query's tokens, of the largest inner product with a
        token of the text (Khattab and Zaharia, 2020); with an encoder without a token head by
        cosine. Texts without words come last.

        Args:
            query: the query.
            texts: what may answer it.
            k: how many texts to return; None returns all.

        Raises:
            InputError: the query is not a text or has no words, or `texts` is not a list of texts.
        """
        listed = checked_query(query, texts, k)
        made = self.encode_documents(listed)
        return ranked(scores_of(self.encode_queries([query]), made), listed, k)


def checked_query(query: str, texts: Sequence[str], k: int | None) -> list[str]:
    """The texts as a list, after checking the arguments of `rerank`.

    Raises:
        InputError: the query is not a text or has no words, `texts` is not a list of texts, or k is
            not a number from 1.
    """
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"query {query!r} is not a query; give a text with at least one word")
    if k is not None and (not is_whole(k) or k < 1):
        raise InputError(f"k must be a whole number of at least 1, or None for all, not {k!r}")
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InputError(f"{texts!r:.60} was given to be ranked; give a list of texts")
    listed = list(texts)
    for text in listed:
        if not isinstance(text, str):
            raise InputError(
                f"{text!r:.60} was given to be ranked but is not a text; give a list of texts"
            )
    return listed


def ranked(scores: NDArray[np.float32], texts: Sequence[str], k: int | None) -> list[Ranked]:
    """The k texts (None: all) with the highest scores, f32 [n]; texts without words come last."""
    scores = scores.copy()
    scores[[not text.strip() for text in texts]] = -np.inf
    order = np.argsort(-scores, kind="stable")[:k]
    return [Ranked(int(at), float(scores[at]), texts[at]) for at in order]


def scores_of(query: Embeddings, texts: Embeddings) -> NDArray[np.float32]:
    """Each text's late-interaction score, or its cosine where there are no token vectors.

    Args:
        query: embeddings of one query.
        texts: embeddings of n texts.

    Returns:
        f32 [n]; -inf for a text without token vectors.
    """
    if query.tokens is None or texts.tokens is None or texts.offsets is None:
        assert query.dense is not None and texts.dense is not None
        return np.asarray(texts.dense @ query.dense[0], np.float32)
    scores = np.full(len(texts), -np.inf, np.float32)
    for at, (start, end) in enumerate(zip(texts.offsets[:-1], texts.offsets[1:], strict=True)):
        if end > start:
            scores[at] = (texts.tokens[start:end] @ query.tokens.T).max(axis=0).sum()
    return scores
