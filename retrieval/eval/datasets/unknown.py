"""What to say of a folder that no format fits: what it holds, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.eval.datasets.code import annotations_of
from retrieval.eval.datasets.folders import beside, texts_of
from retrieval.eval.datasets.rows import entries, first_row, named
from retrieval.eval.datasets.trec import qrels_of

_DEPTH, _MOST, _SHOWN = 3, 500, 6
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2")


def explain(folder: Path, formats: list[str], recognise: Callable[[Path], str | None]) -> str:
    """One line: what the folder holds, in which format a folder deeper in it is, what is missing.

    Args:
        formats: the names of those that were tried.
        recognise: a folder to the name of its format, or None.
    """
    names = [path.name + ("/" if path.is_dir() else "") for path in entries(folder)]
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    said = f"{folder} is in no format that is known; it holds {shown or 'nothing'}"
    deeper = _deeper(folder, recognise)
    if deeper is not None:
        return f"{said}; {deeper[0]} in it is {deeper[1]}: give that folder"
    return f"{said}; {_missing(folder) or 'expected one of: ' + ', '.join(formats)}"


def _deeper(folder: Path, recognise: Callable[[Path], str | None]) -> tuple[Path, str] | None:
    """The first folder below that is a collection, the nearest first."""
    level, seen = [folder], 0
    for _ in range(_DEPTH):
        level = [path for over in level for path in entries(over) if path.is_dir()]
        for path in level[: _MOST - seen]:
            try:
                name = recognise(path)
            except (RetrievalError, OSError):
                name = None
            if name is not None:
                return path.relative_to(folder), name
        seen += len(level)
        if seen >= _MOST:
            break
    return None


def _missing(folder: Path) -> str | None:
    """What a folder lacks that is close to a format."""
    files = [path.name for path in entries(folder) if path.is_file()]
    corpus, queries = texts_of(folder)
    if folder.name.endswith("-qrels"):
        base = folder.name.removesuffix("-qrels")
        return (
            f"these are judgements alone: put {base}-queries-corpus (CoIR) or {base} (BEIR) "
            "beside the folder and give that"
        )
    if corpus and queries:
        return (
            "judgements are missing: expected qrels/SPLIT.tsv, .jsonl or .parquet in it, or the "
            f"folder {beside(folder).name} beside it"
        )
    if annotations_of(folder):
        return (
            "the functions of CodeSearchNet are missing: unpack its archives into data/ beside "
            "annotationStore.csv, so that data/python/final/jsonl/ is there"
        )
    if any(name.startswith("cosqa") and name.endswith(".json") for name in files):
        return (
            "of CoSQA, retrieval needs cosqa-retrieval-SPLIT-500.json and code_idx_map.txt, which "
            "its repository CoCLR has in data/search"
        )
    single = named(folder, "corpus")
    if single is not None and "docid" in first_row(single):
        return "the queries of MLDR are missing: expected test.jsonl.gz, dev.jsonl.gz beside it"
    if qrels_of(folder):
        return (
            "beside TREC's qrels, topics*.txt or queries*.tsv and documents are needed: "
            "corpus.jsonl, collection.tsv, or <DOC> in *.trec or *.sgml"
        )
    if any(name.endswith(_ARCHIVES) for name in files):
        return "unpack the archives first"
    return None
