"""MLDR: questions to long documents, in 13 languages, each a folder mldr-v1.0-LANG/.

corpus.jsonl.gz of `docid`, `text`; SPLIT.jsonl.gz of `query_id`, `query`, `positive_passages` and
`negative_passages` (of `docid`, `text`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.rows import Row, field, first_row, optional, rows
from retrieval.eval.datasets.splits import choose, named
from retrieval.types import Document

_SPLITS = ("train", "dev", "test")


def recognises(folder: Path) -> bool:
    """Whether its corpus has `docid`s and its queries passages beside them."""
    corpus = named(folder, "corpus")
    return (
        corpus is not None
        and "docid" in first_row(corpus)
        and any(named(folder, split) for split in _SPLITS)
    )


def load(folder: Path, split: str | None) -> list[Collection]:
    """One language of MLDR; raises as `Format.load` does."""
    chosen = choose(split, [name for name in _SPLITS if named(folder, name)], folder)
    corpus, asked = named(folder, "corpus"), named(folder, chosen)
    if corpus is None or asked is None:
        raise InputError(f"{folder} lacks its corpus or its {chosen} queries; expected MLDR's")

    def documents() -> Iterator[Document]:
        for row in rows(corpus):
            yield Document(field(row, "docid", path=corpus), optional(row, "text", corpus))

    found = list(rows(asked))
    queries = [(field(r, "query_id", path=asked), field(r, "query", path=asked)) for r in found]
    judged = [one for row in found for one in _judgements(row, asked)]
    notes = "positive_passages have grade 1, negative_passages grade 0"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


def _judgements(row: Row, path: Path) -> Iterator[Judgement]:
    query = field(row, "query_id", path=path)
    for name, given in (("positive_passages", 1), ("negative_passages", 0)):
        passages = row.get(name) or []
        if not isinstance(passages, list) or not all(isinstance(one, dict) for one in passages):
            raise InputError(f"{path}: {name!r} of query {query!r} is no list of objects")
        for passage in passages:
            yield query, field(passage, "docid", path=path), given


def lacking(folder: Path) -> str | None:
    """The corpus alone."""
    corpus = named(folder, "corpus")
    if corpus is not None and "docid" in first_row(corpus):
        return "the queries of MLDR are missing: expected test.jsonl.gz, dev.jsonl.gz beside it"
    return None


FORMAT = Format("MLDR", recognises, load, lacking)
