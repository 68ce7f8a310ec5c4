"""What a teacher thinks of the candidates: one number each, between 0 and 1 for every query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.index.reading.search import HYBRID
from retrieval.train.mining import Mined, text_of
from retrieval.train.task import Task
from retrieval.train.teacher_cache import TeacherCache, TextVectors
from retrieval.types import ProgressCallback

Kind = Literal["hybrid", "dense", "late"]
"""Which scores of a teacher count; `hybrid` fuses those that it has, words included."""

KINDS: tuple[Kind, ...] = ("hybrid", "dense", "late")

Scores = NDArray[np.float32]

_ANY_SPREAD = 1e-12


def own_scores(mined: Mined, kind: Kind) -> Scores:
    """The starting model's: f32 [positives + negatives]."""
    rows = [*mined.positives, *mined.negatives]
    columns = {
        name: np.array([getattr(row, name) for row in rows], np.float32)
        for name in ("lexical", "dense", "late")
    }
    return _fused(columns if kind == "hybrid" else {kind: columns[kind]})


def data_scores(mined: Mined, task: Task) -> Scores | None:
    """Those that the data bring; None for a query that they do not score.

    A judged document that is not scored counts as the best, another one as the worst.
    """
    given = task.scores.get(mined.query)
    if not given:
        return None
    best, worst = max(given.values()), min(given.values())
    ids = [task.documents[row.document].id for row in (*mined.positives, *mined.negatives)]
    judged = len(mined.positives)
    found = [given.get(id, best if at < judged else worst) for at, id in enumerate(ids)]
    return _min_max(np.array(found, np.float32))


def teacher_scores(
    found: Sequence[Mined],
    task: Task,
    teachers: Sequence[TeacherCache],
    kind: Kind,
    *,
    progress: ProgressCallback | None = None,
) -> list[Scores]:
    """The mean of several teachers' scores, for each query f32 [positives + negatives].

    Raises:
        InputError: a teacher has no head for this kind of scores.
    """
    for teacher in teachers:
        _check(teacher, kind)
    queries = [task.queries[mined.query] for mined in found]
    rows = [[*mined.positives, *mined.negatives] for mined in found]
    texts = [[text_of(row, task.documents) for row in own] for own in rows]
    made: list[Scores] = []
    for teacher in teachers:
        teacher.add(queries, "query")
        teacher.add((text for own in texts for text in own), "document", progress=progress)
    for query, own, mined in zip(queries, texts, rows, strict=True):
        lexical = np.array([row.lexical for row in mined], np.float32)
        several: list[Scores] = []
        for teacher in teachers:
            asked = teacher.get(query, "query")
            columns = _columns(asked, [teacher.get(text, "document") for text in own], kind)
            several.append(_fused(columns | ({"lexical": lexical} if kind == "hybrid" else {})))
        made.append(np.stack(several).mean(axis=0))
    return made


def _check(teacher: TeacherCache, kind: Kind) -> None:
    encoder = teacher.encoder
    dims = {"dense": encoder.dense_dim, "late": encoder.token_dim}
    if kind != "hybrid" and dims[kind] is None:
        other = "late" if kind == "dense" else "dense"
        raise InputError(
            f"teacher {encoder.name!r} gives no {kind} scores; ask for {other} or hybrid scores"
        )


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


def _fused(columns: dict[str, Scores]) -> Scores:
    """The columns, each from 0 to 1, by the weights of hybrid search; from 0 to 1 again."""
    total = sum(HYBRID.weights[name] * _min_max(column) for name, column in columns.items())
    return _min_max(np.asarray(total, np.float32))


def _min_max(scores: Scores) -> Scores:
    low, high = float(scores.min()), float(scores.max())
    return np.asarray((scores - low) / max(high - low, _ANY_SPREAD), np.float32)
