"""Collections of code: CodeSearchNet, its annotated queries, CoSQA, AdvTest.

CodeSearchNet   LANG/final/jsonl/SPLIT/LANG_SPLIT_0.jsonl.gz, or SPLIT.jsonl(.gz): one function a
                line with `code`, `docstring`, `url`, `language`; a codebase.jsonl beside a split
                holds what it is searched in
annotated       annotationStore.csv beside such files: Language, Query, GitHubUrl, Relevance, Notes
CoSQA           cosqa-retrieval-SPLIT-500.json (a list of `idx`, `doc`, `retrieval_idx`) and
                code_idx_map.txt (one JSON object: code to number)
AdvTest         SPLIT.jsonl with `function_tokens` or `code_tokens`, `docstring_tokens`, `idx`
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.folders import choose
from retrieval.eval.datasets.rows import Row, field, first_row, grade, lines, named, rows
from retrieval.types import Document

ANNOTATIONS = "annotationStore.csv"
ANNOTATED = "annotated"

_CODE = ("code", "func_code_string", "original_string", "whole_func_string", "function")
_TEXT = ("docstring", "func_documentation_string")
_URL = ("url", "func_code_url")
_SPLITS = ("train", "valid", "test")
_CODES = "code_idx_map.txt"
_COSQA = re.compile(r"^cosqa-(?:retrieval-)?(?P<split>train|dev|test).*\.json$")


def is_codesearchnet(folder: Path) -> bool:
    """Whether it holds files of functions with their docstrings."""
    found = _splits(folder)
    return bool(found) and _has(first_row(next(iter(found.values()))[0]), _CODE, _TEXT, _URL)


def load_codesearchnet(folder: Path, split: str | None) -> list[Collection]:
    """A collection for each language; split `annotated` is the annotated queries.

    Raises:
        InputError: the split is not there, or a line cannot be read.
    """
    found = _splits(folder)
    there = [*found, *([ANNOTATED] if (folder / ANNOTATIONS).is_file() else [])]
    chosen = choose(split, there, folder)
    if chosen == ANNOTATED:
        return _annotated(folder, [path for paths in found.values() for path in paths])
    codebase = named(folder, "codebase")
    paths = found[chosen]
    languages = _languages(paths)
    collections = []
    for language in languages:
        name = folder.name if len(languages) == 1 else f"{folder.name}-{language}"
        functions = list(_functions(paths, language))
        searched = [codebase] if codebase else paths
        collections.append(_docstrings(name, chosen, functions, searched, language))
    return collections


def _docstrings(
    name: str, split: str, functions: list[Row], searched: list[Path], language: str
) -> Collection:
    """The docstring of each function asks for its code, among all functions of the split."""
    path = searched[0]

    def documents() -> Iterator[Document]:
        for row in _functions(searched, language):
            yield Document(field(row, *_URL, path=path), _code(row, path))

    urls = [field(row, *_URL, path=path) for row in functions]
    queries = [(url, _docstring(row, path)) for url, row in zip(urls, functions, strict=True)]
    judged = [(url, url, 1) for url in urls]
    notes = "query: docstring; document: the function's code with its docstring taken out"
    return assemble(name, split, documents, queries, judged, notes)


def _annotated(folder: Path, paths: list[Path]) -> list[Collection]:
    """The annotated queries, a collection for each language, among all functions found."""
    file = folder / ANNOTATIONS
    reader = csv.DictReader(lines(file))
    needed = {"Language", "Query", "GitHubUrl", "Relevance"}
    if not needed <= set(reader.fieldnames or ()):
        raise InputError(f"{file} has the columns {reader.fieldnames}; expected {sorted(needed)}")
    by_language: dict[str, dict[tuple[str, str], int]] = {}
    repeated: dict[str, int] = {}
    for row in reader:
        language = row["Language"].lower()
        grades = by_language.setdefault(language, {})
        key = (row["Query"].lower(), str(row["GitHubUrl"]))
        repeated[language] = repeated.get(language, 0) + (key in grades)
        grades[key] = grade(row["Relevance"], file)
    return [
        _annotated_language(folder.name, language, grades, repeated[language], paths)
        for language, grades in sorted(by_language.items())
        if language in _languages(paths)
    ] or _no_language(file, by_language)


def _no_language(file: Path, found: Iterable[str]) -> list[Collection]:
    raise InputError(
        f"{file} judges {', '.join(sorted(found)) or 'nothing'}, and there are no functions of "
        "these languages beside it; put their .jsonl.gz files there"
    )


def _annotated_language(
    name: str,
    language: str,
    grades: dict[tuple[str, str], int],
    repeated: int,
    paths: list[Path],
) -> Collection:
    def documents() -> Iterator[Document]:
        for row in _functions(paths, language):
            yield Document(field(row, *_URL, path=paths[0]), _code(row, paths[0]))

    # Run files are cut at white space, which an id can therefore not hold.
    ids = {query: "_".join(query.split()) for query, _ in grades}
    queries = {id: query for query, id in ids.items()}
    judged: list[Judgement] = [(ids[query], url, given) for (query, url), given in grades.items()]
    warnings = [
        f"{repeated} pairs are annotated twice; the last counts, as in the published evaluation"
    ]
    return assemble(
        f"{name}-{language}",
        ANNOTATED,
        documents,
        queries.items(),
        judged,
        "query: as annotated, in lower case; document: the function's code; grade 0 to 3",
        warnings if repeated else (),
    )


def is_cosqa(folder: Path) -> bool:
    """Whether it holds CoSQA's pairs and its map of codes."""
    return (folder / _CODES).is_file() and bool(_cosqa_splits(folder))


