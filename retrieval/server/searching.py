"""`POST /v1/indexes/{name}/search` and `GET /v1/search`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import DEFAULT, Indexes
from retrieval.server.requests import Limits, arguments_of, query_of
from retrieval.service.arguments import Argument
from retrieval.service.json_shape import hits_as_dicts
from retrieval.service.searching import SearchOptions, search_many
from retrieval.types import RETRIEVERS

MOST_HITS = 1000
MOST_QUERIES = 64

_K = Argument("k", "integer", "how many hits", default=10, least=1, most=MOST_HITS)
_RETRIEVER = Argument(
    "retriever", "string", "who answers", default="hybrid", choices=tuple(RETRIEVERS)
)
_GROUP = Argument(
    "group", "string", "what a hit is", default="passage", choices=("passage", "document")
)
_RELEVANCE = Argument(
    "min_relevance", "number", "what a hit has at least", default=0.0, least=0.0, most=1.0
)
_OFFSET = Argument("offset", "integer", "how many of the best are left out", default=0, most=10_000)
SEARCH = (
    Argument("query", "string", "what to look for"),
    Argument("queries", "strings", "several queries, in the place of one", most=MOST_QUERIES),
    _K,
    _OFFSET,
    _RETRIEVER,
    Argument("where", "filter", "which documents: see filters.md, as a text or as an object"),
    Argument("params", "object", "values for the parameters of `where`"),
    _GROUP,
    Argument("copies", "boolean", "whether equal passages are hits of their own", default=False),
    _RELEVANCE,
    Argument(
        "explain", "boolean", "whether to say what each token of the query matched", default=False
    ),
)
QUICK = (
    Argument("q", "string", "what to look for", required=True),
    _K,
    _OFFSET,
    _RETRIEVER,
    Argument("where", "string", "which documents: see filters.md"),
    _GROUP,
    _RELEVANCE,
)


def _options(values: dict[str, Any]) -> SearchOptions:
    return SearchOptions(
        k=values["k"],
        offset=values["offset"],
        retriever=values["retriever"],
        where=values["where"],
        params=values.get("params"),
        group="document" if values["group"] == "document" else None,
        copies=values.get("copies", False),
        min_relevance=values["min_relevance"],
        explain=values.get("explain", False),
    )


class Searching:
    """What the routes do."""

    def __init__(self, indexes: Indexes, limits: Limits) -> None:
        self._indexes = indexes
        self._limits = limits

    async def search(self, request: Request) -> Response:
        """One query, or several, of one index."""
        values = await arguments_of(request, self._limits, SEARCH)
        one, several = values.pop("query"), values.pop("queries")
        if (one is None) == (several is None):
            raise InputError("give one of `query` and `queries`")
        name = request.path_params["name"]
        queries = [one] if several is None else several
        found = await self._asked(request, name, queries, _options(values))
        return Json(found[0] if several is None else {"results": found})

    async def quick(self, request: Request) -> Response:
        """One query of the default index."""
        values = query_of(request, QUICK)
        return Json((await self._asked(request, DEFAULT, [values.pop("q")], _options(values)))[0])

    async def _asked(
        self, request: Request, name: str, queries: list[str], options: SearchOptions
    ) -> list[dict[str, Any]]:
        def ask() -> list[dict[str, Any]]:
            if not queries:
                return []
            with self._indexes.using(name) as index:
                answers = search_many(index, queries, options)
            return [
                {"query": query, "hits": hits_as_dicts(answer.hits, answer.matches)}
                for query, answer in zip(queries, answers, strict=True)
            ]

        return await self._limits.in_thread(request, ask)
