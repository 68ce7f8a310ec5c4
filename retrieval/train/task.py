"""The task that a model is fitted to: documents, judged training queries, and held-out queries.

Read from a folder in BEIR's format. Held-out queries are those of a development split, or else a
share of the train split's, taken out together with all queries that are judged for the same
documents. Queries in any other split are never trained on.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrieval.errors import InputError
from retrieval.eval.datasets import beir
from retrieval.files.given import StrPath
from retrieval.types import Document

DEVELOPMENT = ("dev", "valid", "validation")
"""Names of development splits."""

SCORES = "scores.tsv"
"""A teacher's scores that come with the data: query id, document id, number, between tabs."""

HELD_OUT_SHARE = 0.2
"""Maximum share of the train split to hold out if there is no development split."""

Grades = Mapping[str, Mapping[str, int]]
"""Grade by document id, by query id; all above 0."""


@dataclass(frozen=True, slots=True)
class Task:
    """Training data and held-out data.

    Attributes:
        name: name of the data.
        documents: the documents to search, in training and measuring.
        queries: texts by id, of both kinds of queries.
        train: the queries to learn from.
        held_out: the queries to measure on; disjoint from `train`.
        measured_on: description of the held-out queries.
        scores: a teacher's score by document id, by query id, if the data have them.
        pseudo: whether the queries were made from the documents themselves.
        notes: what was left out, one line each.
    """

    name: str
    documents: Sequence[Document]
    queries: Mapping[str, str]
    train: Grades
    held_out: Grades
    measured_on: str
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pseudo: bool = False
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Hex digest of everything that determines training and measuring."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(f"{document.id}\0{document.content_hash}\0".encode())
        for query in (*self.train, "", *self.held_out):
            digest.update(f"{query}\0{self.queries.get(query, '')}\0".encode())
        for grades in (self.train, self.held_out, self.scores):
            digest.update(repr([(q, sorted(g.items())) for q, g in grades.items()]).encode())
        return digest.hexdigest()


def read_task(
    folder: StrPath, *, most_documents: int = 20_000, most_held_out: int = 200, seed: int = 0
) -> Task:
    """Read a folder in BEIR's format that has a train split.

    Args:
        folder: with corpus.jsonl, queries.jsonl, qrels/train.tsv, and perhaps qrels/dev.tsv and
            scores.tsv.
        most_documents: maximum number of documents; those named by queries come first.
        most_held_out: maximum number of queries to measure on.

    Raises:
        InputError: a file is missing or cannot be used, or nothing is left to learn from.
    """
    folder = Path(folder)
    splits = _splits(folder)
    rng = np.random.default_rng(seed)
    texts = {query.id: query.text.strip() for query in beir.queries(folder)}
    others = {query for name, grades in splits.items() if name != beir.TRAIN for query in grades}
    notes: list[str] = []
    train: Grades = _answerable(splits[beir.TRAIN], texts, others, folder, notes)
    development = next((name for name in DEVELOPMENT if name in splits), None)
    if development is not None:
        answerable = _answerable(splits[development], texts, set(), folder, [])
        held_out: Grades = _sample(answerable, most_held_out, rng)
        measured_on = f"queries of the {development} split"
    else:
        held_out, apart = hold_out(train, most_held_out, rng)
        train = {query: grades for query, grades in train.items() if query not in held_out}
        measured_on = "held-out queries of the train split" + (
            "" if apart else ", whose documents training sees too"
        )
    scores = _scores(folder / SCORES, train)
    documents, train = _documents(folder, train, held_out, scores, most_documents, rng, notes)
    known = {document.id for document in documents}
    held_out = _only(held_out, known)
    scores = {q: {d: s for d, s in own.items() if d in known} for q, own in scores.items()}
    return Task(
        name=folder.resolve().name,
        documents=documents,
        queries={query: texts[query] for query in (*train, *held_out)},
        train=train,
        held_out=held_out,
        measured_on=measured_on,
        scores={q: own for q, own in scores.items() if own and q in train},
        notes=tuple(notes),
    )


def hold_out(train: Grades, most: int, rng: np.random.Generator) -> tuple[Grades, bool]:
    """Queries to take out of training, and whether no other query is judged for their documents.

    Queries that share a document stay together. If that leaves nothing to take out, queries are
    drawn one by one.
    """
    most = min(most, math.floor(len(train) * HELD_OUT_SHARE))
    groups = list(_groups(train))
    chosen: list[str] = []
    for at in rng.permutation(len(groups)):
        if len(chosen) + len(groups[at]) <= most:
            chosen += groups[at]
    if chosen:
        return {query: train[query] for query in chosen}, True
    return _sample(train, most, rng), False


def _groups(train: Grades) -> Iterator[list[str]]:
    """Groups of queries that share documents, directly or through others."""
    asking: defaultdict[str, list[str]] = defaultdict(list)
    for query, grades in train.items():
        for document in grades:
            asking[document].append(query)
    seen: set[str] = set()
    for first in train:
        if first in seen:
            continue
        seen.add(first)
        group = [first]
        for query in group:  # grows during the iteration
            for document in train[query]:
                new = [other for other in asking.pop(document, ()) if other not in seen]
                seen.update(new)
                group += new
        yield group