def load_cosqa(folder: Path, split: str | None) -> list[Collection]:
    """CoSQA for retrieval: web queries to Python functions; raises as `load_folder` does."""
    splits = _cosqa_splits(folder)
    chosen = choose(split, list(splits), folder)
    path, codes = splits[chosen], _cosqa_codes(folder / _CODES)

    def documents() -> Iterator[Document]:
        for code, number in codes.items():
            yield Document(str(number), code)

    found = list(rows(path))
    queries = [(field(row, "idx", path=path), field(row, "doc", path=path)) for row in found]
    judged = [
        (
            field(row, "idx", path=path),
            field(row, "retrieval_idx", path=path),
            grade(row.get("label", 1), path),
        )
        for row in found
    ]
    notes = "query: doc; document: code with its docstring, as published"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


def _cosqa_splits(folder: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(folder.glob("cosqa*.json")):
        match = _COSQA.match(path.name)
        if match and "retrieval_idx" in first_row(path):
            found[match["split"]] = path
    return found


def _cosqa_codes(path: Path) -> dict[str, int]:
    try:
        codes = json.loads("\n".join(lines(path)))
    except ValueError as wrong:
        raise InputError(f"{path}: {wrong}; expected a JSON object of code to number") from None
    if not isinstance(codes, dict):
        raise InputError(f"{path} holds a {type(codes).__name__}; expected code to number")
    return codes


def is_advtest(folder: Path) -> bool:
    """Whether its functions are numbered and cut into tokens, as AdvTest's are."""
    found = _advtest_splits(folder)
    if not found:
        return False
    row = first_row(next(reversed(found.values())))
    return _has(row, ("function_tokens", "code_tokens"), ("docstring_tokens",), ("idx",))


def load_advtest(folder: Path, split: str | None) -> list[Collection]:
    """AdvTest: docstrings to Python functions whose names were replaced."""
    splits = _advtest_splits(folder)
    chosen = choose(split, list(splits), folder)
    path = splits[chosen]

    def documents() -> Iterator[Document]:
        for row in rows(path):
            yield Document(field(row, "idx", "url", path=path), _tokens(row, path))

    queries = [(field(r, "idx", "url", path=path), _docstring(r, path)) for r in rows(path)]
    judged = [(id, id, 1) for id, _ in queries]
    notes = "query: docstring_tokens; document: function_tokens, both joined by spaces"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


def _advtest_splits(folder: Path) -> dict[str, Path]:
    found = {split: named(folder, split) for split in _SPLITS}
    return {split: path for split, path in found.items() if path is not None}


def _tokens(row: Row, path: Path) -> str:
    tokens = row.get("function_tokens") or row.get("code_tokens")
    if isinstance(tokens, list):
        return " ".join(map(str, tokens))
    return field(row, *_CODE, path=path)


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Files by split: flat (test.jsonl), or as CodeSearchNet's archives unpack."""
    found: dict[str, list[Path]] = {}
    for split in _SPLITS:
        flat = named(folder, split)
        nested = sorted(
            {
                path
                for pattern in (f"{split}", f"final/jsonl/{split}", f"*/final/jsonl/{split}")
                for place in folder.glob(pattern)
                if place.is_dir()
                for path in place.glob("*.jsonl*")
            }
        )
        paths = [flat] if flat else nested
        if paths:
            found[split] = paths
    return found


def _functions(paths: list[Path], language: str) -> Iterator[Row]:
    for path in paths:
        for row in rows(path):
            if str(row.get("language") or "").lower() == language:
                yield row


def _languages(paths: list[Path]) -> list[str]:
    return sorted({str(row.get("language") or "").lower() for path in paths for row in rows(path)})


def _code(row: Row, path: Path) -> str:
    """The code without its docstring, which is the query."""
    code, docstring = field(row, *_CODE, path=path), field(row, *_TEXT, path=path)
    return code.replace(docstring, "", 1) if docstring.strip() else code


def _docstring(row: Row, path: Path) -> str:
    tokens = row.get("docstring_tokens")
    if isinstance(tokens, list):
        return " ".join(map(str, tokens))
    return field(row, *_TEXT, path=path)


def _has(row: Row, *groups: tuple[str, ...]) -> bool:
    return all(any(name in row for name in group) for group in groups)
