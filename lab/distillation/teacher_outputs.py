"""One teacher's vectors of a batch, encoded once if they are cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.long_texts import LongTexts
from lab.distillation.teacher import Targets, Teacher
from lab.text.corpus import TokenCorpus
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.heads import mean_pool
from retrieval.files.vector_cache import VectorCache, digest
from retrieval.ragged import offsets_of
from retrieval.types import Encoder

Bits: TypeAlias = NDArray[np.uint16]
"""Vectors in bfloat16, as numpy stores them."""


@dataclass(frozen=True, slots=True)
class TeacherOutput:
    """One teacher's vectors of T tokens in n texts.

    Attributes:
        hidden: f32 [T, D]; None if its token vectors are not learnt.
        pooled: f32 [n, D]; None if its pooled vectors are not learnt.
        states: each layer's output [T, D]; empty if not requested.
    """

    hidden: Tensor | None
    pooled: Tensor | None
    states: Sequence[Tensor] = ()

    def followed_by(self, other: TeacherOutput) -> TeacherOutput:
        """The vectors of these texts and then of the other's, without the layers'."""
        hidden, pooled = (
            None if one is None or two is None else torch.cat([one, two])
            for one, two in ((self.hidden, other.hidden), (self.pooled, other.pooled))
        )
        return TeacherOutput(hidden, pooled)


class CachedTeacher:
    """A teacher that encodes only what is not cached."""

    def __init__(self, teacher: Teacher, folder: Path) -> None:
        """Open the folder's cache, which belongs to this teacher alone."""
        self.teacher, self.device = teacher, teacher.device
        self._hidden = VectorCache(folder / "tokens", teacher.width, np.uint16)
        self._inner = VectorCache(
            folder / "layers", teacher.width * max(teacher.layers - 1, 1), np.uint16
        )

    def __call__(self, texts: Sequence[NDArray[Any]], *, states: bool = False) -> Targets:
        """Token ids of n texts, special tokens included, to their targets, flat."""
        states = states and self.teacher.layers > 1
        keys = [digest(np.asarray(text, "<i8").tobytes()) for text in texts]
        hidden = self._hidden.get(keys)
        inner: list[Bits | None] = self._inner.get(keys) if states else [None] * len(keys)
        new = {
            key: number
            for number, key in enumerate(keys)
            if hidden[number] is None or (states and inner[number] is None)
        }
        encoded = self._encode([texts[number] for number in new.values()], states) if new else []
        new_vectors = dict(zip(new, encoded, strict=True))
        # Cached vectors are not replaced, so that a text has the same vectors in every run.
        for key, number in new.items():
            if hidden[number] is None:
                self._hidden.add(key, new_vectors[key][0])
            if states:
                self._inner.add(key, new_vectors[key][1])
        for number, key in enumerate(keys):
            if hidden[number] is None:
                hidden[number] = new_vectors[key][0]
            if states and inner[number] is None:
                inner[number] = new_vectors[key][1]
        out = self._tensor(hidden)
        if not states:
            return Targets(out.float(), [])
        layers = self._tensor(inner).view(len(out), -1, self.teacher.width).unbind(1)
        return Targets(out.float(), [*layers, out])

    def commit(self) -> None:
        """Write cached vectors to disk."""
        self._hidden.commit()
        self._inner.commit()

    def _encode(self, texts: Sequence[NDArray[Any]], states: bool) -> list[tuple[Bits, Bits]]:
        """Each text's last hidden states, and those of its inner layers concatenated."""
        targets = self.teacher(texts, states=states)
        inner = targets.states[:-1]
        # The teacher computes in bfloat16, so that nothing is lost by storing it.
        last = targets.hidden.to(torch.bfloat16)
        others = torch.cat(inner, 1) if states else last
        ends = np.cumsum([len(text) for text in texts])[:-1]
        return list(zip(np.split(_bits(last), ends), np.split(_bits(others), ends), strict=True))

    def _tensor(self, rows: Sequence[Bits | None]) -> Tensor:
        whole = np.concatenate([row for row in rows if row is not None])
        return torch.from_numpy(whole.view(np.int16)).view(torch.bfloat16).to(self.device)


