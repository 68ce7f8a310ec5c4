"""Converting Haystack's filters to filters of an index.

They differ for lists: in Haystack a comparison applies to the whole value, in an index a list
    matches if any of its elements does. So each comparison also requires that the value is not a
    list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from haystack.errors import FilterError

from retrieval.errors import FilterError as NoFilter
from retrieval.indexes import Filter

_ORDER = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_KNOWN = ("==", "!=", *_ORDER, "in", "not in")
_NOT_KEPT = ("embedding", "sparse_embedding", "score", "blob")
_FIELDS = {"id": "id", "content": "text"}
"""A document's fields and their keys in an index; all others are metadata keys."""


def as_filter(filters: Mapping[str, Any] | None) -> Filter | None:
    """The filter of an index; None if there is none or it is empty.

    Raises:
        FilterError: Haystack's; it is not valid.
    """
    if not filters:
        return None
    try:
        return Filter.parse(_condition(filters))
    except NoFilter as error:
        raise FilterError(str(error)) from error


def metadata_key(field: str) -> str:
    """A metadata key, given with or without `meta.`, in the form of an index's filters.

    Raises:
        FilterError: Haystack's; it contains a backquote.
    """
    if "`" in field:
        _fail(field, "a field without backquotes")
    return ".".join(f"`{name}`" for name in field.removeprefix("meta.").split("."))


def _condition(found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        _fail(found, "a dict with field, operator and value, or with operator and conditions")
    if "field" in found:
        return _comparison(found)
    if "operator" not in found:
        _fail(found, "a key 'operator'")
    conditions = found.get("conditions")
    if not isinstance(conditions, list | tuple):
        _fail(found, "a key 'conditions' with a list")
    parts = [_condition(one) for one in conditions]
    operator = found["operator"]
    if operator not in ("AND", "OR", "NOT"):
        _fail(operator, "AND, OR or NOT")
    if not parts:  # an empty AND is true, an empty OR false
        return _NOTHING if operator in ("OR", "NOT") else _ALL
    if operator == "OR":
        return {"$or": parts}
    return {"$and": parts} if operator == "AND" else {"$not": {"$and": parts}}


_ALL = {"id": {"$exists": True}}
_NOTHING = {"id": {"$exists": False}}


def _comparison(found: Mapping[str, Any]) -> dict[str, Any]:
    field, operator, value = (found.get(name) for name in ("field", "operator", "value"))
    if not isinstance(field, str):
        _fail(found, "a field that is a text")
    if field in _NOT_KEPT:
        _fail(field, "a field of the metadata, id or content")
    if operator not in _KNOWN:
        _fail(found, f"an operator: {', '.join(_KNOWN)}")
    if "value" not in found:
        _fail(found, "a key 'value'")
    key = _FIELDS.get(field) or metadata_key(field)
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            _fail(value, f"a list for '{operator}'")
        some = _among(key, value)
        return some if operator == "in" else {"$not": some}
    if operator == "==":
        return _equal(key, value)
    if operator == "!=":
        return {"$not": _equal(key, value)}
    return _ordered(key, operator, value)


def _equal(key: str, value: Any) -> dict[str, Any]:
    """Equal as a whole; dates and times are equal if they are the same point in time."""
    return _among(key, [value])


def _among(key: str, values: list[Any]) -> dict[str, Any]:
    wholes = [{key: list(one)} for one in values if isinstance(one, list | tuple)]
    singles = [one for one in values if not isinstance(one, list | tuple)]
    moments = [moment for moment in map(_moment, singles) if moment is not None]
    if singles:
        wholes.append(_single(key, {key: {"$in": [*singles, *moments]}}))
    return {"$or": wholes} if wholes else _NOTHING


def _ordered(key: str, operator: str, value: Any) -> dict[str, Any]:
    if value is None:  # nothing is more or less than None
        return _NOTHING
    if isinstance(value, str):
        moment = _moment(value)
        if moment is None:
            _fail(value, f"a number, or a date or time of ISO 8601, for '{operator}'")
        value = moment
    elif isinstance(value, list | tuple | dict):
        _fail(value, f"a number, or a date or time of ISO 8601, for '{operator}'")
    return _single(key, {key: {_ORDER[operator]: value}})


def _single(key: str, condition: dict[str, Any]) -> dict[str, Any]:
    return {"$and": [condition, {key: {"$not": {"$type": "array"}}}]}


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _fail(found: Any, expected: str) -> NoReturn:
    raise FilterError(f"found {ascii(found)[:80]} in the filter, expected {expected}")
