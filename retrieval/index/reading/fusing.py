"""Hybrid search: all retrievers' candidates, each scored by every retriever, in one ranking.

How many candidates there are and the scale that their scores are brought to is decided by
`Hybrid.candidates` alone. Who asks for more passages than were proposed gets those of deeper
searches behind them, on the same scale: so the first n are the same however many are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.retrievers import SINGLE, has_head, score
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.reading.standing import Standing
from retrieval.indexes import Fusion, top_k
from retrieval.types import Hybrid

_DEEPER = 4


def fused(
    snapshot: Snapshot,
    queries: Sequence[Query],
    k: int,
    allowed: NDArray[np.bool_] | None,
    hybrid: Hybrid,
) -> list[Ranking]:
    """For each query at least the k best passages, or all that are proposed."""
    names = retrievers(snapshot, hybrid)
    total = snapshot.passages if allowed is None else int(np.count_nonzero(allowed))
    answers = [_Answer(snapshot, query, names, hybrid) for query in queries]
    short, depth = answers, hybrid.candidates
    while short:
        asked = [answer.query for answer in short]
        deep = max(1, min(depth, total))
        proposed = [SINGLE[name].find(snapshot, asked, deep, allowed) for name in names]
        for answer, runs in zip(short, zip(*proposed, strict=True), strict=True):
            answer.extend(np.unique(np.concatenate([run.ids for run in runs])))
        if depth >= total:
            break
        short = [answer for answer in short if len(answer.run) < k]
        depth *= _DEEPER
    return [answer.ranking() for answer in answers]


def retrievers(snapshot: Snapshot, hybrid: Hybrid) -> list[str]:
    """Those that count in the sum and that the index's encoder has the head for."""
    settings = snapshot.store.settings
    return [name for name, weight in hybrid.weights.items() if weight and has_head(settings, name)]


class _Answer:
    """The ranking of one query, as far as it was asked for."""

    def __init__(
        self, snapshot: Snapshot, query: Query, names: Sequence[str], hybrid: Hybrid
    ) -> None:
        self.query = query
        self.run = Run(np.empty(0, np.int64), np.empty(0, np.float64))
        self._snapshot = snapshot
        self._names = names
        self._hybrid = hybrid
        self._by: dict[str, Run] = {}
        self._fusion: Fusion | None = None
        self._standing = Standing(snapshot, query.text, hybrid)
        self._range = 0.0

    def extend(self, proposed: NDArray[np.int64]) -> None:
        """Put the passages that are new behind those that are there."""
        new = proposed[~np.isin(proposed, self.run.ids)]
        runs = {name: score(self._snapshot, name, self.query, new) for name in self._names}
        scored = {name: (run.ids, run.scores) for name, run in runs.items()}
        first = self._fusion is None
        if self._fusion is None:
            weights = self._hybrid.weights
            self._fusion = Fusion(scored, method=self._hybrid.fusion, weights=weights)
        ids, scores = self._fusion.fuse(scored)
        if first and len(scores):
            # Where all are equal the role alone decides, by whatever share.
            self._range = float(scores[0] - scores[-1]) or abs(float(scores[0])) or 1.0
        scores = scores + self._range * self._standing.of(ids)
        ids, scores = top_k(ids, scores, max(1, len(ids)), self._snapshot.order)
        self.run = self.run.then(Run(ids, scores))
        for name, run in runs.items():
            own, before = SINGLE[name].matched(run), self._by.get(name)
            self._by[name] = own if before is None else _joined(before, own)

    def ranking(self) -> Ranking:
        """What was found so far."""
        return Ranking(self.run, dict(self._by))


def _joined(run: Run, deeper: Run) -> Run:
    return Run(np.concatenate([run.ids, deeper.ids]), np.concatenate([run.scores, deeper.scores]))
