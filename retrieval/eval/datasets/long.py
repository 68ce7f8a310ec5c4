"""Collections of long documents: MLDR and LongEmbed.

MLDR        mldr-v1.0-LANG/: corpus.jsonl.gz of `docid`, `text`; SPLIT.jsonl.gz of `query_id`,
            `query`, `positive_passages` and `negative_passages` (of `docid`, `text`)
LongEmbed   TASK/: corpus.jsonl of `doc_id`, `text`; queries.jsonl of `qid`, `text`; qrels.jsonl of
            `qid`, `doc_id`. All rows of needle and passkey have a `context_length`: each is its
            own split, `test_256` to `test_32768`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.folders import choose
from retrieval.eval.datasets.rows import Row, field, first_row, grade, named, optional, rows
from retrieval.types import Document

_MLDR_SPLITS = ("train", "dev", "test")
_LENGTH = "context_length"


def is_mldr(folder: Path) -> bool:
    """Whether its corpus has `docid`s and its queries passages beside them."""
    corpus = named(folder, "corpus")
    return (
        corpus is not None
        and "docid" in first_row(corpus)
        and any(named(folder, split) for split in _MLDR_SPLITS)
    )


def load_mldr(folder: Path, split: str | None) -> list[Collection]:
    """One language of MLDR; raises as `load_folder` does."""
    chosen = choose(split, [name for name in _MLDR_SPLITS if named(folder, name)], folder)
    corpus, asked = named(folder, "corpus"), named(folder, chosen)
    if corpus is None or asked is None:
        raise InputError(f"{folder} lacks its corpus or its {chosen} queries; expected MLDR's")

    def documents() -> Iterator[Document]:
        for row in rows(corpus):
            yield Document(field(row, "docid", path=corpus), optional(row, "text", corpus))

    found = list(rows(asked))
    queries = [(field(r, "query_id", path=asked), field(r, "query", path=asked)) for r in found]
    judged = [one for row in found for one in _mldr_judgements(row, asked)]
    notes = "positive_passages have grade 1, negative_passages grade 0"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


def _mldr_judgements(row: Row, path: Path) -> Iterator[Judgement]:
    query = field(row, "query_id", path=path)
    for name, given in (("positive_passages", 1), ("negative_passages", 0)):
        passages = row.get(name) or []
        if not isinstance(passages, list) or not all(isinstance(one, dict) for one in passages):
            raise InputError(f"{path}: {name!r} of query {query!r} is no list of objects")
        for passage in passages:
            yield query, field(passage, "docid", path=path), given


def is_longembed(folder: Path) -> bool:
    """Whether its corpus has `doc_id`s and its judgements are in one file."""
    corpus = named(folder, "corpus")
    return (
        corpus is not None
        and named(folder, "queries") is not None
        and named(folder, "qrels") is not None
        and "doc_id" in first_row(corpus)
    )


def load_longembed(folder: Path, split: str | None) -> list[Collection]:
    """A task of LongEmbed; needle and passkey are a collection for each context length.

    Raises:
        InputError: the split (a context length) is not there, or a line cannot be read.
    """
    files = {part: named(folder, part) for part in ("corpus", "queries", "qrels")}
    paths = {part: path for part, path in files.items() if path is not None}
    if len(paths) < len(files):
        raise InputError(f"{folder} lacks corpus, queries or qrels; expected LongEmbed's files")
    lengths = sorted({_length(row) for row in rows(paths["queries"])}, key=lambda n: n or 0)
    if lengths in ([], [None]):
        chosen = choose(split, ["test"], folder)
        return [_longembed(folder.name, chosen, paths, None)]
    by_name = {f"test_{length}": length for length in lengths}
    names = list(by_name) if split in (None, "test") else [choose(split, list(by_name), folder)]
    return [_longembed(f"{folder.name}_{by_name[n]}", n, paths, by_name[n]) for n in names]


def _longembed(name: str, split: str, paths: dict[str, Path], length: int | None) -> Collection:
    def of_length(path: Path) -> Iterable[Row]:
        return (row for row in rows(path) if length is None or _length(row) == length)

    def documents() -> Iterator[Document]:
        for row in of_length(paths["corpus"]):
            yield Document(
                field(row, "doc_id", path=paths["corpus"]), optional(row, "text", paths["corpus"])
            )

    queries = [
        (field(row, "qid", path=paths["queries"]), optional(row, "text", paths["queries"]))
        for row in of_length(paths["queries"])
    ]
    judged = (
        (
            field(row, "qid", path=paths["qrels"]),
            field(row, "doc_id", path=paths["qrels"]),
            grade(row.get("score", 1), paths["qrels"]),
        )
        for row in of_length(paths["qrels"])
    )
    notes = "" if length is None else f"documents and queries of context length {length}"
    return assemble(name, split, documents, queries, judged, notes)


def _length(row: Row) -> int | None:
    value = row.get(_LENGTH)
    return value if isinstance(value, int) else None
