"""From queries to hits: rankings as deep as it takes for k of what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.cancellation import check_cancelled
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import among
from retrieval.index.reading import rescoring, search
from retrieval.index.reading.diversity import CHOSEN_FROM, diverse
from retrieval.index.reading.hits import Listed, hits
from retrieval.index.reading.relevance import relevances
from retrieval.index.reading.reranking import reranked
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.search import Request
from retrieval.index.reading.snapshot import Snapshot
from retrieval.store import BLANK
from retrieval.types import Hit

GROUPED = 100
"""Of so many best passages those of one document are put together."""

Known = TypeVar("Known")

_AT_ONCE = 256
_DEEPER = 4


def answer(
    snapshot: Snapshot, slot: EncoderSlot, queries: Sequence[str], request: Request
) -> list[list[Hit]]:
    """The hits of each query; see `Index.search_batch`."""
    search.check(snapshot, queries, request)
    with snapshot.guarded():
        allowed = snapshot.allowed(request.where)
    if not snapshot.passages:
        return [[] for _ in queries]
    found: list[list[Hit]] = []
    for first in range(0, len(queries), _AT_ONCE):
        check_cancelled()
        texts = queries[first : first + _AT_ONCE]
        asked = search.prepare(
            snapshot,
            slot,
            texts,
            request.retriever,
            request.hybrid,
            among(request.given, range(first, first + len(texts))),
        )
        check_cancelled()
        with snapshot.guarded():
            listed = _listed(snapshot, slot, asked, request, allowed)
            found += hits(
                snapshot,
                texts,
                listed,
                allowed,
                marked=request.highlights,
                folded=not request.copies,
            )
    return found


def _listed(
    snapshot: Snapshot,
    slot: EncoderSlot,
    queries: Sequence[Query],
    request: Request,
    allowed: NDArray[np.bool_] | None,
) -> list[Listed]:
    """What is shown of each query's ranking, which is made deeper until there is enough."""
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
        ranked = _ranked(snapshot, slot, asked, depth, request, allowed)
        for place, ranking in zip(left, ranked, strict=True):
            relevance = relevances(snapshot, queries[place], ranking.run, ranking.by)
            enough = int(np.count_nonzero(relevance >= request.min_relevance))  # the first of them
            run = ranking.run.first(enough)
            exhausted = len(ranking.run) < depth or depth >= snapshot.passages
            chosen = run if request.copies else _distinct(snapshot, run)
            if request.diversity:
                chosen = diverse(snapshot, chosen, request.diversity)
            if request.per_group is not None:
                chosen = _limited(snapshot, chosen, request.per_group)
            listed = _shown(snapshot, ranking, chosen, request)
            listed.relevance.update(zip(run.ids.tolist(), relevance.tolist(), strict=False))
            if exhausted or enough < len(ranking.run) or len(listed.run) >= request.k:
                lists[place] = listed
        left = [place for place in left if place not in lists]
        depth *= _DEEPER
    return [lists[place] for place in range(len(queries))]


def _ranked(
    snapshot: Snapshot,
    slot: EncoderSlot,
    queries: Sequence[Query],
    depth: int,
    request: Request,
    allowed: NDArray[np.bool_] | None,
) -> list[Ranking]:
    ranked = search.rank(
        snapshot,
        queries,
        depth,
        retriever=request.retriever,
        allowed=allowed,
        hybrid=request.hybrid,
    )
    if request.rescore:
        ranked = rescoring.rescored(snapshot, slot, queries, ranked, request.rescore)
    if request.reranker is not None:
        ranked = reranked(snapshot, queries, ranked, request.reranker, request.rerank)
    return ranked


def _distinct(snapshot: Snapshot, run: Run) -> Run:
    """The run's passages without those whose text a better one has; no text is not one text."""
    ids = run.ids.tolist()
    hashes = snapshot.store.text_hashes(ids)
    texts = [_known(snapshot, hashes, id) for id in ids]
    first = _firsts(texts)
    blank = np.flatnonzero(np.array(texts, np.int64) == BLANK)
    return run.at(np.union1d(first, blank))


def _limited(snapshot: Snapshot, run: Run, most: int) -> Run:
    """The run with the first so many passages of each document."""
    kept: list[int] = []
    counts: Counter[int] = Counter()
    for place, owner in enumerate(_owners(snapshot, run)):
        counts[owner] += 1
        if counts[owner] <= most:
            kept.append(place)
    return run.at(np.array(kept, np.int64))


def _owners(snapshot: Snapshot, run: Run) -> list[int]:
    """The number of each passage's document."""
    ids = run.ids.tolist()
    rows = snapshot.store.passages(ids)
    return [_known(snapshot, rows, id).document for id in ids]


def _shown(snapshot: Snapshot, ranking: Ranking, run: Run, request: Request) -> Listed:
    """The k passages of the run that are hits, and those that stand below them."""
    if request.group is None:
        return Listed(_page(run, request), ranking.by)
    owners = np.array(_owners(snapshot, run), np.int64)
    best = _page(run.at(_firsts(owners)), request)
    near = np.isin(run.ids, ranking.run.ids[:GROUPED]) & ~np.isin(run.ids, best.ids)
    own = dict(zip(run.ids.tolist(), owners.tolist(), strict=True))
    others = {id: run.at(np.flatnonzero(near & (owners == own[id]))) for id in best.ids.tolist()}
    return Listed(best, ranking.by, others)


def _page(run: Run, request: Request) -> Run:
    """The k passages of the run that are shown, from `offset` on."""
    return run.at(np.arange(request.offset, min(request.depth, len(run))))


def _firsts(values: ArrayLike) -> NDArray[np.int64]:
    """Where each of these whole numbers stands for the first time, ascending."""
    return np.sort(np.unique(np.asarray(values, np.int64), return_index=True)[1])


def _known(snapshot: Snapshot, table: Mapping[int, Known], id: int) -> Known:
    try:
        return table[id]
    except KeyError:
        raise snapshot.corrupted(f"a search found passage {id}, which is not stored") from None
