"""Why a filter may match no document: a key or a value that no document has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from retrieval.index.listing import Listing
from retrieval.indexes import as_filter
from retrieval.indexes.filter_nodes import (
    PREDEFINED,
    Compare,
    Condition,
    In,
    Key,
    conditions_of,
    named_key,
)

_MOST = 8
"""Number of keys to name if none is similar to the one in the filter."""

_MOST_VALUES = 2000
"""A key with more values is not searched for similar ones, which takes long."""


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
        key = condition.key
        if key.column is not None or key.of == "passage":
            continue
        name = key.path[0]
        if name not in keys and name not in PREDEFINED:
            near = get_close_matches(name, [*keys, *PREDEFINED], n=3)
            there = ", ".join(keys[:_MOST]) or "no metadata"
            told = _meant(near) if near else f"documents have {there}"
            said.append(f"no document has the key {name!r}; {told}")
        elif len(key.path) == 1 and (texts := list(_texts(condition))):
            said += _of_values(index, key, texts)
    return "; ".join(dict.fromkeys(said))


def _of_values(index: Listing, key: Key, texts: Sequence[str]) -> Iterator[str]:
    """What to say of these values of a key, those that no document has but something like it."""
    (name,) = key.path
    values = [value for value, _ in index.values(name if named_key(name) == key else f"`{name}`")]
    if len(values) > _MOST_VALUES:
        return
    literals = {str(value): json.dumps(value, ensure_ascii=False) for value in values}
    for text in texts:
        near = [] if text in values else get_close_matches(text, literals, n=3)
        if near:
            meant = _meant([literals[one] for one in near])
            yield f"no document has {json.dumps(text, ensure_ascii=False)} as {name!r}; {meant}"


def _meant(near: Sequence[str]) -> str:
    return f"did you mean {' or '.join(near)}?"


def _texts(condition: Condition) -> Iterator[str]:
    """The strings that a condition compares a key with."""
    match condition:
        case Compare(operator="==", value=str(value)):
            yield value
        case In(values=values):
            yield from (value for value in values if isinstance(value, str))
