"""What several retrievers find for each query, put together so that nobody sees who found it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import Hit, Retriever

DEPTH = 10

_PASSAGES = 4
"""So many times as many passages as documents are looked at: a document can have several."""

_SHOWN = 2
"""Passages of a document that are shown at most."""

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document to judge.

    Attributes:
        path: its file, or None.
        passages: the passages that were found, or the document's beginning.
    """

    document: str
    title: str
    path: str | None
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """What is to be judged for one query, in an order that says nothing of ranks."""

    query: str
    text: str
    candidates: tuple[Candidate, ...]


def pools(
    index: Index,
    queries: Mapping[str, str],
    retrievers: Sequence[Retriever],
    *,
    depth: int = DEPTH,
    seed: int = 0,
    also: Callable[[str], Sequence[str]] = lambda query: (),
) -> Iterator[Pool]:
    """The pool of each query: the best documents of each retriever, shuffled.

    Args:
        queries: text by id, none of them blank.
        depth: documents of each retriever; a document is as good as its best passage.
        seed: the order is decided by it, the query's id and the documents alone.
        also: documents to judge besides, by the query's id, such as those that were clicked.

    Raises:
        InputError: no retriever is given, or the depth is below 1.
        EncoderError: the index lacks what a retriever needs.
    """
    if not retrievers:
        raise InputError("no retriever is given to take documents from; give at least one")
    if depth < 1:
        raise InputError(f"depth={depth} takes no document; give at least 1")
    ids = list(queries)
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        texts = [queries[id] for id in some]
        found = [
            index.search_batch(texts, depth * _PASSAGES, retriever=name, highlights=False)
            for name in retrievers
        ]
        for place, id in enumerate(some):
            best = _best([answers[place] for answers in found], depth)
            for document in also(id):
                _put_whole(index, document, best)
            yield Pool(id, queries[id], tuple(_shuffled(best, f"{seed} {id}")))


def _best(answers: Sequence[Sequence[Hit]], depth: int) -> dict[str, Candidate]:
    """The first documents of each answer, with their best passages."""
    passages: dict[str, dict[int, Hit]] = {}
    for hits in answers:
        chosen = set(list(dict.fromkeys(hit.document_id for hit in hits))[:depth])
        for hit in hits:
            if hit.document_id in chosen:
                passages.setdefault(hit.document_id, {}).setdefault(hit.passage.ordinal, hit)
    return {id: _candidate(list(found.values())[:_SHOWN]) for id, found in passages.items()}


def _candidate(hits: Sequence[Hit]) -> Candidate:
    ordered = sorted(hits, key=lambda hit: hit.passage.ordinal)
    first = ordered[0]
    texts = tuple(hit.text for hit in ordered)
    return Candidate(first.document_id, first.title, first.path, texts)


def _put_whole(index: Index, id: str, best: dict[str, Candidate]) -> None:
    document = None if id in best else index.get(id)
    if document is not None:
        path = document.metadata.get("path")
        best[id] = Candidate(
            id, document.title, path if isinstance(path, str) else None, (document.text[:1500],)
        )


def _shuffled(best: Mapping[str, Candidate], seed: str) -> list[Candidate]:
    ordered = [best[id] for id in sorted(best)]
    random.Random(seed).shuffle(ordered)
    return ordered
