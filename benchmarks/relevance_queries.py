"""What `benchmarks/relevance.py` asks: queries with and without answers, and what is found."""

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

COLLECTIONS = {  # subject, split, and what it is for
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
OWN, WRONG, NONSENSE, REMOVED = 300, 100, 60, 150  # queries a collection, and of each other one
SIZES = {1: 8, 3: 8, 10: 8, 40: 4}  # documents of a small index, and how many such
DEPTH = 10
VAIN = ("wrong", "keys", "words", "neighbour")
"""Kinds of queries without an answer: of a collection on another subject, keys hit at random, words
drawn at random; of a small index, of its own collection but about other documents of it."""

Matrix = NDArray[np.float64]
Query = tuple[str, str, set[str]]  # kind or id, text, documents that answer


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of one index: for each retriever the features of its ranking, and what answers.

    Attributes:
        kind: `own`, one of `VAIN`, or `removed`: an own one, with what answers it left out.
        small: whether it is an index of a few documents.
        found: by retriever, features and bool, each [h], h <= DEPTH.
    """

    kind: str
    small: bool
    found: Mapping[str, tuple[Mapping[str, Matrix], NDArray[np.bool_]]]


def asked_of(
    name: str, collections: Mapping[str, Collection], words: Sequence[str], work: Path
) -> list[Asked]:
    """All that is asked of one collection and of small indexes of its documents."""
    subject, _, role = COLLECTIONS[name]
    others = [
        other
        for other, (of, _, part) in COLLECTIONS.items()
        if part == role and of != subject and {of, subject} != {"web", "medicine"}
    ]
    own = queries_of(collections[name], OWN, name)
    wrong = {o: [text for _, text, _ in queries_of(collections[o], WRONG, o)] for o in others}
    queries: list[Query] = [("own", text, answers) for _, text, answers in own]
    queries += [("wrong", text, set()) for texts in wrong.values() for text in texts]
    queries += nonsense(words, NONSENSE, name)
    queries += [("removed", text, answers) for _, text, answers in own[:REMOVED]]
    path = work / name
    with Index.open(path) if path.exists() else Index.create(path) as index:
        if index.status().documents < len(collections[name].documents):
            index.add(collections[name].documents)
        found = ask(index, queries, small=False)
    drawn = random.Random(name)
    documents = {d.id: d for d in collections[name].documents}
    for size, count in SIZES.items():
        for number in range(count if len(documents) > 1000 or size < 10 else 0):
            chosen = small_set(drawn, own, documents, size)
            queries = [("own", text, a) for _, text, a in own if a & chosen.keys()][:6]
            for texts in wrong.values():
                queries += [("wrong", text, set()) for text in drawn.sample(texts, 2)]
            left = [text for _, text, a in drawn.sample(own, 8) if not a & chosen.keys()]
            queries += [("neighbour", text, set()) for text in left[:4]]
            queries += nonsense(words, 2, f"{name} {size} {number}")
            shutil.rmtree(work / "small", ignore_errors=True)
            with Index.create(work / "small") as index:
                index.add(chosen.values())
                found += ask(index, queries, small=True)
    return found


def ask(index: Index, queries: Sequence[Query], *, small: bool) -> list[Asked]:
    """Kind, text and answers in, rankings' features out."""
    found = []
    with index._using() as snapshot:
        passages = passages_of(snapshot)
        searched = SearchedSnapshot(snapshot)
        for first in range(0, len(queries), 50):
            part = queries[first : first + 50]
            asked = search.prepare(
                searched, index._encoder, [text for _, text, _ in part], "hybrid"
            )
            for query, (kind, _, answers) in zip(asked, part, strict=True):
                allowed = np.ones(snapshot.store.end, np.bool_)
                if kind == "removed":
                    allowed[[id for answer in answers for id in passages[answer]]] = False
                    answers = set()
                of = {}
                for name in RETRIEVERS:
                    (ranking,) = search.rank(
                        searched, [query], DEPTH, retriever=name, allowed=allowed
                    )
                    of[name] = looked_at(searched, query, ranking, answers)
                found.append(Asked(kind, small, of))
    return found


def passages_of(snapshot: Snapshot) -> Mapping[str, list[int]]:
    """The ids of the passages of each document."""
    table: dict[str, list[int]] = defaultdict(list)
    for first in range(0, snapshot.store.end, 5000):
        rows = snapshot.store.passages(list(range(first, first + 5000)))
        documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
        for id, row in rows.items():
            table[documents[row.document].id].append(id)
    return table


def looked_at(
    searched: SearchedSnapshot, query: Any, ranking: Ranking, answers: set[str]
) -> tuple[Mapping[str, Matrix], NDArray[np.bool_]]:
    """The features of the best passages, and which of them answer."""
    run = ranking.run.first(DEPTH)
    found = searched.stored(run.ids.tolist())
    right = [found[id].document_id in answers for id in run.ids.tolist()]
    return features(searched, query, run, ranking.by), np.array(right, np.bool_)


def queries_of(collection: Collection, count: int, seed: str) -> list[Query]:
    """Id, text and answers of some queries that have answers."""
    answered = [
        (id, text, {d for d, grade in collection.judgements[id].items() if grade > 0})
        for id, text in sorted(collection.queries.items())
        if text.strip()
    ]
    answered = [row for row in answered if row[2]]
    random.Random(seed).shuffle(answered)
    return answered[:count]


def nonsense(vocabulary: Sequence[str], count: int, seed: str) -> list[Query]:
    """Keys hit at random, and words drawn at random."""
    drawn = random.Random(seed)
    rows = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "asdfghjkl;qwertyuiopzxcvbnm"]
    made: list[Query] = []
    for _ in range(count):
        row = drawn.choice(rows)
        keys = ["".join(drawn.choices(row, k=drawn.randrange(3, 11))) for _ in range(4)]
        made.append(("keys", " ".join(keys[: drawn.randrange(1, 5)]), set()))
        some = " ".join(drawn.choices(vocabulary, k=drawn.randrange(2, 9)))
        made.append(("words", some, set()))
    return made


def vocabulary(collections: Sequence[Collection]) -> list[str]:
    """Words of at least three letters that are in at least three of some documents."""
    counts: Counter[str] = Counter()
    for collection in collections:
        for document, _ in zip(collection.documents, range(1500), strict=False):
            counts.update(set(re.findall(r"[a-z]{3,}", document.text.lower())))
    return sorted(word for word, count in counts.items() if count > 2)


def small_set(
    drawn: random.Random, own: Sequence[Query], documents: Mapping[str, Document], size: int
) -> dict[str, Document]:
    """So many documents, half of them answers."""
    ids: dict[str, None] = {}
    for _, _, answers in drawn.sample(own, max(1, size // 2)):
        ids |= dict.fromkeys(sorted(answers & documents.keys())[:1])
    while len(ids) < size:
        ids |= {drawn.choice(list(documents)): None}
    return {id: documents[id] for id in list(ids)[:size]}
