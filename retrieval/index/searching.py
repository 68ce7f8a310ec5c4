"""Searching by text or vectors."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Self, Unpack

from numpy.typing import ArrayLike

from retrieval.errors import InputError
from retrieval.hits import Hits
from retrieval.index.awaiting import in_thread
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import of_queries, of_query, selected
from retrieval.index.listing import Params, checked_id
from retrieval.index.options import ChoiceOptions, SearchOptions
from retrieval.index.reading import answering, explain
from retrieval.index.reading.search import Request, prepare, query_problem
from retrieval.index.reading.searched import Searched
from retrieval.indexes import Filter, Where, as_filter
from retrieval.store import Settings
from retrieval.tracing import span
from retrieval.types import Embeddings, Hit, Hybrid, Reranker, Retriever, TokenMatch

_LOG = logging.getLogger(__name__)


class Searching(ABC):
    """An index, or a collection in shards, to search; raises the same errors as `Index`."""

    _encoder: EncoderSlot

    @property
    @abstractmethod
    def generation(self) -> int:
        """The number of the commit that it shows."""

    @abstractmethod
    def _searched(self) -> AbstractContextManager[Searched[Any]]:
        """The generation that is shown, kept open until the block is left."""

    @abstractmethod
    def close(self) -> None:
        """Close the files once running searches are done; closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.close()  # not in a thread, so that it is closed even when cancelled

    def search(
        self,
        query: str | None = None,
        k: int = 10,
        *,
        retriever: Retriever = "hybrid",
        where: Where | None = None,
        params: Params | None = None,
        highlights: bool = True,
        hybrid: Hybrid | None = None,
        rescore: int = 0,
        copies: bool = False,
        group: Literal["document"] | None = None,
        per_group: int | None = None,
        min_relevance: float = 0.0,
        diversity: float = 0.0,
        reranker: Reranker | None = None,
        rerank: int = 50,
        offset: int = 0,
        vector: ArrayLike | None = None,
        tokens: ArrayLike | None = None,
    ) -> Hits:
        """The k passages that answer the query best, best first; fewer if there are fewer.

        A smaller k gives a prefix of a larger one's result, and pages are parts of one list.

        Args:
            query: any text; very long ones are truncated to what the encoder reads. None if
                `vector` or
                `tokens` are given instead.
            k: at least 1.
            retriever: `lexical`, `dense`, `late`, or `hybrid`, which fuses them.
            where: filter on hits' documents, see docs/filters.md: an expression over metadata, `id`
                and `title` such as `lang == "python" and path glob "src/**"`, a dict such as
                `{"year": {"$gte": 2020}}`, or a Filter.
            params: values, by name, for the parameters of an expression such as `year >= :y`.
            highlights: mark the query's words in the hits; long lists are faster without.
            hybrid: how `hybrid` fuses; None is `Hybrid()`.
            rescore: for `late`, how many of the best are encoded again and reordered by
                uncompressed vectors.
            copies: list every passage; if not, passages with the same text are one hit, the best,
                and its `copies` lists the others.
            group: `document` returns k documents: each as the hit of its best passage, whose
                `others` are the document's other passages among the hundred best.
            per_group: maximum passages of one document, a hit and its `others` counted
                together; None is all.
            min_relevance: minimum relevance of a hit, from 0 to 1; 0.2 leaves out what has nothing
                to do with the query.
            diversity: weight, from 0 to 1, of passages' difference from those before them, by
                maximal marginal relevance among the hundred best, which becomes the score.
            reranker: reorders the best passages by reading them with their context: a result of
                `load_reranker`, or a Reranker of your own. Its score becomes the score.
            rerank: how many passages it reads; the others follow in their order.
            offset: how many of the best to skip: the pages of a list have `offset` 0, k, 2 k, ...
            vector: the query's dense vector [D], instead of the encoder's.
            tokens: the query's token vectors [m, d], instead of the encoder's. Without a query,
                `hybrid` fuses the retrievers whose vectors were given.

        Raises:
            InputError: the query is empty, or an option cannot be used.
            FilterError: `where` cannot be parsed.
            EncoderError: the index's encoder lacks the head that the retriever needs.
            EncoderMismatch: the encoder at the source is no longer the one that built the index.
        """
        given = None
        if vector is not None or tokens is not None:
            given = partial(of_query, vector, tokens)
            if isinstance(query, str) and not query.strip():
                query = None
        elif (problem := query_problem(query)) is not None:
            raise InputError(problem)
        request = Request(
            k,
            retriever,
            highlights=highlights,
            hybrid=hybrid,
            rescore=rescore,
            copies=copies,
            group=group,
            per_group=per_group,
            min_relevance=min_relevance,
            diversity=diversity,
            reranker=reranker,
            rerank=rerank,
            offset=offset,
        )
        queries = None if query is None else [query]
        return self._answers(queries, request, as_filter(where, params), None, given)[0]

    async def asearch(
        self, query: str | None = None, k: int = 10, **options: Unpack[SearchOptions]
    ) -> Hits:
        """Like `search`, with the same options, in a thread that does not block the event loop.

        When cancelled, it does not wait for the search, which stops where it can.
        """
        return await in_thread(partial(self.search, query, k, **options))

    def search_batch(
        self,
        queries: Iterable[str] | None,
        k: int = 10,
        *,
        retriever: Retriever = "hybrid",
        where: Where | Sequence[Where | None] | None = None,
        params: Params | None = None,
        highlights: bool = True,
        hybrid: Hybrid | None = None,
        rescore: int = 0,
        copies: bool = False,
        group: Literal["document"] | None = None,
        per_group: int | None = None,
        min_relevance: float = 0.0,
        diversity: float = 0.0,
        reranker: Reranker | None = None,
        rerank: int = 50,
        offset: int = 0,
        embeddings: Embeddings | None = None,
    ) -> list[Hits]:
        """Like `search`, for many queries, all in one generation.

        Queries with the same filter are encoded together. One that is empty or not a text has no
        hits, which is logged to `logging.getLogger("retrieval")`.

        Args:
            queries: the queries' texts; None if `embeddings` are given instead.
            where: one filter for all, or a list with a filter or None for each.
            embeddings: the queries' embeddings, instead of the encoder's.
        """
        if isinstance(queries, str):
            raise InputError(f"one query, {queries!r}, was given; give a list of them")
        if queries is not None and not isinstance(queries, Iterable):
            raise InputError(f"{queries!r} was given; give a list of queries")
        if queries is None and embeddings is None:
            raise InputError("no queries were given; give a list of texts, or their embeddings")
        request = Request(
            k,
            retriever,
            highlights=highlights,
            hybrid=hybrid,
            rescore=rescore,
            copies=copies,
            group=group,
            min_relevance=min_relevance,
            offset=offset,
            per_group=per_group,
            diversity=diversity,
            reranker=reranker,
            rerank=rerank,
        )
        given = None if embeddings is None else partial(of_queries, embeddings)
        return self._answers(
            None if queries is None else list(queries), request, where, params, given
        )

    def _answers(
        self,
        queries: list[str] | None,
        request: Request,
        where: Where | Sequence[Where | None] | None,
        params: Params | None,
        given: Callable[[Settings], Embeddings] | None,
    ) -> list[Hits]:
        """See `search_batch`.

        Args:
            queries: the queries' texts; None if only their embeddings were given.
            request: the other options, the same for all.
            where: see `search_batch`.
            params: see `search_batch`.
            given: checks and returns the queries' embeddings; None if the encoder makes them.
        """
        since = time.monotonic()
        found: dict[int, list[Hit]] = {}
        with span("search", k=request.k) as tell, self._searched() as searched:
            embeddings = None if given is None else given(searched.settings)
            if embeddings is None:
                asked = queries or []
            else:
                asked = [""] * len(embeddings) if queries is None else queries
                if len(embeddings) != len(asked):
                    raise InputError(
                        f"{len(embeddings)} embeddings were given for {len(asked)} queries"
                    )
                if queries is None:
                    request = _by_vectors(embeddings, request)
            tell(retriever=str(request.retriever), queries=len(asked))
            filters = _each(where, params, len(asked))
            good = range(len(asked)) if embeddings is not None else _askable(asked)
            for chosen in dict.fromkeys(filters) or [None]:
                places = [at for at in good if filters[at] == chosen]
                some = replace(request, where=chosen, given=selected(embeddings, places))
                texts = [asked[at] for at in places]
                answers = answering.answer(searched, self._encoder, texts, some)
                found |= zip(places, answers, strict=True)
            tell(hits=sum(map(len, found.values())), generation=searched.generation)
        spent = 1000 * (time.monotonic() - since)
        _LOG.debug("%d queries by %s in %.1f ms", len(asked), request.retriever, spent)
        return [Hits(found.get(at, ())) for at in range(len(asked))]

    def similar(
        self,
        id: str,
        k: int = 10,
        *,
        where: Where | None = None,
        params: Params | None = None,
        **options: Unpack[ChoiceOptions],
    ) -> Hits:
        """The k documents that are most similar to this one, each by its best passage.

        Similarity is by the mean of the dense vectors of its passages or, if there are none, by the
        token vectors of its first passage. A document without vectors has no similar ones.

        Args:
            id: id of a document in the index.
            k: at least 1.
            where: filter on the documents, see `search`.
            params: values for the parameters of `where`.
            options: other arguments of `search`.

        Raises:
            InputError: there is no document with this id.
        """
        own = Filter.of_ids([checked_id(id)])
        with self._searched() as searched, searched.guarded():
            likeness = searched.likeness(id)
        if likeness is None:
            raise InputError(f"there is no document {id!r}; give the id of one, see `ids`")
        vector, tokens = likeness.dense, likeness.tokens
        if vector is None and (tokens is None or not len(tokens)):
            return Hits()
        others = ~own if where is None else ~own & Filter.parse(where, params)
        asked: dict[str, Any] = {"group": "document", "where": others, "k": k}
        by = {"tokens": tokens} if vector is None else {"vector": vector}
        return self.search(**{**asked, **by, **options})

    def explain(self, query: str, hits: Sequence[Hit]) -> list[tuple[TokenMatch, ...]]:
        """Why late interaction scores hits as it does: the best match of each query token.

        Args:
            query: the query that was asked.
            hits: hits of a search in this index, by any retriever.

        Returns:
            For each hit, a match for each token of the query, in the query's order; none for a
            passage without token vectors. They are computed from the stored, possibly compressed
            vectors.

        Raises:
            InputError: the query is empty, or a hit's passage is no longer in the index.
            EncoderError: the index has no token vectors.
            EncoderMismatch: the encoder at the source is no longer the one that built the index.
        """
        with self._searched() as searched:
            explain.check(searched.settings, query, hits)
            (asked,) = prepare(searched, self._encoder, [query], "late")
            return searched.explain(self._encoder.get(), asked, hits)