@dataclass(frozen=True, slots=True)
class TokenReader:
    """A teacher that reads the student's tokens."""

    teacher: Teacher | CachedTeacher
    corpus: TokenCorpus
    tokens: bool
    pooled: bool

    def of_texts(self, texts: NDArray[np.int64], *, states: bool = False) -> TeacherOutput:
        """Its output for texts of the corpus."""
        rows = [self.corpus[int(text)] for text in texts]
        return self._output(self.teacher(rows, states=states), rows)

    def of_long(self, long_texts: LongTexts, runs: Sequence[NDArray[np.int64]]) -> TeacherOutput:
        """Its output for long texts, read window by window."""
        return self._output(long_texts.targets(self.teacher), long_texts.texts)

    def commit(self) -> None:
        """Write cached vectors to disk."""
        if isinstance(self.teacher, CachedTeacher):
            self.teacher.commit()

    def _output(self, targets: Targets, rows: Sequence[NDArray[Any]]) -> TeacherOutput:
        pooled = None
        if self.pooled:
            layout = Layout.of([len(row) for row in rows], targets.hidden.device)
            pooled = mean_pool(targets.hidden, layout)
        return TeacherOutput(targets.hidden if self.tokens else None, pooled, targets.states)


class TextReader:
    """A teacher that reads text with a tokenizer of its own."""

    def __init__(
        self, encoder: Encoder, corpus: TokenCorpus, device: torch.device, folder: Path | None
    ) -> None:
        self._encoder, self._corpus, self._device = encoder, corpus, device
        self._queries = frozenset(corpus.pairs[:, 0].tolist())
        assert encoder.dense_dim is not None
        self._cache = (
            None
            if folder is None
            else VectorCache(folder / "pooled", encoder.dense_dim, np.float16)
        )

    def of_texts(self, texts: NDArray[np.int64], *, states: bool = False) -> TeacherOutput:
        """Its output for texts of the corpus; it has no layers to return."""
        return TeacherOutput(None, torch.from_numpy(self._vectors(texts)).to(self._device))

    def of_long(self, long_texts: LongTexts, runs: Sequence[NDArray[np.int64]]) -> TeacherOutput:
        """For a long text, the mean of its windows' vectors, weighted by their tokens."""
        windows = np.concatenate(runs)
        weighted = self._vectors(windows) * self._corpus.lengths[windows, None]
        starts = offsets_of([len(run) for run in runs])[:-1]
        sums = np.add.reduceat(weighted, starts, dtype=np.float32)
        return TeacherOutput(None, torch.from_numpy(sums).to(self._device))

    def commit(self) -> None:
        """Write cached vectors to disk."""
        if self._cache is not None:
            self._cache.commit()

    def _vectors(self, texts: NDArray[np.int64]) -> NDArray[np.float32]:
        """f32 [n, D], rounded to f16 as in the cache."""
        numbers = [int(text) for text in texts]
        keys = [self._key_of(number) for number in numbers]
        cached = [None] * len(keys) if self._cache is None else self._cache.get(keys)
        vectors = dict(zip(keys, cached, strict=True))
        for queries in (True, False):
            new = {
                key: number
                for key, number in zip(keys, numbers, strict=True)
                if vectors[key] is None and (number in self._queries) == queries
            }
            if not new:
                continue
            encode = self._encoder.encode_queries if queries else self._encoder.encode_documents
            dense = encode([self._corpus.text_of(number) for number in new.values()]).dense
            assert dense is not None
            for key, vector in zip(new, dense.astype(np.float16), strict=True):
                vectors[key] = vector[None]
                if self._cache is not None:
                    self._cache.add(key, vector[None])
        rows = [row for key in keys if (row := vectors[key]) is not None]
        return np.concatenate(rows).astype(np.float32)

    def _key_of(self, number: int) -> bytes:
        side = b"query\0" if number in self._queries else b"document\0"
        return digest(side + self._corpus.text_of(number).encode())


def _bits(values: Tensor) -> Bits:
    array: NDArray[np.int16] = values.contiguous().view(torch.int16).cpu().numpy()
    return array.view(np.uint16)
