"""AdvTest: docstrings to Python functions whose names were replaced.

SPLIT.jsonl with `function_tokens` or `code_tokens`, `docstring_tokens`, `idx` (or `id`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retrieval.eval.datasets.collection import Collection, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.functions import (
    CODE,
    CODE_TOKENS,
    NUMBER,
    TEXT_TOKENS,
    docstring,
    files_by_split,
    has,
    tokens,
)
from retrieval.eval.datasets.rows import field, first_row, rows
from retrieval.eval.datasets.splits import choose, named
from retrieval.types import Document


def recognises(folder: Path) -> bool:
    """Whether its functions are numbered and cut into tokens, as AdvTest's are."""
    found = files_by_split(folder)
    if not found or named(folder, "codebase"):
        return False
    row = first_row(found.get("test", next(iter(found.values())))[0])
    return has(row, CODE_TOKENS, TEXT_TOKENS, NUMBER)


def load(folder: Path, split: str | None) -> list[Collection]:
    """One collection; raises as `Format.load` does."""
    splits = files_by_split(folder)
    chosen = choose(split, list(splits), folder)
    paths = splits[chosen]

    def documents() -> Iterator[Document]:
        for path in paths:
            for row in rows(path):
                code = tokens(row, *CODE_TOKENS) or field(row, *CODE, path=path)
                yield Document(field(row, *NUMBER, path=path), code)

    queries = [
        (field(row, *NUMBER, path=path), docstring(row, path))
        for path in paths
        for row in rows(path)
    ]
    judged = [(id, id, 1) for id, _ in queries]
    notes = "query: docstring_tokens; document: function_tokens, both joined by spaces"
    return [assemble(folder.name, chosen, documents, queries, judged, notes)]


FORMAT = Format("AdvTest", recognises, load)
