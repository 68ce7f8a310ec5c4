"""Functions of code with their docstrings, as CodeSearchNet and what was made of it name them."""

from __future__ import annotations

from pathlib import Path

from retrieval.eval.datasets.rows import Row, field
from retrieval.eval.datasets.splits import shards

CODE = ("code", "func_code_string", "original_string", "whole_func_string", "function")
TEXT = ("docstring", "func_documentation_string")
URL = ("url", "func_code_url")
CODE_TOKENS = ("code_tokens", "function_tokens", "func_code_tokens")
TEXT_TOKENS = ("docstring_tokens", "func_documentation_tokens")
NUMBER = ("idx", "id")
SPLITS = ("train", "valid", "validation", "test")
"""Names of splits; a file of another name has no functions that are asked for."""


def files_by_split(folder: Path) -> dict[str, list[Path]]:
    """The files of functions in a folder or its `data/`, by split."""
    found = shards(folder)
    found = found if found.keys() & set(SPLITS) else shards(folder / "data")
    return {split: found[split] for split in SPLITS if split in found}


def docstring(row: Row, path: Path) -> str:
    """What a function's author wrote about it: its tokens joined by spaces, or else the text."""
    return tokens(row, *TEXT_TOKENS) or field(row, *TEXT, path=path)


def tokens(row: Row, *names: str) -> str:
    """The first of these fields that is a list, joined by spaces; "" if none is."""
    found = (row[name] for name in names if isinstance(row.get(name), list))
    return " ".join(map(str, next(found, ())))


def has(row: Row, *groups: tuple[str, ...]) -> bool:
    """Whether a row has a field of each group."""
    return all(any(name in row for name in group) for group in groups)