def _splits(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """The grades of every split by its name."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; give one in BEIR's format, with qrels/train.tsv"
        )
    names = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    if beir.TRAIN not in names:
        there = ", ".join(f"{name}.tsv" for name in names) or "nothing"
        raise InputError(
            f"{folder} has no train split: qrels/ holds {there}, expected train.tsv; without "
            "judged queries, index the texts and train on the index with --index"
        )
    splits: dict[str, dict[str, dict[str, int]]] = {}
    for name in names:
        own = splits.setdefault(name, {})
        for found in beir.judgements(folder, name):
            own.setdefault(found.query, {})[found.document] = found.grade
    return splits


def _answerable(
    grades: Grades,
    texts: Mapping[str, str],
    others: set[str],
    folder: Path,
    notes: list[str],
) -> dict[str, dict[str, int]]:
    """Queries with a text and a relevant document, that are in no other split."""
    own = {query: grade for query, grade in grades.items() if query not in others}
    silent = [query for query in own if not texts.get(query)]
    if len(silent) == len(own) and own:
        raise InputError(
            f"{folder}: none of the {len(own):,} judged queries has a text in queries.jsonl "
            f"(the first is {silent[0]!r}); expected one for each"
        )
    if silent:
        notes.append(f"{len(silent):,} queries without a text left out (first: {silent[0]!r})")
    if len(own) < len(grades):
        notes.append(f"{len(grades) - len(own):,} train queries that other splits name left out")
    found = {
        query: {document: grade for document, grade in grade_by.items() if grade > 0}
        for query, grade_by in own.items()
        if texts.get(query)
    }
    return {query: grade_by for query, grade_by in found.items() if grade_by}


def _documents(
    folder: Path,
    train: Grades,
    held_out: Grades,
    scores: Mapping[str, Mapping[str, float]],
    most: int,
    rng: np.random.Generator,
    notes: list[str],
) -> tuple[list[Document], Grades]:
    """At most `most` documents, and the train queries that one of them answers."""
    wanted = {document for grades in held_out.values() for document in grades}
    order = [list(train)[at] for at in rng.permutation(len(train))]
    chosen = []
    for query in order:
        if len(wanted) >= most:
            break
        wanted.update(train[query], scores.get(query, ()))
        chosen.append(query)
    documents = _read(folder, wanted, most, rng)
    known = {document.id for document in documents}
    kept = _only({query: train[query] for query in chosen}, known)
    if len(kept) < len(train):
        notes.append(
            f"{len(train) - len(kept):,} of {len(train):,} train queries left out: their documents "
            f"are beyond the {most:,} that are searched, or not in corpus.jsonl"
        )
    return documents, kept


def _read(folder: Path, wanted: set[str], most: int, rng: np.random.Generator) -> list[Document]:
    """The wanted documents, filled up to `most` with others, drawn evenly, in their order."""
    named: list[tuple[int, Document]] = []
    drawn: list[tuple[int, Document]] = []
    room, seen = max(0, most - len(wanted)), 0
    for number, document in enumerate(beir.documents(folder)):
        if document.id in wanted:
            named.append((number, document))
        elif document.text.strip():
            seen += 1
            if len(drawn) < room:
                drawn.append((number, document))
            elif room and (at := int(rng.integers(seen))) < room:
                drawn[at] = (number, document)
    unique = {document.id: (number, document) for number, document in (*named, *drawn)}
    return [document for _, document in sorted(unique.values(), key=lambda pair: pair[0])]


def _scores(path: Path, train: Grades) -> dict[str, dict[str, float]]:
    """A teacher's scores of train queries, or {} if the data have none."""
    found: dict[str, dict[str, float]] = {}
    if not path.is_file():
        return found
    for number, line in enumerate(_lines(path), start=1):
        row = line.split("\t")
        if not line or (number == 1 and row[0] == "query-id"):
            continue
        try:
            query, document, score = row[0], row[1], float(row[2])
            if not math.isfinite(score):
                raise ValueError("not finite")
        except (ValueError, IndexError):
            raise InputError(
                f"{path}:{number}: {row!r}, expected query id, document id and a number "
                "between tabs"
            ) from None
        if query in train:
            found.setdefault(query, {})[document] = score
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as wrong:
        raise InputError(f"{path} is not UTF-8 ({wrong}); expected UTF-8 text") from None


def _sample(grades: Grades, most: int, rng: np.random.Generator) -> dict[str, Mapping[str, int]]:
    names: Iterable[str] = grades
    if len(grades) > most:
        names = rng.choice(sorted(grades), most, replace=False).tolist()
    return {query: grades[query] for query in names}


def _only(grades: Grades, known: set[str]) -> Grades:
    """Without unknown documents, and without queries that no known document answers."""
    found = {
        query: {document: grade for document, grade in own.items() if document in known}
        for query, own in grades.items()
    }
    return {query: own for query, own in found.items() if own}