def _askable(queries: Sequence[str]) -> list[int]:
    """Positions of valid queries; the others are logged."""
    good = []
    for at, query in enumerate(queries):
        problem = query_problem(query)
        if problem is None:
            good.append(at)
        else:
            _LOG.warning("query %d of %d has no hits: %s", at, len(queries), problem)
    return good


def _by_vectors(given: Embeddings, request: Request) -> Request:
    """The request for queries of only vectors: which retriever answers, and how it fuses.

    Raises:
        InputError: the vectors that the retriever needs were not given.
    """
    retriever = request.retriever
    there = {"lexical": False, "dense": given.dense is not None, "late": given.tokens is not None}
    if not there.get(str(retriever), True):
        needed = {"lexical": "words", "dense": "a dense vector", "late": "token vectors"}[retriever]
        raise InputError(f"retriever {retriever!r} needs {needed}, but none was given")
    if retriever != "hybrid":
        return request
    if given.tokens is None:
        return replace(request, retriever="dense", hybrid=None)
    if given.dense is None:
        return replace(request, retriever="late", hybrid=None)
    return replace(request, hybrid=replace(request.hybrid or Hybrid(), lexical=0))


def _each(
    where: Where | Sequence[Where | None] | None, params: Params | None, count: int
) -> list[Filter | None]:
    """The filter of each query."""
    if not isinstance(where, Sequence) or isinstance(where, str):
        return [as_filter(where, params)] * count
    if len(where) != count:
        raise InputError(f"{len(where)} filters were given for {count} queries; give one for each")
    return [as_filter(one, params if isinstance(one, str) else None) for one in where]
