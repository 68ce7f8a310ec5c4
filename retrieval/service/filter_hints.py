"""Why a filter may fit no document: a key that none has, or a value that none has of it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from retrieval.index.listing import Listing
from retrieval.indexes import as_filter
from retrieval.indexes.filter_nodes import Compare, In, Key, conditions_of

_OWN = ("heading", "id", "language", "place", "symbol", "text", "title")
"""Keys that are no metadata, or not alone."""

_MOST = 8
"""So many keys are named where none is like the one that was asked for."""


def filter_hint(index: Listing, where: str | None) -> str:
    """One line on the keys and the values of a filter that no document has, or "".

    Args:
        index: the index.
        where: a filter that can be read; None is none.
    """
    asked = as_filter(where)
    if asked is None:
        return ""
    keys = sorted(index.metadata_keys())
    said: list[str] = []
    for condition in conditions_of(asked.root):
        key: Key = condition.key
        if key.column is not None or key.of == "passage":
            continue
        name = key.path[0]
        if name not in keys and name not in _OWN:
            near = get_close_matches(name, [*keys, *_OWN], n=3) or keys[:_MOST]
            said.append(f"no document has the key {name!r}; there is {', '.join(near)}")
        elif len(key.path) == 1:
            values = [value for value, _ in index.values(name)]
            for value in _texts(condition):
                near = get_close_matches(value, [str(one) for one in values], n=3)
                if value not in values and near:
                    there = ", ".join(near)
                    said.append(f"no document has {value!r} as {name!r}; there is {there}")
    return "; ".join(dict.fromkeys(said))


def _texts(condition: object) -> Iterator[str]:
    """The texts that a condition asks a key to be."""
    match condition:
        case Compare(operator="==", value=str(value)):
            yield value
        case In(values=values):
            yield from (value for value in values if isinstance(value, str))
