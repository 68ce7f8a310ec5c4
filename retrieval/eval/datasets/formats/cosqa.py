"""CoSQA for retrieval: web queries to Python functions.

cosqa-retrieval-SPLIT-500.json (a list of `idx`, `doc`, `retrieval_idx`) and code_idx_map.txt (one
JSON object: code to number), as the repository CoCLR has them in data/search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.rows import field, first_row, grade, lines, rows
from retrieval.eval.datasets.splits import choose, entries
from retrieval.files.stored_json import parsed
from retrieval.types import Document

_CODES = "code_idx_map.txt"
_QUERIES = re.compile(r"^cosqa-(?:retrieval-)?(?P<split>train|dev|test).*\.json$")


def recognises(folder: Path) -> bool:
    """Whether it holds CoSQA's pairs and its map of codes."""
    return (folder / _CODES).is_file() and bool(_splits(folder))


def load(folder: Path, split: str | None) -> list[Collection]:
    """CoSQA for retrieval: web queries to Python functions; raises as `Format.load` does."""
    splits = _splits(folder)
    chosen = choose(split, list(splits), folder)
    path, codes = splits[chosen], _codes(folder / _CODES)

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


def _splits(folder: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(folder.glob("cosqa*.json")):
        match = _QUERIES.match(path.name)
        if match and "retrieval_idx" in first_row(path):
            found[match["split"]] = path
    return found


def _codes(path: Path) -> dict[str, int]:
    try:
        codes = parsed("\n".join(lines(path)))
    except ValueError as wrong:
        raise InputError(f"{path}: {wrong}; expected a JSON object of code to number") from None
    if not isinstance(codes, dict):
        raise InputError(f"{path} holds a {type(codes).__name__}; expected code to number")
    return codes


def lacking(folder: Path) -> str | None:
    """Of CoSQA the queries alone, or those of its other task."""
    names = (path.name for path in entries(folder))
    if any(name.startswith("cosqa") and name.endswith(".json") for name in names):
        return (
            "of CoSQA, retrieval needs cosqa-retrieval-SPLIT-500.json and code_idx_map.txt, which "
            "its repository CoCLR has in data/search"
        )
    return None


FORMAT = Format("CoSQA", recognises, load, lacking)
