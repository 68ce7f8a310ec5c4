"""LongEmbed: questions to texts of up to 32,768 tokens, each task a folder.

corpus.jsonl of `doc_id`, `text`; queries.jsonl of `qid`, `text`; qrels.jsonl of `qid`, `doc_id`.
All rows of needle and passkey have a `context_length`: each is its own split, `test_256` to
`test_32768`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.rows import Row, field, first_row, grade, optional, rows
from retrieval.eval.datasets.splits import choose, named
from retrieval.types import Document

_LENGTH = "context_length"


def recognises(folder: Path) -> bool:
    """Whether its corpus has `doc_id`s and its judgements are in one file."""
    corpus = named(folder, "corpus")
    return (
        corpus is not None
        and named(folder, "queries") is not None
        and named(folder, "qrels") is not None
        and "doc_id" in first_row(corpus)
    )


def load(folder: Path, split: str | None) -> list[Collection]:
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
        return [_collection(folder.name, chosen, paths, None)]
    by_name = {f"test_{length}": length for length in lengths}
    names = list(by_name) if split in (None, "test") else [choose(split, list(by_name), folder)]
    return [_collection(f"{folder.name}_{by_name[n]}", n, paths, by_name[n]) for n in names]


def _collection(name: str, split: str, paths: dict[str, Path], length: int | None) -> Collection:
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


FORMAT = Format("LongEmbed", recognises, load)
