"""CodeSearchNet: docstrings to functions of six languages; and its annotated queries.

LANG/final/jsonl/SPLIT/LANG_SPLIT_0.jsonl.gz, or SPLIT.jsonl(.gz), or SPLIT-00000-of-00001.parquet:
one function a line with `code`, `docstring`, `url`, `language` (or `func_code_string` and so on); a
codebase.jsonl beside a split holds what it is searched in.

annotationStore.csv (Language, Query, GitHubUrl, Relevance, Notes) has the annotated queries; beside
such files, or over `data/` with them, as the repository has it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.averaging import averaged
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.functions import (
    CODE,
    SPLITS,
    TEXT,
    URL,
    docstring,
    files_by_split,
    has,
)
from retrieval.eval.datasets.rows import Row, field, first_row, grade, lines, rows
from retrieval.eval.datasets.shared_urls import EACH, Ids
from retrieval.eval.datasets.splits import choose, named
from retrieval.types import Document

Function = tuple[Path, Row]
"""A function, and the file that it stands in."""

ANNOTATIONS = "annotationStore.csv"
ANNOTATED = "annotated"


def recognises(folder: Path) -> bool:
    """Whether it holds files of functions with their docstrings."""
    found = _splits(folder)
    return bool(found) and has(first_row(next(iter(found.values()))[0]), CODE, TEXT, URL)


def load(folder: Path, split: str | None) -> list[Collection]:
    """A collection for each language; split `annotated` is the annotated queries.

    Raises:
        InputError: the split is not there, or a line cannot be read.
    """
    found, annotations = _splits(folder), annotations_of(folder)
    chosen = choose(split, [*found, *([ANNOTATED] if annotations else [])], folder)
    if annotations and chosen == ANNOTATED:
        paths = [path for paths in found.values() for path in paths]
        return _annotated(folder.name, annotations, _by_language(paths))
    codebase = named(folder, "codebase")
    by_language = _by_language(found[chosen])
    collections = []
    for language, paths in by_language.items():
        name = folder.name if len(by_language) == 1 else f"{folder.name}-{language}"
        functions = list(_functions(paths, language))
        searched = [codebase] if codebase else paths
        collections.append(_docstrings(name, chosen, functions, searched, language))
    return collections


def annotations_of(folder: Path) -> Path | None:
    """The annotations of a folder: in it, or where the repository has them."""
    over = [folder.parent] if folder.name == "data" else []
    places = (place / ANNOTATIONS for place in (folder, folder / "resources", *over))
    return next((path for path in places if path.is_file()), None)


def _docstrings(
    name: str, split: str, functions: list[Function], searched: list[Path], language: str
) -> Collection:
    """The docstring of each function asks for its code, among all functions of the split."""
    ids = Ids(_codes(searched, language))
    pairs = [(field(row, *URL, path=path), docstring(row, path)) for path, row in functions]
    meant = [
        ids.meant(url, _code(row, path))
        for (url, _), (path, row) in zip(pairs, functions, strict=True)
    ]
    # The same words may ask for two functions of one URL, each of which is a query of its own.
    asked = [(url, f"{text}\0{found}") for (url, text), found in zip(pairs, meant, strict=True)]
    query_ids = Ids(asked)
    own = [query_ids.of(url, key) for url, key in asked]
    return assemble(
        name,
        split,
        lambda: _documents(searched, language, ids),
        [(id, text) for id, (_, text) in zip(own, pairs, strict=True)],
        [(id, document, 1) for id, found in zip(own, meant, strict=True) for document in found],
        "query: docstring; document: the function's code with its docstring taken out",
        ids.warnings("each docstring asks for its own, as in the published evaluation"),
    )


def _annotated(name: str, file: Path, by_language: Mapping[str, list[Path]]) -> list[Collection]:
    """The annotated queries, a collection for each language, among all functions found."""
    reader = csv.DictReader(lines(file))
    needed = {"Language", "Query", "GitHubUrl", "Relevance"}
    if not needed <= set(reader.fieldnames or ()):
        raise InputError(f"{file} has the columns {reader.fieldnames}; expected {sorted(needed)}")
    judged: dict[str, list[Judgement]] = {}
    for row in reader:
        one = (str(row["Query"]).lower(), str(row["GitHubUrl"]), grade(row["Relevance"], file))
        judged.setdefault(str(row["Language"]).lower(), []).append(one)
    found = [
        _annotated_language(f"{name}-{language}", language, own, by_language[language])
        for language, own in sorted(judged.items())
        if language in by_language
    ]
    if not found:
        raise InputError(
            f"{file} judges {', '.join(sorted(judged)) or 'nothing'}, and there are no functions "
            "of these languages beside it; put their .jsonl.gz files there"
        )
    return found


def _annotated_language(
    name: str, language: str, judgements: list[Judgement], paths: list[Path]
) -> Collection:
    # Run files are cut at white space, which an id can therefore not hold.
    words = {query: "_".join(query.split()) for query, _, _ in judgements}
    judged, warnings = averaged((words[query], url, given) for query, url, given in judgements)
    ids = Ids(_codes(paths, language))
    return assemble(
        name,
        ANNOTATED,
        lambda: _documents(paths, language, ids),
        [(id, query) for query, id in words.items()],
        [(query, id, given) for query, url, given in judged for id in ids.meant(url)],
        "query: as annotated, in lower case; document: the function's code; grade 0 to 3",
        [*warnings, *ids.warnings(EACH)],
    )


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Files by split: flat (test.jsonl), or as CodeSearchNet's archives unpack."""
    flat = files_by_split(folder)
    if flat:
        return flat
    found: dict[str, list[Path]] = {}
    for split in SPLITS:
        patterns = [f"final/jsonl/{split}"]
        patterns += [f"{over}*/final/jsonl/{split}" for over in ("", "data/", "resources/data/")]
        places = {place for pattern in patterns for place in folder.glob(pattern)}
        paths = sorted(path for place in places for path in place.glob("*.jsonl*"))
        if paths:
            found[split] = paths
    return found


def _by_language(paths: list[Path]) -> dict[str, list[Path]]:
    """The files that hold functions of each language; the archives' files hold one language."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        of_one = path.parent.parent.name == "jsonl"
        some = [first_row(path)] if of_one else rows(path)
        for language in {str(row.get("language") or "").lower() for row in some}:
            found.setdefault(language, []).append(path)
    return dict(sorted(found.items()))


def _functions(paths: list[Path], language: str) -> Iterator[Function]:
    for path in paths:
        for row in rows(path):
            if str(row.get("language") or "").lower() == language:
                yield path, row


def _codes(paths: list[Path], language: str) -> Iterator[tuple[str, str]]:
    """URL and text of each function."""
    for path, row in _functions(paths, language):
        yield field(row, *URL, path=path), _code(row, path)


def _documents(paths: list[Path], language: str, ids: Ids) -> Iterator[Document]:
    for url, code in _codes(paths, language):
        yield Document(ids.of(url, code), code)


def _code(row: Row, path: Path) -> str:
    """The code without its docstring, which is the query."""
    code, docstring = field(row, *CODE, path=path), field(row, *TEXT, path=path)
    return code.replace(docstring, "", 1) if docstring.strip() else code


def lacking(folder: Path) -> str | None:
    """The annotated queries alone."""
    if annotations_of(folder):
        return (
            "the functions of CodeSearchNet are missing: unpack its archives into data/ beside "
            "annotationStore.csv, so that data/python/final/jsonl/ is there"
        )
    return None


# AdvTest's functions have all that these have.
FORMAT = Format("CodeSearchNet", recognises, load, lacking, precedence=1)
