"""An overview of an index by folder, format and language; and which of its files are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrieval.index import Index
from retrieval.service.json_shape import left_out_as_dict, status_as_dict
from retrieval.service.opened import Opened
from retrieval.service.preview import Preview, preview
from retrieval.service.updating import roots_of

MOST_ROWS = 100
MOST_LEFT_OUT = 500

KEYS = ("format", "language", "role")
"""Metadata keys that documents are grouped by, besides their folders."""

_OF_FILES = frozenset({*KEYS, "path", "extension", "title", "id"})
MOST_KEYS = 8
MOST_VALUES = 30
"""Maximum values of a key to group by: with more it identifies documents rather than groups."""


def overview(index: Opened) -> dict[str, Any]:
    """Numbers of documents by folder, by `KEYS` and by `others`, and the status.

    `others` are further keys with few distinct text values; in a filter they stand in backquotes,
    as a key may have any characters and names, but for a backquote.
    """
    paths = {str(path): count for path, count in index.values("path")}
    return {
        "documents": len(index),
        "status": status_as_dict(index.status()),
        "folders": _rows(by_folder(paths)),
        **{
            key: [{"value": value, "documents": count} for value, count in index.values(key)]
            for key in KEYS
        },
        "others": {
            key: [{"value": value, "documents": count} for value, count in values]
            for key, values in _others(index)
        },
    }


def _others(index: Opened) -> Iterator[tuple[str, list[tuple[Any, int]]]]:
    keys = [
        key
        for key, types in index.metadata_keys().items()
        if key not in _OF_FILES and types.keys() <= {"text", "list"} and "`" not in key
    ]
    for key in keys[:MOST_KEYS]:
        values = index.values(f"`{key}`")
        if 1 < len(values) <= MOST_VALUES and all(isinstance(value, str) for value, _ in values):
            yield key, values


def by_folder(paths: Mapping[str, int]) -> Counter[str]:
    """Number of documents by the first folder in which paths differ; those outside are in `.`.

    Args:
        paths: number of documents by path, with `/` between folders.
    """
    parted = {path: path.split("/")[:-1] for path in paths}
    common = _common(list(parted.values()))
    counts: Counter[str] = Counter()
    for path, folders in parted.items():
        counts["/".join(folders[: common + 1]) or "."] += paths[path]
    return counts


def left_out(index: Index) -> dict[str, Any]:
    """Which of the files that the index was given are not read, and why.

    Returns:
        `left_out`, the first of them; `reasons`, their number by reason; and how many files are
        `new`, `changed` and `gone` since. Empty if the index was given no files.

    Raises:
        RetrievalError: a folder cannot be read.
    """
    found = preview(index.path) if roots_of(index) else Preview([], [], [], [], [], [])
    reasons = Counter(str(one.reason) for one in found.left_out)
    return {
        "left_out": [left_out_as_dict(one) for one in found.left_out[:MOST_LEFT_OUT]],
        "reasons": [{"value": reason, "count": count} for reason, count in reasons.most_common()],
        **{name: len(getattr(found, name)) for name in ("new", "changed", "gone")},
    }


def _common(parted: Sequence[list[str]]) -> int:
    """How many leading folders all of them share."""
    if not parted:
        return 0
    least, most = min(parted), max(parted)
    for at, (a, b) in enumerate(zip(least, most, strict=False)):
        if a != b:
            return at
    return min(len(least), len(most))


def _rows(counts: Counter[str]) -> list[dict[str, Any]]:
    return [{"value": name, "documents": count} for name, count in counts.most_common(MOST_ROWS)]
