"""A query asked of an index, with what its tokens matched on demand."""

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
    """How a query is asked; see `Index.search`.

    Attributes:
        k: how many hits.
        retriever: who answers.
        where: which documents are searched; None is all.
        rescore: how many of the best are encoded again; of late interaction only.
        explain: whether to add what each token of the query matched; of late interaction only.
        copies: whether passages of the same text are listed one by one.
        group: `document` for documents with their best passages.
        min_relevance: what a hit has at least, from 0 to 1.
        offset: how many of the best are left out.
        params: values for the parameters of `where`.
        hybrid: how hybrid search fuses; None is `Hybrid()`.
        per_group: how many passages of a document at most; None is any number.
        diversity: what it counts that hits are unlike each other, from 0 to 1.
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
    """What a query found.

    Attributes:
        hits: best first.
        matches: for each hit what the query's tokens matched; None if that was not asked for.
    """

    hits: Hits
    matches: Sequence[Sequence[TokenMatch]] | None


def search(index: Searching, query: str, options: SearchOptions) -> Answer:
    """Ask an index; raises what `Index.search` and `Index.explain` raise."""
    return search_many(index, [query], options)[0]


def search_many(
    index: Searching,
    queries: Sequence[str] | None,
    options: SearchOptions,
    *,
    vectors: Sequence[Sequence[float]] | None = None,
) -> list[Answer]:
    """As `search`, for many queries, which are encoded together and see one generation.

    Args:
        index: the index.
        queries: their texts; None if the vectors say it all.
        options: how they are asked.
        vectors: the queries' dense vectors, in the place of what the encoder would make.

    Raises:
        InputError: one of them cannot be asked; `Index.search_batch` leaves it without hits.
    """
    for query in queries or ():
        problem = query_problem(query)
        if problem is not None:
            raise InputError(problem)
    if queries is None and options.explain:
        raise InputError("explain shows what the words of a query matched; give its text, too")
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
            # A hit that is not there any more: somebody wrote between the search and this.
            if last or index.generation == generation:
                raise
    raise AssertionError


def _embeddings(vectors: Sequence[Sequence[float]]) -> Embeddings:
    import numpy as np

    if len({len(vector) for vector in vectors}) != 1:
        raise InputError("the vectors are of several lengths, or none; give some of one length")
    with np.errstate(over="ignore"):  # a number that f32 cannot hold is refused as infinite
        return Embeddings(np.asarray(vectors, dtype=np.float32), None, None)
