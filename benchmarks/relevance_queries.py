"""Queries with and without answers for `benchmarks/relevance.py`, and their rankings."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.eval import Collection
from retrieval.index import Index
from retrieval.index.reading import search
from retrieval.index.reading.relevance import features
from retrieval.index.reading.runs import Ranking
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot
from retrieval.types import RETRIEVERS, Document

COLLECTIONS = {  # subject, split, role
    "fairytaleqa_sections": ("stories", "train", "fitted"),
    "qmsum": ("meetings", "train", "fitted"),
    "medquad": ("medicine", "train", "fitted"),
    "pydocstring": ("code", "train", "fitted"),
    "codenn_python": ("code", "train", "fitted"),
    "scifact": ("medicine", "test", "development"),
    "cosqa": ("code", "dev", "development"),
    "cranfield": ("aeronautics", "test", "held out"),
    "liveqa_med": ("medicine", "test", "held out"),
    "msmarco_dl_sample": ("web", "test", "held out"),
    "dbpedia_sample": ("web", "test", "held out"),
    "pubmedqa": ("medicine", "test", "held out"),
}
OWN, WRONG, NONSENSE, REMOVED = 300, 100, 60, 150  # numbers of queries of each kind, per collection
SMALL_SIZES = {1: 8, 3: 8, 10: 8, 40: 4}  # number of small indexes by their documents
DEPTH = 10
UNANSWERED = ("wrong", "keys", "words", "neighbour")
"""Kinds of queries without an answer: of a collection on another subject, random keystrokes, random
words; and for a small index, of its own collection but about documents that it does not have."""

Matrix = NDArray[np.float64]
Query = tuple[str, str, set[str]]  # kind or id, text, documents that answer


@dataclass(frozen=True, slots=True)
class SearchedQuery:
    """A query of an index: the features of each retriever's ranking, and which hits are right.

    Attributes:
        kind: `own`, one of `UNANSWERED`, or `removed`: an own one whose answers are left out.
        small: whether the index has only a few documents.
        rankings: by retriever, features f64 [h] by name and bool [h], h <= DEPTH.
    """

    kind: str
    small: bool
    rankings: Mapping[str, tuple[Mapping[str, Matrix], NDArray[np.bool_]]]


def search_all(
    name: str, collections: Mapping[str, Collection], words: Sequence[str], work: Path
) -> list[SearchedQuery]:
    """Search a collection, and small indexes of its documents, with all kinds of queries."""
    subject, _, role = COLLECTIONS[name]
    others = [
        other
        for other, (other_subject, _, other_role) in COLLECTIONS.items()
        if other_role == role
        and other_subject != subject
        and {other_subject, subject} != {"web", "medicine"}
    ]
    own_queries = answered_queries(collections[name], OWN, name)
    wrong = {o: [text for _, text, _ in answered_queries(collections[o], WRONG, o)] for o in others}
    queries: list[Query] = [("own", text, answers) for _, text, answers in own_queries]
    queries += [("wrong", text, set()) for texts in wrong.values() for text in texts]
    queries += nonsense_queries(words, NONSENSE, name)
    queries += [("removed", text, answers) for _, text, answers in own_queries[:REMOVED]]
    path = work / name
    with Index.open(path) if path.exists() else Index.create(path) as index:
        if index.status().documents < len(collections[name].documents):
            index.add(collections[name].documents)
        searched = search_index(index, queries, small=False)
    rng = random.Random(name)
    documents = {document.id: document for document in collections[name].documents}
    for size, count in SMALL_SIZES.items():
        for number in range(count if len(documents) > 1000 or size < 10 else 0):
            chosen = draw_documents(rng, own_queries, documents, size)
            queries = [("own", text, a) for _, text, a in own_queries if a & chosen.keys()][:6]
            for texts in wrong.values():
                queries += [("wrong", text, set()) for text in rng.sample(texts, 2)]
            neighbours = [
                text for _, text, a in rng.sample(own_queries, 8) if not a & chosen.keys()
            ]
            queries += [("neighbour", text, set()) for text in neighbours[:4]]
            queries += nonsense_queries(words, 2, f"{name} {size} {number}")
            shutil.rmtree(work / "small", ignore_errors=True)
            with Index.create(work / "small") as index:
                index.add(chosen.values())
                searched += search_index(index, queries, small=True)
    return searched


def search_index(index: Index, queries: Sequence[Query], *, small: bool) -> list[SearchedQuery]:
    """Search an index with queries; the features of their rankings."""
    searched_queries = []
    with index._using() as snapshot:
        passages = passages_by_document(snapshot)
        searched = SearchedSnapshot(snapshot)
        for first in range(0, len(queries), 50):
            batch = queries[first : first + 50]
            prepared = search.prepare(
                searched, index._encoder, [text for _, text, _ in batch], "hybrid"
            )
            for query, (kind, _, answers) in zip(prepared, batch, strict=True):
                allowed = np.ones(snapshot.store.end, np.bool_)
                if kind == "removed":
                    allowed[[id for answer in answers for id in passages[answer]]] = False
                    answers = set()
                by_retriever = {}
                for name in RETRIEVERS:
                    (ranking,) = search.rank(
                        searched, [query], DEPTH, retriever=name, allowed=allowed
                    )
                    by_retriever[name] = features_and_labels(searched, query, ranking, answers)
                searched_queries.append(SearchedQuery(kind, small, by_retriever))
    return searched_queries


def passages_by_document(snapshot: Snapshot) -> Mapping[str, list[int]]:
    """The ids of the passages of each document."""
    table: dict[str, list[int]] = defaultdict(list)
    for first in range(0, snapshot.store.end, 5000):
        rows = snapshot.store.passages(list(range(first, first + 5000)))
        documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
        for id, row in rows.items():
            table[documents[row.document].id].append(id)
    return table


def features_and_labels(
    searched: SearchedSnapshot, query: Any, ranking: Ranking, answers: set[str]
) -> tuple[Mapping[str, Matrix], NDArray[np.bool_]]:
    """The features of the best passages, and which of them are right."""
    run = ranking.run.first(DEPTH)
    passages = searched.stored(run.ids.tolist())
    is_right = [passages[id].document_id in answers for id in run.ids.tolist()]
    return features(searched, query, run, ranking.by), np.array(is_right, np.bool_)


def answered_queries(collection: Collection, count: int, seed: str) -> list[Query]:
    """Id, text and answers of some queries that have answers."""
    answered = [
        (id, text, {d for d, grade in collection.judgements[id].items() if grade > 0})
        for id, text in sorted(collection.queries.items())
        if text.strip()
    ]
    answered = [row for row in answered if row[2]]
    random.Random(seed).shuffle(answered)
    return answered[:count]


def nonsense_queries(vocabulary: Sequence[str], count: int, seed: str) -> list[Query]:
    """Random keystrokes, and random words."""
    rng = random.Random(seed)
    rows = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "asdfghjkl;qwertyuiopzxcvbnm"]
    queries: list[Query] = []
    for _ in range(count):
        row = rng.choice(rows)
        keys = ["".join(rng.choices(row, k=rng.randrange(3, 11))) for _ in range(4)]
        queries.append(("keys", " ".join(keys[: rng.randrange(1, 5)]), set()))
        words = " ".join(rng.choices(vocabulary, k=rng.randrange(2, 9)))
        queries.append(("words", words, set()))
    return queries


def vocabulary(collections: Sequence[Collection]) -> list[str]:
    """Words of at least three letters that occur in at least three documents of a sample."""
    counts: Counter[str] = Counter()
    for collection in collections:
        for document, _ in zip(collection.documents, range(1500), strict=False):
            counts.update(set(re.findall(r"[a-z]{3,}", document.text.lower())))
    return sorted(word for word, count in counts.items() if count > 2)


def draw_documents(
    rng: random.Random, own_queries: Sequence[Query], documents: Mapping[str, Document], size: int
) -> dict[str, Document]:
    """So many documents, half of which answer own queries."""
    ids: dict[str, None] = {}
    for _, _, answers in rng.sample(own_queries, max(1, size // 2)):
        ids |= dict.fromkeys(sorted(answers & documents.keys())[:1])
    while len(ids) < size:
        ids |= {rng.choice(list(documents)): None}
    return {id: documents[id] for id in list(ids)[:size]}
