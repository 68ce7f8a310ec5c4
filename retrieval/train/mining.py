"""Candidates of training queries, mined with an index of the task's documents.

Every retriever proposes passages: lexical, dense and late interaction. Passages that are judged to
    answer the query, that are in the same document as an answer, or that nearly repeat one are not
    negatives. Candidates are written to a file line by line, so that an interrupted run can
    continue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from retrieval.index import Index
from retrieval.train.task import Task
from retrieval.types import Document, Hit, ProgressCallback, ProgressUpdate

DEPTH = 100
"""Depth of the fused ranking that is examined for each query."""

REPEATS = 0.8
"""A passage with this word overlap (Jaccard) with an answer counts as a repetition."""

_AT_ONCE = 32
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage, with the starting model's retrievers' scores for the query.

    Attributes:
        document: index of its document in the task.
        start: first character in the document's text.
        end: one past the last character.
        lexical: 0 if it has no word of the query.
        context: its context, or "".
    """

    document: int
    start: int
    end: int
    lexical: float
    dense: float
    late: float
    context: str = ""


@dataclass(frozen=True, slots=True)
class Mined:
    """A query with answers and hard negatives.

    Attributes:
        query: the query's id.
        positives: the best passage of each document judged to answer it; at least one.
        negatives: best first.
    """

    query: str
    positives: tuple[Candidate, ...]
    negatives: tuple[Candidate, ...]


def text_of(candidate: Candidate, documents: Sequence[Document]) -> str:
    """The passage as the encoder reads it in an index: after its context."""
    document = documents[candidate.document]
    text = document.text[candidate.start : candidate.end]
    return f"{candidate.context}\n{text}" if candidate.context else text


def mine(
    index: Index,
    task: Task,
    path: Path,
    *,
    negatives: int,
    progress: ProgressCallback | None = None,
) -> list[Mined]:
    """The candidates of every train query that has a passage that answers it.

    Args:
        index: the index of the task's documents.
        path: the file to write them to and resume from; for one task and one encoder.
        negatives: maximum number for each query.
        progress: called after every batch of queries.
    """
    task_queries = list(task.train)
    found = _read(path)[: len(task_queries)]
    places = {document.id: place for place, document in enumerate(task.documents)}
    with path.open("a", encoding="utf-8") as file:
        for first in range(len(found), len(task_queries), _AT_ONCE):
            chosen = task_queries[first : first + _AT_ONCE]
            texts = [task.queries[query] for query in chosen]
            answers = index.search_batch(texts, DEPTH, highlights=False, copies=True)
            for query, hits in zip(chosen, answers, strict=True):
                mined = _one(index, task, query, hits, places, negatives)
                file.write(json.dumps(_plain(mined)) + "\n")
                found.append(mined)
            file.flush()
            if progress is not None:
                progress(ProgressUpdate("mining", len(found), len(task_queries), "queries"))
    return [mined for mined in found if mined.positives]


def repeats(text: str, others: Sequence[str], share: float = REPEATS) -> bool:
    """Whether the text has nearly the same words as one of the others."""
    words = set(_WORD.findall(text.lower()))
    for other in others:
        theirs = set(_WORD.findall(other.lower()))
        both = len(words & theirs)
        if both >= share * (len(words) + len(theirs) - both):
            return True
    return False


def _one(
    index: Index,
    task: Task,
    query: str,
    hits: Sequence[Hit],
    places: Mapping[str, int],
    most: int,
) -> Mined:
    judged, scored = task.train[query], task.scores.get(query, {})
    best = _best(index, task.queries[query], hits, {*judged, *scored})
    positives = [best[document] for document in judged if document in best]
    answers = [hit.text for hit in positives]
    # If the data have a teacher's scores, only the scored documents are candidates.
    others: Sequence[Hit] = hits
    if scored:
        named = sorted(scored, key=lambda document: -scored[document])
        others = [best[document] for document in named if document in best]
    negatives: list[Hit] = []
    for hit in others:
        if len(negatives) == most:
            break
        if hit.document_id not in judged and not repeats(hit.text, answers):
            negatives.append(hit)
    return Mined(
        query,
        tuple(_candidate(hit, places) for hit in positives),
        tuple(_candidate(hit, places) for hit in negatives),
    )


def _best(index: Index, query: str, hits: Sequence[Hit], wanted: set[str]) -> dict[str, Hit]:
    """The best passage of each wanted document, from the hits or by another search."""
    found: dict[str, Hit] = {}
    for hit in hits:
        found.setdefault(hit.document_id, hit)
    missing = sorted(wanted - set(found))
    if missing:
        listed = ", ".join(_quoted(document) for document in missing)
        asked = index.search(query, DEPTH, where=f"id in [{listed}]", highlights=False, copies=True)
        for hit in asked:
            found.setdefault(hit.document_id, hit)
    return {document: found[document] for document in wanted if document in found}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _candidate(hit: Hit, places: Mapping[str, int]) -> Candidate:
    lexical, dense, late = (hit.scores.get(name, 0.0) for name in ("lexical", "dense", "late"))
    span = hit.passage
    scores = (lexical, dense, late)
    return Candidate(places[hit.document_id], span.start, span.end, *scores, hit.context)


def _plain(mined: Mined) -> list[object]:
    return [
        mined.query,
        [astuple(c) for c in mined.positives],
        [astuple(c) for c in mined.negatives],
    ]


def _read(path: Path) -> list[Mined]:
    """Read what was written before, truncating it at the first damaged or incomplete line."""
    if not path.exists():
        return []
    found: list[Mined] = []
    whole = 0
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            try:
                query, positives, negatives = json.loads(line)
                candidates = [
                    tuple(Candidate(*row) for row in own) for own in (positives, negatives)
                ]
            except (ValueError, TypeError):
                break
            found.append(Mined(query, *candidates))
            whole += len(line)
    with path.open("r+b") as file:
        file.truncate(whole)
    return found
