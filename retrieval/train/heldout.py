"""Measuring a model's index on held-out queries: nDCG@10 and RR@10 of each retriever.

The measures are trec_eval's, as in `retrieval eval`: a document scores as its best passage, and
ties are ordered by document id, descending.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.index import Index
from retrieval.train.task import Task
from retrieval.types import ProgressCallback, ProgressUpdate, Retriever

MEASURED: tuple[Retriever, ...] = ("dense", "late", "hybrid")

Figures = Mapping[str, Mapping[str, float]]
"""Value by measure (`nDCG@10`, `RR@10`), by retriever."""

_DEPTH = 100
_AT_ONCE = 64
_CUT = 10


def measure(
    index: Index,
    task: Task,
    *,
    stage: str = "measuring",
    progress: ProgressCallback | None = None,
) -> Figures:
    """The means over the held-out queries.

    Args:
        index: the index of the task's documents.
        stage: name of the stage in progress updates.
        progress: called after every batch of queries.
    """
    figures: dict[str, dict[str, float]] = {}
    queries = list(task.held_out)
    done = 0
    for retriever in MEASURED:
        gains: list[tuple[float, float]] = []
        for first in range(0, len(queries), _AT_ONCE):
            chosen = queries[first : first + _AT_ONCE]
            texts = [task.queries[query] for query in chosen]
            answers = index.search_batch(texts, _DEPTH, retriever=retriever, highlights=False)
            for query, hits in zip(chosen, answers, strict=True):
                scores: dict[str, float] = {}
                for hit in hits:
                    scores[hit.document_id] = max(hit.score, scores.get(hit.document_id, -math.inf))
                ranked = ranking(scores)
                grades = task.held_out[query]
                gains.append((ndcg(ranked, grades), reciprocal_rank(ranked, grades)))
            done += len(chosen)
            if progress is not None:
                progress(ProgressUpdate(stage, done, len(queries) * len(MEASURED), "queries"))
        mean = np.mean(gains, axis=0)
        figures[retriever] = {"nDCG@10": float(mean[0]), "RR@10": float(mean[1])}
    return figures


def score(figures: Figures) -> float:
    """The figure that decides between two models: the mean nDCG@10 of the retrievers."""
    return math.fsum(own["nDCG@10"] for own in figures.values()) / len(figures)


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids, best first."""
    single = {document: float(np.float32(value)) for document, value in scores.items()}
    return sorted(single, key=lambda document: (single[document], document), reverse=True)


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], cut: int = _CUT) -> float:
    """Discounted gain of the first `cut` documents, relative to the best possible."""
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:cut]
    best = _discounted(ideal)
    gained = [max(0, grades.get(document, 0)) for document in ranked[:cut]]
    return _discounted(gained) / best if best else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int], cut: int = _CUT) -> float:
    """One over the rank of the first relevant document among the first `cut`, else 0."""
    ranks = (at for at, document in enumerate(ranked[:cut], 1) if grades.get(document, 0) > 0)
    return 1 / next(ranks, math.inf)


def _discounted(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(at + 1) for at, gain in enumerate(gains, 1))
