"""Making hits: a ranking's passages with their texts, places and highlights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.index.reading.runs import Run
from retrieval.index.reading.searched import COPIES, Allowed, Copies, Searched
from retrieval.indexes import distinct, places_in
from retrieval.store import BLANK
from retrieval.types import Hit, Passage


@dataclass(frozen=True, slots=True)
class Listed:
    """What is shown of one query's ranking.

    Attributes:
        run: the hits, best first.
        by: each retriever's run, for its scores and ranks.
        others: by a hit's passage id, the passages grouped under it, best first.
        relevance: the relevance by passage id.
    """

    run: Run
    by: Mapping[str, Run]
    others: Mapping[int, Run] = field(default_factory=dict)
    relevance: dict[int, float] = field(default_factory=dict)

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
    shown = searched.shown(ids, marks, distinct(hashes[hashes != BLANK]), allowed)
    spans = dict(zip(marks, shown.spans, strict=True))
    same = dict(zip(ids, hashes.tolist(), strict=False))
    answers = []
    for query, listed in zip(queries, lists, strict=True):
        places = _places(listed)

        def made(
            run: Run, query: str = query, listed: Listed = listed, places: _Places = places
        ) -> Iterator[Hit]:
            for id, score in zip(_ids(run), run.scores.tolist(), strict=True):
                hit = shown.hits[id]
                copies, count = _others(shown.copies.get(same.get(id, BLANK)), hit.passage)
                yield replace(
                    hit,
                    score=score,
                    scores={name: value for name, (value, _) in places[id].items()},
                    ranks={name: rank for name, (_, rank) in places[id].items()},
                    relevance=listed.relevance[id],
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


_Places = Mapping[int, Mapping[str, tuple[float, int]]]
"""By passage id, the score and rank from each retriever."""


def _places(listed: Listed) -> _Places:
    places: dict[int, dict[str, tuple[float, int]]] = {
        id: {} for run in listed.runs() for id in _ids(run)
    }
    shown = np.array(sorted(places), np.int64)
    for name, run in listed.by.items():
        at = np.flatnonzero(places_in(shown, run.ids) >= 0)
        ids, scores = run.ids[at].tolist(), run.scores[at].tolist()
        for id, score, place in zip(ids, scores, at.tolist(), strict=True):
            places[id][name] = (score, place + 1)
    return places


def _ids(run: Run) -> list[int]:
    ids: list[int] = run.ids.tolist()
    return ids
