"""`POST /v1/indexes/{name}/search` and `GET /v1/search`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import as_json, json_answer
from retrieval.server.indexes import DEFAULT, Indexes
from retrieval.server.requests import Limits, arguments_of, query_of
from retrieval.service.arguments import Argument
from retrieval.service.json_shape import coverage_as_dict, hits_as_dicts
from retrieval.service.lookup import lines_around
from retrieval.service.searching import SearchOptions, search_many
from retrieval.types import RETRIEVERS, Hybrid

MOST_HITS = 1000
MOST_QUERIES = 64
MOST_CONTEXT = 100
MOST_CANDIDATES = 10_000

_K = Argument("k", "integer", "how many hits", default=10, least=1, most=MOST_HITS)
_RETRIEVER = Argument(
    "retriever", "string", "who answers", default="hybrid", choices=tuple(RETRIEVERS)
)
_GROUP = Argument(
    "group", "string", "what a hit stands for", default="passage", choices=("passage", "document")
)
_RELEVANCE = Argument(
    "min_relevance", "number", "minimum relevance of a hit", default=0.0, least=0.0, most=1.0
)
_OF_HYBRID = tuple(one.name for one in fields(Hybrid))
_OFFSET = Argument("offset", "integer", "how many of the best to skip", default=0, most=10_000)
SEARCH = (
    Argument("query", "string", "what to look for"),
    Argument("queries", "strings", "several queries, instead of one", most=MOST_QUERIES),
    Argument("vector", "numbers", "the query's dense vector, with or without its text"),
    Argument("vectors", "vectors", "dense vectors of several queries", most=MOST_QUERIES),
    _K,
    _OFFSET,
    _RETRIEVER,
    Argument("where", "filter", "which documents: see filters.md, as a text or as an object"),
    Argument("params", "object", "values for the parameters of `where`"),
    _GROUP,
    Argument("copies", "boolean", "whether equal passages are separate hits", default=False),
    _RELEVANCE,
    Argument("hybrid", "object", f"how hybrid fuses: {', '.join(_OF_HYBRID)}"),
    Argument("per_group", "integer", "maximum passages of a document", least=1, most=MOST_HITS),
    Argument(
        "diversity",
        "number",
        "weight of hits' difference from each other",
        default=0.0,
        least=0.0,
        most=1.0,
    ),
    Argument(
        "rescore",
        "integer",
        "with the retriever late: how many of the best to encode again",
        default=0,
        most=MOST_HITS,
    ),
    Argument("explain", "boolean", "whether to return the matches of query tokens", default=False),
    Argument(
        "context_lines",
        "integer",
        "lines to return `before` and `after` each passage",
        default=0,
        most=MOST_CONTEXT,
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
        hybrid=_hybrid(values.get("hybrid")),
        per_group=values.get("per_group"),
        diversity=values.get("diversity", 0.0),
        rescore=values.get("rescore", 0),
    )


def _hybrid(given: dict[str, Any] | None) -> Hybrid | None:
    """The options of fusion, by the names of `Hybrid`."""
    if given is None:
        return None
    unknown = next((name for name in given if name not in _OF_HYBRID), None)
    if unknown is not None:
        raise InputError(f"`hybrid` has no {unknown!r:.60}; it has {', '.join(_OF_HYBRID)}")
    hybrid = Hybrid(**given)
    if hybrid.candidates > MOST_CANDIDATES:
        raise InputError(
            f"`candidates` is {hybrid.candidates:,}; the maximum is {MOST_CANDIDATES:,}"
        )
    return hybrid


class Searching:
    """Handlers of the routes."""

    def __init__(self, indexes: Indexes, limits: Limits) -> None:
        self._indexes = indexes
        self._limits = limits

    async def search(self, request: Request) -> Response:
        """Search one index, with one or several queries."""
        values = await arguments_of(request, self._limits, SEARCH)
        one, vector = values["query"], values["vector"]
        queries, vectors = values["queries"], values["vectors"]
        alone = one is not None or vector is not None
        if alone == (queries is not None or vectors is not None):
            raise InputError("give one of `query` and `queries`, or vectors instead")
        if alone:
            queries = None if one is None else [one]
            vectors = None if vector is None else [vector]
        name, lines = request.path_params["name"], values["context_lines"]

        def ask() -> bytes:
            found = self._asked(name, queries, vectors, _options(values), lines)
            return as_json(found[0] if alone else {"results": found})

        return json_answer(await self._limits.in_thread(request, ask))

    async def quick(self, request: Request) -> Response:
        """Search the default index with one query."""
        values = query_of(request, QUICK)

        def ask() -> bytes:
            return as_json(self._asked(DEFAULT, [values["q"]], None, _options(values), 0)[0])

        return json_answer(await self._limits.in_thread(request, ask))

    def _asked(
        self,
        name: str,
        queries: list[str] | None,
        vectors: list[list[float]] | None,
        options: SearchOptions,
        context_lines: int,
    ) -> list[dict[str, Any]]:
        if not (queries or vectors):
            return []
        with self._indexes.using(name) as index:
            answers = search_many(index, queries, options, vectors=vectors)
            shaped = [
                hits_as_dicts(
                    one.hits,
                    one.matches,
                    lines_around(index, one.hits, context_lines) if context_lines else None,
                )
                for one in answers
            ]
        texts = queries if queries is not None else [None] * len(shaped)
        return [
            {"query": text, "hits": hits} | coverage_as_dict(answer.hits)
            for text, hits, answer in zip(texts, shaped, answers, strict=True)
        ]
