"""Hits: a ranking's passages with their texts, places and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retrieval.index.as_read import path_of, whole_context
from retrieval.index.reading.runs import Ranking, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import highlight
from retrieval.store import PassageRow, StoredDocument
from retrieval.types import Hit, Passage


def hits(
    snapshot: Snapshot,
    queries: Sequence[str],
    rankings: Sequence[Ranking],
    k: int,
    *,
    marked: bool = True,
) -> list[list[Hit]]:
    """The first k hits of each ranking, best first; `marked` ones have their highlights.

    Raises:
        IndexCorrupted: a passage that was found is not in the store.
    """
    firsts = [ranking.run.first(k) for ranking in rankings]
    wanted = sorted({id for run in firsts for id in run.ids.tolist()})
    rows = snapshot.store.passages(wanted)
    numbers = sorted({row.document for row in rows.values()})
    documents = snapshot.store.documents(numbers)
    texts = snapshot.store.passage_texts(rows.values())
    answers = []
    for query, run, ranking in zip(queries, firsts, rankings, strict=True):
        places = _places(run, ranking.by)
        answer = []
        for id, score in zip(run.ids.tolist(), run.scores.tolist(), strict=True):
            row = rows.get(id)
            if row is None or row.document not in documents or id not in texts:
                raise snapshot.corrupted(f"a search found passage {id}, which is not stored")
            marks = highlight(query, texts[id]) if marked else ()
            document = documents[row.document]
            answer.append(_hit(row, document, texts[id], score, places[id], marks))
        answers.append(answer)
    return answers


def _places(shown: Run, by: Mapping[str, Run]) -> dict[int, dict[str, tuple[float, int]]]:
    """Passage id to the score and rank that each retriever gave it."""
    places: dict[int, dict[str, tuple[float, int]]] = {id: {} for id in shown.ids.tolist()}
    for name, run in by.items():
        scored = zip(run.ids.tolist(), run.scores.tolist(), strict=True)
        for rank, (id, score) in enumerate(scored, start=1):
            if id in places:
                places[id][name] = (score, rank)
    return places


def _hit(
    row: PassageRow,
    document: StoredDocument,
    text: str,
    score: float,
    places: dict[str, tuple[float, int]],
    marks: tuple[tuple[int, int], ...],
) -> Hit:
    return Hit(
        document_id=document.id,
        passage=Passage(document.id, row.ordinal, row.start, row.end, row.context, row.place),
        text=text,
        title=document.title,
        path=path_of(document.metadata),
        start_line=row.first_line,
        end_line=row.last_line,
        score=score,
        scores={name: value for name, (value, _) in places.items()},
        ranks={name: rank for name, (_, rank) in places.items()},
        highlights=marks,
        metadata=document.metadata,
        context=whole_context(document.title, path_of(document.metadata), row.context, text),
    )
