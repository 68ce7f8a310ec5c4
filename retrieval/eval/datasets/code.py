"""Collections of code: CodeSearchNet, its annotated queries, CoSQA, AdvTest.

CodeSearchNet   LANG/final/jsonl/SPLIT/LANG_SPLIT_0.jsonl.gz, or SPLIT.jsonl(.gz), or
                SPLIT-00000-of-00001.parquet: one function a line with `code`, `docstring`, `url`,
                `language` (or `func_code_string` and so on); a codebase.jsonl beside a split holds
                what it is searched in
annotated       annotationStore.csv: Language, Query, GitHubUrl, Relevance, Notes; beside such
                files, or over `data/` with them, as the repository has it
CoSQA           cosqa-retrieval-SPLIT-500.json (a list of `idx`, `doc`, `retrieval_idx`) and
                code_idx_map.txt (one JSON object: code to number)
AdvTest         SPLIT.jsonl with `function_tokens` or `code_tokens`, `docstring_tokens`, `idx`
                (or `id`)
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.folders import choose
from retrieval.eval.datasets.rows import Row, field, first_row, grade, lines, named, rows, shards
from retrieval.eval.datasets.shared_urls import EACH, Ids
from retrieval.types import Document

Function = tuple[Path, Row]
"""A function, and the file that it stands in."""

ANNOTATIONS = "annotationStore.csv"
ANNOTATED = "annotated"

_CODE = ("code", "func_code_string", "original_string", "whole_func_string", "function")
_TEXT = ("docstring", "func_documentation_string")
_URL = ("url", "func_code_url")
_CODE_TOKENS = ("code_tokens", "function_tokens", "func_code_tokens")
_TEXT_TOKENS = ("docstring_tokens", "func_documentation_tokens")
_NUMBER = ("idx", "id")
_SPLITS = ("train", "valid", "validation", "test")
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


def averaged(judgements: Iterable[Judgement]) -> tuple[list[Judgement], tuple[str, ...]]:
    """Several annotations of one pair become their mean, rounded half up, and are counted."""
    grades: dict[tuple[str, str], list[int]] = {}
    for query, document, given in judgements:
        grades.setdefault((query, document), []).append(given)
    several = Counter(len(set(given)) > 1 for given in grades.values() if len(given) > 1)
    said = (
        f"{several.total()} pairs are annotated several times, {several[True]} of them with "
        "different grades; their mean counts, rounded half up (the published evaluation does not "
        "round)"
    )
    means = [
        (query, document, (2 * sum(given) + len(given)) // (2 * len(given)))
        for (query, document), given in grades.items()
    ]
    return means, (said,) if several else ()


def _docstrings(
    name: str, split: str, functions: list[Function], searched: list[Path], language: str
) -> Collection:
    """The docstring of each function asks for its code, among all functions of the split."""
    ids = Ids(_codes(searched, language))
    pairs = [(field(row, *_URL, path=path), _docstring(row, path)) for path, row in functions]
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
        ids.said("each docstring asks for its own, as in the published evaluation"),
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
        [*warnings, *ids.said(EACH)],
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
    found = _flat(folder)
    if not found or named(folder, "codebase"):
        return False
    row = first_row(found.get("test", next(iter(found.values())))[0])
    return _has(row, _CODE_TOKENS, _TEXT_TOKENS, _NUMBER)


def load_advtest(folder: Path, split: str | None) -> list[Collection]:
    """AdvTest: docstrings to Python functions whose names were replaced."""
    splits = _flat(folder)
    chosen = choose(split, list(splits), folder)
    paths = splits[chosen]

    def documents() -> Iterator[Document]:
        for path in paths:
            for row in rows(path):
                code = _tokens(row, *_CODE_TOKENS) or field(row, *_CODE, path=path)
                yield Document(field(row, *_NUMBER, path=path), code)

    queries = [
        (field(row, *_NUMBER, path=path), _docstring(row, path))
        for path in paths
        for row in rows(path)
    ]
    judged = [(id, id, 1) for id, _ in queries]
    notes = "query: docstring_tokens; document: function_tokens, both joined by spaces"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Files by split: flat (test.jsonl), or as CodeSearchNet's archives unpack."""
    flat = _flat(folder)
    if flat:
        return flat
    found: dict[str, list[Path]] = {}
    for split in _SPLITS:
        patterns = [f"final/jsonl/{split}"]
        patterns += [f"{over}*/final/jsonl/{split}" for over in ("", "data/", "resources/data/")]
        places = {place for pattern in patterns for place in folder.glob(pattern)}
        paths = sorted(path for place in places for path in place.glob("*.jsonl*"))
        if paths:
            found[split] = paths
    return found


def _flat(folder: Path) -> dict[str, list[Path]]:
    found = shards(folder)
    found = found if found.keys() & set(_SPLITS) else shards(folder / "data")
    return {split: found[split] for split in _SPLITS if split in found}


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
        yield field(row, *_URL, path=path), _code(row, path)


def _documents(paths: list[Path], language: str, ids: Ids) -> Iterator[Document]:
    for url, code in _codes(paths, language):
        yield Document(ids.of(url, code), code)


def _code(row: Row, path: Path) -> str:
    """The code without its docstring, which is the query."""
    code, docstring = field(row, *_CODE, path=path), field(row, *_TEXT, path=path)
    return code.replace(docstring, "", 1) if docstring.strip() else code


def _docstring(row: Row, path: Path) -> str:
    return _tokens(row, *_TEXT_TOKENS) or field(row, *_TEXT, path=path)


def _tokens(row: Row, *names: str) -> str:
    found = (row[name] for name in names if isinstance(row.get(name), list))
    return " ".join(map(str, next(found, ())))


def _has(row: Row, *groups: tuple[str, ...]) -> bool:
    return all(any(name in row for name in group) for group in groups)
