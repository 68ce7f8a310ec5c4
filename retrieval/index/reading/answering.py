"""From queries to hits: ranking as deep as needed for k hits that satisfy the request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.cancellation import check_cancelled
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import selected
from retrieval.index.reading import rescoring, search
from retrieval.index.reading.diversity import CHOSEN_FROM, diverse
from retrieval.index.reading.hits import Listed, hits
from retrieval.index.reading.relevance import relevances
from retrieval.index.reading.reranking import reranked
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.search import Request
from retrieval.index.reading.searched import Allowed, Searched
from retrieval.indexes import distinct, first_of_equal
from retrieval.store import BLANK
from retrieval.types import Hit

GROUPED = 100
"""Number of best passages that are grouped by document."""

_AT_ONCE = 256
_DEEPER = 4


def answer(
    searched: Searched[Allowed], slot: EncoderSlot, queries: Sequence[str], request: Request
) -> list[list[Hit]]:
    """The hits of each query; see `Index.search_batch`."""
    search.check(searched.settings, queries, request)
    with searched.guarded():
        allowed = searched.allowed(request.where)
    if not searched.passages:
        return [[] for _ in queries]
    found: list[list[Hit]] = []
    for first in range(0, len(queries), _AT_ONCE):
        check_cancelled()
        texts = queries[first : first + _AT_ONCE]
        asked = search.prepare(
            searched,
            slot,
            texts,
            request.retriever,
            request.hybrid,
            selected(request.given, range(first, first + len(texts))),
        )
        check_cancelled()
        with searched.guarded():
            listed = _listed(searched, slot, asked, request, allowed)
            found += hits(
                searched,
                texts,
                listed,
                allowed,
                marked=request.highlights,
                folded=not request.copies,
            )
    return found


def _listed(
    searched: Searched[Allowed],
    slot: EncoderSlot,
    queries: Sequence[Query],
    request: Request,
    allowed: Allowed,
) -> list[Listed]:
    """What is shown of each query's ranking; it is deepened until there are enough hits."""
    lists: dict[int, Listed] = {}
    left = list(range(len(queries)))
    depth = max(
        request.depth,
        request.rescore,
        request.rerank if request.reranker else 0,
        GROUPED if request.group else 1,
        CHOSEN_FROM if request.diversity else 1,
    )
    while left:
        asked = [queries[place] for place in left]
        ranked = _ranked(searched, slot, asked, depth, request, allowed)
        for place, ranking in zip(left, ranked, strict=True):
            relevance = cache(partial(relevances, searched, queries[place], ranking))
            run = ranking.run
            if request.min_relevance:
                # a prefix, as relevance does not increase
                run = run.first(int(np.count_nonzero(relevance() >= request.min_relevance)))
            exhausted = len(ranking.run) < depth or depth >= searched.passages
            chosen = run if request.copies else _distinct(searched, run, _needed(request))
            if request.diversity:
                chosen = diverse(searched, chosen, request.diversity)
            if request.per_group is not None:
                chosen = _limited(searched, chosen, request.per_group)
            listed = _shown(searched, ranking, chosen, request, relevance)
            if exhausted or len(run) < len(ranking.run) or len(listed.run) >= request.k:
                lists[place] = listed
        left = [place for place in left if place not in lists]
        depth *= _DEEPER
    return [lists[place] for place in range(len(queries))]


def _ranked(
    searched: Searched[Allowed],
    slot: EncoderSlot,
    queries: Sequence[Query],
    depth: int,
    request: Request,
    allowed: Allowed,
) -> list[Ranking]:
    ranked = search.rank(
        searched,
        queries,
        depth,
        retriever=request.retriever,
        allowed=allowed,
        hybrid=request.hybrid,
    )
    if request.rescore:
        ranked = rescoring.rescored(searched, slot, queries, ranked, request.rescore)
    if request.reranker is not None:
        ranked = reranked(searched, queries, ranked, request.reranker, request.rerank)
    return ranked


def _needed(request: Request) -> int | None:
    """How many passages with distinct texts are needed for what is shown; None is all."""
    chosen_from = request.group or request.diversity or request.per_group is not None
    return None if chosen_from else request.depth


def _distinct(searched: Searched[Any], run: Run, most: int | None) -> Run:
    """The run's passages without copies of better ones; blank passages are not copies.

    Args:
        most: stop after so many; None is all.
    """
    looked_at = len(run) if most is None else 2 * most
    while True:
        first = run.first(looked_at)
        texts = searched.text_hashes(first.ids)
        blank = np.flatnonzero(texts == BLANK)
        different = first.at(distinct(np.concatenate([_firsts(texts), blank])))
        if len(first) == len(run) or (most is not None and len(different) >= most):
            return different
        looked_at *= 2


def _limited(searched: Searched[Any], run: Run, most: int) -> Run:
    """The run with at most so many passages of each document."""
    kept: list[int] = []
    counts: Counter[int] = Counter()
    for place, owner in enumerate(searched.owners(run.ids).tolist()):
        counts[owner] += 1
        if counts[owner] <= most:
            kept.append(place)
    return run.at(np.array(kept, np.int64))


def _shown(
    searched: Searched[Any],
    ranking: Ranking,
    run: Run,
    request: Request,
    relevance: Callable[[], NDArray[np.float64]],
) -> Listed:
    """The k passages of the run that become hits, and those that are grouped under them."""
    if request.group is None:
        return Listed(_page(run, request), ranking, relevance)
    owners = searched.owners(run.ids)
    best = _page(run.at(_firsts(owners)), request)
    near = np.isin(run.ids, ranking.run.ids[:GROUPED]) & ~np.isin(run.ids, best.ids)
    own = dict(zip(run.ids.tolist(), owners.tolist(), strict=True))
    others = {id: run.at(np.flatnonzero(near & (owners == own[id]))) for id in best.ids.tolist()}
    return Listed(best, ranking, relevance, others)


def _page(run: Run, request: Request) -> Run:
    """The k passages of the run that are shown, from `offset` on."""
    # A slice, as `offset` may exceed what an array can count.
    shown = slice(request.offset, request.depth)
    return Run(run.ids[shown], run.scores[shown])


def _firsts(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the first occurrence of each value, ascending."""
    order = np.argsort(values, kind="stable")
    return np.sort(order[first_of_equal(values[order])])
