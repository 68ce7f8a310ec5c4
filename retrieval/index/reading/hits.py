"""Making hits: a ranking's passages with their texts, places and highlights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Ranking, Run
from retrieval.index.reading.searched import COPIES, Allowed, Copies, Searched
from retrieval.indexes import distinct, places_in
from retrieval.store import BLANK
from retrieval.types import Hit, Passage


@dataclass(frozen=True, slots=True)
class Listed:
    """What is shown of one query's ranking.

    Attributes:
        run: the hits, best first.
        ranking: the ranking they come from.
        relevance: computes the relevance of the ranking's passages, f64 [n].
        others: by a hit's passage id, the passages grouped under it, best first.
    """

    run: Run
    ranking: Ranking
    relevance: Callable[[], NDArray[np.float64]]
    others: Mapping[int, Run] = field(default_factory=dict)

    def runs(self) -> Iterator[Run]:
        """All runs that are shown."""
        yield self.run
        yield from self.others.values()


def hits(
    searched: Searched[Allowed],
    queries: Sequence[str],
    lists: Sequence[Listed],
    allowed: Allowed,
    *,
    marked: bool,
    folded: bool,
) -> list[list[Hit]]:
    """Make the hits of each query.

    Args:
        queries: the queries' texts.
        lists: what is shown of each.
        allowed: which passages may be listed as copies.
        marked: whether hits have their highlights.
        folded: whether copies were left out and are listed in hits.

    Raises:
        IndexCorrupted: a found passage is not in the store.
    """
    ids = sorted({id for one in lists for run in one.runs() for id in _ids(run)})
    marks = [
        (id, query)
        for query, listed in zip(queries if marked else (), lists if marked else (), strict=True)
        for run in listed.runs()
        for id in _ids(run)
    ]
    hashes = searched.text_hashes(np.array(ids, np.int64)) if folded else np.empty(0, np.int64)
    judged: list[_Judged] = []

    def judge() -> None:
        judged.extend(map(_judged, lists))

    shown = searched.shown(ids, marks, distinct(hashes[hashes != BLANK]), allowed, judge)
    spans = dict(zip(marks, shown.spans, strict=True))
    same = dict(zip(ids, hashes.tolist(), strict=False))
    answers = []
    for query, listed, own in zip(queries, lists, judged, strict=True):

        def made(run: Run, query: str = query, own: _Judged = own) -> Iterator[Hit]:
            for id, score in zip(_ids(run), run.scores.tolist(), strict=True):
                hit = shown.hits[id]
                copies, count = _others(shown.copies.get(same.get(id, BLANK)), hit.passage)
                yield replace(
                    hit,
                    score=score,
                    scores=own.scores[id],
                    ranks=own.ranks[id],
                    relevance=own.relevance[id],
                    highlights=spans.get((id, query), ()),
                    copies=copies,
                    copy_count=count,
                )

        answers.append(
            [
                replace(hit, others=tuple(made(listed.others[id]))) if id in listed.others else hit
                for id, hit in zip(_ids(listed.run), made(listed.run), strict=True)
            ]
        )
    return answers


def _others(same: Copies | None, own: Passage) -> tuple[tuple[Passage, ...], int]:
    """The first other passages with the same text, and how many there are."""
    if same is None:
        return (), 0
    at = (own.document_id, own.ordinal)
    others = [one for one in same.first if (one.document_id, one.ordinal) != at]
    return tuple(others[:COPIES]), same.count - 1


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a ranking says of the passages that are shown, each by passage id.

    Attributes:
        scores: the score from each retriever that found it.
        ranks: its rank, from 1, in the run of each of them.
        relevance: its relevance.
    """

    scores: Mapping[int, dict[str, float]]
    ranks: Mapping[int, dict[str, int]]
    relevance: Mapping[int, float]


def _judged(listed: Listed) -> _Judged:
    ids = [id for run in listed.runs() for id in _ids(run)]
    scores: dict[int, dict[str, float]] = {id: {} for id in ids}
    ranks: dict[int, dict[str, int]] = {id: {} for id in ids}
    shown = np.array(sorted(scores), np.int64)
    for name, run in listed.ranking.by().items():
        at = np.flatnonzero(places_in(shown, run.ids) >= 0)
        own = zip(run.ids[at].tolist(), run.scores[at].tolist(), at.tolist(), strict=True)
        for id, score, place in own:
            scores[id][name], ranks[id][name] = score, place + 1
    relevance = zip(_ids(listed.ranking.run), listed.relevance().tolist(), strict=True)
    return _Judged(scores, ranks, dict(relevance))


def _ids(run: Run) -> list[int]:
    ids: list[int] = run.ids.tolist()
    return ids
