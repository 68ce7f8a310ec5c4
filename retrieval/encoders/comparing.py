"""Texts compared by an encoder, without an index: how similar they are, which answers a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.types import Embeddings


@dataclass(frozen=True, slots=True)
class Ranked:
    """A text that was ranked.

    Attributes:
        index: its place among the texts that were given.
        score: what they are ordered by, higher is better; -inf for a text without words.
        text: the text.
    """

    index: int
    score: float
    text: str


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
            InputError: they are no lists of texts.
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
            k: so many; None is all.

        Raises:
            InputError: the query is no text or has no words, or they are no list of texts.
        """
        if not isinstance(query, str) or not query.strip():
            raise InputError(f"query {query!r} is no query; give a text of at least one word")
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise InputError(f"k={k!r} asks for no text; give a number of at least 1, or None")
        listed = texts if isinstance(texts, str) or texts is None else list(texts)
        made = self.encode_documents(listed)
        scores = scores_of(self.encode_queries([query]), made)
        scores[[not text.strip() for text in listed]] = -np.inf
        order = np.argsort(-scores, kind="stable")[:k]
        return [Ranked(int(at), float(scores[at]), listed[at]) for at in order]


def scores_of(query: Embeddings, texts: Embeddings) -> NDArray[np.float32]:
    """What late interaction scores each text, or the cosine where there are no token vectors.

    Args:
        query: embeddings of one query.
        texts: of n texts.

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
