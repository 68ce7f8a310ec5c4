"""`POST /v1/vector_stores/{name}/search`: searching with OpenAI's API.

https://platform.openai.com/docs/api-reference/vector-stores/search. An index is a vector store, a
document a file, its metadata the file's attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.requests import Limits, arguments_of
from retrieval.server.searching import MOST_QUERIES
from retrieval.service.arguments import Argument, checked
from retrieval.service.searching import SearchOptions, search_many
from retrieval.types import Hit

MOST_RESULTS = 50
MOST_CONTENT = 10
"""Maximum passages of a document in a result."""

MOST_LEVELS = 20
"""Maximum nesting of filters."""

SEARCH = (
    Argument("query", "texts", "one or several queries", required=True, most=MOST_QUERIES),
    Argument("filters", "object", "which documents, by their metadata"),
    Argument(
        "max_num_results", "integer", "how many results", default=10, least=1, most=MOST_RESULTS
    ),
    Argument("ranking_options", "object", "`score_threshold` is the minimum score"),
    Argument("rewrite_query", "boolean", "ignored: queries are used as they are"),
)
_RANKING = (
    Argument(
        "ranker",
        "string",
        "ignored: there is only one",
        choices=("none", "auto", "default-2024-11-15", "default-2024-08-21"),
    ),
    Argument("score_threshold", "number", "from 0 to 1", default=0.0, least=0.0, most=1.0),
)

_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = ("and", "or")


class VectorStores:
    """Handler of the route."""

    def __init__(self, indexes: Indexes, limits: Limits) -> None:
        self._indexes = indexes
        self._limits = limits

    async def search(self, request: Request) -> Response:
        """The documents that answer a query best, each with its best passages."""
        values = await arguments_of(request, self._limits, SEARCH)
        queries = [values["query"]] if isinstance(values["query"], str) else values["query"]
        if not queries or not all(query.strip() for query in queries):
            raise InputError("query has an empty text, or none at all; give a text")
        ranking = checked(_RANKING, values["ranking_options"] or {})
        options = SearchOptions(
            k=values["max_num_results"],
            group="document",
            min_relevance=ranking["score_threshold"],
            where=None if values["filters"] is None else where_of(values["filters"]),
        )

        def ask() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                answers = search_many(index, queries, options)
            best: dict[str, Hit] = {}
            for answer in answers:
                for hit in answer.hits:
                    known = best.get(hit.document_id)
                    if known is None or known.relevance < hit.relevance:
                        best[hit.document_id] = hit
            hits = list(best.values())
            if len(queries) > 1:
                hits.sort(key=lambda hit: -hit.relevance)
            return {
                "object": "vector_store.search_results.page",
                "search_query": queries,
                "data": [_result(hit) for hit in hits[: options.k]],
                "has_more": False,
                "next_page": None,
            }

        return Json(await self._limits.in_thread(request, ask))


def where_of(given: Any, depth: int = 0) -> dict[str, Any]:
    """Convert a filter from OpenAI's form to ours.

    Args:
        given: a comparison (`type`, `key`, `value`) or a compound (`type`, `filters`).

    Raises:
        InputError: it is something else.
    """
    if depth > MOST_LEVELS:
        raise InputError(f"filters has more than {MOST_LEVELS} levels")
    if not isinstance(given, dict):
        raise InputError(f"filters has {ascii(given)[:60]}; give an object with a `type`")
    kind = given.get("type")
    if kind in _COMPOUNDS and isinstance(kind, str):
        _check_names(given, {"type", "filters"})
        parts = given.get("filters")
        if not isinstance(parts, list) or not parts:
            raise InputError(f"filters of type {kind!r} has no list `filters` of others")
        return {f"${kind}": [where_of(part, depth + 1) for part in parts]}
    if kind in _COMPARISONS and isinstance(kind, str):
        _check_names(given, {"type", "key", "value"})
        key = given.get("key")
        if not isinstance(key, str) or not key or key.startswith("$"):
            raise InputError(f"filters of type {kind!r} has the key {ascii(key)[:60]}; give a name")
        if "value" not in given:
            raise InputError(f"filters of type {kind!r} has no value")
        return {key: {f"${kind}": given["value"]}}
    known = ", ".join((*_COMPARISONS, *_COMPOUNDS))
    raise InputError(f"filters has the type {ascii(kind)[:60]}; choose from {known}")


def _check_names(given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(f"filters has an unknown part {ascii(unknown[0])[:60]}")


def _result(hit: Hit) -> dict[str, Any]:
    passages: Sequence[Hit] = (hit, *hit.others)[:MOST_CONTENT]
    return {
        "file_id": hit.document_id,
        "filename": hit.path or hit.title or hit.document_id,
        "score": hit.relevance,
        # Clients accept texts, numbers, true and false.
        "attributes": {
            key: value
            for key, value in hit.metadata.items()
            if isinstance(value, str | int | float | bool)
        },
        "content": [{"type": "text", "text": one.text} for one in passages],
    }
