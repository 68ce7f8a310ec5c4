"""A small deterministic encoder: every word has a direction of its own, nothing is learnt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Embeddings

_WORD = re.compile(r"\w+|[^\w\s]")


@cache
def word_vector(word: str, dim: int) -> NDArray[np.float32]:
    """Unit f32 [dim], decided by the word alone."""
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


class FakeEncoder:
    """Implements the Encoder protocol: dense is the normalised sum of the words' vectors."""

    def __init__(
        self,
        dense_dim: int | None = 32,
        token_dim: int | None = 16,
        *,
        max_tokens: int = 512,
        name: str = "fake-words",
    ) -> None:
        self.dense_dim = dense_dim
        self.token_dim = token_dim
        self.max_tokens = max_tokens
        self.name = name
        self.encoded: list[str] = []  # every text of the document side, to see what was encoded
        self.queries = 0

    @property
    def fingerprint(self) -> str:
        parts = f"{self.name} {self.dense_dim} {self.token_dim}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def token_spans(self, text: str) -> NDArray[np.int64]:
        spans = [match.span() for match in _WORD.finditer(text)]
        return np.array(spans, dtype=np.int64).reshape(-1, 2)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        self.encoded.extend(texts)
        return self._encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        self.queries += 1
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Embeddings:
        words = [_WORD.findall(text.lower())[: self.max_tokens] for text in texts]
        offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
        dense = tokens = None
        if self.dense_dim is not None:
            dense = np.zeros((len(texts), self.dense_dim), np.float32)
            for row, text_words in zip(dense, words, strict=True):
                for word in text_words:
                    row += word_vector(word, self.dense_dim)
                row /= max(float(np.linalg.norm(row)), 1e-9)
        if self.token_dim is not None:
            flat = [word_vector(word, self.token_dim) for text in words for word in text]
            tokens = np.array(flat, np.float32).reshape(-1, self.token_dim)
        return Embeddings(dense, tokens, None if tokens is None else offsets)
