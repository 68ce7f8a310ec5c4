"""A passage's context and place in stored form: one JSON object, or NULL if both are empty."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from retrieval.files.stored_json import parsed
from retrieval.types import NO_CONTEXT, NO_PLACE, Context, Place

_LISTS = frozenset({"headings", "defines", "languages"})
_NUMBERS = frozenset({"page", "cell", "row"})
_CONTEXT = tuple(field.name for field in fields(Context))
_PLACE = tuple(field.name for field in fields(Place))


def to_json(context: Context, place: Place) -> str | None:
    """The non-empty fields of both, by name; None if there are none."""
    if not context and not place:
        return None
    values: dict[str, Any] = {name: getattr(context, name) for name in _CONTEXT}
    values |= {name: getattr(place, name) for name in _PLACE}
    kept = {name: value for name, value in values.items() if value not in ((), "", None)}
    return json.dumps(kept, ensure_ascii=False)


def from_json(text: str | None) -> tuple[Context, Place]:
    """The context and the place; raises ValueError or TypeError if the JSON is not valid."""
    if text is None:
        return NO_CONTEXT, NO_PLACE
    values: dict[str, Any] = parsed(text)
    if not isinstance(values, dict):
        raise TypeError(f"a {type(values).__name__}")
    for name, value in values.items():
        kind, several = int if name in _NUMBERS else str, value if name in _LISTS else [value]
        if type(several) is not list or any(type(one) is not kind for one in several):
            raise TypeError(f"{name} is {value!r:.40}")
    place = {name: values.pop(name) for name in _PLACE if name in values}
    for name in _LISTS & values.keys():
        values[name] = tuple(values[name])
    return Context(**values), Place(**place)
