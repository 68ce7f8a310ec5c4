"""What one retriever finds in a snapshot, and how it scores passages that others found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import TieOrder, below, top_k

_NO_IDS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float32)

_LATE_DEPTHS = (16, 64, 256, 1024)
"""Compressed passages are narrowed by approximate scores, the less so the more are asked for. So
that the first ones do not depend on how many, those of a deeper search come behind those of the
ones before it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Passages in the order of a retriever's scores, best first: ids i64 [n], scores [n]."""

    ids: NDArray[np.int64]
    scores: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.ids)

    def then(self, deeper: Run) -> Run:
        """This run and behind it what else a deeper one has."""
        new = ~np.isin(deeper.ids, self.ids)
        scores = deeper.scores[new]
        if len(self):
            scores = below(scores, float(self.scores[-1]))
        return Run(
            np.concatenate([self.ids, deeper.ids[new]]), np.concatenate([self.scores, scores])
        )

    def first(self, k: int) -> Run:
        """Its k best."""
        return Run(self.ids[:k], self.scores[:k])

    def at(self, places: NDArray[np.int64]) -> Run:
        """Those at these places of it, which ascend."""
        return Run(self.ids[places], self.scores[places])


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer to one query: the run that orders it and the runs it was made of."""

    run: Run
    by: Mapping[str, Run]


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its text and, if a retriever needs them, dense f32 [D] and tokens f32 [m, d].

    Attributes:
        text: as it was asked.
        read: what the encoder reads of it.
    """

    text: str
    read: str = ""
    dense: NDArray[np.float32] | None = None
    tokens: NDArray[np.float32] | None = None


def find(
    snapshot: Snapshot,
    retriever: str,
    queries: Sequence[Query],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> list[Run]:
    """The k best of one retriever for each query, over all segments."""
    ties = snapshot.order
    if retriever == "lexical":
        lexical = snapshot.lexical
        if lexical is None:
            return [Run(_NO_IDS, _NO_SCORES) for _ in queries]
        return [Run(*lexical.search(query.text, k, allowed, ties=ties)) for query in queries]
    if retriever == "dense":
        vectors = np.stack([query.dense for query in queries if query.dense is not None])
        found = [
            segment.dense.search(vectors, k, allowed, ties=ties)
            for segment in snapshot.vectors
            if segment.dense is not None
        ]
        return [
            _best([answers[place] for answers in found], k, ties) for place in range(len(queries))
        ]
    tokens = [query.tokens for query in queries if query.tokens is not None]
    return [Run(*answer) for answer in snapshot.late.search(tokens, k, allowed, ties=ties)]


def find_steadily(
    snapshot: Snapshot,
    retriever: str,
    queries: Sequence[Query],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> list[Run]:
    """As `find`, and the first n of it are the same whatever k is."""
    if retriever != "late" or not snapshot.late.narrows:
        return find(snapshot, retriever, queries, k, allowed)
    runs = [Run(_NO_IDS, _NO_SCORES) for _ in queries]
    depth, *deeper = _LATE_DEPTHS
    while True:
        found = find(snapshot, retriever, queries, depth, allowed)
        runs = [run.then(more).first(depth) for run, more in zip(runs, found, strict=True)]
        if depth >= k:
            return [run.first(k) for run in runs]
        depth, *deeper = deeper or [4 * depth]


def score(snapshot: Snapshot, retriever: str, query: Query, ids: NDArray[np.int64]) -> Run:
    """One retriever's own scores of these passages, best first."""
    scores = np.full(len(ids), -np.inf, np.float32)
    if retriever == "lexical":
        lexical = snapshot.lexical
        scores = lexical.score(query.text, ids) if lexical else np.zeros(len(ids), np.float32)
    elif retriever == "late" and query.tokens is not None:
        scores = snapshot.late.score(query.tokens, ids)
    elif retriever == "dense" and query.dense is not None:
        for segment in snapshot.vectors:
            if segment.dense is not None:
                np.maximum(scores, segment.dense.score(query.dense, ids), out=scores)
    return _best([(ids, scores)], len(ids), snapshot.order)


def _best(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]], k: int, ties: TieOrder
) -> Run:
    """The k best of several segments' answers."""
    ids = np.concatenate([_NO_IDS, *(ids for ids, _ in found)])
    scores = np.concatenate([_NO_SCORES, *(scores for _, scores in found)])
    return Run(*top_k(ids, scores, k, ties))
