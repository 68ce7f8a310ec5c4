"""Folders of corpus, queries and judgements: BEIR's, MTEB's and CoIR's.

BEIR    corpus.jsonl  queries.jsonl  qrels/SPLIT.tsv
MTEB    corpus, queries and qrels, each a file (corpus.jsonl) or a folder of them
        (corpus/test-00000-of-00001.parquet); judgements by split, in qrels/, default/ or data/;
        of several languages LANG-corpus, LANG-queries, LANG-qrels
CoIR    NAME-queries-corpus/data/{corpus,queries}-*.parquet, and beside it
        NAME-qrels/data/SPLIT-*.parquet with `query_id`, `corpus_id`; or as MTEB
BEIR on a hub   NAME/{corpus,queries}/ and beside it NAME-qrels/SPLIT.tsv
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets import beir
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.rows import field, grade, lines, optional, rows, text_of
from retrieval.eval.datasets.splits import SUFFIXES, choose, entries, named, shards
from retrieval.types import Document

Files = dict[str, list[Path]]
"""Files by split."""

_JUDGED = (*SUFFIXES, ".tsv")
_TEXTS = ("corpus", "queries")
_BESIDE = "-queries-corpus"
# `en-queries`, a folder or a file, is of the language `en`.
_SUBSET = re.compile(r"^(?P<name>.+)-queries(?:\..+)?$")
_UNREAD = {
    "top_ranked": "top_ranked, the documents to rerank, is not read: the whole corpus is searched",
    "instruction": "instruction is not read: queries are asked without",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """The files of one collection: of a folder, or of one language in it."""

    name: str
    corpus: Files
    queries: Files
    qrels: Files
    warnings: tuple[str, ...] = ()


def recognises(folder: Path) -> bool:
    """Whether it holds a corpus, queries and judgements under their usual names."""
    return bool(_parts(folder))


def load(folder: Path, split: str | None) -> list[Collection]:
    """The collections in a folder of BEIR's, MTEB's or CoIR's format: one for each language.

    Raises:
        InputError: the split is not there, or a line cannot be read; both are named.
    """
    return [_load(part, folder, split) for part in _parts(folder)]


def _texts_of(folder: Path) -> tuple[Files, Files]:
    """The files of the corpus and of the queries, in their own folders or both in `data/`."""
    data = shards(folder / "data")
    corpus, queries = (
        _of(folder, name) or {split: paths for split, paths in data.items() if split == name}
        for name in _TEXTS
    )
    return corpus, queries or _of(folder, "query")


def _beside(folder: Path) -> Path:
    """Where judgements are that are published apart from their corpus and queries."""
    return folder.parent / (folder.name.removesuffix(_BESIDE) + "-qrels")


def _load(part: _Part, folder: Path, split: str | None) -> Collection:
    chosen = choose(split, list(part.qrels), folder)
    corpus = _pick(part.corpus, chosen, f"corpus of {part.name}")
    queries = _pick(part.queries, chosen, f"queries of {part.name}")

    def documents() -> Iterator[Document]:
        for path in corpus:
            for row in rows(path):
                id = field(row, "_id", "id", "corpus-id", path=path)
                yield Document(id, text_of(row, path), optional(row, "title", path))

    asked = (
        (field(row, "_id", "id", "query-id", path=path), text_of(row, path))
        for path in queries
        for row in rows(path)
    )
    judged = (found for path in part.qrels[chosen] for found in _judgements(path))
    return assemble(part.name, chosen, documents, asked, judged, warnings=part.warnings)


def _pick(files: Files, split: str, what: str) -> list[Path]:
    """The files of the judgements' split, or of the only one: a corpus is often not divided."""
    if split in files:
        return files[split]
    if len(files) == 1:
        return next(iter(files.values()))
    raise InputError(
        f"the {what} has the splits {', '.join(sorted(files))}, and the judgements are of "
        f"{split!r}; expected that split, or one for all"
    )


def _parts(folder: Path) -> list[_Part]:
    corpus, queries = _texts_of(folder)
    if corpus and queries:
        qrels = _qrels(folder) or _apart(_beside(folder))
        name = folder.name.removesuffix(_BESIDE)
        if qrels:
            return [_Part(name, corpus, queries, qrels, _unread(folder, ""))]
    names = {found["name"] for path in entries(folder) if (found := _SUBSET.match(path.name))}
    parts = [
        _Part(
            f"{folder.name}-{name}",
            _of(folder, f"{name}-corpus"),
            _of(folder, f"{name}-queries"),
            _of(folder, f"{name}-qrels", _JUDGED),
            _unread(folder, f"{name}-"),
        )
        for name in sorted(names)
    ]
    return [part for part in parts if part.corpus and part.queries and part.qrels]


def _of(folder: Path, part: str, suffixes: tuple[str, ...] = SUFFIXES) -> Files:
    """The files of the corpus or of the queries: one of that name, or a folder of them."""
    single = named(folder, part)
    return {"test": [single]} if single else shards(folder / part, suffixes)


def _qrels(folder: Path) -> Files:
    for name in ("qrels", "default", "data"):
        found = shards(folder / name, _JUDGED)
        judged = {split: paths for split, paths in found.items() if split not in _TEXTS}
        if judged:
            return judged
    return _of(folder, "qrels")


def _apart(folder: Path) -> Files:
    return _qrels(folder) or shards(folder, _JUDGED)


def _unread(folder: Path, prefix: str) -> tuple[str, ...]:
    there = {path.name.split(".")[0] for path in entries(folder)}
    return tuple(said for name, said in _UNREAD.items() if prefix + name in there)


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


def lacking(folder: Path) -> str | None:
    """Judgements alone, all but them, or with them only one of corpus and queries."""
    corpus, queries = _texts_of(folder)
    if folder.name.endswith("-qrels"):
        base = folder.name.removesuffix("-qrels")
        return (
            f"these are judgements alone: put {base}-queries-corpus (CoIR) or {base} (BEIR) "
            "beside the folder and give that"
        )
    if corpus and queries:
        return (
            "judgements are missing: expected qrels/SPLIT.tsv, .jsonl or .parquet in it, or the "
            f"folder {_beside(folder).name} beside it"
        )
    if (corpus or queries) and _qrels(folder):
        name = "queries" if corpus else "corpus"
        return f"{name}.jsonl of BEIR's format is missing beside the judgements"
    return None


FORMAT = Format("BEIR, MTEB or CoIR", recognises, load, lacking, precedence=2)
