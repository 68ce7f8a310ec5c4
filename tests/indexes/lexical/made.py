"""Small lexical indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from retrieval.indexes import LexicalIndex, write_lexical

Docs = Mapping[int, tuple[str, str]]
"""By passage id its title and text."""

WORDS = ("kax", "bol", "tir", "muv", "pog")
"""Words that are their own stems, and no stop words."""


def fields(docs: Docs) -> Iterable[tuple[int, Mapping[str, str]]]:
    return [(i, {"title": title, "text": text}) for i, (title, text) in docs.items()]


def build(folder: Path, docs: Docs) -> LexicalIndex:
    write_lexical(folder, add=fields(docs))
    return LexicalIndex.open(folder)


def matches(index: LexicalIndex, query: str) -> list[int]:
    return sorted(index.search(query, 1000)[0].tolist())
