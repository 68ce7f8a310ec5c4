"""Teachers: models that score a query's candidates for a student to learn from.

An encoder reads queries and texts separately, a cross-encoder reads them together. A teacher's
vectors or scores are cached in the given folder, so that nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.checkpoints import open_folder
from retrieval.encoders.cross_encoder import CrossEncoder, is_cross_encoder, load_cross_encoder
from retrieval.errors import InputError
from retrieval.files.vector_cache import VectorCache, digest
from retrieval.index.reading.search import HYBRID
from retrieval.train.teacher_cache import TeacherCache, TextVectors
from retrieval.types import Encoder, ProgressCallback, ProgressUpdate

Kind = Literal["hybrid", "dense", "late"]
"""Which scores of a teacher to learn; `hybrid` fuses those that it has with lexical ones."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Scores = NDArray[np.float32]

PAIRS_AT_ONCE = 1024
"""Pairs that are scored and then saved together: the most that a killed run loses."""

_ANY_SPREAD = 1e-12


class Teacher(Protocol):
    """Scores candidates."""

    def check(self, kind: Kind) -> None:
        """Raise InputError if it has no scores of this kind."""

    def read(
        self,
        asked: Sequence[tuple[str, Sequence[str]]],
        *,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Read (query, its candidates' texts) in advance: the slow part, in one batch."""

    def scores(self, query: str, texts: Sequence[str], lexical: Scores, kind: Kind) -> Scores:
        """Scores of candidates that were read: f32 [n], from 0 to 1.

        Args:
            lexical: f32 [n], lexical scores, which an encoder's `hybrid` adds to its own.
        """


def load_teacher(
    source: str, folder: Path, *, encoder: Callable[[str], Encoder], device: str | None = None
) -> Teacher:
    """The teacher of a checkpoint's folder or Hub id, a cross-encoder or an encoder.

    Args:
        folder: cache of teachers' vectors and scores, for this run and others.
        encoder: loads the source as an encoder.
        device: the device for a cross-encoder.

    Raises:
        CheckpointError: the checkpoint is missing, broken, or neither of the two.
        MissingDependency: it needs a package that is not installed.
    """
    opened = open_folder(source)
    if is_cross_encoder(opened):
        return CrossEncoderTeacher(load_cross_encoder(opened, device=device), folder)
    return EncoderTeacher(TeacherCache(encoder(source), folder))


class EncoderTeacher:
    """Similarities of an encoder's vectors."""

    def __init__(self, kept: TeacherCache) -> None:
        self.kept = kept

    def check(self, kind: Kind) -> None:
        """Raise InputError if it has no head of this kind."""
        encoder = self.kept.encoder
        dims = {"dense": encoder.dense_dim, "late": encoder.token_dim}
        if kind != "hybrid" and dims[kind] is None:
            other = "late" if kind == "dense" else "dense"
            raise InputError(
                f"teacher {encoder.name!r} gives no {kind} scores; ask for {other} or hybrid scores"
            )

    def read(
        self,
        asked: Sequence[tuple[str, Sequence[str]]],
        *,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Encode what is not cached yet."""
        self.kept.add((query for query, _ in asked), "query")
        texts = (text for _, own in asked for text in own)
        self.kept.add(texts, "document", progress=progress)

    def scores(self, query: str, texts: Sequence[str], lexical: Scores, kind: Kind) -> Scores:
        """Cosines, MaxSim, or both with lexical scores, fused as in hybrid search."""
        vectors = [self.kept.get(text, "document") for text in texts]
        columns = _columns(self.kept.get(query, "query"), vectors, kind)
        return fused(columns | ({"lexical": lexical} if kind == "hybrid" else {}))


class CrossEncoderTeacher:
    """Scores of a cross-encoder, each pair read once: cached by fingerprint and pair."""

    def __init__(self, model: CrossEncoder, folder: Path) -> None:
        self.model = model
        self._kept = VectorCache(folder / model.fingerprint[:32] / "pairs", 1, np.float32)

    def check(self, kind: Kind) -> None:
        """Raise InputError unless it is the default: it has one score, neither dense nor late."""
        if kind != "hybrid":
            raise InputError(
                f"teacher {self.model.name!r} is a cross-encoder, which gives no {kind} scores; "
                "leave --teacher-scores out"
            )

    def read(
        self,
        asked: Sequence[tuple[str, Sequence[str]]],
        *,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Score what is not cached yet."""
        pairs = dict.fromkeys((query, text) for query, own in asked for text in own)
        new = [pair for pair in pairs if _key(*pair) not in self._kept]
        for first in range(0, len(new), PAIRS_AT_ONCE):
            block = new[first : first + PAIRS_AT_ONCE]
            self._add(block)
            if progress is not None:
                done = first + len(block)
                progress(ProgressUpdate("asking the teacher", done, len(new), "pairs"))

    def scores(self, query: str, texts: Sequence[str], lexical: Scores, kind: Kind) -> Scores:
        """Its own scores only, as it reads the words itself."""
        found = self._kept.get([_key(query, text) for text in texts])
        lost = [(query, text) for text, row in zip(texts, found, strict=True) if row is None]
        if lost:  # damaged since, so scored again
            self._add(lost)
            found = self._kept.get([_key(query, text) for text in texts])
        rows = [row for row in found if row is not None]
        return min_max(np.concatenate(rows).ravel())

    def _add(self, pairs: Iterable[tuple[str, str]]) -> None:
        pairs = list(pairs)
        for pair, score in zip(pairs, self.model.scores(pairs), strict=True):
            self._kept.add(_key(*pair), score.reshape(1, 1))
        self._kept.commit()


def fused(columns: dict[str, Scores]) -> Scores:
    """The columns, scaled from 0 to 1, summed by hybrid search's weights, and scaled again."""
    total = sum(HYBRID.weights[name] * min_max(column) for name, column in columns.items())
    return min_max(np.asarray(total, np.float32))


def min_max(scores: Scores) -> Scores:
    """Scores scaled to the range from 0 to 1; equal scores become 0."""
    low, high = float(scores.min()), float(scores.max())
    return np.asarray((scores - low) / max(high - low, _ANY_SPREAD), np.float32)


def _key(query: str, text: str) -> bytes:
    # The length separates the query from the text unambiguously.
    return digest(f"{len(query)}\0{query}\0{text}")


def _columns(asked: TextVectors, texts: Sequence[TextVectors], kind: Kind) -> dict[str, Scores]:
    columns: dict[str, Scores] = {}
    if kind != "late" and asked.dense is not None:
        columns["dense"] = np.array([_dot(text.dense, asked.dense) for text in texts], np.float32)
    if kind != "dense" and asked.tokens is not None:
        late = [_max_sim(asked.tokens, text.tokens) for text in texts]
        columns["late"] = np.array(late, np.float32)
    return columns


def _dot(a: Scores | None, b: Scores) -> float:
    return 0.0 if a is None else float(a @ b)


def _max_sim(query: Scores, text: Scores | None) -> float:
    if text is None or not len(text):
        return 0.0
    return float((query @ text.T).max(1).mean())
