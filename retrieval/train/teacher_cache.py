"""Cached vectors of a teacher, each text encoded once: on disk, by teacher and digest of the text.

FOLDER/<fingerprint>/<side>/dense, tokens    a `VectorCache` each, in half precision
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.files.vector_cache import VectorCache, digest
from retrieval.types import Embeddings, Encoder, EncoderSide, ProgressCallback, ProgressUpdate

AT_ONCE = 1024
"""Texts that are encoded and then saved together: the most that a killed run loses."""


@dataclass(frozen=True, slots=True)
class TextVectors:
    """One text's vectors: dense f32 [D] and tokens f32 [t, d], None for a missing head."""

    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None


class TeacherCache:
    """The cached vectors of one teacher."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        own = folder / encoder.fingerprint[:32]
        self._sides: dict[EncoderSide, _Side] = {
            "query": _Side.of(encoder, own / "query"),
            "document": _Side.of(encoder, own / "document"),
        }

    def add(
        self,
        texts: Iterable[str],
        side: EncoderSide,
        *,
        progress: ProgressCallback | None = None,
    ) -> int:
        """Encode the texts that are not cached yet; returns their number.

        Args:
            progress: called after every block of texts.
        """
        kept = self._sides[side]
        new = [text for text in dict.fromkeys(texts) if digest(text) not in kept]
        for first in range(0, len(new), AT_ONCE):
            block = new[first : first + AT_ONCE]
            encode = (
                self.encoder.encode_queries if side == "query" else self.encoder.encode_documents
            )
            kept.add(block, encode(block))
            if progress is not None:
                done = first + len(block)
                progress(ProgressUpdate("asking the teacher", done, len(new), "texts"))
        return len(new)

    def get(self, text: str, side: EncoderSide) -> TextVectors:
        """The vectors of a text that was added; KeyError for others."""
        kept, key = self._sides[side], digest(text)
        if key not in kept:
            raise KeyError(text)
        found = kept.get(key)
        if found is None:  # damaged since, so encoded again
            self.add([text], side)
            found = kept.get(key)
            assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class _Side:
    """The vectors of queries, or those of documents."""

    dense: VectorCache[np.float16] | None
    tokens: VectorCache[np.float16] | None

    @classmethod
    def of(cls, encoder: Encoder, folder: Path) -> _Side:
        dense, tokens = (
            None if dim is None else VectorCache(folder / name, dim, np.float16)
            for name, dim in (("dense", encoder.dense_dim), ("tokens", encoder.token_dim))
        )
        return cls(dense, tokens)

    def __contains__(self, key: bytes) -> bool:
        return all(key in kept for kept in (self.dense, self.tokens) if kept is not None)

    def add(self, texts: list[str], made: Embeddings) -> None:
        keys = [digest(text) for text in texts]
        if self.dense is not None and made.dense is not None:
            for key, vector in zip(keys, made.dense, strict=True):
                self.dense.add(key, vector[None])
            self.dense.commit()
        if self.tokens is not None and made.tokens is not None and made.offsets is not None:
            for key, start, end in zip(keys, made.offsets[:-1], made.offsets[1:], strict=True):
                self.tokens.add(key, made.tokens[start:end])
            self.tokens.commit()

    def get(self, key: bytes) -> TextVectors | None:
        """The vectors of a text, or None if some of them cannot be read."""
        found: dict[str, NDArray[np.float32] | None] = {"dense": None, "tokens": None}
        for name, kept in (("dense", self.dense), ("tokens", self.tokens)):
            if kept is None:
                continue
            (rows,) = kept.get([key])
            if rows is None:
                return None
            found[name] = rows.astype(np.float32)
        dense, tokens = found["dense"], found["tokens"]
        return TextVectors(None if dense is None else dense[0], tokens)
