"""Why a filter may match no document: a key or a value that no document has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from retrieval.index.listing import Listing
from retrieval.indexes import as_filter
from retrieval.indexes.filter_nodes import Compare, In, Key, conditions_of

_OWN = ("heading", "id", "language", "place", "symbol", "text", "title")
"""Keys that do not lead into the metadata, or not only."""

_MOST = 8
"""Number of keys to name if none is similar to the one in the filter."""


def filter_hint(index: Listing, where: str | None) -> str:
    """One line on the keys and values in a filter that no document has, or "".

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
            near = get_close_matches(name, [*keys, *_OWN], n=3)
            told = _meant(near) if near else f"documents have {', '.join(keys[:_MOST])}"
            said.append(f"no document has the key {name!r}; {told}")
        elif len(key.path) == 1:
            values = [value for value, _ in index.values(name)]
            for value in _texts(condition):
                near = get_close_matches(value, [str(one) for one in values], n=3)
                if value not in values and near:
                    said.append(f"no document has {value!r} as {name!r}; {_meant(near)}")
    return "; ".join(dict.fromkeys(said))


def _meant(near: Sequence[str]) -> str:
    return f"did you mean {' or '.join(near)}?"


def _texts(condition: object) -> Iterator[str]:
    """The strings that a condition compares a key with."""
    match condition:
        case Compare(operator="==", value=str(value)):
            yield value
        case In(values=values):
            yield from (value for value in values if isinstance(value, str))
