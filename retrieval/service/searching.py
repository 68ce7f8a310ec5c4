"""Searching an index, with token matches on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from retrieval.encoder import Embeddings
from retrieval.errors import InputError
from retrieval.hits import Hits
from retrieval.index.listing import Params
from retrieval.index.reading.search import query_problem
from retrieval.index.searching import Searching
from retrieval.indexes import Where
from retrieval.types import Hybrid, Retriever, TokenMatch

_TRIES = 5


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Options of a search; see `Index.search`.

    Attributes:
        k: how many hits.
        retriever: the retriever to use.
        where: filter on documents; None is all.
        rescore: how many of the best are encoded again; only for late interaction.
        explain: whether to add the matches of the query's tokens; only for late interaction.
        copies: whether passages with the same text are listed separately.
        group: `document` for documents with their best passages.
        min_relevance: minimum relevance of a hit, from 0 to 1.
        offset: how many of the best to skip.
        params: values for the parameters of `where`.
        hybrid: how hybrid search fuses; None is `Hybrid()`.
        per_group: maximum passages of a document; None is no limit.
        diversity: weight of hits' difference from each other, from 0 to 1.
    """

    k: int = 10
    retriever: Retriever = "hybrid"
    where: Where | None = None
    rescore: int = 0
    explain: bool = False
    copies: bool = False
    group: Literal["document"] | None = None
    min_relevance: float = 0.0
    offset: int = 0
    params: Params | None = None
    hybrid: Hybrid | None = None
    per_group: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if self.explain and self.retriever not in ("late", "hybrid"):
            raise InputError(
                f"explain shows what late interaction matched, which {self.retriever!r} does not "
                "use; search with the retriever late or hybrid"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a query.

    Attributes:
        hits: best first.
        matches: for each hit the matches of the query's tokens; None if not requested.
    """

    hits: Hits
    matches: Sequence[Sequence[TokenMatch]] | None


def search(index: Searching, query: str, options: SearchOptions) -> Answer:
    """Search an index; raises the errors of `Index.search` and `Index.explain`."""
    return search_many(index, [query], options)[0]


def search_many(
    index: Searching,
    queries: Sequence[str] | None,
    options: SearchOptions,
    *,
    vectors: Sequence[Sequence[float]] | None = None,
) -> list[Answer]:
    """Like `search`, for many queries, encoded together and in one generation.

    Args:
        index: the index.
        queries: the queries' texts; None if only vectors are given.
        options: the options for all queries.
        vectors: the queries' dense vectors, instead of the encoder's.

    Raises:
        InputError: a query is invalid, for which `Index.search_batch` would return no hits.
    """
    for at, query in enumerate(queries or ()):
        problem = query_problem(query)
        if problem is not None:
            several = queries is not None and len(queries) > 1
            raise InputError(f"queries[{at}]: {problem}" if several else problem)
    if queries is None and options.explain:
        raise InputError("explain shows what the words of a query matched; give its text as well")
    for last in (False,) * _TRIES + (True,):
        generation = index.generation
        found = index.search_batch(
            queries,
            options.k,
            retriever=options.retriever,
            where=options.where,
            params=options.params,
            rescore=options.rescore,
            copies=options.copies,
            group=options.group,
            min_relevance=options.min_relevance,
            offset=options.offset,
            hybrid=options.hybrid,
            per_group=options.per_group,
            diversity=options.diversity,
            embeddings=None if vectors is None else _embeddings(vectors),
        )
        if not options.explain or queries is None:
            return [Answer(hits, None) for hits in found]
        try:
            return [
                Answer(hits, index.explain(query, hits))
                for query, hits in zip(queries, found, strict=True)
            ]
        except InputError:
            # A hit no longer exists: the index was changed between search and explain.
            if last or index.generation == generation:
                raise
    raise AssertionError


def _embeddings(vectors: Sequence[Sequence[float]]) -> Embeddings:
    import numpy as np

    if len({len(vector) for vector in vectors}) != 1:
        raise InputError("the vectors have different lengths, or none; give vectors of one length")
    with np.errstate(over="ignore"):  # a number that f32 cannot hold is refused as infinite
        return Embeddings(np.asarray(vectors, dtype=np.float32), None, None)
