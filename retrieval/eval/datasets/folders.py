"""Folders of corpus, queries and judgements: BEIR's, MTEB's and CoIR's.

BEIR    corpus.jsonl  queries.jsonl  qrels/SPLIT.tsv
MTEB    corpus, queries and qrels, each a file (corpus.jsonl) or a folder of them
        (corpus/test-00000-of-00001.parquet); judgements by split, in qrels/, default/ or data/
CoIR    the same with `query_id`, `corpus_id`; the queries and corpus may be apart from the qrels
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.documents import beir
from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.rows import SUFFIXES, field, grade, lines, named, rows
from retrieval.types import Document

# test, test-00000-of-00001, 0000 (a shard of a folder that is named for its split)
_SHARD = re.compile(r"^(?P<split>.+?)(-\d{5}-of-\d{5})?$")


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


def load_beir(folder: Path, *, split: str = "test", max_queries: int | None = None) -> Dataset:
    """Read a folder in BEIR's format into memory.

    Args:
        max_queries: keep the first this many judged queries, in the order of `queries.jsonl`.

    Raises:
        InputError: a file is missing or a line cannot be read; both are named.
    """
    documents = tuple(beir.documents(folder))
    qrels: dict[str, dict[str, int]] = {}
    for found in beir.judgements(folder, split):
        qrels.setdefault(found.query, {})[found.document] = found.grade
    judged = [(query.id, query.text) for query in beir.queries(folder) if query.id in qrels]
    queries = dict(judged[:max_queries])
    return Dataset(folder.name, documents, queries, {query: qrels[query] for query in queries})


def is_folder(folder: Path) -> bool:
    """Whether it holds a corpus, queries and judgements under their usual names."""
    return bool(_files(folder, "corpus") and _files(folder, "queries") and _splits(folder))


def load_folder(folder: Path, split: str | None) -> list[Collection]:
    """The collection in a folder of BEIR's, MTEB's or CoIR's format.

    Raises:
        InputError: the split is not there, or a line cannot be read; both are named.
    """
    splits = _splits(folder)
    chosen = choose(split, list(splits), folder)
    corpus, queries = _files(folder, "corpus"), _files(folder, "queries")

    def documents() -> Iterator[Document]:
        for path in corpus:
            for row in rows(path):
                id = field(row, "_id", "id", "corpus-id", path=path)
                yield Document(id, str(row.get("text") or ""), str(row.get("title") or ""))

    asked = (
        (field(row, "_id", "id", "query-id", path=path), str(row.get("text") or ""))
        for path in queries
        for row in rows(path)
    )
    judged = (found for path in splits[chosen] for found in _judgements(path))
    return [assemble(folder.name, chosen, documents, asked, judged)]


def choose(split: str | None, there: list[str], where: Path) -> str:
    """The split that was asked for; without one `test`, or the only one.

    Raises:
        InputError: it is not there; those that are, are named.
    """
    wanted = split or ("test" if "test" in there or len(there) != 1 else there[0])
    if wanted not in there:
        known = ", ".join(sorted(there)) or "none"
        raise InputError(f"{where} has no split {wanted!r}; choose from: {known}")
    return wanted


def _files(folder: Path, part: str) -> list[Path]:
    """The files of the corpus or of the queries, in order of name."""
    single = named(folder, part)
    if single is not None:
        return [single]
    return _inside(folder / part)


def _inside(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))


def _splits(folder: Path) -> dict[str, list[Path]]:
    """The files of judgements by split."""
    splits: dict[str, list[Path]] = {}
    for name in ("qrels", "default", "data"):
        place = folder / name
        found = _inside(place) + (sorted(place.glob("*.tsv")) if place.is_dir() else [])
        for path in found:
            match = _SHARD.match(path.name.split(".")[0])
            if match:
                splits.setdefault(match["split"], []).append(path)
        if splits:
            return splits
    single = named(folder, "qrels")
    return {} if single is None else {"test": [single]}


def _judgements(path: Path) -> Iterator[Judgement]:
    if path.suffix == ".tsv":
        for found in beir.judgements_of(path) if _three(path) else ():
            yield found.query, found.document, found.grade
        return
    for row in rows(path):
        yield (
            field(row, "query-id", "query_id", path=path),
            field(row, "corpus-id", "corpus_id", path=path),
            grade(row.get("score", 1), path),
        )


def _three(path: Path) -> bool:
    """Whether it has judgements of three columns; of TREC's four the reader is another."""
    first = next(lines(path), "")
    if first and len(first.split("\t")) == 4:
        raise InputError(
            f"{path}:1: four columns, as in TREC's qrels; expected query id, document id, grade "
            "(give TREC's as a file named qrels.txt)"
        )
    return True
