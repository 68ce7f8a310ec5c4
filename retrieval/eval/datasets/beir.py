"""Test collections in BEIR's format: documents, queries, judgements, and what training may see.

A folder holds `corpus.jsonl` and `queries.jsonl` (`_id`, `text`, and `title` of a document), and
`qrels/SPLIT.tsv` (query id, document id, grade, between tabs, below a line of headings).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.rows import whole
from retrieval.files.stored_json import parsed
from retrieval.types import Document

TRAIN = "train"

_FOLDER = "a folder in BEIR's format with corpus.jsonl, queries.jsonl and qrels/"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A corpus in memory, its queries, and who is relevant to whom.

    Attributes:
        name: the folder's name.
        queries: text by query id; only queries that have judgements.
        qrels: grade by document id, by query id.
    """

    name: str
    documents: tuple[Document, ...]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well a document answers a query: above 0 if it does."""

    query: str
    document: str
    grade: int


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of queries and of documents."""

    queries: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()


def documents(folder: Path) -> Iterator[Document]:
    """Every document of the collection, in order.

    Raises:
        InputError: the file is missing or a line cannot be read; both are named.
    """
    return _rows(folder / "corpus.jsonl", _FOLDER)


def queries(folder: Path) -> Iterator[Document]:
    """Every query of the collection, in order; raises as `documents` does."""
    return _rows(folder / "queries.jsonl", _FOLDER)


def judgements(folder: Path, split: str = TRAIN) -> Iterator[Judgement]:
    """The judgements of one split; raises as `documents` does."""
    return _judgements(folder / "qrels" / f"{split}.tsv", _FOLDER)


def load_beir(
    folder: str | Path, *, split: str = "test", max_queries: int | None = None
) -> Dataset:
    """Read a folder in BEIR's format into memory.

    Args:
        max_queries: keep the first this many judged queries, in the order of `queries.jsonl`.

    Raises:
        InputError: a file is missing or a line cannot be read; both are named.
    """
    folder = Path(folder)
    every = tuple(documents(folder))
    qrels: dict[str, dict[str, int]] = {}
    for found in judgements(folder, split):
        qrels.setdefault(found.query, {})[found.document] = found.grade
    judged = [(query.id, query.text) for query in queries(folder) if query.id in qrels]
    asked = dict(judged[:max_queries])
    return Dataset(folder.name, every, asked, {query: qrels[query] for query in asked})


def queries_of(file: Path) -> Iterator[Document]:
    """Every query of a file like `queries.jsonl`, wherever it is; raises as `documents` does."""
    return _rows(file, "a file in the form of BEIR's queries.jsonl")


def judgements_of(file: Path) -> Iterator[Judgement]:
    """The judgements of a file like `qrels/test.tsv`; raises as `documents` does."""
    return _judgements(file, "a file in the form of BEIR's qrels/test.tsv")


def _judgements(path: Path, expected: str) -> Iterator[Judgement]:
    for number, row in enumerate(csv.reader(_lines(path, expected), delimiter="\t"), start=1):
        if not row or (number == 1 and row[0] == "query-id"):
            continue
        try:
            query, document, grade = row
            yield Judgement(query, document, whole(grade))
        except ValueError:
            line = "\t".join(row)
            raise InputError(
                f"{path}:{number}: {line!r}, expected query id, document id and a whole "
                "number between tabs"
            ) from None


def train_only(folder: Path) -> Ids:
    """What the train split names and no other split does; raises as `documents` does."""
    train = list(judgements(folder))
    others = [
        judgement
        for path in (folder / "qrels").glob("*.tsv")
        if path.stem != TRAIN
        for judgement in judgements(folder, path.stem)
    ]
    return Ids(
        frozenset(found.query for found in train) - {found.query for found in others},
        frozenset(found.document for found in train) - {found.document for found in others},
    )


def _rows(path: Path, expected: str) -> Iterator[Document]:
    for number, line in enumerate(_lines(path, expected), start=1):
        try:
            row = parsed(line)
            text, title = (str(row.get(key) or "") for key in ("text", "title"))
            yield Document(str(row["_id"]), text, title)
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise InputError(
                f"{path}:{number}: {wrong!r}, expected a JSON object with an `_id`"
            ) from None


def _lines(path: Path, expected: str) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from lines
    except OSError as wrong:
        raise InputError(f"{path} cannot be read ({wrong.strerror}); expected {expected}") from None
    except UnicodeDecodeError as wrong:
        raise InputError(f"{path} is not UTF-8 ({wrong}); expected UTF-8 text") from None
