"""Scores of candidates for teaching: one number each, scaled to between 0 and 1 per query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.train.mining import Mined, text_of
from retrieval.train.task import Task
from retrieval.train.teachers import Kind, Scores, Teacher, fused, min_max
from retrieval.types import FUSED, ProgressCallback


def own_scores(mined: Mined, kind: Kind) -> Scores:
    """The starting model's scores: f32 [positives + negatives]."""
    rows = [*mined.positives, *mined.negatives]
    names = FUSED if kind == "hybrid" else (kind,)
    return fused(
        {name: np.array([getattr(row, name) for row in rows], np.float32) for name in names}
    )


def data_scores(mined: Mined, task: Task) -> Scores | None:
    """The scores in the data; None for a query without scores.

    A judged document without a score counts as the best, any other one as the worst.
    """
    given = task.scores.get(mined.query)
    if not given:
        return None
    best, worst = max(given.values()), min(given.values())
    ids = [task.documents[row.document].id for row in (*mined.positives, *mined.negatives)]
    judged = len(mined.positives)
    found = [given.get(id, best if at < judged else worst) for at, id in enumerate(ids)]
    return min_max(np.array(found, np.float32))


def teacher_scores(
    found: Sequence[Mined],
    task: Task,
    teachers: Sequence[Teacher],
    kind: Kind,
    *,
    progress: ProgressCallback | None = None,
) -> list[Scores]:
    """The mean of several teachers' scores, for each query f32 [positives + negatives].

    Raises:
        InputError: a teacher has no scores of this kind.
    """
    for teacher in teachers:
        teacher.check(kind)
    rows = [[*mined.positives, *mined.negatives] for mined in found]
    asked = [
        (task.queries[mined.query], [text_of(row, task.documents) for row in own])
        for mined, own in zip(found, rows, strict=True)
    ]
    for teacher in teachers:
        teacher.read(asked, progress=progress)
    made: list[Scores] = []
    for (query, texts), own in zip(asked, rows, strict=True):
        lexical = np.array([row.lexical for row in own], np.float32)
        several = [teacher.scores(query, texts, lexical, kind) for teacher in teachers]
        made.append(np.stack(several).mean(axis=0))
    return made
