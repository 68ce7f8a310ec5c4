"""Hits: a ranking's passages with their texts, places and words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.index.as_read import path_of, whole_context
from retrieval.index.reading.runs import Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import highlight
from retrieval.store import BLANK, PassageRow, StoredDocument
from retrieval.types import Hit, Passage

COPIES = 10
"""Of so many copies of a passage a hit says where they are."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What is shown of one query's ranking.

    Attributes:
        run: the hits, best first.
        by: what each retriever scored, for their scores and ranks.
        others: by passage id of a hit, what stands below it, best first.
        relevance: by passage id.
    """

    run: Run
    by: Mapping[str, Run]
    others: Mapping[int, Run] = field(default_factory=dict)
    relevance: dict[int, float] = field(default_factory=dict)

    def runs(self) -> Iterator[Run]:
        """All that is shown."""
        yield self.run
        yield from self.others.values()


def hits(
    snapshot: Snapshot,
    queries: Sequence[str],
    lists: Sequence[Listed],
    allowed: NDArray[np.bool_] | None,
    *,
    marked: bool,
    folded: bool,
) -> list[list[Hit]]:
    """The hits of each query.

    Args:
        queries: their texts.
        lists: what is shown of each.
        allowed: which passages may be named as copies, bool by passage id; None is all.
        marked: whether hits have their highlights.
        folded: whether copies were left out and are named.

    Raises:
        IndexCorrupted: a passage that was found is not in the store.
    """
    stored = _Stored(snapshot, (id for one in lists for run in one.runs() for id in _ids(run)))
    copies = _Copies(snapshot, stored, allowed) if folded else None
    answers = []
    for query, listed in zip(queries, lists, strict=True):
        places = _places(listed)

        def made(
            run: Run, query: str = query, listed: Listed = listed, places: _Places = places
        ) -> Iterator[Hit]:
            for id, score in zip(_ids(run), run.scores.tolist(), strict=True):
                hit = stored.hit(id, score, places[id])
                same, count = ((), 0) if copies is None else copies.of(id)
                yield replace(
                    hit,
                    relevance=listed.relevance[id],
                    highlights=highlight(query, hit.text) if marked else (),
                    copies=same,
                    copy_count=count,
                )

        answers.append(
            [
                replace(hit, others=tuple(made(listed.others[id]))) if id in listed.others else hit
                for id, hit in zip(_ids(listed.run), made(listed.run), strict=True)
            ]
        )
    return answers


class _Stored:
    """What the store holds of some passages, read at once."""

    def __init__(self, snapshot: Snapshot, ids: Iterable[int]) -> None:
        self._snapshot = snapshot
        self.rows = snapshot.store.passages(sorted(set(ids)))
        numbers = sorted({row.document for row in self.rows.values()})
        self._documents = snapshot.store.documents(numbers)
        self._texts = snapshot.store.passage_texts(self.rows.values())

    def hit(self, id: int, score: float, places: Mapping[str, tuple[float, int]]) -> Hit:
        """A passage as a hit, without what depends on the query's words."""
        row, text = self.rows.get(id), self._texts.get(id)
        document = None if row is None else self._documents.get(row.document)
        if row is None or text is None or document is None:
            raise self._snapshot.corrupted(f"a search found passage {id}, which is not stored")
        path = path_of(document.metadata)
        return Hit(
            document_id=document.id,
            passage=passage_of(row, document),
            text=text,
            title=document.title,
            path=path,
            start_line=row.first_line,
            end_line=row.last_line,
            score=score,
            scores={name: value for name, (value, _) in places.items()},
            ranks={name: rank for name, (_, rank) in places.items()},
            highlights=(),
            metadata=document.metadata,
            context=whole_context(document.title, path, row.context, text),
        )


class _Copies:
    """Where else the texts of some passages stand."""

    def __init__(
        self, snapshot: Snapshot, stored: _Stored, allowed: NDArray[np.bool_] | None
    ) -> None:
        store = snapshot.store
        hashes = store.text_hashes(list(stored.rows))
        hashes = {id: hash for id, hash in hashes.items() if hash != BLANK}
        same = store.of_text_hashes(sorted(set(hashes.values())))
        self._counts: dict[int, int] = {}
        first: dict[int, list[int]] = {}
        for id, hash in hashes.items():
            others = np.array([other for other in same[hash] if other != id], np.int64)
            if allowed is not None:
                others = others[allowed[others]]
            if len(others):
                self._counts[id] = len(others)
                first[id] = others[np.argsort(snapshot.order(others))][:COPIES].tolist()
        rows = store.passages(sorted({id for some in first.values() for id in some}))
        documents = store.documents(sorted({row.document for row in rows.values()}))
        self._first = {
            id: tuple(passage_of(rows[one], documents[rows[one].document]) for one in some)
            for id, some in first.items()
        }

    def of(self, id: int) -> tuple[tuple[Passage, ...], int]:
        """The first other passages of the same text, and how many there are."""
        return self._first.get(id, ()), self._counts.get(id, 0)


def passage_of(row: PassageRow, document: StoredDocument) -> Passage:
    """A stored passage as it is shown."""
    return Passage(document.id, row.ordinal, row.start, row.end, row.context, row.place)


_Places = Mapping[int, Mapping[str, tuple[float, int]]]
"""Passage id to the score and rank that each retriever gave it."""


def _places(listed: Listed) -> _Places:
    places: dict[int, dict[str, tuple[float, int]]] = {
        id: {} for run in listed.runs() for id in _ids(run)
    }
    for name, run in listed.by.items():
        scored = zip(_ids(run), run.scores.tolist(), strict=True)
        for rank, (id, score) in enumerate(scored, start=1):
            if id in places:
                places[id][name] = (score, rank)
    return places


def _ids(run: Run) -> list[int]:
    ids: list[int] = run.ids.tolist()
    return ids
