"""Converting LlamaIndex's filters to filters of an index.

They mean the same as in LlamaIndex's own `build_metadata_filter_fn`: a comparison applies to the
whole value, and a key that is missing or None satisfies only `!=` and `nin`. Filters may be nested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from retrieval.errors import FilterError
from retrieval.indexes import Filter

_ORDER = {
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
}
_NOTHING = {"id": {"$exists": False}}

SOURCE = "`ref_doc_id`"
"""The key under which LlamaIndex stores the id of a node's document."""


def as_filter(
    filters: MetadataFilters | None,
    node_ids: Sequence[str] | None = None,
    doc_ids: Sequence[str] | None = None,
) -> Filter | None:
    """The filter of an index; None for none.

    Args:
        filters: LlamaIndex's filters.
        node_ids: only these nodes; None is all.
        doc_ids: only nodes of these documents; None is all.

    Raises:
        FilterError: they cannot be converted.
    """
    parts = []
    if filters is not None and filters.filters:
        parts.append(_joined(filters))
    if doc_ids is not None:
        parts.append({SOURCE: {"$in": list(doc_ids)}})
    found = Filter.parse({"$and": parts}) if parts else None
    if node_ids is None:
        return found
    named = Filter.of_ids(node_ids)
    return named if found is None else found & named


def _joined(filters: MetadataFilters) -> dict[str, Any]:
    parts = [
        _joined(one) if isinstance(one, MetadataFilters) else _condition(one)
        for one in filters.filters
    ]
    condition = filters.condition or FilterCondition.AND
    if not parts:
        return {"id": {"$exists": condition != FilterCondition.OR}}
    if condition == FilterCondition.OR:
        return {"$or": parts}
    return {"$nor" if condition == FilterCondition.NOT else "$and": parts}


def _condition(found: MetadataFilter) -> dict[str, Any]:
    if "`" in found.key:
        _fail(found, "a key without backquotes")
    key, operator, value = f"`{found.key}`", found.operator, found.value
    match operator:
        case FilterOperator.EQ:
            return _equal(key, value)
        case FilterOperator.NE:
            return {"$not": _equal(key, value)}
        case FilterOperator.IN:
            return _among(key, _listed(found))
        case FilterOperator.NIN:
            return {"$not": _among(key, _listed(found))}
        case FilterOperator.CONTAINS:
            return _contains(key, value)
        case FilterOperator.ANY:
            return {"$or": [_contains(key, one) for one in _listed(found)] or [_NOTHING]}
        case FilterOperator.ALL:
            every = [_contains(key, one) for one in _listed(found)]
            return {"$and": every or [_there(key)]}
        case FilterOperator.IS_EMPTY:
            return {key: {"$empty": True, "$not": {"$type": "object"}}}
        case FilterOperator.TEXT_MATCH | FilterOperator.TEXT_MATCH_INSENSITIVE:
            if not isinstance(value, str):
                _fail(found, "a text")
            test = "$contains" if operator == FilterOperator.TEXT_MATCH else "$icontains"
            return {key: {test: value, "$type": "string"}}
    if operator not in _ORDER:
        _fail(found, f"an operator that is one of {', '.join(one.value for one in FilterOperator)}")
    if isinstance(value, list):
        _fail(found, "one value")
    if value is None:
        return _NOTHING
    return {key: {_ORDER[operator]: value, "$not": {"$type": "array"}}}


def _equal(key: str, value: Any) -> dict[str, Any]:
    if value is None:  # a missing value or None equals nothing
        return _NOTHING
    if isinstance(value, list):
        return {key: value}
    return {key: {"$eq": value, "$not": {"$type": "array"}}}


def _among(key: str, values: list[Any]) -> dict[str, Any]:
    return {key: {"$in": values, "$not": {"$type": "array"}}}


def _contains(key: str, value: Any) -> dict[str, Any]:
    """An element of a list, or a part of a text."""
    if value is None or isinstance(value, list):
        return _NOTHING
    held: dict[str, Any] = {key: {"$eq": value, "$type": "array"}}
    if not isinstance(value, str):
        return held
    return {"$or": [held, {key: {"$contains": value, "$type": "string"}}]}


def _there(key: str) -> dict[str, Any]:
    """Neither missing nor None."""
    return {"$or": [{key: {"$type": "array"}}, {"$not": {key: None}}]}


def _listed(found: MetadataFilter) -> list[Any]:
    if not isinstance(found.value, list):
        _fail(found, f"a list for '{found.operator.value}'")
    return list(found.value)


def _fail(found: MetadataFilter, expected: str) -> NoReturn:
    raise FilterError(
        f"found {ascii(found.value)[:60]} for {ascii(found.key)[:40]} in the filter, "
        f"expected {expected}"
    )
